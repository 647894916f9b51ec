"""Calls that are sent twice: the answer to an Idempotency-Key is kept in the transaction of the change."""

import hashlib
import json

from flask import Response, request
from sqlalchemy import update

from webapp import clock
from webapp.extensions import db
from webapp.models import ApiReplay
from webapp.operations._sql import run, run_if_free
from webapp.queries.tokens import Caller
from webapp.web.problems import Problem

HEADER = "Idempotency-Key"
_ROWS = ApiReplay.metadata.tables["api_replays"]
# Headers of an answer that a repeated one has, too.
_KEPT = ("Location", "ETag")


def key() -> str:
    """The key of this call, "" for none."""
    given = request.headers.get(HEADER, "")
    if len(given) > 128 or not all(32 < ord(sign) < 127 for sign in given):
        raise Problem(422, "invalid", "Use 1 to 128 letters, digits and punctuation marks for Idempotency-Key.")
    return given


def begin(caller: Caller, key: str) -> Response | None:
    """The first statement of the change: the answer, if the call was made before, else None. A call with the same key
    that is under way is waited for."""
    if run_if_free(_ROWS, token_id=caller.token, key=key, fingerprint=_fingerprint(), status=0, headers="[]", body=b"",
                   created_at=clock.now()):  # fmt: skip
        return None
    kept = db.session.get_one(ApiReplay, (caller.token, key), populate_existing=True)
    if kept.fingerprint != _fingerprint():
        raise Problem(422, "invalid", "This Idempotency-Key was used for another call. Use a new one for each change.")
    response = Response(kept.body, kept.status, content_type="application/json" if kept.body else None)
    for name, value in json.loads(kept.headers):
        response.headers[name] = value
    response.headers["Idempotency-Replayed"] = "true"
    db.session.rollback()
    return response


def keep(caller: Caller, key: str, response: Response, body: bytes) -> None:
    """Stores the answer with the change. `body` is without what may be shown only once."""
    headers = json.dumps([[name, response.headers[name]] for name in _KEPT if name in response.headers])
    run(
        update(_ROWS).where(_ROWS.c.token_id == caller.token, _ROWS.c.key == key)
        .values(status=response.status_code, headers=headers, body=body),
        {},
    )  # fmt: skip


def _fingerprint() -> str:
    address = request.full_path if request.query_string else request.path
    return hashlib.sha256(f"{request.method} {address}\n".encode() + request.get_data()).hexdigest()
