"""People, their sessions, and groups."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String, false, text, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.bidi import named
from webapp.text import hue, initials, public_id, search_text, sort_key
from webapp.workflow.states import Channel

from .base import PUBLIC_ID, Base, Id, NameText, Sorted, id_column


class Person(Base):
    __tablename__ = "people"
    __table_args__ = (
        Index("ix_people_list", "sort_key", "id"),
        Index("ix_people_manager", "manager_id"),
        Index("ix_people_department", "department"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    email: Mapped[str] = mapped_column(String(254), unique=True)  # in the form of addresses.canonical()
    name: Mapped[str] = mapped_column(NameText(120))
    sort_key: Mapped[str] = mapped_column(Sorted)
    search_text: Mapped[str] = mapped_column(Sorted)
    about: Mapped[str] = mapped_column(String(120), default="")
    # Set by operations/reporting.py, which keeps it free of circles. A manager who is deactivated stays.
    manager_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    department: Mapped[str] = mapped_column(NameText(80), default="", server_default=text("''"))
    password_hash: Mapped[str | None]
    # Raised with each password set, so that an emailed set-password link works once.
    password_round: Mapped[int] = mapped_column(default=0)
    is_admin: Mapped[bool] = mapped_column(default=False)
    active: Mapped[bool] = mapped_column(default=True)
    # May use a password while others may not: for the day on which no provider answers.
    is_emergency_admin: Mapped[bool] = mapped_column(default=False, server_default=false())
    time_zone: Mapped[str | None] = mapped_column(String(64))
    theme: Mapped[str] = mapped_column(String(5), default="")
    created_at: Mapped[datetime]
    deactivated_at: Mapped[datetime | None]
    # The admin who last had a link to set the password emailed, to an address of their choice.
    vouched_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))

    def rename(self, name: str) -> None:
        """Sets the name and what is derived from it; the e-mail must be set already."""
        self.name = named(name)
        self.sort_key = sort_key(name)
        self.search_text = search_text(name, self.email)

    @property
    def channel(self) -> Channel:
        """Where a person acts who is signed in: see workflow/actor.py."""
        return Channel.BROWSER

    @property
    def token(self) -> None:
        return None

    @property
    def responsible_id(self) -> int:
        return self.id

    @property
    def first_name(self) -> str:
        return self.name.split()[0] if self.name else self.email

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def hue(self) -> int:
        return hue(self.public_id)


class PersonSession(Base):
    """A browser that is signed in, or (kind `decisions`) one that is remembered for decisions from links."""

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("kind IN ('sign_in', 'decisions')", name="kind"),
        Index("ix_sessions_person", "person_id", "ended_at"),
        Index("ix_sessions_provider_sid", "provider_id", "provider_sid"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    kind: Mapped[str] = mapped_column(String(9), default="sign_in")
    # How the person signed in: webapp/workflow/states.py.
    method: Mapped[str] = mapped_column(String(16), default="", server_default=text("''"))
    browser: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(45), default="")
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    # When the person last gave their password here, or signed in again at their provider.
    reauthenticated_at: Mapped[datetime | None] = mapped_column("proved_at")
    # Of a session that came from a provider: which one, its own id of the session, the ID token (encrypted, until the
    # session ends), and when the person signed in there, if it said so.
    provider_id: Mapped[int | None] = mapped_column(Id, ForeignKey("providers.id"))
    provider_sid: Mapped[str | None] = mapped_column(String(255))
    id_token: Mapped[str | None]
    authenticated_at: Mapped[datetime | None]

    person: Mapped[Person] = relationship(lazy="raise")


class Group(Base):
    __tablename__ = "groups"
    __table_args__ = (Index("ix_groups_list", "sort_key", "id", unique=True),)

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    name: Mapped[str] = mapped_column(NameText(80))
    sort_key: Mapped[str] = mapped_column(Sorted, unique=True)
    search_text: Mapped[str] = mapped_column(Sorted, server_default=text("''"))
    created_at: Mapped[datetime]
    # Kept for what it decided; it can be chosen for nothing any more, and its name is free again.
    archived_at: Mapped[datetime | None]

    def rename(self, name: str) -> None:
        self.name = named(name)
        self.sort_key = sort_key(name)
        self.search_text = search_text(name)


class Membership(Base):
    __tablename__ = "memberships"

    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), primary_key=True, index=True)
    added_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))


def logo_url(hash: str) -> str:
    """The address of the logo with this hash; "" without one."""
    return f"/logo?v={hash[:16]}" if hash else ""


class Organisation(Base):
    """The one row about the company that runs this installation."""

    __tablename__ = "organisation"
    __table_args__ = (CheckConstraint("id = 1", name="one_row"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(NameText(120))
    time_zone: Mapped[str] = mapped_column(String(64))
    sender: Mapped[str] = mapped_column(String(120), default="", server_default=text("''"))
    # Outcome emails may go to these domains, too; those of active people are always allowed. Lower case, by spaces.
    outcome_domains: Mapped[str] = mapped_column(default="", server_default=text("''"))
    # When a worker last looked whether everyone was asked who can decide.
    asked_checked_at: Mapped[datetime | None]
    # A small square, drawn by pictures.square(); loaded only where it is shown.
    logo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    logo_hash: Mapped[str] = mapped_column(String(64), default="", server_default=text("''"))
    # An admin does not want to be led through the first steps any more.
    first_steps_hidden_at: Mapped[datetime | None]
    # Whether people may make API tokens (those of services are made by admins), for how many days at most, and whether
    # a token may decide where the app's rule asks for a session.
    tokens_allowed: Mapped[bool] = mapped_column(default=True, server_default=true())
    token_days: Mapped[int] = mapped_column(default=90, server_default=text("90"))
    tokens_decide_signed_in: Mapped[bool] = mapped_column(default=False, server_default=false())
    # Whether everybody may sign in with a password, or emergency admins only.
    passwords_for_all: Mapped[bool] = mapped_column(default=True, server_default=true())

    # Whether admins who sign in here need a second step before they see anything of the admin side.
    second_step_for_admins: Mapped[bool] = mapped_column(default=False, server_default=false())

    @property
    def logo_url(self) -> str:
        return logo_url(self.logo_hash)


class Heartbeat(Base):
    """A worker that runs: written every few seconds, on the database's clock."""

    __tablename__ = "heartbeats"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    at: Mapped[datetime]
