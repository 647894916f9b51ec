"""One request's whole story: what happened, who was mailed, and whether it arrived."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

from sqlalchemy import bindparam, func, select

from webapp.bidi import listed
from webapp.extensions import db
from webapp.models import AccessRequest, App, Comment, Decision, Group, Invitation, Notice, Person, Step, db_now
from webapp.notices import TRIES, NoticeKind, kind_of
from webapp.queries import visibility
from webapp.queries.app_summaries import AppSummary
from webapp.queries.approvals import OPEN
from webapp.queries.cases import Case
from webapp.queries.chains import ChainStep, Who
from webapp.queries.columns import read
from webapp.queries.dashboard import OwnRequest, in_words
from webapp.text import capital
from webapp.times import Times
from webapp.wording import OVERRIDE
from webapp.workflow.entitlements import Sheet
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState

# An approval request may be a later one: what its notice carries → what happened, and what the email is about.
ASKED_AGAIN = {
    "again": ("sent a reminder.", "reminder"),
    "same": ("The approval email was sent again.", "approval request"),
    "new_code": ("A new approval code was sent.", "new approval code"),
}
# A group of a hundred gets a hundred mails; the page shows so many and says how many more.
MAILS_SHOWN = 20
# A long talk is read in parts of so many comments.
COMMENTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class EntryMail:
    """One notice in words: `state` is due, leased, sent, dead or obsolete."""

    to: str
    about: str
    state: str
    at: datetime
    due_at: datetime
    tries: int
    error: str
    created_at: datetime

    @property
    def tries_of(self) -> str:
        return f"attempt {self.tries} of {TRIES}"


@dataclass(slots=True)
class TimelineEntry:
    """One thing that happened, with the mails it caused."""

    at: datetime
    kind: str
    who: Who | None = None
    text: str = ""
    quote: str = ""
    is_no: bool = False
    set_values: dict[str, str] = field(default_factory=dict)
    mails: list[EntryMail] = field(default_factory=list)
    more_mails: int = 0


@dataclass(frozen=True, slots=True)
class StoryPart:
    """A part of the story, newest first. `earlier`, when there is more: the comment that this part begins with."""

    moments: list[TimelineEntry]
    earlier: int = 0


def of(case: Case, *, reader: Person, sheet: Sheet, sees_everything: bool, before: int = 0) -> StoryPart:
    """The newest part, or the one before the comment `before`, in three statements, as far as the reader may see: of
    fields those of their sheet; addresses outside of the company, and what their mail servers say, only owners and
    admins."""
    request = case.request
    talk = comments(request.id, before=before)
    asker = Who(case.asked_by.id, case.asked_by.public_id, case.asked_by.name)
    moments = [TimelineEntry(request.created_at, "asked", asker, f"requested {case.app.name}.", request.message)]
    names = _step_names(case)
    seen = {one.entitlement.name for one in sheet.visible}
    for row in db.session.execute(
        select(Decision, Step.position, Person.id, Person.public_id, Person.name)
        .join(Step, Step.id == Decision.step_id)
        .join(Person, Person.id == Decision.person_id)
        .where(Step.request_id == request.id)
    ):
        decision = row.Decision
        verb = "approved" if decision.verdict == "approved" else "denied"
        group = names.get(row.position, "")
        place = f" for {group}" if group else ""
        text = f"{verb}{place}."
        if decision.channel == "admin":
            text = f"{verb} {OVERRIDE}, without the remaining steps."
        elif decision.channel == "code":
            text = f"{verb}{place} with an email code."
        moments.append(
            TimelineEntry(decision.created_at, "decided", Who(row.id, row.public_id, row.name), text, decision.comment,
                   decision.verdict == "denied",
                   {name: value for name, value in decision.set_values.items() if name in seen})
        )  # fmt: skip
    moments += talk.moments
    if request.state == RequestState.EXPIRED.value and request.settled_at is not None:
        text = "The request expired: no decision by the deadline."
        moments.append(TimelineEntry(request.settled_at, "expired", None, text))
    if request.state == RequestState.CANCELLED.value and request.settled_at is not None:
        by = settled_by(request)
        text = "cancelled the request." if by else "The request was cancelled."
        moments.append(TimelineEntry(request.settled_at, "cancelled", by, text, request.settled_note))
    moments += _mails(case, reader, asker, sees_everything, talk)
    # A mail goes out because of something, so at the same instant it comes after it.
    told = [one for one in moments if one.kind == "commented" or talk.holds(one.at)]
    return StoryPart(sorted(told, key=lambda one: (one.at, one.kind == "mailed"), reverse=True), talk.earlier)


@dataclass(frozen=True, slots=True)
class CommentThread:
    """The newest comments, or the newest before one of them, oldest first, and the time that they stand for."""

    moments: list[TimelineEntry]
    since: datetime | None = None
    until: datetime | None = None
    # The oldest one shown, when there are earlier ones.
    earlier: int = 0

    def holds(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def comments(request_id: int, *, before: int = 0) -> CommentThread:
    """What people wrote on a request beside deciding it."""
    query = (
        select(Comment.id.label("comment"), Comment.body, Comment.created_at, Person.id, Person.public_id, Person.name)
        .join(Person, Person.id == Comment.person_id)
        .where(Comment.request_id == request_id)
        .order_by(Comment.id.desc())
        .limit(COMMENTS_SHOWN + 2)
    )
    rows = list(db.session.execute(query.where(Comment.id <= before) if before else query))
    until = rows.pop(0).created_at if rows and rows[0].comment == before else None
    more, rows = len(rows) > COMMENTS_SHOWN, rows[COMMENTS_SHOWN - 1 :: -1]
    return CommentThread(
        [
            TimelineEntry(row.created_at, "commented", Who(row.id, row.public_id, row.name), "commented.", row.body)
            for row in rows
        ],
        since=rows[0].created_at if more else None,
        until=until,
        earlier=rows[0].comment if more else 0,
    )


def _mails(case: Case, reader: Person, asker: Who, sees_everything: bool, talk: CommentThread) -> list[TimelineEntry]:
    within = [Notice.created_at >= talk.since] if talk.since is not None else []
    within += [Notice.created_at < talk.until] if talk.until is not None else []
    rows = db.session.execute(
        select(Notice.kind, Notice.role, Notice.person_id, Notice.address, Notice.state, Notice.due_at,
               Notice.settled_at, Notice.tries, Notice.error, Notice.created_at, Notice.data_json, Person.name)
        .outerjoin(Person, Person.id == Notice.person_id)
        .where(Notice.request_id == case.request.id, *within)
        .order_by(Notice.id.desc())
        .limit(1000)
    ).all()[::-1]  # fmt: skip
    moments = []
    for (at, asking, again), group in groupby(
        rows,
        key=lambda row: (row.created_at, row.kind == NoticeKind.APPROVAL_ASKED, _asked_again(row.kind, row.data_json)),
    ):
        text, about = ASKED_AGAIN.get(again, ("Approval requested." if asking else "Emails sent.", ""))
        mails = [
            EntryMail(
                to="you" if row.person_id == reader.id
                else row.name or (row.address if sees_everything else "an external address"),
                about=about or kind_of(row.kind).in_history,
                state=row.state,
                at=row.settled_at or row.created_at,
                due_at=row.due_at,
                tries=row.tries,
                error=row.error if row.person_id is not None or sees_everything else "",
                created_at=row.created_at,
            )
            for row in group
        ]  # fmt: skip
        who = asker if again == "again" else None
        moments.append(
            TimelineEntry(
                at, "mailed", who, text, mails=mails[:MAILS_SHOWN], more_mails=max(0, len(mails) - MAILS_SHOWN)
            )
        )
    return moments


def _asked_again(kind: str, data_json: str) -> str:
    """Which key of ASKED_AGAIN a notice is; "" for the first approval request, and for any other kind."""
    if kind != NoticeKind.APPROVAL_ASKED or data_json == "{}":
        return ""
    return next((key for key in json.loads(data_json) if key in ASKED_AGAIN), "")


def days(moments: Sequence[TimelineEntry], times: Times) -> list[tuple[str, list[TimelineEntry]]]:
    """The moments under a heading for each day, in the reader's zone."""
    return [(day, list(group)) for day, group in groupby(moments, key=lambda one: times.day(one.at))]


