"""Providers of single sign-on, and who is linked to them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import exists, func, select

from webapp.extensions import db
from webapp.models import Group, Identity, Membership, Organisation, Person, Provider, ProviderGroup

# Names that a page lists; of more it says how many.
NAMED = 20

_ORDER = (Provider.place, Provider.id)
# Built once: the sign-in page is opened more often than any other.
_BUTTONS = select(Provider.public_id, Provider.name).where(Provider.in_use).order_by(*_ORDER)
_SIGN_IN = select(Organisation.passwords_for_all, Organisation.name)


@dataclass(frozen=True, slots=True)
class Button:
    """A provider on the sign-in page."""

    public_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways to sign in here."""

    buttons: tuple[Button, ...] = ()
    passwords_for_all: bool = True
    organisation: str = ""


def ways() -> Ways:
    """Two statements."""
    buttons = tuple(Button(row.public_id, row.name) for row in db.session.execute(_BUTTONS))
    row = db.session.execute(_SIGN_IN).one()
    return Ways(buttons, row.passwords_for_all, row.name)


def buttons_of(person_id: int) -> list[Button]:
    """The providers that this person can sign in with again."""
    rows = db.session.execute(
        select(Provider.public_id, Provider.name)
        .join(Identity, Identity.provider_id == Provider.id)
        .where(Identity.person_id == person_id, Provider.in_use)
        .order_by(*_ORDER)
    )
    return [Button(row.public_id, row.name) for row in rows]


@dataclass(frozen=True, slots=True)
class Connection:
    """A provider on a person's own page: linked since when, or not."""

    public_id: str
    name: str
    linked_at: datetime | None
    last_used_at: datetime | None


def connections(person_id: int) -> list[Connection]:
    """Those with a button, and those that the person is linked to; one statement."""
    rows = db.session.execute(
        select(Provider.public_id, Provider.name, Identity.linked_at, Identity.last_used_at)
        .outerjoin(Identity, (Identity.provider_id == Provider.id) & (Identity.person_id == person_id))
        .where(Provider.in_use | Identity.id.is_not(None))
        .order_by(*_ORDER)
    )
    return [Connection(row.public_id, row.name, row.linked_at, row.last_used_at) for row in rows]


def passwords_for_all() -> bool:
    return bool(db.session.scalar(select(Organisation.passwords_for_all)))


def by_public_id(public_id: str) -> Provider | None:
    return db.session.scalar(select(Provider).where(Provider.public_id == public_id))


def is_linked(person_id: int) -> bool:
    """Whether the person can sign in through a provider."""
    return bool(db.session.scalar(select(exists().where(Identity.person_id == person_id))))


def by_id(id: int) -> Provider | None:
    return db.session.get(Provider, id)


def person_of(provider_id: int, subject: str) -> Person | None:
    """Who is linked to this subject, active or not."""
    return db.session.scalar(
        select(Person)
        .join(Identity, Identity.person_id == Person.id)
        .where(Identity.provider_id == provider_id, Identity.subject == subject)
    )


def by_email(email: str) -> Person | None:
    """The person with this address, active or not."""
    return db.session.scalar(select(Person).where(Person.email == email))


def active_person(public_id: str) -> Person | None:
    return db.session.scalar(select(Person).where(Person.public_id == public_id, Person.active))


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """A provider in the list: how many people are linked, and when one last signed in."""

    provider: Provider
    linked: int
    last_used_at: datetime | None


def all_of() -> list[ProviderLine]:
    """One statement."""
    counted = (
        select(Identity.provider_id, func.count().label("linked"), func.max(Identity.last_used_at).label("last"))
        .group_by(Identity.provider_id)
        .subquery()
    )
    rows = db.session.execute(
        select(Provider, counted.c.linked, counted.c.last)
        .outerjoin(counted, counted.c.provider_id == Provider.id)
        .order_by(*_ORDER)
    )
    return [ProviderLine(row.Provider, row.linked or 0, row.last) for row in rows]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of the table of groups."""

    public_id: str
    value: str
    group: Group
    members: int


def group_rows(provider: Provider) -> list[GroupRow]:
    """One statement."""
    members = select(func.count()).where(Membership.group_id == Group.id).scalar_subquery()
    rows = db.session.execute(
        select(ProviderGroup.public_id, ProviderGroup.value, Group, members.label("members"))
        .join(Group, Group.id == ProviderGroup.group_id)
        .where(ProviderGroup.provider_id == provider.id)
        .order_by(ProviderGroup.value)
    )
    return [GroupRow(row.public_id, row.value, row.Group, row.members) for row in rows]


def linked_count(provider: Provider) -> int:
    return db.session.scalar(select(func.count()).where(Identity.provider_id == provider.id)) or 0


def groups() -> Sequence[Group]:
    """Those that can be chosen."""
    return db.session.scalars(select(Group).where(Group.archived_at.is_(None)).order_by(Group.sort_key)).all()


def of_person(person_id: int) -> Sequence[Any]:
    """(identity, provider) of each provider that a person is linked to."""
    return db.session.execute(
        select(Identity, Provider)
        .join(Provider, Provider.id == Identity.provider_id)
        .where(Identity.person_id == person_id)
        .order_by(*_ORDER)
    ).all()


def identity(public_id: str, person_id: int) -> Identity | None:
    return db.session.scalar(select(Identity).where(Identity.public_id == public_id, Identity.person_id == person_id))


@dataclass(frozen=True, slots=True)
class Passwords:
    """Who may use a password, and whom a switch would leave without a way in that they have used."""

    for_all: bool
    with_password: int
    emergency: Sequence[Person]
    others: Sequence[Person] = field(default_factory=list)
    without_link: Sequence[Person] = field(default_factory=list)
    without_link_count: int = 0


def passwords() -> Passwords:
    """Five statements, however many people. `others`: admins with a password who could become emergency admins."""
    has = (Person.active, Person.password_hash.is_not(None))
    linked = exists().where(Identity.person_id == Person.id, Identity.provider_id == Provider.id, Provider.in_use)
    out = (*has, ~linked, ~(Person.is_emergency_admin & Person.is_admin))
    admins = db.session.scalars(select(Person).where(*has, Person.is_admin).order_by(Person.sort_key)).all()
    return Passwords(
        passwords_for_all(),
        db.session.scalar(select(func.count()).where(*has)) or 0,
        [one for one in admins if one.is_emergency_admin],
        [one for one in admins if not one.is_emergency_admin],
        db.session.scalars(select(Person).where(*out).order_by(Person.sort_key).limit(NAMED)).all(),
        db.session.scalar(select(func.count()).where(*out)) or 0,
    )  # fmt: skip
