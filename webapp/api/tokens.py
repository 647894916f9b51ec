"""API tokens: which there are, and ending one. None is made here: its secret would be in an answer."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.operations import tokens as operations
from webapp.queries import tokens as queries
from webapp.queries.tokens import Caller
from webapp.web import token_forms
from webapp.web.problems import Problem
from webapp.workflow.scopes import Scope, parse_scopes

from ._answers import PersonRef
from ._operation import operation
from ._paging import Listed, PageQuery
from ._types import Body, Instant, Key, Word, one_of


@dataclass(frozen=True, slots=True)
class TokenLine:
    """A token, without its secret."""

    id: Key
    kind: one_of(("person", "service"))  # type: ignore[valid-type]
    name: Annotated[str, Field(examples=["laptop"])]
    beginning: Annotated[str, Field(description="How its secret begins.", examples=["csn_4hT9pQxK"])]
    person: PersonRef | None
    scopes: list[one_of(Scope)]  # type: ignore[valid-type]
    networks: Annotated[
        list[str], Field(description="Where it may be used from; empty for anywhere.", examples=[["10.2.0.0/16"]])
    ]
    created_at: Instant
    expires_at: Instant
    last_used_at: Annotated[Instant | None, Field(description="Some seconds late.")]
    revoked_at: Instant | None
    revoked_by: PersonRef | None


def _line(row: Any) -> TokenLine:
    return TokenLine(
        row.public_id, row.kind, str(row.name), row.beginning, _person(row.person, row.person_name),
        sorted(one.value for one in parse_scopes(row.scopes)), row.networks.split(), row.created_at,
        row.expires_at, row.last_used_at, row.revoked_at, _person(row.ended_by, row.ended_by_name),
    )  # fmt: skip


def _person(key: str | None, name: str | None) -> PersonRef | None:
    return PersonRef(key, str(name)) if key is not None else None


class TokenQuery(PageQuery):
    """The filter of the list."""

    kind: Annotated[
        Literal["person", "service"] | None, Field(description="“person”: your own. “service”: those of services.")
    ] = None
    in_use: Annotated[bool | None, Field(description="Only those that work, or only those that have ended.")] = None


@operation("GET", "/tokens", scope=None, query=TokenQuery, answer=TokenLine, is_list=True)
def find(caller: Caller, *, query: TokenQuery) -> Listed:
    """List your tokens.

    Newest first. With the scope settings:admin the list has the tokens of services, too. It needs no scope
    otherwise."""
    edge = query.after(int)
    rows = queries.feed(
        person=caller.id if query.kind != "service" else None,
        services=_manages(caller) and query.kind != "person",
        in_use=query.in_use,
        now=clock.now(),
        after=edge[0] if edge else None,
        limit=query.limit + 1,
    )
    key = (rows[query.limit - 1].id,) if len(rows) > query.limit else None
    return Listed([_line(row) for row in rows[: query.limit]], key)


@operation("POST", "/tokens/{token}/revocation", scope=None, answer=TokenLine, alone=True)
def revoke(caller: Caller, *, token: str) -> TokenLine:
    """End a token.

    At once and for good. A token may always end itself. With the scope settings:admin it may end your other tokens,
    and those of services; without, do that in your account."""
    found = queries.one(token) or abort(404)
    if found.public_id != caller.token_key and not (_manages(caller) and found.person_id in (None, caller.id)):
        if found.person_id is None or found.person_id != caller.id:
            abort(404)
        raise Problem(403, "scope", "This token can end only itself. End your other tokens in your account.")
    operations.revoke(found, actor=caller, now=clock.now())
    return _line(queries.line(found.id))


class Leak(Body):
    """A token that leaked."""

    token: Annotated[
        Word,
        Field(description="The token, its first characters, or a line that it stands in.", examples=["csn_4hT9pQxK"]),
    ]


@operation("POST", "/tokens/leak", scope=Scope.SETTINGS_ADMIN, audience="admins", body=Leak, answer=TokenLine,
           alone=True)  # fmt: skip
def end_leaked(caller: Caller, *, body: Leak) -> TokenLine:
    """End a token that leaked.

    Of anyone. Its person is told. One that had ended already is answered as it is, so that a scanner may report it
    twice."""
    now = clock.now()
    found = token_forms.leaked(body.token, now=now).token
    if found.revoked_at is None and found.expires_at > now:
        operations.revoke(found, actor=caller, now=now, leaked=True)
    return _line(queries.line(found.id))


def _manages(caller: Caller) -> bool:
    """Whether the caller sees and ends the tokens of services."""
    return caller.is_admin and Scope.SETTINGS_ADMIN in caller.scopes