def line_of(case: Case, steps: Sequence[ChainStep]) -> OwnRequest:
    """The case as lists show a request."""
    request, app = case.request, case.app
    return OwnRequest(
        id=request.id,
        public_id=request.public_id,
        app=AppSummary(app.public_id, app.name, app.icon, app.hue, app.icon_url),
        app_public_id=app.public_id,
        state=request.state,
        created_at=request.created_at,
        settled_at=request.settled_at,
        settled_note=request.settled_note,
        settled_by=settled_by(request),
        reminded_at=request.reminded_at,
        details=in_words(case.policy.sheet_for_requester(request.values)),
        steps=steps,
    )


def positions_of(case: Case, person_id: int) -> list[int]:
    """The steps that this person was asked for and may see still, by position."""
    return list(
        db.session.scalars(
            select(Step.position)
            .join(Invitation, Invitation.step_id == Step.id)
            .where(
                Step.request_id == case.request.id,
                Invitation.person_id == person_id,
                visibility.may_still_see(Invitation, Step),
            )
        )
    )


_NEXT_DUE = (
    select(func.min(Step.due_at))
    .join(Invitation, Invitation.step_id == Step.id)
    .where(
        Invitation.person_id == bindparam("person"),
        Invitation.live,
        Step.state == OPEN,
        Step.due_at > db_now(),
    )
)


