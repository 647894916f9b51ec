"""Requests as programs list them: newest first, by key, without a count; one statement for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import and_, bindparam, exists, func, or_, select, tuple_
from sqlalchemy.orm import aliased

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


def page(wanted: Wanted, *, after: tuple[datetime, int] | None = None, limit: int) -> Sequence[Any]:
    """Up to `limit` rows that come after the one that was submitted at this instant and has this id."""
    conditions, values = _conditions(wanted)
    if after is not None:
        conditions.append("after")
        values |= {"after_at": after[0], "after_id": after[1]}
    lines = _lines(tuple(conditions), wanted.words) if wanted.words else _lines_without_words(tuple(conditions))
    return read(lines, values | {"limit": limit}).all()


def _lines(conditions: tuple[str, ...], words: Sequence[str] = ()) -> Any:
    """The page is chosen before it is joined: PostgreSQL would join all requests, and sort them then."""
    newest = AccessRequest.created_at.desc(), AccessRequest.id.desc()
    chosen = (
        select(AccessRequest.id)
        .where(*(_CONDITIONS[one] for one in conditions), *has_words(words))
        .order_by(*newest)
        .limit(bindparam("limit"))
        .cte("chosen")
    )
    return (
        select(*_COLUMNS)
        .join(chosen, chosen.c.id == AccessRequest.id)
        .join(App, App.id == AccessRequest.app_id)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .join(_ASKER, _ASKER.id == AccessRequest.asked_by_id)
        .outerjoin(Step, and_(Step.request_id == AccessRequest.id, Step.state == "open"))
        .outerjoin(_APPROVER, _APPROVER.id == Step.approver_person_id)
        .outerjoin(Group, Group.id == Step.approver_group_id)
        .order_by(*newest)
    )


# Built once for each filter: SQLAlchemy takes twice as long to build such a statement as to run it.
_lines_without_words = lru_cache(256)(_lines)


def _conditions(wanted: Wanted) -> tuple[list[str], dict[str, Any]]:
    """The names of the conditions, and their values."""
    found = {
        name: value
        for name in ("reader", "app", "person", "requester", "approver", "waits_for", "since", "until", "updated_since")
        if (value := getattr(wanted, name)) is not None
    }
    if wanted.state is None:
        return list(found), found
    # Overdue ones are expired as the pages show it: the next sweep stores it.
    special = wanted.state if wanted.state in (RequestState.EXPIRED.value, RequestState.PENDING.value) else "state"
    return [*found, special], found | {"state": wanted.state}


def _id_of(table: Any, name: str) -> Any:
    return select(table.id).where(table.public_id == bindparam(name)).scalar_subquery()


def _requested_by(person_id: Any) -> Any:
    return or_(AccessRequest.for_person_id == person_id, AccessRequest.asked_by_id == person_id)


def _has_open_step(condition: Any) -> Any:
    return exists().where(Step.request_id == AccessRequest.id, Step.state == "open", condition)


def _may_see(person_id: Any) -> Any:
    return or_(
        _requested_by(person_id),
        visibility.was_invited(AccessRequest.id, person_id),
        AccessRequest.app_id.in_(select(App.id).where(ownership.owned_by(person_id))),
    )


_OVERDUE = _has_open_step(Step.due_at <= db_now())
_OF_STATE = AccessRequest.state == bindparam("state")
# Each has the parameter of its name.
_CONDITIONS: dict[str, Any] = {
    "reader": _may_see(bindparam("reader", type_=Id)),
    "state": _OF_STATE,
    RequestState.EXPIRED.value: or_(_OF_STATE, _OVERDUE),
    RequestState.PENDING.value: and_(_OF_STATE, ~_OVERDUE),
    "app": AccessRequest.app_id == _id_of(App, "app"),
    "person": _requested_by(_id_of(Person, "person")),
    "requester": _requested_by(bindparam("requester", type_=Id)),
    "approver": AccessRequest.id.in_(
        select(Invitation.request_id).where(Invitation.person_id == _id_of(Person, "approver"))
    ),
    "waits_for": AccessRequest.id.in_(
        select(Step.request_id).where(
            Step.id.in_(
                select(Invitation.step_id).where(
                    Invitation.person_id == bindparam("waits_for", type_=Id), Invitation.live
                )
            ),
            Step.state == "open",
            Step.due_at > db_now(),
        )
    ),
    "since": AccessRequest.created_at >= bindparam("since"),
    "until": AccessRequest.created_at < bindparam("until"),
    # Whatever happens to a request has an entry in the audit log.
    "updated_since": AccessRequest.id.in_(select(Event.request_id).where(Event.at >= bindparam("updated_since"))),
    "after": tuple_(AccessRequest.created_at, AccessRequest.id)
    < tuple_(bindparam("after_at", type_=UTCDateTime()), bindparam("after_id", type_=Id)),
}
