"""The append-only audit record and its head."""

from datetime import datetime

from sqlalchemy import CheckConstraint, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Id

VERIFIED = "kind = 'audit.verified'"
BY_TOKEN = "token_id IS NOT NULL"  # nosec


class Event(Base):
    """One entry: canonical JSON text, and an HMAC over it and the HMAC of the entry before. Triggers refuse any change.

    The columns beside `body` repeat values of it for searching; the body is what is verified. There are no foreign
    keys: entries stay when what they are about is deleted.
    """

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_request", "request_id", "seq"),
        Index("ix_events_app", "app_id", "seq"),
        Index("ix_events_person", "person_id", "seq"),
        Index("ix_events_actor", "actor_id", "seq"),
        Index("ix_events_token", "token_id", "seq", sqlite_where=text(BY_TOKEN), postgresql_where=text(BY_TOKEN)),
        Index("ix_events_at", "at"),
        # Few entries: the checks of the record.
        Index("ix_events_verified", "seq", sqlite_where=text(VERIFIED), postgresql_where=text(VERIFIED)),
    )

    seq: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(40))
    actor_id: Mapped[int | None] = mapped_column(Id)
    request_id: Mapped[int | None] = mapped_column(Id)
    app_id: Mapped[int | None] = mapped_column(Id)
    person_id: Mapped[int | None] = mapped_column(Id)
    # The token by which it was done; None in a browser, and for Countersign itself.
    token_id: Mapped[int | None] = mapped_column(Id)
    body: Mapped[str]
    key_id: Mapped[str] = mapped_column(String(8))
    mac: Mapped[str] = mapped_column(String(64))


class EventHead(Base):
    """The last entry's number and HMAC; its row lock keeps the chain from forking."""

    __tablename__ = "event_head"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    seq: Mapped[int] = mapped_column(Id)
    mac: Mapped[str] = mapped_column(String(64))
