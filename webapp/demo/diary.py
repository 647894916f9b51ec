"""Plausible instants: working days and hours of the demo company, counted back from now."""

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

BEGIN, END = 8, 18


class Diary:
    """The last months as seen from `now` (aware UTC) in one time zone."""

    def __init__(self, now: datetime, zone: str) -> None:
        self.now = now
        self.zone = ZoneInfo(zone)

    def day(self, working_days_ago: int, clock: str) -> datetime:
        """That many working days before today (1: the last one), at "HH:MM" local time."""
        day = self.now.astimezone(self.zone).date()
        while working_days_ago > 0:
            day -= timedelta(days=1)
            if day.isoweekday() <= 5:
                working_days_ago -= 1
        return datetime.combine(day, time.fromisoformat(clock), self.zone).astimezone(self.now.tzinfo)

    def ago(self, hours: float) -> datetime:
        return self.now - timedelta(hours=hours)

    def due_today(self, days: int) -> datetime:
        """When something was asked that is due today at 17:00, or at the next moment that leaves some hours."""
        local = self.now.astimezone(self.zone)
        due = local.replace(hour=17, minute=0, second=0, microsecond=0)
        if due - local < timedelta(hours=2):
            latest = local.replace(hour=23, minute=45, second=0, microsecond=0)
            due = max(min(local + timedelta(hours=4), latest), local + timedelta(hours=1))
        return due.astimezone(self.now.tzinfo) - timedelta(days=days)

    def at_work(self, instant: datetime, before: datetime) -> datetime:
        """The instant, or the next morning at which somebody is at work; but always before `before`."""
        local = instant.astimezone(self.zone)
        if local.hour >= END:
            local = local.replace(hour=BEGIN, minute=41) + timedelta(days=1)
        elif local.hour < BEGIN:
            local = local.replace(hour=BEGIN, minute=23)
        while local.isoweekday() > 5:
            local = (local + timedelta(days=1)).replace(hour=BEGIN, minute=52)
        return min(local.astimezone(self.now.tzinfo), before)
