"""From nothing to the models, all or nothing, with a copy before."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from flask import Flask
from flask_migrate import upgrade
from sqlalchemy import text

from tests.conftest import SQLITE, make_settings
from webapp import create_app
from webapp.config import PROJECT
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import Base

PROTECTED = ("decisions", "events", "policy_revisions")
TRIGGERS = {
    "sqlite": [f"{table}_no_{change}" for table in PROTECTED for change in ("delete", "update")],
    "postgresql": [f"{table}_no_{change}" for table in PROTECTED for change in ("change", "truncate")],
}


@pytest.fixture
def empty(engine: str, tmp_path: Path, request: pytest.FixtureRequest, redis_url: str) -> Iterator[Flask]:
    """An app on a database in which there is nothing yet."""
    if engine == SQLITE:
        url = f"sqlite:///{tmp_path / 'countersign.db'}"
        made = create_app(make_settings(tmp_path, url, redis_url))
        with made.app_context():
            yield made
            db.session.remove()
            db.engine.dispose()
        return
    other = request.getfixturevalue("postgres_url")
    name = f"migrations_{request.getfixturevalue('worker_name')}"
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name}")
        base = connection.info.dbname
    url = other.replace(f"/{base}", f"/{name}", 1).replace("postgresql://", "postgresql+psycopg://", 1)
    made = create_app(make_settings(tmp_path, url, redis_url))
    with made.app_context():
        yield made
        db.session.remove()
        db.engine.dispose()
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def tables() -> list[str]:
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    }
    found = sorted(db.session.scalars(text(names[db.engine.dialect.name])))
    db.session.rollback()
    return found


def triggers() -> list[str]:
    names = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal",
    }
    found = sorted(db.session.scalars(text(names[db.engine.dialect.name])))
    db.session.rollback()
    return found


def test_an_upgrade_from_nothing_gives_exactly_the_models(empty: Flask, engine: str) -> None:
    assert tables() == []
    upgrade()
    choose("write")
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": False})
        assert compare_metadata(context, Base.metadata) == []
    assert tables() == sorted([*Base.metadata.tables, "alembic_version"])


def test_the_triggers_of_the_record_are_there_after_every_upgrade(empty: Flask, engine: str) -> None:
    upgrade()
    assert triggers() == TRIGGERS[engine]


def test_the_first_rows_are_there(empty: Flask) -> None:
    upgrade()
    assert db.session.execute(text("SELECT id, seq, mac FROM event_head")).one() == (1, 0, "0" * 64)
    assert db.session.execute(text("SELECT count(*) FROM organisation")).scalar_one() == 1
    db.session.rollback()


def test_names_sort_by_their_bytes_on_both_engines(empty: Flask) -> None:
    upgrade()
    choose("write")
    for number, name in enumerate(["b", "ä", "a", "B", "-"]):
        db.session.execute(
            text(
                "INSERT INTO groups (public_id, name, sort_key, created_at) "
                f"VALUES ('G{number}', '{name}', '{name}', '2026-01-01 00:00:00.000000')"
            )
        )
    found = db.session.scalars(text("SELECT sort_key FROM groups ORDER BY sort_key")).all()
    assert found == ["-", "B", "a", "b", "ä"]
    db.session.rollback()


def test_requests_from_before_are_found_by_their_words_and_approvers(empty: Flask) -> None:
    upgrade(revision="0001")
    choose("write")
    moment = "'2026-01-01 00:00:00.000000'"
    for statement in (
        "INSERT INTO people (id, public_id, email, name, sort_key, search_text, about, password_round, is_admin, "
        f"active, theme, created_at) VALUES (1, 'P', 'p@example.com', 'P', 'p', 'p', '', 0, false, true, '', {moment})",
        "INSERT INTO apps (id, public_id, name, sort_key, search_text, description, category, icon, launch_url, note, "
        "requestable, for_everyone, created_at) "
        f"VALUES (1, 'A', 'A', 'a', 'a', '', '', '', '', '', true, true, {moment})",
        "INSERT INTO policy_revisions (id, app_id, number, schema, body, hash, created_at) "
        f"VALUES (1, 1, 1, 1, '', '', {moment})",
        "INSERT INTO requests (id, public_id, app_id, asked_by_id, for_person_id, policy_revision_id, message, state, "
        "version, created_at, settled_note, values_json) "
        f"VALUES (7, 'R', 1, 1, 1, 1, 'Für Figma', 'pending', 1, {moment}, '', '{{}}')",
        "INSERT INTO steps (id, request_id, position, needed, state, approver_person_id, days, tier) "
        "VALUES (8, 7, 0, 1, 'open', 1, 3, 'approver')",
        "INSERT INTO invitations (id, public_id, step_id, person_id, round, key_id, live, wrong_codes, codes_day, "
        f"codes_mailed, created_at) VALUES (9, 'I', 8, 1, 1, 'k', true, 0, '', 0, {moment})",
    ):
        db.session.execute(text(statement))
    db.session.commit()
    upgrade()
    assert db.session.scalars(text("SELECT words FROM requests")).all() == [" fur figma"]
    query = (
        "SELECT i.request_id, i.app_id, i.requested_at = r.created_at FROM invitations AS i JOIN requests AS r ON true"
    )
    assert db.session.execute(text(query)).one() == (7, 1, True)
    db.session.rollback()


def test_addresses_from_before_get_one_form_and_two_people_keep_theirs(empty: Flask) -> None:
    upgrade(revision="0012")
    choose("write")
    emails = ("max@xn--strae-oqa.example", "jo@bücher.example", "jo@xn--bcher-kva.example", "jörg@example.com", "a@b.c")
    for number, email in enumerate(emails, 1):
        db.session.execute(
            text(
                "INSERT INTO people (id, public_id, email, name, sort_key, search_text, about, password_round, "
                f"is_admin, active, theme, created_at) VALUES ({number}, 'P{number}', '{email}', 'P', 'p', 'p', '', 0, "
                "false, true, '', '2026-01-01 00:00:00.000000')"
            )
        )
    db.session.commit()
    upgrade()
    found = db.session.execute(text("SELECT email, search_text FROM people ORDER BY id")).all()
    assert [one.email for one in found] == ["max@straße.example", *emails[1:]]
    assert "stra" in found[0].search_text
    db.session.rollback()


def test_what_is_there_is_found_without_accents_and_names_that_look_the_same_stay_apart(empty: Flask) -> None:
    upgrade(revision="0016")
    choose("write")
    moment = "'2026-01-01 00:00:00.000000'"
    for statement in (
        "INSERT INTO people (id, public_id, email, name, sort_key, search_text, about, password_round, is_admin, "
        "active, theme, created_at) "
        f"VALUES (1, 'P', 'p@straße.example', 'İpek', 'x', 'x', '', 0, false, true, '', {moment})",
        *(
            "INSERT INTO apps (id, public_id, name, sort_key, search_text, description, category, icon, launch_url, "
            "note, requestable, for_everyone, created_at) "
            f"VALUES ({id}, 'A{id}', '{name}', '{name.lower()}', 'x', 'Übung', '', '', '', '', true, true, {moment})"
            for id, name in ((1, "Figma"), (2, "Fig\u200bma"), (3, "Élan"))
        ),
        "INSERT INTO groups (id, public_id, name, sort_key, created_at) VALUES "
        f"(1, 'G1', 'Söhne', 'söhne', {moment}), (2, 'G2', 'Söh\u00adne', 'y', {moment})",
        "INSERT INTO groups (id, public_id, name, sort_key, created_at, archived_at) "
        f"VALUES (3, 'G3', 'Söhne', 'söhne G3', {moment}, {moment})",
        "INSERT INTO policy_revisions (id, app_id, number, schema, body, hash, created_at) "
        f"VALUES (1, 1, 1, 1, '', '', {moment})",
        "INSERT INTO requests (id, public_id, app_id, asked_by_id, for_person_id, policy_revision_id, message, state, "
        "version, created_at, settled_note, values_json, words) "
        f"VALUES (7, 'R', 1, 1, 1, 1, 'Für Müller', 'pending', 1, {moment}, '', '{{}}', ' für müller')",
    ):
        db.session.execute(text(statement))
    db.session.commit()
    upgrade()

    def all_of(table: str, columns: str) -> list[tuple[str, ...]]:
        return [tuple(row) for row in db.session.execute(text(f"SELECT {columns} FROM {table} ORDER BY id"))]

    assert all_of("people", "sort_key, search_text") == [("i\u0307pek", "ipek\np@strasse.example")]
    assert all_of("apps", "sort_key, search_text") == [
        ("figma", "figma\nubung"), ("figma a2", "figma\nubung"), ("élan", "elan\nubung"),
    ]  # fmt: skip
    assert all_of("groups", "sort_key, search_text") == [
        ("söhne", "sohne\n"), ("söhne g2", "sohne\n"), ("söhne G3", "sohne\n"),
    ]  # fmt: skip
    assert all_of("requests", "words") == [(" fur muller",)]
    db.session.rollback()


@pytest.fixture
def broken(tmp_path: Path) -> str:
    """The project's migrations and one more that fails in its middle."""
    folder = tmp_path / "migrations"
    shutil.copytree(PROJECT / "migrations", folder, ignore=shutil.ignore_patterns("__pycache__"))
    newest = sorted(path.stem.split("_")[0] for path in (folder / "versions").glob("*.py"))[-1]
    (folder / "versions" / "9999_broken.py").write_text(
        "import sqlalchemy as sa\nfrom alembic import op\n\n"
        f"revision = '9999'\ndown_revision = '{newest}'\nbranch_labels = None\ndepends_on = None\n\n\n"
        "def upgrade():\n"
        "    op.create_table('half', sa.Column('id', sa.Integer(), primary_key=True))\n"
        "    op.execute(\"INSERT INTO organisation (id, name, time_zone) VALUES (1, 'twice', 'UTC')\")\n"
    )
    return str(folder)


