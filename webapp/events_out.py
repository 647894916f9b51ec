"""What other systems are told: the names of events, and the topics of chat channels. Fields: docs/webhooks.md."""

from dataclasses import dataclass
from typing import Any

from webapp.record.events import EventKind
from webapp.workflow.states import RequestState

# Sent by hand only, so that no endpoint chooses it.
TEST = "test"

GROUPS = {"requests": "Requests", "access": "Access", "people": "People and apps"}


@dataclass(frozen=True, slots=True)
class EventText:
    """The group of an event in lists, and a sentence that says when it is sent."""

    group: str
    sentence: str


# Names never change. A new one is a row here, and a section in docs/webhooks.md.
EVENTS = {
    "request.submitted": EventText("requests", "Somebody requested an app."),
    "request.step_opened": EventText("requests", "A step waits for its approvers."),
    "request.step_approved": EventText("requests", "An approver approved a step."),
    "request.commented": EventText("requests", "Somebody wrote a comment."),
    "request.reminded": EventText("requests", "The requester sent a reminder."),
    "request.approved": EventText("requests", "The last step was approved."),
    "request.denied": EventText("requests", "An approver denied the request."),
    "request.expired": EventText("requests", "Nobody decided by the deadline."),
    "request.cancelled": EventText("requests", "The request was cancelled."),
    "access.given": EventText("access", "A person got access to an app."),
    "access.changed": EventText("access", "The fields of a person’s access were changed."),
    "access.ended": EventText("access", "A person’s access was removed, or given back."),
    "person.created": EventText("people", "A person was added."),
    "person.changed": EventText("people", "Name, address, description or admin rights of a person were changed."),
    "person.deactivated": EventText("people", "A person was deactivated."),
    "person.reactivated": EventText("people", "A person was activated again."),
    "app.created": EventText("people", "An app was added."),
    "app.changed": EventText("people", "Details, fields or rules of an app were changed."),
    "app.archived": EventText("people", "An app was archived."),
    "app.restored": EventText("people", "An archived app is in use again."),
}

# Topics of a chat channel, with their words for people.
TOPICS = {
    "waiting": "Requests that wait for them",
    "results": "Results",
    "reminders": "Reminders",
    "access": "Access given and ended",
}

_OF_KIND: dict[str, str] = {
    EventKind.REQUEST_SUBMITTED: "request.submitted",
    EventKind.STEP_OPENED: "request.step_opened",
    EventKind.REQUEST_COMMENTED: "request.commented",
    EventKind.REQUEST_REMINDED: "request.reminded",
    EventKind.REQUEST_EXPIRED: "request.expired",
    EventKind.REQUEST_CANCELLED: "request.cancelled",
    EventKind.STEP_DENIED: "request.denied",
    EventKind.GRANT_ADDED: "access.given",
    EventKind.GRANT_UPDATED: "access.changed",
    EventKind.GRANT_REMOVED: "access.ended",
    EventKind.PERSON_CREATED: "person.created",
    EventKind.PERSON_DEACTIVATED: "person.deactivated",
    EventKind.PERSON_REACTIVATED: "person.reactivated",
    EventKind.APP_CREATED: "app.created",
    EventKind.APP_CHANGED: "app.changed",
    EventKind.APP_ARCHIVED: "app.archived",
    EventKind.APP_RESTORED: "app.restored",
}
# What is a change of an app, and the word for what was changed.
_OF_APP = {
    EventKind.FIELD_ARCHIVED: "fields",
    EventKind.FIELD_CHANGED: "fields",
    EventKind.FIELD_CREATED: "fields",
    EventKind.FIELD_RESTORED: "fields",
    EventKind.FIELDS_ORDERED: "fields",
    EventKind.POLICY_COPIED: "rules",
    EventKind.POLICY_SAVED: "rules",
}
# Settings of a person's own that nobody else has to know.
_PRIVATE = {"theme", "time_zone"}


def names_of(kind: str, facts: dict[str, Any]) -> tuple[str, ...]:
    """The events that an entry of the audit log is, in their order; none for what others are not told."""
    if kind == EventKind.STEP_APPROVED:
        last = facts.get("state") == RequestState.APPROVED
        return ("request.step_approved", "request.approved") if last else ("request.step_approved",)
    if kind == EventKind.PERSON_CHANGED:
        return ("person.changed",) if changed(kind, facts) else ()
    if kind in _OF_APP:
        return ("app.changed",)
    return (_OF_KIND[kind],) if kind in _OF_KIND else ()


def changed(kind: str, facts: dict[str, Any]) -> list[str]:
    """Which settings an entry changed, by their names."""
    if kind in _OF_APP:
        return [_OF_APP[EventKind(kind)]]
    return sorted(set(facts.get("after") or {}) - _PRIVATE)


def topic_of(kind: str) -> str:
    """The topic of a chat channel that an entry belongs to; "" for none."""
    if kind in (EventKind.STEP_OPENED, EventKind.STEP_REASSIGNED):
        return "waiting"
    if kind == EventKind.REQUEST_REMINDED:
        return "reminders"
    if kind in (EventKind.GRANT_ADDED, EventKind.GRANT_REMOVED):
        return "access"
    if kind in (EventKind.STEP_APPROVED, EventKind.STEP_DENIED, EventKind.REQUEST_EXPIRED, EventKind.REQUEST_CANCELLED):
        return "results"
    return ""
