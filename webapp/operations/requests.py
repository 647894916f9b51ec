"""What people do with their requests: submit, cancel, remind."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, Person, PolicyRevision
from webapp.notices import NoticeKind, notice
from webapp.queries import directory
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, public_id, sha256, word_list
from webapp.workflow import state_machine
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.approvers import require_deciders
from webapp.workflow.entitlements import Given, fill
from webapp.workflow.errors import Settled
from webapp.workflow.policy import MESSAGE_LIMIT
from webapp.workflow.states import RequestState

from . import _eligibility, _invitations, _repeat_limits
from ._sql import add_if_free
from ._transition import hold, pending_snapshots, transition, transition_all
from ._values import cleaned, for_the_record, taken
from .errors import Conflict, Invalid, too_long

REMIND_AFTER = timedelta(hours=24)
REASON_LIMIT = 500


def submit(
    app: App, revision: PolicyRevision, *, actor: AnyActor, message: str, given: Given, now: datetime
) -> AccessRequest:
    """Asks for an app for the person who acts. The rule in force is frozen into the request.

    Raises Invalid or BadValues for input, NobodyCanDecide, and Conflict when the person has the app, has asked
    for it already, or the rule has changed under the form.
    """
    person_id = require_person(actor)
    policy = revision.snapshot()
    if not policy.approval_required:
        raise Conflict(f"{app.name} no longer needs approval. Select Add to get access.")
    message = clean(message)
    if len(message) > MESSAGE_LIMIT:
        raise Invalid(message=too_long(message, MESSAGE_LIMIT))
    if policy.comment_required and not message:
        raise Invalid(message="Enter a reason. The approver needs it to decide.")
    values = policy.defaults()
    sheet = policy.sheet_for_requester(values)
    filled = fill(sheet.fields, cleaned(given), by=person_id, at=now.isoformat(timespec="seconds"))
    values = taken(sheet, values, filled)
    directory.lock()
    eligibility = _eligibility.check_request(app, revision, person_id, now=now)
    _repeat_limits.check_request(app, eligibility.lately, now=now)
    owner = eligibility.owner
    found = directory.look_up([*(step.approver for step in policy.steps), owner])
    deciders = require_deciders(
        tuple(step.approver for step in policy.steps),
        owner=owner,
        directory=found.directory,
        without=frozenset({person_id}),
    )
    request = AccessRequest(
        public_id=public_id(),
        state=RequestState.PENDING.value,
        version=1,
        settled_at=None,
        settled_note="",
        app_id=app.id,
        asked_by_id=person_id,
        for_person_id=person_id,
        policy_revision_id=revision.id,
        message=message,
        words=word_list(message),
        created_at=now,
    )
    request.values = values
    if not add_if_free(request):
        raise Conflict(f"You already have a pending request for {app.name}.")
    audit.record(
        EventKind.REQUEST_SUBMITTED,
        at=now,
        actor=actor,
        request=request.id,
        app=app.id,
        person=person_id,
        revision=revision.id,
        message=sha256(message) if message else None,
        before=None,
        after=for_the_record(policy, values),
    )
    _invitations.create_steps(request.id, policy, deciders[0], now=now)
    return request


def cancel(case: Case, *, actor: AnyActor, reason: str = "", now: datetime) -> None:
    """Ends a pending request; everyone who was asked is told. Raises Invalid, Settled or Conflict."""
    outcome = state_machine.cancel(case.snapshot())
    reason = clean(reason)
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=too_long(reason, REASON_LIMIT))
    transition(case, outcome, actor=actor.id, now=now, note=reason, step=case.open_step)
    ended = {case.request.id: (case.app.id, case.for_person)}
    _tell_cancelled(ended, [one.id for one in case.steps], actor=actor, reason=reason, now=now)


def cancel_all(ids: Iterable[int], *, actor: AnyActor, reason: str, now: datetime) -> int:
    """`cancel` for many at once, in as many statements as for one. Returns how many were pending still."""
    reason = clean(reason)[:500]
    rows = db.session.execute(
        select(AccessRequest, Person)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .where(AccessRequest.id.in_(ids), AccessRequest.state == RequestState.PENDING.value)
        .order_by(AccessRequest.id)
        .with_for_update(of=AccessRequest)
        .execution_options(populate_existing=True)
    ).all()
    if not rows:
        return 0
    pending = pending_snapshots(request for request, _ in rows)
    outcomes = {id: state_machine.cancel(one) for id, one in pending.items()}
    transition_all({id: one.version for id, one in pending.items()}, outcomes, RequestState.CANCELLED, now=now,
                   settled_by_id=actor.responsible_id, settled_note=reason)  # fmt: skip
    closed = [step for outcome in outcomes.values() for step, _ in outcome.moves]
    ended = {request.id: (request.app_id, person) for request, person in rows}
    _tell_cancelled(ended, closed, actor=actor, reason=reason, now=now)
    return len(rows)


def _tell_cancelled(
    ended: Mapping[int, tuple[int, Person]], steps: Iterable[int], *, actor: AnyActor, reason: str, now: datetime
) -> None:
    """Events, emails and closed invitations for requests that were cancelled: id → (app id, who it was for)."""
    asked = _invitations.asked_people(ended)
    _invitations.close_invitations(steps)
    notices: list[dict[str, Any]] = []
    for id, (app_id, person) in ended.items():
        audit.record(EventKind.REQUEST_CANCELLED, at=now, actor=actor, request=id, app=app_id, person=person.id,
                     reason=sha256(reason) if reason else None)  # fmt: skip
        told = dict.fromkeys(who for who, _, _ in asked.get(id, ()))
        if person.active:
            told[person.id] = None
        notices += [
            notice(NoticeKind.REQUEST_CANCELLED, "requester" if who == person.id else "approver", now=now,
                                person_id=who, request_id=id)
            for who in told
            if who != actor.id
        ]  # fmt: skip
    outbox.post(notices)


def remind(case: Case, *, actor: AnyActor, now: datetime) -> None:
    """ "Ask again": emails those who are asked once more, at most once a day. Raises Settled or Conflict."""
    step = case.open_step
    if state_machine.require_open(case.snapshot()).overdue or step is None:
        raise Settled("The deadline for this decision has passed.")
    if (case.request.reminded_at or case.request.created_at) > now - REMIND_AFTER:
        raise Conflict(
            "A reminder or the request itself was sent less than 24 hours ago. You can send one reminder a day."
        )
    hold(case, step, reminded_at=now)
    audit.record(EventKind.REQUEST_REMINDED, at=now, actor=actor, request=case.request.id, app=case.app.id)
    live = db.session.execute(
        select(Invitation.id, Invitation.person_id, Invitation.round).where(
            Invitation.step_id == step.id, Invitation.live
        )
    ).all()
    _invitations.ask([(one.id, one.person_id, one.round) for one in live], case.request.id, step.id, now=now,
                     data_json='{"again": true}')  # fmt: skip
