"""Why the database cannot be used although it answers: its disk is full, or its tables are of another version.

The process that notices it remembers it, for /readyz and for the error page.
"""

import logging
import shutil
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

import psycopg.errors
from flask import current_app
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from webapp.database import schema
from webapp.extensions import broker, db

# Seconds for which the disk counts as full after a write failed. A worker writes every ten seconds.
FULL_SECONDS = 60
# Bytes that SQLite needs beside its file for one change.
ROOM = 4 * 1024 * 1024
KEY = "countersign:disk-full"

DISK_FULL = "The disk of the database is full. Make room on it; nothing can be saved until then."
FOR_PEOPLE = {
    "full": "There is no space left to save anything, so nothing was changed. Tell an admin, then send it again.",
    "schema": "Countersign is being upgraded, so nothing was changed. Try again in a few minutes.",
}

_ANOTHER_SERVER = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)

log = logging.getLogger("countersign.database")

_state = {"full_until": 0.0}


def is_full(error: BaseException) -> bool:
    """Whether the error says that the disk is full."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        return (getattr(cause, "sqlite_errorcode", 0) or 0) & 0xFF == sqlite3.SQLITE_FULL
    return isinstance(cause, psycopg.errors.DiskFull)


def note(error: BaseException) -> None:
    """Remembers a full disk, here and, through the broker, for the other processes. Logs what to set if a pool gives
    each transaction another server process, which does not know our prepared statements."""
    if isinstance(getattr(error, "orig", error), _ANOTHER_SERVER):
        log.error("The database is behind a pool of transactions, such as pgbouncer's. Set DATABASE_PREPARED=0.")
    if is_full(error):
        _state["full_until"] = time.monotonic() + FULL_SECONDS
        with suppress(RedisError, OSError):
            broker().set(KEY, "1", ex=FULL_SECONDS)


def disk_is_full() -> bool:
    """Whether a write failed lately because the disk was full, or there is no room beside an SQLite file."""
    if time.monotonic() < _state["full_until"]:
        return True
    with suppress(RedisError, OSError):
        if broker().exists(KEY):
            return True
    url = db.engine.url
    if url.get_backend_name() != "sqlite" or not url.database:
        return False
    with suppress(OSError):
        return shutil.disk_usage(Path(url.database).parent).free < ROOM
    return False


def schema_problem() -> str:
    """What has to be done before this code may use the database, or ""; remembered for `known_problem`."""
    try:
        found = schema.problem(db.engine)
    except (SQLAlchemyError, sqlite3.Error):  # the driver's own, when the transaction cannot even begin
        return ""  # out of reach: the next statement fails with its own error
    current_app.extensions["schema_problem"] = found
    return found


def known_problem() -> str:
    """What `schema_problem` found when it was last asked."""
    return str(current_app.extensions.get("schema_problem", ""))


def for_people(error: BaseException) -> str:
    """The sentence for the page after this error, if it is one of these two, or ""."""
    note(error)
    if is_full(error):
        return FOR_PEOPLE["full"]
    return FOR_PEOPLE["schema"] if schema_problem() else ""
