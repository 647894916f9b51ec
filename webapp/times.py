"""Instants in words, in a reader's zone, as of one moment. English, like every sentence for now."""

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
    """Words for one reader: `now` is aware, `zone` theirs."""

    zone: ZoneInfo
    now: datetime

    def local(self, instant: datetime) -> datetime:
        return instant.astimezone(self.zone)

    def iso(self, instant: datetime) -> str:
        """For a time element's datetime attribute."""
        return instant.astimezone(UTC).isoformat(timespec="seconds")

    def full(self, instant: datetime) -> str:
        """ "Monday 23 November 2026, 14:12"."""
        at = self.local(instant)
        return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]} {at.year}, {_clock(at)}"

    def due(self, instant: datetime) -> str:
        """A deadline: "Friday 27 November, 09:41"; with the year when it is another one."""
        at = self.local(instant)
        year = "" if at.year == self.local(self.now).year else f" {at.year}"
        return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}{year}, {_clock(at)}"

    def due_short(self, instant: datetime) -> str:
        """A deadline where there is little room: "Fri 27 Nov, 09:41"."""
        at = self.local(instant)
        return f"{_DAYS[at.weekday()][:3]} {at.day} {_MONTHS[at.month - 1][:3]}, {_clock(at)}"

    def until(self, instant: datetime) -> str:
        """A deadline in a word or two: "today 17:00", "Friday" within six days, else "27 November"."""
        at, now = self.local(instant), self.local(self.now)
        days = (at.date() - now.date()).days
        if days == 0:
            return f"today {_clock(at)}"
        return _DAYS[at.weekday()] if 0 < days <= 6 else f"{at.day} {_MONTHS[at.month - 1]}"

    def day(self, instant: datetime) -> str:
        """A heading: "Today, Tuesday 24 November", or without today, or with another year."""
        at, now = self.local(instant), self.local(self.now)
        words = f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}"
        if at.date() == now.date():
            return f"Today, {words}"
        return words if at.year == now.year else f"{words} {at.year}"

    def clock(self, instant: datetime) -> str:
        """ "14:12"."""
        return f"{self.local(instant):%H:%M}"

    def at(self, instant: datetime) -> str:
        """ "today 09:41", "Monday 14:12" within six days, else "17 Nov 10:05"."""
        at, now = self.local(instant), self.local(self.now)
        days = (now.date() - at.date()).days
        if days == 0:
            return f"today {at:%H:%M}"
        if 0 < days <= 6:
            return f"{_DAYS[at.weekday()]} {at:%H:%M}"
        year = "" if at.year == now.year else f" {at.year}"
        return f"{at.day} {_MONTHS[at.month - 1][:3]}{year} {at:%H:%M}"

    def ago(self, instant: datetime) -> str:
        """ "just now", "25 minutes ago", "yesterday at 14:12", "on Friday at 16:03", "on 3 November"."""
        at, now = self.local(instant), self.local(self.now)
        passed = self.now - instant
        if passed < timedelta(minutes=1):
            return "just now"
        if passed < timedelta(hours=1):
            return _count(int(passed.total_seconds() // 60), "minute") + " ago"
        days = (now.date() - at.date()).days
        if days == 0:
            return _count(int(passed.total_seconds() // 3600), "hour") + " ago"
        if days == 1:
            return f"yesterday at {at:%H:%M}"
        if days <= 6:
            return f"on {_DAYS[at.weekday()]} at {at:%H:%M}"
        year = "" if at.year == now.year else f" {at.year}"
        return f"on {at.day} {_MONTHS[at.month - 1]}{year}"

    def left(self, instant: datetime) -> str:
        """ "3 days left", "7 hours left", "5 minutes left", or "The time is over"."""
        seconds = int((instant - self.now).total_seconds())
        if seconds <= 0:
            return "The time is over"
        return f"{span(seconds)} left"


def _clock(at: datetime) -> str:
    """The time of day; in the hour that comes twice when summer time ends, with which of the two it is."""
    twice = at.replace(fold=0).utcoffset() != at.replace(fold=1).utcoffset()
    return f"{at:%H:%M} {at:%Z}" if twice else f"{at:%H:%M}"


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
