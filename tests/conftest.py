"""Real servers for every test: SQLite and PostgreSQL, Valkey, and later SMTP and a browser where a test asks."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_migrate import upgrade
from sqlalchemy import bindparam, text

from tests.helpers import factories
from tests.helpers.browsers import Browser, Client
from tests.helpers.factories import Company
from tests.helpers.postgres import shared_folder, start_postgres
from tests.helpers.valkey import start_valkey
from webapp import create_app
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.extensions import broker, db, limiter
from webapp.models import Base, Person
from webapp.record import anchors

SQLITE, POSTGRESQL = "sqlite", "postgresql"
TESTS = Path(__file__).parent
# What people, programs and attackers see: the same on both engines, unless a test is marked `both_engines`.
ON_ONE_ENGINE = (TESTS / "views", TESTS / "api", TESTS / "attack")
QUICK = (TESTS, TESTS / "workflow", TESTS / "operations", TESTS / "queries")
STARTS_PROCESSES = (
    "test_config.py",
    "test_database_faults.py",
    "test_demo.py",
    "test_failpoints.py",
    "test_migrations.py",
)
SECRET = "a secret that only these tests know"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--both-engines", action="store_true", help="run the tests of views on both databases, too")
    parser.addoption("--quick", action="store_true", help="only the core, on SQLite: for the loop of a change")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In several processes the slow ones first: as the last ones, one process would do them and the others be idle.

    The test of a view or of a call runs on one engine unless it is marked `both_engines`: what differs between the
    databases (locks, search, paging, races) is below the views and tested there on both.
    """
    left_out: set[str] = set()
    if config.getoption("quick"):
        left_out = {item.nodeid for item in items if not _is_quick(item)}
    elif not config.getoption("both_engines") and not _names_an_engine(config):
        left_out = _on_the_other_engine(items)
    if left_out:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left_out])
        items[:] = [item for item in items if item.nodeid not in left_out]
    items[:] = _slow_ones_first(items, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")))


def _slow_ones_first(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """xdist first gives each process one part of the list: each part has its share of the slow tests, in front."""
    slow = [item for item in items if item.get_closest_marker("slow")]
    rest = [item for item in items if not item.get_closest_marker("slow")]
    ends = [len(rest) * number // processes for number in range(processes + 1)] if processes else []
    parts = [slow[number::processes] + rest[ends[number] : ends[number + 1]] for number in range(processes)]
    return [item for part in parts for item in part] or items


def _is_quick(item: pytest.Item) -> bool:
    """The tests of the core that start no process but the broker, and of two engines the one on SQLite."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and POSTGRESQL in callspec.params.values():
        return False
    return item.path.parent in QUICK and item.path.name not in STARTS_PROCESSES


def _names_an_engine(config: pytest.Config) -> bool:
    """Whether the command line asks for an engine (`-k postgresql`, or a test with its parameters)."""
    asked = " ".join([config.getoption("keyword"), *config.args])
    return SQLITE in asked or POSTGRESQL in asked


def _on_the_other_engine(items: list[pytest.Item]) -> set[str]:
    """The ids of the tests to leave out: half of those of views and calls stay on each engine, always the same half."""
    versions: dict[str, dict[str, str]] = {}
    for item in items:
        callspec = getattr(item, "callspec", None)
        engine = callspec.params.get("engine") if callspec else None
        if engine and item.path.parent in ON_ONE_ENGINE and item.get_closest_marker("both_engines") is None:
            versions.setdefault(item.nodeid.replace(engine, "engine", 1), {})[engine] = item.nodeid
    return {
        ids[POSTGRESQL if zlib.crc32(test.encode()) % 2 else SQLITE] for test, ids in versions.items() if len(ids) > 1
    }


@contextlib.contextmanager
def as_if_made_by(app: Flask, revision: str) -> Iterator[None]:
    """The app's database, for so long, as another version of the code would have left it."""
    with app.app_context():
        choose("write")
        before = db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one()

        def write(number: str) -> None:
            db.session.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})
            db.session.commit()

        write(revision)
        try:
            yield
        finally:
            db.session.rollback()
            choose("write")
            write(before)


@pytest.fixture(scope="session")
def worker_name() -> str:
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture(scope="session")
def postgres_url(worker_name: str) -> Iterator[str]:
    """An empty database of this test process's own."""
    outside = os.environ.get("TEST_DATABASE_URL")
    if outside:
        from tests.helpers.postgres import database_on

        with database_on(outside, f"countersign_test_{worker_name}") as url:
            yield url
        return
    server = start_postgres(shared_folder())
    yield server.new_database(f"test_{worker_name}")
    server.stop()


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = start_valkey(tmp_path_factory.mktemp("valkey"))
    yield server.url
    server.stop()


def make_settings(data: Path, database_url: str, redis_url: str, **changes: Any) -> Settings:
    """Settings as bin/run would have them."""
    settings = Settings(
        data=data,
        secret_key=SECRET,
        database_url=database_url,
        redis_url=redis_url,
        base_url="http://localhost",
        embedded=True,
        demo=True,
        mailbox=True,
        trusted_hosts=("localhost", "127.0.0.1"),
        # "0" where TEST_DATABASE_URL leads to a pool of transactions, such as pgbouncer's.
        database_prepared=os.environ.get("TEST_DATABASE_PREPARED") != "0",
    )
    return replace(settings, **changes)


_COUNTS = ("_storage", "_limiter", "_fallback_storage", "_fallback_limiter")


class Engines:
    """One app per engine for a whole test process; a test gets it with an empty database."""

    def __init__(self, folder: Path, redis_url: str, postgres_url: Callable[[], str]) -> None:
        self._folder = folder
        self._redis_url = redis_url
        self._postgres_url = postgres_url
        self._apps: dict[str, Flask] = {}
        self._limits: dict[str, Any] = {}
        self._casts: dict[str, Cast] = {}

    def app(self, engine: str) -> Flask:
        if engine not in self._apps:
            self._apps[engine] = self._make(engine)
            self._limits = {name: getattr(limiter, name) for name in _COUNTS}
        app = self._apps[engine]
        self._empty(app, engine)
        # The limiter is one for the process: an app that a test made for itself, with another broker or none,
        # took it over, and what it counted in memory would stay.
        vars(limiter).update(self._limits, _storage_dead=False)
        self._limits["_fallback_storage"].reset()
        app.extensions["attempts"].reset()
        return app

    def _make(self, engine: str) -> Flask:
        data = self._folder / engine
        data.mkdir()
        if engine == SQLITE:
            url = f"sqlite:///{data / 'test.db'}"
        else:
            url = self._postgres_url().replace("postgresql://", "postgresql+psycopg://", 1)
        app = create_app(make_settings(data, url, self._redis_url))
        app.config["TESTING"] = True
        app.test_client_class = Client
        with app.app_context():
            choose("write")
            upgrade()
            db.engine.dispose()
            if engine == SQLITE:
                shutil.copy(data / "test.db", data / "empty.db")
            self._casts[engine] = Cast(factories.company())
            db.session.remove()
        return app

    def stop(self) -> None:
        for app in self._apps.values():
            with app.app_context():
                db.engine.dispose()

    def company(self, engine: str) -> Company:
        """The cast, in the database that `app` emptied. The operations made it, once: most tests want it."""
        return self._casts[engine].put()

    def _empty(self, app: Flask, engine: str) -> None:
        with app.app_context():
            anchors.path().unlink(missing_ok=True)  # of the record that is emptied
            if engine == SQLITE:
                db.engine.dispose()  # of the file that goes
                data = self._folder / SQLITE
                for leftover in data.glob("test.db*"):
                    leftover.unlink()
                shutil.copy(data / "empty.db", data / "test.db")
                return
            choose("write")
            with db.engine.begin() as connection:
                connection.execute(EMPTY)


# Tables that have their one row from the start.
SINGLE = ("event_head", "organisation")
# Past the append-only triggers, which only a superuser may; and in one way to the server and back.
EMPTY = text(
    "DO $$ BEGIN SET LOCAL session_replication_role = replica; "
    + "".join(f"DELETE FROM {table.name}; " for table in Base.metadata.sorted_tables if table.name not in SINGLE)
    + f"UPDATE event_head SET seq = 0, mac = '{'0' * 64}'; "
    + "UPDATE organisation SET name = 'Countersign', time_zone = 'UTC', sender = '', outcome_domains = '', "
    + "logo = NULL, logo_hash = '', "
    + "tokens_allowed = true, token_days = 90, tokens_decide_signed_in = false, second_step_for_admins = false, "
    + "passwords_for_all = true, "
    + "asked_checked_at = NULL, first_steps_hidden_at = NULL; "
    + "END $$"
)


class Rows:
    """All that is in the database, to be put into an empty one: the operations would take longer than most tests."""

    def __init__(self) -> None:
        every = {table: [dict(row) for row in db.session.execute(table.select()).mappings()]
                 for table in Base.metadata.sorted_tables}  # fmt: skip
        self._single = {table: rows[0] for table, rows in every.items() if table.name in SINGLE}
        self._rows = {table: rows for table, rows in every.items() if rows and table.name not in SINGLE}

    def put(self) -> None:
        choose("write")
        # People refer to people, and the order of their rows is any: references are looked at afterwards, or not.
        on_postgresql = db.engine.dialect.name == "postgresql"
        later = "SET LOCAL session_replication_role = replica" if on_postgresql else "PRAGMA defer_foreign_keys = ON"
        db.session.execute(text(later))
        for table, rows in self._rows.items():
            # A row may refer to one of its own table that comes after it.
            own = [key.parent.name for key in table.foreign_keys if key.column.table is table]
            db.session.execute(table.insert(), [row | dict.fromkeys(own) for row in rows])
            for name in own:
                referring = [{"of": row["id"], "to": row[name]} for row in rows if row[name] is not None]
                if referring:
                    change = table.update().where(table.c.id == bindparam("of")).values({name: bindparam("to")})
                    db.session.connection().execute(change, referring)
        for table, row in self._single.items():
            db.session.execute(table.update(), row)


class Cast:
    """A company as rows."""

    def __init__(self, company: Company) -> None:
        self._who = {name: (type(one), one.id) for name, one in vars(company).items()}
        self._rows = Rows()

    def put(self) -> Company:
        self._rows.put()
        company = Company(**{name: db.session.get_one(kind, id) for name, (kind, id) in self._who.items()})
        db.session.commit()
        return company


@contextlib.contextmanager
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """In memory where there is room: SQLite waits for the disk at each commit, but nobody pulls the plug here."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < 2**30:
        yield tmp_path_factory.mktemp("engines")
        return
    for left_over in memory.glob("countersign-test-*-*"):
        if not psutil.pid_exists(int(left_over.name.split("-")[2])):  # of a run that was killed
            shutil.rmtree(left_over, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"countersign-test-{os.getpid()}-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def engines(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, request: pytest.FixtureRequest
) -> Iterator[Engines]:
    # Asked for only when a test needs it: starting PostgreSQL takes a second.
    with fast_folder(tmp_path_factory) as folder:
        engines = Engines(folder, redis_url, lambda: request.getfixturevalue("postgres_url"))
        yield engines
        engines.stop()


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def engine(request: pytest.FixtureRequest) -> str:
    """Each test that touches the database runs on both."""
    return str(request.param)


@pytest.fixture
def app(engine: str, engines: Engines) -> Iterator[Flask]:
    """The app with an empty database and an empty broker, its context pushed and its mode "write"."""
    app = engines.app(engine)
    with app.app_context():
        broker().flushdb()
        choose("write")
        yield app
        db.session.remove()
    if engine == SQLITE:
        with app.app_context():
            # What a test left open would hold up the next one. PostgreSQL's connections are kept: each new one has
            # to learn all tables again.
            db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser with nobody signed in. Forms of tests carry their CSRF token: see `Browser`."""
    return app.test_client()


@pytest.fixture
def company(app: Flask, engine: str, engines: Engines) -> Company:
    """The cast: Rita requests, Ana approves, Ben and Chloe are Finance, Otto is an outsider, Adam is the admin."""
    return engines.company(engine)


@pytest.fixture
def rita(company: Company) -> Person:
    return company.rita


@pytest.fixture
def ana(company: Company) -> Person:
    return company.ana


@pytest.fixture
def ben(company: Company) -> Person:
    return company.ben


@pytest.fixture
def chloe(company: Company) -> Person:
    return company.chloe


@pytest.fixture
def otto(company: Company) -> Person:
    return company.otto


@pytest.fixture
def adam(company: Company) -> Person:
    return company.adam


@pytest.fixture
def login_as(app: Flask) -> Any:
    """`login_as(rita)` is a Browser in which Rita is signed in; `login_as(None)` one with nobody."""

    def login(person: Person | None) -> Browser:
        return Browser(app, person)

    return login
