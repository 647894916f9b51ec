"""The worker as a process: jobs, sweep, heartbeat, and the way it stops."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import psutil
import pytest
from flask import Flask
from sqlalchemy import text

from tests.conftest import SQLITE
from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.smtp_server import SmtpServer
from tests.worker.running import PROJECT, RunningWorker, until
from webapp.extensions import broker, db

Make = Callable[..., RunningWorker]
NEVER = {"COUNTERSIGN_SWEEP_SECONDS": "600"}


# How a process starts and ends does not depend on the database.
on_one_engine = pytest.mark.parametrize("engine", [SQLITE])


def states() -> list[tuple[str, int]]:
    db.session.rollback()
    found = [tuple(row) for row in db.session.execute(text("SELECT state, tries FROM notices ORDER BY id"))]
    db.session.rollback()
    return found  # type: ignore[return-value]


def listening() -> bool:
    return bool(broker().smembers("rq:workers:countersign"))


def test_a_woken_worker_sends_at_once_and_sigterm_stops(company: Company, smtp: SmtpServer, worker: Make) -> None:
    running = worker(**NEVER).start()
    until(listening)
    for number in range(3):
        factories.request(company.rita, factories.app(f"App {number}", company.ana))
        until(lambda expected=number + 1: len(smtp.mails) == expected, within=5)
    until(lambda: states() == [("sent", 1)] * 3)
    assert rows("heartbeats", f"name = '{socket.gethostname()}:{running.pid}'") == 1
    assert running.stop() < 4
    assert running.process is not None and running.process.returncode == 0
    assert "The worker has stopped." in running.output()
    assert "/decide/" not in running.output()
    assert not listening()


def test_two_workers_send_each_mail_once(company: Company, smtp: SmtpServer, worker: Make) -> None:
    for _ in range(2):
        worker(COUNTERSIGN_SWEEP_SECONDS="0.2").start()
    for number in range(6):
        factories.request(company.rita, factories.app(f"App {number}", company.finance))
    until(lambda: len(smtp.mails) >= 12)
    time.sleep(0.5)
    assert len({mail.message["Message-ID"] for mail in smtp.mails}) == len(smtp.mails) == 12


def test_the_sweep_ends_what_is_overdue(company: Company, smtp: SmtpServer, worker: Make) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.overdue(made)
    worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()
    until(lambda: bool(smtp.to("rita@example.com")))
    assert smtp.one_to("rita@example.com").subject == "Expired: your request for Salesforce"


@on_one_engine
def test_sigterm_cuts_a_conversation_that_hangs(company: Company, smtp: SmtpServer, worker: Make) -> None:
    running = worker(**NEVER).start()
    until(listening)
    smtp.hang = 30
    for number in range(3):
        factories.request(company.rita, factories.app(f"App {number}", company.ana))
    until(lambda: ("leased", 1) in states())
    assert running.stop() < 4
    assert states() == [("due", 0)] * 3


@on_one_engine
def test_sigterm_ends_it_whichever_of_its_threads_gets_it(company: Company, smtp: SmtpServer, worker: Make) -> None:
    """The system chooses one; the main thread, where Python runs the handlers, may then wait on undisturbed."""
    running = worker(**NEVER).start()
    until(listening)
    smtp.hang = 30
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    until(lambda: ("leased", 1) in states())
    assert running.process is not None
    # On Linux a thread's number in place of the process's asks for that thread.
    os.kill(max(thread.id for thread in psutil.Process(running.pid).threads()), signal.SIGTERM)
    running.process.wait(4)
    assert states() == [("due", 0)]


@on_one_engine
def test_it_ends_with_its_parent_when_embedded(app: Flask, smtp: SmtpServer, worker: Make) -> None:
    running = worker(COUNTERSIGN_EMBEDDED="1", **NEVER)
    with open(running.log, "ab") as log:
        parent = subprocess.Popen(
            [sys.executable, "-c", "import subprocess, sys; subprocess.run([sys.executable, 'worker.py'])"],
            cwd=PROJECT, env=running.environment, stdin=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    try:
        until(lambda: rows("heartbeats") == 1)
        (child,) = psutil.Process(parent.pid).children()
    finally:
        parent.kill()
        parent.wait()
    if sys.platform.startswith("linux"):
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, within=5)
    else:
        child.kill()


class OldRedis(socketserver.StreamRequestHandler):
    """Speaks just enough to say that it is Redis 6.0, or 5, which knows no HELLO."""

    hello = b"%1\r\n$5\r\nproto\r\n:3\r\n"

    def handle(self) -> None:
        while True:
            line = self.rfile.readline()
            if not line:
                return
            words = []
            for _ in range(int(line[1:])):
                self.rfile.readline()
                words.append(self.rfile.readline().strip().upper())
            if words[0] == b"INFO":
                body = b"redis_version:6.0.16\r\n"
                self.wfile.write(b"$%d\r\n%s\r\n" % (len(body), body))
            else:
                self.wfile.write(self.hello if words[0] == b"HELLO" else b"+OK\r\n")


class OlderRedis(OldRedis):
    hello = b"-ERR unknown command `HELLO`, with args beginning with: `3`,\r\n"


@on_one_engine
@pytest.mark.parametrize(("old", "version"), [(OldRedis, "6.0.16"), (OlderRedis, "5 or older")])
def test_an_old_redis_is_refused_with_a_sentence(
    app: Flask, smtp: SmtpServer, worker: Make, old: type[OldRedis], version: str
) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), old) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running = worker(REDIS_URL=f"redis://127.0.0.1:{server.server_address[1]}/0", **NEVER)
        running.start(wait=False)
        until(lambda: running.ended)
        server.shutdown()
    assert running.process is not None and running.process.returncode == 1
    assert f"Redis {version}. Countersign needs Redis 6.2 or newer, or Valkey." in running.output()


def test_another_role_is_refused_with_a_sentence(app: Flask) -> None:
    ended = subprocess.run([sys.executable, "worker.py", "faxes"], cwd=PROJECT, capture_output=True, text=True)
    assert ended.returncode == 2
    assert "Run it as worker.py emails or worker.py webhooks." in ended.stdout + ended.stderr


@on_one_engine
def test_a_bad_setting_is_a_sentence(app: Flask, smtp: SmtpServer, worker: Make) -> None:
    running = worker(SECRET_KEY="short").start(wait=False)
    until(lambda: running.ended)
    assert "SECRET_KEY is too short" in running.output()


@on_one_engine
def test_it_has_no_children_that_a_kill_could_leave_behind(app: Flask, smtp: SmtpServer, worker: Make) -> None:
    running = worker(**NEVER).start()
    until(listening)
    assert psutil.Process(running.pid).children(recursive=True) == []
