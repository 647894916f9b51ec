"""Endpoints that are told what happened, and the outbox of what goes to them: one row is one message."""

import json
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id

from .base import PUBLIC_ID, Base, Id, NameText, id_column
from .lease import Leased

# What those behind it wait for.
UNSETTLED = "state IN ('due', 'leased', 'held')"


class Endpoint(Base):
    """A receiver: a webhook, or a channel of Slack or Microsoft Teams.

    A channel is for a person, a group or an app; for all admins if it is for none of them.
    """

    __tablename__ = "endpoints"
    __table_args__ = (
        CheckConstraint("kind IN ('webhook', 'slack', 'teams')", name="kind"),
        CheckConstraint(
            "(person_id IS NULL OR group_id IS NULL) AND (person_id IS NULL OR app_id IS NULL)"
            " AND (group_id IS NULL OR app_id IS NULL)",
            name="for_one",
        ),
    )

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    kind: Mapped[str] = mapped_column(String(7))
    name: Mapped[str] = mapped_column(NameText(80))
    # The whole address, encrypted: webapp/encryption.py. Who knows that of a chat channel can write there.
    address: Mapped[str]
    host: Mapped[str] = mapped_column(String(260))
    # Names of events (of a channel: topics) parted by spaces; "" for all.
    event_list: Mapped[str] = mapped_column("events", default="")
    # Only what is about these apps (JSON list of keys), or about apps of this category.
    app_ids_json: Mapped[str] = mapped_column("app_ids", default="[]")
    category: Mapped[str] = mapped_column(String(60), default="")
    # Whether it gets what people wrote: messages, comments and reasons. Else only how long they are.
    with_texts: Mapped[bool] = mapped_column(default=False)
    person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    app_id: Mapped[int | None] = mapped_column(Id, ForeignKey("apps.id"))
    created_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    created_at: Mapped[datetime]
    # While it is paused, what is due waits; "" as the reason means that somebody paused it.
    paused_at: Mapped[datetime | None]
    paused_why: Mapped[str] = mapped_column(String(300), default="")
    # Since when it has taken nothing; None after each success.
    failing_since: Mapped[datetime | None]
    removed_at: Mapped[datetime | None]

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(self.event_list.split())

    @property
    def app_ids(self) -> tuple[int, ...]:
        return tuple(json.loads(self.app_ids_json))

    @property
    def is_chat(self) -> bool:
        return self.kind != "webhook"


class EndpointSecret(Base):
    """A key that signs what goes to a webhook. Two are valid while one replaces the other."""

    __tablename__ = "endpoint_secrets"
    __table_args__ = (Index("ix_endpoint_secrets_endpoint", "endpoint_id", "id"),)

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    endpoint_id: Mapped[int] = mapped_column(Id, ForeignKey("endpoints.id"))
    secret: Mapped[str]  # encrypted
    ending: Mapped[str] = mapped_column(String(4))  # the characters that are shown
    created_at: Mapped[datetime]
    retires_at: Mapped[datetime | None]


class Delivery(Leased, Base):
    """A message to an endpoint: the same bytes in each attempt.

    Of those with the same `ordered_by` (what one person has to do with one app) each waits for the one before it.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        CheckConstraint("state IN ('due', 'leased', 'sent', 'dead', 'obsolete', 'held')", name="state"),
        Index("ix_deliveries_due", "endpoint_id", "due_at", "id",
              sqlite_where=text("state = 'due'"), postgresql_where=text("state = 'due'")),
        Index("ix_deliveries_leased", "lease_until",
              sqlite_where=text("state = 'leased'"), postgresql_where=text("state = 'leased'")),
        Index("ix_deliveries_held", "endpoint_id", "id",
              sqlite_where=text("state = 'held'"), postgresql_where=text("state = 'held'")),
        Index("ix_deliveries_unsettled", "endpoint_id", "ordered_by", "id",
              sqlite_where=text(UNSETTLED), postgresql_where=text(UNSETTLED)),
        Index("ix_deliveries_endpoint", "endpoint_id", "id"),
        Index("ix_deliveries_endpoint_state", "endpoint_id", "state", "id"),
        Index("ix_deliveries_created", "created_at"),
        Index("ix_deliveries_request", "request_id", "id"),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    endpoint_id: Mapped[int] = mapped_column(Id, ForeignKey("endpoints.id"))
    event: Mapped[str] = mapped_column(String(40))
    # The entry of the audit log that it tells of; None for a test.
    event_seq: Mapped[int | None] = mapped_column(Id)
    ordered_by: Mapped[str | None] = mapped_column(String(44))
    # What it is about. Without foreign keys, as in the audit log: rows are added while its head is locked, and must not
    # wait there for whoever holds the app or the person.
    request_id: Mapped[int | None] = mapped_column(Id)
    step_id: Mapped[int | None] = mapped_column(Id)
    app_id: Mapped[int | None] = mapped_column(Id)
    person_id: Mapped[int | None] = mapped_column(Id)
    body: Mapped[str]
    created_at: Mapped[datetime]
    # The id of the web request that it comes from, for the logs.
    cause: Mapped[str] = mapped_column(String(64), default="")
    # The last answer's status; 0 where there was none.
    status: Mapped[int] = mapped_column(default=0)

    @property
    def message_id(self) -> str:
        return message_id(self.public_id)


class DeliveryTry(Base):
    """An attempt: when, how long it took, and what was answered. `status` 0: no answer, and `error` says why."""

    __tablename__ = "delivery_tries"
    __table_args__ = (Index("ix_delivery_tries_delivery", "delivery_id", "id"),)

    id: Mapped[int] = id_column()
    delivery_id: Mapped[int] = mapped_column(Id, ForeignKey("deliveries.id"))
    at: Mapped[datetime]
    status: Mapped[int]
    ms: Mapped[int]
    error: Mapped[str] = mapped_column(default="")
    # Status line, headers and the beginning of the body, as text.
    answer: Mapped[str] = mapped_column(default="")


def message_id(public_id: str) -> str:
    """The webhook-id: the same in each attempt."""
    return f"msg_{public_id}"
