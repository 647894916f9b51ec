"""A database of another version, or with a full disk: refused with a sentence by pages, /readyz and the worker."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from tests.conftest import Browser, as_if_made_by, make_settings
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.worker.conftest import smtp, worker
from tests.worker.running import RunningWorker, until
from webapp import create_app
from webapp.config import PROJECT
from webapp.database import faults, schema
from webapp.database.transactions import choose
from webapp.extensions import db

__all__ = ["SmtpServer", "smtp", "worker"]
OTHERS = [("0001", "An upgrade is needed: countersign upgrade"), ("9999", "of a newer version")]


@pytest.fixture(autouse=True)
def forget(app: Flask) -> object:
    yield
    faults._state["full_until"] = 0.0
    app.extensions.pop("schema_problem", None)


@pytest.mark.parametrize(("revision", "words"), OTHERS)
def test_readyz_says_that_the_database_is_of_another_version_and_pages_are_refused_until_it_is_not(
    app: Flask, login_as: Callable[..., Browser], company: Company, revision: str, words: str
) -> None:
    rita = login_as(company.rita)
    with as_if_made_by(app, revision):
        ready = rita.get("/readyz")
        assert ready.status_code == 503
        assert words in ready.json["problem"]
        assert ready.json["status"] == "degraded"
        refused = rita.get("/catalog")
        assert refused.status_code == 503
        assert "being upgraded" in refused.text
        assert rita.get("/healthz").status_code == 200
    assert rita.get("/catalog").status_code == 200
    assert rita.get("/readyz").json["schema"] == "ok"


def test_a_column_that_is_not_there_yet_is_an_upgrade_under_way_and_not_a_fault_of_ours(
    app: Flask, login_as: Callable[..., Browser], company: Company
) -> None:
    rita = login_as(company.rita)
    choose("write")
    db.session.execute(text("ALTER TABLE grants RENAME TO grants_before"))
    db.session.commit()
    try:
        assert rita.get("/").status_code in (500, 503)
        with as_if_made_by(app, "0001"):
            refused = rita.get("/")
        assert refused.status_code == 503
        assert "being upgraded" in refused.text
    finally:
        db.session.rollback()
        choose("write")
        db.session.execute(text("ALTER TABLE grants_before RENAME TO grants"))
        db.session.commit()


def environment(app: Flask, tmp_path: Path) -> dict[str, str]:
    settings = app.extensions["settings"]
    return {**os.environ, "DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url,
            "BASE_URL": "http://127.0.0.1", "SECRET_KEY": settings.secret_key, "COUNTERSIGN_DATA": str(tmp_path),
            "MAIL_SERVER": "127.0.0.1"}  # fmt: skip


@pytest.mark.parametrize("command", [["-m", "gunicorn", "-c", "python:webapp.embedded.web", "-b", "127.0.0.1:0",
                                      "wsgi:app"], ["worker.py"]])  # fmt: skip
def test_web_and_worker_refuse_to_start_on_a_database_of_another_version(
    app: Flask, tmp_path: Path, command: list[str]
) -> None:
    with as_if_made_by(app, "0001"):
        done = subprocess.run(
            [sys.executable, *command], cwd=PROJECT, env=environment(app, tmp_path), stderr=subprocess.PIPE, timeout=30
        )
    assert done.returncode != 0
    assert b"An upgrade is needed: countersign upgrade" in done.stderr
    assert b"Traceback" not in done.stderr


def test_a_worker_ends_when_the_database_is_upgraded_behind_it(
    app: Flask, worker: Callable[..., RunningWorker]
) -> None:
    running = worker(COUNTERSIGN_SWEEP_SECONDS="0.2").start()
    with as_if_made_by(app, "9999"):
        until(lambda: running.ended)
    assert running.process is not None
    assert running.process.returncode == 1
    assert "of a newer version" in running.output()


def test_upgrade_refuses_a_database_of_a_newer_version(app: Flask) -> None:
    with as_if_made_by(app, "9999"):
        done = app.test_cli_runner().invoke(args=["upgrade"])
    assert done.exit_code == 1
    assert schema.SENTENCES["newer"] in done.output


def fill_the_disk(app: Flask) -> Callable[[], None]:
    """Lets the database take nothing any more; answers how to end it."""
    if db.engine.dialect.name == "sqlite":

        def no_more_pages(connection: object) -> None:
            raw = connection.connection.dbapi_connection  # type: ignore[attr-defined]
            raw.execute("PRAGMA max_page_count = 1")  # as many as there are

        event.listen(db.engine, "begin", no_more_pages, insert=True)

        def end() -> None:
            event.remove(db.engine, "begin", no_more_pages)
            db.engine.dispose()

        return end
    choose("write")
    db.session.execute(text(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$"
    ))  # fmt: skip
    db.session.execute(
        text("CREATE TRIGGER full_disk BEFORE INSERT ON comments FOR EACH ROW EXECUTE FUNCTION full_disk()")
    )
    db.session.commit()

    def drop() -> None:
        db.session.rollback()
        choose("write")
        db.session.execute(text("DROP FUNCTION full_disk CASCADE"))
        db.session.commit()

    return drop


def test_a_full_disk_is_said_on_the_page_and_by_readyz(
    app: Flask, login_as: Callable[..., Browser], company: Company
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    rita = login_as(company.rita)
    address = f"/requests/{made.public_id}/comments"
    assert rita.get("/readyz").json["disk"] == "ok"
    end = fill_the_disk(app)
    try:
        answers = [rita.post(address, {"comment": f"{number} " * 100}) for number in range(60)]
        last = answers[-1]
        assert last.status_code == 503
        assert "no space left" in last.text
        ready = rita.get("/readyz")
        assert (ready.status_code, ready.json["disk"]) == (503, "full")
        assert "Make room" in ready.json["problem"]
        # Another process hears it through the broker.
        faults._state["full_until"] = 0.0
        assert rita.get("/readyz").json["disk"] == "full"
    finally:
        end()


def test_a_pool_of_transactions_is_named_with_what_to_set(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    lost = psycopg.errors.InvalidSqlStatementName('prepared statement "_pg3_0" does not exist')
    faults.note(DBAPIError("SELECT 1", {}, lost))
    assert "DATABASE_PREPARED=0" in caplog.text
    pooled = create_app(make_settings(app.extensions["settings"].data, "postgresql+psycopg://x@127.0.0.1:9/x",
                                      "redis://127.0.0.1:9/0", database_prepared=False))  # fmt: skip
    assert pooled.config["SQLALCHEMY_ENGINE_OPTIONS"]["connect_args"]["prepare_threshold"] is None
