"""Keyset paging: each page begins after the last row of the page before, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Row, Select, func, select, tuple_

from webapp.extensions import db

PAGE = 50
# Larger counts are shown as "1,000+", so that the database can stop counting.
COUNTED = 1000

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """A page of a list. `count` is of the whole list, COUNTED + 1 standing for all beyond; `back` and `more`
    are the public ids that the neighbouring pages start from, or ""."""

    items: list[Item]
    count: int
    back: str
    more: str


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list; the last column is unique, none is ever null. `down`: the largest first. `joined`: a column
    is of another table, so that the position of a row is known only while it is in the list."""

    columns: tuple[Any, ...]
    down: bool = False
    joined: bool = False

    def by(self, *, back: bool = False) -> list[Any]:
        """The ORDER BY, or the reverse of it."""
        return [one.desc() for one in self.columns] if self.down is not back else list(self.columns)

    def beyond(self, anchor: Sequence[Any], *, back: bool = False) -> Any:
        """The condition of the rows after this one, or before it."""
        here = tuple_(*self.columns)
        return here < tuple_(*anchor) if self.down is not back else here > tuple_(*anchor)


def ordered(table: Any, sort: str, columns: dict[str, tuple[Any, ...]]) -> Order:
    """The order for a `sort` of an address: the name of one of `columns`, with a minus for the largest first; else by
    name."""
    chosen = columns.get(sort.removeprefix("-"), (table.sort_key,))
    return Order((*chosen, table.id), sort.startswith("-"), any(one.class_ is not table for one in chosen))


def paged(
    query: Select[Any], table: Any, *, after: str, before: str, order: Order | None = None
) -> tuple[list[Row[Any]], int, str, str]:
    """The rows, how many there are in all, and the keys of the neighbouring pages; two statements, three
    when it is not the first page. `query` selects `table`'s public_id as "key"."""
    order = order or ordered(table, "", {})
    total = query.with_only_columns(table.id).order_by(None).limit(COUNTED + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(total)) or 0
    anchor = None
    if after or before:
        # Usually the position is known even when the row has left the list.
        place = query.with_only_columns(*order.columns) if order.joined else select(*order.columns)
        anchor = db.session.execute(place.where(table.public_id == (after or before))).first()
    if anchor is None:
        rows = list(db.session.execute(query.order_by(*order.by()).limit(PAGE + 1)))
        return rows[:PAGE], count, "", rows[PAGE - 1].key if len(rows) > PAGE else ""
    back = not after
    rows = list(
        db.session.execute(query.where(order.beyond(anchor, back=back)).order_by(*order.by(back=back)).limit(PAGE + 1))
    )
    shown = rows[:PAGE]
    if not back:
        return shown, count, shown[0].key if shown else "", shown[-1].key if len(rows) > PAGE else ""
    shown.reverse()
    return shown, count, shown[0].key if len(rows) > PAGE else "", shown[-1].key if shown else ""
