"""`countersign check`: one line for each thing an installation needs, and the exit code; `countersign test-mail`."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from tests.conftest import as_if_made_by, make_settings
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.worker.conftest import smtp, worker
from tests.worker.running import RunningWorker, until
from webapp import clock, create_app
from webapp.config import PROJECT, version
from webapp.delivery import jobs, outbox
from webapp.extensions import db
from webapp.operations import mails
from webapp.runtime import broker_rights

__all__ = ["smtp", "worker"]


def check(app: Flask) -> tuple[int, dict[str, str]]:
    """(the exit code, each line by its name)."""
    done = app.test_cli_runner().invoke(args=["check"])
    names = ("version", "database", "schema", "broker", "mail server", "clock", "worker", "webhooks", "anchors",
             "approvers")  # fmt: skip
    return done.exit_code, {name: line for line in done.output.splitlines() for name in names if name in line[8:20]}


@contextmanager
def with_settings(app: Flask, **changes: object) -> Iterator[None]:
    before = app.extensions["settings"]
    app.extensions["settings"] = replace(before, **changes)
    try:
        yield
    finally:
        app.extensions["settings"] = before


def test_a_whole_installation_is_ok(app: Flask, company: Company, smtp: SmtpServer) -> None:
    jobs.beat("a worker")
    code, lines = check(app)
    assert code == 0, lines
    assert len(lines) == 10
    assert all(line.startswith("ok") for line in lines.values())
    assert version() in lines["version"]


def test_whoever_has_webhooks_needs_a_worker_for_them(app: Flask, company: Company, smtp: SmtpServer) -> None:
    jobs.beat("a worker")
    assert "not needed" in check(app)[1]["webhooks"]
    factories.webhook(company.adam)
    code, lines = check(app)
    assert code == 1 and lines["webhooks"].startswith("FAILED") and lines["worker"].startswith("ok")
    assert "nothing is sent to 1 webhook or chat channel. Start countersign-webhooks." in lines["webhooks"]
    jobs.beat("webhooks@here:1")
    code, lines = check(app)
    assert code == 0 and "seen 0 seconds ago" in lines["webhooks"]


def test_before_the_first_upgrade_the_other_lines_say_that_they_wait_for_it(tmp_path: Path, redis_url: str) -> None:
    empty = create_app(make_settings(tmp_path, f"sqlite:///{tmp_path / 'x.db'}", redis_url))
    with empty.app_context():
        code, lines = check(empty)
        db.engine.dispose()
    assert code == 1
    assert "An upgrade is needed" in lines["schema"]
    assert lines["worker"].endswith("Needs the upgrade first.")


def test_each_failure_is_a_line_with_what_to_do_and_the_rest_is_looked_at(app: Flask, smtp: SmtpServer) -> None:
    app.extensions["mail"].port = 9
    with as_if_made_by(app, "9999"), with_settings(app, redis_url="redis://127.0.0.1:9/0"):
        code, lines = check(app)
    assert code == 1
    for name, words in {
        "schema": "newer version",
        "broker": ". Check REDIS_URL.",
        "mail server": ". Check that it is running",
        "worker": "Start countersign-worker",
    }.items():
        assert lines[name].startswith("FAILED") and words in lines[name], lines
    assert lines["database"].startswith("ok")


@contextmanager
def broker_user(redis_url: str, *rules: str) -> Iterator[str]:
    """The address of the tests' broker for a user with these rights."""
    with Redis.from_url(redis_url) as admin:
        admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", *rules)
        yield redis_url.replace("unix://", "unix://limited:pw@")
        admin.execute_command("ACL", "DELUSER", "limited")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ([], None),
        (["-blpop", "-eval"], "no right to: BLPOP, EVAL."),
        (["resetkeys", "~rq:*", "~countersign*"], "no right to: LIMITS:*."),
        ([">other", "<pw"], ". Check the user and password in REDIS_URL."),
    ],
)
def test_a_broker_user_without_the_rights_of_an_administrator_is_enough_and_what_lacks_is_named(
    app: Flask, redis_url: str, change: list[str], words: str | None
) -> None:
    with broker_user(redis_url, *broker_rights.ALLOW.split(), *change) as url, with_settings(app, redis_url=url):
        _, lines = check(app)
    assert lines["broker"].startswith("FAILED" if words else "ok"), lines
    assert (words or "Redis ") in lines["broker"]


def test_a_worker_works_with_such_a_user(
    app: Flask, company: Company, smtp: SmtpServer, worker: Callable[..., RunningWorker], redis_url: str
) -> None:
    with broker_user(redis_url, *broker_rights.ALLOW.split()) as url:
        running = worker(REDIS_URL=url, COUNTERSIGN_SWEEP_SECONDS="600").start()
        until(lambda: Redis.from_url(redis_url).smembers("rq:workers:countersign"))
        mails.send_test(actor=company.adam, now=clock.now())
        outbox.commit()
        db.session.rollback()
        until(lambda: smtp.to("adam@example.com"))
        running.process.terminate()  # type: ignore[union-attr]
        running.process.wait(10)  # type: ignore[union-attr]
    assert "no permissions" not in running.output()


def test_the_test_mail_says_what_the_server_answered(app: Flask, smtp: SmtpServer) -> None:
    runner = app.test_cli_runner()
    sent = runner.invoke(args=["test-mail", "somebody@example.org"])
    assert sent.exit_code == 0, sent.output
    assert "The mail server accepted it" in sent.output
    assert len(smtp.to("somebody@example.org")) == 1
    for bad in ("nobody", "a@b@c", ""):
        refused = runner.invoke(args=["test-mail", bad])
        assert refused.exit_code == 1 and "Traceback" not in refused.output
    app.extensions["mail"].port = 9
    away = runner.invoke(args=["test-mail", "somebody@example.org"])
    assert away.exit_code == 1
    assert ". Check that it is running" in away.output


def test_the_command_says_its_version_without_any_setting() -> None:
    said = subprocess.run([PROJECT / "bin" / "countersign", "--version"], cwd="/", env={"PATH": "/usr/bin:/bin"},
                          capture_output=True, text=True)  # fmt: skip
    assert (said.stdout.strip(), said.returncode) == (f"Countersign {version()}", 0)