def test_a_migration_that_fails_leaves_nothing_behind(empty: Flask, broken: str) -> None:
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        upgrade(directory=broken)
    db.session.remove()
    # Not even the tables of the migrations before it: all of an upgrade or nothing of it.
    assert tables() == []
    upgrade()
    before = tables()
    with pytest.raises(Exception, match=r"UNIQUE|unique"):
        upgrade(directory=broken)
    db.session.remove()
    assert tables() == before
    assert db.session.scalars(text("SELECT version_num FROM alembic_version")).all() != ["9999"]
    assert triggers() == TRIGGERS[db.engine.dialect.name]


def test_the_command_upgrades_once_and_then_has_nothing_to_do(empty: Flask, tmp_path: Path) -> None:
    runner = empty.test_cli_runner()
    first = runner.invoke(args=["upgrade"])
    assert first.exit_code == 0, first.output
    assert "events" in tables()
    # A new database has nothing in it to copy.
    assert list(tmp_path.glob("*-before-*")) == []
    db.session.remove()
    assert runner.invoke(args=["upgrade"]).exit_code == 0
    assert list(tmp_path.glob("*-before-*")) == []


@pytest.mark.parametrize("engine", [SQLITE], indirect=True)  # PostgreSQL has its own backups
def test_an_sqlite_file_is_copied_before_it_is_changed(
    empty: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upgrade()
    choose("write")
    db.session.execute(text("UPDATE organisation SET name = 'Before'"))
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    db.engine.dispose()
    changed: list[bool] = []
    monkeypatch.setattr("webapp.cli.migrate_upgrade", lambda: changed.append(True))
    runner = empty.test_cli_runner()
    answer = runner.invoke(args=["upgrade"])
    assert answer.exit_code == 0, answer.output
    assert changed == [True]
    (copy,) = tmp_path.glob("countersign-before-*.db")
    assert str(copy) in answer.output
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("SELECT name FROM organisation").fetchone() == ("Before",)
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    # A second try after a failure keeps the first copy: that is the one from before.
    db.session.execute(text("UPDATE organisation SET name = 'After'"))
    db.session.commit()
    db.engine.dispose()
    runner.invoke(args=["upgrade"])
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("SELECT name FROM organisation").fetchone() == ("Before",)


@pytest.mark.parametrize("engine", [SQLITE], indirect=True)  # PostgreSQL has its own backups
def test_half_a_copy_is_not_taken_for_one(empty: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk was full, or somebody pulled the plug, while the copy was written."""
    upgrade()
    choose("write")
    db.session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    db.session.commit()
    db.engine.dispose()
    monkeypatch.setattr("webapp.cli.migrate_upgrade", lambda: None)
    for left in ("countersign-before.partial", "countersign-before-9999.db.partial"):
        (tmp_path / left).write_bytes(b"half")
    runner = empty.test_cli_runner()
    assert runner.invoke(args=["upgrade"]).exit_code == 0
    (copy,) = tmp_path.glob("countersign-before-*.db")
    with closing(sqlite3.connect(copy)) as found:
        assert found.execute("PRAGMA integrity_check").fetchone() == ("ok",)
