"""The record: whoever changes it afterwards is found out, and where."""

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db, settings
from webapp.keys import KeyRing, key_id
from webapp.operations import people, requests
from webapp.operations.errors import Conflict
from webapp.record import audit
from webapp.runtime import failpoints

NEW_SECRET = "another secret that only this test knows"


@pytest.fixture
def lines(company: Company) -> int:
    """A record of some length; how many lines it has."""
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    return rows("events")


def verify() -> tuple[int, audit.Break | None]:
    db.session.rollback()
    choose("read")
    found = audit.verify()
    db.session.rollback()
    choose("write")
    return found


def tamper(engine: str, *statements: str) -> None:
    """As somebody with all rights on the database may: the triggers off, a change, the triggers on again."""
    db.session.rollback()
    if engine == "postgresql":
        db.session.execute(text("SET LOCAL session_replication_role = replica"))
    else:
        triggers = db.session.execute(
            text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
        ).all()
        for trigger in triggers:
            db.session.execute(text(f"DROP TRIGGER {trigger.name}"))
    for statement in statements:
        db.session.execute(text(statement))
    if engine == "sqlite":
        for trigger in triggers:
            db.session.execute(text(trigger.sql))
    db.session.commit()


def test_a_record_that_nobody_touched_holds(lines: int) -> None:
    assert verify() == (lines, None)


def test_an_empty_record_holds(app: Flask) -> None:
    assert verify() == (0, None)


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("UPDATE events SET body = replace(body, 'actor', 'acteur') WHERE seq = 5", "was changed"),
        ("UPDATE events SET body = body || ' ' WHERE seq = 5", "was changed"),
        ("UPDATE events SET mac = 'zz' || substr(mac, 3) WHERE seq = 5", "was changed"),
        ("UPDATE events SET mac = (SELECT mac FROM events WHERE seq = 4) WHERE seq = 5", "was changed"),
        ("UPDATE events SET body = (SELECT body FROM events WHERE seq = 4) WHERE seq = 5", "was changed"),
        ("UPDATE events SET kind = 'person.thanked' WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET actor_id = 7 WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET request_id = 7 WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET app_id = 7 WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET person_id = 777 WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET at = '2020-01-01 00:00:00.000000' WHERE seq = 5", "look-up columns"),
        ("UPDATE events SET key_id = '00000000' WHERE seq = 5", "key 00000000"),
        ("DELETE FROM events WHERE seq = 5", "Entry 5 is missing"),
        ("DELETE FROM events WHERE seq BETWEEN 5 AND 6", "Entry 5 is missing. The next entry is 7"),
    ],
)
def test_a_change_in_the_middle_is_found_and_located(engine: str, lines: int, statement: str, sentence: str) -> None:
    tamper(engine, statement)
    held, broken = verify()
    assert broken is not None
    assert (held, broken.seq) == (4, 5)
    assert sentence in broken.sentence


def test_a_deleted_beginning_is_found(engine: str, lines: int) -> None:
    tamper(engine, "DELETE FROM events WHERE seq = 1")
    held, broken = verify()
    assert broken is not None
    assert (held, broken.seq) == (0, 1)


@pytest.mark.parametrize("count", [1, 3])
def test_a_deleted_end_is_found(engine: str, lines: int, count: int) -> None:
    tamper(engine, f"DELETE FROM events WHERE seq > {lines - count}")
    held, broken = verify()
    assert broken is not None
    assert held == lines - count
    assert f"its head says {lines}" in broken.sentence


def test_everything_deleted_is_found(engine: str, lines: int) -> None:
    tamper(engine, "DELETE FROM events")
    assert verify()[1] is not None


def test_two_lines_that_changed_places_are_found(engine: str, lines: int) -> None:
    tamper(
        engine,
        "UPDATE events SET seq = 1000 WHERE seq = 5",
        "UPDATE events SET seq = 5 WHERE seq = 6",
        "UPDATE events SET seq = 6 WHERE seq = 1000",
    )
    held, broken = verify()
    assert broken is not None
    assert (held, broken.seq) == (4, 5)


@pytest.mark.parametrize("change", ["seq = seq + 1", "seq = seq - 1", "mac = 'zz' || substr(mac, 3)"])
def test_a_changed_head_is_found(engine: str, lines: int, change: str) -> None:
    tamper(engine, f"UPDATE event_head SET {change}")
    held, broken = verify()
    assert broken is not None
    assert held == lines


def test_a_line_that_somebody_added_without_the_key_is_found(engine: str, lines: int) -> None:
    db.session.execute(
        text(
            f"INSERT INTO events (seq, at, kind, body, key_id, mac) SELECT {lines + 1}, at, kind, body, key_id, mac "
            "FROM events WHERE seq = 5"
        )
    )
    db.session.execute(text("UPDATE event_head SET seq = seq + 1, mac = (SELECT mac FROM events WHERE seq = 5)"))
    db.session.commit()
    held, broken = verify()
    assert broken is not None
    assert (held, broken.seq) == (lines, lines + 1)


