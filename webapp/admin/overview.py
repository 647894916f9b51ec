"""The overview of requests: how many are pending, how they ended, how long decisions took, and what expires next."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from flask import Response, abort

from webapp.queries import first_steps, request_lines
from webapp.queries import overview as queries
from webapp.queries.overview import OUTCOMES, Pace, Scope
from webapp.web.presentation import times
from webapp.web.signin import any_app_owner, me

from . import filters
from .views import bp, fragment

WEEKS = 12
DAYS = 7
# Rows in “First to expire”.
FIRST = 6
# Bars of a chart; its table has more rows.
DRAWN = 10
HOUR = 3600
DAY = 24 * HOUR
TICKS = (HOUR // 4, HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 5 * DAY, 10 * DAY, 30 * DAY, 90 * DAY)
AGES = ("Under a day", "1 to 2 days", "2 to 3 days", "3 to 5 days", "Over 5 days")


@dataclass(frozen=True, slots=True)
class Bar:
    """`kind` is the class of its colour."""

    label: str
    count: int
    kind: str = "accent"


@dataclass(frozen=True, slots=True)
class Week:
    """Outcome → how many requests ended so."""

    label: str
    counts: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Times:
    """Durations with the axis that they are drawn on: `end` in seconds, and each tick with its label."""

    rows: list[Pace]
    drawn: list[Pace]
    end: float
    ticks: list[tuple[int, str]]


@bp.get("/overview")
@any_app_owner
def overview() -> Response:
    """All apps, or the one in the address; owners see their own."""
    app, name, wanted = filters.word("app"), "", None
    apps = queries.apps(owner=None if me().is_admin else me().id)
    if app:
        shown = next((one for one in apps if one.public_id == app), None) or abort(404)
        name, wanted = shown.name, {shown.id}
    elif not me().is_admin:
        wanted = {one.id for one in apps}
    steps = first_steps.read() if me().is_admin else None
    return fragment("admin/overview.html", apps=apps, app=app, app_name=name, steps=steps, **_read(wanted))


def _read(apps: Collection[int] | None) -> dict[str, Any]:
    """The values of the page for these apps (keys); None for all apps."""
    clock = times()
    today = clock.local(clock.now).date()
    monday = today - timedelta(days=today.weekday())
    begins = [_midnight(monday - timedelta(weeks=back)) for back in range(WEEKS - 1, -1, -1)]
    ends = [_midnight(today + timedelta(days=day)) for day in range(1, DAYS + 1)]
    scope = Scope(apps, begins[0], clock.now)
    asked, settled = queries.requested_and_settled(scope, clock.now - timedelta(days=7))
    weeks = [Week(_day(begin), counts) for begin, counts in zip(begins, queries.outcomes(scope, begins), strict=True)]
    days = [clock.local(end) - timedelta(hours=12) for end in ends]
    expiring = queries.due(scope, ends)
    return {
        "ages": [
            Bar(label, number, "accent" if at < 3 else "wait")
            for at, (label, number) in enumerate(zip(AGES, queries.ages(scope), strict=True))
        ],
        "more": asked - settled,
        "weeks": weeks,
        "since": begins[0],
        "pace": queries.pace(scope),
        "by_app": _scaled(queries.pace_by_app(scope)),
        "by_approver": _scaled(queries.pace_by_approver(scope)),
        "days": [
            Bar("Today" if at == 0 else f"{day:%a} {day.day}", number, "wait" if at == 0 else "accent")
            for at, (day, number) in enumerate(zip(days, expiring, strict=True))
        ],
        "first": request_lines.by_ids(queries.due_first(scope, ends[-1], FIRST)),
        "outcomes": OUTCOMES,
        "top": _top(max((week.total for week in weeks), default=0)),
        "told": told,
        "told_in_full": told_in_full,
    }


def _midnight(day: Any) -> datetime:
    return datetime.combine(day, time(), times().zone).astimezone(UTC)


def _day(instant: datetime) -> str:
    local = times().local(instant)
    return f"{local.day} {local:%b}"


def _scaled(rows: list[Pace]) -> Times:
    """Build the chart; the slowest come last."""
    drawn = sorted(rows[:DRAWN], key=lambda row: (row.p90, row.name))
    longest = max((row.p90 for row in drawn), default=0.0)
    step = next((one for one in TICKS if longest <= 5 * one), TICKS[-1])
    number = min(max(1, -(-int(longest) // step)), 12)
    return Times(rows, drawn, max(number * step, longest), [(at * step, told(at * step)) for at in range(number + 1)])


def _top(highest: int) -> list[int]:
    """Axis ticks up to `highest`: 0 and two or three round numbers."""
    step = 1
    while highest > 3 * step:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return list(range(0, max(highest, 1) + 1, step))


def told(seconds: float) -> str:
    """ "0", "12 min", "7.5 h", "2 days", "1.3 days"."""
    if seconds < 1:
        return "0"
    if seconds < HOUR:
        return f"{max(1, round(seconds / 60))} min"
    number, unit = (seconds / HOUR, "h") if seconds < DAY else (seconds / DAY, "days")
    text = f"{number:.1f}".removesuffix(".0")
    return f"{text} day" if (text, unit) == ("1", "days") else f"{text} {unit}"


def told_in_full(seconds: float) -> tuple[str, str]:
    """The same as a number and its whole unit: "12" and "minutes", "1" and "hour"."""
    number, _, unit = told(seconds).partition(" ")
    whole = {"": "minutes", "min": "minutes", "h": "hours", "day": "days"}.get(unit, unit)
    return number, whole.removesuffix("s") if number == "1" else whole
