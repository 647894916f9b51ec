"""The list of all requests for admins: filtered, newest first, paged by key, with who has or decided each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Person
from webapp.queries import chains, request_search
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.chains import ChainStep, Who
from webapp.queries.request_search import Filter
from webapp.workflow.states import StepState

BATCH = 500


@dataclass(slots=True)
class RequestLine:
    """One request."""

    id: int
    public_id: str
    app: AppSummary
    person: Who
    state: str
    created_at: datetime
    settled_at: datetime | None
    note: str
    closed_by: Who | None
    steps: list[ChainStep] = field(default_factory=list)

    @property
    def open_step(self) -> ChainStep | None:
        return next((step for step in self.steps if step.state == StepState.OPEN.value), None)

    @property
    def shown_state(self) -> str:
        """The stored state, but "expired" once the deadline has passed; the next sweep stores it."""
        step = self.open_step
        return "expired" if self.state == "pending" and step is not None and step.overdue else self.state

    @property
    def decided_by(self) -> Who | None:
        return next((step.decided_by for step in reversed(self.steps) if step.decided_by is not None), None)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """`count` is of all that match, COUNTED + 1 standing for all beyond; `newer` and `older` are keys, 0 for none."""

    items: list[RequestLine]
    count: int
    newer: int
    older: int


_CLOSER = aliased(Person)
_COLUMNS: tuple[Any, ...] = (
    AccessRequest.id, AccessRequest.public_id, AccessRequest.state, AccessRequest.created_at,
    AccessRequest.settled_at, AccessRequest.settled_note, _CLOSER.id.label("closer_id"),
    _CLOSER.public_id.label("closer_key"), _CLOSER.name.label("closer_name"),
    Person.id.label("person_id"), Person.public_id.label("person_key"), Person.name.label("person_name"),
    *APP_COLUMNS,
)  # fmt: skip
_LINES: Select[Any] = (
    select(*_COLUMNS)
    .join(App, App.id == AccessRequest.app_id)
    .join(Person, Person.id == AccessRequest.for_person_id)
    .outerjoin(_CLOSER, _CLOSER.id == AccessRequest.settled_by_id)
)


def page(wanted: Filter, *, before: int = 0, after: int = 0, limit: int = request_search.PAGE) -> RequestPage:
    """As they are sorted; `before` or `after` is the request (its key) at the edge of the page that was seen. Four
    statements, one more from the second page on, and up to four more where words are looked for."""
    found = request_search.find(wanted, before=before, after=after, limit=limit)
    rows = {row.id: row for row in db.session.execute(_LINES.where(AccessRequest.id.in_(found.ids)))}
    steps = chains.of_requests(found.ids)
    lines = [_line(rows[id], steps.get(id, [])) for id in found.ids]
    return RequestPage(lines, found.count, found.newer, found.older)


def batches(wanted: Filter) -> Iterator[list[RequestLine]]:
    """All matches, newest first, in batches of a few hundred. Each batch is a transaction of its own, so that a slow
    download holds none open."""
    before = 0
    while True:
        found = page(wanted, before=before, limit=BATCH)
        db.session.expunge_all()
        db.session.rollback()
        if found.items:
            yield found.items
        if not found.older:
            return
        before = found.older


def by_ids(ids: Sequence[int]) -> list[RequestLine]:
    """The requests with these ids, in that order; three statements, none without ids."""
    if not ids:
        return []
    rows = {row.id: row for row in db.session.execute(_LINES.where(AccessRequest.id.in_(ids)))}
    steps = chains.of_requests(ids)
    return [_line(rows[id], steps.get(id, [])) for id in ids if id in rows]


def _line(row: Any, steps: list[ChainStep]) -> RequestLine:
    closer = Who(row.closer_id, row.closer_key, row.closer_name) if row.closer_id is not None else None
    return RequestLine(
        row.id, row.public_id, app_summary(row), Who(row.person_id, row.person_key, row.person_name), row.state,
        row.created_at, row.settled_at, row.settled_note, closer, steps,
    )  # fmt: skip
