"""Kinds of notices: the one table of what is particular to each, when each is obsolete, and how one is written.

A kind's value is what the database stores. It is also the name of its folder in templates/email/ and, with
underscores, of the function that renders it: webapp/delivery/mail/kinds.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from webapp.workflow.states import RequestState, StepState

# After so many failed attempts a notice is dead.
TRIES = 8


class NoticeKind(StrEnum):
    APPROVAL_ASKED = "approval-asked"
    REQUEST_APPROVED = "request-approved"
    REQUEST_DENIED = "request-denied"
    REQUEST_EXPIRED = "request-expired"
    REQUEST_CANCELLED = "request-cancelled"
    REQUEST_SETTLED = "request-settled"
    REQUEST_COMMENT = "request-comment"
    CODE_CLOSED = "code-closed"
    ACCESS_TO_CHECK = "access-to-check"
    APP_ADDED = "app-added"
    GRANT_ADDED = "grant-added"
    GRANT_REMOVED = "grant-removed"
    GRANTS_REMOVED = "grants-removed"
    GRANT_RETURNED = "grant-returned"
    INVITATION = "invitation"
    PASSWORD_RESET = "password-reset"  # nosec
    API_TOKEN = "api-token"  # nosec
    SECURITY_CHANGED = "security-changed"
    WEBHOOK_PAUSED = "webhook-paused"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class NoticeStatus:
    """What decides whether a notice is obsolete; None where its kind has no such thing."""

    id: int
    kind: str
    role: str
    round: int
    active: bool | None
    password_round: int | None
    state: str | None
    version: int | None
    step: str | None
    overdue: bool | None
    live: bool | None
    invitation_round: int | None
    was_asked: bool
    sees: bool
    granted: bool


# Why a notice is obsolete, in a sentence; "" when it is not.
Reason = Callable[[NoticeStatus], str]

_CLOSED = {
    RequestState.APPROVED.value: "The request was approved in the meantime.",
    RequestState.DENIED.value: "The request was denied in the meantime.",
    RequestState.EXPIRED.value: "The request expired in the meantime.",
    RequestState.CANCELLED.value: "The request was cancelled in the meantime.",
}
_STEP_DECIDED = "This step was decided in the meantime."
_NOT_AN_APPROVER = "This person is no longer an approver of this request."


def _never_obsolete(status: NoticeStatus) -> str:
    return ""


def _why_invitation_obsolete(status: NoticeStatus) -> str:
    """Of what asks for a decision: the step has to be open, and its link the newest one."""
    if status.state in _CLOSED:
        return _CLOSED[status.state]
    if status.step != StepState.OPEN:
        return _STEP_DECIDED
    if status.overdue:
        return _CLOSED[RequestState.EXPIRED.value]
    if not status.live:
        return "This person is no longer an approver."
    if status.invitation_round != status.round:
        return "Replaced by a newer email with a new link."
    return ""


def _why_comment_obsolete(status: NoticeStatus) -> str:
    """A comment on an open step is for its approvers, who need it only while the step is open."""
    if status.step is not None and status.step != StepState.OPEN:
        return _CLOSED.get(status.state or "", _STEP_DECIDED)
    return _NOT_AN_APPROVER if status.role == "approver" and not status.sees else ""


def _why_outcome_obsolete(status: NoticeStatus) -> str:
    """An approver gets the outcome only of what they were asked about and may still see."""
    if status.role != "approver":
        return ""
    if not status.was_asked:
        return "This person had not received an earlier email about this request."
    return "" if status.sees else _NOT_AN_APPROVER


def _why_approval_obsolete(status: NoticeStatus) -> str:
    return _why_grant_obsolete(status) if status.role == "requester" else _why_outcome_obsolete(status)


def _why_check_obsolete(status: NoticeStatus) -> str:
    return "" if status.sees else "This person is no longer an admin."


def _why_grant_obsolete(status: NoticeStatus) -> str:
    return "" if status.granted else "Access was removed in the meantime."


def _why_password_link_obsolete(status: NoticeStatus) -> str:
    if status.password_round == status.round:
        return ""
    return "The password or the address was changed in the meantime."


@dataclass(frozen=True, slots=True)
class KindOfNotice:
    """What is particular to a kind.

    `title` is its name in the log's filter and `about` its line there, which begins as the subjects do. `roles` says
    why somebody gets it: as requester, approver, or other. `in_history` is its name in the history of a request, ""
    for what is not about one. `preview` is the name of its preview in addresses, "" for what has none.
    """

    title: str
    about: str
    roles: tuple[str, ...]
    why_obsolete: Reason
    in_history: str = ""
    preview: str = ""


# The one table of the kinds: a new kind is a member of NoticeKind, a row here, a function and a folder of templates.
NOTICE_KINDS: dict[NoticeKind, KindOfNotice] = {
    NoticeKind.APPROVAL_ASKED: KindOfNotice(
        "Request", "{asker} requests {app} ({reference})", ("approver",), _why_invitation_obsolete,
        in_history="approval request", preview="asked",
    ),
    NoticeKind.REQUEST_APPROVED: KindOfNotice(
        "Approved", "Approved: {app} for {asker} ({reference})", ("requester", "approver", "other"),
        _why_approval_obsolete, in_history="approved", preview="approved",
    ),
    NoticeKind.REQUEST_DENIED: KindOfNotice(
        "Denied", "Denied: {app} for {asker} ({reference})", ("requester", "approver", "other"),
        _why_outcome_obsolete, in_history="denied", preview="denied",
    ),
    NoticeKind.REQUEST_EXPIRED: KindOfNotice(
        "Expired", "Expired: {app} for {asker} ({reference})", ("requester", "approver", "other"),
        _why_outcome_obsolete, in_history="expired", preview="expired",
    ),
    NoticeKind.REQUEST_CANCELLED: KindOfNotice(
        "Cancelled", "Cancelled: {app} for {asker} ({reference})", ("requester", "approver"),
        _why_outcome_obsolete, in_history="cancelled", preview="cancelled",
    ),
    NoticeKind.REQUEST_SETTLED: KindOfNotice(
        "Already decided", "Already decided: {app} for {asker} ({reference})", ("approver",),
        _why_outcome_obsolete, in_history="already decided", preview="settled",
    ),
    NoticeKind.REQUEST_COMMENT: KindOfNotice(
        "Comment", "New comment: {app} for {asker} ({reference})", ("requester", "approver"),
        _why_comment_obsolete, in_history="comment",
    ),
    NoticeKind.CODE_CLOSED: KindOfNotice(
        "Code locked", "Code locked: {app} for {asker} ({reference})", ("approver",), _why_invitation_obsolete,
        in_history="code locked",
    ),
    NoticeKind.ACCESS_TO_CHECK: KindOfNotice(
        "Access to check", "Check: {asker} has access to {app} ({reference})", ("other",), _why_check_obsolete,
        in_history="access to check",
    ),
    NoticeKind.APP_ADDED: KindOfNotice(
        "App added", "You now have access to {app}", ("requester",), _why_grant_obsolete, preview="added",
    ),
    NoticeKind.GRANT_ADDED: KindOfNotice(
        "Access granted", "Access granted: {app}", ("requester", "other"), _why_grant_obsolete,
    ),
    NoticeKind.GRANT_REMOVED: KindOfNotice(
        "Access removed", "Removed: access to {app}", ("requester", "other"), _never_obsolete,
    ),
    NoticeKind.GRANTS_REMOVED: KindOfNotice(
        "Access removed (several apps)", "Removed: access to several apps", ("requester", "other"), _never_obsolete,
    ),
    NoticeKind.GRANT_RETURNED: KindOfNotice(
        "Access given back", "Access given back: {app}", ("other",), _never_obsolete,
    ),
    NoticeKind.INVITATION: KindOfNotice(
        "Invitation", "Invitation", ("requester",), _why_password_link_obsolete,
    ),
    NoticeKind.PASSWORD_RESET: KindOfNotice(
        "Password reset", "Password reset", ("requester",), _why_password_link_obsolete,
    ),
    NoticeKind.API_TOKEN: KindOfNotice("API token", "API token", ("requester",), _never_obsolete),
    NoticeKind.SECURITY_CHANGED: KindOfNotice(
        "Sign-in security", "Sign-in security", ("requester",), _never_obsolete,
    ),
    NoticeKind.WEBHOOK_PAUSED: KindOfNotice(
        "Webhook paused", "Paused: a webhook or chat channel", ("other",), _why_check_obsolete,
    ),
    NoticeKind.TEST: KindOfNotice("Test email", "Test email", ("requester",), _never_obsolete),
}  # fmt: skip


def kind_of(stored: str) -> KindOfNotice:
    """The row of a stored kind; for a kind of a newer version, one that has its name for all words."""
    try:
        return NOTICE_KINDS[NoticeKind(stored)]
    except ValueError:
        return KindOfNotice(stored, stored, (), _never_obsolete, in_history=stored)


def why_obsolete(status: NoticeStatus) -> str:
    """Why the notice is obsolete, in a sentence; "" when it is not."""
    if status.active is False:
        return "This person was deactivated."
    return kind_of(status.kind).why_obsolete(status)


def notice(
    kind: NoticeKind,
    role: str,
    *,
    now: datetime,
    person_id: int | None = None,
    address: str | None = None,
    request_id: int | None = None,
    step_id: int | None = None,
    invitation_id: int | None = None,
    round: int = 0,
    grant_id: int | None = None,
    data_json: str = "{}",
) -> dict[str, Any]:
    """The column values of one notice; every key is always there, so that a batch is one statement."""
    return {
        "kind": kind.value,
        "role": role,
        "person_id": person_id,
        "address": address,
        "request_id": request_id,
        "step_id": step_id,
        "invitation_id": invitation_id,
        "round": round,
        "grant_id": grant_id,
        "data_json": data_json,
        "created_at": now,
    }
