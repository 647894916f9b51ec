"""What templates may use: the reader, their times, and a few words. Nothing here queries."""

from datetime import datetime
from typing import Any

from flask import Flask, g

from webapp import clock, signin
from webapp.extensions import settings
from webapp.text import capital, reference
from webapp.times import Times, span, zone
from webapp.workflow.entitlements import shown


def init(app: Flask) -> None:
    app.jinja_env.filters.update(
        ago=lambda instant: times().ago(instant),
        at=lambda instant: times().at(instant),
        capital=capital,
        clock=lambda instant: times().clock(instant),
        day=lambda instant: times().day(instant),
        due=lambda instant: times().due(instant),
        due_short=lambda instant: times().due_short(instant),
        full=lambda instant: times().full(instant),
        iso=lambda instant: times().iso(instant),
        left=lambda instant: times().left(instant),
        reference=reference,
        shown=shown,
        span=span,
        many=count,
    )
    app.context_processor(reader)


def reader() -> dict[str, Any]:
    """Who reads the page; every layout shows it."""
    user = signin.signed_in() if "broken" not in g else None
    return {
        "me": user.person if user else None,
        "waiting": user.waiting if user else 0,
        "mailbox_enabled": settings().mailbox,
    }


def times() -> Times:
    """The reader's clock for this request: one "now" for the whole page."""
    if "times" not in g:
        user = signin.signed_in()
        g.times = Times(zone(user.time_zone if user else "UTC"), clock.now())
    return g.times  # type: ignore[no-any-return]


def read_as(time_zone: str) -> None:
    """For pages behind a mailed link: the times of the person it was sent to."""
    g.times = Times(zone(time_zone), clock.now())


def now() -> datetime:
    """The moment of this request."""
    return times().now


def count(number: int, unit: str, units: str = "") -> str:
    """ "1 request", "3 requests"."""
    return f"{number:,} {unit if number == 1 else units or unit + 's'}"
