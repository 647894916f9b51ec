"""SCIM filters as SQL conditions. What is not in the tables below is refused: to filter afterwards would make counts
and pages wrong."""

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from scim2_models import InvalidFilterException
from scim2_models.path.expressions import (
    AttrPath,
    CompareOperator,
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)
from sqlalchemy import ColumnElement, and_, exists, false, func, not_, or_, true

from webapp.addresses import plain, same
from webapp.models import DirectoryEntry, Group, Membership, Person
from webapp.text import fold, sort_key, storable

Condition = ColumnElement[bool]
Compare = Callable[[Comparison], Condition]
# A filter with more parts than this is refused before it becomes SQL.
PARTS_LIMIT = 50


def person_condition(node: FilterNode | None) -> Condition:
    """For people and their entries in the directory. Raises InvalidFilterException."""
    return _condition(node, _PERSON)


def group_condition(node: FilterNode | None) -> Condition:
    """For groups and their entries. Raises InvalidFilterException."""
    return _condition(node, _GROUP)


def _condition(node: FilterNode | None, columns: dict[str, Compare]) -> Condition:
    if node is None:
        return true()
    return _Reader(columns).read(node)


class _Reader:
    """Reads a filter, counting its parts."""

    def __init__(self, columns: dict[str, Compare]) -> None:
        self.columns, self.parts = columns, 0

    def read(self, node: FilterNode) -> Condition:
        self.parts += 1
        if self.parts > PARTS_LIMIT:
            raise InvalidFilterException(detail=f"A filter can have up to {PARTS_LIMIT} parts.")
        if isinstance(node, LogicalExpr):
            join = and_ if node.op is LogicalOperator.and_ else or_
            return join(*(self.read(one) for one in node.terms))
        if isinstance(node, Not):
            return not_(self.read(node.expr))
        if isinstance(node, Comparison):
            return self._column(node.attr_path)(node)
        if isinstance(node, Present):
            return self._present(node.attr_path)
        if isinstance(node, ValuePath):  # emails[type eq "work" and value eq "…"]: any type is ours
            return self._inside(node)
        raise InvalidFilterException(detail="This filter is not known.")

    def _column(self, path: AttrPath) -> Compare:
        found = self.columns.get(_name(path))
        if found is None:
            known = ", ".join(sorted(self.columns))
            raise InvalidFilterException(detail=f"Countersign cannot filter by {_name(path)}. It can by: {known}.")
        return found

    def _present(self, path: AttrPath) -> Condition:
        self._column(path)
        return DirectoryEntry.external_id != "" if _name(path) == "externalid" else true()

    def _inside(self, node: ValuePath) -> Condition:
        inner = node.val_filter
        terms = inner.terms if isinstance(inner, LogicalExpr) and inner.op is LogicalOperator.and_ else (inner,)
        found = []
        for term in terms:
            if not isinstance(term, Comparison):
                raise InvalidFilterException(detail="Compare values inside of the brackets, joined by and.")
            if _name(term.attr_path) in ("type", "primary"):
                continue
            path = AttrPath(node.attr_path.attr, term.attr_path.attr)
            found.append(self._column(path)(Comparison(path, term.op, term.value)))
        return and_(true(), *found)


def _name(path: AttrPath) -> str:
    return ".".join(part for part in (path.attr, path.sub_attr) if part).lower()


_COMPARE: dict[CompareOperator, Callable[[Any, Any], Any]] = {
    CompareOperator.eq: operator.eq,
    CompareOperator.ne: operator.ne,
    CompareOperator.gt: operator.gt,
    CompareOperator.ge: operator.ge,
    CompareOperator.lt: operator.lt,
    CompareOperator.le: operator.le,
    # Not LIKE, which takes "a" for "A" on SQLite.
    CompareOperator.sw: lambda column, value: func.substr(column, 1, len(value)) == value,
    CompareOperator.co: lambda column, value: func.replace(column, value, "") != column,
    CompareOperator.ew: lambda column, value: and_(
        func.length(column) >= len(value), func.substr(column, func.length(column) - len(value) + 1) == value
    ),
}


def _text(column: Any, key: Callable[[str], str]) -> Compare:
    """Compares a column that holds `key` of what is shown."""

    def compare(node: Comparison) -> Condition:
        if not isinstance(node.value, str):
            return false() if node.op is CompareOperator.eq else true() if node.op is CompareOperator.ne else false()
        value = key(storable(node.value)[:1000])
        return cast(Condition, _COMPARE[node.op](column, value))

    return compare


def _flag(column: Any) -> Compare:
    def compare(node: Comparison) -> Condition:
        wanted = node.value if isinstance(node.value, bool) else str(node.value).lower() == "true"
        if node.op is CompareOperator.eq:
            return cast(Condition, column.is_(wanted))
        if node.op is CompareOperator.ne:
            return cast(Condition, column.is_not(wanted))
        raise InvalidFilterException(detail="Compare this with eq or ne.")

    return compare


_OF_TIMES = (CompareOperator.gt, CompareOperator.ge, CompareOperator.lt, CompareOperator.le, CompareOperator.eq)


def _instant(column: Any) -> Compare:
    def compare(node: Comparison) -> Condition:
        value = node.value
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            raise InvalidFilterException(detail="Send a time as 2026-11-30T08:06:00Z.") from None
        if at.tzinfo is None:
            raise InvalidFilterException(detail="Send a time with its zone, as 2026-11-30T08:06:00Z.")
        if node.op not in _OF_TIMES:
            raise InvalidFilterException(detail="Compare a time with gt, ge, lt, le or eq.")
        return cast(Condition, _COMPARE[node.op](column, at))

    return compare


def _email(node: Comparison) -> Condition:
    if node.op is CompareOperator.eq and isinstance(node.value, str):
        typed = storable(node.value)[:254]
        return Person.email.in_((plain(typed), same(typed)))
    return _text(Person.email, lambda value: value.strip().lower())(node)


def _member(node: Comparison) -> Condition:
    if node.op is not CompareOperator.eq or not isinstance(node.value, str):
        raise InvalidFilterException(detail="Compare members with eq and the id of a person.")
    return exists().where(
        Membership.group_id == Group.id, Membership.person_id == Person.id, Person.public_id == storable(node.value)
    )


def _exactly(text: str) -> str:
    return text


# Whom no directory keeps is found by their address.
_USER_NAME = func.coalesce(DirectoryEntry.user_name, Person.email)
_CHANGED = func.coalesce(DirectoryEntry.changed_at, Person.created_at)
_PERSON: dict[str, Compare] = {
    "id": _text(Person.public_id, _exactly),
    "username": _text(_USER_NAME, fold),
    "externalid": _text(DirectoryEntry.external_id, _exactly),
    "displayname": _text(Person.sort_key, sort_key),
    "active": _flag(Person.active),
    "emails": _email,
    "emails.value": _email,
    "meta.lastmodified": _instant(_CHANGED),
}
_GROUP: dict[str, Compare] = {
    "id": _text(Group.public_id, _exactly),
    "externalid": _text(DirectoryEntry.external_id, _exactly),
    "displayname": _text(Group.sort_key, sort_key),
    "members": _member,
    "members.value": _member,
    "meta.lastmodified": _instant(DirectoryEntry.changed_at),
}
