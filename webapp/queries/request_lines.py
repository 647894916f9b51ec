"""Every request, for admins: filtered, newest first, paged by key; with whom it is, or who decided it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, Person, Step
from webapp.queries import chains, faces
from webapp.queries.chains import ChainStep, Who
from webapp.queries.faces import AppFace
from webapp.text import CROCKFORD, clean
from webapp.workflow.states import StepState

PAGE = 50
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; None and "" are no condition. `person` asked or is to get it, `approver` was asked to
    decide (ids). `words` stand in the message or begin the reference; `since` is inclusive, `until` exclusive."""

    state: str = ""
    app: int | None = None
    person: tuple[int, ...] | None = None
    approver: tuple[int, ...] | None = None
    words: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(slots=True)
class Line:
    """One request."""

    id: int
    public_id: str
    app: AppFace
    person: Who
    state: str
    created_at: datetime
    settled_at: datetime | None
    note: str
    taken_back: bool
    steps: list[ChainStep] = field(default_factory=list)

    @property
    def open_step(self) -> ChainStep | None:
        return next((step for step in self.steps if step.state == StepState.OPEN.value), None)

    @property
    def shown_state(self) -> str:
        """Pending in the books, but its time is over: the next sweep will say so."""
        step = self.open_step
        return "expired" if self.state == "pending" and step is not None and step.overdue else self.state

    @property
    def decided_by(self) -> Who | None:
        return next((step.decided_by for step in reversed(self.steps) if step.decided_by is not None), None)


@dataclass(frozen=True, slots=True)
class Page:
    """`count` is of all that match, COUNTED + 1 standing for all beyond; `newer` and `older` are keys, 0 for none."""

    items: list[Line]
    count: int
    newer: int
    older: int


_COLUMNS: tuple[Any, ...] = (
    AccessRequest.id, AccessRequest.public_id, AccessRequest.state, AccessRequest.created_at,
    AccessRequest.settled_at, AccessRequest.settled_note, AccessRequest.settled_by_id, AccessRequest.asked_by_id,
    Person.id.label("person_id"), Person.public_id.label("person_key"), Person.name.label("person_name"),
    *faces.COLUMNS,
)  # fmt: skip
_LINES: Select[Any] = (
    select(*_COLUMNS).join(App, App.id == AccessRequest.app_id).join(Person, Person.id == AccessRequest.for_person_id)
)


def page(wanted: Filter, *, before: int = 0, after: int = 0, limit: int = PAGE) -> Page:
    """Newest first; `before` or `after` is the request (its key) at the edge of the page that was seen. Four
    statements."""
    conditions = _conditions(wanted)
    # In the list's order, or PostgreSQL reads whole tables rather than stop at the thousandth.
    counted = select(AccessRequest.id).where(*conditions).order_by(AccessRequest.id.desc()).limit(COUNTED + 1)
    count = db.session.scalar(select(func.count()).select_from(counted.subquery()))
    query = _LINES.where(*conditions)
    if after and not before:
        rows = list(
            db.session.execute(query.where(AccessRequest.id > after).order_by(AccessRequest.id).limit(limit + 1))
        )
        more, rows = len(rows) > limit, rows[:limit][::-1]
        newer, older = (rows[0].id if more else 0), (rows[-1].id if rows else 0)
    else:
        if before:
            query = query.where(AccessRequest.id < before)
        rows = list(db.session.execute(query.order_by(AccessRequest.id.desc()).limit(limit + 1)))
        more, rows = len(rows) > limit, rows[:limit]
        newer, older = (rows[0].id if before and rows else 0), (rows[-1].id if more else 0)
    steps = chains.of_requests([row.id for row in rows])
    return Page([_line(row, steps.get(row.id, [])) for row in rows], count or 0, newer, older)


def _line(row: Any, steps: list[ChainStep]) -> Line:
    return Line(
        row.id, row.public_id, faces.face(row), Who(row.person_id, row.person_key, row.person_name), row.state,
        row.created_at, row.settled_at, row.settled_note, row.settled_by_id in (row.person_id, row.asked_by_id), steps,
    )  # fmt: skip


def _conditions(wanted: Filter) -> list[Any]:
    found: list[Any] = []
    if wanted.state:
        found.append(AccessRequest.state == wanted.state)
    if wanted.app is not None:
        found.append(AccessRequest.app_id == wanted.app)
    if wanted.person is not None:
        found.append(or_(AccessRequest.for_person_id.in_(wanted.person), AccessRequest.asked_by_id.in_(wanted.person)))
    if wanted.approver is not None:
        asked = aliased(Step)
        found.append(
            AccessRequest.id.in_(
                select(asked.request_id)
                .join(Invitation, Invitation.step_id == asked.id)
                .where(Invitation.person_id.in_(wanted.approver))
            )
        )
    found += [_about(word) for word in wanted.words]
    if wanted.since is not None:
        found.append(AccessRequest.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(AccessRequest.created_at < wanted.until)
    return found


def _about(word: str) -> Any:
    """The word stands in the message, or is a request's reference; "R-…" is nothing else."""
    message = AccessRequest.message.icontains(clean(word), autoescape=True)
    upper = word.upper()
    name = upper.removeprefix("R-")[:12]
    if len(name) < 6 or not set(name) <= set(CROCKFORD):
        return message
    # A range, which the index serves in every collation; LIKE is served in none but "C".
    found = AccessRequest.public_id.between(name, name.ljust(12, "Z"))
    return found if upper.startswith("R-") else or_(message, found)
