"""An upgrade from the first version that is killed, at its steps and at any moment, and run again."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import create_engine, inspect, text

from tests.chaos import check
from tests.chaos.restore import PATIENCE
from tests.chaos.schema_shape import shape
from tests.chaos.stack import Stack
from tests.helpers import changes, factories
from webapp import create_app
from webapp.config import PROJECT, Settings
from webapp.extensions import db
from webapp.workflow.states import Verdict

VERSIONS = PROJECT / "migrations" / "versions"
AT_RANDOM = 5
# What a started product writes by itself: mails that were due, and that it is there.
ON_THE_MOVE = ("heartbeats", "notices", "events", "event_head")

# Table → its rows, all columns, in some fixed order.
Rows = dict[str, list[dict[str, Any]]]


def upgrade(engine: str, *, seed: int) -> dict[str, Any]:
    """A database of the first version, with all kinds of rows in it, is upgraded: undisturbed, killed at each of its
    steps in turn, killed at random moments, and by a start of the product that is killed in the middle of it; each
    time it is run again. The tables are those of a new installation, and every row is there as it was."""
    dice = random.Random(seed)
    with Stack(engine, seed=seed, workers=0) as stack:
        expected = shape(stack.env["DATABASE_URL"])
        with stack.app.app_context():
            _work_done()
        stack.let_go()
        rows = _rows(stack.env["DATABASE_URL"])
        old = stack.database("old")
        if stack.run_command("db", "upgrade", "0001", database=old).wait(PATIENCE) != 0:
            return {"violations": [f"The first version could not be made. {stack.end_of_log()}"]}
        was = shape(old)
        _fill(old, rows)
        bad: list[str] = []
        steps = len(list(VERSIONS.glob("0*.py"))) - 1

        def upgraded(named: str, database: str) -> None:
            """Whatever was done to it: run (again), and looked at."""
            bad.extend(f"{named}: {sentence}" for sentence in _wrong(stack, database, expected, rows))

        database = stack.copied("old", "undisturbed")
        began = time.monotonic()
        if stack.run_command("upgrade", database=database).wait(PATIENCE) != 0:
            return {"violations": [f"The upgrade failed. {stack.end_of_log()}"]}
        lasts = time.monotonic() - began
        upgraded("Undisturbed", database)
        for kill_at in range(1, steps + 1):
            database = stack.copied("old", f"step_{kill_at}")
            named, points = f"Killed at step {kill_at}", _armed(stack.folder / f"points-{kill_at}", kill_at)
            if (code := stack.run_command("upgrade", database=database, points=points).wait(PATIENCE)) != -9:
                bad.append(f"{named}: the upgrade ended with {code}.")
            upgraded(named, database)
            if engine == "sqlite":
                copies = list(stack.folder.glob(f"step_{kill_at}-before-*.db"))
                if len(copies) != 1 or shape(f"sqlite:///{copies[0]}") != was:
                    bad.append(f"{named}: the copies are {copies}.")
        killed = 0
        for number in range(AT_RANDOM):
            database = stack.copied("old", f"random_{number}")
            # The first third is Python reading the product.
            after = dice.uniform(0.3, 1) * lasts
            named = f"Killed after {after:.2f} of {lasts:.2f} s"
            process = stack.run_command("upgrade", database=database)
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(PATIENCE)
                killed += 1
            if shape(database) not in (was, expected):
                bad.append(f"{named}: half of the upgrade is there.")
            upgraded(named, database)
        bad.extend(f"Started: {sentence}" for sentence in _started(stack, dice.randint(1, steps), rows))
    return {"steps": steps, "at_random": killed, "starts": 1, "rows": sum(map(len, rows.values())), "violations": bad}


def _armed(folder: Path, passing: int) -> Path:
    folder.mkdir()
    (folder / "migration.in-upgrade").write_text(str(passing))
    return folder


def _work_done() -> None:
    """One of each, by the real operations: what is decided, denied, added, and what waits for its second step."""
    company = factories.company()
    factories.with_password(company.ana)
    factories.session_of(company.ana)
    slow = factories.app("Salesforce", company.finance, company.ana, owner=company.otto)
    factories.with_icon(slow, body=b"\x89PNG\x00", sha256="5" * 64)
    quick = factories.app("Figma", company.ana)
    factories.grant(company.rita, factories.app("Apptio"))
    pending = factories.request(company.rita, slow, message="Größe 42, a naïve wish.")
    factories.decide(pending, company.ben, comment="Fine.")
    changes.comment(pending, company.rita, "Still needed.")
    for asker, verdict in ((company.rita, Verdict.APPROVED), (company.otto, Verdict.DENIED)):
        factories.decide(factories.request(asker, quick), company.ana, verdict)
    changes.cancel(factories.request(company.chloe, quick), company.chloe)
    factories.request(company.ben, slow)


def _rows(database: str) -> Rows:
    """Of every table but Alembic's, as the driver gives them."""
    with _connected(database) as connection:
        return {
            table: sorted(
                (dict(row) for row in connection.execute(text(f'SELECT * FROM "{table}"')).mappings()),
                key=lambda row: repr(sorted(row.items())),
            )
            for table in inspect(connection).get_table_names()
            if table != "alembic_version"
        }


