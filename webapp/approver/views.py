"""Approvals: the queue, and decisions from the queue or from the link in an email.

The link shows; a session, or the code of the email, decides. Opening any of these pages changes nothing.
"""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, links
from webapp.approver.decision_page import Reader, show
from webapp.delivery import outbox
from webapp.extensions import db, limiter
from webapp.operations import approval_codes, decisions, proofs
from webapp.operations import people as people_operations
from webapp.operations.errors import CodeRefused, Conflict, Invalid, LinkClosed, SignInRequired
from webapp.operations.proofs import Proof
from webapp.queries import approvals, cases
from webapp.queries.cases import Case
from webapp.queries.sessions import live_browser
from webapp.runtime import trace
from webapp.text import whole_number
from webapp.web import access, cookies, htmx
from webapp.web.access import Invited
from webapp.web.presentation import now, read_as, times
from webapp.web.signin import anyone, lock_signed_in, me, people, signed_in
from webapp.workflow.errors import BadValues, NotYourTurn, ReasonMissing, SelfApproval, Settled, WorkflowError
from webapp.workflow.states import RequestState, Verdict

bp = Blueprint("approver", __name__)

BROWSER_COOKIE = "countersign_decisions"
BROWSER_LASTS = timedelta(days=90)


# The queue


@bp.get("/approvals")
@people
def queue() -> str:
    """The requests that wait for the person, the next deadline first, and their latest decisions."""
    turns = approvals.waiting(me().id, after=_after(request.args.get("after", "")))
    decided = approvals.decided_by(me().id, limit=5)
    page, more = turns[: approvals.PAGE], len(turns) > approvals.PAGE
    return render_template(
        "approver/queue.html",
        turns=page,
        after=f"{page[-1].due_at.timestamp()}:{page[-1].step_id}" if more else "",
        first_page=not request.args.get("after"),
        today=times().local(now()).date(),
        local=times().local,
        decided=decided[:5],
        more_decided=len(decided) > 5,
    )


@bp.get("/approvals/decided")
@people
def decided() -> str:
    """All decisions of the person, newest first."""
    before = request.args.get("before", "")
    found = approvals.decided_by(me().id, before=whole_number(before))
    page = found[: approvals.PAGE]
    return render_template(
        "approver/decided.html",
        decided=page,
        before=page[-1].id if len(found) > approvals.PAGE else None,
        first_page=not before,
    )


def _after(text: str) -> tuple[datetime, int] | None:
    """The key after which the next page begins, from "deadline in seconds since 1970:step id"."""
    instant, _, id = text.partition(":")
    number = whole_number(id)
    try:
        return (datetime.fromtimestamp(float(instant), UTC), number) if number is not None else None
    except (ValueError, OverflowError, OSError):
        return None


# The decision page


@bp.get("/approvals/<public_id>")
@people
def decide(public_id: str) -> AnyResponse:
    """The decision page, signed in."""
    case, _ = access.request_to_see(public_id, me())
    return show(case, Reader(me(), has_session=True))


@bp.post("/requests/<public_id>/approval")
@people
def approve(public_id: str) -> AnyResponse:
    """Approves the open step, signed in."""
    return _decide_signed_in(public_id, Verdict.APPROVED)


@bp.post("/requests/<public_id>/denial")
@people
def deny(public_id: str) -> AnyResponse:
    """Denies the open step, signed in."""
    return _decide_signed_in(public_id, Verdict.DENIED)


def _decide_signed_in(public_id: str, verdict: Verdict) -> AnyResponse:
    return _decide(access.request_to_decide(public_id), Reader(me(), has_session=True), verdict)


@bp.get("/decide/<token>")
@anyone
def link(token: str) -> AnyResponse:
    """The page behind the link of an email."""
    reader = _reader(token)
    if reader is None:
        return _invalid()
    case = _case_behind(reader)
    if reader.person is None:
        return _sent_to_another(reader, case)
    if not _may_see(reader):
        return _invalid(left=True)
    return show(case, reader)


