"""Accounts: by email address or by an emailed link, and their sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from webapp.addresses import plain, same
from webapp.extensions import db
from webapp.models import Group, Membership, Organisation, Person, PersonSession

# More than anyone reads; "Sign out everywhere" ends the others, too.
SESSIONS_SHOWN = 50


def by_email(email: str) -> Person | None:
    """The active person with this address, in any spelling."""
    # The spelling as typed wins: older rows may hold two spellings of one address.
    typed = plain(email)
    found = db.session.scalars(select(Person).where(Person.email.in_((typed, same(email))), Person.active)).all()
    return min(found, key=lambda person: person.email != typed, default=None)


def behind_password_link(public_id: str, round: int) -> Person | None:
    """The active person whom a set-password link is for; None once a password was set since the link was made."""
    return db.session.scalar(
        select(Person).where(Person.public_id == public_id, Person.password_round == round, Person.active)
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """What a person's own page shows beside the person."""

    organisation_zone: str
    groups: Sequence[str]


def profile(person_id: int) -> Profile:
    """Two statements, however many groups."""
    return Profile(
        db.session.scalar(select(Organisation.time_zone)) or "UTC",
        db.session.scalars(
            select(Group.name)
            .join(Membership, Membership.group_id == Group.id)
            .where(Membership.person_id == person_id, Group.archived_at.is_(None))
            .order_by(Group.sort_key, Group.id)
        ).all(),
    )


def sessions(person_id: int, *, now: datetime) -> Sequence[PersonSession]:
    """The person's sessions and trusted browsers, last seen first."""
    return db.session.scalars(
        select(PersonSession)
        .where(PersonSession.person_id == person_id, PersonSession.ended_at.is_(None), PersonSession.expires_at > now)
        .order_by(PersonSession.seen_at.desc(), PersonSession.id.desc())
        .limit(SESSIONS_SHOWN)
    ).all()


def session_ended(public_id: str, person_id: int) -> bool:
    """Whether this is one of the person's own sessions that has ended already."""
    return (
        db.session.scalar(
            select(PersonSession.id).where(
                PersonSession.public_id == public_id,
                PersonSession.person_id == person_id,
                PersonSession.ended_at.is_not(None),
            )
        )
        is not None
    )
