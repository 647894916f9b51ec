"""The second factor of people who sign in with a password: authenticator apps, passkeys and recovery codes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, NameText, id_column


class Authenticator(Base):
    """The app that makes a person's 6-digit codes (TOTP, RFC 6238)."""

    __tablename__ = "authenticators"

    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"), primary_key=True, autoincrement=False)
    # Encrypted: webapp/encryption.py.
    secret: Mapped[str]
    # The last step of 30 seconds whose code was used, so that no code works twice.
    last_step: Mapped[int] = mapped_column(Id)
    confirmed_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class RecoveryCode(Base):
    """A code that works once in place of a second factor. What is stored of it: webapp/operations/factors.py."""

    __tablename__ = "recovery_codes"
    __table_args__ = (Index("ix_recovery_codes_person", "person_id", "id"),)

    id: Mapped[int] = id_column()
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    hash: Mapped[str] = mapped_column(String(80))
    created_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class Passkey(Base):
    """A key on a device of the person, or kept by their system: it stands for password and second step at once."""

    __tablename__ = "passkeys"
    __table_args__ = (Index("ix_passkeys_person", "person_id", "id"),)

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    name: Mapped[str] = mapped_column(NameText(80))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    # A COSE key, in CBOR.
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    # How often it has signed, if it counts: a copy of it would fall behind.
    sign_count: Mapped[int] = mapped_column(Id)
    transports: Mapped[str] = mapped_column(String(60))
    backed_up: Mapped[bool]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class SignInState(Base):
    """What a browser is in the middle of: it gave the password and has to give the second factor. It is no session:
    nothing but the step that it was made for takes it, and each of them deletes it."""

    __tablename__ = "sign_in_states"
    __table_args__ = (
        CheckConstraint("kind IN ('factor', 'passkey', 'new_passkey', 'confirm')", name="kind"),
        Index("ix_sign_in_states_expires", "expires_at"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(String(32), unique=True)
    kind: Mapped[str] = mapped_column(String(11))
    # None while nobody is known yet: of a passkey that signs in.
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    # The person's password when it was given: a new one ends this.
    password_round: Mapped[int] = mapped_column(default=0)
    remember: Mapped[bool] = mapped_column(default=False)
    # What a passkey has to sign; "" where none was asked for.
    challenge: Mapped[str] = mapped_column(String(64), default="")
    tries: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