@bp.post("/decide/<token>/approval")
@limiter.limit("60 per minute")
@anyone
def approve_by_link(token: str) -> AnyResponse:
    """Approves the open step from the link of an email."""
    return _decide_by_link(token, Verdict.APPROVED)


@bp.post("/decide/<token>/denial")
@limiter.limit("60 per minute")
@anyone
def deny_by_link(token: str) -> AnyResponse:
    """Denies the open step from the link of an email."""
    return _decide_by_link(token, Verdict.DENIED)


@bp.post("/decide/<token>/code")
@limiter.limit("20 per minute")
@anyone
def new_code(token: str) -> AnyResponse:
    """Send the same email again while the code works; once wrong codes have locked it, start a new round. Both go to
    the person that the link was sent to.

    Not a new round right away: a mail scanner that presses buttons would invalidate the person's link.
    """
    reader = _reader(token)
    if reader is None or reader.invited is None:
        return _invalid()
    case = _case_behind(reader)
    if reader.person is None:
        return _sent_to_another(reader, case, status=403)
    if not _may_see(reader):
        return _invalid(left=True)
    if not reader.invited.is_newest:
        return show(case, reader, note="We have already sent you a new code. Check the latest email.", status=409)
    invitation = reader.invited.invitation
    is_closed = invitation.wrong_codes >= approval_codes.WRONG_CODES
    try:
        if is_closed:
            approval_codes.mail_new_code(case, invitation, now=now())
        else:
            approval_codes.mail_same_code(case, invitation, now=now())
    except (Conflict, WorkflowError) as error:
        db.session.rollback()
        return show(_fresh(case), reader, note=str(error), status=409)
    outbox.commit()
    name = reader.invited.person.name
    if not is_closed:
        # Keep the form with what was typed: the person comes back with the code.
        return show(case, reader, done=f"Email sent again to {name}. The link and code are the same.")
    flash(
        f"We have sent {name} a new link and code. The link you used can no longer be used to decide.",
        "done",
    )
    return _go_to(reader.address)


def _reader(token: str) -> Reader | None:
    """The reader of the page behind a link: the session comes first, then a trusted browser of the same person."""
    invited = access.behind_link(token)
    if invited is None:
        return None
    read_as(invited.time_zone)
    trace.about(person=invited.person.public_id)
    user = signed_in()
    if user is not None:
        read_as(user.time_zone)
        mine = user.person.id == invited.person.id
        return Reader(user.person if mine else None, token, invited, has_session=True)
    return Reader(invited.person, token, invited, remembered=invited.is_newest and _is_remembered(invited))


def _may_see(reader: Reader) -> bool:
    """Whether the person may still see the request: a link shows no more than a session."""
    return reader.invited is not None and reader.invited.may_see


def _is_remembered(invited: Invited) -> bool:
    browser = links.verify_trusted_browser(cookies.read(BROWSER_COOKIE))
    return browser is not None and live_browser(browser, invited.person.id, now=clock.now())


def _case_behind(reader: Reader) -> Case:
    assert reader.invited is not None
    case = cases.load(id=reader.invited.request_id)
    assert case is not None  # requests are never deleted
    trace.about(access_request=case.request.public_id)
    return case


def _decide_by_link(token: str, verdict: Verdict) -> AnyResponse:
    lock_signed_in()
    reader = _reader(token)
    if reader is None or reader.invited is None:
        return _invalid()
    case = _case_behind(reader)
    if reader.person is None:
        return _sent_to_another(reader, case, status=403)
    if not _may_see(reader):
        return _invalid(left=True)
    return _decide(case, reader, verdict)


def _proof(reader: Reader) -> Proof:
    """The proof for the decision: the session, or the link with its code or trusted browser."""
    if reader.has_session or reader.invited is None:
        return proofs.SIGNED_IN
    code = None if reader.remembered else request.form.get("code", "")
    return proofs.of_link(reader.invited.invitation, reader.invited.link.round, code=code)


