"""Requests as programs list them: newest first, by key, without a count; two statements for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, literal, or_, select, tuple_
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Event, Group, Invitation, Person, Step, UTCDateTime, db_now
from webapp.models.base import Id
from webapp.queries import ownership, visibility
from webapp.queries.columns import read
from webapp.queries.request_search import has_words
from webapp.workflow.states import RequestState


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions; None and () are none. `reader` (a person's id) sees their own requests, those that they were
    asked to decide, and those for apps that they own; None sees all. `waits_for` may decide it now. `app`, `person`
    and `approver` are public ids. `since` is inclusive, `until` exclusive."""

    reader: int | None = None
    state: str | None = None
    app: str | None = None
    person: str | None = None
    approver: str | None = None
    requester: int | None = None
    waits_for: int | None = None
    words: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None
    updated_since: datetime | None = None


_ASKER, _APPROVER, _COUNTED = aliased(Person), aliased(Person), aliased(Step)
_CHOSEN = select(AccessRequest.id)
_COLUMNS: tuple[Any, ...] = (
    AccessRequest.id, AccessRequest.public_id, AccessRequest.state, AccessRequest.message, AccessRequest.created_at,
    AccessRequest.settled_at,
    App.public_id.label("app_key"), App.name.label("app_name"),
    Person.public_id.label("person_key"), Person.name.label("person_name"),
    _ASKER.public_id.label("asker_key"), _ASKER.name.label("asker_name"),
    Step.position, Step.tier, Step.due_at, (Step.due_at <= db_now()).label("overdue"),
    select(func.count()).where(_COUNTED.request_id == AccessRequest.id).scalar_subquery().label("steps"),
    _APPROVER.public_id.label("approver_key"), _APPROVER.name.label("approver_name"),
    Group.public_id.label("group_key"), Group.name.label("group_name"),
)  # fmt: skip
# Built once, and apart from the choice: SQLAlchemy takes twice as long to build such a statement as to run it, and
# PostgreSQL would join all requests before it sorts.
_LINES = (
    select(*_COLUMNS)
    .join(App, App.id == AccessRequest.app_id)
    .join(Person, Person.id == AccessRequest.for_person_id)
    .join(_ASKER, _ASKER.id == AccessRequest.asked_by_id)
    .outerjoin(Step, and_(Step.request_id == AccessRequest.id, Step.state == "open"))
    .outerjoin(_APPROVER, _APPROVER.id == Step.approver_person_id)
    .outerjoin(Group, Group.id == Step.approver_group_id)
    .where(AccessRequest.id.in_(bindparam("chosen", expanding=True)))
    .order_by(AccessRequest.created_at.desc(), AccessRequest.id.desc())
)


def page(wanted: Wanted, *, after: tuple[datetime, int] | None = None, limit: int) -> Sequence[Any]:
    """Up to `limit` rows that come after the one that was submitted at this instant and has this id."""
    chosen = _CHOSEN.where(*_conditions(wanted))
    if after is not None:
        edge = tuple_(literal(after[0], UTCDateTime()), literal(after[1], Id))
        chosen = chosen.where(tuple_(AccessRequest.created_at, AccessRequest.id) < edge)
    chosen = chosen.order_by(AccessRequest.created_at.desc(), AccessRequest.id.desc()).limit(limit)
    ids = list(db.session.connection().scalars(chosen))
    return read(_LINES, {"chosen": ids}).all() if ids else []


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = []
    if wanted.reader is not None:
        found.append(_may_see(wanted.reader))
    if wanted.state == RequestState.EXPIRED.value:  # as the pages show it: the next sweep stores it
        found.append(or_(AccessRequest.state == wanted.state, _has_open_step(Step.due_at <= db_now())))
    elif wanted.state == RequestState.PENDING.value:
        found += [AccessRequest.state == wanted.state, ~_has_open_step(Step.due_at <= db_now())]
    elif wanted.state is not None:
        found.append(AccessRequest.state == wanted.state)
    if wanted.app is not None:
        found.append(AccessRequest.app_id == _id_of(App, wanted.app))
    if wanted.person is not None:
        found.append(_requested_by(_id_of(Person, wanted.person)))
    if wanted.requester is not None:
        found.append(_requested_by(wanted.requester))
    if wanted.approver is not None:
        asked = select(Invitation.request_id).where(Invitation.person_id == _id_of(Person, wanted.approver))
        found.append(AccessRequest.id.in_(asked))
    if wanted.waits_for is not None:
        mine = select(Invitation.step_id).where(Invitation.person_id == wanted.waits_for, Invitation.live)
        waiting = select(Step.request_id).where(Step.id.in_(mine), Step.state == "open", Step.due_at > db_now())
        found.append(AccessRequest.id.in_(waiting))
    if wanted.since is not None:
        found.append(AccessRequest.created_at >= wanted.since)
    if wanted.until is not None:
        found.append(AccessRequest.created_at < wanted.until)
    if wanted.updated_since is not None:
        # Whatever happens to a request has an entry in the audit log.
        found.append(AccessRequest.id.in_(select(Event.request_id).where(Event.at >= wanted.updated_since)))
    return [*found, *has_words(wanted.words)]


def _id_of(table: Any, public_id: str) -> Any:
    return select(table.id).where(table.public_id == public_id).scalar_subquery()


def _requested_by(person_id: Any) -> Any:
    return or_(AccessRequest.for_person_id == person_id, AccessRequest.asked_by_id == person_id)


def _has_open_step(condition: Any) -> Any:
    return exists().where(Step.request_id == AccessRequest.id, Step.state == "open", condition)


def _may_see(person_id: int) -> Any:
    return or_(
        _requested_by(person_id),
        visibility.was_invited(AccessRequest.id, person_id),
        AccessRequest.app_id.in_(select(App.id).where(ownership.owned_by(person_id))),
    )
