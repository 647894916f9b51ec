"""The approval steps of an app: add, remove, order, set a time limit, and what each may do with the fields."""

from flask import request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App
from webapp.operations import entitlements, rule_steps
from webapp.operations.errors import Invalid
from webapp.text import one_line
from webapp.web import access
from webapp.web.reauth import require_recent_password
from webapp.web.signin import me, owners_of_app
from webapp.wording import count
from webapp.workflow.policy import DAYS_LIMIT
from webapp.workflow.states import Visibility

from .apps import change
from .forms import AppPage
from .views import bp


@bp.post("/apps/<public_id>/steps/new")
@owners_of_app
@require_recent_password
def add_step(public_id: str) -> AnyResponse:
    """Add a step at the end."""
    value = request.form.get("step", "")

    def act(app: App, page: AppPage) -> str:
        approver = access.chosen_approver(value, field="step")
        if approver is None:
            raise Invalid(step="Choose a person or group.")
        return rule_steps.add(app, approver=approver, actor=me(), now=clock.now())

    return change("steps", public_id, act, at="step", item="")


@bp.post("/apps/<public_id>/steps/order")
@owners_of_app
@require_recent_password
def order_steps(public_id: str) -> AnyResponse:
    """Set the order: the ids of all steps, separated by spaces. Up and Down send it, too."""
    order = request.form.get("order", "").split()[:50]

    def act(app: App, page: AppPage) -> None:
        rule_steps.order(app, order, actor=me(), now=clock.now())

    return change("steps", public_id, act, item=request.form.get("moved", "") or "order")


@bp.post("/apps/<public_id>/steps/<step_id>/approver")
@owners_of_app
@require_recent_password
def change_approver(public_id: str, step_id: str) -> AnyResponse:
    """Set another approver for this step."""
    given = request.form.get("approver", "")

    def act(app: App, page: AppPage) -> None:
        to = access.chosen_approver(given, field="approver")
        if to is None:
            raise Invalid(approver="Choose a person or group.")
        rule_steps.change_approver(app, step_id, to=to, actor=me(), now=clock.now())

    return change("steps", public_id, act, at="approver", item=step_id)


@bp.post("/apps/<public_id>/steps/<step_id>/removal")
@owners_of_app
@require_recent_password
def remove_step(public_id: str, step_id: str) -> AnyResponse:
    def act(app: App, page: AppPage) -> None:
        rule_steps.remove(app, step_id, actor=me(), now=clock.now())

    return change("steps", public_id, act, item=step_id)


@bp.post("/apps/<public_id>/steps/<step_id>/time-limit")
@owners_of_app
@require_recent_password
def step_time_limit(public_id: str, step_id: str) -> AnyResponse:
    """Set the step's own time limit in days; empty: the limit of the app."""
    given = one_line(request.form.get("days", ""))

    def act(app: App, page: AppPage) -> None:
        if given and not (given.isascii() and given.isdigit() and len(given) < 4 and 1 <= int(given) <= DAYS_LIMIT):
            default = count(page.row.policy.days, "day")
            raise Invalid(days=f"Enter a number from 1 to {DAYS_LIMIT}, or leave it empty for {default}.")
        days = int(given) if given else None
        rule_steps.set_days(app, step_id, days=days, actor=me(), now=clock.now())

    return change("steps", public_id, act, at="days", item=step_id)


@bp.post("/apps/<public_id>/visibility")
@owners_of_app
@require_recent_password
def see_fields(public_id: str) -> AnyResponse:
    """Hidden, view or edit, of the requester and each step, and each field.

    Only what differs from the page's own state is a wish.
    """
    wanted = {key: word for key, word in request.form.items() if key.startswith("see-")}
    changed = [key for key, word in wanted.items() if word != request.form.get(f"was-{key.removeprefix('see-')}", "")]

    def act(app: App, page: AppPage) -> None:
        steps: dict[tuple[str, str], entitlements.Change] = {}
        requester: dict[str, entitlements.Change] = {}
        for key in changed:
            _, who, field = key.split("-", 2) if key.count("-") == 2 else ("", "", "")
            try:
                cell = Visibility(request.form.get(f"was-{who}-{field}", "")), Visibility(wanted[key])
            except ValueError:
                raise Invalid(matrix="Choose Hidden, View or Edit.") from None
            if who == "requester":
                requester[field] = cell
            else:
                steps[who, field] = cell
        entitlements.see(app, steps=steps, requester=requester, actor=me(), now=clock.now())

    return change("matrix", public_id, act, at="matrix", item=changed[0].rpartition("-")[2] if changed else "")
