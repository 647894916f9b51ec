"""The dashboard: the person's apps and requests, and the page of one request."""

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import approval_chain
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import comments, requests
from webapp.operations.errors import Invalid
from webapp.queries import cases, chains, dashboard, story
from webapp.queries.cases import Case
from webapp.queries.chains import Who
from webapp.queries.dashboard import OwnRequest
from webapp.text import whole_number
from webapp.web import access, htmx
from webapp.web.access import RequestAccess
from webapp.web.presentation import now, times
from webapp.web.signin import me, people, signed_in
from webapp.workflow import state_machine
from webapp.workflow.states import RequestState

bp = Blueprint("dashboard", __name__)

SETTLED_FOR = timedelta(days=7)
PAGE = 20


@bp.get("/")
@people
def home() -> str:
    """The person's apps, pending requests and who has them, and requests closed in the last seven days."""
    found = [_with_chain(line) for line in dashboard.requests_of(me().id, settled_since=now() - SETTLED_FOR)]
    user = signed_in()
    return render_template(
        "dashboard/page.html",
        tiles=dashboard.apps_of(me().id),
        pending=[one for one in found if one["pending"]],
        settled=[one for one in found if not one["pending"]],
        greeting=_greeting(),
        new_since=now() - timedelta(hours=24),
        next_due=story.next_due(me().id) if user is not None and user.waiting else None,
    )


@bp.get("/requests")
@people
def all_requests() -> str:
    """All requests of the person, newest first."""
    before = request.args.get("before", "")
    found = dashboard.all_requests_of(me().id, before=whole_number(before), limit=PAGE)
    lines, more = found[:PAGE], len(found) > PAGE
    return render_template(
        "dashboard/requests.html",
        lines=[_with_chain(line) for line in lines],
        before=lines[-1].id if more else None,
        first_page=not before,
    )


@bp.get("/requests/<public_id>")
@people
def one(public_id: str) -> str:
    """The page of one request."""
    case, rights = access.request_to_see(public_id, me())
    return _story(case, rights, before=whole_number(request.args.get("before", "")) or 0)


@bp.get("/requests/<public_id>/cancellation")
@people
def ask_to_cancel(public_id: str) -> AnyResponse:
    """The dialog that asks for a reason before a request is cancelled."""
    case = access.own_request(public_id, me())
    state_machine.cancel(case.snapshot())  # raises with the present state if it cannot be cancelled
    return _cancellation(case)


@bp.post("/requests/<public_id>/cancellation")
@people
def cancel(public_id: str) -> AnyResponse | str:
    """Cancels the person's own pending request."""
    case = access.own_request(public_id, me())
    reason = request.form.get("reason", "")
    try:
        requests.cancel(case, actor=me(), reason=reason, now=now())
    except Invalid as error:
        db.session.rollback()
        return _cancellation(case, reason=reason, errors=error.fields, status=422)
    outbox.commit()
    sentence = f"Request for {case.app.name} cancelled. The approvers have been notified."
    own_page = f"/requests/{public_id}"
    if htmx.is_fragment() and urlsplit(htmx.current_page() or "").path != own_page:
        line = _with_chain(_line_of(case))
        body = render_template("dashboard/_request_and_toast.html", line=line, sentence=sentence)
        return htmx.retarget(make_response(body), f"#request-{public_id}")
    flash(sentence)
    if htmx.is_fragment():
        return htmx.redirect_whole_page(make_response("", 200), own_page)
    return redirect(own_page, 303)


def _cancellation(
    case: Case, *, reason: str = "", errors: dict[str, str] | None = None, status: int = 200
) -> AnyResponse:
    return htmx.dialog("dashboard", "cancellation", status, case=case, reason=reason, errors=errors or {})


@bp.post("/requests/<public_id>/reminder")
@people
def remind(public_id: str) -> AnyResponse | str:
    """Sends the approvers a reminder, at most once a day."""
    case = access.own_request(public_id, me())
    requests.remind(case, actor=me(), now=now())
    outbox.commit()
    sentence = "Reminder sent. You can send another one in 24 hours."
    if htmx.is_fragment():
        return render_template("dashboard/_request_and_toast.html", line=_with_chain(_line_of(case)), sentence=sentence)
    flash(sentence)
    return redirect(f"/requests/{public_id}", 303)


