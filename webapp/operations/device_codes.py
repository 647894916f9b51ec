"""Terminals that sign in by a code (RFC 8628): ask, approve or deny in the browser, and fetch the token.

The token is made when the terminal fetches it, not when its person approves: until then there is no secret to store,
and the person's rights are those of the moment in which it is made.
"""

import secrets
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import delete, update

from webapp import tokens as secrets_of_tokens
from webapp.extensions import db
from webapp.models import ApiToken, DeviceCode, Organisation, Person
from webapp.queries import sessions
from webapp.text import one_line, public_id
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.scopes import Scope, dump_scopes

from . import tokens
from ._sql import changed, run_if_free
from .errors import Conflict, Invalid

LASTS = timedelta(minutes=10)
# Rows are kept so long after that, so that a terminal that comes late is told why.
KEPT = timedelta(hours=1)
# Consonants without those that are taken for another: no words by chance, and 34 bits in 8 of them (RFC 8628, 6.1).
LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
_ROWS = DeviceCode.metadata.tables["device_codes"]
GONE = "This code has ended. Run the command in the terminal again."


def ask(*, name: str, scopes: Collection[str], days: int, address: str, now: datetime) -> tuple[DeviceCode, str]:
    """A terminal asks for a token; returns the row with the secret by which it fetches the token. Raises Invalid."""
    known = {one.value for one in Scope}
    unknown = sorted(set(scopes) - known)
    if unknown:
        raise Invalid(scopes=f"“{one_line(unknown[0])[:40]}” is not a scope.")
    if not scopes:
        raise Invalid(scopes="Ask for at least one scope.")
    name = one_line(name)
    if not 0 < len(name) <= tokens.NAME_LIMIT:
        raise Invalid(name=f"Send the name of the machine, in {tokens.NAME_LIMIT} characters or fewer.")
    if not 1 <= days <= tokens.LONGEST.days:
        raise Invalid(days=f"A token can last 1 to {tokens.LONGEST.days} days.")
    changed(delete(DeviceCode).where(DeviceCode.expires_at < now - KEPT))
    secret, key = secrets.token_urlsafe(32), public_id()
    values = {
        "public_id": key,
        "hash": secrets_of_tokens.digest(secret),
        "name": name,
        "address": address,
        "scopes": dump_scopes(frozenset(Scope(one) for one in scopes)),
        "days": days,
        "state": "waiting",
        "created_at": now,
        "expires_at": now + LASTS,
    }
    while not run_if_free(_ROWS, user_code="".join(secrets.choice(LETTERS) for _ in range(8)), **values):
        pass  # one of the codes that wait is the same
    return db.session.query(DeviceCode).filter_by(public_id=key).one(), secret


def days_for(code: DeviceCode) -> int:
    """How long its token would last: as asked, within what the organisation allows."""
    return min(code.days, db.session.get_one(Organisation, 1).token_days)


def scopes_for(code: DeviceCode, person: Person) -> list[Scope]:
    """What it asked for and this person may allow, in the order of the scopes."""
    return [one for one in Scope if one in code.scopes and (person.is_admin or not one.is_for_admins)]


def approve(code: DeviceCode, *, person: Person, scopes: Collection[str], days: int, now: datetime) -> None:
    """The person allows a token with these scopes, of those that were asked for. Raises Invalid, NotYourTurn and
    Conflict."""
    if more := set(scopes) - {one.value for one in code.scopes}:
        raise Invalid(scopes=f"The terminal did not ask for {sorted(more)[0][:40]}.")
    wanted = tokens.check(scopes=scopes, days=days, now=now, person=person)
    _settle(code, "approved", person, now=now, scopes=dump_scopes(wanted), days=days)


def deny(code: DeviceCode, *, person: Person, now: datetime) -> None:
    """The person refuses. Raises Conflict."""
    _settle(code, "denied", person, now=now)


def _settle(code: DeviceCode, state: str, person: Person, *, now: datetime, **values: object) -> None:
    settled = changed(
        update(_ROWS)
        .where(_ROWS.c.id == code.id, _ROWS.c.state == "waiting", _ROWS.c.expires_at > now)
        .values(state=state, person_id=person.id, **values)
    )
    if settled != 1:
        raise Conflict("This code was used already, or has ended. Run the command in the terminal again.")


def fetch(code: DeviceCode, *, now: datetime) -> tuple[ApiToken, str]:
    """Makes the token of an approved code, once; returns it with its secret. Raises Conflict, and what `tokens.create`
    raises where the person may no longer have it."""
    if code.person_id is None:
        raise Conflict(GONE)
    # First the person, as the page where they approve does. A deactivation or the loss of a right came first and is
    # seen, or waits for this.
    sessions.lock_person(code.person_id)
    fetched = changed(
        update(_ROWS)
        .where(_ROWS.c.id == code.id, _ROWS.c.state == "approved", _ROWS.c.expires_at > now)
        .values(state="used")
    )
    if fetched != 1:
        raise Conflict(GONE)
    person = db.session.get_one(Person, code.person_id, populate_existing=True)
    if not person.active:
        raise NotYourTurn("This account is deactivated. Ask an admin.")
    scopes = [one.value for one in code.scopes]
    return tokens.create(name=code.name, scopes=scopes, days=code.days, actor=person, now=now, person=person)
