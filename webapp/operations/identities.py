"""Single sign-on: who came is linked to a person here or added; name, address and groups are brought up to date."""

import logging
from datetime import datetime

from sqlalchemy import select, update

from webapp import addresses
from webapp.claims import Claims
from webapp.extensions import db
from webapp.models import Group, Identity, Membership, Person, PersonSession, Provider, ProviderGroup
from webapp.queries import directories, sessions
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line
from webapp.workflow.actor import SYSTEM, Actor, AnyActor
from webapp.workflow.states import Channel

from . import groups, people
from ._sql import changed, unless_taken
from .errors import Conflict, Invalid

log = logging.getLogger("countersign.sso")


class NoEntry(Exception):
    """The provider knows the person, but Countersign does not let them in; the sentence says what to do."""


class PasswordNeeded(NoEntry):
    """The address is that of an admin, who has to give their password once, so that nobody becomes an admin by an
    address that they were given at the provider."""

    def __init__(self, person: Person) -> None:
        super().__init__("Enter your password once to link this sign-in to your account.")
        self.person = person


def sign_in(provider: Provider, claims: Claims, *, now: datetime) -> Person:
    """The person who came from a provider, linked and brought up to date. Raises NoEntry.

    The caller has locked the directory exclusively: the person may be new, or enter and leave groups.
    """
    if not provider.in_use:
        raise NoEntry(f"Signing in with {provider.name} is switched off. Choose another way.")
    identity = db.session.scalar(
        select(Identity).where(Identity.provider_id == provider.id, Identity.subject == claims.subject)
    )
    if identity is None:
        person = _first_time(provider, claims, now=now)
        identity = _of(provider, person)
    else:
        person = db.session.get_one(Person, identity.person_id)
        _refuse_inactive(person)
    if identity is not None:
        identity.last_used_at = now
    _bring_up_to_date(person, claims, now=now)
    _arrange_groups(provider, person, claims, now=now)
    return person


def link(provider: Provider, person: Person, claims: Claims, *, how: str, now: datetime) -> None:
    """This subject of the provider is this person from now on. Raises NoEntry. The person has proved to be both."""
    _refuse_inactive(person)
    there = select(Identity).where(Identity.provider_id == provider.id)
    known = db.session.scalar(there.where(Identity.subject == claims.subject))
    if known is not None and known.person_id == person.id:
        return
    if known is not None:
        raise NoEntry(f"This account at {provider.name} is linked to somebody else here. Ask an admin.")
    if db.session.scalar(there.where(Identity.person_id == person.id)) is not None:
        raise NoEntry(
            f"Your account here is linked to another account at {provider.name}. Sign in with that one, or ask an "
            "admin to remove the link."
        )
    with unless_taken(NoEntry("Somebody else signed in with it at the same moment. Try again.")):
        db.session.add(
            Identity(provider_id=provider.id, subject=claims.subject, person_id=person.id, linked_at=now,
                     last_used_at=now)
        )  # fmt: skip
    audit.record(EventKind.IDENTITY_LINKED, at=now, actor=_as(person), person=person.id, provider=provider.id, how=how)


def is_of(provider: Provider, person: Person, claims: Claims) -> bool:
    """Whether this subject of the provider is this person."""
    identity = _of(provider, person)
    return identity is not None and identity.subject == claims.subject


def unlink(identity: Identity, *, actor: AnyActor, now: datetime) -> None:
    """The person is not found by this subject any more; sessions that came from that provider end."""
    audit.record(
        EventKind.IDENTITY_UNLINKED, at=now, actor=actor, person=identity.person_id, provider=identity.provider_id
    )
    where = (PersonSession.provider_id == identity.provider_id, PersonSession.person_id == identity.person_id)
    _end(where, [identity.person_id], actor=actor, now=now)
    db.session.delete(identity)


def _first_time(provider: Provider, claims: Claims, *, now: datetime) -> Person:
    """The person with this verified address, or a new one. Raises NoEntry."""
    if not claims.verified_email:
        # The same whether there is somebody of that address or not.
        raise NoEntry(
            f"{provider.name} did not say that your email address is verified, so Countersign cannot find your account "
            f"by it. Sign in another way and connect {provider.name} under Your account, or ask an admin."
        )
    try:
        email = addresses.canonical(claims.verified_email)
    except addresses.BadAddress:
        raise NoEntry(f"The email address that {provider.name} has of you cannot be used here. Ask an admin.") from None
    if provider.domains and email.rpartition("@")[2] not in provider.domains.split():
        raise NoEntry(f"With {provider.name} only addresses of {_domains(provider)} can sign in. Ask an admin.")
    found = db.session.scalars(select(Person).where(Person.email.in_((email, addresses.plain(email))))).first()
    if found is None:
        return _create(provider, claims, email, now=now)
    _refuse_inactive(found)
    if not provider.links_by_email:
        raise NoEntry(
            f"Your account here is not linked to {provider.name} yet. Sign in another way and connect it under Your "
            "account, or ask an admin."
        )
    if found.is_admin and _of(provider, found) is None:
        raise PasswordNeeded(found)
    link(provider, found, claims, how="email", now=now)
    return found


