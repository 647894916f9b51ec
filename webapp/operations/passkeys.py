"""Passkeys of people: added, used and removed. Each change is recorded, and mailed to its person."""

from datetime import datetime

from sqlalchemy import delete, update

from webapp import passkeys
from webapp.extensions import db
from webapp.models import Passkey, Person
from webapp.queries import factors as queries
from webapp.queries.sessions import lock_person
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line
from webapp.workflow.actor import SYSTEM, AnyActor

from ._sql import changed, unless_taken
from .errors import Conflict, Invalid
from .factors import codes_for_first, forget_codes_without_factor, tell

NAME_LIMIT, LIMIT = 80, 20
GONE = "This passkey has already been removed."


def add(person: Person, made: passkeys.Registered, *, name: str, actor: AnyActor, now: datetime) -> list[str]:
    """Adds a passkey. Returns new recovery codes if the person has none left. Raises Invalid and Conflict."""
    name = one_line(name)
    if not name:
        raise Invalid(name="Enter a name, so that you can tell your passkeys apart.")
    if len(name) > NAME_LIMIT:
        raise Invalid(name=f"Use {NAME_LIMIT} characters or fewer. You entered {len(name):,}.")
    lock_person(person.id)
    if len(queries.of(person.id).passkeys) >= LIMIT:
        raise Conflict(f"You can have {LIMIT} passkeys. Remove one that you no longer use first.")
    with unless_taken(Conflict("This passkey has already been added.")):
        db.session.add(
            Passkey(
                person_id=person.id, name=name, credential_id=made.credential_id, public_key=made.public_key,
                sign_count=made.sign_count, transports=made.transports, backed_up=made.backed_up, created_at=now,
            )
        )  # fmt: skip
    audit.record(EventKind.FACTOR_ADDED, at=now, actor=actor, person=person.id, factor="passkey")
    tell(person.id, "passkey-added", name=name, now=now)
    return codes_for_first(person, now=now)


def remove(person: Person, passkey: Passkey, *, actor: AnyActor, now: datetime) -> None:
    """The passkey no longer signs in. Raises Conflict."""
    lock_person(person.id)
    if not changed(delete(Passkey).where(Passkey.id == passkey.id, Passkey.person_id == person.id)):
        raise Conflict(GONE)
    audit.record(EventKind.FACTOR_REMOVED, at=now, actor=actor, person=person.id, factor="passkey")
    tell(person.id, "passkey-removed", name=str(passkey.name), now=now)
    forget_codes_without_factor(person.id)


def use(passkey: Passkey, signed: passkeys.Signed, *, now: datetime) -> bool:
    """Notes the use. False if the counter did not go up: then there is a copy of the passkey, which is recorded and
    mailed. Passkeys that several devices share do not count."""
    count = signed.sign_count
    if changed(
        update(Passkey)
        .where(
            Passkey.id == passkey.id,
            Passkey.sign_count < count if count else Passkey.sign_count == 0,
        )
        .values(sign_count=count, last_used_at=now, backed_up=signed.backed_up)
    ):
        return True
    audit.record(EventKind.PASSKEY_REFUSED, at=now, actor=SYSTEM, person=passkey.person_id)
    tell(passkey.person_id, "passkey-refused", name=str(passkey.name), now=now)
    return False