def _fill(database: str, rows: Rows) -> None:
    """The rows by plain SQL into the tables of the first version, without the columns that it did not have."""
    with _connected(database) as connection:
        known = inspect(connection)
        for table in (one.name for one in db.metadata.sorted_tables if known.has_table(one.name)):
            columns = [one["name"] for one in known.get_columns(table)]
            names, marks = ", ".join(f'"{one}"' for one in columns), ", ".join(f":{one}" for one in columns)
            if table in ("event_head", "organisation"):
                connection.execute(text(f"DELETE FROM {table}"))
            if rows[table]:
                connection.execute(text(f'INSERT INTO "{table}" ({names}) VALUES ({marks})'), rows[table])
        connection.commit()


@contextlib.contextmanager
def _connected(database: str) -> Iterator[Any]:
    engine = create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _wrong(stack: Stack, database: str, expected: Any, rows: Rows) -> Iterator[str]:
    """What a database has after `upgrade` that it should not have, and the other way round."""
    app = _app(stack, database)
    # The same command, without waiting for Python to start.
    with app.app_context():
        run = app.test_cli_runner().invoke(args=["upgrade"])
    if run.exit_code != 0:
        yield f"the upgrade ended with {run.exit_code}: {run.output} {run.exception!r}"
    if shape(database) != expected:
        yield "other tables than a new installation has."
    now = _rows(database)
    # The columns that later versions have added, too: their migrations fill them as the product does.
    for table in rows:
        if now.get(table) != rows[table]:
            yield f"{table} had {_those_not_in(now.get(table, []), rows[table])}, which is not there any more."
    yield from _tables(app)


def _those_not_in(now: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in before if row not in now]


def _app(stack: Stack, database: str) -> Flask:
    return create_app(Settings.from_env(stack.env | {"DATABASE_URL": database}), web=False)


def _tables(app: Flask) -> list[str]:
    found = check.tables(check.load(app))
    with app.app_context():
        db.engine.dispose()
    return found


def _started(stack: Stack, kill_at: int, rows: Rows) -> Iterator[str]:
    """The whole product is started on an old database, and its upgrade is killed: it does not start. Started again, it
    serves, and has what was there."""
    database = stack.copied("old", "started")
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    env = {name: value for name, value in stack.env.items() if not name.startswith("MAIL_") and name != "REDIS_URL"}
    env |= {
        "DATABASE_URL": database,
        "PORT": str(port),
        "BASE_URL": f"http://127.0.0.1:{port}",
        "COUNTERSIGN_DATA": str(stack.folder / "started"),
        "COUNTERSIGN_FAILPOINTS": str(_armed(stack.folder / "points-started", kill_at)),
    }

    def product() -> subprocess.Popen[bytes]:
        with open(stack.log, "ab") as log:
            command = [sys.executable, "-m", "webapp.embedded"]
            return subprocess.Popen(command, cwd=PROJECT, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    if (code := product().wait(PATIENCE)) != 1:
        yield f"killed at step {kill_at} of its upgrade it ended with {code}, not 1."
    again = product()
    try:
        stack.until(lambda: _ready(port) or again.poll() is not None, PATIENCE, "the product serves")
        if again.poll() is not None:
            yield f"it did not start again. {stack.end_of_log()}"
    finally:
        again.terminate()
        again.wait(PATIENCE)
    now = _rows(database)
    for row in now["organisation"]:
        row["asked_checked_at"] = None  # when a worker first looked who is asked
    for table in rows:
        if table not in ON_THE_MOVE and now[table] != rows[table]:
            yield f"{table} had {_those_not_in(now[table], rows[table])}, which is not there any more."
    for table, name in (("notices", "public_id"), ("events", "seq")):
        if missing := {row[name] for row in rows[table]} - {row[name] for row in now[table]}:
            yield f"{table} have lost {sorted(missing)}."
    yield from _tables(_app(stack, database))


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
