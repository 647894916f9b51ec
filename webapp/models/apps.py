"""Apps, who may see them, their fields, their rules and their icons."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.bidi import named
from webapp.text import hue, public_id, search_text, sort_key
from webapp.workflow.policy import Approver, Policy
from webapp.workflow.policy_codec import loads

from .base import PUBLIC_ID, Base, Id, NameText, Sorted, id_column


class App(Base):
    __tablename__ = "apps"
    __table_args__ = (
        Index("ix_apps_list", "sort_key", "id"),
        # Holds all that counting a catalog's categories looks at.
        Index("ix_apps_categories", "category", "requestable", "archived_at", "for_everyone", "id"),
        Index("uq_apps_name_in_use", "sort_key", unique=True,
              sqlite_where=text("archived_at IS NULL"), postgresql_where=text("archived_at IS NULL")),
        CheckConstraint("owner_person_id IS NULL OR owner_group_id IS NULL", name="one_owner"),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    name: Mapped[str] = mapped_column(NameText(80))
    sort_key: Mapped[str] = mapped_column(Sorted)
    search_text: Mapped[str] = mapped_column(Sorted)
    description: Mapped[str] = mapped_column(String(500), default="")
    category: Mapped[str] = mapped_column(String(60), default="")
    icon: Mapped[str] = mapped_column(String(40), default="")  # a name in the sprite
    icon_id: Mapped[int | None] = mapped_column(Id, ForeignKey("icons.id"))  # or an uploaded picture,
    icon_hash: Mapped[str] = mapped_column(String(64), default="", server_default="")  # and its SHA-256
    launch_url: Mapped[str] = mapped_column(String(500), default="")
    note: Mapped[str] = mapped_column(String(500), default="")
    requestable: Mapped[bool] = mapped_column(default=False)
    for_everyone: Mapped[bool] = mapped_column(default=True)
    owner_person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"), index=True)
    owner_group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"), index=True)
    # Who turned Requestable on, and who chose the audience in a way that let themselves in.
    requestable_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    audience_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    # The rule in force. No foreign key: revisions point here, and SQLite cannot add one later.
    policy_revision_id: Mapped[int | None] = mapped_column(Id)
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]

    def describe(self, *, name: str, description: str, category: str) -> None:
        """Sets the three texts that are searched, and what is derived from them."""
        self.name, self.description, self.category = named(name), description, category
        self.sort_key = sort_key(name)
        self.search_text = search_text(name, description, category)

    @property
    def owner(self) -> Approver | None:
        return Approver.if_any(self.owner_person_id, self.owner_group_id)

    @property
    def hue(self) -> int:
        return hue(self.public_id)

    @property
    def icon_url(self) -> str:
        """Where the uploaded picture is served, or ""."""
        return icon_url(self.public_id, self.icon_hash)


def icon_url(public_id: str, icon_hash: str) -> str:
    """The address of an uploaded picture: another one for each picture, so that it may be kept for ever."""
    return f"/apps/{public_id}/icon?v={icon_hash[:16]}" if icon_hash else ""


class Audience(Base):
    """A group that sees an app which is not for everyone."""

    __tablename__ = "audiences"

    app_id: Mapped[int] = mapped_column(Id, ForeignKey("apps.id"), primary_key=True)
    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id"), primary_key=True, index=True)


class EntitlementField(Base):
    """A typed field of an app as it is edited; requests use the copy frozen in their policy revision."""

    __tablename__ = "entitlements"
    __table_args__ = (Index("ix_entitlements_app", "app_id", "position"),)

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    app_id: Mapped[int] = mapped_column(Id, ForeignKey("apps.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(NameText(80))
    kind: Mapped[str] = mapped_column(String(7))
    options: Mapped[str] = mapped_column(default="[]")  # JSON list of str
    required: Mapped[bool] = mapped_column(default=False)
    default: Mapped[str | None]  # JSON value
    help: Mapped[str] = mapped_column(String(200), default="")
    requester: Mapped[str] = mapped_column(String(6), default="hidden")
    archived_at: Mapped[datetime | None]


class PolicyRevision(Base):
    """One saved rule of an app; never changed."""

    __tablename__ = "policy_revisions"
    __table_args__ = (UniqueConstraint("app_id", "number"),)

    id: Mapped[int] = id_column()
    app_id: Mapped[int] = mapped_column(Id, ForeignKey("apps.id"))
    number: Mapped[int]
    schema: Mapped[int]
    body: Mapped[str]
    hash: Mapped[str] = mapped_column(String(64))
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    created_at: Mapped[datetime]

    def snapshot(self) -> Policy:
        return loads(self.body)


class Icon(Base):
    """An uploaded picture; apps with the same one share it."""

    __tablename__ = "icons"

    id: Mapped[int] = id_column()
    content_type: Mapped[str] = mapped_column(String(40))
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)
