"""How lists are read: columns instead of objects, and IN lists of few different lengths."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import CursorResult, Executable, and_, case

from webapp.extensions import db


def read(statement: Executable, values: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
    """Runs a statement that selects columns only, in the session's transaction but without its loader of objects, which
    would take a third of the time. A list among the values is for an IN."""
    db.session.flush()
    values = {name: pad_in_list(value) if isinstance(value, list) else value for name, value in values.items()}
    return db.session.connection().execute(statement, values)


def exact_first(sort_key: Any, patterns: Iterable[Any]) -> Any:
    """Zero for names that have every word as it was typed, accents and all; else one. For ORDER BY."""
    return case((and_(*(sort_key.like(one, escape="!") for one in patterns)), 0), else_=1)


def pad_in_list(members: Iterable[Any]) -> list[Any]:
    """For an IN: repeats the last member up to 1, 2, 4, 8 … members. Both drivers keep a prepared statement for each
    length and connection, so that all lengths would take as much memory as everything else."""
    some = list(members)
    return some + some[-1:] * ((1 << (len(some) - 1).bit_length()) - len(some)) if some else some
