"""What the tests of sending share: the notices that wait, and how they get due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text, update

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import Notice

Drain = Callable[[], None]


def notices(kind: str = "") -> list[Any]:
    """(kind, state, tries, error) in the order of posting."""
    db.session.rollback()
    rows = db.session.execute(text("SELECT kind, state, tries, error FROM notices ORDER BY id")).all()
    db.session.rollback()
    return [tuple(row) for row in rows if not kind or row.kind == kind]


def due_again() -> None:
    """Moves what waits for its next try to now."""
    choose("write")
    db.session.execute(update(Notice).where(Notice.state == "due").values(due_at=clock.now() - timedelta(seconds=1)))
    db.session.commit()


def seconds_until_due() -> list[float]:
    db.session.rollback()
    rows = db.session.query(Notice).filter(Notice.state == "due").order_by(Notice.id).all()
    wait = [(row.due_at - datetime.now(UTC)).total_seconds() for row in rows]
    db.session.rollback()
    return wait


def stops_now() -> list[Any]:
    db.session.rollback()
    found = list(db.session.execute(text("SELECT * FROM mail_stops")))
    db.session.rollback()
    return found


def asked(company: Company, count: int = 1) -> list[Any]:
    return [factories.request(company.rita, factories.app(f"App {number:02}", company.ana)) for number in range(count)]
