"""A person's apps and requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Integer, Row, bindparam, or_, select
from sqlalchemy.orm import aliased

from webapp.models import LIVE_GRANT, AccessRequest, App, Grant, Person, PolicyRevision
from webapp.models.requests import load_values
from webapp.queries import chains
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.chains import ChainStep, StepDecision, Who
from webapp.queries.columns import read
from webapp.workflow.entitlements import Sheet, shown
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState

TILES = 300

_SETTLER = aliased(Person)

# The statements of these pages are built once: SQLAlchemy takes twice as long to build one as to run it.
_APPS_OF = (
    select(*APP_COLUMNS, App.launch_url, Grant.values_json, Grant.created_at, Grant.ends_at, PolicyRevision.body)
    .join(App, App.id == Grant.app_id)
    .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
    .where(Grant.person_id == bindparam("person"), Grant.state.in_(LIVE_GRANT))
    .order_by(App.sort_key, App.id)
    .limit(bindparam("limit", type_=Integer, literal_execute=True))
)
_ALL_OF = (
    select(
        AccessRequest.id, AccessRequest.public_id, *APP_COLUMNS, AccessRequest.state, AccessRequest.created_at,
        AccessRequest.settled_at, AccessRequest.settled_note, AccessRequest.reminded_at.label("reminded_at"),
        AccessRequest.values_json, PolicyRevision.body, _SETTLER.id.label("settler_id"),
        _SETTLER.public_id.label("settler_public_id"), _SETTLER.name.label("settler_name"),
    )
    .join(App, App.id == AccessRequest.app_id)
    .join(PolicyRevision, PolicyRevision.id == AccessRequest.policy_revision_id)
    .outerjoin(_SETTLER, _SETTLER.id == AccessRequest.settled_by_id)
    .where(AccessRequest.for_person_id == bindparam("person"))
    .order_by(AccessRequest.id.desc())
    .limit(bindparam("limit", type_=Integer, literal_execute=True))
)  # fmt: skip
_RECENT_OF = _ALL_OF.where(
    or_(AccessRequest.state == RequestState.PENDING.value, AccessRequest.settled_at >= bindparam("settled_since"))
)
_OLDER_OF = _ALL_OF.where(AccessRequest.id < bindparam("before"))


@dataclass(frozen=True, slots=True)
class Tile:
    """An app that a person has. `details` are the fields that they may see, in words."""

    app: AppSummary
    launch_url: str
    details: str
    since: datetime
    ends_at: datetime | None


def apps_of(person_id: int, limit: int = TILES) -> list[Tile]:
    """The apps that a person has, by name, in one statement."""
    rows = read(_APPS_OF, {"person": person_id, "limit": limit})
    return [
        Tile(
            app_summary(row),
            row.launch_url,
            details(row.body, row.values_json),
            row.created_at,
            row.ends_at,
        )
        for row in rows
    ]


@lru_cache(maxsize=4096)
def details(policy: str, values_json: str) -> str:
    """The values that the requester may see, in words: "Sales user, EMEA"."""
    return "" if values_json == "{}" else in_words(loads(policy).sheet_for_requester(load_values(values_json)))


def in_words(sheet: Sheet) -> str:
    """The values of a sheet in words, as far as its reader may see them."""
    return ", ".join(
        f"{one.entitlement.name}: {shown(one.current.value)}" if one.entitlement.kind in ("yes_no", "number", "text")
        else shown(one.current.value)
        for one in sheet.visible
        if one.current is not None
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OwnRequest:
    """A request in a list, with its chain's steps."""

    id: int
    public_id: str
    app: AppSummary
    app_public_id: str
    state: str
    created_at: datetime
    settled_at: datetime | None
    settled_note: str
    settled_by: Who | None
    reminded_at: datetime | None
    details: str
    steps: Sequence[ChainStep]

    @property
    def open_step(self) -> ChainStep | None:
        return next((step for step in self.steps if step.state == "open"), None)

    @property
    def last_decision(self) -> StepDecision | None:
        return next((one for step in reversed(self.steps) if (one := step.closing_decision) is not None), None)


def requests_of(person_id: int, *, settled_since: datetime, limit: int = TILES) -> list[OwnRequest]:
    """Pending requests, newest first, then those closed since, latest first: three statements."""
    rows = read(_RECENT_OF, {"person": person_id, "settled_since": settled_since, "limit": limit}).all()
    found = _with_chains(rows, person_id)
    pending = [line for line in found if line.state == RequestState.PENDING.value]
    settled = [line for line in found if line.settled_at is not None]
    return pending + sorted(settled, key=lambda line: line.settled_at or settled_since, reverse=True)


def all_requests_of(person_id: int, *, before: int | None, limit: int) -> list[OwnRequest]:
    """All requests, newest first, `limit` + 1 of them, with keys below `before`."""
    values = {"person": person_id, "limit": limit + 1}
    if before is None:
        return _with_chains(read(_ALL_OF, values).all(), person_id)
    return _with_chains(read(_OLDER_OF, {**values, "before": before}).all(), person_id)


def _with_chains(rows: Sequence[Row[*tuple[Any, ...]]], reader: int) -> list[OwnRequest]:
    steps = chains.of_requests([row.id for row in rows], reader=reader)
    return [
        OwnRequest(
            row.id, row.public_id, app_summary(row), row.app_public_id, row.state, row.created_at, row.settled_at,
            row.settled_note, _settler(row), row.reminded_at, details(row.body, row.values_json),
            steps.get(row.id, []),
        )
        for row in rows
    ]  # fmt: skip


def _settler(row: Row[*tuple[Any, ...]]) -> Who | None:
    return Who(row.settler_id, row.settler_public_id, row.settler_name) if row.settler_id is not None else None
