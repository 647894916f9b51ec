"""What a worker does: send what is due, end what is overdue, write its heartbeat. Every job may run any number of
times, at the same time, on any machine; a job has no arguments."""

import logging
import threading
import time
from collections.abc import Callable, Sequence

from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from webapp import clock, notices, token_use
from webapp.database.transactions import reading
from webapp.delivery import mail, out_jobs, outbox, stops
from webapp.delivery.lease import LEASE_SECONDS, Claim
from webapp.delivery.mail import smtp
from webapp.delivery.mail.answers import Fault
from webapp.delivery.outbox import Channel
from webapp.extensions import db
from webapp.models import Heartbeat, db_now
from webapp.models.notices import Cause
from webapp.operations import directories, expiry, factors, invitation_repair, keys, replays, tokens
from webapp.queries import invitation_check, mail_context, notice_status
from webapp.queries.mail_context import MailContext
from webapp.record import anchors
from webapp.runtime import failpoints, trace

BATCH = 20
EXPIRE_BATCH = 500
DRAIN_SECONDS = 200
# While a sweep sends, it ends overdue requests this often.
EXPIRE_SECONDS = 10
# After this time the rest of a batch is given back: sending one message may take almost half of the lease.
BATCH_SECONDS = LEASE_SECONDS / 2
HEARTBEAT_DAYS = 1

NOT_CREATED = "The email could not be created. See the worker log."

# Set when this process has to end: the email that is being sent is finished, nothing new is begun.
stopping = threading.Event()

log = logging.getLogger("countersign.jobs")


# One SMTP conversation per process, so that a crash leaves at most one email accepted but not marked as sent.
_sending = threading.Lock()


@trace.work()
def drain() -> None:
    """Sends what is due until nothing is left, or for 200 s: then it queues itself again."""
    with _sending:
        if _drain(DRAIN_SECONDS):
            outbox.wake_workers()


def _drain(seconds: float) -> bool:
    """Returns True if the time was over before the outbox was empty."""
    until = time.monotonic() + seconds
    _settle()
    while not stopping.is_set():
        claims = outbox.claim(BATCH)
        if not claims and stops.take_turn():
            claims = outbox.claim_probe()
            if not claims:
                _probe_the_server()
        if claims:
            failpoints.at("mail.claimed")
        if not claims or not _send(claims):
            return False
        if time.monotonic() > until:
            return True
    return False


@trace.work()
def sweep() -> None:
    """Ends overdue requests, anchors the record, checks daily who is asked, then sends what no job was queued for."""
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
    tokens.note_use(token_use.take())
    replays.forget(now=clock.now())
    factors.forget_states(now=clock.now())
    factors.renew_secrets()
    directories.forget_pushes(now=clock.now())
    db.session.commit()
    if _is_check_due():
        repair_invitations()
    # A drain that is under way finds what this sweep would; waiting for it would hold up the next expiry.
    while _sending.acquire(blocking=False):
        try:
            is_more = _drain(EXPIRE_SECONDS)
        finally:
            _sending.release()
        if not is_more:
            return
        _expire()


# Channel → its sweep. Each channel has worker processes of its own.
SWEEPS = {Channel.MAIL: sweep, Channel.WEBHOOK: out_jobs.sweep}


def _expire() -> None:
    while not stopping.is_set():
        looked_at = expiry.expire_overdue(now=clock.now(), limit=EXPIRE_BATCH)
        outbox.commit()
        if looked_at < EXPIRE_BATCH:
            return


def _is_check_due() -> bool:
    due = invitation_repair.is_due()
    db.session.commit()
    return due


def repair_invitations() -> int:
    """Finds the pending requests whose approvers were not asked, and asks them; returns how many there were.

    It looks without a lock, page by page, and takes the lock of the directory only for what it finds.
    """
    after: int | None = 0
    repaired = 0
    while after is not None and not stopping.is_set():
        with reading():
            looked = invitation_check.find_wrong(after=after)
        if looked.wrong:
            repaired += invitation_repair.repair(looked.wrong, now=clock.now())
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
    except anchors.BadAnchor as error:
        log.error("The audit record does not go on from its last anchor.", extra={"error": str(error)})
    except OSError as error:
        log.error("The anchor of the audit record cannot be written.", extra={"error": str(error)})


def beat(name: str) -> None:
    """Writes the heartbeat of the worker `name`, by the database's clock."""
    mine = update(Heartbeat).where(Heartbeat.name == name).values(at=db_now())
    seen = db.session.execute(mine, execution_options={"synchronize_session": False})
    if not seen.rowcount:  # type: ignore[attr-defined]
        db.session.add(Heartbeat(name=name, at=db_now()))
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()


def _send(claims: Sequence[Claim]) -> bool:
    """Sends one batch over one connection. Returns False if the mail server takes nothing, or this process ends."""
    left = list(claims)
    try:
        return _send_all(left)
    except Exception:
        # Those that were not tried lose no attempt by it.
        db.session.rollback()
        _write(lambda: outbox.give_back(left))
        raise


def _send_all(left: list[Claim]) -> bool:
    """Removes each from `left` as soon as it is sent or marked."""
    began = time.monotonic()
    left[:] = drop_obsolete(left)
    if not left:
        return True
    facts = _facts(left)
    with smtp.connect() as connection:
        while left:
            if stopping.is_set() or time.monotonic() - began > BATCH_SECONDS:
                _write(lambda: outbox.give_back(left))
                return not stopping.is_set()
            try:
                connection.open()
                _send_one(left, facts, connection)
            except smtp.Unusable as error:
                return _stop(left, error)
    return True


