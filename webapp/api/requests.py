"""One app, requested by a person, on its way through the steps of its rule."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from webapp import clock
from webapp.models import AccessRequest, App, Comment, Person
from webapp.operations import comments, requests
from webapp.queries import cases, chains, request_feed
from webapp.queries.cases import Case
from webapp.queries.chains import ChainStep
from webapp.queries.request_comments import of_request
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.text import reference
from webapp.web import access
from webapp.web.access import RequestAccess
from webapp.web.problems import Problem
from webapp.workflow.actor import Actor
from webapp.workflow.entitlements import Sheet
from webapp.workflow.scopes import Scope
from webapp.workflow.states import Channel, RequestState, StepState, Tier, Verdict

from . import _fields
from ._answers import AppRef, ApproverRef, PersonRef
from ._operation import operation
from ._paging import Listed, PageQuery
from ._types import Body, GivenInstant, GivenKey, GivenValue, Instant, Key, Number, Sentence, Text, Values, Word, one_of

Reference = Annotated[str, Field(description="What people say and search for.", examples=["R-7K3F9Q"])]


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person decided."""

    by: PersonRef
    verdict: one_of(Verdict)  # type: ignore[valid-type]
    channel: one_of(Channel, "How it was given: in the browser, with the code of an email, by a token, by an admin.")  # type: ignore[valid-type]
    comment: Sentence
    at: Instant


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `asked` names up to three of those who may decide it now, `asked_count` says how many there are."""

    position: Number
    state: one_of(StepState)  # type: ignore[valid-type]
    approver: ApproverRef
    decided_by: one_of(Tier, "Who may decide: its approver, or who took the approver’s place.")  # type: ignore[valid-type]
    opened_at: Instant | None
    due_at: Instant | None
    settled_at: Instant | None
    asked: list[PersonRef]
    asked_count: Number
    decisions: list[Decision]

    @classmethod
    def of(cls, step: ChainStep) -> Self:
        if step.person is not None:
            approver = ApproverRef("person", step.person.public_id, str(step.person.name))
        else:
            approver = ApproverRef("group", step.group_public_id, str(step.group_name))
        return cls(
            step.position + 1, step.state, approver, step.tier, step.opened_at, step.due_at, step.settled_at,
            [PersonRef.of(one) for one in step.asked], step.asked_count,
            [Decision(PersonRef.of(one.by), one.verdict, one.channel, one.comment, one.at) for one in step.decisions],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class OpenStep:
    """The step that is open now, in short."""

    position: Number
    of: Number
    approver: ApproverRef
    due_at: Instant | None


@dataclass(frozen=True, slots=True)
class RequestLine:
    """A request in a list."""

    id: Key
    reference: Reference
    state: one_of(RequestState)  # type: ignore[valid-type]
    app: AppRef
    for_person: PersonRef
    asked_by: PersonRef
    message: Sentence
    created_at: Instant
    settled_at: Instant | None
    step: OpenStep | None


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its steps, and the fields that you may see."""

    id: Key
    reference: Reference
    state: one_of(RequestState)  # type: ignore[valid-type]
    app: AppRef
    for_person: PersonRef
    asked_by: PersonRef
    message: Sentence
    fields: Values
    created_at: Instant
    settled_at: Instant | None
    note: Annotated[str, Field(description="Why it ended, where no decision says it.", examples=[""])]
    steps: list[Step]


def answer_of(case: Case, rights: RequestAccess, caller: Caller) -> Request:
    """The request as it stands, as this caller sees it."""
    sheet = access.sheet_for(case, rights, caller)
    return _answer(case.request, case.app, _person(case.for_person), _person(case.asked_by), sheet, caller,
                   is_overdue=case.is_overdue)  # fmt: skip


def _answer(
    request: AccessRequest, app: App, for_person: PersonRef, asked_by: PersonRef, sheet: Sheet, caller: Caller, *,
    is_overdue: bool = False,
) -> Request:  # fmt: skip
    steps = chains.of_requests([request.id], reader=caller.id).get(request.id, [])
    return Request(
        request.public_id, request.reference, "expired" if is_overdue else request.state,
        AppRef(app.public_id, str(app.name)), for_person, asked_by, request.message, _fields.shown(sheet),
        request.created_at, request.settled_at, request.settled_note, [Step.of(one) for one in steps],
    )  # fmt: skip


