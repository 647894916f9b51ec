"""Who the token stands for."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from webapp import clock
from webapp.extensions import db
from webapp.models import ApiToken, Person
from webapp.operations import tokens
from webapp.queries.reporting import manager_of
from webapp.queries.tokens import Caller
from webapp.workflow.scopes import Scope

from ._answers import PersonRef
from ._operation import operation
from ._types import Email, Flag, Instant, Key, Name, one_of


@dataclass(frozen=True, slots=True)
class Token:
    """The token that was sent."""

    id: Key
    name: Annotated[str, Field(examples=["laptop"])]
    kind: one_of(("person", "service"))  # type: ignore[valid-type]
    scopes: list[one_of(Scope)]  # type: ignore[valid-type]
    expires_at: Instant | None


@dataclass(frozen=True, slots=True)
class PersonMe:
    """The person whose token it is."""

    id: Key
    name: Name
    email: Email
    department: Annotated[str, Field(description="“” if there is none.", examples=["Marketing"])]
    manager: Annotated[PersonRef | None, Field(description="Whom they report to.")]
    is_admin: Flag
    owns_apps: Flag


@dataclass(frozen=True, slots=True)
class Me:
    """Who acts: a person, or null for a service token, and what the token was made for."""

    person: PersonMe | None
    token: Token


@operation("GET", "/me", scope=None, answer=Me)
def read(caller: Caller) -> Me:
    """Read who the token stands for.

    It needs no scope, so it shows whether a token works."""
    person = None
    if not caller.is_service:
        who = db.session.get_one(Person, caller.id)
        manager = manager_of(who)
        person = PersonMe(
            caller.key, str(caller.name), caller.email, str(who.department),
            PersonRef(manager.public_id, str(manager.name)) if manager else None, caller.is_admin, caller.owns,
        )  # fmt: skip
    kind = "service" if caller.is_service else "person"
    scopes = sorted(one.value for one in caller.scopes)
    return Me(person, Token(caller.token_key, str(caller.token_name), kind, scopes, caller.expires_at))


@operation("DELETE", "/me/token", scope=None)
def end_token(caller: Caller) -> None:
    """End the token that was sent.

    As a program does that signs out: no later call by it is taken."""
    token = db.session.get_one(ApiToken, caller.token)
    tokens.revoke(token, actor=caller, now=clock.now())
