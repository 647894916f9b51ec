"""The body of each event, of ids and states: docs/webhooks.md says it field by field.

It is built in the transaction of the change and stored. What people wrote is in it only for an endpoint that asked for
it; else how long it is. Names of people and addresses are never in it, nor are keys of ours.
"""

import json
from typing import Any

from webapp.events_out import changed
from webapp.queries.event_facts import EventFacts
from webapp.record.audit import Draft
from webapp.text import reference
from webapp.times import utc


def webhook(name: str, draft: Draft, facts: EventFacts, *, with_texts: bool) -> str:
    """The JSON that is sent and signed."""
    texts = _Texts(with_texts)
    group = name.partition(".")[0]
    data: dict[str, Any]
    if group == "request":
        data = _of_request(name, draft, facts, texts)
    elif group == "access":
        data = _of_access(draft, facts, texts)
    elif group == "person":
        data = {"person": _person_state(draft, facts)}
    else:
        data = {"app": _app_state(draft, facts)}
    if name in ("person.changed", "app.changed"):
        data["changed"] = changed(draft.kind, draft.facts)
    data["by"] = _by(draft, facts)
    return dump(name, utc(draft.at), data)


def dump(name: str, timestamp: str, data: dict[str, Any]) -> str:
    """An event as text, the same for the same values."""
    return json.dumps({"type": name, "timestamp": timestamp, "data": data}, ensure_ascii=False, separators=(",", ":"))


class _Texts:
    """What people wrote: its length, and itself where the endpoint gets it."""

    def __init__(self, shown: bool) -> None:
        self.shown = shown

    def of(self, name: str, text: str) -> dict[str, Any]:
        return {f"{name}_length": len(text), **({name: text} if self.shown else {})}


def _of_request(name: str, draft: Draft, facts: EventFacts, texts: _Texts) -> dict[str, Any]:
    request = facts.requests[draft.request or 0]
    data: dict[str, Any] = {
        "request": {
            **_request_ref(request.public_id),
            "state": request.state,
            "app": _app(request.app_id, facts),
            "for_person": _person(request.for_person_id, facts),
            "asked_by": _person(request.asked_by_id, facts),
            "entitlements": _values(request.values_json, facts, texts),
            **texts.of("message", request.message),
            "created_at": utc(request.created_at),
            "settled_at": _time(request.settled_at),
        }
    }
    step = facts.steps.get((request.id, int(draft.facts.get("step", -1))))
    if step is not None:
        data["step"] = {
            "position": step.position + 1,
            "of": sum(1 for key, _ in facts.steps if key == request.id),
            "state": step.state,
            "approver": _approver(step, facts),
            "decided_by": step.tier,
            "due_at": _time(step.due_at),
        }
    if name in ("request.step_approved", "request.approved", "request.denied") and step is not None:
        comment = facts.decisions.get((step.id, draft.actor), "")
        data["decision"] = {"channel": draft.facts.get("channel", ""), **texts.of("comment", comment)}
    elif name == "request.commented":
        data["comment"] = texts.of("text", facts.comments.get(request.id, ""))
    elif name == "request.cancelled":
        data["request"] |= texts.of("reason", request.settled_note)
    return data


def _of_access(draft: Draft, facts: EventFacts, texts: _Texts) -> dict[str, Any]:
    grant = facts.grant(draft.app, draft.person, draft.facts.get("grant"))
    if grant is None:  # it was deleted in the same change
        return {"access": {"app": _app(draft.app, facts), "person": _person(draft.person, facts)}}
    request = facts.requests.get(grant.request_id or 0)
    removed = grant.state == "removed"
    return {
        "access": {
            "id": grant.public_id,
            "state": grant.state,
            "app": _app(grant.app_id, facts),
            "person": _person(grant.person_id, facts),
            "entitlements": _values(grant.values_json, facts, texts),
            "request": _request_ref(request.public_id) if request is not None else None,
            "given_at": utc(grant.created_at),
            "ends_at": _time(grant.ends_at),
            "removed_at": _time(grant.removed_at),
            **texts.of("reason", grant.removed_reason if removed else grant.given_reason),
        }
    }


def _values(stored: str, facts: EventFacts, texts: _Texts) -> dict[str, Any]:
    """Each field's name with its value; of what people typed in freely only the length, unless texts are sent."""
    found: dict[str, Any] = {}
    for key, one in facts.values(stored).items():
        of = facts.fields.get(key)
        if of is None:
            continue
        typed = of.kind == "text" and not texts.shown
        found[str(of.name)] = {"length": len(str(one.value))} if typed else one.value
    return found


def _request_ref(public_id: str) -> dict[str, str]:
    return {"id": public_id, "reference": reference(public_id)}


def _person(key: int | None, facts: EventFacts) -> dict[str, Any] | None:
    row = facts.people.get(key or 0)
    return {"id": row.public_id} if row is not None else None


def _person_state(draft: Draft, facts: EventFacts) -> dict[str, Any] | None:
    row = facts.people.get(draft.person or 0)
    return {"id": row.public_id, "active": row.active, "is_admin": row.is_admin} if row is not None else None


def _app(key: int | None, facts: EventFacts) -> dict[str, Any] | None:
    row = facts.apps.get(key or 0)
    return {"id": row.public_id, "name": str(row.name)} if row is not None else None


def _app_state(draft: Draft, facts: EventFacts) -> dict[str, Any] | None:
    app, row = _app(draft.app, facts), facts.apps.get(draft.app or 0)
    if app is None or row is None:
        return None
    return {**app, "requestable": row.requestable, "archived": row.archived_at is not None}


def _approver(step: Any, facts: EventFacts) -> dict[str, Any]:
    if step.approver_group_id is not None:
        return {"kind": "group", "id": step.group_key}
    return {"kind": "person", **(_person(step.approver_person_id, facts) or {"id": None})}


def _by(draft: Draft, facts: EventFacts) -> dict[str, Any]:
    """Who did it: a person, a token, both, or none of them: Countersign itself."""
    token = facts.tokens.get(draft.token or 0)
    return {"person": _person(draft.actor, facts), "token": {"id": token} if token else None}


def _time(at: Any) -> str | None:
    return utc(at) or None
