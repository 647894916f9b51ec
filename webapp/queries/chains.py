"""The steps of requests with their people, for drawing chains: two statements for any number of requests."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.orm import aliased

from webapp.models import Decision, Group, Invitation, Person, Step, db_now
from webapp.queries.columns import read
from webapp.text import hue, initials

# So many of the invited people are named; the others are counted.
NAMES = 3

_DECIDER = aliased(Person)
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_STEPS = (
    select(
        Step.id, Step.request_id, Step.position, Step.state, Step.tier, Step.due_at, Step.opened_at,
        Step.settled_at, (Step.due_at <= db_now()).label("overdue"), Step.approver_group_id,
        Person.id.label("person_id"), Person.public_id.label("person_public_id"),
        Person.name.label("person_name"),
        Group.public_id.label("group_public_id"), Group.name.label("group_name"),
        Decision.verdict, Decision.channel, Decision.comment, Decision.created_at.label("decided_at"),
        _DECIDER.id.label("decider_id"), _DECIDER.public_id.label("decider_public_id"),
        _DECIDER.name.label("decider_name"),
    )
    .outerjoin(Person, Person.id == Step.approver_person_id)
    .outerjoin(Group, Group.id == Step.approver_group_id)
    .outerjoin(Decision, Decision.step_id == Step.id)
    .outerjoin(_DECIDER, _DECIDER.id == Decision.person_id)
    .where(Step.request_id.in_(bindparam("requests", expanding=True)))
    .order_by(Step.request_id, Step.position, Step.id, Decision.id)
)  # fmt: skip
_RANKED = (
    select(
        Invitation.step_id, Person.id, Person.public_id, Person.name,
        func.row_number()
        .over(partition_by=Invitation.step_id, order_by=(Person.id != bindparam("reader"), Person.sort_key, Person.id))
        .label("rank"),
        func.count().over(partition_by=Invitation.step_id).label("people"),
    )
    .join(Person, Person.id == Invitation.person_id)
    # People who may decide while it is open; people who were invited when it expired.
    .join(Step, Step.id == Invitation.step_id)
    .where(Invitation.step_id.in_(bindparam("steps", expanding=True)), Invitation.live | (Step.state == "expired"))
    .subquery()
)  # fmt: skip
_ASKED = select(_RANKED).where(_RANKED.c.rank <= NAMES).order_by(_RANKED.c.step_id, _RANKED.c.rank)


@dataclass(frozen=True, slots=True)
class Who:
    """A person in a chain."""

    id: int
    public_id: str
    name: str

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def hue(self) -> int:
        return hue(self.public_id)


@dataclass(frozen=True, slots=True)
class StepDecision:
    """What one person decided on a step."""

    by: Who
    verdict: str
    channel: str
    comment: str
    at: datetime


@dataclass(slots=True)
class ChainStep:
    """One step with all that its node shows. `asked` holds up to NAMES people, `asked_count` is the number of all."""

    id: int
    request_id: int
    position: int
    state: str
    tier: str
    due_at: datetime | None
    opened_at: datetime | None
    settled_at: datetime | None
    overdue: bool
    person: Who | None
    group_id: int | None
    group_public_id: str
    group_name: str
    # In the order in which they were made. A step that is open may have some, too.
    decisions: list[StepDecision] = field(default_factory=list)
    asked: list[Who] = field(default_factory=list)
    asked_count: int = 0

    @property
    def closing_decision(self) -> StepDecision | None:
        """The decision that closed the step; None while it is open, and where none did."""
        return self.decisions[-1] if self.decisions and self.state in ("approved", "denied") else None

    @property
    def decided_by(self) -> Who | None:
        """Who closed the step."""
        return self.closing_decision.by if self.closing_decision is not None else None

    def decision_of(self, person_id: int) -> StepDecision | None:
        """What this person decided on the step."""
        return next((one for one in self.decisions if one.by.id == person_id), None)


def of_requests(request_ids: Collection[int], *, reader: int | None = None) -> dict[int, list[ChainStep]]:
    """request id → its steps in order. If `reader` (a person's id) is invited, their name is among those shown."""
    if not request_ids:
        return {}
    rows = read(_STEPS, {"requests": list(request_ids)}).all()
    chains: dict[int, list[ChainStep]] = {}
    asking: dict[int, ChainStep] = {}
    step: ChainStep | None = None
    for row in rows:
        # A row for each decision: those of one step follow each other.
        if step is not None and step.id == row.id:
            step.decisions.append(_decision(row))
            continue
        step = ChainStep(
            row.id, row.request_id, row.position, row.state, row.tier, row.due_at, row.opened_at, row.settled_at,
            bool(row.overdue) and row.state == "open",
            Who(row.person_id, row.person_public_id, row.person_name) if row.person_id else None,
            row.approver_group_id, row.group_public_id or "", row.group_name or "",
            [_decision(row)] if row.decider_id else [],
        )  # fmt: skip
        chains.setdefault(row.request_id, []).append(step)
        if row.state in ("open", "expired"):
            asking[row.id] = step
    if asking:
        _add_asked(asking, reader or 0)
    return chains


def _decision(row: Any) -> StepDecision:
    by = Who(row.decider_id, row.decider_public_id, row.decider_name)
    return StepDecision(by, row.verdict, row.channel, row.comment, row.decided_at)


def _add_asked(steps: dict[int, ChainStep], reader: int) -> None:
    for row in read(_ASKED, {"steps": list(steps), "reader": reader}):
        steps[row.step_id].asked.append(Who(row.id, row.public_id, row.name))
        steps[row.step_id].asked_count = row.people
