"""Directories that push people and groups to us (SCIM), what each keeps, and what came last."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, NameText, id_column

LIVE = "removed_at IS NULL"


class Directory(Base):
    """A connection, such as Entra ID or Okta. Its tokens are those with its id: models/tokens.py."""

    __tablename__ = "directories"

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    name: Mapped[str] = mapped_column(NameText(80))
    # Whether new people get an email with a link to set a password.
    invites: Mapped[bool] = mapped_column(default=False)
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    created_at: Mapped[datetime]
    # Its calls are refused while it is paused.
    paused_at: Mapped[datetime | None]
    # People and groups stay, and are changed by hand from then on.
    removed_at: Mapped[datetime | None]


class DirectoryEntry(Base):
    """A person or a group that a directory keeps: what it calls them, and what it sent beside what our tables hold."""

    __tablename__ = "directory_entries"
    __table_args__ = (
        CheckConstraint("(person_id IS NULL) != (group_id IS NULL)", name="one_thing"),
        Index(
            "ix_directory_entries_user_name", "directory_id", "user_name", unique=True,
            sqlite_where=text(LIVE), postgresql_where=text(LIVE),
        ),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    directory_id: Mapped[int] = mapped_column(Id, ForeignKey("directories.id"), index=True)
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"), unique=True)
    group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"), unique=True)
    # Of a person, folded; None for a group.
    user_name: Mapped[str | None] = mapped_column(String(254))
    external_id: Mapped[str] = mapped_column(String(254), default="")
    # JSON of the resource as it was sent, without members.
    document: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    changed_at: Mapped[datetime]
    # When the directory deleted it; the same person or group may come back.
    removed_at: Mapped[datetime | None]


class DirectoryPush(Base):
    """A call of a directory that changed something, or was refused; kept for 30 days."""

    __tablename__ = "directory_pushes"
    __table_args__ = (
        CheckConstraint("outcome IN ('done', 'nothing', 'refused')", name="outcome"),
        Index("ix_directory_pushes_directory", "directory_id", "id"),
        Index("ix_directory_pushes_at", "at"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    directory_id: Mapped[int] = mapped_column(Id, ForeignKey("directories.id"))
    at: Mapped[datetime]
    # "POST Users": what was called.
    call: Mapped[str] = mapped_column(String(20))
    # What the directory calls it, for what we have no row of.
    name: Mapped[str] = mapped_column(NameText(120))
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    outcome: Mapped[str] = mapped_column(String(7))
    # JSON: [[what, before, after], …].
    changes: Mapped[str] = mapped_column(default="[]")
    # Why it was refused.
    sentence: Mapped[str] = mapped_column(default="")
