"""What a worker does: send what is due, end what is overdue, say that it lives. Every job may run any number of
times, at the same time, anywhere; none of them carries anything but its name."""

import logging
import threading
import time
from collections.abc import Sequence

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError

from webapp import anchors, clock, failpoints, mail, outbox, smtp
from webapp.extensions import db
from webapp.models import Heartbeat, db_now
from webapp.operations import asked, keys, requests
from webapp.outbox import Claim
from webapp.queries import asked as who_is_asked
from webapp.queries import mails
from webapp.queries.mails import Facts
from webapp.transactions import reading

BATCH = 20
EXPIRE_BATCH = 500
DRAIN_SECONDS = 200
# A sweep that sends looks this often for what is overdue meanwhile.
EXPIRE_SECONDS = 10
# With this much of the lease used up, what is left of a batch is given back: a message may take almost half of it.
BATCH_SECONDS = outbox.LEASE_SECONDS / 2
# While the mail server is out of reach, what was claimed waits this long for somebody to try again.
UNREACHABLE_SECONDS = 30
HEARTBEAT_DAYS = 1

# Set when this process has to end: what is in hand is finished, nothing new is begun.
stopping = threading.Event()

log = logging.getLogger("countersign.jobs")


# One conversation at a time in a process, whichever of its threads holds it: killed, it leaves one mail between the
# server's yes and the mark, and not two.
_sending = threading.Lock()


def drain() -> None:
    """Sends what is due until nothing is left, or 200 s are over: then it rings for somebody to go on."""
    with _sending:
        if _drain(DRAIN_SECONDS):
            outbox.ring()


def _drain(seconds: float) -> bool:
    """True: the time was over before the queue was empty."""
    until = time.monotonic() + seconds
    while not stopping.is_set():
        claims = outbox.claim(BATCH)
        if claims:
            failpoints.at("mail.claimed")
        if not claims or not _send(claims):
            return False
        if time.monotonic() > until:
            return True
    return False


def sweep() -> None:
    """Ends what is overdue, anchors the record, once a day looks who is asked, then sends what no bell announced."""
    db.session.connection()  # from here on our clock goes by the database's
    _expire()
    while not stopping.is_set() and keys.renew_orphaned(now=clock.now()):
        outbox.commit()
    db.session.rollback()
    db.session.execute(
        delete(Heartbeat).where(Heartbeat.at < db_now(-HEARTBEAT_DAYS * 24 * 3600)),
        execution_options={"synchronize_session": False},
    )
    db.session.commit()
    anchor()
    if _is_check_due():
        check_asked()
    # A drain that is under way finds what this sweep would; waiting for it would hold up the next expiry.
    while _sending.acquire(blocking=False):
        try:
            is_more = _drain(EXPIRE_SECONDS)
        finally:
            _sending.release()
        if not is_more:
            return
        _expire()


def _expire() -> None:
    while not stopping.is_set():
        looked_at = requests.expire_overdue(now=clock.now(), limit=EXPIRE_BATCH)
        outbox.commit()
        if looked_at < EXPIRE_BATCH:
            return


def _is_check_due() -> bool:
    due = asked.is_due()
    db.session.commit()
    return due


def check_asked() -> int:
    """Finds the pending requests whose approvers were not asked, and asks them; returns how many there were.

    It looks without a lock, page by page, and takes the lock of the directory only for what it finds.
    """
    after: int | None = 0
    repaired = 0
    while after is not None and not stopping.is_set():
        with reading():
            looked = who_is_asked.look(after=after)
        if looked.wrong:
            repaired += asked.repair(looked.wrong, now=clock.now())
            outbox.commit()
        after = looked.last
    return repaired


def anchor() -> None:
    """Keeps a signed copy of the audit record's head outside of the database, every ten minutes."""
    file = anchors.path()
    if not anchors.is_due(file):
        return
    try:
        with reading():
            anchors.keep(file, now=clock.now())
    except anchors.Bad as error:
        log.error("The audit record does not go on from its last anchor.", extra={"error": str(error)})
    except OSError as error:
        log.error("The anchor of the audit record cannot be written.", extra={"error": str(error)})


