"""Formats instants for one reader: in their time zone, relative to one "now". English only, like all texts so far."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name; UTC when it is unknown here."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, as "Europe"
        return ZoneInfo("UTC")


@dataclass(frozen=True, slots=True)
class Times:
    """Formats times for one reader: `now` is aware, `zone` theirs. One function for each kind of time: `ago` for the
    past, `due` and `due_short` for deadlines, `day` and `clock` for a history, `full` on hover, `utc()` for exports.

    `mailed`: an email is read later and in other places, so it names the zone, and says no "today"."""

    zone: ZoneInfo
    now: datetime
    mailed: bool = False

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def iso(self, instant: datetime) -> str:
        """For a time element's datetime attribute."""
        return instant.astimezone(UTC).isoformat(timespec="seconds")

    def full(self, instant: datetime) -> str:
        """ "Monday 23 November 2026, 14:12"."""
        at = self.local(instant)
        return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}, {self._clock(at)}"

    def due(self, instant: datetime) -> str:
        """A deadline: "Friday 27 November, 09:41"; with the year when it is another one."""
        at = self.local(instant)
        return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}{self._year(at)}, {self._clock(at)}"

    def due_short(self, instant: datetime) -> str:
        """A deadline where there is little room: "Fri 27 Nov, 09:41"; with the year when it is another one."""
        at = self.local(instant)
        return f"{_DAYS[at.weekday()][:3]} {at.day} {_MONTHS[at.month - 1][:3]}{self._year(at)}, {self._clock(at)}"

    def day(self, instant: datetime) -> str:
        """A heading: "Today, Tuesday 24 November", or without today, or with another year."""
        at, now = self.local(instant), self.local(self.now)
        words = f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}"
        if at.date() == now.date():
            return f"Today, {words}"
        return f"{words}{self._year(at)}"

    def clock(self, instant: datetime) -> str:
        """ "14:12"."""
        return self._clock(self.local(instant))

    def ago(self, instant: datetime) -> str:
        """What is past: "just now", "25 minutes ago", "today, 09:41", "yesterday, 14:12", "17 November", or
        "17 November 2025"; in an email "Tue 17 Nov, 14:12 CET"."""
        if self.mailed:
            return self.due_short(instant)
        at, now = self.local(instant), self.local(self.now)
        passed = self.now - instant
        if passed < timedelta(minutes=1):
            # The clock of another machine may be a little ahead.
            return "just now" if passed > timedelta(minutes=-10) else self.due(instant)
        if passed < timedelta(hours=1):
            return _count(int(passed.total_seconds() // 60), "minute") + " ago"
        days = (now.date() - at.date()).days
        if days <= 1:
            return f"{'yesterday' if days else 'today'}, {self._clock(at)}"
        return f"{at.day} {_MONTHS[at.month - 1]}{self._year(at)}"

    def left(self, instant: datetime) -> str:
        """ "3 days left", "7 hours left", "5 minutes left", or "Overdue"."""
        seconds = int((instant - self.now).total_seconds())
        if seconds <= 0:
            return "Overdue"
        return f"{span(seconds)} left"

    def _year(self, at: datetime) -> str:
        return "" if at.year == self.local(self.now).year else f" {at.year}"

    def _clock(self, at: datetime) -> str:
        """The time of day. With its zone in emails, and in the hour that comes twice when summer time ends."""
        twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
        return f"{at:%H:%M} {_zone(at)}" if self.mailed or twice else f"{at:%H:%M}"


def utc(instant: datetime | None) -> str:
    """For exports: "2026-11-24T13:12:00Z"; "" for None."""
    return f"{instant.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if instant else ""


def _zone(at: datetime) -> str:
    """ "CET"; "UTC+05:45" where a zone has no letters of its own."""
    name, offset = f"{at:%Z}", f"{at:%z}"
    return name if name.isalpha() else f"UTC{offset[:3]}:{offset[3:5]}"


def span(seconds: float) -> str:
    """A stretch of time in its largest unit: "3 days", "5 hours", "20 minutes", "less than a minute"."""
    minutes = int(seconds // 60)
    if minutes < 1:
        return "less than a minute"
    if minutes < 60:
        return _count(minutes, "minute")
    if minutes < 48 * 60:
        return _count(round(minutes / 60), "hour")
    return _count(round(minutes / 1440), "day")


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
