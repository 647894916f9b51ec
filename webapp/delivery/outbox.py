"""The outbox of emails: notices are written with the change that causes them; the queue only wakes a worker.

due → leased → sent, dead or obsolete. Only the holder of a lease marks a notice. After a restore, what was due is
held until an admin releases or discards it. While the mail server takes nothing (`stops`), what is due stays due.

Other channels have tables, leases and jobs of their own, so that a mail server that is out of reach holds up none.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from redis.exceptions import RedisError
from rq import Queue
from sqlalchemy import String, bindparam, exists, insert, select, update

from webapp.database import uncommitted
from webapp.database.transactions import autocommit
from webapp.delivery import lease
from webapp.delivery.lease import Claim
from webapp.delivery.out import posting
from webapp.extensions import broker, db
from webapp.models import MailAttempt, MailStop, Notice, db_now
from webapp.models.base import Id
from webapp.notices import TRIES
from webapp.record import audit
from webapp.runtime import failpoints, trace

QUEUE = "countersign"


class Channel(StrEnum):
    """A way out of the product, with a table of what is due and a job that drains it."""

    MAIL = "mail"
    WEBHOOK = "webhook"


# The job of each channel, by its dotted name: jobs import operations, which import this.
DRAINS = {Channel.MAIL: "webapp.delivery.jobs.drain", Channel.WEBHOOK: "webapp.delivery.out_jobs.drain"}
# The queue of each, which has workers of its own: RQ loses the job of a worker that takes from several.
QUEUES = {Channel.MAIL: QUEUE, Channel.WEBHOOK: "countersign-webhooks"}
# Seconds before the next attempt, after the first, second … failure. After TRIES attempts a notice is dead.
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
    """Kept until the commit: a worker has to be told that this channel has something due."""

    channel: Channel


def wake(channel: Channel = Channel.MAIL) -> None:
    """The commit of the transaction at hand tells a worker that something is due."""
    uncommitted.add(_Wake(channel))


def commit() -> None:
    """The one commit of every change: seals the audit record, commits, then wakes workers for what is due."""
    db.session.flush()
    kept = uncommitted.take_all()
    channels = dict.fromkeys(one.channel for one in kept if isinstance(one, _Wake))
    drafts = [one for one in kept if isinstance(one, audit.Draft)]
    sealed = audit.seal(drafts)
    # After sealing, while the log's head is locked: so these rows are in the order of the log, and none is added later
    # before another one that was already seen.
    if sealed.tells and posting.post(drafts, sealed.first):
        channels[Channel.WEBHOOK] = None
    failpoints.at("commit.before")
    db.session.commit()
    failpoints.at("commit.after")
    for channel in channels:
        wake_workers(channel)
    failpoints.at("wake.after")


def wake_workers(channel: Channel = Channel.MAIL) -> None:
    """Queues the channel's job. Never raises and never waits: the sweep finds what no job was queued for."""
    try:
        # Not unique=True: a second job that is queued while the first runs would be lost.
        with broker().pipeline() as once:
            Queue(QUEUES[channel], connection=broker()).enqueue(
                DRAINS[channel], job_timeout=600, result_ttl=0, failure_ttl=3600, ttl=600, pipeline=once
            )
            once.execute()
    except (RedisError, OSError) as error:
        log.warning("The broker is out of reach; the next sweep sends what is due.", extra={"error": str(error)})


def claim(limit: int) -> list[Claim]:
    """Leases up to `limit` notices that are due, or whose holder died; none while emails are stopped. Commits."""
    return lease.claim(Notice, limit, ~exists(select(MailStop.id)), order=(Notice.due_at, Notice.id))


def claim_probe() -> list[Claim]:
    """Leases one notice although emails are stopped: first one that the server has not seen yet. Commits."""
    claims = lease.claim(Notice, 1, order=(Notice.error != "", Notice.due_at, Notice.id))
    return [replace(one, is_probe=True) for one in claims]


# Built once: it runs for each single email.
_SENT = (
    update(Notice)
    .where(Notice.id == bindparam("of_id", type_=Id), Notice.lease == bindparam("of_lease", type_=String))
    .values(state="sent", error="", answer=bindparam("reply"), settled_at=db_now(), lease_until=None)
)


def mark_sent(claim: Claim, answer: str = "") -> bool:
    """The server accepted it, with this answer. False: the lease was lost, and its new holder marks it."""
    # The server has the email, so the mark may come late; it only must not overwrite another holder's.
    with autocommit("write") as connection:
        return bool(
            connection.execute(_SENT, {"of_id": claim.id, "of_lease": claim.lease, "reply": answer[:500]}).rowcount
        )


def mark_obsolete(reasons: Mapping[Claim, str]) -> int:
    """Marks claims of one batch obsolete, each with its reason; they are never sent. One transaction for any number.
    Returns how many were still ours."""
    marked = 0
    for reason in set(reasons.values()):
        some = [claim for claim, why in reasons.items() if why == reason]
        marked += lease.mark(Notice, some, state="obsolete", error=reason, settled_at=db_now())
    db.session.commit()
    return marked


def mark_failed(claim: Claim, error: str, *, for_good: bool = False) -> bool:
    """Not accepted: due again after a capped back-off with jitter, or dead after the last try or `for_good`."""
    if for_good or claim.tries >= TRIES:
        marked = lease.mark(Notice, [claim], state="dead", error=error[:500], settled_at=db_now())
    else:
        seconds = int(DELAYS[claim.tries - 1] * random.uniform(0.8, 1.2))  # nosec
        marked = lease.mark(Notice, [claim], state="due", error=error[:500], due_at=db_now(seconds))
    if marked:
        _note_attempt(claim, error)
    db.session.commit()
    return bool(marked)


def give_back(claims: Sequence[Claim], *, error: str = "") -> None:
    """Makes notices of one batch that were not tried due again, as if they had never been claimed. `error`: what the
    server answered to the one of them that was tried, and that is not its fault. Commits."""
    if claims:
        given = lease.give_back(Notice, claims, **({"error": error[:500]} if error else {}))
        if error and given:
            _note_attempt(claims[0], error)
        db.session.commit()


def _note_attempt(claim: Claim, answer: str) -> None:
    db.session.execute(insert(MailAttempt).values(notice_id=claim.id, at=db_now(), answer=answer[:500]))