def _stop(left: list[Claim], error: smtp.Unusable) -> bool:
    """The mail server is at fault: these emails wait and lose no attempt. Always returns False."""
    if not stopping.is_set():
        log.warning("The mail server takes nothing; emails wait.", extra={"error": str(error), "cause": error.cause})
        stops.begin(error.cause, str(error))
    if error.answered and not stopping.is_set():
        _write(lambda: outbox.give_back(left[:1], error=str(error)))
    _write(lambda: outbox.give_back(left))
    return False


def _probe_the_server() -> None:
    """Connects without an email, when none is due that could show whether the mail server is back."""
    with smtp.connect() as connection:
        try:
            connection.open()
        except smtp.Unusable as error:
            _stop([], error)
        else:
            stops.end()


def _facts(left: list[Claim]) -> dict[int, MailContext]:
    """Loads what the emails say. One that cannot be read is marked failed and taken out of `left`."""
    try:
        with reading():
            return mail_context.load([one.id for one in left])
    except DBAPIError:
        raise
    except Exception:
        log.exception("Some email of a batch cannot be read.")
    found: dict[int, MailContext] = {}
    for claim in list(left):
        try:
            with reading():
                found |= mail_context.load([claim.id])
        except DBAPIError:
            raise
        except Exception:
            log.exception("An email cannot be read.", extra={"notice": claim.id})
            left.remove(claim)
            _write(lambda claim=claim: outbox.mark_failed(claim, NOT_CREATED))  # type: ignore[misc]
    return found


# Marks that could not be written because the database was out of reach; guarded by `_sending`.
_unwritten: list[Callable[[], object]] = []


def _write(change: Callable[[], object]) -> None:
    """Marks emails. If the database is out of reach, the next drain does it before anything else."""
    try:
        change()
    except DBAPIError:
        _unwritten.append(change)
        db.session.rollback()
        raise


def _settle() -> None:
    while _unwritten:
        _unwritten[0]()
        del _unwritten[0]


def drop_obsolete(claims: Sequence[Claim]) -> Sequence[Claim]:
    """Mark the batch's obsolete notices in one transaction and return the others. After a backlog most are obsolete;
    a commit for each would contend with the web. Each one is checked again right before it is sent."""
    if len(claims) == 1:
        return claims
    while claims:
        now = notice_status.statuses([one.id for one in claims], claims[0].lease)
        claims = [one for one in claims if one.id in now]
        reasons = {one: why for one in claims if (why := notices.why_obsolete(now[one.id]))}
        if not reasons:
            break
        outbox.mark_obsolete(reasons)
        # Check again without them: an outcome email is obsolete if its request email was never sent.
        claims = [one for one in claims if one not in reasons]
    return claims


def _send_one(left: list[Claim], batch: dict[int, MailContext], connection: smtp.Connection) -> None:
    """Sends the first of them if it is still ours and not obsolete, and marks it. No transaction is open meanwhile.
    Raises Unusable when the server would answer any other email the same."""
    facts = batch[left[0].id]
    with trace.part(facts.notice.cause, **_about(facts)):
        _send_first(left, facts, connection)


def _about(facts: MailContext) -> dict[str, str]:
    """Whom and what an email is about, by public ids."""
    found = {"notice": facts.notice, "person": facts.person, "app": facts.app, "access_request": facts.request}
    return {key: one.public_id for key, one in found.items() if one is not None}


def _send_first(left: list[Claim], facts: MailContext, connection: smtp.Connection) -> None:
    claim = left[0]
    now = notice_status.statuses([claim.id], claim.lease).get(claim.id)
    if now is None or (reason := notices.why_obsolete(now)):
        del left[0]
        if now is not None:
            _write(lambda: outbox.mark_obsolete({claim: reason}))
            log.info("An email is no longer needed.", extra={"kind": facts.notice.kind, "reason": reason})
        if claim.is_probe:
            stops.try_next_now()  # nothing was sent, so the next probe is made now
        return
    details = {"kind": facts.notice.kind, "tries": claim.tries}
    error, for_good = "", False
    try:
        if facts.request is not None and facts.request.version != now.version:
            with reading():
                facts = mail_context.load([claim.id])[claim.id]
        if claim.tries > notices.TRIES:
            raise mail.Unmailable("Every worker that tried to send this stopped before it finished.")
        connection.send(mail.render(facts, sent_at=clock.now()))
    except (smtp.Unusable, DBAPIError):
        raise
    except mail.BadSender as wrong:
        raise smtp.Unusable(str(wrong), Cause.SENDER) from wrong
    except mail.Unmailable as wrong:
        error, for_good = str(wrong), True
    except smtp.Refused as refused:
        if stopping.is_set():
            raise smtp.Unusable(str(refused), Cause.BUSY) from refused  # cut because this process ends
        answer = refused.answer
        # It would refuse any email, unless an earlier attempt of this one failed: then this email is at fault.
        if answer.cause is not None and (claim.is_probe or not claim.failed):
            raise smtp.Unusable(str(refused), answer.cause, answered=True) from refused
        error, for_good = str(refused), answer.fault is Fault.RECIPIENT
    except Exception:
        log.exception("An email could not be created.", extra=details)
        error = NOT_CREATED
    del left[0]
    if error:
        log.warning("An email was not sent.", extra={**details, "error": error})
        _write(lambda: outbox.mark_failed(claim, error, for_good=for_good))
    else:
        accepted = connection.accepted
        failpoints.at("mail.before-mark")
        _write(lambda: outbox.mark_sent(claim, accepted))
        failpoints.at("mail.after-mark")
        log.info("A mail was accepted.", extra=details)
    if claim.is_probe:
        stops.end()
