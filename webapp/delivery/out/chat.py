"""Messages to Slack and Microsoft Teams: what waits, what came of it. They show and link, and never decide.

Who a channel is for decides what it gets: a person what they may decide or asked for, a group what it decides, an app
what happens with it, the admins what waits for them and every result.
"""

import json
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.events_out import topic_of
from webapp.extensions import settings
from webapp.models import Endpoint
from webapp.queries.event_facts import EventFacts
from webapp.record.audit import Draft
from webapp.record.events import EventKind
from webapp.text import reference
from webapp.times import Times, zone
from webapp.wording import waiting_for
from webapp.workflow.states import RequestState, StepState, Tier

MESSAGE_SHOWN = 300
# Of the request in previews.
_NO_REQUEST = "0" * 12
_EXAMPLE_TEXT = "(example reason)"
_RESULTS = {
    RequestState.APPROVED.value: "Approved", RequestState.DENIED.value: "Denied",
    RequestState.EXPIRED.value: "Expired", RequestState.CANCELLED.value: "Cancelled",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a first line in bold, lines below it, and a link. All texts are plain."""

    title: str
    lines: tuple[str, ...]
    link: str
    url: str


def message(endpoint: Endpoint, draft: Draft, facts: EventFacts, *, now: datetime) -> Message | None:
    """What this channel is told of an entry of the audit log; None where it is not for it."""
    topic = topic_of(draft.kind)
    if not topic or (endpoint.events and topic not in endpoint.events):
        return None
    if endpoint.person_id is not None:
        person = facts.people.get(endpoint.person_id)
        if person is None or not person.active:
            return None
    if topic == "access":
        return _access(endpoint, draft, facts)
    request = facts.requests.get(draft.request or 0)
    if request is None:
        return None
    if topic == "results":
        return _result(endpoint, draft, request, facts)
    step = open_step(request.id, facts)
    return _waiting(endpoint, draft, request, step, facts, topic, now) if step is not None else None


def render(kind: str, one: Message) -> str:
    """The body that Slack or Teams takes."""
    return _slack(one) if kind == "slack" else _teams(one)


def test(kind: str, name: str) -> str:
    """A message that says that the channel works."""
    return render(kind, Message("This is a test", (f"Countersign can write to {name}.",), "Open Countersign",
                                settings().base_url))  # fmt: skip


def open_step(request: int, facts: EventFacts) -> Any:
    return next((one for (of, _), one in facts.steps.items() if of == request and one.state == StepState.OPEN), None)


def _waiting(
    endpoint: Endpoint, draft: Draft, request: Any, step: Any, facts: EventFacts, topic: str, now: datetime
) -> Message | None:  # fmt: skip
    asked = facts.asked.get(step.id, [])
    if draft.kind == EventKind.STEP_REASSIGNED:
        before = set((draft.facts.get("before") or {}).get("asked", ()))
        asked = [one for one in asked if one not in before]
        if not asked:
            return None
    if not _waits_for(endpoint, step, facts.apps.get(request.app_id), asked):
        return None
    app, person = _names(request.app_id, request.for_person_id, facts)
    approver = str(step.group_name) if step.approver_group_id is not None else _name(step.approver_person_id, facts)
    return _of_waiting(
        app, person, waiting_for(step.tier, approver), request.public_id, reminder=topic == "reminders",
        until=Times(zone(facts.zone), now).due(step.due_at) if step.due_at is not None else "",
        text=request.message if endpoint.with_texts else "",
    )  # fmt: skip


def _of_waiting(
    app: str, person: str, waits: str, key: str, *, reminder: bool, until: str, text: str
) -> Message:  # fmt: skip
    lines = [_in_short(text)] if text else []
    lines.append(f"{waits}{f' until {until}' if until else ''} · {reference(key)}")
    title = f"{'Reminder: ' if reminder else ''}{person} requests {app}"
    return Message(title, tuple(lines), "Read and decide", _url(key))


def _waits_for(endpoint: Endpoint, step: Any, app: Any, asked: list[int]) -> bool:
    """Whether the open step waits for whom the channel is for."""
    if endpoint.person_id is not None:
        return endpoint.person_id in asked
    if endpoint.group_id is not None:
        owns = app is not None and app.owner_group_id == endpoint.group_id and step.tier == Tier.OWNER
        return bool(owns or (step.approver_group_id == endpoint.group_id and step.tier == Tier.APPROVER))
    if endpoint.app_id is not None:
        return app is not None and app.id == endpoint.app_id
    return bool(step.tier in (Tier.ADMINS, Tier.NOBODY))


def _result(endpoint: Endpoint, draft: Draft, request: Any, facts: EventFacts) -> Message | None:
    ended = _RESULTS.get(request.state)
    # A step that was approved, but not the last one, is no result.
    if ended is None or (draft.kind == EventKind.STEP_APPROVED and draft.facts.get("state") != request.state):
        return None
    if not _took_part(endpoint, request, facts):
        return None
    app, person = _names(request.app_id, request.for_person_id, facts)
    by = _name(draft.actor, facts) if draft.actor is not None else ""
    return _of_result(ended, app, person, by, request.public_id)


def _of_result(ended: str, app: str, person: str, by: str, key: str) -> Message:
    lines = (f"{'By ' + by + ' · ' if by else ''}{reference(key)}",)
    return Message(f"{ended}: {app} for {person}", lines, "Open the request", _url(key))


def _took_part(endpoint: Endpoint, request: Any, facts: EventFacts) -> bool:
    if endpoint.person_id is not None:
        seen_by = {request.for_person_id, request.asked_by_id} | facts.sees.get(request.id, set())
        return endpoint.person_id in seen_by
    if endpoint.group_id is not None:
        return any(
            of == request.id and one.approver_group_id == endpoint.group_id and one.state not in ("waiting", "skipped")
            for (of, _), one in facts.steps.items()
        )
    return endpoint.app_id is None or endpoint.app_id == request.app_id


def _access(endpoint: Endpoint, draft: Draft, facts: EventFacts) -> Message | None:
    if endpoint.group_id is not None:
        return None
    if endpoint.person_id is not None and endpoint.person_id != draft.person:
        return None
    if endpoint.app_id is not None and endpoint.app_id != draft.app:
        return None
    app, person = _names(draft.app, draft.person, facts)
    given = draft.kind == EventKind.GRANT_ADDED
    row = facts.apps.get(draft.app or 0)
    url = f"{settings().base_url}/catalog" if row is None or endpoint.person_id else _admin_url(row.public_id)
    return _of_access(app, person, given=given, url=url)


def _of_access(app: str, person: str, *, given: bool, url: str) -> Message:
    title = f"{person} has access to {app} now" if given else f"{person} no longer has access to {app}"
    return Message(title, (), "Open Countersign", url)


def example(topic: str, *, app: str, person: str, waits: str, by: str, until: str, with_texts: bool) -> Message:
    """A message about this topic as it would be sent, with these names: nothing is stored or sent."""
    if topic == "access":
        return _of_access(app, person, given=True, url=f"{settings().base_url}/catalog")
    if topic == "results":
        return _of_result(_RESULTS[RequestState.APPROVED.value], app, person, by, _NO_REQUEST)
    return _of_waiting(app, person, waits, _NO_REQUEST, reminder=topic == "reminders", until=until,
                       text=_EXAMPLE_TEXT if with_texts else "")  # fmt: skip


def _names(app: int | None, person: int | None, facts: EventFacts) -> tuple[str, str]:
    row = facts.apps.get(app or 0)
    return (str(row.name) if row is not None else "an app"), _name(person, facts)


def _name(key: int | None, facts: EventFacts) -> str:
    row = facts.people.get(key or 0)
    return str(row.name) if row is not None else "somebody"


def _in_short(text: str) -> str:
    return text if len(text) <= MESSAGE_SHOWN else f"{text[:MESSAGE_SHOWN]}…"


def _url(public_id: str) -> str:
    return f"{settings().base_url}/requests/{public_id}"


def _admin_url(public_id: str) -> str:
    return f"{settings().base_url}/admin/apps/{public_id}"


def _slack(one: Message) -> str:
    title = _for_slack(one.title)
    parts = [f"*{title}*", *(_for_slack(line) for line in one.lines), f"<{one.url}|{one.link}>"]
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(parts)[:2900]}}
    return json.dumps({"text": title, "blocks": [section], "unfurl_links": False}, ensure_ascii=False)


def _for_slack(text: str) -> str:
    """In which nothing names a channel, makes a link, or is bold."""
    plain = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([*_~`])", "\u200b\\1", plain)


def _teams(one: Message) -> str:
    blocks: list[dict[str, Any]] = [
        {"type": "TextBlock", "text": _for_teams(one.title), "weight": "Bolder", "wrap": True}
    ]
    blocks += [{"type": "TextBlock", "text": _for_teams(line), "wrap": True} for line in one.lines]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
        "actions": [{"type": "Action.OpenUrl", "title": one.link, "url": one.url}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False)


def _for_teams(text: str) -> str:
    """A TextBlock reads a little Markdown: links and emphasis."""
    return re.sub(r"([\\`*_\[\]])", r"\\\1", text)
