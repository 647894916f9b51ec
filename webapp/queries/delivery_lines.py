"""Deliveries to an endpoint, as pages and programs list them, and one with its attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Delivery, DeliveryTry, Endpoint, EndpointSecret, Person
from webapp.queries.endpoints import UNSETTLED, secrets_of
from webapp.queries.paging import Order, Page, paged

# The filters of the list of deliveries, in their order, with their names.
STATES = {"": "All", "retried": "Retrying", "waiting": "Waiting", "dead": "Failed", "held": "On hold"}

_earlier = aliased(Delivery)
_WAITS = exists(
    select(_earlier.id).where(
        _earlier.endpoint_id == Delivery.endpoint_id,
        _earlier.ordered_by == Delivery.ordered_by,
        _earlier.id < Delivery.id,
        _earlier.state.in_((*UNSETTLED, "held")),
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
    """A delivery with what it is about: names of app and person, and their public ids and the request's ("" for none).
    `waits`: for an earlier one of the same person and app. `ms`: of the last attempt."""

    delivery: Delivery
    app: str
    app_key: str
    person: str
    person_key: str
    request: str
    waits: bool
    ms: int | None


_DELIVERIES: Select[Any] = (
    select(
        Delivery,
        Delivery.public_id.label("key"),
        App.name.label("app"),
        App.public_id.label("app_key"),
        Person.name.label("person"),
        Person.public_id.label("person_key"),
        AccessRequest.public_id.label("request"),
        case((Delivery.state == "due", _WAITS), else_=False).label("waits"),
        _MS.label("ms"),
    )
    .outerjoin(App, App.id == Delivery.app_id)
    .outerjoin(Person, Person.id == Delivery.person_id)
    .outerjoin(AccessRequest, AccessRequest.id == Delivery.request_id)
)


def _line(row: Any) -> DeliveryLine:
    return DeliveryLine(
        row.Delivery, row.app or "", row.app_key or "", row.person or "", row.person_key or "", row.request or "",
        bool(row.waits), row.ms,
    )  # fmt: skip


def _in_state(state: str) -> tuple[ColumnElement[bool], ...]:
    if state == "retried":
        return Delivery.state.in_(UNSETTLED), Delivery.tries > 0
    if state == "waiting":
        return Delivery.state.in_(UNSETTLED), Delivery.tries == 0
    return (Delivery.state == state,) if state else ()


def page(endpoint: Endpoint, *, state: str, after: str, before: str) -> Page[DeliveryLine]:
    """Newest first; `state` is one of STATES."""
    query = _DELIVERIES.where(Delivery.endpoint_id == endpoint.id, *_in_state(state))
    newest = Order((Delivery.id,), down=True)
    rows, count, back, more = paged(query, Delivery, after=after, before=before, order=newest)
    return Page([_line(row) for row in rows], count, back, more)


def latest(
    endpoint: Endpoint, *, states: Sequence[str] = (), event: str = "", before: int | None = None, limit: int
) -> list[DeliveryLine]:  # fmt: skip
    """Newest first, in one of these stored states; `before` is the key of the last one seen."""
    query = _DELIVERIES.where(Delivery.endpoint_id == endpoint.id)
    if states:
        query = query.where(Delivery.state.in_(states))
    if event:
        query = query.where(Delivery.event == event)
    if before is not None:
        query = query.where(Delivery.id < before)
    return [_line(row) for row in db.session.execute(query.order_by(Delivery.id.desc()).limit(limit))]


@dataclass(frozen=True, slots=True)
class DeliveryCase:
    """One delivery with its attempts, oldest first, and the first of those that wait for it."""

    line: DeliveryLine
    attempts: Sequence[DeliveryTry]
    behind: Sequence[Delivery]
    secrets: Sequence[EndpointSecret]


# Of those that wait for a delivery so many are named.
BEHIND = 20


def case_of(endpoint: Endpoint, public_id: str) -> DeliveryCase | None:
    """One delivery to this endpoint; four statements."""
    line = one(endpoint, public_id)
    if line is None:
        return None
    found = line.delivery
    behind = select(Delivery).where(
        Delivery.endpoint_id == endpoint.id,
        Delivery.ordered_by == found.ordered_by,
        Delivery.id > found.id,
        Delivery.state.in_(UNSETTLED if found.state in (*UNSETTLED, "held") else ()),
    )
    waiting = db.session.scalars(behind.order_by(Delivery.id).limit(BEHIND)).all()
    return DeliveryCase(line, attempts_of(found), waiting, secrets_of(endpoint))


def one(endpoint: Endpoint, public_id: str) -> DeliveryLine | None:
    """As in the lists; None for none."""
    query = _DELIVERIES.where(Delivery.endpoint_id == endpoint.id, Delivery.public_id == public_id)
    row = db.session.execute(query, execution_options={"populate_existing": True}).first()
    return _line(row) if row is not None else None


def attempts_of(delivery: Delivery) -> Sequence[DeliveryTry]:
    """Oldest first."""
    mine = select(DeliveryTry).where(DeliveryTry.delivery_id == delivery.id)
    return db.session.scalars(mine.order_by(DeliveryTry.id)).all()
