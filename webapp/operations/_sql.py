"""How changes are written: rows and conditional UPDATEs, past the session's objects."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import CursorResult, Executable, Update

from webapp.extensions import db


def run(statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> CursorResult[Any]:
    """Runs a statement on tables in the session's transaction, after what the session itself has to write."""
    db.session.flush()
    return db.session.connection().execute(statement, values)


def changed(statement: Update, **values: Any) -> int:
    """The row count of a conditional UPDATE, which every caller looks at or may ignore.
    `values` are for the statement's own parameters."""
    return run(statement, values).rowcount
