"""How a call becomes an operation: rate, token, scope, input, right, change, answer, in this order for every call.

`operation` registers a view together with all that the document says of it, so that the two cannot differ.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from http import HTTPStatus
from typing import Any, Literal, TypeVar
from urllib.parse import urlencode

from flask import Blueprint, Response, abort, g, request
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from webapp import clock
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.extensions import csrf
from webapp.queries import directory, ownership
from webapp.queries import tokens as token_queries
from webapp.queries.tokens import Caller
from webapp.web import rights
from webapp.web.problems import Problem
from webapp.web.security import SAFE
from webapp.workflow.scopes import Scope

from . import _callers, _replays
from ._callers import Sent
from ._faults import fields_of
from ._paging import Listed, PageQuery, cursor
from ._types import Body, Query

bp = Blueprint("api", __name__, url_prefix="/api/v1")
csrf.exempt(bp)  # it never reads a cookie
bp.after_request(_callers.add_rate_limit)

# Who may call: anyone, without a token; everyone with a token; people only (no service); owners of the app in the
# address; owners of any app; admins. Services have the rights of an admin within their scopes.
Audience = Literal["anyone", "tokens", "people", "owners_of_app", "any_app_owner", "admins"]

View = TypeVar("View", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """What the document says of a call, and what the guard checks."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    description: str
    scope: Scope | None
    audience: Audience
    query: type[Query] | None
    body: type[Body] | None
    answer: Any
    status: int
    is_list: bool
    refuses: tuple[int, ...]
    needs_match: bool
    once: tuple[str, ...]
    # The content type of an answer that is a stream; "" for JSON.
    streams: str
    # The content types of a body that is a file; none for JSON.
    takes: tuple[str, ...]

    @property
    def changes(self) -> bool:
        return self.method not in SAFE

    @property
    def statuses(self) -> list[int]:
        """Every status that it may answer, the good one first."""
        found = {429, 500, 503, *self.refuses} | (set() if self.audience == "anyone" else {401, 403})
        if "{" in self.path or self.audience in ("admins", "any_app_owner"):
            found.add(404)
        if self.query is not None:
            found |= {400, 414, 422}
        if self.body is not None or self.takes:
            found |= {400, 413, 415, 422}
        if self.changes:
            found |= {409, 422}
        if self.needs_match:
            found |= {412, 428}
        return [self.status, *sorted(found)]


OPERATIONS: list[Operation] = []


def operation(
    method: str, path: str, *, scope: Scope | None, audience: Audience = "tokens", query: type[Query] | None = None,
    body: type[Body] | None = None, answer: Any = None, status: int = 0, is_list: bool = False,
    refuses: Sequence[int] = (), needs_match: bool = False, alone: bool = False, once: Sequence[str] = (),
    streams: str = "", takes: Sequence[str] = (), before: Callable[[Caller], Any] | None = None,
) -> Callable[[View], View]:  # fmt: skip
    """Registers a view. It gets the caller (unless the audience is "anyone"), the parts of the address, and `query` and
    `body` if it has them; it returns its answer, which is committed with the change. Its docstring is what the document
    says.

    `alone`: it may change people, groups, owners, or the rules of an app, which whoever requests or adds it relies on
    until the commit. Calls of owners and admins always do, as the views of their screens. `needs_match`: it calls
    `must_match`. `once`: fields of the answer that are shown once, so that a repeated call gets None for them.
    `takes`: the content types of a file that is the body; the view, or `before`, reads it.
    `before`: slow reading, in a transaction of its own before that of the change; it gets the caller, and the view gets
    what it returns as `found`.
    """

    def register(view: View) -> View:
        summary, _, description = (view.__doc__ or "").strip().partition("\n")
        made = Operation(
            method, path, f"{view.__module__.rpartition('.')[2]}.{view.__name__}", view.__module__.rpartition(".")[2],
            summary.rstrip("."), " ".join(description.split()), scope, audience, query, body, answer,
            status or (200 if answer is not None or streams else 204), is_list, tuple(refuses), needs_match,
            tuple(once), streams, tuple(takes),
        )  # fmt: skip
        OPERATIONS.append(made)
        is_alone = alone or audience in ("owners_of_app", "any_app_owner", "admins")

        def call(**parts: str) -> Response:
            return _call(made, view, parts, alone=is_alone, before=before)

        call.audience = "anyone" if audience == "anyone" else "tokens"  # type: ignore[attr-defined]
        address = path.replace("{", "<").replace("}", ">")
        bp.add_url_rule(address, made.name.replace(".", "_"), call, methods=[method])
        return view

    return register


