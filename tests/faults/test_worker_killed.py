"""kill -9 of the worker: nothing is lost, and at most one mail comes twice."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from tests.conftest import POSTGRESQL, SQLITE
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.worker.running import RunningWorker, until
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import broker, db
from webapp.models import Notice

Make = Callable[..., RunningWorker]


def states() -> list[str]:
    db.session.rollback()
    found = list(db.session.execute(text("SELECT state FROM notices ORDER BY id")).scalars())
    db.session.rollback()
    return found


def let_the_leases_run_out() -> None:
    choose("write")
    db.session.execute(
        update(Notice).where(Notice.state == "leased").values(lease_until=clock.now() - timedelta(seconds=1))
    )
    db.session.commit()


# What is leased at the kill is the same at each command of the conversation: one of them is tried on both databases.
@pytest.mark.parametrize(
    ("engine", "command"), [(SQLITE, "MAIL"), (POSTGRESQL, "RCPT"), (SQLITE, "DATA"), (POSTGRESQL, "DATA")]
)
def test_killed_before_the_server_took_the_mail(company: Company, smtp: SmtpServer, worker: Make, command: str) -> None:
    running = worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()

    def kill(envelope: Any) -> str:
        os.kill(running.pid, signal.SIGKILL)
        return "451 nobody hears this"

    smtp.hooks[command] = kill
    for number in range(3):
        factories.request(company.rita, factories.app(f"App {number}", company.ana))
    until(lambda: running.ended)
    assert smtp.mails == []
    smtp.hooks.clear()
    let_the_leases_run_out()
    worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()
    until(lambda: states() == ["sent"] * 3)
    assert len(smtp.mails) == len({mail.message["Message-ID"] for mail in smtp.mails}) == 3


def test_killed_after_the_server_took_the_mail_and_before_the_mark(
    company: Company, smtp: SmtpServer, worker: Make
) -> None:
    # Only the job: a sweep at the same time would be a second conversation, cut at any point.
    running = worker(COUNTERSIGN_SWEEP_SECONDS="600").start()
    until(lambda: bool(broker().smembers("rq:workers:countersign")))
    smtp.after_accepting = lambda: os.kill(running.pid, signal.SIGKILL)
    for number in range(3):
        factories.request(company.rita, factories.app(f"App {number}", company.ana))
    until(lambda: running.ended)
    assert len(smtp.mails) == 1
    assert "sent" not in states()
    smtp.after_accepting = None
    let_the_leases_run_out()
    worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()
    until(lambda: states() == ["sent"] * 3)
    ids = [str(mail.message["Message-ID"]) for mail in smtp.mails]
    assert len(ids) == 4 and len(set(ids)) == 3
    again = [mail.content for mail in smtp.mails if ids.count(str(mail.message["Message-ID"])) == 2]
    twice = [re.sub(rb"\r\nDate: [^\r]*", b"", content) for content in again]  # the date is when it was sent
    assert len(twice) == 2 and twice[0] == twice[1]
