"""One way to run a conditional UPDATE."""

from typing import Any, cast

from sqlalchemy import CursorResult, Update

from webapp.extensions import db


def changed(statement: Update) -> int:
    """Runs it past the session's objects; returns the row count, which every caller looks at or may ignore."""
    result = db.session.execute(statement, execution_options={"synchronize_session": False})
    return cast(CursorResult[Any], result).rowcount
