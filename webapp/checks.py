"""What an installation needs, looked at one thing at a time: `flask check`.

A check is a function without arguments. It answers a few words about what it found, or raises Failed with what is wrong
and what to do. One more is one more line in CHECKS.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from webapp import clock
from webapp.config import version
from webapp.database import faults, schema
from webapp.database.transactions import choose
from webapp.delivery import jobs
from webapp.delivery.mail import smtp
from webapp.extensions import db, settings
from webapp.models import Endpoint, db_now
from webapp.queries import outbox_lines
from webapp.queries.stops import EXPLAINED
from webapp.record import anchors
from webapp.runtime import broker, broker_rights
from webapp.text import ended
from webapp.web.health import WORKER_SECONDS

# Seconds.
CLOCKS_APART = 5


class Failed(Exception):
    """A check did not succeed; the message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check, in words for the person who runs the installation."""

    name: str
    ok: bool
    words: str


def run() -> Iterator[Finding]:
    """Every check, each in a transaction of its own that only reads, but for what `approvers` repairs; one that fails
    does not stop the others."""
    for name, look in CHECKS:
        choose("read")
        try:
            finding = Finding(name, True, look())
        except Failed as error:
            finding = Finding(name, False, str(error))
        except SQLAlchemyError as error:
            # Without its tables nothing else can be looked at, which the line about the schema says.
            waits = faults.schema_problem()
            words = "Needs the upgrade first." if waits else f"The database did not answer: {_first_line(error)}"
            finding = Finding(name, False, words)
        finally:
            db.session.remove()
        yield finding


def _first_line(error: Exception) -> str:
    words = str(getattr(error, "orig", None) or error).strip()
    return ended(words.splitlines()[0] if words else type(error).__name__)


def database() -> str:
    """The database answers."""
    try:
        with db.engine.connect() as connection:
            version = "sqlite_version()" if connection.dialect.name == "sqlite" else "current_setting('server_version')"
            number = str(connection.scalar(text(f"SELECT {version}")))  # nosec
    except SQLAlchemyError as error:
        raise Failed(f"Cannot connect to {db.engine.url!r}: {_first_line(error)} Check DATABASE_URL.") from None
    return f"{'SQLite' if db.engine.dialect.name == 'sqlite' else 'PostgreSQL'} {number.split()[0]}"


def tables() -> str:
    """The database is of this version."""
    if sentence := schema.problem(db.engine):
        raise Failed(sentence)
    return f"at {schema.newest()}"


def queue() -> str:
    """The broker answers, keeps what it is given, and lets us do what the queue needs."""
    connection = broker.connect(settings().redis_url, timeout=5)
    try:
        version = broker.server_version(connection)
        if lacking := broker_rights.missing(connection):
            raise Failed(
                f"The Redis user of REDIS_URL has no right to: {', '.join(lacking)}. "
                f"Give it these: ACL SETUSER NAME {broker_rights.ALLOW}"
            )
        try:
            memory = connection.info("memory")
        except NoPermissionError:
            return f"Redis {version}; set its maxmemory-policy to noeviction, which this user cannot look at"
    except AuthenticationError as error:
        words = _first_line(error)
        raise Failed(f"Redis refuses the sign-in: {words} Check the user and password in REDIS_URL.") from None
    except (RedisError, OSError) as error:
        raise Failed(f"Redis does not work: {_first_line(error)} Check REDIS_URL.") from None
    finally:
        connection.close()
    if memory.get("maxmemory") and memory.get("maxmemory_policy") != "noeviction":
        raise Failed(f"Redis throws data away ({memory['maxmemory_policy']}). Set its maxmemory-policy to noeviction.")
    return f"Redis {version}"


def mail_server() -> str:
    """The mail server is reached, encrypted as set, and takes the sign-in."""
    own = settings()
    try:
        with smtp.connect() as connection:
            connection.open()
    except smtp.Unusable as error:
        what, advice = EXPLAINED[error.cause]
        raise Failed(f"{what} {ended(str(error))} {advice}") from None
    kind = "TLS" if own.mail_use_ssl else "STARTTLS" if own.mail_use_tls else "not encrypted"
    signed = f"signed in as {own.mail_username}" if own.mail_username else "no sign-in"
    return f"{own.mail_server}:{own.mail_port}, {kind}, {signed}"


def clocks() -> str:
    """This machine's clock is the database's, by which everything goes."""
    db.session.execute(select(db_now()))
    ahead = clock.apart().total_seconds()
    if abs(ahead) > CLOCKS_APART:
        side = "behind" if ahead > 0 else "ahead of"
        raise Failed(f"This machine's clock is {abs(ahead):,.0f} seconds {side} the database's. Set both by NTP.")
    return "as the database's"


def worker() -> str:
    """A worker has said lately that it runs."""
    age = outbox_lines.trouble().worker
    if age is None or age > WORKER_SECONDS:
        raise Failed("No worker is running, so no emails are sent and nothing expires. Start countersign-worker.")
    return f"seen {age:.0f} seconds ago"


def webhook_worker() -> str:
    """A worker of webhooks has said lately that it runs, if there is anything that it would send to."""
    age = outbox_lines.trouble().hook_worker
    if age is not None and age <= WORKER_SECONDS:
        return f"seen {age:.0f} seconds ago"
    number = db.session.scalar(select(func.count()).where(Endpoint.removed_at.is_(None))) or 0
    if not number:
        return "not needed: there are no webhooks or chat channels"
    raise Failed(
        f"No worker of webhooks is running, so nothing is sent to {number} "
        f"{'webhook or chat channel' if number == 1 else 'webhooks and chat channels'}. Start countersign-webhooks."
    )


def anchor_file() -> str:
    """The anchors can be read, and the worker can write more."""
    file = anchors.path()
    try:
        known, _ = anchors.usable(file) if file.exists() else ([], [])
    except (anchors.BadAnchor, OSError) as error:
        raise Failed(f"The anchors in {file} cannot be used: {_first_line(error)}") from None
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise Failed(
            f"{file} cannot be written to by this user. Give it the right, or set AUDIT_ANCHOR to another file."
        )
    return f"{len(known):,} in {file}"


def approvers() -> str:
    """Every pending request is with those who can decide it; what is not is repaired, which is all that a check ever
    writes."""
    choose("write")
    repaired = jobs.repair_invitations()
    if repaired:
        return (
            f"{repaired:,} pending {'request was' if repaired == 1 else 'requests were'} not with the approvers; "
            f"they have been asked now"
        )
    return "every pending request is with its approvers"


CHECKS: list[tuple[str, Callable[[], str]]] = [
    ("version", version),
    ("database", database),
    ("schema", tables),
    ("broker", queue),
    ("mail server", mail_server),
    ("clock", clocks),
    ("worker", worker),
    ("webhooks", webhook_worker),
    ("anchors", anchor_file),
    ("approvers", approvers),
]
