"""Deliveries: what was sent to a webhook, what it answered, and sending it again. For admins and services."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.events_out import EVENTS, TEST
from webapp.models import Endpoint
from webapp.operations import endpoints as operations
from webapp.operations import held_deliveries
from webapp.queries import delivery_lines as queries
from webapp.queries.delivery_lines import DeliveryLine as Line
from webapp.queries.tokens import Caller

from ._answers import AppRef, PersonRef, RequestRef
from ._operation import operation
from ._paging import Listed, PageQuery
from ._types import Instant, Key, Number, Word, one_of
from .webhooks import SCOPE, find_webhook

_STATES = (
    "due: it waits; sending; sent: it was taken; dead: given up after the last try; obsolete: dropped; held: on hold "
    "after a restore, until it is sent again or discarded."
)
# State of the API → stored states.
_STORED = {
    "due": ("due",), "sending": ("leased",), "sent": ("sent",), "dead": ("dead",), "obsolete": ("obsolete",),
    "held": ("held",),
}  # fmt: skip
_NAMES = {stored: name for name, states in _STORED.items() for stored in states}


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """One event for one webhook."""

    id: Key
    message_id: Annotated[str, Field(description="The header webhook-id.", examples=["msg_4T7WQ2ZC1HBK"])]
    event: one_of((*EVENTS, TEST))  # type: ignore[valid-type]
    entry: Annotated[int | None, Field(description="Its entry of the audit log.", examples=[470])]
    state: one_of(tuple(_STORED), _STATES)  # type: ignore[valid-type]
    request: RequestRef | None
    app: AppRef | None
    person: PersonRef | None
    tries: Number
    status: Annotated[int | None, Field(description="Of the last answer; null for none.", examples=[200])]
    error: Annotated[str, Field(description="Why it was not taken.", examples=["503 Service Unavailable"])]
    created_at: Instant
    next_try_at: Annotated[Instant | None, Field(description="When it is tried next, if it waits.")]
    settled_at: Annotated[Instant | None, Field(description="When it was taken, given up or dropped.")]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt. `answer` is status line, headers and the beginning of the body, as text."""

    at: Instant
    status: Annotated[int | None, Field(description="null if there was no answer.", examples=[503])]
    ms: Annotated[int, Field(description="Milliseconds until the answer.", examples=[212])]
    error: Annotated[str, Field(examples=["503 Service Unavailable"])]
    answer: Annotated[str, Field(examples=["503 Service Unavailable\nretry-after: 900\n\nWe are updating."])]


@dataclass(frozen=True, slots=True)
class Delivery(DeliveryLine):
    """A delivery with the body that is sent, the same in each attempt, and its attempts."""

    body: Annotated[str, Field(description="The JSON that is signed, as text.", examples=['{"type":"test"}'])]
    attempts: Annotated[list[Try], Field(description="Oldest first.")]


def _values(row: Line) -> dict[str, Any]:
    one = row.delivery
    return {
        "id": one.public_id,
        "message_id": one.message_id,
        "event": one.event,
        "entry": one.event_seq,
        "state": _NAMES.get(one.state, one.state),
        "request": RequestRef.of(row.request) if row.request else None,
        "app": AppRef(row.app_key, str(row.app)) if row.app_key else None,
        "person": PersonRef(row.person_key, str(row.person)) if row.person_key else None,
        "tries": one.tries,
        "status": one.status or None,
        "error": one.error,
        "created_at": one.created_at,
        "next_try_at": one.due_at if one.state == "due" else None,
        "settled_at": one.settled_at,
    }


def _whole(row: Line) -> Delivery:
    tries = [
        Try(one.at, one.status or None, one.ms, one.error, one.answer) for one in queries.attempts_of(row.delivery)
    ]  # fmt: skip
    return Delivery(**_values(row), body=row.delivery.body, attempts=tries)


class DeliveryQuery(PageQuery):
    """The filter of the list."""

    state: Annotated[
        Literal["due", "sending", "sent", "dead", "obsolete", "held"] | None, Field(description=_STATES)
    ] = None  # fmt: skip
    event: Annotated[Word | None, Field(description="The name of an event.", examples=["request.approved"])] = None


@operation("GET", "/webhooks/{webhook}/deliveries", scope=SCOPE, audience="admins", query=DeliveryQuery,
           answer=DeliveryLine, is_list=True)  # fmt: skip
def find(caller: Caller, *, webhook: str, query: DeliveryQuery) -> Listed:
    """List the deliveries of a webhook.

    Newest first. They are kept for 30 days, also those of a webhook that was removed."""
    edge = query.after(int)
    rows = queries.latest(
        find_webhook(webhook, removed=True),
        states=_STORED[query.state] if query.state else (),
        event=query.event or "",
        before=edge[0] if edge else None,
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    key = (shown[-1].delivery.id,) if len(rows) > query.limit else None
    return Listed([DeliveryLine(**_values(row)) for row in shown], key)


@operation("GET", "/webhooks/{webhook}/deliveries/{delivery}", scope=SCOPE, audience="admins", answer=Delivery)
def read(caller: Caller, *, webhook: str, delivery: str) -> Delivery:
    """Read a delivery.

    With the body that is sent and what was answered to each attempt."""
    return _whole(_find(webhook, delivery)[1])


def _find(webhook: str, delivery: str) -> tuple[Endpoint, Line]:
    endpoint = find_webhook(webhook, removed=True)
    return endpoint, queries.one(endpoint, delivery) or abort(404)


@operation("POST", "/webhooks/{webhook}/deliveries/{delivery}/retry", scope=SCOPE, audience="admins",
           answer=Delivery)  # fmt: skip
def send_again(caller: Caller, *, webhook: str, delivery: str) -> Delivery:
    """Send a delivery again.

    The same bytes with the same id, so that a receiver sees that it had it. One that waits for its next attempt is
    tried now, and one that is on hold is sent."""
    endpoint, row = _find(webhook, delivery)
    operations.send_again(row.delivery, endpoint, actor=caller, now=clock.now())
    return _whole(_find(webhook, delivery)[1])


@operation("POST", "/webhooks/{webhook}/deliveries/{delivery}/discarding", scope=SCOPE, audience="admins",
           answer=Delivery)  # fmt: skip
def discard(caller: Caller, *, webhook: str, delivery: str) -> Delivery:
    """Discard a delivery.

    One that is on hold after a restore, because it had been sent before. What waits behind it is sent."""
    endpoint, row = _find(webhook, delivery)
    held_deliveries.discard(endpoint, row.delivery, actor=caller, now=clock.now())
    return _whole(_find(webhook, delivery)[1])