def fresh(case: Case, caller: Caller) -> Request:
    """The same after a change."""
    case = cases.reload(case)
    return answer_of(case, access.access_to(case, caller), caller)


def _person(person: Person) -> PersonRef:
    return PersonRef(person.public_id, str(person.name))


class RequestQuery(PageQuery):
    """The filter of the list."""

    state: Annotated[
        Literal["pending", "approved", "denied", "expired", "cancelled"] | None, Field(description="Their state.")
    ] = None
    role: Annotated[
        Literal["requester", "approver"] | None,
        Field(description="“requester”: your own; “approver”: those that wait for your decision."),
    ] = None
    app: Annotated[GivenKey | None, Field(description="The id of an app.")] = None
    person: Annotated[GivenKey | None, Field(description="The id of a person who requested or gets it.")] = None
    approver: Annotated[GivenKey | None, Field(description="The id of a person who was asked to decide.")] = None
    q: Annotated[Word | None, Field(description="Words of the message, names, or a reference.")] = None
    since: Annotated[GivenInstant | None, Field(description="Requested at this time or later.")] = None
    until: Annotated[GivenInstant | None, Field(description="Requested before this time.")] = None
    updated_since: Annotated[GivenInstant | None, Field(description="Something happened to it since this time.")] = None


@operation("GET", "/requests", scope=Scope.REQUESTS_READ, query=RequestQuery, answer=RequestLine, is_list=True)
def find(caller: Caller, *, query: RequestQuery) -> Listed:
    """List requests.

    Newest first: your own, those that you are or were asked to decide, and those for apps that you own; all of them
    for admins and service tokens."""
    edge = query.after(str, int)
    if query.role is not None and caller.id is None:
        raise Problem(422, "invalid", "A service token has no requests of its own.", {"role": "Leave this out."})
    wanted = request_feed.Wanted(
        reader=None if caller.is_admin else caller.id,
        state=query.state,
        app=query.app,
        person=query.person,
        approver=query.approver,
        requester=caller.id if query.role == "requester" else None,
        waits_for=caller.id if query.role == "approver" else None,
        words=(query.q or "").split()[:6],
        since=query.since,
        until=query.until,
        updated_since=query.updated_since,
    )
    rows = request_feed.page(
        wanted, after=(datetime.fromisoformat(edge[0]), edge[1]) if edge else None, limit=query.limit + 1
    )
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    key = (last.created_at.isoformat(), last.id) if last is not None else None
    return Listed([_line(row) for row in rows[: query.limit]], key)


def _line(row: Any) -> RequestLine:
    step = None
    if row.position is not None and not row.overdue:
        kind = "person" if row.approver_key is not None else "group"
        approver = ApproverRef(kind, row.approver_key or row.group_key, str(row.approver_name or row.group_name))
        step = OpenStep(row.position + 1, row.steps, approver, row.due_at)
    return RequestLine(
        row.public_id, reference(row.public_id), "expired" if row.overdue else row.state,
        AppRef(row.app_key, str(row.app_name)), PersonRef(row.person_key, str(row.person_name)),
        PersonRef(row.asker_key, str(row.asker_name)), row.message, row.created_at, row.settled_at, step,
    )  # fmt: skip


class NewRequest(Body):
    """What is requested, and why."""

    app: Annotated[GivenKey, Field(description="The id of an app of the catalog.")]
    message: Annotated[Text, Field(description="Why. Some apps need it.")] = ""
    fields: Annotated[
        dict[str, GivenValue],
        Field(description="The fields that a requester may set, by name.", examples=[{"Role": "Read only"}]),
    ] = Field(default_factory=dict)
    for_person: Annotated[
        GivenKey | None,
        Field(description="Service tokens only: for whom. A person requests for themselves."),
    ] = None


