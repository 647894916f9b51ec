"""A real SMTP server behind the app, and the outbox drained into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from tests.helpers.smtp_server import SmtpServer
from webapp.database.transactions import choose
from webapp.delivery import jobs


@pytest.fixture
def smtp(app: Flask) -> Iterator[SmtpServer]:
    """The mail server of this test's app."""
    server = SmtpServer().start()
    mail = app.extensions["mail"]
    before = mail.server, mail.port
    mail.server, mail.port = "127.0.0.1", server.port
    yield server
    mail.server, mail.port = before
    server.stop()


@pytest.fixture
def drain(smtp: SmtpServer) -> Callable[[], None]:
    """Sends everything that is due."""

    def run() -> None:
        choose("write")
        jobs.drain()

    return run