def _decide(case: Case, reader: Reader, verdict: Verdict) -> AnyResponse:
    """Decide, commit, and redirect to the present state; invalid input is redisplayed with what was typed."""
    assert reader.person is not None
    comment = request.form.get("reason" if verdict is Verdict.DENIED else "comment", "")
    ready, rule = request.form.get("ready", ""), case.policy.outcomes.get(RequestState.DENIED)
    if verdict is Verdict.DENIED and not comment.strip() and rule and ready in rule.reasons:
        # A reason chosen from the list is used only if none was typed.
        comment = ready
    given = {one.id: request.form.getlist(f"field-{one.id}") for one in case.policy.entitlements}
    proof = _proof(reader)
    try:
        decisions.decide(
            case, actor=reader.person, proof=proof, verdict=verdict, comment=comment, given=given,
            step_id=whole_number(request.form.get("step", "")), now=now(),
        )  # fmt: skip
    except LinkClosed:
        return show(case, reader, status=409)
    except SignInRequired:
        return show(case, reader, status=403)
    except CodeRefused as error:
        if error.is_counted:
            outbox.commit()
        errors = {"code": str(error)} if str(error) else None
        return show(case, reader, errors=errors, wants_code=error.is_missing, status=422)
    except ReasonMissing as error:
        return _refused(case, reader, {"reason": str(error)})
    except Invalid as error:
        db.session.rollback()
        if not reader.token:
            access.refuse_to_decide(case, reader.person)
        return _refused(case, reader, error.fields)
    except BadValues as error:
        return _refused(case, reader, {f"field-{key}": words for key, words in error.fields.items()})
    except (SelfApproval, NotYourTurn):
        db.session.rollback()
        access.refuse_to_decide(case, reader.person)
        raise
    except (Settled, Conflict) as error:
        db.session.rollback()
        if not reader.token:
            access.refuse_to_decide(case, reader.person)
        return show(_fresh(case), reader, note=str(error), status=409)
    cookie = _remember_browser(reader) if proof.invitation is not None and request.form.get("remember") else ""
    outbox.commit()
    response = _go_to(reader.address or f"/approvals/{case.request.public_id}")
    if cookie:
        cookies.put(response, BROWSER_COOKIE, cookie, lasts=BROWSER_LASTS, path="/decide")
    return response


def _remember_browser(reader: Reader) -> str:
    assert reader.person is not None
    row = people_operations.start_session(
        reader.person.id, kind="decisions", browser=request.user_agent.string, address=request.remote_addr or "",
        lasts=BROWSER_LASTS, now=clock.now(),
    )  # fmt: skip
    return links.browser_token(row.public_id)


def _go_to(address: str) -> AnyResponse:
    """Redirect to the page with the present state."""
    if htmx.is_fragment():
        return htmx.redirect_whole_page(make_response("", 200), address)
    return redirect(address, 303)


def _fresh(case: Case) -> Case:
    return cases.reload(case)


def _refused(case: Case, reader: Reader, errors: dict[str, str]) -> AnyResponse:
    db.session.rollback()
    return show(_fresh(case), reader, errors=errors, status=422)


def _sent_to_another(reader: Reader, case: Case, *, status: int = 200) -> AnyResponse:
    """The page for someone else's link: says who it was sent to, and links to the request if the person may see it."""
    assert reader.invited is not None
    may_see = access.access_to(case, me()).may_see
    body = render_template(
        "approver/another.html",
        sent_to=reader.invited.person,
        address=f"/requests/{case.request.public_id}" if may_see else "",
    )
    return make_response(body, status)


def _invalid(*, left: bool = False) -> AnyResponse:
    """The same page for every invalid link, so that it reveals nothing; `left`: the person may no longer see it."""
    return make_response(render_template("approver/link_invalid.html", left=left), 404)
