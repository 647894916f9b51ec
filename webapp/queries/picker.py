"""The search of the picker: people, groups and apps by what was typed, and what a form chose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import func, literal, select, union_all

from webapp.extensions import db
from webapp.models import App, Group, Membership, Person
from webapp.models.apps import icon_url
from webapp.queries.columns import exact_first, pad_in_list
from webapp.queries.principals import Principal
from webapp.text import like, like_exactly

LIMIT = 8
_TABLES = {"person": Person, "group": Group, "app": App}
_NO_ICON = (literal("").label("icon"), literal("").label("icon_hash"))


def found(words: Sequence[str], kinds: Sequence[str] = ("person", "group")) -> list[Principal]:
    """Up to LIMIT active people, groups and apps in use that match all words, by name, in one statement.

    Those whose names have the words as they were typed come first. `detail` is the size of a group, and the email of a
    person where two have one name.
    """
    members = (
        select(func.count())
        .select_from(Membership)
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.group_id == Group.id, Person.active)
        .correlate(Group)
        .scalar_subquery()
    )
    people = select(
        Person.id, Person.public_id, Person.name, literal("person").label("kind"), Person.email.label("detail"),
        literal(0).label("members"), *_NO_ICON, Person.sort_key, _rank(Person.sort_key, words),
    ).where(Person.active)  # fmt: skip
    groups = select(
        Group.id, Group.public_id, Group.name, literal("group").label("kind"), literal("").label("detail"),
        members.label("members"), *_NO_ICON, Group.sort_key, _rank(Group.sort_key, words),
    ).where(Group.archived_at.is_(None))  # fmt: skip
    apps = select(
        App.id, App.public_id, App.name, literal("app").label("kind"), literal("").label("detail"),
        literal(0).label("members"), App.icon, App.icon_hash, App.sort_key, _rank(App.sort_key, words),
    ).where(App.archived_at.is_(None))  # fmt: skip
    for word in words:
        people = people.where(Person.search_text.like(like(word), escape="!"))
        groups = groups.where(Group.search_text.like(like(word), escape="!"))
        apps = apps.where(App.search_text.like(like(word), escape="!"))
    both = union_all(
        *(
            select(part.order_by("rank", "sort_key", "id").limit(LIMIT).subquery())
            for kind, part in (("person", people), ("group", groups), ("app", apps))
            if kind in kinds
        )
    ).subquery()
    by_name = select(both).order_by(both.c.rank, both.c.sort_key, both.c.kind, both.c.id).limit(LIMIT)
    rows = db.session.execute(by_name).all()
    names = Counter(row.name for row in rows if row.kind == "person")

    def detail(kind: str, name: str, email: str, size: int) -> str:
        if kind == "app":
            return "App" if len(kinds) > 1 else ""
        if kind == "group":
            return f"Group of {size}" if size else "Group without members"
        return email if names[name] > 1 else ""

    return [
        Principal(
            row.id, row.public_id, row.name, row.kind, detail(row.kind, row.name, row.detail, row.members),
            icon=row.icon, icon_url=icon_url(row.public_id, row.icon_hash),
        )
        for row in rows
    ]  # fmt: skip


def rows_of(values: Iterable[str], kinds: Sequence[str]) -> dict[str, Person | Group | App]:
    """What the values of a form ("app:4K7W9Q2M3XTA") stand for, of these kinds; without those that are not there.
    A statement for each kind that is among them."""
    keys: dict[str, list[str]] = {}
    for value in values:
        kind, _, public_id = value.partition(":")
        if kind in kinds:
            keys.setdefault(kind, []).append(public_id)
    found: dict[str, Person | Group | App] = {}
    for kind, some in keys.items():
        table: Any = _TABLES[kind]
        for row in db.session.scalars(select(table).where(table.public_id.in_(pad_in_list(some)))):
            found[f"{kind}:{row.public_id}"] = row
    return found


def chip(row: Person | Group | App) -> Principal:
    """A row as the picker shows it."""
    if isinstance(row, App):
        return Principal(row.id, row.public_id, row.name, "app", active=row.archived_at is None, icon=row.icon,
                         icon_url=row.icon_url)  # fmt: skip
    if isinstance(row, Group):
        return Principal(row.id, row.public_id, row.name, "group", active=row.archived_at is None)
    return Principal(row.id, row.public_id, row.name, "person", active=row.active)


def _rank(column: Any, words: Sequence[str]) -> Any:
    return (exact_first(column, map(like_exactly, words)) if words else literal(0)).label("rank")
