"""The decision page: what an approver sees of a request, and the form to approve or deny it."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from flask import make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import approval_chain
from webapp.approver.closed_page import closed_message
from webapp.models import Person
from webapp.operations import approval_codes
from webapp.queries import approvals, chains, story
from webapp.queries.app_summaries import app_summary
from webapp.queries.cases import Case
from webapp.queries.chains import Who
from webapp.queries.dashboard import in_words
from webapp.web import htmx
from webapp.web.access import Invited
from webapp.web.presentation import times
from webapp.web.signin import signed_in
from webapp.workflow.entitlements import as_typed
from webapp.workflow.policy import MESSAGE_LIMIT
from webapp.workflow.states import Assurance


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a decision page: with a session, or with the link of an invitation.

    `person` is None for a link that was sent to someone other than the signed-in person.
    """

    person: Person | None
    token: str = ""
    invited: Invited | None = None
    has_session: bool = False
    remembered: bool = False

    @property
    def address(self) -> str:
        """The address of the page behind a link; "" in a session."""
        return f"/decide/{self.token}" if self.token else ""


def show(
    case: Case,
    reader: Reader,
    *,
    errors: dict[str, str] | None = None,
    note: str = "",
    done: str = "",
    wants_code: bool = False,
    status: int = 200,
) -> AnyResponse:
    """Render the decision form for a reader who may decide now, else the page that explains why not.

    `note` says why nothing was done, `done` what was done; `wants_code`: only the code is missing.
    """
    assert reader.person is not None
    steps = chains.of_requests([case.request.id], reader=reader.person.id)[case.request.id]
    closed = closed_message(
        case, steps, reader.person, reader.invited, times(), has_session=reader.has_session,
        closed_by=story.settled_by(case.request),
    )  # fmt: skip
    asker = Who(case.for_person.id, case.for_person.public_id, case.for_person.name)
    context: dict[str, Any] = {
        "case": case,
        "reader": reader,
        "asker": asker,
        "note": note,
        "done": done,
        "nodes": approval_chain.chain_nodes(
            app=case.app, requester=asker, asked_at=case.request.created_at,
            state="expired" if case.is_overdue else case.request.state, settled_at=case.request.settled_at,
            steps=steps, times=times(), reader=reader.person.id,
        ),
        "steps": steps,
        "decisions": [decision for step in steps for decision in step.decisions],
    }  # fmt: skip
    if closed is not None and htmx.is_fragment():
        # The form is replaced by another page, so htmx loads it as a whole.
        address = reader.address or f"/approvals/{case.request.public_id}"
        return htmx.redirect_whole_page(make_response("", status), address)
    if closed is not None:
        context |= {"details": _set_values(case, reader), "owner": story.owner_of(case.app), "next": _next(reader)}
        body = render_template("approver/closed.html", closed=closed, **context)
        return make_response(body, status)
    step = case.open_step
    assert step is not None
    context |= _form(case, reader, step.position, errors or {}, has_note=bool(note or done), wants_code=wants_code)
    if htmx.is_fragment():
        return make_response(render_template("approver/_decision.html", **context), status)
    also, thread = approvals.also_has(case.for_person.id), story.comments(case.request.id)
    context |= {
        "also": [app_summary(row) for row in also],
        "also_here": sum(1 for row in also if row.category == case.app.category),
        "earlier": approvals.asked_before(case.app.id, case.for_person.id, without=case.request.id),
        "comments": thread.entries,
        "more_was_written": bool(thread.earlier),
        "names": {asker.id: asker.name} | {one.by.id: one.by.name for one in context["decisions"]},
        "others": [who.name for one in steps if one.state == "open" for who in one.asked if who.id != reader.person.id],
    }
    return make_response(render_template("approver/decide.html", **context), status)


def _next(reader: Reader) -> approvals.PendingApproval | None:
    """The next request that waits for the signed-in person; a link alone shows nothing of other requests."""
    user = signed_in()
    if user is None or not reader.has_session or not user.waiting:
        return None
    turns = approvals.waiting(user.person.id, limit=0)
    return turns[0] if turns else None


def _set_values(case: Case, reader: Reader) -> str:
    """The values that the reader may see, in words; behind a link, those of its step only."""
    assert reader.person is not None
    if reader.invited is None:
        positions = story.positions_of(case, reader.person.id)
    else:
        positions = [step.position for step in case.steps if step.id == reader.invited.invitation.step_id]
    return in_words(case.policy.sheet_for_steps(positions, case.request.values))


def _form(
    case: Case, reader: Reader, position: int, errors: dict[str, str], *, has_note: bool, wants_code: bool
) -> dict[str, Any]:
    """What the decision form shows: the fields of this step with what was typed, and whether a code is needed."""
    assert case.open_step is not None
    sheet = case.policy.sheet_for_step(position, case.request.values)
    typed = {}
    for one in sheet.writable:
        key = one.entitlement.id
        sent = request.form.getlist(f"field-{key}") if request.method == "POST" else None
        typed[key] = sent if sent is not None else as_typed(one.current.value if one.current else None)
    invitation = reader.invited.invitation if reader.invited else None
    must_sign_in = not reader.has_session and case.policy.assurance is Assurance.SIGN_IN
    by_code = not reader.has_session and not reader.remembered and not must_sign_in
    code_closed = by_code and invitation is not None and invitation.wrong_codes >= approval_codes.WRONG_CODES
    # The id of the element that gets the focus after a POST, because on a phone it is far below the top.
    answer_at = "said" if has_note else next(iter(errors), "")
    if code_closed and request.method == "POST" and not has_note:
        answer_at = "code-closed"
    if wants_code:
        answer_at = "code"
    base = reader.address or f"/requests/{case.request.public_id}"
    return {
        "wants_code": wants_code,
        "sheet": sheet,
        "readable": [one for one in sheet.visible if one not in sheet.writable],
        "typed": typed,
        "errors": errors,
        "step_id": case.open_step.id,
        "due_at": case.open_step.due_at,
        "base": base,
        "form": request.form if request.method == "POST" else {},
        "limit": MESSAGE_LIMIT,
        "must_sign_in": must_sign_in,
        "asks_code": by_code,
        "code_closed": code_closed,
        "answer_at": answer_at,
        "tries_left": approval_codes.WRONG_CODES - invitation.wrong_codes if invitation else approval_codes.WRONG_CODES,
        "tries": approval_codes.WRONG_CODES,
        "sign_in_url": f"/sign-in?next={quote(f'/approvals/{case.request.public_id}')}",
    }
