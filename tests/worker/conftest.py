"""A mail server and worker processes, all ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.helpers.smtp_server import SmtpServer
from tests.mail.conftest import smtp
from tests.worker.running import RunningWorker

__all__ = ["smtp", "worker"]


@pytest.fixture
def worker(app: Flask, smtp: SmtpServer, tmp_path: Path) -> Iterator[Callable[..., RunningWorker]]:
    """`worker()` is a worker process that is not started yet; keywords are its environment."""
    made: list[RunningWorker] = []

    def make(**environment: str) -> RunningWorker:
        made.append(RunningWorker(app, smtp, tmp_path / f"worker-{len(made)}.log", **environment))
        return made[-1]

    yield make
    for one in made:
        if not one.ended:
            one.kill()
