"""One email of the log: its recipient, its attempts, and what it says."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import case, exists, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import MailAttempt, Notice, Person
from webapp.notices import NoticeKind
from webapp.queries import mail_context, outbox_lines
from webapp.queries.mail_context import MailContext
from webapp.queries.outbox_lines import EmailLine

# In place of link and code: an admin may read an email, but neither decide nor sign in with it.
HIDDEN = ("hidden", "••••••")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed attempt; `answer` is the server's, or what went wrong."""

    at: datetime
    answer: str


@dataclass(frozen=True, slots=True)
class LoggedEmail:
    """An email of the log; its `facts` have no valid link and no code."""

    line: EmailLine
    notice: Notice
    attempts: Sequence[Attempt]
    facts: MailContext


def load(public_id: str) -> LoggedEmail | None:
    """Loads it in the same number of statements for any email; None when there is no such email."""
    found = outbox_lines.one(public_id)
    if found is None:
        return None
    facts = replace(mail_context.load([found.id])[found.id], stand_in=HIDDEN)
    rows = db.session.execute(
        select(MailAttempt.at, MailAttempt.answer).where(MailAttempt.notice_id == found.id).order_by(MailAttempt.id)
    )
    return LoggedEmail(found, facts.notice, [Attempt(*row) for row in rows], facts)


def failed_invitation() -> Any:
    """A column of people without a password: the public id of their invitation email that failed, unless a later one
    was sent or queued."""
    failed, later = aliased(Notice), aliased(Notice)
    return case(
        (
            Person.password_hash.is_(None),
            select(failed.public_id)
            .where(
                failed.state == "dead",
                failed.kind == NoticeKind.INVITATION,
                failed.person_id == Person.id,
                ~exists(later.id).where(
                    later.kind == NoticeKind.INVITATION, later.person_id == failed.person_id, later.id > failed.id
                ),
            )
            .correlate(Person)
            .scalar_subquery(),
        )
    )
