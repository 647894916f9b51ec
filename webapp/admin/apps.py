"""Apps: the list with its two switches, and one app's rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response, abort, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import App
from webapp.operations import apps as operations
from webapp.operations import entitlements
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_list, domains, principals, rules
from webapp.queries.app_list import APP_ORDERS, APP_STATES, OWNED_STATES
from webapp.runtime import trace
from webapp.text import one_line
from webapp.web import access, error_pages, htmx, pictures
from webapp.web.assets import APP_ICONS
from webapp.web.reauth import require_recent_password
from webapp.web.security import local_path
from webapp.web.signin import admins, any_app_owner, me, owners_of_app
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.states import Visibility

from . import forms, picker
from .forms import SETTINGS, AppPage, Section, Setting
from .views import bp, commit, fragment, go, list_query, undo


@bp.get("/apps")
@any_app_owner
def apps() -> Response:
    """The list of apps by name; for owners who are no admins, of the apps that they own."""
    return fragment("admin/_apps.html" if htmx.is_fragment() else "admin/apps.html", **_list())


def _list() -> dict[str, Any]:
    """The values for the templates of the list."""
    owner, states = (None, APP_STATES) if me().is_admin else (me().id, OWNED_STATES)
    where = list_query(*states, sorts=APP_ORDERS)
    # Owners see only the apps that they or their groups own, so there is no filter by owner.
    owners = principals.app_owners() if me().is_admin else []
    of = next((one for one in owners if one.value == where.owner), None)
    where = replace(where, owner=of.value if of else "")
    page = app_list.page(where.words, where.category, owner, of=of.approver if of else None, state=where.state,
                        sort=where.sort, after=where.after, before=where.before)  # fmt: skip
    counts = app_list.counts(where.words, where.category, owner, of=of.approver if of else None,
                                states=("", *states))  # fmt: skip
    return {
        "page": page,
        "list_query": where,
        "counts": counts,
        "categories": [(one, one) for one in app_list.categories(owner)],
        "owners": [(one.value, f"{one.name}, {one.detail}" if one.detail else one.name) for one in owners],
    }


@bp.get("/apps/new")
@admins
def new_app() -> Response:
    """The dialog that asks for a name."""
    return _new_app("", {}, 200)


def _new_app(name: str, errors: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_app.html", status, name=name, errors=errors)
    return fragment("admin/apps.html", status, modal=True, name=name, errors=errors, **_list())


@bp.post("/apps")
@admins
@require_recent_password
def create_app() -> AnyResponse:
    """Create an app with a name; everything else is set on its page."""
    name = one_line(request.form.get("name", ""))
    try:
        app = operations.create(name=name, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_app(name, error.fields, 422)
    commit()
    trace.about(app=app.public_id)
    return go(
        url_for("admin.app", public_id=app.public_id),
        f"{app.name} created. Choose an approver, then turn on Requestable.",
    )


@bp.get("/apps/<public_id>")
@owners_of_app
def app(public_id: str) -> Response:
    """All settings of one app."""
    return whole_page(load(public_id), {})


@bp.post("/apps/<public_id>/details/<part>")
@owners_of_app
@require_recent_password
def app_details(public_id: str, part: str) -> AnyResponse:
    """Save the name, description, category or launch URL."""
    if part not in DETAILS:
        abort(404)
    return save(SETTINGS[part], public_id)


DETAILS = ("name", "description", "category", "launch_url")


@bp.post("/apps/<public_id>/icon")
@owners_of_app
@require_recent_password
def app_icon(public_id: str) -> AnyResponse:
    """Choose an icon of the set, or the first letters; removes an uploaded picture."""
    return save(SETTINGS["icon"], public_id)


@bp.post("/apps/<public_id>/requestable")
@owners_of_app
@require_recent_password
def app_requestable(public_id: str) -> AnyResponse:
    return save(SETTINGS["requestable"], public_id)


@bp.post("/apps/<public_id>/comment-required")
@owners_of_app
@require_recent_password
def app_comment_required(public_id: str) -> AnyResponse:
    return save(SETTINGS["comment-required"], public_id)


@bp.post("/apps/<public_id>/assurance")
@owners_of_app
@require_recent_password
def app_assurance(public_id: str) -> AnyResponse:
    return save(SETTINGS["assurance"], public_id)


@bp.post("/apps/<public_id>/audience")
@owners_of_app
@require_recent_password
def app_audience(public_id: str) -> AnyResponse:
    return save(SETTINGS["audience"], public_id)


@bp.post("/apps/<public_id>/note")
@owners_of_app
@require_recent_password
def app_note(public_id: str) -> AnyResponse:
    return save(SETTINGS["note"], public_id)


@bp.post("/apps/<public_id>/owner")
@admins
@require_recent_password
def app_owner(public_id: str) -> AnyResponse:
    return save(SETTINGS["owner"], public_id)


@bp.post("/apps/<public_id>/time-limit")
@owners_of_app
@require_recent_password
def app_time_limit(public_id: str) -> AnyResponse:
    return save(SETTINGS["time-limit"], public_id)


def load(public_id: str) -> AppPage:
    """Load all that an app's page shows; 404 for an app that is not in use."""
    row = app_list.row(public_id)
    if row is None:
        abort(404)
    steps = [step.approver for step in row.policy.steps]
    names = principals.of_approvers(steps)
    return AppPage(
        row,
        [names.get(step) for step in steps],
        principals.audience(row.app.id),
        rules.members(step.group for step in steps if step.group is not None),
        tuple(rules.duplicate_approvers(steps).values()),
        rules.fields(row.app.id),
        bool(row.pending) and rules.has_pending_request(row.app.id, me().id),
        domains.outside(one for rule in row.policy.outcomes.values() for one in rule.others),
        tuple(domains.allowed_also()),
    )


