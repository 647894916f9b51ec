"""Who is active, a member or an admin right now, to resolve who may decide a step; and the lock on it."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import bindparam, event, literal, null, select, text, union_all
from sqlalchemy.orm import Session, SessionTransaction

from webapp.extensions import db
from webapp.models import Membership, Person
from webapp.models.base import Id
from webapp.queries.columns import read
from webapp.workflow.approvers import Directory
from webapp.workflow.policy import Approver

# Any number, as long as nothing else in this database uses it.
_LOCK = 7_204_613_001
_ALONE = text(f"SELECT pg_advisory_xact_lock({_LOCK})")
_HELD = "directory"
_TOGETHER = text(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")


def lock(*, exclusive: bool = False) -> None:
    """Lock people, groups and owners until the end of the transaction.

    Code that resolves approvers shares the lock; code that changes people, groups or owners takes it exclusively, so
    that no one is invited from a list that is just being changed. SQLite has one writer anyway. Taking it again in the
    same transaction costs nothing. While it is shared, never ask for the exclusive lock: two who do would deadlock.
    """
    connection, info = db.session.connection(), db.session().info
    if connection.dialect.name == "postgresql" and info.get(_HELD) not in ("alone", "alone" if exclusive else "shared"):
        connection.execute(_ALONE if exclusive else _TOGETHER)
        info[_HELD] = "alone" if exclusive else "shared"


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_HELD, None)


@event.listens_for(Session, "after_soft_rollback")
def _forget_what_a_savepoint_took(session: Session, _: SessionTransaction) -> None:
    session.info.pop(_HELD, None)


@dataclass(frozen=True, slots=True)
class Contact:
    """What chains and emails show of a person."""

    id: int
    public_id: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class Found:
    """A Directory together with the contacts of everyone in it."""

    directory: Directory
    contacts: dict[int, Contact]


_COLUMNS = (Person.id, Person.public_id, Person.name, Person.email, Person.sort_key)
_NO_GROUP = null().cast(Id).label("group_id")
_PERSONS = select(*_COLUMNS, literal("person").label("why"), _NO_GROUP).where(
    Person.id.in_(bindparam("persons", expanding=True)), Person.active
)
_MEMBERS = (
    select(*_COLUMNS, literal("group").label("why"), Membership.group_id)
    .join(Membership, Membership.person_id == Person.id)
    .where(Membership.group_id.in_(bindparam("groups", expanding=True)), Person.active)
)
_ADMINS = select(*_COLUMNS, literal("admin").label("why"), _NO_GROUP).where(Person.is_admin, Person.active)
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_ACTIVE = union_all(_PERSONS, _MEMBERS)
_ACTIVE_AND_ADMINS = union_all(_PERSONS, _MEMBERS, _ADMINS)


def look_up(approvers: Iterable[Approver | None], *, admins: bool = True) -> Found:
    """The active people behind these approvers, and the admins, in one statement."""
    wanted = [one for one in approvers if one is not None]
    persons = {one.person for one in wanted if one.person is not None}
    groups = {one.group for one in wanted if one.group is not None}
    if not persons and not groups and not admins:
        return Found(Directory(), {})
    values = {"persons": list(persons), "groups": list(groups)}
    rows = read(_ACTIVE_AND_ADMINS if admins else _ACTIVE, values).all()
    members: dict[int, list[int]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (row.sort_key, row.id)):
        if row.why == "group":
            members[row.group_id].append(row.id)
    return Found(
        Directory(
            active=frozenset(row.id for row in rows),
            members={group: tuple(people) for group, people in members.items()},
            admins=tuple(sorted(row.id for row in rows if row.why == "admin")),
        ),
        {row.id: Contact(row.id, row.public_id, row.name, row.email) for row in rows},
    )
