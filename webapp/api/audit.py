"""The audit log: a line for each change, chained so that none can be altered unseen. For admins and services."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import Response, stream_with_context
from pydantic import Field

from webapp import clock
from webapp.database.transactions import choose
from webapp.queries.public_ids import keys_of
from webapp.queries.tokens import Caller
from webapp.record import entries, verification
from webapp.record.entries import Entry, Names
from webapp.record.entry_facts import facts_of
from webapp.record.entry_words import NAME
from webapp.record.events import EventKind
from webapp.record.sentences import describe, kinds_in
from webapp.record.verification import NEWEST, Verification
from webapp.web.attempts import Count
from webapp.web.problems import Problem
from webapp.workflow.scopes import Scope

from . import _callers
from ._answers import AppRef, PersonRef, RequestRef
from ._operation import adapter, operation
from ._paging import Listed, PageQuery
from ._types import GivenInstant, GivenKey, Instant, Key, Query, Word, one_of

NDJSON = "application/x-ndjson"
Seq = Annotated[int, Field(description="Its number in the log, from 1, without a gap.", examples=[1042])]

# Checks of the log in a minute.
CHECKS = 6


@dataclass(frozen=True, slots=True)
class ActorRef:
    """Who did it: a person, a service by its token, or Countersign itself (without an id)."""

    kind: one_of(("person", "service", "countersign"))  # type: ignore[valid-type]
    id: Annotated[str | None, Field(examples=["7K3F9QX0M2TB"])]
    name: Annotated[str, Field(examples=["Adam Weiss"])]


@dataclass(frozen=True, slots=True)
class TokenRef:
    """A token, by id and name."""

    id: Key
    name: Annotated[str, Field(examples=["laptop"])]


@dataclass(frozen=True, slots=True)
class Change:
    """A setting that changed, in the words of the page."""

    label: Annotated[str, Field(examples=["Time limit"])]
    before: Annotated[str, Field(description="“” where there was nothing to compare with.", examples=["3 days"])]
    after: Annotated[str, Field(examples=["5 days"])]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """An entry of the audit log, with what it is about. `token` is the one by which it was done."""

    seq: Seq
    at: Instant
    kind: one_of(EventKind)  # type: ignore[valid-type]
    actor: ActorRef
    token: TokenRef | None
    request: RequestRef | None
    app: AppRef | None
    person: PersonRef | None
    sentence: Annotated[
        str, Field(description="The entry in words, with the names of today.", examples=["Adam Weiss archived Figma."])
    ]
    changes: list[Change]
    facts: Annotated[
        dict[str, Any],
        Field(
            description="What was recorded, with public ids. Of free text it has the SHA-256 only.",
            examples=[{"step": 1, "channel": "api"}],
        ),
    ]


def _event(line: Entry, names: Names) -> AuditEvent:
    told = describe(line, names)
    asked = names.requests.get(line.request or 0)
    app = line.app if line.app is not None else asked.app if asked else None
    return AuditEvent(
        line.seq, line.at, line.kind, _actor(line, names), _token(line, names),
        RequestRef.of(asked.public_id) if asked else None,
        AppRef(names.keys["app", app], str(names.apps[app])) if app in names.apps else None,
        PersonRef.of(names.people[line.person]) if line.person in names.people else None,
        told.sentence.striptags(), [Change(one.label, one.before, one.after) for one in told.changes],
        facts_of(line, names),
    )  # fmt: skip


def _actor(line: Entry, names: Names) -> ActorRef:
    if line.actor in names.people:
        who = names.people[line.actor]
        return ActorRef("person", who.public_id, str(who.name))
    token = _token(line, names)
    return ActorRef("countersign", None, NAME) if token is None else ActorRef("service", token.id, token.name)


def _token(line: Entry, names: Names) -> TokenRef | None:
    if line.token not in names.tokens:
        return None
    return TokenRef(names.keys["token", line.token], str(names.tokens[line.token]))


class EventFilter(Query):
    """The filter of the log."""

    actor: Annotated[GivenKey | None, Field(description="The id of the person who did it.")] = None
    token: Annotated[GivenKey | None, Field(description="The id of the token by which it was done.")] = None
    person: Annotated[GivenKey | None, Field(description="The id of the person whom it is about.")] = None
    app: Annotated[GivenKey | None, Field(description="The id of the app that it is about.")] = None
    request: Annotated[GivenKey | None, Field(description="The id of the request that it is about.")] = None
    kind: Annotated[Word | None, Field(description="A kind of entry.", examples=["app.archived"])] = None
    topic: Annotated[
        Literal["requests", "access", "rules", "people", "sign-in", "installation"] | None,
        Field(description="The kinds of one topic, as the page has them."),
    ] = None
    since: Annotated[GivenInstant | None, Field(description="At this time or later.")] = None
    until: Annotated[GivenInstant | None, Field(description="Before this time.")] = None
    after_seq: Annotated[
        int | None, Field(ge=0, le=2**53, description="Newer than the entry with this number: what came since.")
    ] = None


class EventQuery(EventFilter, PageQuery):
    """The filter of the list."""


def _wanted(query: EventFilter) -> entries.Filter:
    kinds = kinds_in(query.topic) if query.topic else ()
    if query.kind is not None:
        if query.kind not in set(EventKind):
            words = "There is no such kind of entry. The documentation lists them."
            raise Problem(422, "invalid", words, {"kind": words})
        if kinds and query.kind not in kinds:
            words = "This kind is of another topic. Leave one of them out."
            raise Problem(422, "invalid", words, {"kind": words})
        kinds = (EventKind(query.kind),)
    keys = keys_of(actor=query.actor, person=query.person, app=query.app, request=query.request, token=query.token)
    return entries.Filter(
        who=(keys["actor"],) if "actor" in keys else None,
        person=(keys["person"],) if "person" in keys else None,
        app=keys.get("app"),
        request=keys.get("request"),
        token=keys.get("token"),
        kinds=kinds,
        since=query.since,
        until=query.until,
        beyond=query.after_seq,
    )


@operation("GET", "/audit/events", scope=Scope.AUDIT_READ, audience="admins", query=EventQuery, answer=AuditEvent,
           is_list=True)  # fmt: skip
def find(caller: Caller, *, query: EventQuery) -> Listed:
    """List the entries of the audit log.

    Newest first. To follow the log, ask for what came after the largest number that you have (after_seq)."""
    edge = query.after(int)
    lines = entries.latest(_wanted(query), before=edge[0] if edge else None, limit=query.limit + 1)
    shown = lines[: query.limit]
    names = entries.names(shown)
    return Listed([_event(line, names) for line in shown], (shown[-1].seq,) if len(lines) > query.limit else None)


@operation("GET", "/audit/events.ndjson", scope=Scope.AUDIT_READ, audience="admins", query=EventFilter,
           streams=NDJSON)  # fmt: skip
def export(caller: Caller, *, query: EventFilter) -> Response:
    """Download the entries of the audit log.

    All that match, newest first: an entry as JSON on each line, as it is read from the database."""
    return Response(stream_with_context(_lines(_wanted(query))), content_type=NDJSON)


def _lines(wanted: entries.Filter) -> Iterator[bytes]:
    choose("read")
    for lines, names in entries.batches(wanted):
        yield b"".join(adapter(AuditEvent).dump_json(_event(line, names)) + b"\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry that is not intact, and why."""

    seq: Seq
    sentence: Annotated[str, Field(examples=["Entry 17 was changed, or an entry before it was."])]


