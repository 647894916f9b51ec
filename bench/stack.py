"""What a measurement runs on: PostgreSQL and a broker as the tests start them, and web servers like production's."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from bench import bare, data
from bench.client import Client
from webapp import create_app
from webapp.config import PROJECT, Settings
from webapp.database.transactions import choose
from webapp.extensions import db

ENGINES = ("sqlite", "postgresql")
OURS = ("DATABASE_URL", "REDIS_URL", "BASE_URL", "TRUSTED_HOSTS", "TRUSTED_PROXIES", "MAIL_SERVER", "PORT",
        "SECRET_KEY", "WEB_CONCURRENCY", "WEB_THREADS", "ACCESS_LOG")  # fmt: skip


@dataclass
class Site:
    """A filled database with the sessions that read it."""

    engine: str
    env: dict[str, str]
    app: Flask
    company: data.Company
    version: str
    cookies: dict[str, str] = field(default_factory=dict)
    askers: Iterator[int] = field(init=False)

    def __post_init__(self) -> None:
        # The first thirty are waiting for Ana.
        self.askers = iter(self.company.others[data.ROWS :])


class Stack:
    """The folder, the broker and the databases; gone when the `with` block ends."""

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="countersign-bench-")))
        from tests.helpers.valkey import start_valkey

        broker = start_valkey(self.folder)
        self._stack.callback(broker.stop)
        self._redis_url = broker.url
        self._postgres: Any = None
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def site(
        self,
        engine: str,
        name: str,
        *,
        apps: int,
        history: int = data.HISTORY,
        fill: Callable[[data.Company], None] | None = None,
    ) -> Site:
        """A new database of that name: migrated, filled, with the bare app's tables beside ours. With `fill` nobody
        has asked for anything yet but what it makes."""
        folder = self.folder / f"{engine}-{name}"
        folder.mkdir()
        env = {
            key: value for key, value in os.environ.items() if key not in OURS and not key.startswith("COUNTERSIGN_")
        } | {
            "COUNTERSIGN_EMBEDDED": "1",
            "COUNTERSIGN_DATA": str(folder),
            "SECRET_KEY": "only for measuring, never used again",
            "REDIS_URL": self._redis_url,
            "DATABASE_URL": self._database(engine, folder, name),
        }
        settings = Settings.from_env(env)
        app = create_app(settings)
        plain = bare.create_app(settings.database_url)
        with app.app_context():
            choose("write")
            upgrade()
            company = data.fill(apps, history, queues=fill is None)
            if fill:
                fill(company)
            version = _version(engine)
            site = Site(engine, env, app, company, version)
            for who in ("adam", "rita", "mia", "paul", "ana", "otto"):
                site.cookies[who] = data.cookie(app, getattr(company, who))
            db.session.remove()
            db.engine.dispose()
        with plain.app_context():
            bare.fill()
            bare.db.engine.dispose()
        if engine == "postgresql":
            # As autovacuum would have done within a minute.
            url = settings.database_url.replace("+psycopg", "")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute("VACUUM ANALYZE")
        return site

    def _database(self, engine: str, folder: Path, name: str) -> str:
        if engine == "sqlite":
            return f"sqlite:///{folder / 'bench.db'}"
        if self._postgres is None:
            from tests.helpers.postgres import shared_folder, start_postgres

            self._postgres = start_postgres(shared_folder())
            self._stack.callback(self._postgres.stop)
            # The tests' server forgets on a crash; what is measured here must keep what it acknowledged.
            self._postgres.keep_what_was_acknowledged()
        url: str = self._postgres.new_database(f"bench_{name}")
        return url.replace("postgresql://", "postgresql+psycopg://", 1)


@contextmanager
def serve(site: Site, *, kind: str = "", workers: int = 1, threads: int = 4) -> Iterator[int]:
    """The web server with our production settings; `kind` "" is ours, waitress in gunicorn. The port it is on."""
    port = free_port()
    env = site.env | {"PORT": str(port), "WEB_CONCURRENCY": str(workers), "WEB_THREADS": str(threads)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:webapp.embedded.web", "bench.wsgi:app"]
    if kind == "granian":
        command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
                   "--workers", str(workers), "--blocking-threads", str(threads), "--no-ws", "--log-level", "error",
                   "bench.wsgi:app"]  # fmt: skip
    elif kind not in ("", "waitress"):  # ours
        command += ["--worker-class", kind]
    log = Path(site.env["COUNTERSIGN_DATA"]) / f"web-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=PROJECT, env=env, stdout=output, stderr=output)
    try:
        _wait_for(port, process, log)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def bare_cookie(port: int) -> str:
    """A session of the bare app."""
    head = Client(port).get("/bare/sign-in").head.decode()
    return next(line[12:].split(";")[0] for line in head.split("\r\n") if line.lower().startswith("set-cookie: "))


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if Client(port).get("/bare/sign-in").status == 200:
                return
        except (OSError, EOFError):
            time.sleep(0.1)
    raise RuntimeError(f"The web server did not start:\n{log.read_text()[-2000:]}")


def _version(engine: str) -> str:
    query = "SELECT sqlite_version()" if engine == "sqlite" else "SHOW server_version"
    name = "SQLite" if engine == "sqlite" else "PostgreSQL"
    return f"{name} {str(db.session.scalar(text(query))).split()[0]}"
