"""Webhooks of the demo: one to the built-in viewer, with what it got lately, and one that was paused."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update

from webapp.delivery import outbox
from webapp.delivery.out import posting, signing
from webapp.embedded import hookstore
from webapp.extensions import db, settings
from webapp.models import AccessRequest, Delivery, DeliveryTry, Endpoint, Event, Person
from webapp.networks import viewer
from webapp.operations import endpoints
from webapp.record.audit import Draft
from webapp.record.events import EventKind
from webapp.workflow.states import RequestState

# So many entries of the log are looked at: a few days.
LATELY = 60
TOOK = timedelta(seconds=0.4)
# A pending request is told from its beginning; of a closed one only how it ended, since bodies tell what is so now.
_BEGINS = (EventKind.REQUEST_SUBMITTED, EventKind.STEP_OPENED)
_ENDS = (EventKind.STEP_APPROVED, EventKind.STEP_DENIED, EventKind.REQUEST_EXPIRED, EventKind.REQUEST_CANCELLED,
         EventKind.GRANT_ADDED, EventKind.GRANT_REMOVED)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Told:
    """What the viewer has to begin with: the endpoint's name, its secret, and its deliveries, oldest first."""

    name: str
    secret: str
    deliveries: Sequence[Delivery]

    def store(self, folder: Path) -> None:
        """Puts them into the viewer, as if they had come when they were made."""
        for one in self.deliveries:
            at = one.created_at + TOOK
            headers = {"content-type": "application/json", "user-agent": "Countersign"}
            headers |= signing.headers([self.secret], one.message_id, one.body, at=at)
            hookstore.store(folder, endpoint=self.name, event=one.event, message_id=one.message_id, headers=headers,
                            body=one.body, seconds=0.4, secret=self.secret[-4:], at=at)  # fmt: skip


def add(admin: Person, *, now: datetime) -> Told:
    """Adds both endpoints and commits. Nothing of the past is sent."""
    local, secret = endpoints.create(
        kind="webhook", name="Webhook viewer", address=viewer(settings().base_url), actor=admin, now=now
    )
    paused, _ = endpoints.create(
        kind="webhook", name="Data warehouse", address="https://in.warehouse.example/v1/events", actor=admin, now=now,
        events=["request.approved", "request.denied", "access.given", "access.ended"],
    )  # fmt: skip
    outbox.commit()
    posted = _post()
    ours = _ours(local)
    for one in ours:
        one.state, one.tries, one.status, one.settled_at = "sent", 1, 200, one.created_at + TOOK
        db.session.add(DeliveryTry(delivery_id=one.id, at=one.settled_at, status=200, ms=3, answer="200 OK\n\nok\n"))
    first = next(iter(_ours(paused)), None)
    if first is not None:
        gone = "410 Gone"
        first.tries, first.status, first.error = 1, 410, gone
        db.session.add(
            DeliveryTry(delivery_id=first.id, at=first.created_at + TOOK, status=410, ms=84, error=gone, answer=gone)
        )
    since = first.created_at + TOOK if first is not None else now
    db.session.execute(
        update(Endpoint).where(Endpoint.id == paused.id)
        .values(paused_at=since, paused_why="It answered “410 Gone”.", failing_since=since)
    )  # fmt: skip
    db.session.flush()
    outbox.commit()
    return Told(str(local.name), secret, ours if posted else [])


def _post() -> bool:
    rows = db.session.scalars(select(Event).order_by(Event.seq.desc()).limit(LATELY)).all()
    ids = {one.request_id for one in rows if one.request_id is not None}
    pending = set(
        db.session.scalars(
            select(AccessRequest.id).where(AccessRequest.id.in_(ids), AccessRequest.state == RequestState.PENDING.value)
        )
    )
    posted = False
    for row in reversed(rows):
        wanted = _BEGINS if row.request_id in pending else _ENDS
        if row.kind in wanted:
            facts = json.loads(row.body)["facts"]
            draft = Draft(
                row.kind, row.at, row.actor_id, row.request_id, row.app_id, row.person_id, facts, row.token_id
            )
            posted = posting.post([draft], row.seq) or posted
    return posted


def _ours(endpoint: Endpoint) -> list[Delivery]:
    return list(
        db.session.scalars(select(Delivery).where(Delivery.endpoint_id == endpoint.id).order_by(Delivery.id))
    )  # fmt: skip
