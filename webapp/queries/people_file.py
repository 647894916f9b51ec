"""What a file of people is compared with: everyone here, and the groups that it names."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from sqlalchemy import select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import Group, Membership, Person
from webapp.queries.directories import keeper_name
from webapp.text import sort_key
from webapp.workflow.people_plan import Known

_Manager = aliased(Person, name="manager")
_PEOPLE = (
    select(
        Person.id, Person.public_id, Person.email, Person.name, Person.about, Person.department,
        _Manager.email.label("manager"), Person.active, Person.is_admin, keeper_name(person=Person.id).label("keeper"),
    )
    .outerjoin(_Manager, _Manager.id == Person.manager_id)
    .order_by(Person.sort_key, Person.id)
)  # fmt: skip


def people() -> dict[str, Known]:
    """Everyone, by address; one statement."""
    rows = db.session.connection().execute(_PEOPLE)
    return {
        row.email: Known(row.id, row.public_id, row.email, row.name, row.about, row.department, row.manager or "",
                         row.active, row.is_admin, row.keeper or "")
        for row in rows
    }  # fmt: skip


def groups(names: Iterable[str]) -> dict[str, tuple[int, str, frozenset[int], str]]:
    """The groups in use with these names: key → (id, name, ids of members, the directory that keeps it); two
    statements."""
    keys = Counter(sort_key(name) for name in names)
    rows = db.session.execute(
        select(Group.id, Group.name, Group.sort_key, keeper_name(group=Group.id).label("keeper")).where(
            Group.sort_key.in_(keys), Group.archived_at.is_(None)
        )
    ).all()
    members: dict[int, set[int]] = defaultdict(set)
    for group, person in db.session.execute(
        select(Membership.group_id, Membership.person_id).where(Membership.group_id.in_([row.id for row in rows]))
    ):
        members[group].add(person)
    return {row.sort_key: (row.id, row.name, frozenset(members[row.id]), row.keeper or "") for row in rows}


def as_lines() -> Iterator[list[str]]:
    """Everyone in the form of a file that can be imported: the same people, so importing it changes nothing."""
    groups: dict[int, list[str]] = defaultdict(list)
    for person, name in db.session.execute(
        select(Membership.person_id, Group.name).join(Group, Group.id == Membership.group_id).order_by(Group.sort_key)
    ):
        groups[person].append(name)
    for one in people().values():
        active = "yes" if one.active else "no"
        yield [one.email, one.name, one.about, one.department, one.manager, "; ".join(groups[one.id]), active]
