"""The search of the picker: people and groups by what was typed."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, literal, select, union_all

from webapp.extensions import db
from webapp.models import Group, Membership, Person
from webapp.queries.columns import exact_first
from webapp.queries.principals import Principal
from webapp.text import like, like_exactly

LIMIT = 8


def found(words: Sequence[str], kinds: Sequence[str] = ("person", "group")) -> list[Principal]:
    """Up to LIMIT active people and groups that match all words, by name, in one statement.

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
        literal(0).label("members"), Person.sort_key, _rank(Person.sort_key, words),
    ).where(Person.active)  # fmt: skip
    groups = select(
        Group.id, Group.public_id, Group.name, literal("group").label("kind"), literal("").label("detail"),
        members.label("members"), Group.sort_key, _rank(Group.sort_key, words),
    ).where(Group.archived_at.is_(None))  # fmt: skip
    for word in words:
        people = people.where(Person.search_text.like(like(word), escape="!"))
        groups = groups.where(Group.search_text.like(like(word), escape="!"))
    both = union_all(
        *(
            select(part.order_by("rank", "sort_key", "id").limit(LIMIT).subquery())
            for kind, part in (("person", people), ("group", groups))
            if kind in kinds
        )
    ).subquery()
    by_name = select(both).order_by(both.c.rank, both.c.sort_key, both.c.kind, both.c.id).limit(LIMIT)
    rows = db.session.execute(by_name).all()
    names = Counter(row.name for row in rows if row.kind == "person")

    def detail(kind: str, name: str, email: str, size: int) -> str:
        if kind == "group":
            return f"Group of {size}" if size else "Group without members"
        return email if names[name] > 1 else ""

    return [
        Principal(row.id, row.public_id, row.name, row.kind, detail(row.kind, row.name, row.detail, row.members))
        for row in rows
    ]


def _rank(column: Any, words: Sequence[str]) -> Any:
    return (exact_first(column, map(like_exactly, words)) if words else literal(0)).label("rank")
