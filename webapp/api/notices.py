"""The email log: every email, whether it was sent, and what it says. For admins and services."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field
from sqlalchemy import Select

from webapp import clock
from webapp.delivery import mail as emails
from webapp.notices import NOTICE_KINDS, NoticeKind
from webapp.operations import mails as operations
from webapp.queries import logged_email
from webapp.queries import outbox_lines as queries
from webapp.queries.outbox_lines import EmailLine
from webapp.queries.public_ids import keys_of
from webapp.queries.tokens import Caller
from webapp.web import access
from webapp.web.problems import Problem
from webapp.workflow.scopes import Scope

from ._answers import PersonRef, RequestRef
from ._operation import operation
from ._paging import Listed, PageQuery
from ._types import Body, Email, GivenInstant, GivenKey, Instant, Key, Word, one_of

_STATES = "due: queued; trying: failed, and will be tried again; dead: failed; held: on hold; obsolete: skipped."
State = one_of(("sent", "due", "sending", "trying", "dead", "held", "obsolete"), _STATES)
About = Annotated[
    str, Field(description="What it is about, in a line.", examples=["Approved: Figma for Rita Lindqvist (R-7K3F9Q)"])
]
Why = Annotated[
    str, Field(description="The state in a sentence.", examples=["The mail server accepted it."])
]  # fmt: skip
Attempts = Annotated[int, Field(description="How often it was tried.", examples=[1])]
NextAt = Annotated[Instant | None, Field(description="When it is tried next, if it waits.")]
SettledAt = Annotated[Instant | None, Field(description="When it was sent, failed for good, or was skipped.")]


@dataclass(frozen=True, slots=True)
class NoticeLine:
    """An email in the log. `person` is null for an address outside."""

    id: Key
    kind: one_of(NoticeKind)  # type: ignore[valid-type]
    about: About
    state: State  # type: ignore[valid-type]
    why: Why
    person: PersonRef | None
    address: Email
    request: RequestRef | None
    attempts: Attempts
    created_at: Instant
    next_attempt_at: NextAt
    settled_at: SettledAt

    @classmethod
    def of(cls, line: EmailLine) -> "NoticeLine":
        return cls(**_values(line))


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed attempt; `answer` is the mail server’s, or what went wrong."""

    at: Instant
    answer: Annotated[str, Field(examples=["451 4.7.1 greylisted"])]


@dataclass(frozen=True, slots=True)
class Notice(NoticeLine):
    """An email with its failed attempts, and what it says. Link and code in it are hidden."""

    failures: list[Failure]
    answer: Annotated[
        str, Field(description="What the mail server said as it accepted it.", examples=["250 2.0.0 queued as 4711"])
    ]
    subject: Annotated[
        str | None, Field(description="null if the email cannot be made.", examples=["Approved: Figma (R-7K3F9Q)"])
    ]
    text: Annotated[str | None, Field(description="As it is sent as plain text.", examples=["You have Figma now."])]


def _values(line: EmailLine) -> dict[str, Any]:
    """The values of a line."""
    waits = line.state in ("due", "sending", "trying")
    return {
        "id": line.public_id,
        "kind": line.kind,
        "about": line.about,
        "state": line.state,
        "why": line.why,
        "person": PersonRef(line.person, str(line.name)) if line.person else None,
        "address": line.address,
        "request": RequestRef.of(line.request) if line.request else None,
        "attempts": line.attempts,
        "created_at": line.created_at,
        "next_attempt_at": line.at if waits else None,
        "settled_at": None if waits else line.at,
    }


class NoticeQuery(PageQuery):
    """The filter of the log."""

    state: Annotated[
        Literal["due", "trying", "dead", "held", "sent", "obsolete"] | None, Field(description=_STATES)
    ] = None
    kind: Annotated[Word | None, Field(description="A kind of email.", examples=["approval-asked"])] = None
    person: Annotated[GivenKey | None, Field(description="The id of the person who gets it.")] = None
    request: Annotated[GivenKey | None, Field(description="The id of the request that it is about.")] = None
    q: Annotated[Word | None, Field(description="Words of the recipient’s name or address.")] = None
    since: Annotated[GivenInstant | None, Field(description="Written at this time or later.")] = None
    until: Annotated[GivenInstant | None, Field(description="Written before this time.")] = None


class NoticeFilter(Body):
    """Which emails: the filter of the log; all of them without one."""

    state: Annotated[Literal["trying", "dead"] | None, Field(description=_STATES)] = None
    kind: Annotated[Word | None, Field(description="A kind of email.", examples=["approval-asked"])] = None
    person: Annotated[GivenKey | None, Field(description="The id of the person who gets it.")] = None
    request: Annotated[GivenKey | None, Field(description="The id of the request that it is about.")] = None
    q: Annotated[Word | None, Field(description="Words of the recipient’s name or address.")] = None
    since: Annotated[GivenInstant | None, Field(description="Written at this time or later.")] = None
    until: Annotated[GivenInstant | None, Field(description="Written before this time.")] = None


