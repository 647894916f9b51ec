"""The outbox of webhooks and chat: claim, mark, and when to try again.

due → leased → sent, dead or obsolete. Of deliveries with the same `ordered_by` an endpoint gets the next one when the
one before is settled. While an endpoint is paused, what is due waits. After a restore, what was due is held until an
admin releases or discards it; what comes behind it waits, so that the order stays.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.orm import aliased

from webapp.delivery import lease
from webapp.delivery.lease import Claim
from webapp.extensions import db
from webapp.models import Delivery, DeliveryTry, Endpoint, db_now
from webapp.queries.columns import pad_in_list

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
# Seconds before the next attempt, after the first, second … failure: about five days. Then a delivery is dead.
DELAYS = (
    5, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, _HOUR, 2 * _HOUR, 4 * _HOUR, 8 * _HOUR, 12 * _HOUR, _DAY, _DAY, _DAY, _DAY,
)  # fmt: skip
TRIES = len(DELAYS) + 1
# A receiver may ask for a longer wait, up to this.
LONGEST_WAIT = _DAY
KEPT_DAYS = 30
_FORGOTTEN_AT_ONCE = 1000

_earlier = aliased(Delivery)
_WAITS = exists(
    select(_earlier.id).where(
        _earlier.endpoint_id == Delivery.endpoint_id,
        _earlier.ordered_by == Delivery.ordered_by,
        _earlier.id < Delivery.id,
        _earlier.state.in_(("due", "leased", "held")),
    )
)
_TAKES = exists(
    select(Endpoint.id).where(
        Endpoint.id == Delivery.endpoint_id, Endpoint.paused_at.is_(None), Endpoint.removed_at.is_(None)
    )
)
_READY = or_(
    and_(Delivery.state == "due", Delivery.due_at <= db_now()),
    and_(Delivery.state == "leased", Delivery.lease_until <= db_now()),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt. `status` 0: there was no answer, and `error` says why."""

    status: int
    ms: int
    error: str = ""
    answer: str = ""
    retry_after: int = 0

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300


def ready_endpoints() -> list[tuple[int, bool]]:
    """The endpoints (keys) that something can be sent to now, and whether each took nothing lately: those that do come
    last, so that they keep nobody else waiting; else the one that waits longest first."""
    failing = Endpoint.failing_since.is_not(None)
    rows = db.session.execute(
        select(Delivery.endpoint_id, failing.label("failing"))
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .where(_READY, ~_WAITS, Endpoint.paused_at.is_(None), Endpoint.removed_at.is_(None))
        .group_by(Delivery.endpoint_id, failing)
        .order_by(failing, func.min(Delivery.due_at))
    )
    return [(row.endpoint_id, bool(row.failing)) for row in rows]


def claim(endpoint: int, limit: int) -> list[Claim]:
    """Leases up to `limit` deliveries to this endpoint, in order. Commits."""
    return lease.claim(
        Delivery, limit, Delivery.endpoint_id == endpoint, ~_WAITS, _TAKES, order=(Delivery.due_at, Delivery.id)
    )


def mark_sent(claim: Claim, outcome: Outcome) -> bool:
    """Marks the delivery as accepted. False: the lease was lost, and its new holder marks it. Commits."""
    marked = lease.mark(Delivery, [claim], state="sent", error="", status=outcome.status, settled_at=db_now())
    if marked:
        _note(claim, outcome)
        taken = update(Endpoint).where(Endpoint.id == _endpoint_of(claim), Endpoint.failing_since.is_not(None))
        db.session.execute(taken.values(failing_since=None), execution_options={"synchronize_session": False})
    db.session.commit()
    return bool(marked)


def mark_failed(claim: Claim, outcome: Outcome, *, keep: bool = False) -> bool:
    """It was not taken: due again later, or dead after the last attempt. `keep`: the endpoint is paused by it, so it
    is due as soon as that goes on. Does not commit; False if the lease was lost."""
    values: dict[str, Any] = {"error": outcome.error[:500], "status": outcome.status}
    if keep:
        values |= {"state": "due", "due_at": db_now()}
    elif claim.tries >= TRIES:
        values |= {"state": "dead", "settled_at": db_now()}
    else:
        wait = max(DELAYS[claim.tries - 1] * random.uniform(0.8, 1.2), min(outcome.retry_after, LONGEST_WAIT))  # nosec
        values |= {"state": "due", "due_at": db_now(int(wait))}
    marked = lease.mark(Delivery, [claim], **values)
    if marked:
        _note(claim, outcome)
        failing = update(Endpoint).where(Endpoint.id == _endpoint_of(claim), Endpoint.failing_since.is_(None))
        db.session.execute(failing.values(failing_since=db_now()), execution_options={"synchronize_session": False})
    return bool(marked)


def mark_obsolete(claim: Claim, reason: str) -> bool:
    """Marks the delivery as no longer needed. Commits."""
    marked = lease.mark(Delivery, [claim], state="obsolete", error=reason, settled_at=db_now())
    db.session.commit()
    return bool(marked)


def give_back(claims: Sequence[Claim]) -> None:
    """Those that were not tried are due again. Commits."""
    if claims:
        lease.give_back(Delivery, claims)
        db.session.commit()


def forget() -> int:
    """Deletes what is older than KEPT_DAYS, sent or not; returns how many. Does not commit."""
    old = select(Delivery.id).where(Delivery.created_at < db_now(-KEPT_DAYS * _DAY)).limit(_FORGOTTEN_AT_ONCE)
    ids = list(db.session.scalars(old))
    if ids:
        wanted = pad_in_list(ids)
        db.session.execute(delete(DeliveryTry).where(DeliveryTry.delivery_id.in_(wanted)))
        db.session.execute(delete(Delivery).where(Delivery.id.in_(wanted)))
    return len(ids)


def _endpoint_of(claim: Claim) -> Any:
    return select(Delivery.endpoint_id).where(Delivery.id == claim.id).scalar_subquery()


def _note(claim: Claim, outcome: Outcome) -> None:
    db.session.execute(
        insert(DeliveryTry).values(
            delivery_id=claim.id, at=db_now(), status=outcome.status, ms=outcome.ms, error=outcome.error[:500],
            answer=outcome.answer,
        )
    )  # fmt: skip
