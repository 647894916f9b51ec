"""Sessions, as others than their owner's sign-in look at them."""

from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select

from webapp.extensions import db
from webapp.models import Person, PersonSession

# Not FOR UPDATE: rows that refer to the person are written meanwhile.
_PERSON = select(Person.id).where(Person.id == bindparam("of")).with_for_update(key_share=True)
_PERSON_OF_SESSION = (
    select(Person.id)
    .where(
        Person.id == select(PersonSession.person_id).where(PersonSession.public_id == bindparam("of")).scalar_subquery()
    )
    .with_for_update(key_share=True)
)


def hold_person(person_id: int) -> None:
    """Holds the person's row until the end of the transaction: one of those who set their password, end their
    sessions or act in one of them comes after the other. SQLite has one writer anyway."""
    _hold(_PERSON, person_id)


def hold_person_of(public_id: str) -> None:
    """`hold_person` for the person of a session."""
    _hold(_PERSON_OF_SESSION, public_id)


def _hold(statement: Any, of: int | str) -> None:
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(statement, {"of": of})


def live_browser(public_id: str, person_id: int, *, now: datetime) -> bool:
    """Whether this browser is (still) remembered for this person's decisions."""
    return bool(
        db.session.scalar(
            select(
                exists().where(
                    PersonSession.public_id == public_id,
                    PersonSession.person_id == person_id,
                    PersonSession.kind == "decisions",
                    PersonSession.ended_at.is_(None),
                    PersonSession.expires_at > now,
                )
            )
        )
    )
