"""How the lists read: columns in place of objects."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import CursorResult, Executable

from webapp.extensions import db


def read(statement: Executable, values: Mapping[str, Any]) -> CursorResult[*tuple[Any, ...]]:
    """Runs a statement that asks for columns only, in the session's transaction but past its loader of objects,
    which would take a third of the time."""
    db.session.flush()
    return db.session.connection().execute(statement, values)
