"""What waits for an approver, what they have decided, and what they should know before they decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Grant, Group, Invitation, Person, PolicyRevision, Step, db_now
from webapp.queries import faces
from webapp.queries.chains import Who
from webapp.queries.dashboard import details
from webapp.queries.faces import AppFace
from webapp.workflow.states import RequestState, StepState

PAGE = 30


def waiting_for(person_id: Any) -> Any:
    """A scalar subquery: how many open steps wait for the person."""
    return (
        select(func.count())
        .select_from(Invitation)
        .join(Step, Step.id == Invitation.step_id)
        .where(
            Invitation.person_id == person_id,
            Invitation.live,
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
        )
        .scalar_subquery()
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """A request that waits for me. `place` says where I stand: "Finance decides", "in place of Ana"."""

    step_id: int
    public_id: str
    requester: Who
    app: AppFace
    message: str
    details: str
    due_at: datetime
    place: str
    step_number: int
    step_count: int


def waiting(person_id: int, *, after: tuple[datetime, int] | None = None, limit: int = PAGE) -> list[Turn]:
    """The next deadline first, `limit` + 1 of them, in one statement."""
    asker, approver = aliased(Person), aliased(Person)
    count = (
        select(func.count()).select_from(Step).where(Step.request_id == AccessRequest.id)
        .correlate(AccessRequest).scalar_subquery()
    )  # fmt: skip
    query = (
        select(
            Step.id, Step.due_at, Step.tier, Step.position, AccessRequest.public_id, AccessRequest.message,
            AccessRequest.values_json, PolicyRevision.body, *faces.COLUMNS,
            asker.id.label("asker_id"), asker.public_id.label("asker_public_id"), asker.name.label("asker_name"),
            approver.name.label("approver_name"), Group.name.label("group_name"), count.label("steps"),
        )
        .join(Invitation, Invitation.step_id == Step.id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .join(PolicyRevision, PolicyRevision.id == AccessRequest.policy_revision_id)
        .join(asker, asker.id == AccessRequest.for_person_id)
        .outerjoin(approver, approver.id == Step.approver_person_id)
        .outerjoin(Group, Group.id == Step.approver_group_id)
        .where(
            Invitation.person_id == person_id,
            Invitation.live,
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
        )
        .order_by(Step.due_at, Step.id)
        .limit(limit + 1)
    )  # fmt: skip
    if after is not None:
        query = query.where((Step.due_at > after[0]) | ((Step.due_at == after[0]) & (Step.id > after[1])))
    return [
        Turn(
            row.id, row.public_id, Who(row.asker_id, row.asker_public_id, row.asker_name), faces.face(row),
            row.message, details(row.body, row.values_json), row.due_at,
            _place(row.tier, row.approver_name or row.group_name, row.group_name), row.position + 1, row.steps,
        )
        for row in db.session.execute(query)
    ]  # fmt: skip


def _place(tier: str, name: str, group: str | None) -> str:
    if tier == "owner":
        return f"you own the app, in place of {name}"
    if tier == "admins":
        return f"you are an admin, in place of {name}"
    return f"for {group}" if group else "only you"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision of mine, and what became of the request."""

    id: int
    public_id: str
    app: AppFace
    requester: Who
    verdict: str
    state: str
    now_with: str
    at: datetime


def decided_by(person_id: int, *, before: int | None = None, limit: int = PAGE) -> list[Decided]:
    """Newest first, `limit` + 1 of them, in one statement."""
    asker, open_step, approver = aliased(Person), aliased(Step), aliased(Person)
    query = (
        select(
            Decision.id, Decision.verdict, Decision.created_at, AccessRequest.public_id, AccessRequest.state,
            *faces.COLUMNS, asker.id.label("asker_id"), asker.public_id.label("asker_public_id"),
            asker.name.label("asker_name"), func.coalesce(approver.name, Group.name, "").label("now_with"),
        )
        .join(Step, Step.id == Decision.step_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .join(asker, asker.id == AccessRequest.for_person_id)
        .outerjoin(open_step, (open_step.request_id == AccessRequest.id) & (open_step.state == StepState.OPEN.value))
        .outerjoin(approver, approver.id == open_step.approver_person_id)
        .outerjoin(Group, Group.id == open_step.approver_group_id)
        .where(Decision.person_id == person_id)
        .order_by(Decision.id.desc())
        .limit(limit + 1)
    )  # fmt: skip
    if before is not None:
        query = query.where(Decision.id < before)
    return [
        Decided(
            row.id, row.public_id, faces.face(row), Who(row.asker_id, row.asker_public_id, row.asker_name),
            row.verdict, row.state, row.now_with, row.created_at,
        )
        for row in db.session.execute(query)
    ]  # fmt: skip


def also_has(person_id: int, limit: int = 100) -> list[Row[Any]]:
    """(app columns, category) of what the person has already, by name."""
    return list(
        db.session.execute(
            select(*faces.COLUMNS, App.category)
            .join(Grant, Grant.app_id == App.id)
            .where(Grant.person_id == person_id, Grant.state.in_(("provisioning", "active")))
            .order_by(App.sort_key, App.id)
            .limit(limit)
        )
    )


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier request of the same person for the same app, and how it ended."""

    public_id: str
    state: str
    at: datetime
    decider: str
    comment: str


def asked_before(app_id: int, person_id: int, *, without: int, limit: int = 3) -> Sequence[Earlier]:
    """Newest first, with the last decision of each, in one statement."""
    last = (
        select(Decision.id)
        .join(Step, Step.id == Decision.step_id)
        .where(Step.request_id == AccessRequest.id)
        .order_by(Decision.id.desc())
        .limit(1)
        .correlate(AccessRequest)
        .scalar_subquery()
    )
    rows = db.session.execute(
        select(AccessRequest.public_id, AccessRequest.state, AccessRequest.created_at, Person.name, Decision.comment)
        .select_from(AccessRequest)
        .outerjoin(Decision, Decision.id == last)
        .outerjoin(Person, Person.id == Decision.person_id)
        .where(
            AccessRequest.app_id == app_id,
            AccessRequest.for_person_id == person_id,
            AccessRequest.id != without,
            AccessRequest.state != RequestState.PENDING.value,
        )
        .order_by(AccessRequest.id.desc())
        .limit(limit)
    )
    return [Earlier(row.public_id, row.state, row.created_at, row.name or "", row.comment or "") for row in rows]