def beat(name: str) -> None:
    """Says that the worker `name` lives, on the database's clock."""
    mine = update(Heartbeat).where(Heartbeat.name == name).values(at=db_now())
    seen = db.session.execute(mine, execution_options={"synchronize_session": False})
    if not seen.rowcount:  # type: ignore[attr-defined]
        db.session.add(Heartbeat(name=name, at=db_now()))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()


def _send(claims: Sequence[Claim]) -> bool:
    """One batch over one connection. False: the mail server is out of reach, or we have to end."""
    began = time.monotonic()
    if not (claims := still_so(claims)):
        return True
    with reading():
        facts = mails.load([one.id for one in claims])
    with smtp.connect() as connection:
        for number, claim in enumerate(claims):
            if stopping.is_set() or time.monotonic() - began > BATCH_SECONDS:
                outbox.give_back(claims[number:])
                return not stopping.is_set()
            try:
                connection.open()
            except smtp.Unreachable as error:
                # One mail carries the reason, for people to see; the others lose no try, and nobody spins.
                log.warning("The mail server is out of reach.", extra={"error": str(error)})
                outbox.mark_failed(claim, str(error))
                outbox.give_back(claims[number + 1 :], seconds=UNREACHABLE_SECONDS)
                return False
            _send_one(claim, facts, connection)
    return True


def still_so(claims: Sequence[Claim]) -> Sequence[Claim]:
    """The rest of a batch without what is no longer so, which goes in one transaction: after a queue was long,
    that is most of it, and writers would hold up each mark. Each mail is looked at once more before it is sent."""
    if len(claims) == 1:
        return claims
    while claims:
        now = mails.standings([one.id for one in claims], claims[0].lease)
        claims = [one for one in claims if one.id in now]
        reasons = {one: why for one in claims if (why := mails.why_obsolete(now[one.id]))}
        if not reasons:
            break
        outbox.mark_obsolete(reasons)
        # Without them, others of the batch may be no longer so: nobody is told the end of what they never heard of.
        claims = [one for one in claims if one not in reasons]
    return claims


def _send_one(claim: Claim, batch: dict[int, Facts], connection: smtp.Connection) -> None:
    """Looks whether the notice is ours and still so, sends it, and marks it. No transaction is open meanwhile."""
    now = mails.standings([claim.id], claim.lease).get(claim.id)
    if now is None:
        return  # the lease ran out, and whoever has it now goes on
    if reason := mails.why_obsolete(now):
        outbox.mark_obsolete({claim: reason})
        return
    facts = batch[claim.id]
    if facts.request is not None and facts.request.version != now.version:
        with reading():
            facts = mails.load([claim.id])[claim.id]
    details = {"notice": facts.notice.public_id, "kind": facts.notice.kind, "tries": claim.tries}
    if claim.tries > outbox.TRIES:
        outbox.mark_failed(claim, "Each worker that tried to send this ended before it was done.", for_good=True)
        return
    try:
        connection.send(mail.render(facts))
    except mail.Unmailable as error:
        outbox.mark_failed(claim, str(error), for_good=True)
        log.warning("A mail cannot be sent.", extra={**details, "error": str(error)})
    except smtp.MailError as error:
        if stopping.is_set():
            # Cut because we end, so not the mail's fault.
            outbox.give_back([claim])
            return
        outbox.mark_failed(claim, str(error), for_good=isinstance(error, smtp.Refused) and error.for_good)
        log.warning("A mail was not accepted.", extra={**details, "error": str(error)})
    except Exception:
        log.exception("A mail could not be written.", extra=details)
        outbox.mark_failed(claim, "The mail could not be written. The worker's log says why.")
    else:
        failpoints.at("mail.before-mark")
        outbox.mark_sent(claim)
        failpoints.at("mail.after-mark")
        log.info("A mail was accepted.", extra=details)
