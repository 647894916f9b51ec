"""Access requests with their steps, invitations, decisions and comments."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from webapp.text import public_id, reference
from webapp.workflow.entitlements import SetValue, from_json, to_json
from webapp.workflow.policy import Approver
from webapp.workflow.states import RequestState, StepState

from .base import PUBLIC_ID, Base, Id, id_column

STATES = "state IN ('pending', 'approved', 'denied', 'expired', 'cancelled')"
STEP_STATES = "state IN ('waiting', 'open', 'approved', 'denied', 'expired', 'skipped')"


class ValuesMixin:
    """Entitlement values as JSON text, with who set each."""

    values_json: Mapped[str] = mapped_column(default="{}")

    @property
    def values(self) -> dict[str, SetValue]:
        return load_values(self.values_json)

    @values.setter
    def values(self, values: dict[str, SetValue]) -> None:
        self.values_json = dump_values(values)


def load_values(text: str) -> dict[str, SetValue]:
    """{entitlement id: value with its author} from its stored text."""
    return from_json(json.loads(text))


def dump_values(values: dict[str, SetValue]) -> str:
    return json.dumps(to_json(values), sort_keys=True, ensure_ascii=False)


class AccessRequest(ValuesMixin, Base):
    __tablename__ = "requests"
    __table_args__ = (
        CheckConstraint(STATES, name="state"),
        Index("uq_requests_one_pending", "app_id", "for_person_id", unique=True,
              sqlite_where=text("state = 'pending'"), postgresql_where=text("state = 'pending'")),
        Index("ix_requests_for_person", "for_person_id", "id"),
        Index("ix_requests_asked_by", "asked_by_id"),
        # The lists of all requests are in the order of (created_at, id), whatever else they are filtered by.
        Index("ix_requests_created", "created_at", "id"),
        Index("ix_requests_state", "state", "created_at", "id"),
        Index("ix_requests_app", "app_id", "created_at", "id"),
        Index("ix_requests_app_state", "app_id", "state", "created_at", "id"),
        # By month and word of messages; words_vector() comes with the migration.
        Index("ix_requests_words", text("words_vector(words, created_at)"), postgresql_using="gin")
        .ddl_if(dialect="postgresql"),
        # Holds all that the overview looks at, so that it reads no rows.
        Index("ix_requests_settled", "settled_at", "state", "app_id", "created_at",
              sqlite_where=text("settled_at IS NOT NULL"), postgresql_where=text("settled_at IS NOT NULL")),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    app_id: Mapped[int] = mapped_column(Id, ForeignKey("apps.id"))
    asked_by_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    for_person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    policy_revision_id: Mapped[int] = mapped_column(Id, ForeignKey("policy_revisions.id"))
    message: Mapped[str] = mapped_column(default="")
    # What the message is found by: text.word_list().
    words: Mapped[str] = mapped_column(default="", server_default=text("''"))
    state: Mapped[str] = mapped_column(String(9), default=RequestState.PENDING.value)
    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]
    settled_at: Mapped[datetime | None]
    settled_by_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    # Why it ended, where no decision says it: a cancellation's reason, "The person was deactivated".
    settled_note: Mapped[str] = mapped_column(String(500), default="")
    reminded_at: Mapped[datetime | None] = mapped_column("asked_again_at")

    @property
    def requesters(self) -> frozenset[int]:
        """Who made the request, and who gets the app: neither of them decides it or changes it as an admin."""
        return frozenset({self.asked_by_id, self.for_person_id})

    @property
    def reference(self) -> str:
        return reference(self.public_id)


class Step(Base):
    __tablename__ = "steps"
    __table_args__ = (
        CheckConstraint(STEP_STATES, name="state"),
        CheckConstraint("(approver_person_id IS NULL) <> (approver_group_id IS NULL)", name="one_approver"),
        Index("ix_steps_request", "request_id", "position"),
        # When a step was opened, for the overview, which reads no rows.
        Index("ix_steps_opened", "id", "opened_at", "request_id"),
        Index("ix_steps_due", "due_at", sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
        Index("ix_steps_open_person", "approver_person_id",
              sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
        Index("ix_steps_open_group", "approver_group_id",
              sqlite_where=text("state = 'open'"), postgresql_where=text("state = 'open'")),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    request_id: Mapped[int] = mapped_column(Id, ForeignKey("requests.id"))
    position: Mapped[int]
    needed: Mapped[int] = mapped_column(default=1)
    state: Mapped[str] = mapped_column(String(8), default=StepState.WAITING.value)
    approver_person_id: Mapped[int | None] = mapped_column(Id, ForeignKey("people.id"))
    approver_group_id: Mapped[int | None] = mapped_column(Id, ForeignKey("groups.id"))
    days: Mapped[int]
    # Who stands in: approver (nobody has to), owner, admins or nobody.
    tier: Mapped[str] = mapped_column(String(8), default="approver")
    opened_at: Mapped[datetime | None]
    due_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]

    @property
    def approver(self) -> Approver:
        return Approver(self.approver_person_id, self.approver_group_id)


class Invitation(Base):
    """One person asked to decide one step; the thing an approval link stands for."""

    __tablename__ = "invitations"
    __table_args__ = (
        UniqueConstraint("step_id", "person_id"),
        # `live`: may decide, as far as we know; the decision checks again.
        Index("ix_invitations_live", "person_id", sqlite_where=text("live"), postgresql_where=text("live")),
        Index("ix_invitations_person", "person_id", "id"),
        # An approver's requests in the order of the lists, and whether somebody was asked about a request.
        Index("ix_invitations_asked", "person_id", "requested_at", "request_id"),
        Index("ix_invitations_asked_app", "person_id", "app_id", "requested_at", "request_id"),
        Index("ix_invitations_request", "request_id", "person_id"),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    public_id: Mapped[str] = mapped_column(PUBLIC_ID, unique=True, default=public_id)
    step_id: Mapped[int] = mapped_column(Id, ForeignKey("steps.id"))
    # The step's request, when that was asked for and which app: none ever changes, so that they can be repeated here.
    request_id: Mapped[int | None] = mapped_column(Id, ForeignKey("requests.id"))
    app_id: Mapped[int | None] = mapped_column(Id, ForeignKey("apps.id"))
    requested_at: Mapped[datetime | None]
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    round: Mapped[int] = mapped_column(default=1)
    # A link of an earlier round went to an address that the person no longer has: it shows nothing.
    shows_from: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    key_id: Mapped[str] = mapped_column(String(8))
    live: Mapped[bool] = mapped_column(default=True)
    wrong_codes: Mapped[int] = mapped_column(default=0)
    # New codes emailed on `codes_day` (UTC date, ISO): at most three a day.
    codes_day: Mapped[str] = mapped_column(String(10), default="")
    codes_mailed: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]


class Decision(Base):
    __tablename__ = "decisions"
    __table_args__ = (
        UniqueConstraint("step_id", "person_id"),
        CheckConstraint("verdict IN ('approved', 'denied')", name="verdict"),
        CheckConstraint("channel IN ('browser', 'code', 'api', 'admin')", name="channel"),
        Index("ix_decisions_person", "person_id", "id"),
        Index("ix_decisions_created", "created_at", "channel", "person_id", "step_id"),
    )  # fmt: skip

    id: Mapped[int] = id_column()
    step_id: Mapped[int] = mapped_column(Id, ForeignKey("steps.id"))
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    verdict: Mapped[str] = mapped_column(String(8))
    channel: Mapped[str] = mapped_column(String(7))
    comment: Mapped[str] = mapped_column(default="")
    # The values this person set or changed, as text for the story: {name: value}.
    set_json: Mapped[str] = mapped_column(default="{}")
    created_at: Mapped[datetime]

    @property
    def set_values(self) -> dict[str, Any]:
        return dict(json.loads(self.set_json))


class Comment(Base):
    """What somebody wrote on a request beside deciding it."""

    __tablename__ = "comments"
    __table_args__ = (Index("ix_comments_request", "request_id", "id"),)

    id: Mapped[int] = id_column()
    request_id: Mapped[int] = mapped_column(Id, ForeignKey("requests.id"))
    person_id: Mapped[int] = mapped_column(Id, ForeignKey("people.id"))
    body: Mapped[str]
    created_at: Mapped[datetime]
