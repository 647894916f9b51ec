"""What an installation needs, looked at one thing at a time: `flask check`.

A check is a function without arguments. It answers a few words about what it found, or raises Failed with what is wrong
and what to do. One more is one more line in CHECKS.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from webapp import jobs, schema
from webapp.extensions import db
from webapp.transactions import choose


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
            finding = Finding(name, False, f"The database did not answer: {_first_line(error)}")
        finally:
            db.session.remove()
        yield finding


def _first_line(error: Exception) -> str:
    words = str(getattr(error, "orig", None) or error).strip()
    return words.splitlines()[0] if words else type(error).__name__


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


def approvers() -> str:
    """Every pending request is with those who can decide it; what is not is repaired, which is all that a check ever
    writes."""
    choose("write")
    repaired = jobs.check_asked()
    if repaired:
        return (
            f"{repaired:,} pending {'request was' if repaired == 1 else 'requests were'} not with the approvers; "
            f"they have been asked now"
        )
    return "every pending request is with its approvers"


CHECKS: list[tuple[str, Callable[[], str]]] = [
    ("database", database),
    ("schema", tables),
    ("approvers", approvers),
]
