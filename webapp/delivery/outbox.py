"""The outbox: notices are written with the change that causes them; the queue only rings the bell.

due → leased → sent, dead or obsolete. Only the holder of a lease marks a notice. After a restore, what was due is
held until an admin lets it go or drops it. While the mail server takes nothing (`stops`), what is due stays due.
"""

import logging
import random
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import String, and_, bindparam, exists, insert, or_, select, true, update

from webapp.database import uncommitted
from webapp.database.transactions import alone
from webapp.extensions import broker, db
from webapp.models import MailAttempt, MailStop, Notice, db_now
from webapp.models.base import Id
from webapp.notices import TRIES
from webapp.queries.columns import filled
from webapp.record import audit
from webapp.runtime import failpoints, trace

QUEUE = "countersign"
DRAIN = "webapp.delivery.jobs.drain"
LEASE_SECONDS = 120
# Seconds before the next try, after the first, second … failure. After TRIES attempts a notice is dead.
DELAYS = (60, 300, 900, 3600, 7200, 14400, 28800)

# The table, not the class: the session would make one INSERT of each run of rows that lack the same columns.
_POST = insert(Notice.metadata.tables["notices"]).values(due_at=db_now())

log = logging.getLogger("countersign.outbox")


def post(rows: Sequence[dict[str, Any]]) -> None:
    """Adds notices (column values; due at once) to the transaction at hand, in one statement."""
    if rows:
        wake()
        db.session.flush()
        cause = trace.request_id()
        db.session.connection().execute(_POST, [{**row, "cause": cause} for row in rows])


@dataclass(frozen=True, slots=True)
class _Wake:
    """The mark that a worker has to be told after the commit."""


def wake() -> None:
    """The commit of the transaction at hand tells a worker that something is due."""
    uncommitted.keep(_Wake())


def commit() -> None:
    """The one commit of every change: seals the audit record, commits, then rings the bell if a mail is due."""
    db.session.flush()
    kept = uncommitted.take()
    bell = any(isinstance(one, _Wake) for one in kept)
    audit.seal([one for one in kept if isinstance(one, audit.Draft)])
    failpoints.at("commit.before")
    db.session.commit()
    failpoints.at("commit.after")
    if bell:
        ring()
    failpoints.at("bell.after")


def ring() -> None:
    """Tells a worker that something is due. Never raises and never waits: the sweep finds what no bell announced."""
    try:
        # Not unique=True: a second bell while a drain runs would be lost.
        with broker().pipeline() as once:
            Queue(QUEUE, connection=broker()).enqueue(
                DRAIN, job_timeout=600, result_ttl=0, failure_ttl=3600, ttl=600, pipeline=once
            )
            once.execute()
    except (RedisError, OSError) as error:
        log.warning("The broker is out of reach; the next sweep sends the emails.", extra={"error": str(error)})


@dataclass(frozen=True, slots=True)
class Claim:
    """A notice that is ours until its lease ends. `failed`: an attempt before this one failed; `alone`: the one that
    finds out whether the mail server takes emails again."""

    id: int
    lease: str
    tries: int
    failed: bool = False
    alone: bool = False


def claim(limit: int) -> list[Claim]:
    """Leases up to `limit` notices that are due, or whose holder died; none while emails are stopped. Commits."""
    return _lease(limit, ~exists(select(MailStop.id)), Notice.due_at, Notice.id)


def claim_one() -> list[Claim]:
    """Leases one notice although emails are stopped: first one that the server has not seen yet. Commits."""
    return [replace(one, alone=True) for one in _lease(1, true(), Notice.error != "", Notice.due_at, Notice.id)]


