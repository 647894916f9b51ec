"""Locks and reads of sessions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select

from webapp.extensions import db
from webapp.models import Person, PersonSession
from webapp.queries.columns import pad_in_list

# Not FOR UPDATE: other transactions may insert rows that refer to the person.
_PERSON = select(Person.id).where(Person.id == bindparam("of")).with_for_update(key_share=True)
_PERSON_OF_SESSION = (
    select(Person.id)
    .where(
        Person.id == select(PersonSession.person_id).where(PersonSession.public_id == bindparam("of")).scalar_subquery()
    )
    .with_for_update(key_share=True)
)


def lock_person(person_id: int) -> None:
    """Lock the person's row until the end of the transaction, so that setting the password, ending sessions and acting
    in one of them follow each other. SQLite has one writer anyway."""
    _lock(_PERSON, person_id)


def lock_people(ids: Sequence[int]) -> None:
    """The same for several people, always in one order, so that no two transactions wait for each other."""
    if db.session.connection().dialect.name == "postgresql":
        several = select(Person.id).where(Person.id.in_(pad_in_list(ids))).order_by(Person.id)
        db.session.execute(several.with_for_update(key_share=True))


def lock_person_of(public_id: str) -> None:
    """Lock the person of a session, as `lock_person`."""
    _lock(_PERSON_OF_SESSION, public_id)


def _lock(statement: Any, of: int | str) -> None:
    connection = db.session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(statement, {"of": of})


def live_browser(public_id: str, person_id: int, *, now: datetime) -> bool:
    """Whether this browser is a trusted browser of this person."""
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
