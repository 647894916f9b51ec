"""The mode of a transaction, on both engines: a page that only shows cannot write."""

import sqlite3
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock, create_app
from webapp.database.transactions import choose, reading
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.record import audit
from webapp.web.signin import anyone
from webapp.workflow.actor import SYSTEM

WRITES = [
    "UPDATE people SET theme = 'dark'",
    "DELETE FROM sessions",
    "INSERT INTO heartbeats (name, at) VALUES ('x', '2026-01-01 00:00:00.000000')",
    "CREATE TABLE mine (id INTEGER)",
]


@pytest.mark.parametrize("statement", WRITES)
def test_a_write_in_a_reading_transaction_fails_and_the_next_one_is_free_again(
    company: Company, statement: str
) -> None:
    db.session.rollback()
    choose("read")
    assert db.session.execute(text("SELECT count(*) FROM people")).scalar_one() == 6
    with pytest.raises(DBAPIError, match=r"read-only|readonly"):
        db.session.execute(text(statement))
    db.session.rollback()
    choose("write")
    db.session.execute(text(statement))
    db.session.rollback()


def test_the_mode_follows_the_connection_through_the_pool(company: Company) -> None:
    """One connection, read and write by turns: what the last one chose does not stick to it."""
    for theme in ("dark", "light", "dark"):
        db.session.rollback()
        choose("read")
        with pytest.raises(DBAPIError):
            db.session.execute(text(f"UPDATE people SET theme = '{theme}'"))
        db.session.rollback()
        choose("write")
        db.session.execute(text(f"UPDATE people SET theme = '{theme}'"))
        db.session.commit()
        assert db.session.scalars(text("SELECT DISTINCT theme FROM people")).all() == [theme]


@pytest.fixture
def writing(app: Flask) -> Iterator[FlaskClient]:
    """An app of its own on the same database, with a view that writes, whatever the method."""
    other = create_app(app.extensions["settings"])
    other.config["WTF_CSRF_ENABLED"] = False

    @other.route("/writes", methods=["GET", "POST"])
    @anyone
    def writes() -> str:
        db.session.execute(text("UPDATE people SET theme = 'dark'"))
        db.session.commit()
        return "written"

    yield other.test_client()
    with other.app_context():
        db.engine.dispose()


def test_a_get_cannot_write_and_a_post_can(company: Company, writing: FlaskClient) -> None:
    for method in (writing.get, writing.head):
        assert method("/writes").status_code >= 500
        assert factories.rows("people", "theme = 'dark'") == 0
    assert writing.post("/writes").text == "written"
    choose("write")
    assert factories.rows("people", "theme = 'dark'") == 6


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # PostgreSQL locks rows
def test_a_writing_transaction_holds_sqlite_from_its_first_statement(app: Flask, company: Company) -> None:
    """BEGIN IMMEDIATE: the read before the write is not stale, and nobody is "locked" in the middle."""
    db.session.rollback()
    choose("write")
    db.session.execute(text("SELECT 1"))
    refused: list[str] = []

    def another() -> None:
        with app.app_context():
            choose("read")
            assert db.session.execute(text("SELECT count(*) FROM people")).scalar_one() == 6
            db.session.remove()
            raw = sqlite3.connect(db.engine.url.database or "", timeout=0, isolation_level=None)
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                refused.append(str(error))
            raw.close()

    thread = threading.Thread(target=another)
    thread.start()
    thread.join(20)
    assert refused == ["database is locked"]
    db.session.rollback()


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_writer_gets_its_turn_though_others_hardly_ever_pause(app: Flask, company: Company) -> None:
    db.session.rollback()
    choose("write")
    turns, held, stop = [0], threading.Event(), threading.Event()

    def hold() -> None:
        raw = sqlite3.connect(db_file, timeout=10, isolation_level=None)
        while not stop.is_set():
            raw.execute("BEGIN IMMEDIATE")
            turns[0] += 1
            held.set()
            stop.wait(0.02)
            held.clear()
            raw.execute("ROLLBACK")
            stop.wait(0.001)
        raw.close()

    db_file = db.engine.url.database or ""
    thread = threading.Thread(target=hold)
    thread.start()
    try:
        for _ in range(10):
            held.wait()
            db.session.execute(text("SELECT 1"))
            db.session.rollback()
    finally:
        stop.set()
        thread.join(20)
    # One that asks ten times a second waits for about fifty turns of the other before each of its own.
    assert turns[0] < 120


def test_reading_leaves_no_transaction_open_and_what_was_read_stays_usable(company: Company) -> None:
    choose("write")
    db.session.rollback()
    with reading():
        person = db.session.query(Person).filter_by(email="rita@example.com").one()
        with pytest.raises(DBAPIError):
            db.session.execute(text("UPDATE people SET theme = 'dark'"))
    assert not db.session().in_transaction()
    assert db.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert person.name == "Rita Lindqvist"
    assert person not in db.session
    db.session.execute(text("UPDATE people SET theme = 'dark'"))
    db.session.rollback()


def test_reading_puts_the_mode_back_when_something_fails(company: Company) -> None:
    choose("write")
    with pytest.raises(ZeroDivisionError), reading():
        _ = 1 / 0
    assert not db.session().in_transaction()
    db.session.execute(text("UPDATE people SET theme = 'dark'"))
    db.session.rollback()


def test_reading_inside_a_reading_request_stays_reading(company: Company) -> None:
    db.session.rollback()
    choose("read")
    with reading():
        pass
    with pytest.raises(DBAPIError):
        db.session.execute(text("UPDATE people SET theme = 'dark'"))
    db.session.rollback()
    choose("write")


def test_what_was_noted_before_reading_is_forgotten(company: Company) -> None:
    lines = factories.rows("events")
    audit.record("person.changed", at=clock.now(), actor=SYSTEM)
    db.session.execute(text("SELECT 1"))
    with reading():
        pass
    outbox.commit()
    assert factories.rows("events") == lines


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_sqlite_is_set_up_as_the_record_needs_it(app: Flask) -> None:
    def pragma(name: str) -> object:
        return db.session.execute(text(f"PRAGMA {name}")).scalar_one()

    assert [pragma(one) for one in ("journal_mode", "synchronous", "foreign_keys", "recursive_triggers")] == [
        "wal", 2, 1, 1,
    ]  # fmt: skip