def _lease(limit: int, condition: Any, *order: Any) -> list[Claim]:
    lease = secrets.token_hex(8)
    wanted = (
        select(Notice.id)
        .where(
            or_(
                and_(Notice.state == "due", Notice.due_at <= db_now()),
                and_(Notice.state == "leased", Notice.lease_until <= db_now()),
            ),
            condition,
        )
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # PostgreSQL may run a plain subquery more than once, and would lease more than `limit`.
        .cte("wanted")
    )
    rows = db.session.execute(
        update(Notice)
        .where(Notice.id.in_(select(wanted.c.id)))
        .values(state="leased", lease=lease, lease_until=db_now(LEASE_SECONDS), tries=Notice.tries + 1)
        .returning(Notice.id, Notice.tries, Notice.due_at, Notice.error),
        execution_options={"synchronize_session": False},
    ).all()
    db.session.commit()
    rows = sorted(rows, key=lambda row: (row.due_at, row.id))
    return [Claim(row.id, lease, row.tries, bool(row.error)) for row in rows]


def held(claims: Sequence[Claim]) -> Any:
    """The condition "this notice is still ours", of one batch: every look and every mark carries it."""
    return and_(
        Notice.id.in_(filled(one.id for one in claims)),
        Notice.state == "leased",
        Notice.lease == claims[0].lease,
        Notice.lease_until > db_now(),
    )


# Built once: it runs for each single mail.
_SENT = (
    update(Notice)
    .where(Notice.id == bindparam("of_id", type_=Id), Notice.lease == bindparam("of_lease", type_=String))
    .values(state="sent", error="", answer=bindparam("said"), settled_at=db_now(), lease_until=None)
)


def mark_sent(claim: Claim, answer: str = "") -> bool:
    """The server accepted it, with these words. False: the lease was lost, and its new holder marks it."""
    # The server has the mail, so the mark may come late; it only must not overwrite another holder's.
    with alone("write") as connection:
        return bool(
            connection.execute(_SENT, {"of_id": claim.id, "of_lease": claim.lease, "said": answer[:500]}).rowcount
        )


def mark_obsolete(reasons: Mapping[Claim, str]) -> int:
    """What these of one batch would say is no longer so, and why; they are never sent. In one transaction, for any
    number of them. Answers how many were still ours."""
    marked = 0
    for reason in set(reasons.values()):
        some = [claim for claim, why in reasons.items() if why == reason]
        marked += _mark(some, state="obsolete", error=reason, settled_at=db_now())
    db.session.commit()
    return marked


def mark_failed(claim: Claim, error: str, *, for_good: bool = False) -> bool:
    """Not accepted: due again after a capped back-off with jitter, or dead after the last try or `for_good`."""
    if for_good or claim.tries >= TRIES:
        marked = _mark([claim], state="dead", error=error[:500], settled_at=db_now())
    else:
        seconds = int(DELAYS[claim.tries - 1] * random.uniform(0.8, 1.2))  # nosec
        marked = _mark([claim], state="due", error=error[:500], due_at=db_now(seconds))
    if marked:
        _note_attempt(claim, error)
    db.session.commit()
    return bool(marked)


def give_back(claims: Sequence[Claim], *, error: str = "") -> None:
    """Unlocks notices of one batch that were claimed and not tried, as if they had never been claimed. `error`: what
    the server answered to the one of them that was tried, and that is not its fault. Commits."""
    if claims:
        values = {"error": error[:500]} if error else {}
        given = db.session.execute(
            update(Notice)
            .where(Notice.id.in_([one.id for one in claims]), Notice.lease == claims[0].lease, Notice.state == "leased")
            .values(state="due", lease=None, lease_until=None, tries=Notice.tries - 1, **values),
            execution_options={"synchronize_session": False},
        )
        if error and given.rowcount:  # type: ignore[attr-defined]
            _note_attempt(claims[0], error)
        db.session.commit()


def _note_attempt(claim: Claim, answer: str) -> None:
    db.session.execute(insert(MailAttempt).values(notice_id=claim.id, at=db_now(), answer=answer[:500]))


def _mark(claims: Sequence[Claim], **values: Any) -> int:
    """How many of them were still ours, and are marked; to be committed."""
    result = db.session.execute(
        update(Notice).where(held(claims)).values(lease_until=None, **values),
        execution_options={"synchronize_session": False},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
