"""Principals: people and groups that can approve or own, to choose from, or named by rules and forms."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Row, Select, and_, exists, literal, or_, select, true, union_all

from webapp.extensions import db
from webapp.models import App, Audience, Group, Membership, Person
from webapp.queries.columns import exact_first
from webapp.text import hue, initials, like, like_exactly
from webapp.workflow.policy import Approver

# A list to choose from holds at most so many.
CHOICES = 200
# As many people may the words of a search stand for.
FOUND = 200


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a group that can approve or own, or an app where one is chosen; `value` is what forms carry."""

    id: int
    public_id: str
    name: str
    kind: str
    detail: str = ""
    active: bool = True
    # Of an app: a name in the sprite, and where its uploaded picture is.
    icon: str = ""
    icon_url: str = ""

    @property
    def value(self) -> str:
        return f"{self.kind}:{self.public_id}"

    @property
    def is_group(self) -> bool:
        return self.kind == "group"

    @property
    def is_app(self) -> bool:
        return self.kind == "app"

    @property
    def hue(self) -> int:
        return hue(self.public_id)

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def approver(self) -> Approver:
        return Approver(group=self.id) if self.is_group else Approver(person=self.id)


def principal(row: Row[Any]) -> Principal:
    return Principal(row.id, row.public_id, row.name, row.kind, row.detail, row.active)


def people_with(*conditions: Any) -> Any:
    return select(
        Person.id, Person.public_id, Person.name, literal("person").label("kind"), Person.email.label("detail"),
        Person.active, Person.sort_key,
    ).where(*conditions)  # fmt: skip


def groups_with(*conditions: Any) -> Any:
    return select(
        Group.id, Group.public_id, Group.name, literal("group").label("kind"), literal("").label("detail"),
        true().label("active"), Group.sort_key,
    ).where(*conditions)  # fmt: skip


def of_approvers(approvers: Iterable[Approver | None]) -> dict[Approver, Principal]:
    """The people and groups behind these approvers, deactivated people included, in one statement."""
    wanted = [one for one in approvers if one is not None]
    people = [one.person for one in wanted if one.person is not None]
    groups = [one.group for one in wanted if one.group is not None]
    if not wanted:
        return {}
    rows = db.session.execute(union_all(people_with(Person.id.in_(people)), groups_with(Group.id.in_(groups))))
    found = [principal(row) for row in rows]
    return {one.approver: one for one in found}


def best_names_first(query: Select[Any], words: Sequence[str]) -> Select[Any]:
    """Sort by name; names that have the words exactly as typed come before those that match without accents."""
    columns = query.selected_columns
    exact = [exact_first(columns.sort_key, map(like_exactly, words))] if words else []
    return query.order_by(*exact, columns.sort_key, columns.id)


def disambiguate(found: list[Principal]) -> list[Principal]:
    """Keep `detail` (the email) only where two have the same name."""
    names = Counter(one.name for one in found)
    return [one if names[one.name] > 1 else replace(one, detail="") for one in found]


def chosen(value: str) -> Principal | None:
    """The person or group that a form's value ("person:4K7W9Q2M3XTA") stands for; None unless active or in use."""
    kind, _, public_id = value.partition(":")
    if kind not in ("person", "group"):
        return None
    query = (
        people_with(Person.public_id == public_id, Person.active)
        if kind == "person"
        else groups_with(Group.public_id == public_id, Group.archived_at.is_(None))
    )
    row = db.session.execute(query).first()
    return principal(row) if row is not None else None


def chosen_all(values: Iterable[str]) -> dict[str, Principal]:
    """`chosen` for several values, in one statement: value → person or group, without those that are not there."""
    keys: dict[str, list[str]] = {"person": [], "group": []}
    for value in values:
        kind, _, public_id = value.partition(":")
        if kind in keys:
            keys[kind].append(public_id)
    rows = db.session.execute(
        union_all(
            people_with(Person.public_id.in_(keys["person"]), Person.active),
            groups_with(Group.public_id.in_(keys["group"]), Group.archived_at.is_(None)),
        )
    )
    return {one.value: one for one in map(principal, rows)}


def app_owners() -> list[Principal]:
    """The people and groups that own an app, by name, up to CHOICES; `detail` only where two have one name."""
    rows = db.session.execute(
        union_all(
            people_with(Person.id.in_(select(App.owner_person_id))),
            groups_with(Group.id.in_(select(App.owner_group_id))),
        )
        .order_by("sort_key", "id")
        .limit(CHOICES)
    )
    return disambiguate([principal(row) for row in rows])


def audience(app_id: int) -> list[Principal]:
    """The groups that see the app, by name; empty when everyone sees it."""
    rows = db.session.execute(
        groups_with(Group.archived_at.is_(None))
        .join(Audience, and_(Audience.group_id == Group.id, Audience.app_id == app_id))
        .order_by(Group.sort_key, Group.id)
        .limit(CHOICES)
    )
    return [principal(row) for row in rows]


def group_ids(public_ids: Iterable[str]) -> list[int]:
    """The keys of the groups in use with these public ids; fewer when some do not exist."""
    return list(
        db.session.scalars(select(Group.id).where(Group.public_id.in_(list(public_ids)), Group.archived_at.is_(None)))
    )


def candidates(group_id: int, words: Sequence[str], limit: int = 8) -> list[Principal]:
    """Active people who are not in the group and match all words, by name."""
    inside = exists().where(Membership.group_id == group_id, Membership.person_id == Person.id)
    query = people_with(Person.active, ~inside)
    for word in words:
        query = query.where(Person.search_text.like(like(word), escape="!"))
    return [principal(row) for row in db.session.execute(best_names_first(query, words).limit(limit))]


def people_called(words: Sequence[str]) -> tuple[int, ...]:
    """The ids of people whose names and addresses have all these words, or whose public id is the one word."""
    query = select(Person.id).order_by(Person.sort_key, Person.id).limit(FOUND)
    every = [Person.search_text.like(like(word), escape="!") for word in words]
    if len(words) == 1:
        return tuple(db.session.scalars(query.where(or_(every[0], Person.public_id == words[0]))))
    return tuple(db.session.scalars(query.where(*every)))
