"""A real worker process for the tests, on the test's own database, broker and mail server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from flask import Flask

from tests.helpers.smtp_server import SmtpServer

PROJECT = Path(__file__).resolve().parents[2]


def until(question: Callable[[], object], within: float = 30.0) -> None:
    """Waits until the answer is true; fails after `within` seconds."""
    give_up = time.monotonic() + within
    while not question():
        assert time.monotonic() < give_up, f"still not so after {within} s"
        time.sleep(0.01)


class RunningWorker:
    """`python worker.py`: start it, kill it, stop it."""

    def __init__(
        self, app: Flask, smtp: SmtpServer, log: Path, *, role: str = "emails", **environment: str
    ) -> None:  # fmt: skip
        settings = app.extensions["settings"]
        outside = ("COUNTERSIGN_EMBEDDED", "COUNTERSIGN_SINK", "MAIL_USERNAME", "MAIL_PASSWORD")
        self.environment = {name: value for name, value in os.environ.items() if name not in outside} | {
            "DATABASE_URL": settings.database_url,
            "REDIS_URL": settings.redis_url,
            "BASE_URL": settings.base_url,
            "SECRET_KEY": settings.secret_key,
            "COUNTERSIGN_DATA": str(settings.data),
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(smtp.port),
            **environment,
        }
        self.log, self.role = log, role
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, wait: bool = True) -> RunningWorker:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "worker.py", self.role], cwd=PROJECT, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip
        if wait:
            said = self.output().count("The worker runs.")
            until(lambda: self.output().count("The worker runs.") > said or self.ended)
            assert not self.ended, self.output()
        return self

    @property
    def pid(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def ended(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def output(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def kill(self) -> None:
        """kill -9."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def stop(self) -> float:
        """SIGTERM; answers how many seconds it took."""
        began = time.monotonic()
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(8)
            except subprocess.TimeoutExpired:
                self.kill()
        return time.monotonic() - began