def _call(
    of: Operation, view: Callable[..., Any], parts: dict[str, str], *, alone: bool,
    before: Callable[[Caller], Any] | None,
) -> Response:  # fmt: skip
    if of.audience == "anyone":
        return _call_without_token(of, view, parts)
    token = _callers.token_sent()
    window = _callers.count(token)
    if of.changes:
        request.get_data()  # all of the body is here before anything is locked
        found: dict[str, Any] = {}
        if before is not None or window.has_many_strangers:
            # A stranger holds up nobody who changes something.
            with reading():
                caller = _callers.known(token_queries.find_caller(token.hash, now=clock.now()), token)
                if before is not None:
                    _check_scope(of, caller)
                    _check_audience(of, caller, parts)
                    found["found"] = before(caller)
        return _change(of, view, token, parts, found, alone=alone)
    caller = _callers.known(token_queries.find_caller(token.hash, now=clock.now()), token)
    _check_scope(of, caller)
    given = _read(of)
    _check_audience(of, caller, parts)
    return _answer(of, view(caller, **parts, **given), given.get("query"))[0]


def _call_without_token(of: Operation, view: Callable[..., Any], parts: dict[str, str]) -> Response:
    """For programs that have no token yet. A view that changes something takes its locks itself."""
    _callers.count_apart(_callers.of_address("api-address"))
    response, _ = _answer(of, view(**parts, **_read(of)), None)
    if of.changes:
        outbox.commit()
    return response


def _change(
    of: Operation, view: Callable[..., Any], token: Sent, parts: dict[str, str], found: dict[str, Any], *, alone: bool,
) -> Response:  # fmt: skip
    """The right and the change in one transaction, with the answer that a repeated call gets."""
    rights.need()
    directory.lock(exclusive=alone)
    caller = _callers.known(token_queries.hold_caller(token.hash, service=token.is_service, now=clock.now()), token)
    _check_scope(of, caller)
    given = _read(of) | found
    _check_audience(of, caller, parts)
    rights.note_held()
    key = _replays.key()
    if key and (repeated := _replays.begin(caller, key)) is not None:
        return repeated
    result = view(caller, **parts, **given)
    if of.needs_match and not g.pop("match_checked", False):
        raise RuntimeError(f"{of.name} has to call must_match().")
    response, body = _answer(of, result, None)
    if key:
        if of.once and result is not None:
            body = adapter(of.answer).dump_json(replace(result, **dict.fromkeys(of.once)))
        _replays.keep(caller, key, response, body)
    outbox.commit()
    return response


# The steps


def _check_scope(of: Operation, caller: Caller) -> None:
    if of.scope is not None and of.scope not in caller.scopes:
        raise Problem(403, "scope", f"This token was not made for this. It needs the scope {of.scope.value}.")


def _check_audience(of: Operation, caller: Caller, parts: dict[str, str]) -> None:
    """404 for who may not know of it, as on the screens."""
    if of.audience == "tokens":
        return
    if of.audience == "people":
        if caller.is_service:
            raise Problem(403, "not-allowed", "Only a person can do this, not a service token.")
    elif caller.is_admin:
        return
    elif of.audience == "admins":
        abort(404)
    elif of.audience == "any_app_owner":
        if not caller.owns:
            abort(404)
    elif caller.id is None or not ownership.owns(parts["app"], caller.id):
        abort(404)


