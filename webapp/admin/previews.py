"""Previews of each email of an app, with real names and the rules in force.

Its facts are made up here and never stored: nothing is written or sent, and its link and code are none.
"""

from dataclasses import dataclass
from datetime import timedelta

from flask import Response, abort, request

from webapp.delivery import mail
from webapp.models import AccessRequest, App, Grant, Invitation, Notice, Person
from webapp.notices import NoticeKind
from webapp.queries import directory, principals, rules
from webapp.queries.chains import ChainStep, StepDecision, Who
from webapp.queries.directory import Found
from webapp.queries.mail_context import MailContext
from webapp.queries.principals import Principal
from webapp.web import framed
from webapp.web.presentation import now
from webapp.web.signin import me, owners_of_app
from webapp.workflow.approvers import who_decides
from webapp.workflow.policy import Policy
from webapp.workflow.states import RequestState, StepState

from . import apps, picker
from .forms import AppPage
from .views import bp, fragment

# Public id of the made-up request in previews.
NO_REQUEST = "0" * 12


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of email: kind of notice, name, when it is sent, state of the request and its steps, recipients."""

    notice: NoticeKind
    title: str
    sent: str
    state: RequestState
    first: StepState  # of the first step, or of the one that the email is about
    rest: StepState
    roles: tuple[str, ...]


P, S = RequestState, StepState
KINDS = {
    "asked": Kind(NoticeKind.APPROVAL_ASKED, "Approval needed", "Sent to the approvers of a step when it begins.",
                  P.PENDING, S.OPEN, S.WAITING, ("approver",)),
    "approved": Kind(NoticeKind.REQUEST_APPROVED, "Approved", "Sent after final approval.",
                     P.APPROVED, S.APPROVED, S.APPROVED, ("requester", "approver", "other")),
    "denied": Kind(NoticeKind.REQUEST_DENIED, "Denied", "Sent when an approver denies.",
                   P.DENIED, S.DENIED, S.SKIPPED, ("requester", "approver", "other")),
    "expired": Kind(NoticeKind.REQUEST_EXPIRED, "Expired", "Sent when the deadline passes without a decision.",
                    P.EXPIRED, S.EXPIRED, S.SKIPPED, ("requester", "approver", "other")),
    "cancelled": Kind(NoticeKind.REQUEST_CANCELLED, "Cancelled", "Sent to the approvers when a request is cancelled.",
                      P.CANCELLED, S.SKIPPED, S.SKIPPED, ("approver",)),
    "settled": Kind(NoticeKind.REQUEST_SETTLED, "Already decided",
                    "Sent to the other group members when one of them decides.",
                    P.PENDING, S.APPROVED, S.WAITING, ("approver",)),
    "added": Kind(NoticeKind.APP_ADDED, "Added", "Sent to the person who adds the app, while no approval is required.",
                  P.APPROVED, S.APPROVED, S.APPROVED, ("requester",)),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Preview:
    """The preview that the address asks for. `message` is None where nobody may decide, because such a request is
    refused and nobody gets an email."""

    page: AppPage
    kind: Kind
    to: str
    at: int
    asker: Principal | None
    message: mail.Mail | None


@bp.get("/apps/<public_id>/mails/<kind>")
@owners_of_app
def preview_mail(public_id: str, kind: str) -> Response:
    """As if `person` ("person:4K7W9Q2M3XTA"; else the one who looks) had asked; to the role `to`, of the step `step`
    (from 1)."""
    made = _preview(public_id, kind)
    answer = fragment(
        "admin/mail_preview.html",
        app=made.page.row.app,
        page=made.page,
        kind=kind,
        kinds=KINDS,
        shown=made.kind,
        to=made.to,
        at=made.at,
        asker=made.asker,
        message=made.message,
        pick=picker.picked(),
    )
    return framed.page(answer)


@bp.get("/apps/<public_id>/mails/<kind>/body")
@owners_of_app
def preview_mail_body(public_id: str, kind: str) -> Response:
    """The previewed email itself, for the frame."""
    message = _preview(public_id, kind).message or abort(404)
    return framed.email(message.html or "", message.body or "")


def _preview(public_id: str, kind: str) -> Preview:
    found = KINDS.get(kind)
    to, given = request.args.get("to", ""), request.args.get("step", "1")
    if found is None or (to and to not in found.roles):
        abort(404)
    page = apps.load(public_id)
    at = int(given) - 1 if given.isascii() and given.isdigit() and len(given) < 3 else -1
    if not 0 <= at < max(1, len(page.steps)):
        abort(404)
    chosen = principals.chosen(request.args.get("person", ""))
    asker = chosen if chosen is not None and not chosen.is_group else None
    to = to or found.roles[0]
    facts = _facts(page, found, to, at, asker)
    sent = kind == "added" or (facts.steps and all(step.asked for step in facts.steps))
    return Preview(page, found, to, at, asker, mail.render(facts) if sent else None)


def _facts(page: AppPage, kind: Kind, role: str, at: int, asker: Principal | None) -> MailContext:
    app, policy = page.row.app, page.row.policy
    person = _person(Who(asker.id, asker.public_id, asker.name)) if asker is not None else me()
    steps = _steps(page, kind, person, at)
    reader: Person | None = person
    if role == "other":
        reader = None
    elif role == "approver":
        # In a group, someone who has not decided; else the person who has decided, or would.
        reader = _person(steps[at].asked[-1]) if steps and steps[at].asked else None
    notice = Notice(
        public_id=NO_REQUEST, kind=kind.notice.value, role=role, round=0, data_json="{}", created_at=now(),
        address="someone@example.com" if reader is None else None, step_id=at,
    )  # fmt: skip
    names = {person.id: person.name} | {who.id: who.name for step in steps for who in step.asked}
    return MailContext(
        notice, rules.organisation(), reader, app, policy, _request(app, policy, kind.state, person), person, person,
        Invitation(), _grant(policy), steps=steps, names=names, owner=page.row.owner.name if page.row.owner else "",
        stand_in=("example", "000000"),
    )  # fmt: skip


def _person(who: Who) -> Person:
    return Person(id=who.id, public_id=who.public_id, name=who.name, email="someone@example.com", time_zone="")


def _request(app: App, policy: Policy, state: RequestState, asker: Person) -> AccessRequest:
    made = AccessRequest(
        id=0, public_id=NO_REQUEST, app_id=app.id, asked_by_id=asker.id, for_person_id=asker.id,
        message="(example reason)", state=state.value, version=1,
        created_at=now() - timedelta(days=1), settled_at=now() if state is not RequestState.PENDING else None,
        settled_by_id=None, settled_note="",
    )  # fmt: skip
    made.values = policy.defaults()
    return made


def _grant(policy: Policy) -> Grant:
    made = Grant(created_at=now())
    made.values = policy.defaults()
    return made


def _steps(page: AppPage, kind: Kind, asker: Person, at: int) -> list[ChainStep]:
    """The steps as they would be: decided by the people who would decide now, up to the step at `at`."""
    owner = page.row.app.owner
    found = directory.look_up([*(step.approver for step in page.row.policy.steps), owner])
    made = []
    for position, named in enumerate(page.steps):
        if named is None:
            continue
        # An outcome ends the chain at its first step; the email to an approver is about the step at `at`.
        about = at if kind.notice in (NoticeKind.APPROVAL_ASKED, NoticeKind.REQUEST_SETTLED) else 0
        state = StepState.APPROVED if position < about else kind.first if position == about else kind.rest
        made.append(_step(page, position, named, state, asker, found))
    return made


def _step(
    page: AppPage, position: int, named: Principal, state: StepState, asker: Person, found: Found
) -> ChainStep:  # fmt: skip
    policy = page.row.policy
    who = who_decides(
        named.approver, owner=page.row.app.owner, directory=found.directory, without=frozenset({asker.id})
    )
    asked = [Who(one, found.contacts[one].public_id, found.contacts[one].name) for one in who.people[:3]]
    opened = now() - timedelta(days=1)
    is_person = not named.is_group
    step = ChainStep(
        id=position, request_id=0, position=position, state=state.value, tier=who.tier.value,
        due_at=now() + timedelta(days=policy.days_for(position)) if state is StepState.OPEN else now(),
        opened_at=opened if state is not StepState.WAITING else None,
        settled_at=now() if state not in (StepState.OPEN, StepState.WAITING) else None, overdue=False,
        person=Who(named.id, named.public_id, named.name) if is_person else None,
        group_id=None if is_person else named.id, group_public_id="" if is_person else named.public_id,
        group_name="" if is_person else named.name, asked=asked, asked_count=len(who.people),
    )  # fmt: skip
    if asked and state in (StepState.APPROVED, StepState.DENIED):
        comment = "(example reason for denying)" if state is StepState.DENIED else ""
        step.decisions.append(StepDecision(asked[0], state.value, "browser", comment, now()))
    return step
