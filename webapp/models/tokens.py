"""API tokens, terminals that ask for one, and the answers that are kept for repeated calls."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id
from webapp.workflow.scopes import Scope, parse_scopes

from .base import PUBLIC_ID, Base, Id, NameText, id_column


class ApiToken(Base):
    """Lets a program act: for its person, or (kind `service`) for the installation."""

    __tablename__ = "api_tokens"
    __table_args__ = (
        CheckConstraint("kind IN ('person', 'service')", name="kind"),
        CheckConstraint("(kind = 'person') = (person_id IS NOT NULL)", name="person"),
        Index("ix_api_tokens_person", "person_id", "id"),
        Index("ix_api_tokens_created_by", "created_by_id"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    kind: Mapped[str] = mapped_column(String(7))
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    # Of a service: the directory whose pushes it is for, and nothing else.
    directory_id: Mapped[int | None] = mapped_column(Id, ForeignKey("directories.id"))
    name: Mapped[str] = mapped_column(NameText(80))
    # What is shown of the token, and the SHA-256 that it is found by: webapp/tokens.py.
    beginning: Mapped[str] = mapped_column(String(16))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    scope_list: Mapped[str] = mapped_column("scopes")
    # Networks that it may be used from, parted by spaces; "" for any.
    networks: Mapped[str] = mapped_column(default="")
    # Who made it; None: the command line.
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    last_used_address: Mapped[str] = mapped_column(String(45), default="")
    revoked_at: Mapped[datetime | None]
    revoked_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))

    @property
    def scopes(self) -> frozenset[Scope]:
        return parse_scopes(self.scope_list)

    @property
    def is_service(self) -> bool:
        return self.kind == "service"


class DeviceCode(Base):
    """A terminal that waits until its person allows it a token (RFC 8628). What the person allowed is stored; the token
    is made when the terminal fetches it, so that no secret waits here."""

    __tablename__ = "device_codes"
    __table_args__ = (
        CheckConstraint("state IN ('waiting', 'approved', 'denied', 'used')", name="state"),
        CheckConstraint("(state = 'waiting') = (person_id IS NULL)", name="person"),
        Index("ix_device_codes_expires", "expires_at"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    # SHA-256 of the secret that the terminal holds; nothing can be guessed of 32 random bytes.
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    # What the person reads in the terminal. Of no use without being signed in.
    user_code: Mapped[str] = mapped_column(String(8), unique=True)
    # The terminal's own words for itself, and where it called from.
    name: Mapped[str] = mapped_column(NameText(80))
    address: Mapped[str] = mapped_column(String(45))
    # What it asked for; once approved, what was allowed.
    scope_list: Mapped[str] = mapped_column("scopes")
    days: Mapped[int]
    state: Mapped[str] = mapped_column(String(8), default="waiting")
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]

    @property
    def scopes(self) -> frozenset[Scope]:
        return parse_scopes(self.scope_list)

    @property
    def shown_code(self) -> str:
        """The code as the terminal shows it: WDJB-MJHT."""
        return f"{self.user_code[:4]}-{self.user_code[4:]}"


class ApiReplay(Base):
    """The answer to a call with an Idempotency-Key, written with the change: the same call again gets it once more."""

    __tablename__ = "api_replays"
    __table_args__ = (Index("ix_api_replays_created", "created_at"),)

    token_id: Mapped[int] = mapped_column(Id, ForeignKey("api_tokens.id"), primary_key=True)
    key: Mapped[str] = mapped_column(String(128), primary_key=True)
    # SHA-256 of method, address and body: the same key with another call is refused.
    fingerprint: Mapped[str] = mapped_column(String(64))
    # 0 until the change is made, which no other transaction sees.
    status: Mapped[int] = mapped_column(default=0)
    # JSON of headers: [[name, value], …].
    headers: Mapped[str] = mapped_column(default="[]")
    body: Mapped[bytes] = mapped_column(LargeBinary, default=b"")
    created_at: Mapped[datetime]
