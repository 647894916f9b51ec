"""API tokens: make, revoke, and end one that leaked."""

import json
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_network

from sqlalchemy import ColumnElement, bindparam, exists, func, select, update

from webapp import tokens
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import ApiToken, Organisation, Person
from webapp.notices import NoticeKind, notice
from webapp.queries import sessions
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import AnyActor, require_responsible
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.scopes import Scope, dump_scopes

from ._sql import changed, run
from .errors import Conflict, Invalid

NAME_LIMIT = 80
# The longest that a token lasts, whatever the organisation allows.
LONGEST = timedelta(days=365)
# Tokens in use that one person, or all services together, may have.
COUNT_LIMIT = 50
NETWORKS_LIMIT = 10

_TOKENS = ApiToken.metadata.tables["api_tokens"]
_USE = (
    update(_TOKENS)
    .where(_TOKENS.c.hash == bindparam("of"))
    .values(last_used_at=bindparam("at"), last_used_address=bindparam("address"))
)


def create(
    *, name: str, scopes: Collection[str], days: int, actor: AnyActor, now: datetime, person: Person | None = None,
    networks: str = "", unique: bool = False, besides: ApiToken | None = None, directory_id: int | None = None,
) -> tuple[ApiToken, str]:  # fmt: skip
    """A new token of this person, else of a service; returns it with its secret, which is stored nowhere. That of a
    directory has no scopes: it is for pushes only.

    `days` is how long it lasts, `networks` where it may be used from, as typed. With `unique` no other token in use may
    have the name, but for `besides`, which is being replaced: a form that is sent twice makes one token. Raises
    Invalid.
    """
    name, networks = _name(name), _networks(networks)
    if directory_id is None:
        wanted = check(scopes=scopes, days=days, now=now, person=person)
    else:
        wanted = frozenset[Scope]()
        _check_days(days, None)
    row = ApiToken(
        kind="service" if person is None else "person",
        directory_id=directory_id,
        person_id=person.id if person is not None else None,
        name=name,
        networks=networks,
        # Nobody opens an app to themselves by a service: what it does counts as done by who made its token.
        # A directory that the command line connects has nobody: it opens no apps.
        created_by_id=require_responsible(actor) if directory_id is None else actor.responsible_id,
        created_at=now,
        expires_at=now + timedelta(days=days),
    )
    row.scope_list = dump_scopes(wanted)
    if unique:
        _refuse_taken_name(row.name, person, besides, now=now)
    secret = tokens.make(service=row.is_service)
    row.beginning, row.hash = tokens.beginning(secret), tokens.digest(secret)
    db.session.add(row)
    db.session.flush()
    audit.record(
        EventKind.TOKEN_CREATED, at=now, actor=actor, person=row.person_id, api_token=row.id, name=sha256(row.name),
        scopes=row.scope_list.split(), until=row.expires_at.isoformat(),
    )  # fmt: skip
    if person is not None:
        outbox.post([_told(row, "created", by=actor.id, now=now)])
    return row, secret


def check(*, scopes: Collection[str], days: int, now: datetime, person: Person | None) -> frozenset[Scope]:
    """The scopes, if a token with them may be made now for this person, else for a service. Raises Invalid, and
    NotYourTurn where the organisation allows no tokens."""
    found = _scopes(scopes, person)
    _check_days(days, person)
    _refuse_too_many(person, now=now)
    return found


def revoke(token: ApiToken, *, actor: AnyActor, now: datetime, leaked: bool = False) -> None:
    """Ends a token at once. Its person is told, unless it was they who ended it. Raises Conflict if it had ended."""
    if token.person_id is not None:
        # What its person is doing by it is done before, or is refused.
        sessions.lock_person(token.person_id)
    ended = changed(
        update(ApiToken)
        .where(ApiToken.id == token.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by_id=actor.responsible_id)
    )
    if ended != 1:
        raise Conflict(f"The token {token.name} had ended already.")
    facts = {"leaked": True} if leaked else {}
    audit.record(EventKind.TOKEN_REVOKED, at=now, actor=actor, person=token.person_id, api_token=token.id,
                 name=sha256(token.name), **facts)  # fmt: skip
    if token.person_id is not None and token.person_id != actor.id:
        outbox.post([_told(token, "leaked" if leaked else "revoked", by=actor.responsible_id, now=now)])