APPEND_ONLY = ("events", "policy_revisions", "decisions")


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE {table} SET {column} = {column}",
        "UPDATE {table} SET {column} = {column} WHERE {key} = (SELECT min({key}) FROM {table})",
        "DELETE FROM {table}",
        "DELETE FROM {table} WHERE {key} = (SELECT min({key}) FROM {table})",
        "TRUNCATE {table} CASCADE",
        "INSERT OR REPLACE INTO {table} SELECT * FROM {table}",
        "REPLACE INTO {table} SELECT * FROM {table} LIMIT 1",
        "INSERT INTO {table} SELECT * FROM {table} WHERE true ON CONFLICT ({key}) DO UPDATE SET {column} = 'x'",
    ],
)
def test_what_is_append_only_refuses_every_other_change(
    engine: str, company: Company, table: str, statement: str
) -> None:
    if engine == "postgresql" and "REPLACE" in statement:
        statement = "DELETE FROM {table} RETURNING *"  # PostgreSQL knows no REPLACE
    if engine == "sqlite" and "TRUNCATE" in statement:
        statement = "DELETE FROM {table} WHERE true"  # SQLite knows no TRUNCATE
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana)
    before = rows(table)
    assert before
    key, column = ("seq", "body") if table == "events" else ("id", "comment" if table == "decisions" else "body")
    with pytest.raises(DBAPIError, match="append-only"):
        db.session.execute(text(statement.format(table=table, key=key, column=column)))
    db.session.rollback()
    assert rows(table) == before