@bp.post("/requests/<public_id>/comments")
@people
def comment(public_id: str) -> AnyResponse | str:
    """Adds a comment to a request that the person may see."""
    case, rights = access.request_to_see(public_id, me())
    body = request.form.get("comment", "")
    try:
        comments.add(case, actor=me(), body=body, now=now())
    except Invalid as error:
        db.session.rollback()
        return make_response(_story(case, rights, comment=body, error=error.fields["comment"]), 422)
    outbox.commit()
    if htmx.is_fragment():
        return render_template("dashboard/_story.html", **_story_context(case, rights))
    return redirect(f"/requests/{public_id}#story", 303)


def _story(case: Case, rights: RequestAccess, *, comment: str = "", error: str = "", before: int = 0) -> str:
    context = _story_context(case, rights, before) | {"comment": comment, "comment_error": error}
    if htmx.is_fragment():
        return render_template("dashboard/_story.html", **context)
    steps = chains.of_requests([case.request.id], reader=me().id).get(case.request.id, [])
    line = _line_of(case, steps)
    return render_template(
        "dashboard/request.html",
        line=_with_chain(line, case=case),
        names={who.id: who.name for who in _people_in(case, steps)},
        policy=case.policy,
        rule=story.rule_in_words(case, steps),
        owner=story.owner_of(case.app),
        may_decide=rights.is_asked and any(who.id == me().id for step in steps for who in step.asked)
        and case.open_step is not None and not case.is_overdue,
        may_step_in=rights.is_admin and not rights.is_requester and case.open_step is not None and not case.is_overdue,
        **context,
    )  # fmt: skip


def _story_context(case: Case, rights: RequestAccess, before: int = 0) -> dict[str, Any]:
    sheet = access.sheet_for(case, rights, me())
    part = story.of(case, reader=me(), sheet=sheet, sees_everything=rights.sees_everything, before=before)
    return {
        "case": case,
        "sheet": sheet,
        "days": story.days(part.entries, times()),
        "earlier": part.earlier,
        "is_earlier": bool(before),
        "comment": "",
        "comment_error": "",
    }


def _people_in(case: Case, steps: list[chains.ChainStep]) -> list[Who]:
    people = [Who(case.asked_by.id, case.asked_by.public_id, case.asked_by.name)]
    people += [decision.by for step in steps for decision in step.decisions]
    return people


def _line_of(case: Case, steps: list[chains.ChainStep] | None = None) -> OwnRequest:
    """The case as a row of the lists; without `steps` it is loaded again after a change."""
    if steps is None:
        case = cases.reload(case)
        steps = chains.of_requests([case.request.id], reader=me().id).get(case.request.id, [])
    return story.line_of(case, steps)


def _with_chain(line: OwnRequest, case: Case | None = None) -> dict[str, Any]:
    """The values for dashboard/_requests.html: the request, its chain, who has it, and what the reader can do."""
    reader = me()
    person = reader if case is None else case.for_person
    requester = Who(person.id, person.public_id, person.name)
    step = line.open_step
    last = line.last_decision
    decided_by = line.settled_by if line.state == RequestState.CANCELLED.value else last.by if last else None
    mine = requester.id == reader.id
    overdue = step is not None and step.overdue
    pending = line.state == RequestState.PENDING.value and not overdue
    asked = line.reminded_at or line.created_at
    return {
        "line": line,
        "mine": mine,
        "requester": requester,
        "nodes": approval_chain.chain_nodes(
            app=line.app, requester=requester, asked_at=line.created_at,
            state=RequestState.EXPIRED.value if overdue else line.state,
            settled_at=line.settled_at, steps=line.steps, times=times(), reader=reader.id,
        ),
        "step": step,
        "pending": pending,
        "overdue": overdue,
        "decided_by": ("you" if decided_by.id == reader.id else decided_by.name) if decided_by is not None else "",
        "reason": line.settled_note if line.state == RequestState.CANCELLED.value
        else last.comment if last is not None and line.state == RequestState.DENIED.value else "",
        "can_cancel": mine and pending,
        "can_request_again": mine and (overdue or line.state in ("denied", "expired", "cancelled")),
        "can_remind": mine and pending and step is not None and step.asked_count > 0
        and now() - asked >= requests.REMIND_AFTER,
        "first_asked": step.asked[0].name.split()[0] if step and step.asked_count == 1 else "",
    }  # fmt: skip


def _greeting() -> str:
    hour = times().local(now()).hour
    if 5 <= hour < 12:
        return "Good morning"
    return "Good afternoon" if 12 <= hour < 18 else "Good evening"
