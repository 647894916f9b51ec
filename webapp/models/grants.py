"""Grants: a person has an app."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, id_column
from .requests import ValuesMixin

# The states of a grant whose person has the app.
LIVE_GRANT = ("provisioning", "active")
LIVE = text("state IN ('provisioning', 'active')")
REMOVED = text("state = 'removed'")


class Grant(ValuesMixin, Base):
    __tablename__ = "grants"
    __table_args__ = (
        CheckConstraint("state IN ('provisioning', 'active', 'removed', 'failed')", name="state"),
        Index("uq_grants_one_live", "person_id", "app_id", unique=True, sqlite_where=LIVE, postgresql_where=LIVE),
        Index("ix_grants_app", "app_id", "state"),
        Index("ix_grants_person", "person_id", "id"),
        Index("ix_grants_request", "request_id"),
        Index("ix_grants_removed", "person_id", "removed_at", sqlite_where=REMOVED, postgresql_where=REMOVED),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    app_id: Mapped[int] = mapped_column(Id, ForeignKey("apps.id"))
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    request_id: Mapped[int | None] = mapped_column(Id, ForeignKey("requests.id"))
    state: Mapped[str] = mapped_column(String(12), default="active")
    created_at: Mapped[datetime]
    # Who granted access without a request, and why. Without them it was requested, or added by the person.
    given_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    given_reason: Mapped[str] = mapped_column(String(500), default="", server_default=text("''"))
    ends_at: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]
    removed_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    removed_reason: Mapped[str] = mapped_column(String(500), default="")
