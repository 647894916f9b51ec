"""The outbox of emails: one row is one email to one recipient."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, id_column
from .lease import Leased


class Notice(Leased, Base):
    __tablename__ = "notices"
    __table_args__ = (
        CheckConstraint("state IN ('due', 'leased', 'sent', 'dead', 'obsolete', 'held')", name="state"),
        CheckConstraint("(person_id IS NULL) <> (address IS NULL)", name="one_recipient"),
        Index("ix_notices_due", "due_at", "id",
              sqlite_where=text("state = 'due'"), postgresql_where=text("state = 'due'")),
        Index("ix_notices_leased", "lease_until",
              sqlite_where=text("state = 'leased'"), postgresql_where=text("state = 'leased'")),
        Index("ix_notices_request", "request_id", "id"),
        Index("ix_notices_kind", "kind", "id"),
        Index("ix_notices_created", "created_at"),
        Index("ix_notices_dead", "settled_at",
              sqlite_where=text("state = 'dead'"), postgresql_where=text("state = 'dead'")),
        Index("ix_notices_held", "id", sqlite_where=text("state = 'held'"), postgresql_where=text("state = 'held'")),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    kind: Mapped[str] = mapped_column(String(24))
    # Why this recipient gets it: requester, approver or other.
    role: Mapped[str] = mapped_column(String(9), default="requester")
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    address: Mapped[str | None] = mapped_column(String(254))
    request_id: Mapped[int | None] = mapped_column(Id, ForeignKey("requests.id"))
    step_id: Mapped[int | None] = mapped_column(Id, ForeignKey("steps.id"))
    invitation_id: Mapped[int | None] = mapped_column(Id, ForeignKey("invitations.id"))
    round: Mapped[int] = mapped_column(default=0)
    grant_id: Mapped[int | None] = mapped_column(Id, ForeignKey("grants.id"))
    data_json: Mapped[str] = mapped_column(default="{}")
    created_at: Mapped[datetime]
    # What the mail server answered when it accepted the email: often its own number for it.
    answer: Mapped[str] = mapped_column(default="")
    # The id of the web request that it comes from, for the logs; "" for what a worker or a command caused.
    cause: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))

    @property
    def data(self) -> dict[str, Any]:
        return dict(json.loads(self.data_json))


class MailAttempt(Base):
    """A failed attempt to send a notice, and the server's answer. That of the successful attempt is in the notice."""

    __tablename__ = "mail_attempts"
    __table_args__ = (Index("ix_mail_attempts_notice", "notice_id", "id"),)

    id: Mapped[int] = id_column()
    notice_id: Mapped[int] = mapped_column(Id, ForeignKey("notices.id"))
    at: Mapped[datetime]
    answer: Mapped[str]


class Cause(StrEnum):
    """Why the mail server takes no email: what an admin has to look at."""

    UNREACHABLE = "unreachable"
    ENCRYPTION = "encryption"
    SIGN_IN = "sign-in"
    SENDER = "sender"
    RELAY = "relay"
    LIMIT = "limit"
    POLICY = "policy"
    BUSY = "busy"


class MailStop(Base):
    """The one row that exists while the mail server takes nothing; `failures` counts the attempts since."""

    __tablename__ = "mail_stops"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = id_column()
    since: Mapped[datetime]
    cause: Mapped[str] = mapped_column(String(12))
    answer: Mapped[str]
    failures: Mapped[int]
    next_try_at: Mapped[datetime]
