"""Reads the filters of the long lists from the address."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from urllib.parse import urlencode

from flask import request

from webapp.text import whole_number
from webapp.web.presentation import times

from .views import words_of


def word(name: str) -> str:
    """A search, as one line."""
    return words_of(request.args.get(name, ""))


def one_of(name: str, known: tuple[str, ...]) -> str:
    """A choice, or "" for anything else."""
    given = request.args.get(name, "")
    return given if given in known else ""


def key(name: str) -> int:
    """The key that a page starts from; 0 for none."""
    return whole_number(request.args.get(name, "")) or 0


def day(name: str) -> date | None:
    """A date as date fields send it; None when missing or invalid."""
    try:
        return date.fromisoformat(request.args.get(name, "")[:10])
    except ValueError:
        return None


def begin(day: date | None) -> datetime | None:
    """The first instant of that day in the reader's zone."""
    if day is None or not 1970 <= day.year <= 9000:
        return None
    return datetime.combine(day, time(), times().zone).astimezone(UTC)


def end(day: date | None) -> datetime | None:
    """The first instant after that day in the reader's zone."""
    if day is None or not 1970 <= day.year <= 9000:
        return None
    return begin(day + timedelta(days=1))


def query(values: Mapping[str, object]) -> str:
    """The query string of the values that are set, with its question mark; "" for none."""
    text = urlencode({name: value for name, value in values.items() if value not in (None, "")})
    return f"?{text}" if text else ""
