"""Requests whose open step is overdue: the sweep that ends them."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import and_, select

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, PolicyRevision, Step, db_now
from webapp.queries import domains
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.runtime import failpoints
from webapp.workflow import state_machine
from webapp.workflow.actor import SYSTEM
from webapp.workflow.errors import Settled
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState, StepState

from . import _invitations
from ._outcome_notices import outcome_notices
from ._transition import pending_snapshots, transition_all


def expire_overdue(*, now: datetime, limit: int = 500, only: int | None = None) -> int:
    """Ends up to `limit` requests whose open step is overdue, or `only` that one; returns how many were looked at
    (0: none left).

    Set-based: one conditional UPDATE … RETURNING, and only what came back gets events and mails.
    """
    query = (
        select(AccessRequest.id, AccessRequest.version, AccessRequest.app_id, AccessRequest.asked_by_id,
               AccessRequest.for_person_id, AccessRequest.policy_revision_id)
        .join(Step, and_(Step.request_id == AccessRequest.id, Step.state == StepState.OPEN.value))
        .where(Step.due_at <= db_now(), AccessRequest.state == RequestState.PENDING.value)
        .order_by(Step.due_at)
        .limit(limit)
        .with_for_update(of=AccessRequest, skip_locked=True)
    )  # fmt: skip
    if only is not None:
        query = query.where(AccessRequest.id == only)
    overdue = db.session.execute(query).all()
    if not overdue:
        return 0
    pending = pending_snapshots(overdue)
    outcomes: dict[int, state_machine.Outcome] = {}
    for id, request in pending.items():
        with suppress(Settled):
            outcomes[id] = state_machine.expire(request)
    seen = {row.id: row.version for row in overdue}
    expired = transition_all(seen, outcomes, RequestState.EXPIRED, now=now)
    failpoints.at("expiry.in-batch")
    rows = [row for row in overdue if row.id in expired]
    _tell_expired(rows, {row.id: pending[row.id].steps[0] for row in rows}, now=now)
    return len(overdue)


def _tell_expired(rows: Sequence[Any], steps: Mapping[int, state_machine.Step], *, now: datetime) -> None:
    """Events, emails and closed invitations for a batch of expired requests."""
    if not rows:
        return
    policies = {
        row.id: loads(row.body)
        for row in db.session.execute(
            select(PolicyRevision.id, PolicyRevision.body).where(
                PolicyRevision.id.in_({row.policy_revision_id for row in rows})
            )
        )
    }
    asked = _invitations.asked_people(row.id for row in rows)
    outside = domains.outside(
        address for policy in policies.values() for address in policy.outcomes[RequestState.EXPIRED].others
    )
    notices: list[dict[str, Any]] = []
    for row in rows:
        notices += outcome_notices(
            RequestState.EXPIRED,
            policies[row.policy_revision_id].outcomes[RequestState.EXPIRED],
            row.id,
            requesters=(row.for_person_id, row.asked_by_id),
            approvers=(person for person, _, _ in asked.get(row.id, ())),
            outside=outside,
            now=now,
        )
        audit.record(
            EventKind.REQUEST_EXPIRED,
            at=now,
            actor=SYSTEM,
            request=row.id,
            app=row.app_id,
            person=row.for_person_id,
            step=steps[row.id].position,
        )
    outbox.post(notices)
    _invitations.close_invitations(step.id for step in steps.values())
