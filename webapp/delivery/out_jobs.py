"""What the worker of webhooks and chat does: it sends what is due, to several endpoints side by side.

A slow endpoint holds up only itself: it has one thread at most, and one thread sends to one endpoint. A job and a sweep
only say that there may be something; which endpoints have something is read from the database.
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache

from flask import Flask, current_app
from sqlalchemy.exc import DBAPIError

from webapp import clock, outgoing
from webapp.config import version
from webapp.database.transactions import choose, reading
from webapp.delivery import outbox
from webapp.delivery.lease import LEASE_SECONDS, Claim
from webapp.delivery.out import deliveries, signing
from webapp.delivery.out.deliveries import Outcome
from webapp.encryption import Unreadable, decrypt
from webapp.extensions import db
from webapp.operations import endpoints
from webapp.outgoing import Answer
from webapp.queries import sending
from webapp.queries.sending import Outgoing
from webapp.runtime import failpoints, trace
from webapp.text import storable

BATCH = 10
# Endpoints that are sent to at the same time, and how many of them may be such as took nothing lately.
THREADS, FAILING_THREADS = 8, 4
# After this time the rest of a batch is given back: one call may take a twelfth of the lease.
BATCH_SECONDS = LEASE_SECONDS / 2
# How often endpoints are looked for while nobody says that there is something: attempts that are due again.
LOOK_SECONDS = 5.0
# Answers of Slack and Teams after which there is no use in going on: the channel or its address is gone.
CHAT_GONE = (403, 404, 410)
ANSWER_KEPT = 4000

# Set when this process has to end: what is being sent is finished, nothing new is begun.
stopping = threading.Event()
_look = threading.Event()

log = logging.getLogger("countersign.webhooks")


def drain() -> None:
    """Says that something may be due. Where nobody listens, as in a test, it is sent here and now."""
    if dispatcher is None:
        send_due()
    else:
        _look.set()


@trace.work()
def sweep() -> None:
    """Forgets what is no longer kept, encrypts anew what an old key encrypted, and looks for what is due."""
    while not stopping.is_set() and deliveries.forget():
        db.session.commit()
    endpoints.encrypt_anew()
    db.session.commit()
    drain()


def send_due() -> None:
    """Sends what is due, one endpoint after the other, until nothing is left that can be sent now."""
    while not stopping.is_set():
        found = deliveries.ready_endpoints()
        db.session.rollback()
        if not sum(send_to(one) for one, _ in found):
            return


def send_to(endpoint: int) -> int:
    """Sends what is due to one endpoint, for the time of a batch; returns how many were looked at."""
    began, done = time.monotonic(), 0
    while not stopping.is_set() and time.monotonic() - began < BATCH_SECONDS:
        claims = deliveries.claim(endpoint, BATCH)
        if not claims:
            break
        failpoints.at("webhook.claimed")
        done += len(claims)
        if not _send(claims, endpoint, began):
            break
    return done


def _send(claims: Sequence[Claim], endpoint: int, began: float) -> bool:
    """Sends a batch; False if the endpoint takes nothing more for now."""
    left = list(claims)
    try:
        with reading():
            facts = sending.load([one.id for one in left], endpoint)
        while left:
            if stopping.is_set() or time.monotonic() - began > BATCH_SECONDS:
                deliveries.give_back(left)
                return False
            claim = left[0]
            with trace.part(facts[claim.id].delivery.cause, delivery=facts[claim.id].delivery.public_id):
                goes_on = _send_one(claim, facts[claim.id])
            del left[0]
            if not goes_on:
                deliveries.give_back(left)
                return False
    except Exception:
        # Those that were not tried lose no attempt by it. What was tried and not marked is sent again after its lease.
        db.session.rollback()
        deliveries.give_back(left[1:])
        raise
    return True


def _send_one(claim: Claim, one: Outgoing) -> bool:
    """Returns False if the endpoint is paused now, or gave no answer. No transaction is open while it is called."""
    with reading():
        now = sending.status(claim.id, claim.lease)
    if not now.ours:
        return True
    if now.paused:
        deliveries.give_back([claim])
        return False
    if now.why:
        deliveries.mark_obsolete(claim, now.why)
        return True
    if claim.tries > deliveries.TRIES:
        outcome = Outcome(0, 0, "Every worker that tried to send this stopped before it finished.")
    else:
        failpoints.at("webhook.before-call")
        outcome = call(one)
        failpoints.at("webhook.before-mark")
    # "event" would take the place of the message.
    about = {"type": one.delivery.event, "endpoint": one.endpoint.public_id, "tries": claim.tries,
             "status": outcome.status}  # fmt: skip
    if outcome.succeeded:
        deliveries.mark_sent(claim, outcome)
        failpoints.at("webhook.after-mark")
        log.info("A delivery was taken.", extra=about)
        return True
    log.warning("A delivery was not taken.", extra={**about, "error": outcome.error})
    return _failed(claim, one, outcome)


def _failed(claim: Claim, one: Outgoing, outcome: Outcome) -> bool:
    gone = outcome.status in CHAT_GONE if one.endpoint.is_chat else outcome.status == 410
    why = ""
    if gone:
        why = f"It answered “{outcome.error}”."
    elif endpoints.fails_too_long(one.endpoint.id):
        why = f"It has taken nothing for {endpoints.PAUSED_AFTER.days} days. The last answer: {outcome.error}"
    if deliveries.mark_failed(claim, outcome, keep=bool(why)) and why:
        endpoints.pause_failing(one.endpoint.id, why[:300], now=clock.now())
    outbox.commit()
    # Who gives no answer in ten seconds would hold up the thread for each of the others.
    return not why and outcome.status != 0


def call(one: Outgoing) -> Outcome:
    """Sends one delivery, whatever comes of it."""
    began = time.monotonic()
    try:
        url = decrypt(one.endpoint.address)
        headers = {"content-type": "application/json", "user-agent": _user_agent()}
        if not one.endpoint.is_chat:
            secrets = _readable(one.secrets)
            headers |= signing.headers(secrets, one.delivery.message_id, one.delivery.body, at=clock.now())
        answer = outgoing.post(url, one.delivery.body.encode(), headers)
    except (outgoing.Failed, Unreadable) as failed:
        return Outcome(0, round((time.monotonic() - began) * 1000), str(failed))
    error = "" if 200 <= answer.status < 300 else f"{answer.status} {answer.reason}".strip()
    return Outcome(answer.status, answer.ms, error, _as_text(answer), _retry_after(answer))


def _readable(secrets: Sequence[str]) -> list[str]:
    """Those whose key is there: a new secret signs alone, if the key of the one before is gone. Raises Unreadable if
    there is none."""
    found = []
    gone: Unreadable | None = None
    for secret in secrets:
        try:
            found.append(decrypt(secret))
        except Unreadable as error:
            gone = error
    if gone is not None and not found:
        raise gone
    return found


@cache
def _user_agent() -> str:
    return f"Countersign/{version()}"


def _as_text(answer: Answer) -> str:
    """What is kept of an answer, as plain text."""
    head = [f"{answer.status} {answer.reason}".strip(), *(f"{name}: {value}" for name, value in answer.headers)]
    text = "\n".join(head) + "\n\n" + answer.body.decode(errors="replace")
    return storable(text)[:ANSWER_KEPT]


def _retry_after(answer: Answer) -> int:
    """Seconds that the receiver asks to wait, as a number or a date; 0 for none."""
    given = answer.header("retry-after").strip()
    if given.isdecimal() and given.isascii() and len(given) < 9:
        return int(given)
    try:
        at = parsedate_to_datetime(given)
        return max(0, int((at.astimezone(UTC) - clock.now()).total_seconds())) if at.tzinfo else 0
    except (ValueError, TypeError, OverflowError):  # a year of fourteen digits, or the last hour of 9999
        return 0


class Dispatcher:
    """Starts a thread for each endpoint that has something due, up to THREADS at a time."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._busy: dict[int, threading.Thread] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        """Until the process ends."""
        while not stopping.is_set():
            _look.wait(LOOK_SECONDS)
            _look.clear()
            if stopping.is_set():
                break
            try:
                self._start()
            except Exception:
                log.exception("What is due could not be looked up; it is tried again.")

    def _start(self) -> None:
        with self._app.app_context():
            choose("read")
            try:
                found = deliveries.ready_endpoints()
            finally:
                db.session.rollback()
        with self._lock:
            failing_now = {endpoint for endpoint, failing in found if failing}
            for endpoint, failing in found:
                busy = len(self._busy)
                if endpoint in self._busy or busy >= THREADS:
                    continue
                if failing and len(failing_now & set(self._busy)) >= FAILING_THREADS:
                    continue
                thread = threading.Thread(target=self._send, args=(endpoint,), daemon=True)
                self._busy[endpoint] = thread
                thread.start()

    def _send(self, endpoint: int) -> None:
        done = 0
        try:
            with self._app.app_context():
                choose("write")
                done = send_to(endpoint)
        except DBAPIError:
            log.exception("The database is out of reach; what is due is sent later.")
        except Exception:
            log.exception("Deliveries could not be sent; they are tried again.")
        finally:
            with self._lock:
                del self._busy[endpoint]
            if done:
                _look.set()  # what came meanwhile, and endpoints that had no thread

    def join(self, until: float) -> None:
        """Waits for what is being sent until this moment (monotonic)."""
        for thread in list(self._busy.values()):
            thread.join(max(0, until - time.monotonic()))


# The one of this process; None where nothing is sent in the background.
dispatcher: Dispatcher | None = None


def start() -> Dispatcher:
    """Starts the dispatcher of this process, in the application's context."""
    global dispatcher
    dispatcher = Dispatcher(current_app._get_current_object())  # type: ignore[attr-defined]
    threading.Thread(target=dispatcher.run, daemon=True).start()
    _look.set()
    return dispatcher
