"""Webhooks: where events are sent, their secrets, and what was delivered. For admins and services."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.encryption import Unreadable, decrypt
from webapp.events_out import EVENTS
from webapp.models import App, Endpoint, EndpointSecret
from webapp.operations import endpoints as operations
from webapp.queries import endpoints as queries
from webapp.queries.endpoints import EndpointLine
from webapp.queries.tokens import Caller
from webapp.web.problems import Problem
from webapp.workflow.scopes import Scope

from ._answers import AppRef
from ._operation import must_match, operation
from ._paging import Listed
from ._types import Body, GivenKey, Instant, Key, Text, Word, one_of

SCOPE = Scope.WEBHOOKS_ADMIN
EventName = one_of(tuple(EVENTS))
Address = Annotated[str, Field(examples=["https://hooks.example.com/countersign"])]
GivenAddress = Annotated[Text, Field(max_length=500, examples=["https://hooks.example.com/countersign"])]
GivenEvents = Annotated[
    list[Annotated[Word, Field(examples=["request.approved"])]],
    Field(max_length=50, description="Names of events; empty for all."),
]
GivenApps = Annotated[list[GivenKey], Field(max_length=100, description="Only what is about these apps.")]
GivenCategory = Annotated[Word, Field(description="Only what is about apps of this category.", examples=["Sales"])]
_WITH_TEXTS = "Whether it gets what people wrote: messages, comments and reasons. Else only how long they are."
_STATES = "delivering; failing: the last delivery was not taken; paused: what happens waits."


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told what happens."""

    id: Key
    name: Annotated[str, Field(examples=["Service desk"])]
    address: Annotated[Address | None, Field(description="null if the key that encrypted it is gone.")]
    events: Annotated[list[EventName], Field(description="Empty for all.")]  # type: ignore[valid-type]
    apps: Annotated[list[AppRef], Field(description="Only what is about these apps; empty for all.")]
    category: Annotated[str, Field(description="Only what is about apps of this category.", examples=[""])]
    with_texts: Annotated[bool, Field(description=_WITH_TEXTS, examples=[False])]
    state: one_of(("delivering", "failing", "paused"), _STATES)  # type: ignore[valid-type]
    paused_why: Annotated[str, Field(description="Empty if somebody paused it.", examples=[""])]
    paused_at: Instant | None
    failing_since: Instant | None
    created_at: Instant


@dataclass(frozen=True, slots=True)
class NewWebhook(Webhook):
    """A webhook with the secret that signs what it gets."""

    secret: Annotated[
        str | None,
        Field(description="Shown this once. null in a repeated answer.", examples=["whsec_C2FVsBQIhrscChlQIMV"]),
    ]


def _values(row: EndpointLine) -> dict[str, Any]:
    one = row.endpoint
    return {
        "id": one.public_id,
        "name": str(one.name),
        "address": _address(one),
        "events": list(one.events),
        "apps": [AppRef(app.public_id, str(app.name)) for app in row.apps],
        "category": one.category,
        "with_texts": one.with_texts,
        **state_of(one),
        "created_at": one.created_at,
    }


def state_of(one: Endpoint) -> dict[str, Any]:
    """How it is doing."""
    state = "paused" if one.paused_at is not None else "failing" if one.failing_since is not None else "delivering"
    return {
        "state": state,
        "paused_why": one.paused_why,
        "paused_at": one.paused_at,
        "failing_since": one.failing_since,
    }


def _address(one: Endpoint) -> str | None:
    try:
        return decrypt(one.address)
    except Unreadable:
        return None


def _row(public_id: str) -> EndpointLine:
    return queries.find(public_id, chat=False) or abort(404)


def find_webhook(public_id: str, *, removed: bool = False) -> Endpoint:
    """The webhook of this id, with `removed` also one that was removed, else 404."""
    return (queries.find(public_id, chat=False, removed=removed) or abort(404)).endpoint


def _answer(public_id: str) -> Webhook:
    return Webhook(**_values(_row(public_id)))


def _apps(given: Sequence[str]) -> Sequence[App]:
    found = queries.apps_of(given)
    unknown = set(given) - {one.public_id for one in found}
    if unknown:
        words = f"There is no app with the id {sorted(unknown)[0][:40]}."
        raise Problem(422, "invalid", words, {"apps": words})
    return found


@operation("GET", "/webhooks", scope=SCOPE, audience="admins", answer=Webhook, is_list=True)
def find(caller: Caller) -> Listed:
    """List webhooks.

    Oldest first, all of them: there are 50 at most."""
    return Listed([Webhook(**_values(row)) for row in queries.all_of(chat=False)])


@operation("GET", "/webhooks/{webhook}", scope=SCOPE, audience="admins", answer=Webhook)
def read(caller: Caller, *, webhook: str) -> Webhook:
    """Read a webhook."""
    return _answer(webhook)


class GivenWebhook(Body):
    """A webhook to add. Leave out events, apps and category to get everything."""

    name: Annotated[Word, Field(examples=["Service desk"])]
    address: GivenAddress
    events: GivenEvents = Field(default_factory=list)
    apps: GivenApps = Field(default_factory=list)
    category: GivenCategory = ""
    with_texts: Annotated[bool, Field(description=_WITH_TEXTS)] = False


@operation("POST", "/webhooks", scope=SCOPE, audience="admins", body=GivenWebhook, answer=NewWebhook, status=201,
           once=("secret",))  # fmt: skip
