"""The question what happens to pending requests, before approval is turned off or the app is archived."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flask import request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import approval_chain, clock
from webapp.models import App
from webapp.operations import apps as operations
from webapp.operations import pending as pending_requests
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_list, rules
from webapp.queries.rules import PendingRequest
from webapp.web import access, error_pages, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.security import local_path
from webapp.web.signin import admins, me, owners_of_app
from webapp.wording import count
from webapp.workflow.errors import BadPolicy
from webapp.workflow.policy import Policy

from . import apps, forms, questions
from .views import bp, commit, fragment, go, undo


@dataclass(frozen=True, slots=True)
class Question:
    """The question of the dialog. `what` is the last part of the address that the answer is sent to."""

    what: str
    pending: list[PendingRequest]
    stamp: str
    action: str = "finish"
    why: str = ""
    errors: dict[str, str] = field(default_factory=dict)


@bp.post("/apps/<public_id>/approval-required")
@owners_of_app
@require_recent_password
def app_approval_required(public_id: str) -> AnyResponse:
    """Turn approval on straight away; to turn it off with pending requests, ask first."""
    setting = forms.SETTINGS["approval-required"]
    if request.form.get("on") != "1" and request.form.get("was") == "on":
        row = app_list.row(public_id)
        if row is not None and row.pending and row.policy.approval_required and _may_be_off(row.policy):
            if "pending" in request.form:
                return _answered("approval-required", public_id)
            undo()
            return _ask("approval-required", public_id, 200)
    return apps.save(setting, public_id)


def _may_be_off(policy: Policy) -> bool:
    """Whether the rules are valid without approval. If not, skip the dialog: saving shows the error."""
    try:
        replace(policy, approval_required=False).check()
    except BadPolicy:
        return False
    return True


@bp.get("/apps/<public_id>/archive")
@admins
def ask_to_archive(public_id: str) -> AnyResponse:
    """The dialog: what an archive does, and what becomes of pending requests."""
    return _ask("archive", public_id, 200)


@bp.post("/apps/<public_id>/archive")
@admins
@require_recent_password
def archive_app(public_id: str) -> AnyResponse:
    """Archive the app: it leaves the catalog and the lists; nothing is deleted."""
    return _answered("archive", public_id)


@bp.post("/apps/<public_id>/restoration")
@admins
@require_recent_password
def restore_app(public_id: str) -> AnyResponse:
    """Restore the app; it is not in the catalog until Requestable is turned on."""
    app = access.app_to_restore(public_id)
    try:
        operations.restore(app, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return error_pages.answer(409, str(error), next_url=url_for("admin.apps", state="archived"),
                             next_label="Back to the archived apps")  # fmt: skip
    commit()
    return go(
        url_for("admin.app", public_id=public_id),
        f"{app.name} restored. Turn on Requestable to show it in the catalog.",
    )


def _answered(what: str, public_id: str) -> AnyResponse:
    app = access.app_to_change(public_id)
    action, why = request.form.get("pending", "finish"), request.form.get("why", "")
    seen = rules.pending_versions(app.id)
    if not questions.is_answer_to(_stamp(what, app, seen)):
        undo()
        return _ask(what, public_id, 409, action=action, why=why, errors={"": questions.CHANGED})
    try:
        if what == "archive":
            operations.archive(app, actor=me(), now=clock.now())
        else:
            # The dialog is only opened to turn approval off.
            forms.save(forms.SETTINGS[what], apps.load(public_id), app, request.form, actor=me(), now=clock.now())
        done = pending_requests.resolve_pending(app, action, seen=seen, reason=why, actor=me(), now=clock.now())
    except (Invalid, Conflict) as error:
        undo()
        fields = error.fields if isinstance(error, Invalid) and "policy" not in error.fields else {"": str(error)}
        return _ask(what, public_id, 422 if isinstance(error, Invalid) else 409, action=action, why=why, errors=fields)
    commit()
    ended = f" {count(done, 'request')} {'approved' if action == 'approve' else 'cancelled'}." if done else ""
    if what == "archive":
        return go(url_for("admin.apps"), f"{app.name} archived.{ended}")
    home = url_for("admin.app", public_id=public_id)
    return go(local_path(request.form.get("back"), home), f"{app.name} no longer needs approval.{ended}")


def _stamp(what: str, app: App, pending: Mapping[int, int]) -> str:
    """The stamp of the question: the action, the rules in force, and the requests that it is about."""
    return questions.stamp(what, app.id, app.policy_revision_id, sorted(pending.items()))


def _ask(
    what: str,
    public_id: str,
    status: int,
    *,
    action: str = "finish",
    why: str = "",
    errors: dict[str, str] | None = None,
) -> AnyResponse:
    page = apps.load(public_id)
    app = page.row.app
    pending = list(rules.pending(app.id)) if page.row.pending else []
    ask = Question(what, pending, _stamp(what, app, rules.pending_versions(app.id)), action, why, errors or {})
    values = {"ask": ask, "holder": approval_chain.holder, "back": request.form.get("back", "")}
    if not htmx.is_fragment():
        return apps.whole_page(page, {}, status, modal=True, **values)
    answer = fragment("admin/_pending.html", status, page=page, app=app, **values)
    # Opens as a dialog instead of replacing the row or setting; app.js turns the switch back.
    return htmx.retarget(answer, "#dialog", "innerHTML")
