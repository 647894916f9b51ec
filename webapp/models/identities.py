"""Providers of single sign-on, and who a person is there."""

from datetime import date, datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, NameText, id_column


class Provider(Base):
    """An OpenID Connect provider: a button on the sign-in page."""

    __tablename__ = "providers"

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    name: Mapped[str] = mapped_column(NameText(60), unique=True)
    # People are found by issuer and subject, so there is one provider for each issuer.
    issuer: Mapped[str] = mapped_column(String(500), unique=True)
    client_id: Mapped[str] = mapped_column(String(255))
    client_secret: Mapped[str] = mapped_column(default="")  # encrypted: webapp/encryption.py; "" for none
    secret_ending: Mapped[str] = mapped_column(String(4), default="")  # the characters that are shown
    secret_ends_on: Mapped[date | None]
    scopes: Mapped[str] = mapped_column(String(300), default="openid profile email")
    # What a fresh sign-in asks the provider for; "" for nothing.
    acr_values: Mapped[str] = mapped_column(String(300), default="")
    # Whether it has a button. While it is off nobody signs in through it.
    in_use: Mapped[bool] = mapped_column(default=False)
    # People whom nobody knows here: whether they get an account, and the group that they join.
    creates_people: Mapped[bool] = mapped_column(default=False)
    default_group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    # People who are here already: whether they are linked by their address, which the provider has verified.
    links_by_email: Mapped[bool] = mapped_column(default=True)
    # The first sign-in takes addresses of these domains only; "" for all. Lower case, parted by spaces.
    domains: Mapped[str] = mapped_column(default="")
    # The claim that lists a person's groups; "" for none.
    groups_claim: Mapped[str] = mapped_column(String(80), default="")
    place: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class ProviderGroup(Base):
    """Whoever has this value in the claim of groups is a member of this group, and nobody else of the provider's."""

    __tablename__ = "provider_groups"
    __table_args__ = (UniqueConstraint("provider_id", "value"),)

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    provider_id: Mapped[int] = mapped_column(Id, ForeignKey("providers.id"))
    value: Mapped[str] = mapped_column(String(200))
    group_id: Mapped[int] = mapped_column(Id, ForeignKey("groups.id"))


class Identity(Base):
    """Who a person is at a provider: the subject, which never changes there."""

    __tablename__ = "identities"
    __table_args__ = (
        UniqueConstraint("provider_id", "subject"),
        UniqueConstraint("provider_id", "person_id"),
        Index("ix_identities_person", "person_id"),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    provider_id: Mapped[int] = mapped_column(Id, ForeignKey("providers.id"))
    subject: Mapped[str] = mapped_column(String(255))
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    linked_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
