"""What the pages of webhooks and chat channels show: the endpoints, their deliveries, and one delivery."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    App,
    Delivery,
    DeliveryTry,
    Endpoint,
    EndpointSecret,
    Group,
    Person,
)
from webapp.queries.endpoint_feed import secrets_of
from webapp.queries.paging import Order, Page, paged
from webapp.text import sort_key

UNSETTLED = ("due", "leased")
# The filters of the list of deliveries, in their order, with their names.
STATES = {"": "All", "retried": "Retrying", "waiting": "Waiting", "dead": "Failed"}


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """An endpoint in a list. `last`: when it took something last; numbers of deliveries that wait, are tried again, and
    have failed for good. `audience` is for whom a chat channel is, by name; "" for the admins."""

    endpoint: Endpoint
    last: datetime | None
    waiting: int
    retried: int
    dead: int
    audience: str


def _number(*conditions: ColumnElement[bool]) -> Any:
    return (
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.endpoint_id == Endpoint.id, *conditions)
        .scalar_subquery()
    )


_LAST = (
    select(func.max(Delivery.settled_at))
    .where(Delivery.endpoint_id == Endpoint.id, Delivery.state == "sent")
    .scalar_subquery()
)
_ENDPOINTS = (
    select(
        Endpoint,
        _LAST.label("last"),
        _number(Delivery.state.in_(UNSETTLED), Delivery.tries == 0).label("waiting"),
        _number(Delivery.state.in_(UNSETTLED), Delivery.tries > 0).label("retried"),
        _number(Delivery.state == "dead").label("dead"),
        func.coalesce(Person.name, Group.name, App.name, "").label("audience"),
    )
    .outerjoin(Person, Person.id == Endpoint.person_id)
    .outerjoin(Group, Group.id == Endpoint.group_id)
    .outerjoin(App, App.id == Endpoint.app_id)
    .where(Endpoint.removed_at.is_(None))
    .order_by(Endpoint.id)
)


def _line(row: Any) -> EndpointLine:
    return EndpointLine(row.Endpoint, row.last, row.waiting, row.retried, row.dead, row.audience)


def all_of(*, chat: bool) -> list[EndpointLine]:
    """The webhooks, or the chat channels, oldest first; one statement."""
    kind = Endpoint.kind != "webhook" if chat else Endpoint.kind == "webhook"
    return [_line(row) for row in db.session.execute(_ENDPOINTS.where(kind))]


def endpoint(public_id: str) -> EndpointLine | None:
    """One that was not removed."""
    query = _ENDPOINTS.where(Endpoint.public_id == public_id)
    row = db.session.execute(query, execution_options={"populate_existing": True}).first()
    return _line(row) if row is not None else None


def names_of_apps(ids: Collection[int]) -> list[str]:
    return list(db.session.scalars(select(App.name).where(App.id.in_(ids)).order_by(App.sort_key)))


def apps_called(names: Sequence[str]) -> dict[str, App]:
    """Name as typed → app in use of that name."""
    keys = {sort_key(name): name for name in names}
    rows = db.session.scalars(select(App).where(App.sort_key.in_(list(keys)), App.archived_at.is_(None)))
    return {keys[row.sort_key]: row for row in rows}


def group_called(name: str) -> Group | None:
    return db.session.scalar(select(Group).where(Group.sort_key == sort_key(name), Group.archived_at.is_(None)))


# ---------- Deliveries ----------

_earlier = aliased(Delivery)
_WAITS = exists(
    select(_earlier.id).where(
        _earlier.endpoint_id == Delivery.endpoint_id,
        _earlier.ordered_by == Delivery.ordered_by,
        _earlier.id < Delivery.id,
        _earlier.state.in_(UNSETTLED),
    )
)
_MS = (
    select(DeliveryTry.ms)
    .where(DeliveryTry.delivery_id == Delivery.id)
    .order_by(DeliveryTry.id.desc())
    .limit(1)
    .correlate(Delivery)
    .scalar_subquery()
)


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A delivery with what it is about. `waits`: for an earlier one of the same request. `ms`: of the last attempt."""

    delivery: Delivery
    app: str
    person: str
    request: str
    waits: bool
    ms: int | None


def _deliveries() -> Select[Any]:
    return (
        select(
            Delivery,
            Delivery.public_id.label("key"),
            func.coalesce(App.name, "").label("app"),
            func.coalesce(Person.name, "").label("person"),
            func.coalesce(AccessRequest.public_id, "").label("request"),
            case((Delivery.state == "due", _WAITS), else_=False).label("waits"),
            _MS.label("ms"),
        )
        .outerjoin(App, App.id == Delivery.app_id)
        .outerjoin(Person, Person.id == Delivery.person_id)
        .outerjoin(AccessRequest, AccessRequest.id == Delivery.request_id)
    )


def _delivery_line(row: Any) -> DeliveryLine:
    return DeliveryLine(row.Delivery, row.app, row.person, row.request, bool(row.waits), row.ms)


def _in_state(state: str) -> tuple[ColumnElement[bool], ...]:
    if state == "retried":
        return Delivery.state.in_(UNSETTLED), Delivery.tries > 0
    if state == "waiting":
        return Delivery.state.in_(UNSETTLED), Delivery.tries == 0
    return (Delivery.state == state,) if state else ()


def deliveries(endpoint: Endpoint, *, state: str, after: str, before: str) -> Page[DeliveryLine]:
    """Newest first; `state` is one of STATES."""
    query = _deliveries().where(Delivery.endpoint_id == endpoint.id, *_in_state(state))
    newest = Order((Delivery.id,), down=True)
    rows, count, back, more = paged(query, Delivery, after=after, before=before, order=newest)
    return Page([_delivery_line(row) for row in rows], count, back, more)


@dataclass(frozen=True, slots=True)
class DeliveryCase:
    """One delivery with its attempts, oldest first, and the first of those that wait for it."""

    line: DeliveryLine
    attempts: list[DeliveryTry]
    behind: list[Delivery]
    secrets: Sequence[EndpointSecret]


# Of those that wait for a delivery so many are named.
BEHIND = 20


def delivery(endpoint: Endpoint, public_id: str) -> DeliveryCase | None:
    """One delivery to this endpoint; four statements."""
    query = _deliveries().where(Delivery.endpoint_id == endpoint.id, Delivery.public_id == public_id)
    row = db.session.execute(query, execution_options={"populate_existing": True}).first()
    if row is None:
        return None
    found: Delivery = row.Delivery
    attempts = select(DeliveryTry).where(DeliveryTry.delivery_id == found.id).order_by(DeliveryTry.id)
    behind = select(Delivery).where(
        Delivery.endpoint_id == endpoint.id,
        Delivery.ordered_by == found.ordered_by,
        Delivery.id > found.id,
        Delivery.state.in_(UNSETTLED if found.state in UNSETTLED else ()),
    )
    return DeliveryCase(
        _delivery_line(row),
        list(db.session.scalars(attempts)),
        list(db.session.scalars(behind.order_by(Delivery.id).limit(BEHIND))),
        secrets_of(endpoint),
    )
