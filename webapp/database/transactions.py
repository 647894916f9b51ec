"""The mode of a transaction, chosen before its first statement: "read" or "write".

A read that turns into a write gets "locked" at once on SQLite, so unsafe methods and jobs begin IMMEDIATE;
GET and HEAD cannot write at all (`PRAGMA query_only`, `READ ONLY`).
"""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, Engine, event
from sqlalchemy.exc import InvalidatePoolError

from webapp import clock
from webapp.extensions import db

# Seconds without use after which a connection is checked before it is used again.
RESTED = 1.0
# Seconds that a SQLite transaction waits for the write lock.
WAIT = 10.0

Mode = Literal["read", "write"]
_mode: ContextVar[Mode] = ContextVar("transaction_mode", default="write")


def choose(mode: Mode) -> None:
    """From the next transaction of this thread on."""
    _mode.set(mode)


@contextmanager
def reading() -> Iterator[None]:
    """A read-only transaction for slow work; none is open when it ends.

    Objects loaded inside stay usable, detached; to change one, load it again.
    """
    before = _mode.get()
    _leave()
    _mode.set("read")
    try:
        yield
    finally:
        _leave()
        _mode.set(before)


def _leave() -> None:
    # In this order: a rollback expires loaded objects, and a detached object cannot be loaded again.
    db.session.expunge_all()
    db.session.rollback()


@contextmanager
def autocommit(mode: Mode) -> Iterator[Connection]:
    """A connection for one statement that is a transaction of its own, for what a worker does once for each email.

    PostgreSQL runs it in autocommit mode: BEGIN and COMMIT would be two more round trips.
    """
    before = _mode.get()
    _mode.set(mode)
    try:
        with db.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection = connection.execution_options(isolation_level="AUTOCOMMIT")
            yield connection
            connection.commit()
    finally:
        _mode.set(before)


def listen(engine: Engine) -> None:
    """Makes the engine's transactions follow the mode."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect)
        event.listen(engine, "begin", _sqlite_begin)
    else:
        event.listen(engine, "begin", _postgresql_begin)
        event.listen(engine, "rollback", _postgresql_rollback)
        event.listen(engine, "checkin", _postgresql_checkin)
        event.listen(engine, "checkout", _postgresql_checkout)


def _sqlite_connect(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver's own implicit BEGIN would come before ours
    for pragma in (
        f"busy_timeout = {WAIT * 1000:.0f}",
        "journal_mode = WAL",
        "synchronous = FULL",  # an acknowledged decision survives a power cut
        "foreign_keys = ON",
        "recursive_triggers = ON",  # else INSERT OR REPLACE passes the append-only triggers
        "temp_store = MEMORY",
        # For each connection, and thrown away whenever another one writes; the system keeps the file in memory anyway.
        "cache_size = -512",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Any) -> None:
    raw = connection.connection.dbapi_connection
    info = connection.connection.info
    read = _mode.get() == "read"
    if info.get("query_only", False) is not read:
        raw.execute(f"PRAGMA query_only = {'ON' if read else 'OFF'}")
        info["query_only"] = read
    if clock.is_due():
        (now,) = raw.execute("SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')").fetchone()
        clock.agree(datetime.fromisoformat(now).replace(tzinfo=UTC))
    if read:
        raw.execute("BEGIN")
    else:
        _sqlite_begin_writing(raw)


def _sqlite_begin_writing(raw: sqlite3.Connection) -> None:
    """Tries for the write lock about two hundred times a second. SQLite's own waiting tries less and less often, in the
    end ten times a second: among many writers one of them would then never get the lock."""
    until = time.monotonic() + WAIT
    raw.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
            time.sleep(random.uniform(0.001, 0.01))  # nosec
    finally:
        raw.execute(f"PRAGMA busy_timeout = {WAIT * 1000:.0f}")


def _postgresql_begin(connection: Any) -> None:
    raw = connection.connection.dbapi_connection
    read = _mode.get() == "read"
    if bool(raw.read_only) is not read:
        raw.read_only = read
    if clock.is_due():
        # If the server is gone, the next statement raises an error that is handled there.
        with suppress(psycopg.Error):
            (now,) = raw.execute("SELECT clock_timestamp()").fetchone()
            clock.agree(now)


def _postgresql_rollback(connection: Any) -> None:
    if connection.invalidated:
        return  # the server is gone, and its transaction with it
    # psycopg forgets its prepared statements at a ROLLBACK, and a page's statements take longer to plan than to run.
    # A transaction that only read may as well end with a COMMIT.
    raw = connection.connection.dbapi_connection
    if raw.read_only and raw.info.transaction_status == TransactionStatus.INTRANS:
        # If the server is gone, the ROLLBACK that follows raises an error that is handled there.
        with suppress(psycopg.Error):
            raw.commit()


def _postgresql_checkin(connection: Any, record: Any) -> None:
    record.info["rests_since"] = time.monotonic()


def _postgresql_checkout(connection: Any, record: Any, proxy: Any) -> None:
    """Like SQLAlchemy's pool_pre_ping, but not for a connection that was used a moment ago: under load the check would
    take a tenth of the time of a page."""
    if time.monotonic() - record.info.get("rests_since", time.monotonic()) < RESTED:
        return
    try:
        connection.execute("SELECT 1")
        connection.commit()  # a ROLLBACK would forget the prepared statements
    except psycopg.Error as error:
        raise InvalidatePoolError("The server has closed this connection.") from error
