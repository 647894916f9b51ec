"""The approver's queue, their decisions, and what they should know before they decide."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Row, bindparam, func, literal, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    App,
    Decision,
    Grant,
    Group,
    Invitation,
    Person,
    PolicyRevision,
    Step,
    db_now,
)
from webapp.models.requests import load_values
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.chains import Who
from webapp.queries.columns import read
from webapp.queries.dashboard import in_words
from webapp.wording import instead_of
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState, StepState, Verdict

PAGE = 30
# Written into the statement, so that the plan that PostgreSQL keeps for it can use the index of the open steps.
OPEN = literal(StepState.OPEN.value, literal_execute=True)


def waiting_for(person_id: Any) -> Any:
    """A scalar subquery: how many open steps wait for the person."""
    return (
        select(func.count())
        .select_from(Invitation)
        .join(Step, Step.id == Invitation.step_id)
        .where(
            Invitation.person_id == person_id,
            Invitation.live,
            Step.state == OPEN,
            Step.due_at > db_now(),
        )
        .scalar_subquery()
    )


_ASKER, _APPROVER, _OPEN_STEP = aliased(Person), aliased(Person), aliased(Step)
_STEP_COUNT = (
    select(func.count()).select_from(Step).where(Step.request_id == AccessRequest.id)
    .correlate(AccessRequest).scalar_subquery()
)  # fmt: skip
# The statements of the queue are built once: SQLAlchemy takes twice as long to build one as to run it.
_WAITING = (
    select(
        Step.id, Step.due_at, Step.tier, Step.position, AccessRequest.public_id, AccessRequest.message,
        AccessRequest.values_json, PolicyRevision.body, *APP_COLUMNS,
        _ASKER.id.label("asker_id"), _ASKER.public_id.label("asker_public_id"), _ASKER.name.label("asker_name"),
        _APPROVER.name.label("approver_name"), Group.name.label("group_name"), _STEP_COUNT.label("steps"),
    )
    .join(Invitation, Invitation.step_id == Step.id)
    .join(AccessRequest, AccessRequest.id == Step.request_id)
    .join(App, App.id == AccessRequest.app_id)
    .join(PolicyRevision, PolicyRevision.id == AccessRequest.policy_revision_id)
    .join(_ASKER, _ASKER.id == AccessRequest.for_person_id)
    .outerjoin(_APPROVER, _APPROVER.id == Step.approver_person_id)
    .outerjoin(Group, Group.id == Step.approver_group_id)
    .where(
        Invitation.person_id == bindparam("person"),
        Invitation.live,
        Step.state == OPEN,
        Step.due_at > db_now(),
    )
    .order_by(Step.due_at, Step.id)
    .limit(bindparam("limit", type_=Integer, literal_execute=True))
)  # fmt: skip
_WAITING_LATER = _WAITING.where(
    (Step.due_at > bindparam("after_due"))
    | ((Step.due_at == bindparam("after_due")) & (Step.id > bindparam("after_id")))
)
# An approver of an earlier step may read the whole history, so also who denied it.
_LATER, _LATER_STEP, _DENIER = aliased(Decision), aliased(Step), aliased(Person)
_DENIED_BY = (
    select(_DENIER.name)
    .join(_LATER, _LATER.person_id == _DENIER.id)
    .join(_LATER_STEP, _LATER_STEP.id == _LATER.step_id)
    .where(
        _LATER_STEP.request_id == AccessRequest.id,
        _LATER.verdict == Verdict.DENIED.value,
        AccessRequest.state == RequestState.DENIED.value,
    )
    .correlate(AccessRequest).scalar_subquery()
)  # fmt: skip
_DECIDED = (
    select(
        Decision.id, Decision.verdict, Decision.created_at, AccessRequest.public_id, AccessRequest.state,
        *APP_COLUMNS, _ASKER.id.label("asker_id"), _ASKER.public_id.label("asker_public_id"),
        _ASKER.name.label("asker_name"), func.coalesce(_APPROVER.name, Group.name, "").label("now_with"),
        func.coalesce(_DENIED_BY, "").label("denied_by"),
    )
    .join(Step, Step.id == Decision.step_id)
    .join(AccessRequest, AccessRequest.id == Step.request_id)
    .join(App, App.id == AccessRequest.app_id)
    .join(_ASKER, _ASKER.id == AccessRequest.for_person_id)
    .outerjoin(_OPEN_STEP, (_OPEN_STEP.request_id == AccessRequest.id) & (_OPEN_STEP.state == OPEN))
    .outerjoin(_APPROVER, _APPROVER.id == _OPEN_STEP.approver_person_id)
    .outerjoin(Group, Group.id == _OPEN_STEP.approver_group_id)
    .where(Decision.person_id == bindparam("person"))
    .order_by(Decision.id.desc())
    .limit(bindparam("limit", type_=Integer, literal_execute=True))
)  # fmt: skip
_DECIDED_BEFORE = _DECIDED.where(Decision.id < bindparam("before"))


@dataclass(frozen=True, slots=True)
class PendingApproval:
    """A request that waits for the reader. `place` says in which role they decide: "for Finance", "as owner, instead of
    Ana"; "" for the approver."""

    step_id: int
    public_id: str
    requester: Who
    app: AppSummary
    message: str
    details: str
    due_at: datetime
    place: str
    step_number: int
    step_count: int

    @property
    def meta(self) -> str:
        """The fields, the reader's role and the number of the step, in one line."""
        step = f"step {self.step_number} of {self.step_count}" if self.step_count > 1 else ""
        return " · ".join(part for part in (self.details, ", ".join(filter(None, (self.place, step)))) if part)


