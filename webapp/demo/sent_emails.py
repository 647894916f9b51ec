"""The emails of the story's last days, as their readers got them: what the Mailbox of the demo begins with."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select

from webapp.delivery import mail
from webapp.embedded import mailstore
from webapp.extensions import db
from webapp.models import Notice
from webapp.queries import mail_context
from webapp.queries.mail_context import MailContext

# Each costs some milliseconds of the first start.
DAYS = timedelta(days=21)


class SentEmails:
    """Rendered right after what causes them: later, they would tell what came later."""

    def __init__(self, since: datetime, opened: Mapping[int, datetime]) -> None:
        self._since = since
        self._opened = opened
        self._seen = 0
        self._kept: list[tuple[datetime, mail.Mail]] = []

    def before(self, at: datetime) -> None:
        """The next act is at this instant."""
        if at >= self._since and not self._seen:
            self._seen = db.session.scalar(select(func.max(Notice.id))) or 0

    def after(self, at: datetime) -> None:
        """The act is done; its emails are written."""
        if at < self._since:
            return
        ids = list(db.session.scalars(select(Notice.id).where(Notice.id > self._seen).order_by(Notice.id)))
        if not ids:
            return
        found = mail_context.load(ids)
        for id in ids:
            facts = found[id]
            self._set_deadlines(facts)
            self._kept.append((facts.notice.created_at, mail.render(facts)))
        self._seen = ids[-1]

    def _set_deadlines(self, facts: MailContext) -> None:
        """The operations opened every step now, by the database's clock; in the story it was then."""
        for step in facts.steps:
            opened = self._opened.get(step.id)
            if opened is not None and facts.policy is not None:
                step.due_at = opened + timedelta(days=facts.policy.days_for(step.position))
                step.overdue = False

    def deliver(self, folder: Path) -> int:
        """Puts them into the Mailbox. Returns how many."""
        for at, message in self._kept:
            mailstore.store(
                folder,
                sender=str(message.sender),
                recipients=[str(one) for one in message.recipients],
                content=message.as_bytes(),
                at=at,
            )
        return len(self._kept)
