"""Whether the database has the tables that this version of the code expects, by its migration number."""

from functools import cache
from pathlib import Path
from typing import Literal

from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError

from webapp.config import PROJECT

State = Literal["ok", "older", "newer"]

SENTENCES = {
    "older": "The database is of an earlier version of Countersign. An upgrade is needed: countersign upgrade",
    "newer": "This database is of a newer version of Countersign. Install that version, or restore the backup that "
    "was made before the upgrade.",
}


@cache
def _known() -> tuple[str | None, frozenset[str]]:
    """The newest migration that comes with the code, and all of them."""
    scripts = ScriptDirectory(str(Path(PROJECT) / "migrations"))
    return scripts.get_current_head(), frozenset(one.revision for one in scripts.walk_revisions())


def newest() -> str | None:
    """The migration that this code expects."""
    return _known()[0]


def revision(connection: Connection) -> str | None:
    """The migration that the database has; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()


def state(connection: Connection) -> State:
    """Compares the database with the code. A migration that the code does not know was made by a newer version."""
    present = revision(connection)
    expected, known = _known()
    if present == expected:
        return "ok"
    return "older" if present is None or present in known else "newer"


def problem(engine: Engine) -> str:
    """What to do before this code may work on the database, or "". Raises SQLAlchemyError when it is out of reach."""
    with engine.connect() as connection:
        return SENTENCES.get(state(connection), "")


def problem_at(url: URL) -> str:
    """The same for the database at `url`; "" when it is out of reach, which may be temporary."""
    engine = create_engine(url)
    try:
        return problem(engine)
    except SQLAlchemyError:
        return ""
    finally:
        engine.dispose()
