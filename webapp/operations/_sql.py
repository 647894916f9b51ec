"""How changes are written: rows and conditional UPDATEs, past the session's objects."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import CursorResult, Delete, Executable, Table, Update, inspect
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import make_transient_to_detached

from webapp.extensions import db


def run(statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
    """Runs a statement on tables in the session's transaction, after what the session itself has to write."""
    db.session.flush()
    return db.session.connection().execute(statement, values)


def changed(statement: Update | Delete, **values: Any) -> int:
    """The row count of a conditional UPDATE or DELETE, which every caller looks at or may ignore.
    `values` are for the statement's own parameters."""
    return run(statement, values).rowcount


@cache
def _insert_if_free(table: Table, dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(*table.primary_key)


def run_if_free(table: Table, **values: Any) -> bool:
    """Adds a row unless another one is in its place; False: there is one. As `unless_taken`, in one statement instead
    of three, for what people wait for most often."""
    return _run_if_free(table, values) is not None


def _run_if_free(table: Table, values: dict[str, Any]) -> Any:
    """The primary key of the new row; None: there is another one."""
    db.session.flush()
    connection = db.session.connection()
    return connection.execute(_insert_if_free(table, connection.dialect.name), values).first()


def add_if_free(row: Any) -> bool:
    """The same with an object, which belongs to the session afterwards. What is not set on it is read when it is asked
    for."""
    columns = {one.key: one.columns[0].name for one in inspect(type(row)).column_attrs}
    values = {column: row.__dict__[key] for key, column in columns.items() if key in row.__dict__}
    added = _run_if_free(type(row).metadata.tables[row.__tablename__], values)
    if added is None:
        return False
    row.id = added.id
    make_transient_to_detached(row)
    db.session.add(row)
    return True


@contextmanager
def unless_taken(refusal: Exception) -> Iterator[None]:
    """For rows that another transaction may have written first: what the block adds or changes stands in a savepoint.

    Where it collides, only the block is undone, and `refusal` is raised; what the transaction did before stays, with
    its audit entries and notices. Set attributes inside the block: before it they would be flushed without the
    savepoint.
    """
    try:
        with db.session.begin_nested():
            yield
            db.session.flush()
    except IntegrityError:
        raise refusal from None