def waiting(person_id: int, *, after: tuple[datetime, int] | None = None, limit: int = PAGE) -> list[PendingApproval]:
    """The next deadline first, `limit` + 1 of them, in one statement."""
    values: dict[str, Any] = {"person": person_id, "limit": limit + 1}
    if after is not None:
        values["after_due"], values["after_id"] = after
    return [
        PendingApproval(
            row.id, row.public_id, Who(row.asker_id, row.asker_public_id, row.asker_name), app_summary(row),
            row.message, _details(row.body, row.position, row.values_json), row.due_at,
            _place(row.tier, row.approver_name or row.group_name, row.group_name), row.position + 1, row.steps,
        )
        for row in read(_WAITING if after is None else _WAITING_LATER, values)
    ]  # fmt: skip


@lru_cache(maxsize=4096)
def _details(policy: str, position: int, values_json: str) -> str:
    """The fields that this step may see, in words; that may be less than the requester sees."""
    if values_json == "{}":
        return ""
    return in_words(loads(policy).sheet_for_step(position, load_values(values_json)))


def _place(tier: str, name: str, group: str | None) -> str:
    if tier == "owner":
        return f"as owner, {instead_of(name)}"
    if tier == "admins":
        return f"as admin, {instead_of(name)}"
    return f"for {group}" if group else ""


@dataclass(frozen=True, slots=True)
class OwnDecision:
    """A decision of the reader, and the present state of the request."""

    id: int
    public_id: str
    app: AppSummary
    requester: Who
    verdict: str
    state: str
    now_with: str
    denied_by: str
    at: datetime


def decided_by(person_id: int, *, before: int | None = None, limit: int = PAGE) -> list[OwnDecision]:
    """Newest first, `limit` + 1 of them, in one statement."""
    values = {"person": person_id, "limit": limit + 1}
    if before is not None:
        values["before"] = before
    return [
        OwnDecision(
            row.id, row.public_id, app_summary(row), Who(row.asker_id, row.asker_public_id, row.asker_name),
            row.verdict, row.state, row.now_with, row.denied_by, row.created_at,
        )
        for row in read(_DECIDED if before is None else _DECIDED_BEFORE, values)
    ]  # fmt: skip


def also_has(person_id: int, limit: int = 100) -> list[Row[Any]]:
    """(app columns, category) of the apps that the person has, by name."""
    return list(
        db.session.execute(
            select(*APP_COLUMNS, App.category)
            .join(Grant, Grant.app_id == App.id)
            .where(Grant.person_id == person_id, Grant.state.in_(LIVE_GRANT))
            .order_by(App.sort_key, App.id)
            .limit(limit)
        )
    )


@dataclass(frozen=True, slots=True)
class EarlierRequest:
    """An earlier request of the same person for the same app, and how it ended."""

    public_id: str
    state: str
    at: datetime
    decider: str
    comment: str


def asked_before(app_id: int, person_id: int, *, without: int, limit: int = 3) -> Sequence[EarlierRequest]:
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
    return [EarlierRequest(row.public_id, row.state, row.created_at, row.name or "", row.comment or "") for row in rows]
