"""Whether emails are stopped, since when and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from webapp.delivery.mail.answers import EXPLAINED, Cause
from webapp.extensions import db
from webapp.models import MailStop

COLUMNS = (MailStop.since, MailStop.cause, MailStop.answer, MailStop.next_try_at)


@dataclass(frozen=True, slots=True)
class Stop:
    """Since when; what is wrong and what to do, in sentences; what the server answered; the next attempt."""

    since: datetime
    what: str
    advice: str
    answer: str
    next_try_at: datetime


def current() -> Stop | None:
    """None while emails go out."""
    row = db.session.execute(select(*COLUMNS)).one_or_none()
    return None if row is None else read(*row)


def read(since: Any, cause: Any, answer: Any, next_try_at: Any) -> Stop | None:
    """The stop of a row of COLUMNS, None when they are."""
    return None if since is None else Stop(since, *EXPLAINED[Cause(cause)], answer, next_try_at)
