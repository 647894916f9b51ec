"""Makes deliveries of what a transaction recorded in the audit log, so that no operation has to think of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import insert, select

from webapp.delivery.out import bodies, chat
from webapp.events_out import names_of, topic_of
from webapp.extensions import db
from webapp.models import Delivery, Endpoint, db_now
from webapp.queries import event_facts
from webapp.queries.event_facts import EventFacts
from webapp.record.audit import Draft
from webapp.record.events import EventKind
from webapp.runtime import failpoints, trace

# The table, not the class: the session would make one INSERT of each run of rows that lack the same columns.
_POST = insert(Delivery.metadata.tables["deliveries"]).values(due_at=db_now())
_DECISIONS = (EventKind.STEP_APPROVED, EventKind.STEP_DENIED)


def post(drafts: Sequence[Draft], first: int) -> bool:
    """Adds a delivery for each endpoint and event that it wants, in a fixed number of statements. `first` is the number
    of the first entry. Returns whether there was any."""
    told = [(number, draft) for number, draft in enumerate(drafts, first) if _has_event(draft)]
    if not told:
        return False
    endpoints = db.session.scalars(select(Endpoint).where(Endpoint.removed_at.is_(None)).order_by(Endpoint.id)).all()
    facts = _load([draft for _, draft in told], endpoints)
    rows: list[dict[str, Any]] = []
    for number, draft in told:
        built: dict[tuple[str, bool], str] = {}
        for endpoint in endpoints:
            rows += _of_channel(endpoint, number, draft, facts) if endpoint.is_chat else []
            if not endpoint.is_chat and _is_about(endpoint, draft, facts):
                rows += _of_webhook(endpoint, number, draft, facts, built)
    add(rows)
    if rows:
        failpoints.at("webhook.posted")
    return bool(rows)


def add(rows: Sequence[dict[str, Any]]) -> None:
    """Adds deliveries, due at once."""
    if rows:
        cause = trace.request_id()
        db.session.connection().execute(_POST, [{**row, "cause": cause} for row in rows])


def row(
    endpoint: Endpoint, event: str, body: str, *, at: Any, seq: int | None = None, ordered_by: str | None = None,
    request: int | None = None, step: int | None = None, app: int | None = None, person: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The column values of one delivery; every key is always there, so that a batch is one statement."""
    return {
        "endpoint_id": endpoint.id, "event": event, "event_seq": seq, "ordered_by": ordered_by, "request_id": request,
        "step_id": step, "app_id": app, "person_id": person, "body": body, "created_at": at,
    }  # fmt: skip


def _has_event(draft: Draft) -> bool:
    return bool(names_of(draft.kind, draft.facts) or topic_of(draft.kind))


def _load(drafts: Sequence[Draft], endpoints: Sequence[Endpoint]) -> EventFacts:
    keys = [one.person_id for one in endpoints if one.person_id is not None]
    return event_facts.load(
        requests=[one.request for one in drafts if one.request is not None],
        decided=[one.request for one in drafts if one.request is not None and one.kind in _DECISIONS],
        commented=[
            one.request for one in drafts if one.request is not None and one.kind == EventKind.REQUEST_COMMENTED
        ],
        people=[key for one in drafts for key in (one.person, one.actor) if key is not None] + keys,
        apps=[one.app for one in drafts if one.app is not None],
        granted=[
            (one.app, one.person)
            for one in drafts
            if one.kind.startswith("grant.") and one.app is not None and one.person is not None
        ],
        tokens=[one.token for one in drafts if one.token is not None],
        chat=any(one.is_chat for one in endpoints),
    )


def _of_webhook(
    endpoint: Endpoint, number: int, draft: Draft, facts: EventFacts, built: dict[tuple[str, bool], str]
) -> list[dict[str, Any]]:  # fmt: skip
    """The body is the same for all endpoints that get texts, and for all that do not."""
    found = []
    for name in names_of(draft.kind, draft.facts):
        if endpoint.events and name not in endpoint.events:
            continue
        key = (name, endpoint.with_texts)
        if key not in built:
            built[key] = bodies.webhook(name, draft, facts, with_texts=endpoint.with_texts)
        found.append(row(endpoint, name, built[key], at=draft.at, seq=number, **_subject(draft, facts)))
    return found


def _of_channel(endpoint: Endpoint, number: int, draft: Draft, facts: EventFacts) -> list[dict[str, Any]]:
    made = chat.message(endpoint, draft, facts, now=draft.at)
    if made is None:
        return []
    subject = _subject(draft, facts)
    topic = topic_of(draft.kind)
    if topic in ("waiting", "reminders"):
        subject["step"] = chat.open_step(draft.request or 0, facts).id
    return [row(endpoint, topic, chat.render(endpoint.kind, made), at=draft.at, seq=number, **subject)]


def _subject(draft: Draft, facts: EventFacts) -> dict[str, Any]:
    """What it is about. What a person has to do with an app is in order: requests, decisions and access."""
    request = facts.requests.get(draft.request or 0)
    app = request.app_id if request is not None else draft.app
    person = request.for_person_id if request is not None else draft.person
    if app is not None and person is not None:
        ordered_by = f"{app}:{person}"
    else:
        ordered_by = f"app:{app}" if app is not None else f"person:{person}"
    return {"request": draft.request, "app": app, "person": person, "ordered_by": ordered_by}


def _is_about(endpoint: Endpoint, draft: Draft, facts: EventFacts) -> bool:
    """Whether it is about the apps that the endpoint is for; what is about no app goes to every endpoint."""
    if not endpoint.app_ids and not endpoint.category:
        return True
    app = _subject(draft, facts)["app"]
    if app is None:
        return True
    row = facts.apps.get(app)
    return app in endpoint.app_ids or bool(endpoint.category and row is not None and row.category == endpoint.category)
