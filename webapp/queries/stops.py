"""Whether emails are stopped, since when and why."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import MailStop
from webapp.models.notices import Cause

# What admins read: what is wrong, and what to do.
EXPLAINED = {
    Cause.UNREACHABLE: (
        "Countersign cannot reach the mail server.", "Check that it is running, and check MAIL_SERVER and MAIL_PORT.",
    ),
    Cause.ENCRYPTION: (
        "The encrypted connection to the mail server fails.",
        "Check MAIL_USE_TLS and MAIL_USE_SSL, and the certificate of the server.",
    ),
    Cause.SIGN_IN: ("The mail server refuses the sign-in.", "Check MAIL_USERNAME and MAIL_PASSWORD."),
    Cause.SENDER: (
        "The mail server refuses the sender address.",
        "Check MAIL_DEFAULT_SENDER, and allow the account of MAIL_USERNAME to send from it.",
    ),
    Cause.RELAY: (
        "The mail server does not pass on emails from Countersign.",
        "Set MAIL_USERNAME and MAIL_PASSWORD, or allow this machine to relay.",
    ),
    Cause.LIMIT: (
        "The sending limit of the mail server is reached.",
        "Wait until the limit is reset, or ask the provider for a higher one.",
    ),
    Cause.POLICY: (
        "The mail server refuses emails from this installation.",
        "Its answer says why. Contact the administrator of that server.",
    ),
    Cause.BUSY: (
        "The mail server does not accept emails at the moment.",
        "This often passes without help. If it does not, contact the administrator of that server.",
    ),
}  # fmt: skip

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
