"""All requests, and what an admin can do with a pending one that is not their own."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from flask import Response, abort, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from webapp import approval_chain, clock
from webapp.database.transactions import choose
from webapp.operations import step_in
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_list, cases, chains, principals
from webapp.queries import request_lines as queries
from webapp.queries.cases import Case
from webapp.queries.request_lines import RequestLine
from webapp.queries.request_search import Filter
from webapp.text import capital, reference
from webapp.times import utc
from webapp.web import error_pages, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me
from webapp.workflow.errors import WorkflowError
from webapp.workflow.states import RequestState

from . import filters, picker, questions, tables
from .views import bp, commit, fragment, go, undo

COLUMNS = ("Request", "App", "Person", "State", "Approver", "Due or decided (UTC)", "Requested (UTC)", "Note")
STATES = ("pending", "approved", "denied", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class RequestSearch:
    """The filters of the address."""

    q: str
    state: str
    app: str
    person: str
    approver: str
    since: date | None
    until: date | None
    sort: str

    def at(self, **key: object) -> str:
        """The query string with some of it changed."""
        return filters.query(asdict(self) | key)

    @property
    def is_empty(self) -> bool:
        return not self.at(sort="")

    def filter(self) -> Filter:
        """Resolve the search words to ids. Words that match nothing give an empty result."""
        app = app_list.app_id(self.app) if self.app else None
        return Filter(
            state=self.state,
            app=app if app is not None or not self.app else 0,
            person=principals.people_called(self.person.split()[:8]) if self.person else None,
            approver=principals.people_called(self.approver.split()[:8]) if self.approver else None,
            words=self.q.split()[:8],
            since=filters.begin(self.since),
            until=filters.end(self.until),
            oldest=self.sort == "asked",
        )


def searched() -> RequestSearch:
    return RequestSearch(
        q=filters.word("q"),
        state=filters.one_of("state", STATES),
        app=filters.word("app"),
        person=filters.word("person"),
        approver=filters.word("approver"),
        since=filters.day("since"),
        until=filters.day("until"),
        sort=filters.one_of("sort", ("asked",)),
    )


@bp.get("/requests")
@admins
def requests() -> Response:
    """All requests, newest first or, sorted by "asked", oldest first."""
    search = searched()
    page = queries.page(search.filter(), before=filters.key("before"), after=filters.key("after"))
    if htmx.is_fragment():
        return fragment("admin/_requests.html", page=page, search=search, states=STATES)
    return fragment("admin/requests.html", page=page, search=search, states=STATES, apps=app_list.app_names())


@bp.get("/requests.csv")
@admins
@require_recent_password
def requests_csv() -> Response:
    """The requests that the filters find, newest first, as they are read from the database."""
    return tables.download("requests", _table(searched().filter()))


def _table(wanted: Filter) -> Iterator[str]:
    choose("read")
    yield tables.head(COLUMNS)
    for lines in queries.batches(replace(wanted, oldest=False)):
        yield tables.written([_row(line) for line in lines])


def _row(line: RequestLine) -> list[str]:
    step = line.open_step
    return [
        reference(line.public_id),
        line.app.name,
        line.person.name,
        line.shown_state.capitalize(),
        _whom(line),
        utc(step.due_at if step else line.settled_at),
        utc(line.created_at),
        line.note,
    ]


def _whom(line: RequestLine) -> str:
    """Who has the request now, or who decided it."""
    step = line.open_step
    if line.state == "cancelled":
        return f"Cancelled by {line.closed_by.name}" if line.closed_by else "Cancelled"
    if step is None or line.shown_state != "pending":
        return line.decided_by.name if line.decided_by else ""
    return approval_chain.holder(step) if step.tier == "approver" else capital(approval_chain.holder(step))


@bp.get("/requests/<public_id>")
@admins
def manage_request(public_id: str) -> Response:
    """The forms to cancel, reassign and extend a pending request."""
    return _page(_case(public_id))


@bp.post("/requests/<public_id>/cancellation")
@admins
@require_recent_password
def cancel_request(public_id: str) -> AnyResponse:
    """With a reason."""

    def act(case: Case) -> str:
        step_in.cancel(case, actor=me(), reason=request.form.get("reason", ""), now=clock.now())
        return "Request cancelled. The requester and approvers have been notified."

    return _act(public_id, "cancellation", act)


@bp.post("/requests/<public_id>/reassignment")
@admins
@require_recent_password
def reassign_request(public_id: str) -> AnyResponse:
    """`decider` is "person:…" or "group:…"; with a reason. With `find` or `take` nothing is done but to choose them."""
    if "find" in request.form or "take" in request.form:
        undo()
        return _page(_case(public_id), form="reassignment")

    def act(case: Case) -> str:
        to = principals.chosen(request.form.get("decider", ""))
        if to is None:
            raise Invalid(approver="Choose a person or group.")
        step_in.reassign(case, to=to.approver, name=to.name, actor=me(), reason=request.form.get("reason", ""),
                          now=clock.now())  # fmt: skip
        return f"Reassigned to {to.name}. Earlier links no longer work."

    return _act(public_id, "reassignment", act)


@bp.post("/requests/<public_id>/extension")
@admins
@require_recent_password
def extend_request(public_id: str) -> AnyResponse:
    """`days` from now; with a reason."""

    def act(case: Case) -> str:
        step_in.extend(case, days=request.form.get("days", ""), actor=me(), reason=request.form.get("reason", ""),
                        now=clock.now())  # fmt: skip
        return "Deadline extended."

    return _act(public_id, "extension", act)


def _case(public_id: str) -> Case:
    return cases.load(public_id=public_id) or abort(404)


def _stamp(case: Case) -> str:
    """The stamp of the open step: its approver and its deadline, which the forms act on."""
    step = case.open_step
    return questions.stamp(case.request.id, step and (step.id, step.approver_person_id, step.approver_group_id,
                                                      step.tier, step.due_at))  # fmt: skip


def _act(public_id: str, form: str, act: Callable[[Case], str]) -> AnyResponse:
    case = _case(public_id)
    if case.request.state == RequestState.PENDING.value and questions.is_outdated(_stamp(case)):
        undo()
        return _page(_case(public_id), 409, form=form, errors={"": questions.CHANGED})
    try:
        message = act(case)
    except Invalid as error:
        undo()
        return _page(_case(public_id), 422, form=form, errors=error.fields)
    except (Conflict, WorkflowError) as error:
        undo()
        status = 403 if me().id in case.request.requesters else 409
        return error_pages.answer(status, str(error), next_url=f"/requests/{public_id}", next_label="View request")
    commit()
    return go(f"/requests/{public_id}", message)


def _page(case: Case, status: int = 200, *, form: str = "", errors: dict[str, str] | None = None) -> Response:
    """Render the page; `form` names the refused form, which keeps what was typed."""
    own = me().id in case.request.requesters
    typed = request.form if form else MultiDict[str, str]()
    steps = chains.of_requests([case.request.id]).get(case.request.id, [])
    values: dict[str, Any] = {
        "case": case,
        "reference": reference(case.request.public_id),
        "step": next((step for step in steps if step.state == "open" and not step.overdue), None),
        "own": own,
        "pick": picker.searched("decider", typed.get("q", "")) if "find" in typed else picker.Pick(),
        "chosen": principals.chosen(typed.get("take") or typed.get("decider", "")),
        "form": form,
        "errors": errors or {},
        "typed": typed,
        "asked": _stamp(case),
    }
    return fragment("admin/requests_manage.html", status, **values)