def _read(of: Operation) -> dict[str, Any]:
    """The query and the body; what the call does not take is refused, because the program expects something of it."""
    given: dict[str, Any] = {}
    if of.query is not None:
        given["query"] = _read_query(of.query)
    elif request.args:
        name = next(iter(request.args))[:60]
        raise Problem(422, "invalid", "This call takes nothing after the question mark.", {name: "Leave this out."})
    if of.body is not None:
        given["body"] = _read_body(of.body)
    elif of.takes:
        if request.mimetype not in of.takes:
            raise Problem(415, "malformed", f"Send a file of one of these types: {', '.join(of.takes)}.")
    elif request.get_data().strip() not in (b"", b"{}"):
        raise Problem(422, "invalid", "This call takes no body.")
    return given


def _read_query(model: type[Query]) -> Query:
    values = request.args.to_dict(flat=False)
    twice = [name for name, given in values.items() if len(given) > 1]
    if twice:
        raise Problem(422, "invalid", f"Send {twice[0][:60]} once.", {twice[0][:60]: "Send this once."})
    sent = {name: given[0] for name, given in values.items()}
    try:
        return model.model_validate(sent)
    except ValidationError as error:
        raise _invalid(error, sent) from None


def _read_body(model: type[Body]) -> Body:
    raw = request.get_data()
    if not raw and not request.mimetype:
        raw = b"{}"  # as curl -X POST sends it, where nothing has to be said
    elif request.mimetype != "application/json":
        raise Problem(415, "malformed", "Send the body as JSON, with “Content-Type: application/json”.")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors(include_url=False, include_input=False)):
            raise Problem(400, "malformed", "The body is not JSON.") from None
        raise _invalid(error, from_json(raw)) from None


def _invalid(error: ValidationError, sent: Any) -> Problem:
    fields = fields_of(error, sent)
    return Problem(422, "invalid", " ".join(dict.fromkeys(fields.values())), fields)


# The answer


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Writes answers of this kind as JSON; built once."""
    return TypeAdapter(kind)


def etag(body: bytes) -> str:
    """Of an answer's bytes."""
    return hashlib.sha256(body).hexdigest()[:16]


def _answer(of: Operation, result: Any, query: Any) -> tuple[Response, bytes]:
    if isinstance(result, Response):  # a stream
        return result, b""
    if of.answer is None:
        return Response(status=of.status), b""
    following = ""
    if of.is_list:
        listed: Listed = result
        following = cursor(query, listed.key) if listed.key is not None and isinstance(query, PageQuery) else ""
        body = b'{"items":%b,"next":%b}' % (
            adapter(list[of.answer]).dump_json(listed.items),  # type: ignore[name-defined]
            b'"%b"' % following.encode() if following else b"null",
        )
    else:
        body = adapter(of.answer).dump_json(result)
    response = Response(body, of.status, content_type="application/json")
    if following:
        others = {name: value for name, value in request.args.items() if name != "cursor"}
        response.headers["Link"] = f'<{request.base_url}?{urlencode({**others, "cursor": following})}>; rel="next"'
    if not of.is_list:
        response.set_etag(etag(body))
    if of.method == "GET":
        response.make_conditional(request)
    if of.status == HTTPStatus.CREATED:
        response.headers["Location"] = f"{request.path}/{result.id}"
    return response, body


def must_match(kind: Any, present: Any) -> None:
    """Call it with the answer that a GET would give now, once its row is locked: refuses a change of what was changed
    since the caller read it."""
    g.match_checked = True
    if not request.if_match:
        raise Problem(428, "condition-missing", "Send the ETag that you read as If-Match, so that no change is lost.")
    if not request.if_match.contains(etag(adapter(kind).dump_json(present))):
        raise Problem(412, "changed", "This was changed since you read it. Read it again, then change it.")
