"""The list of groups with some of their members, and one group."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, exists, func, or_, select

from webapp.extensions import db
from webapp.models import App, Audience, Group, Membership, Person, Step
from webapp.queries.directories import keeper_name
from webapp.queries.paging import Page, ordered, paged
from webapp.queries.principals import Principal, people_with, principal
from webapp.text import hue, like
from webapp.workflow.states import StepState

# So many members are shown in the list, and on the group's own page: a group that a directory keeps may be of any size.
MEMBERS = 12
MEMBERS_OF_ONE = 500


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with some of its members (`members`) and how many there are (`count`)."""

    id: int
    public_id: str
    name: str
    created_at: datetime
    count: int
    active: int
    owns: int
    sees: int
    open_steps: int
    keeper: str  # the directory that keeps it; "" for by hand
    members: list[Principal] = field(default_factory=list)

    @property
    def hue(self) -> int:
        return hue(self.public_id)


def _group_rows() -> Select[Any]:
    def how_many(*conditions: Any) -> Any:
        return select(func.count()).where(*conditions).correlate(Group).scalar_subquery()

    return select(
        Group.public_id.label("key"), Group.id, Group.name, Group.created_at, Group.sort_key,
        how_many(Membership.group_id == Group.id).label("size"),
        how_many(Membership.group_id == Group.id, Person.id == Membership.person_id, Person.active).label("active"),
        how_many(App.owner_group_id == Group.id, App.archived_at.is_(None)).label("owns"),
        how_many(Audience.group_id == Group.id).label("sees"),
        how_many(Step.approver_group_id == Group.id, Step.state == StepState.OPEN.value).label("open_steps"),
        func.coalesce(keeper_name(group=Group.id), "").label("keeper"),
    ).where(Group.archived_at.is_(None))  # fmt: skip


def _group_row(row: Row[Any]) -> GroupRow:
    return GroupRow(row.id, row.key, row.name, row.created_at, row.size, row.active, row.owns, row.sees, row.open_steps,
                    row.keeper)  # fmt: skip


def page(*, words: Sequence[str] = (), after: str = "", before: str = "") -> Page[GroupRow]:
    """Groups by name, found by their name or a member's."""
    query = _group_rows().where(*map(_has_word, words))
    rows, count, back, more = paged(query, Group, after=after, before=before)
    found = [_group_row(row) for row in rows]
    _add_members(found, MEMBERS)
    return Page(found, count, back, more)


def _has_word(word: str) -> Any:
    return or_(
        Group.search_text.like(like(word), escape="!"),
        exists()
        .where(Membership.group_id == Group.id, Person.id == Membership.person_id)
        .where(Person.search_text.like(like(word), escape="!"))
        .correlate(Group),
    )


def feed(words: Sequence[str], *, after: tuple[str, int] | None = None, limit: int) -> Sequence[Row[Any]]:
    """As programs list groups: rows by name, up to `limit`, from the one after this sort key and id on; one
    statement."""
    query, order = _group_rows().where(*map(_has_word, words)), ordered(Group, "", {})
    if after is not None:
        query = query.where(order.beyond(after))
    return db.session.execute(query.order_by(*order.by()).limit(limit)).all()


def one(public_id: str) -> Row[Any] | None:
    """The row of one group in use."""
    return db.session.execute(_group_rows().where(Group.public_id == public_id)).first()


def is_member(group_id: int, person_id: int) -> bool:
    return db.session.get(Membership, (group_id, person_id)) is not None


def row(public_id: str, *, whole: bool = True) -> GroupRow | None:
    """One group with its first members, or with as many as its row in the list shows."""
    record = one(public_id)
    if record is None:
        return None
    found = _group_row(record)
    _add_members([found], MEMBERS_OF_ONE if whole else MEMBERS)
    return found


def _add_members(found: list[GroupRow], limit: int) -> None:
    by_id = {one.id: one for one in found}
    ranked = (
        people_with()
        .add_columns(
            Membership.group_id,
            func.row_number()
            .over(partition_by=Membership.group_id, order_by=(Person.sort_key, Person.id))
            .label("rank"),
        )
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.group_id.in_(by_id))
        .subquery()
    )
    query = select(ranked).where(ranked.c.rank <= limit).order_by(ranked.c.group_id, ranked.c.rank)
    for row in db.session.execute(query):
        by_id[row.group_id].members.append(principal(row))