@dataclass(frozen=True, slots=True)
class Check:
    """What a check of the newest entries found."""

    is_intact: Annotated[bool, Field(description="No change was found.", examples=[True])]
    is_partial: Annotated[bool, Field(description="There may be older entries, which were not checked.")]
    intact: Annotated[int, Field(description="Entries that are intact.", examples=[1042])]
    unchecked: Annotated[int, Field(description="Entries whose key was removed, so that they cannot be checked.",
                                    examples=[0])]  # fmt: skip
    broken: Break | None
    sentence: Annotated[
        str, Field(description="What the page says of it.", examples=["All 1,042 entries are intact."])
    ]  # fmt: skip

    @classmethod
    def of(cls, found: Verification) -> "Check":
        broken = found.report.broken
        return cls(
            found.is_intact, found.is_partial, found.report.intact, found.report.not_checked,
            Break(broken.seq, broken.sentence) if broken is not None else None, found.sentences,
        )  # fmt: skip


class CheckQuery(Query):
    """How much is checked."""

    newest: Annotated[
        int, Field(ge=1, le=NEWEST, description="So many of the newest. “audit verify” on the server checks all.")
    ] = NEWEST


def _count(caller: Caller) -> None:
    """Counts a check, which takes a second or two, for the person of the token, or for who made that of a service."""
    _callers.count_apart(Count("api-verification", str(caller.responsible_id), ((CHECKS, _callers.SECONDS),)))


def _checked(caller: Caller) -> Verification:
    _count(caller)
    return verification.check()


@operation("GET", "/audit/verification", scope=Scope.AUDIT_READ, audience="admins", query=CheckQuery, answer=Check)
def look(caller: Caller, *, query: CheckQuery) -> Check:
    """Check whether the log was altered.

    It is compared with itself and with the anchors on the server, and nothing is written. Six times a minute."""
    _count(caller)
    return Check.of(verification.check(newest=query.newest))


@operation("POST", "/audit/verification", scope=Scope.AUDIT_READ, audience="admins", answer=Check,
           before=_checked)  # fmt: skip
def verify(caller: Caller, *, found: Verification) -> Check:
    """Check whether the log was altered, and record it.

    As the button on the page: the check and its result are an entry of the log. Six times a minute."""
    verification.note(found, actor=caller, now=clock.now())
    return Check.of(found)
