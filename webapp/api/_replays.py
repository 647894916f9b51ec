"""Calls that are sent twice: the header Idempotency-Key, and the answer that a repeated call gets."""

import hashlib

from flask import Response, request

from webapp import clock
from webapp.extensions import db
from webapp.operations import replays
from webapp.operations.replays import AnotherCall, Answer
from webapp.queries.tokens import Caller
from webapp.web.problems import Problem

HEADER = "Idempotency-Key"
# Headers of an answer that a repeated one has, too.
_KEPT = ("Location", "ETag")


def key() -> str:
    """The key of this call, "" for none."""
    given = request.headers.get(HEADER, "")
    if len(given) > 128 or not all(32 < ord(sign) < 127 for sign in given):
        raise Problem(422, "invalid", "Use 1 to 128 letters, digits and punctuation marks for Idempotency-Key.")
    return given


def begin(caller: Caller, key: str) -> Response | None:
    """The answer, if the call was made before, else None. The caller's right has been checked."""
    try:
        kept = replays.begin(caller.token or 0, key, _fingerprint(), now=clock.now())
    except AnotherCall as error:
        raise Problem(422, "invalid", str(error)) from None
    if kept is None:
        return None
    response = Response(kept.body, kept.status, content_type="application/json" if kept.body else None)
    response.headers.extend(kept.headers)
    response.headers["Idempotency-Replayed"] = "true"
    db.session.rollback()
    return response


def keep(caller: Caller, key: str, response: Response, body: bytes) -> None:
    """Stores the answer with the change. `body` is without what may be shown only once."""
    headers = [(name, response.headers[name]) for name in _KEPT if name in response.headers]
    replays.keep(caller.token or 0, key, Answer(response.status_code, headers, body))


def _fingerprint() -> str:
    address = request.full_path if request.query_string else request.path
    return hashlib.sha256(f"{request.method} {address}\n".encode() + request.get_data()).hexdigest()