def note_use(uses: Mapping[str, tuple[datetime, str]]) -> None:
    """Hash of a token → when and from which address it was last used; one statement."""
    if uses:
        run(_USE, [{"of": hash, "at": at, "address": address} for hash, (at, address) in uses.items()])


def _told(token: ApiToken, what: str, *, by: int | None, now: datetime) -> dict[str, object]:
    data = {
        "what": what,
        "token": str(token.name),
        "scopes": token.scope_list.split(),
        "until": token.expires_at.isoformat(),
        "by": by,
    }
    return notice(NoticeKind.API_TOKEN, "requester", now=now, person_id=token.person_id,
                  data_json=json.dumps(data))  # fmt: skip


def _name(given: str) -> str:
    name = one_line(given)
    if not name:
        raise Invalid(name="Enter a name, so that you and the audit log know which program it is.")
    if len(name) > NAME_LIMIT:
        raise Invalid(name=f"Use {NAME_LIMIT} characters or fewer. You entered {len(name):,}.")
    return name


def _scopes(given: Collection[str], person: Person | None) -> frozenset[Scope]:
    known = {one.value for one in Scope}
    unknown = sorted(set(given) - known)
    if unknown:
        raise Invalid(scopes=f"“{one_line(unknown[0])[:40]}” is not a scope. Choose from the list.")
    scopes = frozenset(Scope(one) for one in given)
    if not scopes:
        raise Invalid(scopes="Choose at least one.")
    if person is None and Scope.DECIDE in scopes:
        raise Invalid(scopes="A service token cannot decide. Only people approve and deny.")
    if person is not None and not person.is_admin and any(one.is_for_admins for one in scopes):
        raise Invalid(scopes="Scopes for admins are not available to you, because you are not an admin.")
    return scopes


def days_allowed(person: Person | None) -> int:
    """For how many days a new token of this person, else of a service, may last. Raises NotYourTurn where people may
    make none."""
    if person is None:
        return LONGEST.days
    ours = db.session.get_one(Organisation, 1)
    if not ours.tokens_allowed:
        raise NotYourTurn("Your organisation does not allow API tokens. Ask an admin.")
    return min(LONGEST.days, ours.token_days)


def _check_days(days: int, person: Person | None) -> None:
    limit = days_allowed(person)
    if not 1 <= days <= limit:
        raise Invalid(days=f"A token can last 1 to {limit} days.")


def _networks(given: str) -> str:
    typed = given.replace(",", " ").split()
    if len(typed) > NETWORKS_LIMIT:
        raise Invalid(networks=f"Enter {NETWORKS_LIMIT} networks or fewer. You entered {len(typed)}.")
    found = []
    for one in typed:
        try:
            found.append(str(ip_network(one, strict=False)))
        except ValueError:
            raise Invalid(networks=f"“{one[:60]}” is not an address or a network. Example: 10.2.0.0/16.") from None
    return " ".join(dict.fromkeys(found))


def _in_use(person: Person | None, *, now: datetime) -> tuple[ColumnElement[bool], ...]:
    whose = ApiToken.person_id == person.id if person is not None else ApiToken.kind == "service"
    return whose, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now


def _refuse_too_many(person: Person | None, *, now: datetime) -> None:
    in_use = db.session.scalar(select(func.count()).where(*_in_use(person, now=now)))
    if (in_use or 0) >= COUNT_LIMIT:
        raise Invalid(name=f"There are {COUNT_LIMIT} tokens in use. End one that is no longer needed first.")


def _refuse_taken_name(name: str, person: Person | None, besides: ApiToken | None, *, now: datetime) -> None:
    """`besides` may have it, too: the token that is being replaced."""
    others = [ApiToken.id != besides.id] if besides is not None else []
    if db.session.scalar(select(exists().where(ApiToken.name == name, *_in_use(person, now=now), *others))):
        raise Invalid(name=f"A token named {name} is in use already. Use another name, or end that one first.")
