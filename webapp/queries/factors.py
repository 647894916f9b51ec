"""Second factors of people, and sign-ins that wait for one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql import ColumnElement

from webapp.extensions import db
from webapp.models import Authenticator, Passkey, Person, RecoveryCode, SignInState


@dataclass(frozen=True, slots=True)
class Factors:
    """What a person has beside the password."""

    authenticator: Authenticator | None
    codes_left: int
    codes: int
    codes_made_at: datetime | None
    passkeys: Sequence[Passkey] = ()

    @property
    def codes_stamp(self) -> str:
        """Says whether the recovery codes were renewed since a page was drawn."""
        return self.codes_made_at.isoformat() if self.codes_made_at else ""

    @property
    def any(self) -> bool:
        return self.authenticator is not None or bool(self.passkeys)


def of(person_id: int) -> Factors:
    """What the person has: three statements."""
    codes = db.session.execute(
        select(
            func.count().filter(RecoveryCode.used_at.is_(None)),
            func.count(),
            func.max(RecoveryCode.created_at),
        ).where(RecoveryCode.person_id == person_id)
    ).one()
    passkeys = db.session.scalars(
        select(Passkey).where(Passkey.person_id == person_id).order_by(Passkey.id),
        execution_options={"populate_existing": True},
    ).all()
    return Factors(db.session.get(Authenticator, person_id, populate_existing=True), *codes, passkeys)


def has_any(person_id: ColumnElement[int] | InstrumentedAttribute[int] | int) -> ColumnElement[bool]:
    """Whether the person has a second factor."""
    return or_(exists().where(Authenticator.person_id == person_id), exists().where(Passkey.person_id == person_id))


def is_asked(person_id: int) -> bool:
    """Whether the person is asked for a second factor after the password."""
    return bool(db.session.scalar(select(has_any(person_id))))


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in whose password was right, and whose it is."""

    state: SignInState
    person: Person


def waiting(public_id: str, *, now: datetime) -> Waiting | None:
    """The sign-in that waits for a second factor; None once it is over, or the password or account has changed."""
    found = db.session.execute(
        select(SignInState, Person)
        .join(Person, and_(Person.id == SignInState.person_id, Person.password_round == SignInState.password_round))
        .where(
            SignInState.public_id == public_id,
            SignInState.kind == "factor",
            SignInState.expires_at > now,
            Person.active,
        ),
        execution_options={"populate_existing": True},
    ).first()
    return Waiting(found[0], found[1]) if found is not None else None


def challenge(public_id: str, kind: str, person_id: int | None, *, now: datetime) -> str:
    """What a passkey has to sign in this browser; "" for nothing."""
    return (
        db.session.scalar(
            select(SignInState.challenge).where(
                SignInState.public_id == public_id,
                SignInState.kind == kind,
                SignInState.person_id.is_(None) if person_id is None else SignInState.person_id == person_id,
                SignInState.expires_at > now,
            )
        )
        or ""
    )


def passkey(credential_id: bytes) -> tuple[Passkey, Person] | None:
    """The passkey and its active person."""
    found = db.session.execute(
        select(Passkey, Person)
        .join(Person, Person.id == Passkey.person_id)
        .where(Passkey.credential_id == credential_id, Person.active)
    ).first()
    return (found[0], found[1]) if found is not None else None


def own_passkey(public_id: str, person_id: int) -> Passkey | None:
    """A passkey of this person."""
    return db.session.scalar(select(Passkey).where(Passkey.public_id == public_id, Passkey.person_id == person_id))


def has_passkey(person_id: int) -> bool:
    """Whether the person has a passkey."""
    return bool(db.session.scalar(select(exists().where(Passkey.person_id == person_id))))
