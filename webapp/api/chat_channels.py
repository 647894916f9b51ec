"""Chat channels: who is told in Slack or Microsoft Teams. They show and link, and never decide. For admins."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.events_out import TOPICS
from webapp.models import Endpoint
from webapp.operations import endpoints as operations
from webapp.queries import endpoints as queries
from webapp.queries.endpoints import EndpointLine
from webapp.queries.tokens import Caller
from webapp.web.problems import Problem

from ._operation import must_match, operation
from ._paging import Listed
from ._types import Body, GivenKey, Instant, Key, Name, Word, one_of
from .webhooks import SCOPE, GivenAddress, Sent, state_of

Topic = one_of(tuple(TOPICS))
GivenTopics = Annotated[
    list[Annotated[Word, Field(examples=["waiting"])]],
    Field(max_length=10, description="waiting, results, reminders, access; empty for all."),
]
_WITH_TEXTS = "Whether the messages of requests are shown. Everybody in the channel reads them."


@dataclass(frozen=True, slots=True)
class AudienceRef:
    """For whom a channel is: what concerns them is told there."""

    kind: one_of(("person", "group", "app"))  # type: ignore[valid-type]
    id: Key
    name: Name


@dataclass(frozen=True, slots=True)
class ChatChannel:
    """A channel of Slack or Teams. Its address is never shown: whoever knows it can write there."""

    id: Key
    kind: one_of(("slack", "teams"))  # type: ignore[valid-type]
    name: Annotated[str, Field(examples=["#finance-approvals"])]
    host: Annotated[str, Field(examples=["hooks.slack.com"])]
    audience: Annotated[AudienceRef | None, Field(description="For whom it is; null for all admins.")]
    topics: Annotated[list[Topic], Field(description="Empty for all.")]  # type: ignore[valid-type]
    with_texts: Annotated[bool, Field(description=_WITH_TEXTS, examples=[False])]
    state: one_of(("delivering", "failing", "paused"))  # type: ignore[valid-type]
    paused_why: Annotated[str, Field(examples=[""])]
    paused_at: Instant | None
    failing_since: Instant | None
    created_at: Instant


def _of(row: EndpointLine) -> ChatChannel:
    one = row.endpoint
    return ChatChannel(
        id=one.public_id, kind=one.kind, name=str(one.name), host=one.host, audience=_audience(row),
        topics=list(one.events), with_texts=one.with_texts, **state_of(one), created_at=one.created_at,
    )  # fmt: skip


def _audience(row: EndpointLine) -> AudienceRef | None:
    for kind, one in (("person", row.person), ("group", row.group), ("app", row.app)):
        if one is not None:
            return AudienceRef(kind, one.public_id, str(one.name))
    return None


def _row(public_id: str) -> EndpointLine:
    return queries.find(public_id, chat=True) or abort(404)


def _endpoint(public_id: str) -> Endpoint:
    return _row(public_id).endpoint


@operation("GET", "/chat-channels", scope=SCOPE, audience="admins", answer=ChatChannel, is_list=True)
def find(caller: Caller) -> Listed:
    """List chat channels.

    Oldest first, all of them: there are 50 at most."""
    return Listed([_of(row) for row in queries.all_of(chat=True)])


@operation("GET", "/chat-channels/{channel}", scope=SCOPE, audience="admins", answer=ChatChannel)
def read(caller: Caller, *, channel: str) -> ChatChannel:
    """Read a chat channel."""
    return _of(_row(channel))


class GivenAudience(Body):
    """A person, a group or an app."""

    kind: Literal["person", "group", "app"]
    id: GivenKey


class GivenChannel(Body):
    """A channel to add."""

    kind: Literal["slack", "teams"]
    name: Annotated[Word, Field(examples=["#finance-approvals"])]
    address: Annotated[GivenAddress, Field(description="Of an incoming webhook in Slack, or a workflow in Teams.")]
    audience: Annotated[GivenAudience | None, Field(description="For whom it is; null for all admins.")] = None
    topics: GivenTopics = Field(default_factory=list)
    with_texts: Annotated[bool, Field(description=_WITH_TEXTS)] = False


@operation("POST", "/chat-channels", scope=SCOPE, audience="admins", body=GivenChannel, answer=ChatChannel, status=201)
def create(caller: Caller, *, body: GivenChannel) -> ChatChannel:
    """Add a chat channel."""
    made, _ = operations.create(
        kind=body.kind, name=body.name, address=body.address, events=body.topics, with_texts=body.with_texts,
        actor=caller, now=clock.now(), **_given(body.audience),
    )  # fmt: skip
    return _of(_row(made.public_id))


def _given(audience: GivenAudience | None) -> dict[str, Any]:
    if audience is None:
        return {}
    found = queries.audience(audience.kind, audience.id)
    if found is None:
        words = f"There is no {audience.kind} with this id."
        raise Problem(422, "invalid", words, {"audience.id": words})
    return {audience.kind: found}


class ChannelChange(Body):
    """What to change; leave out what stays. For whom it is cannot be changed: add another channel."""

    name: Annotated[Word | None, Field(examples=["#finance-approvals"])] = None
    address: GivenAddress | None = None
    topics: GivenTopics | None = None
    with_texts: Annotated[bool | None, Field(description=_WITH_TEXTS)] = None


@operation("PATCH", "/chat-channels/{channel}", scope=SCOPE, audience="admins", body=ChannelChange, answer=ChatChannel,
           needs_match=True)  # fmt: skip
def change(caller: Caller, *, channel: str, body: ChannelChange) -> ChatChannel:
    """Change a chat channel."""
    operations.lock(_endpoint(channel))
    row = _row(channel)
    must_match(ChatChannel, _of(row))
    one = row.endpoint
    operations.change(
        one,
        name=str(one.name) if body.name is None else body.name,
        events=one.events if body.topics is None else body.topics,
        with_texts=one.with_texts if body.with_texts is None else body.with_texts,
        address=body.address,
        actor=caller,
        now=clock.now(),
    )
    return _of(_row(channel))


@operation("DELETE", "/chat-channels/{channel}", scope=SCOPE, audience="admins")
def remove(caller: Caller, *, channel: str) -> None:
    """Remove a chat channel."""
    operations.remove(_endpoint(channel), actor=caller, now=clock.now())


@operation("POST", "/chat-channels/{channel}/pause", scope=SCOPE, audience="admins", answer=ChatChannel)
def pause(caller: Caller, *, channel: str) -> ChatChannel:
    """Pause a chat channel."""
    operations.pause(_endpoint(channel), actor=caller, now=clock.now())
    return _of(_row(channel))


@operation("DELETE", "/chat-channels/{channel}/pause", scope=SCOPE, audience="admins")
def resume(caller: Caller, *, channel: str) -> None:
    """Resume a chat channel."""
    operations.resume(_endpoint(channel), actor=caller, now=clock.now())


@operation("POST", "/chat-channels/{channel}/test", scope=SCOPE, audience="admins", answer=Sent, status=202)
def send_test(caller: Caller, *, channel: str) -> Sent:
    """Send a test message."""
    return Sent(operations.send_test(_endpoint(channel), actor=caller, now=clock.now()).public_id)