def test_what_was_rolled_back_is_not_told_mailed_and_wakes_no_worker(
    company: Company, lines: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[int] = []
    monkeypatch.setattr(outbox, "wake_workers", lambda channel: woken.append(1))
    notices = rows("notices")
    people.invite(email="eve@example.com", name="Eve", actor=company.adam, now=clock.now())
    db.session.rollback()
    outbox.commit()
    assert (rows("events"), rows("notices"), rows("people", "name = 'Eve'"), woken) == (lines, notices, 0, [])
    # And the next change begins with a clean slate.
    people.change_theme(company.rita, theme="dark", now=clock.now())
    outbox.commit()
    assert (rows("events"), woken) == (lines + 1, [])
    assert verify() == (lines + 1, None)


@pytest.mark.parametrize("point", ["audit.in-append", "commit.before", "commit.after"])
def test_a_change_and_its_line_are_there_together_or_not_at_all(
    company: Company, lines: int, point: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else looks at the database from each point at which the process may die."""
    seen: list[tuple[int, int]] = []

    def look(reached: str) -> None:
        if reached == point:
            with db.engine.connect() as other:
                dark = "SELECT count(*) FROM people WHERE theme = 'dark'"
                seen.append(tuple(other.scalar(text(one)) for one in (dark, "SELECT count(*) FROM events")))

    monkeypatch.setattr(failpoints, "at", look)
    people.change_theme(company.rita, theme="dark", now=clock.now())
    choose("read")  # of the one who looks: the transaction at hand has begun as a writer
    outbox.commit()
    assert seen == [(1, lines + 1) if point == "commit.after" else (0, lines)]


def test_a_refused_operation_leaves_no_line_even_if_somebody_commits_after_it(company: Company, lines: int) -> None:
    with pytest.raises(Conflict):
        people.deactivate(company.adam, actor=company.adam, now=clock.now())
    with pytest.raises(Conflict):
        people.reactivate(company.rita, actor=company.adam, now=clock.now())
    wanted = factories.app("Zoom", company.ana)
    factories.request(company.otto, wanted)
    count = rows("events")
    with pytest.raises(Conflict):
        requests.submit(
            wanted, factories.revision_of(wanted), actor=company.otto, message="", given={}, now=clock.now()
        )
    outbox.commit()
    assert rows("events") == count


def test_workers_are_woken_once_after_the_commit_and_only_for_mail(company: Company) -> None:
    queue = f"rq:queue:{outbox.QUEUE}"
    broker().flushdb()
    people.change_theme(company.rita, theme="dark", now=clock.now())
    outbox.commit()
    assert broker().llen(queue) == 0
    people.invite(email="eve@example.com", name="Eve", actor=company.adam, now=clock.now())
    people.invite(email="fay@example.com", name="Fay", actor=company.adam, now=clock.now())
    assert broker().llen(queue) == 0
    outbox.commit()
    assert broker().llen(queue) == 1
    outbox.commit()
    assert broker().llen(queue) == 1


@pytest.fixture
def new_key(app: Flask) -> Iterator[None]:
    """The installation gets another secret key and keeps the old one as a fallback."""
    before = app.extensions["keyring"]
    app.extensions["keyring"] = KeyRing((NEW_SECRET, settings().secret_key))
    yield
    app.extensions["keyring"] = before


def test_after_a_rotation_old_and_new_lines_hold_together(company: Company, lines: int, new_key: None) -> None:
    people.change_theme(company.rita, theme="dark", now=clock.now())
    outbox.commit()
    db.session.rollback()
    used = db.session.scalars(text("SELECT DISTINCT key_id FROM events")).all()
    assert set(used) == {key_id(NEW_SECRET), key_id(settings().secret_key)}
    assert verify() == (lines + 1, None)


def test_a_key_that_was_removed_is_named(app: Flask, company: Company, lines: int, new_key: None) -> None:
    app.extensions["keyring"] = KeyRing((NEW_SECRET,))
    held, broken = verify()
    assert broken is not None
    assert (held, broken.seq) == (0, 1)
    assert key_id(settings().secret_key) in broken.sentence


def test_a_record_longer_than_a_page_is_read_whole(company: Company, lines: int) -> None:
    rita = company.rita
    for theme in ["dark", "light"] * 600:
        people.change_theme(rita, theme=theme, now=clock.now())
    outbox.commit()
    assert verify() == (lines + 1200, None)


def test_the_command_says_whether_it_holds_by_its_exit_code(app: Flask, engine: str, lines: int) -> None:
    runner = app.test_cli_runner()
    db.session.remove()
    good = runner.invoke(args=["audit", "verify"])
    assert good.exit_code == 0
    assert good.output.splitlines() == [
        f"OK: all {lines} entries are intact.",
        "No anchor found, so entries removed from the end would not be noticed.",
    ]
    choose("write")
    tamper(engine, "UPDATE events SET body = body || ' ' WHERE seq = 5")
    db.session.remove()
    bad = runner.invoke(args=["audit", "verify"])
    assert bad.exit_code == 1
    assert "FAILED: the audit log is not intact after 4 entries. Entry 5 was changed" in bad.output


def test_a_secret_is_not_to_be_read_from_its_name() -> None:
    assert key_id("a" * 40) != key_id("a" * 41)
    assert len(key_id("x")) == 8


# ---------- A key that was removed ----------


def one_more(company: Company, theme: str) -> None:
    choose("write")
    people.change_theme(db.session.merge(company.rita), theme=theme, now=clock.now())
    outbox.commit()
    db.session.rollback()


def test_entries_of_a_removed_key_cannot_be_checked_and_the_others_are(
    app: Flask, company: Company, lines: int, new_key: None
) -> None:
    old = key_id(settings().secret_key)
    one_more(company, "dark")
    one_more(company, "light")
    app.extensions["keyring"] = KeyRing((NEW_SECRET,))
    db.session.rollback()
    report = audit.examine()
    assert (report.intact, report.not_checked, report.broken) == (2, lines, None)
    assert [(run.key_id, run.first, run.last) for run in report.unchecked] == [(old, 1, lines)]
    assert report.removed_keys == (old,)
    sentence = report.about_removed_keys()
    assert f"Entries 1 to {lines} were signed with key {old}, which is no longer configured." in sentence
    assert "SECRET_KEY_FALLBACKS" in sentence and "altered" in sentence
    assert audit.examine(newest=1).unchecked == ()


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("DELETE FROM events WHERE seq = 3", "Entry 3 is missing"),
        ("UPDATE events SET actor_id = 77777 WHERE seq = 3", "look-up columns of entry 3"),
        ("UPDATE events SET body = 'x' WHERE seq = 3", "look-up columns of entry 3"),
        # The first entry of the key that is there is chained to what was stored before it.
        ("UPDATE events SET mac = '{zeros}' WHERE seq = {lines}", "Entry {next} was changed, or an entry before it"),
        ("UPDATE events SET body = body || ' ' WHERE seq = {next}", "Entry {next} was changed"),
    ],
)
def test_what_can_be_checked_around_a_removed_key_is(
    app: Flask, engine: str, company: Company, lines: int, new_key: None, statement: str, sentence: str
) -> None:
    one_more(company, "dark")
    app.extensions["keyring"] = KeyRing((NEW_SECRET,))
    values = {"zeros": "0" * 64, "lines": lines, "next": lines + 1}
    tamper(engine, statement.format(**values))
    db.session.rollback()
    report = audit.examine()
    assert report.broken is not None and sentence.format(**values) in report.broken.sentence


def test_the_command_explains_a_removed_key_and_goes_on(
    app: Flask, company: Company, lines: int, new_key: None
) -> None:
    old, runner = key_id(settings().secret_key), app.test_cli_runner()
    one_more(company, "dark")
    app.extensions["keyring"] = KeyRing((NEW_SECRET,))
    db.session.remove()
    said = runner.invoke(args=["audit", "verify"])
    assert said.exit_code == 1, "nobody has said that it was removed on purpose"
    assert f"1 entry intact, {lines} cannot be checked." in said.output and f"key {old}" in said.output
    assert "FAILED" not in said.output and "altered" in said.output
    known = runner.invoke(args=["audit", "verify", "--removed-key", old])
    assert known.exit_code == 0 and f"key {old}" in known.output
    assert runner.invoke(args=["audit", "verify", "--removed-key", "12345678"]).exit_code == 1
