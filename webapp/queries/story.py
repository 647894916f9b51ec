"""The history of a request: what happened, which emails were sent, and whether they arrived."""

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
# A group of a hundred gets a hundred emails; the page shows so many and the number of the others.
MAILS_SHOWN = 20
# Comments are shown in parts of so many.
COMMENTS_SHOWN = 100


@dataclass(frozen=True, slots=True)
class EntryMail:
    """One email of an entry: `state` is due, leased, sent, dead or obsolete."""

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
    """One entry of the history, with the emails that it caused."""

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
    """A part of the history, newest first. `earlier`: the comment that this part begins with, if there is more."""

    entries: list[TimelineEntry]
    earlier: int = 0


def of(case: Case, *, reader: Person, sheet: Sheet, sees_everything: bool, before: int = 0) -> StoryPart:
    """The newest part, or the one before the comment `before`, in three statements, with what the reader may see: the
    fields of their sheet; external addresses, and the answers of their mail servers, for owners and admins only."""
    request = case.request
    thread = comments(request.id, before=before)
    asker = Who(case.asked_by.id, case.asked_by.public_id, case.asked_by.name)
    entries = [TimelineEntry(request.created_at, "asked", asker, f"requested {case.app.name}.", request.message)]
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
        entries.append(
            TimelineEntry(decision.created_at, "decided", Who(row.id, row.public_id, row.name), text, decision.comment,
                   decision.verdict == "denied",
                   {name: value for name, value in decision.set_values.items() if name in seen})
        )  # fmt: skip
    entries += thread.entries
    if request.state == RequestState.EXPIRED.value and request.settled_at is not None:
        text = "The request expired: no decision by the deadline."
        entries.append(TimelineEntry(request.settled_at, "expired", None, text))
    if request.state == RequestState.CANCELLED.value and request.settled_at is not None:
        by = settled_by(request)
        text = "cancelled the request." if by else "The request was cancelled."
        entries.append(TimelineEntry(request.settled_at, "cancelled", by, text, request.settled_note))
    entries += _mails(case, reader, asker, sees_everything, thread)
    # An email follows from what happened at the same instant, so it comes after it.
    shown = [one for one in entries if one.kind == "commented" or thread.holds(one.at)]
    return StoryPart(sorted(shown, key=lambda one: (one.at, one.kind == "mailed"), reverse=True), thread.earlier)


@dataclass(frozen=True, slots=True)
class CommentThread:
    """The newest comments, or those before one of them, oldest first, and the span of time that they cover."""

    entries: list[TimelineEntry]
    since: datetime | None = None
    until: datetime | None = None
    # The oldest one shown, when there are earlier ones.
    earlier: int = 0

    def holds(self, at: datetime) -> bool:
        return (self.since is None or at >= self.since) and (self.until is None or at < self.until)


def comments(request_id: int, *, before: int = 0) -> CommentThread:
    """The comments on a request, without those of decisions."""
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


def _mails(case: Case, reader: Person, asker: Who, sees_everything: bool, thread: CommentThread) -> list[TimelineEntry]:
    within = [Notice.created_at >= thread.since] if thread.since is not None else []
    within += [Notice.created_at < thread.until] if thread.until is not None else []
    rows = db.session.execute(
        select(Notice.kind, Notice.role, Notice.person_id, Notice.address, Notice.state, Notice.due_at,
               Notice.settled_at, Notice.tries, Notice.error, Notice.created_at, Notice.data_json, Person.name)
        .outerjoin(Person, Person.id == Notice.person_id)
        .where(Notice.request_id == case.request.id, *within)
        .order_by(Notice.id.desc())
        .limit(1000)
    ).all()[::-1]  # fmt: skip
    entries = []
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
        entries.append(
            TimelineEntry(
                at, "mailed", who, text, mails=mails[:MAILS_SHOWN], more_mails=max(0, len(mails) - MAILS_SHOWN)
            )
        )
    return entries


def _asked_again(kind: str, data_json: str) -> str:
    """Which key of ASKED_AGAIN a notice is; "" for the first approval request, and for any other kind."""
    if kind != NoticeKind.APPROVAL_ASKED or data_json == "{}":
        return ""
    return next((key for key in json.loads(data_json) if key in ASKED_AGAIN), "")


def days(entries: Sequence[TimelineEntry], times: Times) -> list[tuple[str, list[TimelineEntry]]]:
    """The entries grouped by day, in the reader's time zone."""
    return [(day, list(group)) for day, group in groupby(entries, key=lambda one: times.day(one.at))]


def line_of(case: Case, steps: Sequence[ChainStep]) -> OwnRequest:
    """The case as a row of the lists."""
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
    """The positions of the steps that this person was invited to decide and may still see."""
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
    """The earliest deadline among the steps that wait for this person."""
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
    """(label, text) of the rules that the request was submitted under."""
    names = [step.person.name.split()[0] if step.person else step.group_name for step in steps]
    words = names[0] if len(names) == 1 else listed(names, ", then ")
    return [
        ("Approvers", words),
        ("Time limit", _time_limit([step.days for step in case.steps])),
        ("If denied", "The request is closed."),
        ("If no decision", f"The request expires.{_recipients_text(case.policy.outcomes[RequestState.EXPIRED])}"),
    ]


def _time_limit(days: Sequence[int]) -> str:
    if len(set(days)) > 1:
        return "Differs by step"
    limit = "1 day" if days[0] == 1 else f"{days[0]} days"
    return limit if len(days) == 1 else f"{limit} per step"


def _recipients_text(rule: OutcomeRule) -> str:
    """A further sentence that names the recipients of the email; "" without any."""
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
