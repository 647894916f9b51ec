"""Every call of a directory: token, limit, then the library, which calls the storage; committed before the answer."""

import json
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, request

from webapp import clock, tokens
from webapp.delivery import outbox
from webapp.extensions import csrf, db, settings
from webapp.operations import directory_sync
from webapp.queries import directories as queries
from webapp.queries import directory
from webapp.queries.directories import Pusher
from webapp.runtime import trace
from webapp.web import rights
from webapp.web.attempts import Count, TooMany, take
from webapp.web.problems import for_a_directory
from webapp.web.security import SAFE

PREFIX = "/scim/v2"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# A directory sends a whole company at once; each token has a count of its own.
CALLS, SECONDS = 3000, 60
# Calls with a wrong token from one address.
WRONG_TOKENS = 60

bp = Blueprint("scim", __name__, url_prefix=PREFIX)
csrf.exempt(bp)


class Refused(Exception):
    """The call is answered with this before the library sees it."""

    def __init__(self, status: int, sentence: str, seconds: int = 0) -> None:
        super().__init__(sentence)
        self.status, self.seconds = status, seconds


@bp.errorhandler(Refused)
def refuse(error: Refused) -> Response:
    answer = for_a_directory(error.status, str(error))
    if error.seconds:
        answer.headers["Retry-After"] = str(error.seconds)
    return answer


@bp.route("/", defaults={"path": ""}, methods=METHODS)
@bp.route("/<path:path>", methods=METHODS)
def call(path: str) -> Response:
    """Any call. What is not an address of SCIM gets its 404 or 405."""
    hash = tokens.digest(_token())
    _count(hash)
    if request.method in SAFE:
        by = _known(queries.find_pusher(hash, now=clock.now()))
        return _answer(by, path)[0]
    rights.need()
    by = _held(hash)
    answer, refused = _answer(by, path)
    if answer.status_code >= 400:
        db.session.rollback()
        by = _held(hash)
    for what, name, sentence in refused:
        directory_sync.note_push(by=by, call=what, name=name, now=clock.now(), sentence=sentence)
    outbox.commit()
    return answer


def _held(hash: str) -> Pusher:
    """The directory behind the token, which stays valid until the commit; people and groups are locked before."""
    directory.lock(exclusive=True)
    by = _known(queries.hold_pusher(hash, now=clock.now()))
    rights.note_held()
    return by


call.audience = "directories"  # type: ignore[attr-defined]


def _answer(by: Pusher, path: str) -> tuple[Response, Sequence[tuple[str, str, str]]]:
    from . import server  # see the package's docstring

    answer, refused = server.handle(
        by, request.method, f"/{path}", base_url=settings().base_url.rstrip("/") + PREFIX, query=request.args.to_dict(),
        headers=list(request.headers.items()), body=request.get_data(), now=clock.now(),
    )  # fmt: skip
    body: Any = "" if answer.body is None else json.dumps(answer.body, ensure_ascii=False)
    return Response(body, int(answer.status), headers=answer.headers), refused


def _token() -> str:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not tokens.is_well_formed(secret.strip()):
        raise Refused(401, "Send the token of a directory: “Authorization: Bearer csn_svc_…”.")
    return secret.strip()


def _count(hash: str) -> None:
    """Counts the call by its token before the database is asked."""
    try:
        take(Count("scim", hash, ((CALLS, SECONDS),)))
    except TooMany as error:
        raise Refused(429, str(error), error.seconds) from None


def _known(by: Pusher | None) -> Pusher:
    if by is None:
        try:
            take(Count("scim-wrong", request.remote_addr or "", ((WRONG_TOKENS, SECONDS),)))
        except TooMany as error:
            raise Refused(429, str(error), error.seconds) from None
        raise Refused(401, "This token is unknown, or has ended. Make a new one on the page Directory.")
    if not tokens.is_allowed_from(by.networks, request.remote_addr or ""):
        raise Refused(401, "This token may not be used from this network.")
    trace.about(token=by.token_key)
    if by.is_paused:
        raise Refused(
            503, f"{by.directory_name} is paused in Countersign. An admin can resume it on the page Directory."
        )
    return by