def next_due(person_id: int) -> datetime | None:
    """When the first of the steps that wait for this person is due."""
    due: datetime | None = read(_NEXT_DUE, {"person": person_id}).scalar()
    return due


def settled_by(request: AccessRequest) -> Who | None:
    """Who closed the request; None while it is pending, and when it expired."""
    if request.settled_by_id is None:
        return None
    person = db.session.get_one(Person, request.settled_by_id)
    return Who(person.id, person.public_id, person.name)


def owner_of(app: App) -> Who | None:
    """The owner of the app: an active person, or a group."""
    if app.owner_person_id is not None:
        person = db.session.get_one(Person, app.owner_person_id)
        return Who(person.id, person.public_id, person.name) if person.active else None
    if app.owner_group_id is not None:
        group = db.session.get_one(Group, app.owner_group_id)
        return Who(0, group.public_id, group.name)
    return None


def rule_in_words(case: Case, steps: Sequence[ChainStep]) -> list[tuple[str, str]]:
    """(what, how) of the rule that the request started under."""
    names = [step.person.name.split()[0] if step.person else step.group_name for step in steps]
    words = names[0] if len(names) == 1 else listed(names, ", then ")
    return [
        ("Approvers", words),
        ("Time limit", _time_limit([step.days for step in case.steps])),
        ("If denied", "The request is closed."),
        ("If no decision", f"The request expires.{_told(case.policy.outcomes[RequestState.EXPIRED])}"),
    ]


def _time_limit(days: Sequence[int]) -> str:
    if len(set(days)) > 1:
        return "Differs by step"
    limit = "1 day" if days[0] == 1 else f"{days[0]} days"
    return limit if len(days) == 1 else f"{limit} per step"


def _told(rule: OutcomeRule) -> str:
    """Who gets an email then, as a further sentence; "" for nobody."""
    wanted = (("the requester", rule.requester), ("the approvers", rule.approvers), ("external addresses", rule.others))
    told = [words for words, so in wanted if so]
    if not told:
        return ""
    verb = "gets" if told == ["the requester"] else "get"
    names = told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"
    return f" {capital(names)} {verb} an email."


def _step_names(case: Case) -> dict[int, str]:
    """position → the group's name, for steps that a group decides."""
    groups = {step.approver_group_id for step in case.steps if step.approver_group_id is not None}
    if not groups:
        return {}
    names = {row.id: row.name for row in db.session.execute(select(Group.id, Group.name).where(Group.id.in_(groups)))}
    return {step.position: names[step.approver_group_id] for step in case.steps if step.approver_group_id is not None}