# Sections that are not a Setting: several small forms, each with its own address.
PARTS = ("steps", "fields", "matrix", "copy", "approved-others", "denied-others", "expired-others",
         "denied-reasons")  # fmt: skip


def change(
    section: str, public_id: str, act: Callable[[App, AppPage], str | None], *, at: str = "", item: str = ""
) -> AnyResponse:
    """Apply one small form of a section, and render the section.

    `at` names the control that shows an error without a field of its own; `item` says which part it is about,
    unless `act` returns another one.
    """
    app = access.app_to_change(public_id)
    try:
        item = act(app, load(public_id)) or item
    except (Invalid, Conflict) as error:
        undo()
        fields = error.fields if isinstance(error, Invalid) else {"": str(error)}
        errors = {at if name in ("", "policy") else name: message for name, message in fields.items()}
        page = load(public_id)
        drawn = _section(section, page)
        drawn.errors, drawn.item, drawn.values = errors, item, drawn.values | request.form.to_dict()
        drawn.values["several"] = request.form.getlist("default")  # several boxes have this name
        return _present(section, page, drawn, 409 if isinstance(error, Conflict) else 422)
    commit()
    if not htmx.is_fragment():
        return go(f"{url_for('admin.app', public_id=public_id)}#set-{section}", "Saved.")
    page = load(public_id)
    drawn = _section(section, page)
    drawn.saved, drawn.item, drawn.values = True, item, drawn.values | request.form.to_dict()
    return _present(section, page, drawn, 200)


def _section(name: str, page: AppPage) -> Section:
    return forms.draw(SETTINGS[name], page) if name in SETTINGS else Section({}, "")


def _present(section: str, page: AppPage, drawn: Section, status: int) -> Response:
    if htmx.is_fragment():
        return fragment(
            "admin/_app_section.html", status, section=section, message="", **_shown(page, {section: drawn})
        )
    return whole_page(page, {section: drawn}, status)


def save(setting: Setting, public_id: str) -> AnyResponse:
    """Save one section and render it, or the row of the list if the switch is there."""
    app = access.app_to_change(public_id)
    page = load(public_id)
    before = page.row.app.requestable
    try:
        forms.save(setting, page, app, request.form, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        errors = {
            name if name in setting.typed(request.form) else setting.name: message
            for name, message in error.fields.items()
        }
        return _refuse(setting, public_id, errors, str(error), 422)
    except Conflict as error:
        undo()
        return _refuse(setting, public_id, {setting.name: str(error)}, str(error), 409)
    commit()
    page = load(public_id)
    message = ""
    if setting.name != "requestable" and before and not page.row.app.requestable:
        message = f"{page.row.app.name} was removed from the catalog. Choose an approver to make it requestable again."
    if htmx.is_fragment():
        return present(setting, page, forms.draw(setting, page, saved=True), message=message)
    home = url_for("admin.app", public_id=public_id)
    back = local_path(request.form.get("back"), home)
    return go(f"{back}#{'app-' + public_id if back != home else 'set-' + setting.name}", message or "Saved.")


def _refuse(setting: Setting, public_id: str, errors: dict[str, str], sentence: str, status: int) -> Response:
    """Re-render a refused setting: switches show the stored value, other fields keep the input."""
    page = load(public_id)
    section = forms.draw(setting, page)
    section.errors = errors
    if setting.keeps_typed:
        section.values = section.values | setting.typed(request.form)
    if htmx.is_fragment():
        return present(setting, page, section, status=status)
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return error_pages.answer(status, sentence, next_url=back, next_label="Back to the apps")
    return whole_page(page, {setting.name: section}, status)


def present(setting: Setting, page: AppPage, section: Section, *, message: str = "", status: int = 200) -> Response:
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return fragment(
            "admin/_app_row.html", status, row=page.row, back=back, message=message, errors=section.errors,
            saved="" if section.errors else setting.name,
        )  # fmt: skip
    values = _shown(page, {setting.name: section})
    return fragment("admin/_app_section.html", status, section=setting.name, message=message, **values)


def whole_page(page: AppPage, drawn: dict[str, Section], status: int = 200, **more: Any) -> Response:
    """Render the page with the sections of `drawn`, and the others as stored."""
    body = render_template("admin/app.html", **({"message": ""} | _shown(page, drawn) | more))
    return make_response(body, status)


def _shown(page: AppPage, drawn: dict[str, Section]) -> dict[str, Any]:
    """The values for the templates of an app's page. `drawn` holds the sections that differ from the stored values."""
    sections = {name: forms.draw(setting, page) for name, setting in SETTINGS.items()}
    sections |= {name: Section({}, "") for name in PARTS} | drawn
    return {
        "page": page,
        "pick": picker.picked(),
        "simulation": None,
        "others": rules.other_apps(page.row.app.id, owner=None if me().is_admin else me().id),
        "app": page.row.app,
        "policy": page.row.policy,
        "sections": sections,
        "icons": APP_ICONS,
        "picture_limit": pictures.BYTES,
        "categories": app_list.categories(),
        "kinds": KINDS,
        "frozen": entitlements.frozen,
        "default_of": entitlements.typed,
        "stamp": forms.stamp,
        "unseen": [field.name for field in page.row.policy.entitlements if not _seen(page, field)],
    }


KINDS = {
    "choice": "Choice",
    "choices": "Several choices",
    "text": "Text",
    "number": "Number",
    "yes_no": "Yes or no",
}


def _seen(page: AppPage, field: Entitlement) -> bool:
    words = [field.requester, *(rule.visibility.get(field.id, Visibility.HIDDEN) for rule in page.row.policy.steps)]
    return any(word is not Visibility.HIDDEN for word in words)