def _create(provider: Provider, claims: Claims, email: str, *, now: datetime) -> Person:
    if not provider.creates_people:
        raise NoEntry("There is no account for you here yet. Ask an admin to add you.")
    name = one_line(claims.name) or email.partition("@")[0]
    try:
        person = people.create(email=email, name=name, actor=SYSTEM, now=now)
    except Invalid as error:
        raise NoEntry(f"Your account could not be made. {error} Ask an admin.") from None
    link(provider, person, claims, how="created", now=now)
    group = db.session.get(Group, provider.default_group_id) if provider.default_group_id else None
    if group is not None:
        _enter(group, person, now=now)
    return person


def _domains(provider: Provider) -> str:
    return ", ".join(provider.domains.split()[:5])


def _of(provider: Provider, person: Person) -> Identity | None:
    return db.session.scalar(
        select(Identity).where(Identity.provider_id == provider.id, Identity.person_id == person.id)
    )


def _refuse_inactive(person: Person) -> None:
    if not person.active:
        raise NoEntry("Your account here is deactivated. If you need it again, ask an admin.")


def _as(person: Person) -> Actor:
    return Actor(person.id, channel=Channel.BROWSER)


def _bring_up_to_date(person: Person, claims: Claims, *, now: datetime) -> None:
    """The name and the verified address, as the provider has them. An address that somebody else has here stays as it
    is: an admin has to sort that out."""
    name, email = one_line(claims.name) or person.name, person.email
    if claims.verified_email and addresses.same(claims.verified_email) != addresses.same(person.email):
        email = claims.verified_email
    if (name, email) == (person.name, person.email) or directories.keeper(person=person.id) is not None:
        return  # a directory keeps its people up to date itself
    # Whoever answered for the account before does so still.
    actor = Actor(None, made_by_id=person.vouched_by_id)
    for wanted in dict.fromkeys((email, person.email)):
        try:
            people.change_details(person, name=name, email=wanted, about=person.about, actor=actor, now=now)
        except Invalid:
            db.session.refresh(person)
        else:
            return


def _arrange_groups(provider: Provider, person: Person, claims: Claims, *, now: datetime) -> None:
    """Memberships as the table of the provider says; nothing where it did not say all groups of the person."""
    if claims.groups is None or not provider.groups_claim:
        return
    rows = db.session.execute(
        select(ProviderGroup.value, Group)
        .join(Group, Group.id == ProviderGroup.group_id)
        .where(
            ProviderGroup.provider_id == provider.id,
            Group.archived_at.is_(None),
            directories.keeper_name(group=Group.id).is_(None),
        )
        .order_by(Group.id)
    ).all()
    kept = {group for _, group in rows}
    wanted = {group for value, group in rows if value in claims.groups}
    of_person = select(Membership.group_id).where(Membership.person_id == person.id)
    held = set(db.session.scalars(of_person.where(Membership.group_id.in_([group.id for group in kept]))))
    for group in sorted(kept, key=lambda group: group.id):
        if group in wanted and group.id not in held:
            _enter(group, person, now=now)
        elif group not in wanted and group.id in held:
            groups.remove_member(group, person, actor=SYSTEM, now=now)


def _enter(group: Group, person: Person, *, now: datetime) -> None:
    """Adds the person unless the group takes nobody (it is full or archived), which must not keep them out."""
    try:
        with db.session.begin_nested():
            groups.add_member(group, person, actor=SYSTEM, now=now)
    except Conflict as refusal:
        log.warning("a group takes nobody", extra={"group": group.public_id, "reason": str(refusal)})


def end_sessions(provider: Provider, *, sid: str, subject: str, now: datetime) -> int:
    """Ends the sessions that the provider says have ended: the one of this id, else all of this subject that came from
    there. Returns how many."""
    where = [PersonSession.provider_id == provider.id]
    if sid:
        where.append(PersonSession.provider_sid == sid)
    if subject:
        whose = select(Identity.person_id).where(Identity.provider_id == provider.id, Identity.subject == subject)
        where.append(PersonSession.person_id.in_(whose))
    of = db.session.scalars(select(PersonSession.person_id).where(PersonSession.ended_at.is_(None), *where))
    return _end(tuple(where), sorted(set(of)), actor=SYSTEM, now=now)


def _end(where: tuple[object, ...], of: list[int], *, actor: AnyActor, now: datetime) -> int:
    total = 0
    for person_id in of:
        sessions.lock_person(person_id)
        ended = changed(
            update(PersonSession)
            .where(PersonSession.person_id == person_id, PersonSession.ended_at.is_(None), *where)  # type: ignore[arg-type]
            .values(ended_at=now, id_token=None)
        )
        if ended:
            audit.record(EventKind.SESSION_ENDED, at=now, actor=actor, person=person_id, sessions=ended)
        total += ended
    return total
