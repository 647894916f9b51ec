"""Sign-ins that were begun in this browser and wait for the provider's answer: a signed cookie of our own.

It holds the newest few, one for each tab. Each ends with its answer: what an address in the browser's history repeats
finds nothing any more. Another browser has no such cookie, so that nobody can be signed in with an answer that somebody
else has begun.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeTimedSerializer
from redis.exceptions import RedisError
from werkzeug.wrappers import Response

from webapp.extensions import broker
from webapp.signing import Signer
from webapp.text import sha256
from webapp.web import cookies

from .protocol import Secrets

COOKIE = "countersign_sso"
LASTS = timedelta(minutes=15)
KEPT = 3
# A cookie of more than 4 kB would not be kept.
LONGEST, LONGEST_NEXT = 3800, 1000

log = logging.getLogger("countersign.sso")


class Purpose(StrEnum):
    """What is done with the answer."""

    SIGN_IN = "sign_in"
    FRESH = "fresh"
    CONNECT = "connect"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in that was begun. `person`: the public id of who was signed in, where it is about them. `subject` and
    `sid`: who an admin is at the provider, while they are asked for their password."""

    state: str
    provider: str
    purpose: str
    at: float
    nonce: str = ""
    verifier: str = ""
    next: str = ""
    person: str = ""
    subject: str = ""
    sid: str = ""

    @property
    def secrets(self) -> Secrets:
        return Secrets(self.state, self.nonce, self.verifier)


def begin(response: Response, secrets: Secrets, *, provider: str, purpose: Purpose, next: str, person: str,
          now: datetime) -> None:  # fmt: skip
    """Keeps a new one in the browser."""
    flow = Flow(
        secrets.state, provider, purpose, now.timestamp(), secrets.nonce, secrets.verifier,
        next if len(next) <= LONGEST_NEXT else "/", person,
    )  # fmt: skip
    _write(response, [*_read(), flow])


def waiting(state: str, provider: str) -> Flow | None:
    """The one that this answer belongs to, if it was begun here and has not ended."""
    return next((one for one in _read() if state and one.state == state and one.provider == provider), None)


def is_first_use(flow: Flow) -> bool:
    """Whether this is the first answer to it, also of several at the same moment. While the broker is away only the
    provider refuses the second: it takes each code once."""
    try:
        return bool(broker().set(f"countersign:sso:{sha256(flow.state)}", 1, nx=True, ex=int(LASTS.total_seconds())))
    except (RedisError, OSError) as error:
        log.warning("The broker is away; an answer of a provider is checked by the cookie alone.",
                    extra={"error": str(error)})  # fmt: skip
        return True


def end(response: Response, flow: Flow) -> None:
    """Removes it from the browser."""
    _write(response, [one for one in _read() if one.state != flow.state])


def ask_password(response: Response, flow: Flow, secrets: Secrets, *, person: str, subject: str, sid: str) -> None:
    """Keeps who the person is at the provider until they have given their password here."""
    asked = replace(flow, state=secrets.state, nonce="", verifier="", person=person, subject=subject, sid=sid)
    _write(response, [*[one for one in _read() if one.state != flow.state], asked])


def _read() -> list[Flow]:
    try:
        found: Any = _serializer().loads(cookies.read(COOKIE), max_age=int(LASTS.total_seconds()))
        return [Flow(**one) for one in found]
    except (BadData, TypeError):
        return []


def _write(response: Response, flows: Sequence[Flow]) -> None:
    newest = list(flows[-KEPT:])
    if not newest and not cookies.read(COOKIE):
        return
    value = _signed(newest)
    while len(value) > LONGEST:
        newest = newest[1:]
        value = _signed(newest)
    cookies.put(response, COOKIE, value, lasts=LASTS, path="/sso")


def _signed(flows: Sequence[Flow]) -> str:
    value: Any = _serializer().dumps([{key: value for key, value in asdict(one).items() if value} for one in flows])
    return str(value)


def _serializer() -> URLSafeTimedSerializer:
    config = current_app.config
    keys = [*reversed(config["SECRET_KEY_FALLBACKS"]), config["SECRET_KEY"]]
    return URLSafeTimedSerializer(
        keys, salt="single sign-on", signer=Signer, signer_kwargs={"digest_method": hashlib.sha256}
    )
