"""Deliveries that are on hold after a restore: held by `flask restored`, released or discarded by an admin."""

from datetime import datetime

from sqlalchemy import and_, update

from webapp.delivery import outbox
from webapp.models import Delivery, Endpoint, db_now
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow.actor import SYSTEM, AnyActor

from ._sql import changed
from .endpoints import lock
from .errors import Conflict

HELD = "This was due when the database was restored from a backup. It may already have been sent."


def hold(*, now: datetime) -> int:
    """After a restore: everything that is due waits for an admin. Returns how many deliveries are held by this."""
    number = changed(
        update(Delivery)
        .where(Delivery.state.in_(("due", "leased")))
        .values(state="held", error=HELD, lease=None, lease_until=None)
    )
    if number:
        audit.record(EventKind.DELIVERY_HELD, at=now, actor=SYSTEM, deliveries=number)
    return number


def let_go(endpoint: Endpoint, *, actor: AnyActor, now: datetime) -> int:
    """All that is held for this endpoint is due. Returns how many; raises Conflict for an endpoint that was removed."""
    lock(endpoint)
    number = changed(
        update(Delivery)
        .where(Delivery.endpoint_id == endpoint.id, Delivery.state == "held")
        .values(state="due", due_at=db_now(), tries=0, error="")
    )
    if number:
        _record(EventKind.DELIVERY_LET_GO, endpoint, number, actor=actor, now=now)
        outbox.wake(outbox.Channel.WEBHOOK)
    return number


def discard(endpoint: Endpoint, delivery: Delivery | None, *, actor: AnyActor, now: datetime) -> int:
    """A held delivery, or with None all of this endpoint, is never sent, and what waits behind it goes on. Returns how
    many; raises Conflict when that one is not held, or for an endpoint that was removed."""
    lock(endpoint)
    which = and_(Delivery.endpoint_id == endpoint.id, Delivery.state == "held")
    if delivery is not None:
        which = and_(which, Delivery.id == delivery.id)
    number = changed(
        update(Delivery)
        .where(which)
        .values(state="obsolete", error="Discarded by an admin after the restore.", settled_at=db_now())
    )
    if delivery is not None and number != 1:
        raise Conflict("This delivery is no longer on hold. Its current state is shown.")
    if number:
        _record(EventKind.DELIVERY_DROPPED, endpoint, number, actor=actor, now=now)
        outbox.wake(outbox.Channel.WEBHOOK)
    return number


def _record(kind: EventKind, endpoint: Endpoint, number: int, *, actor: AnyActor, now: datetime) -> None:
    audit.record(kind, at=now, actor=actor, endpoint=endpoint.id, endpoint_kind=endpoint.kind, deliveries=number)
