"""One way to run a conditional UPDATE."""

from typing import Any, cast

from sqlalchemy import CursorResult, Update

from webapp.extensions import db


def changed(statement: Update, **values: Any) -> int:
    """Runs it past the session's objects; returns the row count, which every caller looks at or may ignore.
    `values` are for the statement's own parameters."""
    result = db.session.execute(statement, values, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], result).rowcount
