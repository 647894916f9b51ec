"""Limits on how often somebody may repeat what sends emails to others, counted in the database."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Comment, Grant, Notice, Person

from ._sql import run
from .errors import Invalid, TooOften

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# Of one person for one app: requests, and times that the app was given and removed.
SAME_APP_A_DAY = 5
REQUESTS_A_DAY = 50
COMMENTS_AN_HOUR = 10
LINKS_AN_HOUR = 3

_FOR_APP = (
    AccessRequest.app_id == bindparam("app"),
    AccessRequest.for_person_id == bindparam("person"),
    AccessRequest.created_at > bindparam("since"),
)
_BY_PERSON = (AccessRequest.asked_by_id == bindparam("person"), AccessRequest.created_at > bindparam("since"))
_REMOVED = (
    Grant.person_id == bindparam("person"),
    Grant.state == "removed",
    Grant.removed_at > bindparam("since"),
    Grant.app_id == bindparam("app"),
    Grant.created_at > bindparam("since"),
)
# For a statement with the parameters app, person and since (a day ago).
COLUMNS = (
    select(func.count()).select_from(AccessRequest).where(*_FOR_APP).scalar_subquery().label("requests"),
    select(func.min(AccessRequest.created_at)).where(*_FOR_APP).scalar_subquery().label("first_request"),
    select(func.count()).select_from(AccessRequest).where(*_BY_PERSON).scalar_subquery().label("all"),
    select(func.min(AccessRequest.created_at)).where(*_BY_PERSON).scalar_subquery().label("first_of_all"),
    select(func.count()).select_from(Grant).where(*_REMOVED).scalar_subquery().label("grants"),
    select(func.min(Grant.created_at)).where(*_REMOVED).scalar_subquery().label("first_grant"),
)
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_LATELY = select(*COLUMNS)


def lately(app: App, person: Person, *, now: datetime) -> Any:
    """Reads what `check_grant` needs, for a caller whose own statement does not select `COLUMNS`."""
    return run(_LATELY, {"app": app.id, "person": person.id, "since": now - DAY}).one()


def check_request(app: App, row: Any, *, now: datetime) -> None:
    """Raises TooOften if the person has requested this app, or apps, too often within a day. `row` has `COLUMNS`."""
    if row.requests >= SAME_APP_A_DAY:
        raise TooOften(
            f"You have requested {app.name} {row.requests} times in the last 24 hours. "
            f"You can request it again {_when(row.first_request + DAY - now)}."
        )
    if row.all >= REQUESTS_A_DAY:
        raise TooOften(
            f"You have sent {row.all} requests in the last 24 hours. "
            f"You can send the next one {_when(row.first_of_all + DAY - now)}."
        )


def check_grant(app: App, row: Any, *, now: datetime) -> None:
    """Raises TooOften when the app was given to the person and removed too often within a day. `row` has `COLUMNS`."""
    if row.grants >= SAME_APP_A_DAY:
        raise TooOften(
            f"{app.name} was added and removed {row.grants} times in the last 24 hours. "
            f"It can be added again {_when(row.first_grant + DAY - now)}."
        )


def comments(request_id: int, person_id: int, *, now: datetime) -> tuple[Any, Any]:
    """Two scalar subqueries: how many comments the person wrote on the request within an hour, and when the first."""
    mine = (Comment.request_id == request_id, Comment.person_id == person_id, Comment.created_at > now - HOUR)
    return (
        select(func.count()).select_from(Comment).where(*mine).scalar_subquery(),
        select(func.min(Comment.created_at)).where(*mine).scalar_subquery(),
    )


def check_comment(number: int, first: datetime, *, now: datetime) -> None:
    """Raises Invalid if a person has written too many comments on a request; takes what `comments` selects."""
    if number >= COMMENTS_AN_HOUR:
        raise Invalid(
            comment=f"You have written {number} comments on this request in the last hour. "
            f"Your text is still here. You can send it {_when(first + HOUR - now)}."
        )


def links_wait(person: Person, kind: str, *, now: datetime) -> str:
    """ "in 20 minutes" when so many emails with a link to set a password went to the person within an hour, else ""."""
    number, first = db.session.execute(
        select(func.count(), func.min(Notice.created_at)).where(
            Notice.created_at > now - HOUR, Notice.kind == kind, Notice.person_id == person.id
        )
    ).one()
    return _when(first + HOUR - now) if number >= LINKS_AN_HOUR else ""


def _when(wait: timedelta) -> str:
    """ "in 3 hours"; of less than two, "in 40 minutes". Rounded up, so that nobody comes back too early."""
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    number, unit = (minutes, "minute") if minutes < 120 else (-(-minutes // 60), "hour")
    return f"in {number} {unit}{'' if number == 1 else 's'}"