@operation("POST", "/requests", scope=Scope.REQUESTS_WRITE, body=NewRequest, answer=Request, status=201, refuses=(404,))
def submit(caller: Caller, *, body: NewRequest) -> Request:
    """Request an app.

    Starts a request under the app’s rule as it is now, and emails whoever decides first. An app that needs no approval
    is added with POST /grants instead. A service token requests for the person that it names, as that person."""
    actor, requester = _requester(caller, body.for_person)
    app, revision = access.app_in_catalog(body.app, actor)
    policy = revision.snapshot()
    sheet: Sheet = policy.sheet_for_requester(policy.defaults())
    given = _fields.given(sheet, body.fields) if policy.approval_required else {}
    with _fields.named(sheet):
        made = requests.submit(app, revision, actor=actor, message=body.message, given=given, now=clock.now())
    trace.about(access_request=made.public_id)
    is_own = caller.responsible_id == actor.id  # also by a service of theirs
    seen = policy.sheet_for_requester if is_own else policy.sheet_for_owner
    return _answer(made, app, requester, requester, seen(made.values), caller)


def _requester(caller: Caller, for_person: str | None) -> tuple[Actor, PersonRef]:
    """Who requests: the person of the token; for a service the person that it names."""
    if caller.is_service:
        person = access.active_person(for_person) if for_person is not None else None
        if person is None:
            words = "Name the person who gets the app: an active one."
            raise Problem(422, "invalid", words, {"for_person": words})
        return Actor.of(person, channel=Channel.API, token=caller.token), _person(person)
    if for_person not in (None, caller.key):
        words = "You can request apps for yourself only."
        raise Problem(422, "invalid", words, {"for_person": words})
    return caller, PersonRef(caller.key, str(caller.name))


@operation("GET", "/requests/{request}", scope=Scope.REQUESTS_READ, answer=Request)
def read(caller: Caller, *, request: str) -> Request:
    """Read a request.

    By its id. With its steps, who decided them, and the fields that you may see."""
    case, rights = access.request_to_see(request, caller)
    return answer_of(case, rights, caller)


class Cancellation(Body):
    """Why it is cancelled."""

    reason: Annotated[Text, Field(description="The approvers get it by email.")] = ""


@operation(
    "POST", "/requests/{request}/cancellation", scope=Scope.REQUESTS_WRITE, audience="people", body=Cancellation,
    answer=Request,
)  # fmt: skip
def cancel(caller: Caller, *, request: str, body: Cancellation) -> Request:
    """Cancel your pending request.

    Everyone who was asked is told."""
    case = access.own_request(request, caller)
    requests.cancel(case, actor=caller, reason=body.reason, now=clock.now())
    return fresh(case, caller)


@operation("POST", "/requests/{request}/reminders", scope=Scope.REQUESTS_WRITE, audience="people", answer=Request)
def remind(caller: Caller, *, request: str) -> Request:
    """Remind who has to decide.

    Once a day, by the requester."""
    case = access.own_request(request, caller)
    requests.remind(case, actor=caller, now=clock.now())
    return fresh(case, caller)


@dataclass(frozen=True, slots=True)
class CommentOut:
    """What somebody wrote on a request beside deciding it."""

    by: PersonRef
    text: Sentence
    at: Instant

    @classmethod
    def of(cls, comment: Comment, by: Person) -> Self:
        return cls(_person(by), comment.body, comment.created_at)


class NewComment(Body):
    """A comment."""

    text: Text


@operation("GET", "/requests/{request}/comments", scope=Scope.REQUESTS_READ, query=PageQuery, answer=CommentOut,
           is_list=True)  # fmt: skip
def list_comments(caller: Caller, *, request: str, query: PageQuery) -> Listed:
    """List the comments on a request.

    Newest first."""
    case, _ = access.request_to_see(request, caller)
    edge = query.after(int)
    rows = of_request(case.request.id, before=edge[0] if edge else None, limit=query.limit + 1)
    key = (rows[query.limit - 1][0].id,) if len(rows) > query.limit else None
    return Listed([CommentOut.of(comment, by) for comment, by in rows[: query.limit]], key)


@operation(
    "POST", "/requests/{request}/comments", scope=Scope.REQUESTS_WRITE, audience="people", body=NewComment,
    answer=Request,
)  # fmt: skip
def comment(caller: Caller, *, request: str, body: NewComment) -> Request:
    """Comment on a request.

    It is emailed to the requester, and to those who may decide it now, or who decided it."""
    case, _ = access.request_to_see(request, caller)
    comments.add(case, actor=caller, body=body.text, now=clock.now())
    return fresh(case, caller)
