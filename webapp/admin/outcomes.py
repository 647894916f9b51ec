"""The emails when a request is approved, denied or expired: recipients, added text, and reasons to choose from."""

from flask import abort, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App
from webapp.operations import apps as operations
from webapp.text import one_line
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState

from .apps import change, save
from .forms import SETTINGS, AppPage
from .views import bp

STATES = ("approved", "denied", "expired")


@bp.post("/apps/<public_id>/outcomes/<state>/<part>")
@owners_of_app
@require_recent_password
def app_outcome(public_id: str, state: str, part: str) -> AnyResponse:
    """Save `mail` (requester, approvers) or `words` as a whole; `others` and `reasons` item by item."""
    if state not in STATES:
        abort(404)
    if part in ("mail", "words"):
        return save(SETTINGS[f"{state}-{part}"], public_id)
    if part == "others" or (part, state) == ("reasons", "denied"):
        return _list(public_id, RequestState(state), part)
    abort(404)


def _list(public_id: str, state: RequestState, part: str) -> AnyResponse:
    """Add the value of `add`, or remove `without` from the list."""
    typed, without = request.form.get("add", ""), request.form.get("without", "")
    wanted = _addresses(typed) if part == "others" else [one_line(line) for line in typed.splitlines()]

    def act(app: App, page: AppPage) -> None:
        present = getattr(page.row.policy.outcomes.get(state, OutcomeRule()), part)
        values = [one for one in present if one != without] + wanted
        if part == "others":
            operations.set_outcome(app, state, others=values, actor=me(), now=clock.now())
        else:
            operations.set_outcome(app, state, reasons=values, actor=me(), now=clock.now())

    return change(f"{state.value}-{part}", public_id, act, at=part, item=without or "add")


def _addresses(typed: str) -> list[str]:
    return typed.replace(",", " ").replace(";", " ").split()
