"""Groups and their members."""

from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from webapp import audit
from webapp.extensions import db
from webapp.models import Group, Membership, Person
from webapp.queries import directory
from webapp.text import one_line

from ._rearrange import rearrange
from .errors import Conflict, Invalid

MEMBERS_LIMIT = 100


def create(*, name: str, actor: Person | None, now: datetime) -> Group:
    """Raises Invalid."""
    name = one_line(name)
    if not name:
        raise Invalid(name="Please give the group a name.")
    if len(name) > 80:
        raise Invalid(name="A group's name can have up to 80 characters.")
    group = Group(created_at=now)
    group.rename(name)
    db.session.add(group)
    try:
        db.session.flush()
    except IntegrityError:
        db.session.rollback()
        raise Invalid(name=f"There is a group called {name} already.") from None
    audit.record("group.created", at=now, actor=actor.id if actor else None, group=group.id)
    return group


def add_member(group: Group, person: Person, *, actor: Person | None, now: datetime) -> None:
    """The person is asked for every step that is open for the group. Raises Conflict."""
    directory.lock(exclusive=True)
    members = db.session.scalar(select(func.count()).where(Membership.group_id == group.id)) or 0
    if members >= MEMBERS_LIMIT:
        raise Conflict(f"{group.name} has {MEMBERS_LIMIT} members, the most a group can have.")
    if not person.active:
        raise Conflict(f"{person.name} is deactivated. Reactivate them first.")
    if db.session.get(Membership, (group.id, person.id)) is not None:
        raise Conflict(f"{person.name} is in {group.name} already.")
    db.session.add(Membership(group_id=group.id, person_id=person.id))
    audit.record("group.member_added", at=now, actor=actor.id if actor else None, person=person.id, group=group.id)
    rearrange(people=[person.id], groups=[group.id], now=now)


def remove_member(group: Group, person: Person, *, actor: Person, now: datetime) -> None:
    """The person can no longer decide for the group. Raises Conflict."""
    directory.lock(exclusive=True)
    removed = db.session.execute(
        delete(Membership)
        .where(Membership.group_id == group.id, Membership.person_id == person.id)
        .returning(Membership.person_id)
    ).first()
    if removed is None:
        raise Conflict(f"{person.name} is not in {group.name} any more.")
    audit.record("group.member_removed", at=now, actor=actor.id, person=person.id, group=group.id)
    rearrange(people=[person.id], groups=[group.id], now=now)