def _matching(wanted: NoticeQuery | NoticeFilter) -> Select[Any]:
    if wanted.kind is not None and wanted.kind not in set(NOTICE_KINDS):
        words = "There is no such kind of email. The documentation lists them."
        raise Problem(422, "invalid", words, {"kind": words})
    keys = keys_of(person=wanted.person, request=wanted.request)
    return queries.matching(
        wanted.state or "", (wanted.q or "").split()[:8], kind=wanted.kind or "", since=wanted.since,
        until=wanted.until, person=keys.get("person"), request=keys.get("request"),
    )  # fmt: skip


@operation("GET", "/notices", scope=Scope.MAIL_ADMIN, audience="admins", query=NoticeQuery, answer=NoticeLine,
           is_list=True)  # fmt: skip
def find(caller: Caller, *, query: NoticeQuery) -> Listed:
    """List emails.

    Newest first."""
    edge = query.after(int)
    lines = queries.latest(_matching(query), before=edge[0] if edge else None, limit=query.limit + 1)
    shown = lines[: query.limit]
    return Listed(
        [NoticeLine.of(line) for line in shown], (shown[-1].id,) if len(lines) > query.limit else None
    )  # fmt: skip


@operation("GET", "/notices/{notice}", scope=Scope.MAIL_ADMIN, audience="admins", answer=Notice)
def read(caller: Caller, *, notice: str) -> Notice:
    """Read an email.

    With its attempts, and what it says. The link and the code in it are hidden: whoever reads it can neither decide nor
    sign in with it."""
    found = logged_email.load(notice) or abort(404)
    message = emails.shown(found.facts)
    return Notice(
        **_values(found.line),
        failures=[Failure(one.at, one.answer) for one in found.attempts],
        answer=found.notice.answer,
        subject=message.subject if message else None,
        text=message.body if message else None,
    )


@operation("POST", "/notices/{notice}/resend", scope=Scope.MAIL_ADMIN, audience="admins", answer=NoticeLine)
def resend(caller: Caller, *, notice: str) -> NoticeLine:
    """Send an email again.

    One that failed or is on hold. If it is outdated by now, it is skipped."""
    operations.send_again(access.notice_to_send(notice), actor=caller, now=clock.now())
    return _now(notice)


@operation("POST", "/notices/{notice}/attempt", scope=Scope.MAIL_ADMIN, audience="admins", answer=NoticeLine)
def try_now(caller: Caller, *, notice: str) -> NoticeLine:
    """Try an email now.

    One that waits for its next attempt, or for the mail server."""
    operations.try_now(access.notice_to_send(notice), actor=caller, now=clock.now())
    return _now(notice)


@operation("POST", "/notices/{notice}/discarding", scope=Scope.MAIL_ADMIN, audience="admins", answer=NoticeLine)
def discard(caller: Caller, *, notice: str) -> NoticeLine:
    """Discard an email.

    One that is on hold after a restore, because it had been sent before."""
    operations.discard(access.notice_to_send(notice), actor=caller, now=clock.now())
    return _now(notice)


@dataclass(frozen=True, slots=True)
class Moved:
    """How many emails it was."""

    count: Annotated[int, Field(examples=[3])]


@operation("POST", "/notices/attempts", scope=Scope.MAIL_ADMIN, audience="admins", body=NoticeFilter, answer=Moved)
def try_all(caller: Caller, *, body: NoticeFilter) -> Moved:
    """Try the emails of a list again.

    Those that failed, and those that wait for their next attempt. Outdated ones are skipped."""
    return Moved(operations.try_all_again(queries.ids(_matching(body)), actor=caller, now=clock.now()))


@operation("POST", "/notices/held/sending", scope=Scope.MAIL_ADMIN, audience="admins", answer=Moved)
def send_held(caller: Caller) -> Moved:
    """Send all emails that are on hold.

    They were due when the database was restored from a backup, and may have been sent already."""
    return Moved(operations.release(actor=caller, now=clock.now()))


@operation("POST", "/notices/held/discarding", scope=Scope.MAIL_ADMIN, audience="admins", answer=Moved)
def discard_held(caller: Caller) -> Moved:
    """Discard all emails that are on hold.

    None of them is sent."""
    return Moved(operations.discard(None, actor=caller, now=clock.now()))


@operation("POST", "/notices/test", scope=Scope.MAIL_ADMIN, audience="admins")
def send_test(caller: Caller) -> None:
    """Send a test email to yourself.

    The way every email goes. A service token has no address."""
    operations.send_test(actor=caller, now=clock.now())


def _now(notice: str) -> NoticeLine:
    return NoticeLine.of(queries.one(notice) or abort(404))