def create(caller: Caller, *, body: GivenWebhook) -> NewWebhook:
    """Add a webhook.

    The answer has the secret that signs its events; it is shown this once."""
    made, secret = operations.create(
        kind="webhook", name=body.name, address=body.address, events=body.events, apps=_apps(body.apps),
        category=body.category, with_texts=body.with_texts, actor=caller, now=clock.now(),
    )  # fmt: skip
    return NewWebhook(**_values(_row(made.public_id)), secret=secret)


class WebhookChange(Body):
    """What to change; leave out what stays."""

    name: Annotated[Word | None, Field(examples=["Service desk"])] = None
    address: Annotated[GivenAddress | None, Field(description="What waits goes there, too.")] = None
    events: GivenEvents | None = None
    apps: GivenApps | None = None
    category: GivenCategory | None = None
    with_texts: Annotated[bool | None, Field(description=_WITH_TEXTS)] = None


@operation("PATCH", "/webhooks/{webhook}", scope=SCOPE, audience="admins", body=WebhookChange, answer=Webhook,
           needs_match=True)  # fmt: skip
def change(caller: Caller, *, webhook: str, body: WebhookChange) -> Webhook:
    """Change a webhook."""
    operations.lock(find_webhook(webhook))
    row = _row(webhook)
    must_match(Webhook, Webhook(**_values(row)))
    one = row.endpoint
    operations.change(
        one,
        name=str(one.name) if body.name is None else body.name,
        events=one.events if body.events is None else body.events,
        apps=list(row.apps) if body.apps is None else _apps(body.apps),
        category=one.category if body.category is None else body.category,
        with_texts=one.with_texts if body.with_texts is None else body.with_texts,
        address=body.address,
        actor=caller,
        now=clock.now(),
    )
    return _answer(webhook)


@operation("DELETE", "/webhooks/{webhook}", scope=SCOPE, audience="admins")
def remove(caller: Caller, *, webhook: str) -> None:
    """Remove a webhook.

    It is told nothing any more; what waited for it is dropped."""
    operations.remove(find_webhook(webhook), actor=caller, now=clock.now())


@operation("POST", "/webhooks/{webhook}/pause", scope=SCOPE, audience="admins", answer=Webhook)
def pause(caller: Caller, *, webhook: str) -> Webhook:
    """Pause a webhook.

    What happens meanwhile waits for 30 days."""
    operations.pause(find_webhook(webhook), actor=caller, now=clock.now())
    return _answer(webhook)


@operation("DELETE", "/webhooks/{webhook}/pause", scope=SCOPE, audience="admins")
def resume(caller: Caller, *, webhook: str) -> None:
    """Resume a webhook.

    What waited is sent now, in order."""
    operations.resume(find_webhook(webhook), actor=caller, now=clock.now())


@dataclass(frozen=True, slots=True)
class Sent:
    """The delivery that was made; read it to see what came of it."""

    id: Key


@operation("POST", "/webhooks/{webhook}/test", scope=SCOPE, audience="admins", answer=Sent, status=202)
def send_test(caller: Caller, *, webhook: str) -> Sent:
    """Send a test event.

    Its type is “test”; it is signed and sent as every other."""
    made = operations.send_test(find_webhook(webhook), actor=caller, now=clock.now())
    return Sent(made.public_id)


# Secrets


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that signs, by its last letters."""

    id: Key
    ending: Annotated[str, Field(description="Its last four characters.", examples=["11xA"])]
    created_at: Instant
    retires_at: Annotated[Instant | None, Field(description="When it ends; null for the one in use.")]


@dataclass(frozen=True, slots=True)
class NewSecret(Secret):
    """A new secret. The one before is valid for two more days; each event carries both signatures meanwhile."""

    secret: Annotated[
        str | None,
        Field(description="Shown this once. null in a repeated answer.", examples=["whsec_C2FVsBQIhrscChlQIMV"]),
    ]


def _secret(one: EndpointSecret) -> Secret:
    return Secret(one.public_id, one.ending, one.created_at, one.retires_at)


@operation("GET", "/webhooks/{webhook}/secrets", scope=SCOPE, audience="admins", answer=Secret, is_list=True)
def secrets(caller: Caller, *, webhook: str) -> Listed:
    """List the secrets that sign.

    Newest first: one, or two while one replaces the other."""
    return Listed([_secret(one) for one in queries.secrets_of(find_webhook(webhook))])


@operation("POST", "/webhooks/{webhook}/secrets", scope=SCOPE, audience="admins", answer=NewSecret, status=201,
           once=("secret",))  # fmt: skip
def rotate(caller: Caller, *, webhook: str) -> NewSecret:
    """Make a new secret.

    The one before ends in two days, so that no event is refused meanwhile."""
    row, secret = operations.rotate_secret(find_webhook(webhook), actor=caller, now=clock.now())
    return NewSecret(row.public_id, row.ending, row.created_at, row.retires_at, secret)


@operation("DELETE", "/webhooks/{webhook}/secrets/{secret}", scope=SCOPE, audience="admins")
def end_secret(caller: Caller, *, webhook: str, secret: str) -> None:
    """End an old secret now."""
    endpoint = find_webhook(webhook)
    row = next((one for one in queries.secrets_of(endpoint) if one.public_id == secret), None) or abort(404)
    operations.end_secret(endpoint, row, actor=caller, now=clock.now())
