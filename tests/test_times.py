"""Instants in words, for readers in different zones."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.times import Times, span, utc, zone

NOW = datetime(2026, 11, 24, 13, 12, tzinfo=UTC)  # a Tuesday
BERLIN = Times(zone("Europe/Berlin"), NOW)
LONDON = Times(zone("UTC"), NOW)


def before(**span: float) -> datetime:
    return NOW - timedelta(**span)


@pytest.mark.parametrize(
    ("instant", "words"),
    [
        (before(seconds=0), "just now"),
        (before(seconds=59), "just now"),
        (NOW + timedelta(minutes=3), "just now"),  # another machine's clock
        (NOW + timedelta(days=2), "Thursday 26 November, 13:12"),
        (before(seconds=60), "1 minute ago"),
        (before(minutes=59), "59 minutes ago"),
        (before(hours=1), "today, 12:12"),
        (before(hours=13), "today, 00:12"),
        (before(hours=15), "yesterday, 22:12"),
        (before(days=1), "yesterday, 13:12"),
        (before(days=2), "22 November"),
        (before(days=7), "17 November"),
        (before(days=400), "20 October 2025"),
    ],
)
def test_what_is_past(instant: datetime, words: str) -> None:
    assert LONDON.ago(instant) == words


def test_minutes_are_counted_across_midnight() -> None:
    times = Times(zone("UTC"), datetime(2026, 11, 24, 0, 10, tzinfo=UTC))
    assert times.ago(datetime(2026, 11, 23, 23, 45, tzinfo=UTC)) == "25 minutes ago"
    assert times.ago(datetime(2026, 11, 23, 23, 5, tzinfo=UTC)) == "yesterday, 23:05"


def test_an_email_names_the_zone_and_says_nothing_that_is_untrue_tomorrow() -> None:
    mailed = Times(zone("Europe/Berlin"), NOW, mailed=True)
    friday = datetime(2026, 11, 27, 8, 41, tzinfo=UTC)
    assert mailed.due(friday) == "Friday 27 November, 09:41 CET"
    assert mailed.due_short(friday) == "Fri 27 Nov, 09:41 CET"
    assert mailed.ago(before(minutes=5)) == "Tue 24 Nov, 14:07 CET"
    assert mailed.due(datetime(2026, 7, 1, 8, 0, tzinfo=UTC)) == "Wednesday 1 July, 10:00 CEST"
    # Zones that have no letters are named by their distance.
    assert Times(zone("Asia/Kathmandu"), NOW, mailed=True).due_short(friday) == "Fri 27 Nov, 14:26 UTC+05:45"
    assert Times(zone("America/Sao_Paulo"), NOW, mailed=True).due_short(friday) == "Fri 27 Nov, 05:41 UTC-03:00"
    assert Times(zone(""), NOW, mailed=True).due_short(friday) == "Fri 27 Nov, 08:41 UTC"


def test_exports_are_iso_in_utc() -> None:
    assert utc(datetime(2026, 11, 24, 14, 12, 30, 999, tzinfo=zone("Europe/Berlin"))) == "2026-11-24T13:12:30Z"
    assert utc(None) == ""


def test_a_day_is_the_readers_day() -> None:
    late = datetime(2026, 11, 23, 23, 30, tzinfo=UTC)
    assert BERLIN.ago(late) == "today, 00:30"
    assert LONDON.ago(late) == "yesterday, 23:30"
    assert BERLIN.day(late) == "Today, Tuesday 24 November"
    assert LONDON.day(late) == "Monday 23 November"
    assert BERLIN.full(late) == "Tuesday 24 November 2026, 00:30"
    assert BERLIN.iso(late) == "2026-11-23T23:30:00+00:00"
    assert BERLIN.clock(late) == "00:30"


def test_a_deadline_is_said_in_full_with_the_year_when_it_is_another() -> None:
    assert LONDON.due(datetime(2026, 11, 27, 9, 41, tzinfo=UTC)) == "Friday 27 November, 09:41"
    assert LONDON.due(datetime(2027, 1, 4, 9, 41, tzinfo=UTC)) == "Monday 4 January 2027, 09:41"
    assert LONDON.due_short(datetime(2026, 11, 27, 9, 41, tzinfo=UTC)) == "Fri 27 Nov, 09:41"
    assert LONDON.due_short(datetime(2027, 1, 4, 9, 41, tzinfo=UTC)) == "Mon 4 Jan 2027, 09:41"
    # New Year is another moment in Auckland.
    eve = datetime(2026, 12, 31, 12, 0, tzinfo=UTC)
    assert Times(zone("Pacific/Auckland"), NOW).due(eve) == "Friday 1 January 2027, 01:00"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-1, "Overdue"), (0, "Overdue"), (1, "less than a minute left"),
        (60, "1 minute left"), (3599, "59 minutes left"), (3600, "1 hour left"), (47 * 3600, "47 hours left"),
        (48 * 3600, "2 days left"), (72 * 3600 - 1, "3 days left"), (90 * 86400, "90 days left"),
    ],
)  # fmt: skip
def test_how_much_time_is_left(seconds: int, words: str) -> None:
    assert LONDON.left(NOW + timedelta(seconds=seconds)) == words


def test_days_count_through_the_change_of_the_clocks() -> None:
    """N days are N × 24 hours; the words follow the reader's wall clock."""
    start = datetime(2026, 10, 24, 10, 0, tzinfo=UTC)
    berlin = Times(zone("Europe/Berlin"), start)
    assert berlin.due(start) == "Saturday 24 October, 12:00"
    assert berlin.due(start + timedelta(days=1)) == "Sunday 25 October, 11:00"


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "Europe", "America", "../../etc/passwd", "/etc/passwd", "a\0b", "x" * 5000]
)
def test_a_zone_that_does_not_exist_is_utc(name: str) -> None:
    assert zone(name).key == "UTC"


@given(
    st.integers(0, 7 * 10**9).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Pacific/Apia", "America/New_York"]),
)
def test_every_instant_has_words(instant: datetime, name: str) -> None:
    times = Times(zone(name), NOW)
    said = (times.ago(instant), times.day(instant), times.due(instant), times.due_short(instant), times.left(instant))
    assert all(words and words == words.strip() for words in said)


@given(st.floats(0, 10**9))
def test_a_span_never_shrinks_as_time_grows(seconds: float) -> None:
    def size(words: str) -> float:
        if words == "less than a minute":
            return 0
        number, unit = words.split()
        return int(number) * {"m": 60, "h": 3600, "d": 86400}[unit[0]]

    assert size(span(seconds)) <= size(span(seconds + 60))
