"""Apps: the list with its two switches, and one app's rules."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Response, abort, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, errors, htmx, pictures, trace
from webapp.assets import APP_ICONS
from webapp.fresh import fresh
from webapp.models import App, EntitlementField
from webapp.operations import apps as operations
from webapp.operations import entitlements
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import admin as queries
from webapp.queries import rules
from webapp.security import local_path
from webapp.signin import admins, keepers, me, owners
from webapp.text import one_line
from webapp.workflow.entitlements import Entitlement, shown
from webapp.workflow.states import Visibility

from . import forms
from .forms import SETTINGS, AppPage, Section, Setting
from .views import bp, commit, fragment, go, place, undo, words_of


@bp.get("/apps")
@owners
def apps() -> Response:
    """The list, by name; for who is no admin, of the apps they own."""
    return fragment("admin/_apps.html" if htmx.is_fragment() else "admin/apps.html", **_list())


def _list() -> dict[str, Any]:
    """What the templates of the list read."""
    owner, states = (None, queries.APP_STATES) if me().is_admin else (me().id, queries.OWNED_STATES)
    where = place(*states, sorts=queries.APP_ORDERS)
    # Who is no admin sees what they, or their groups, own: there is nothing to choose.
    owners = queries.app_owners() if me().is_admin else []
    of = next((one for one in owners if one.value == where.owner), None)
    where = replace(where, owner=of.value if of else "")
    page = queries.apps(where.words, where.category, owner, of=of.approver if of else None, state=where.state,
                        sort=where.sort, after=where.after, before=where.before)  # fmt: skip
    counts = queries.app_counts(where.words, where.category, owner, of=of.approver if of else None,
                                states=("", *states))  # fmt: skip
    return {
        "page": page,
        "place": where,
        "counts": counts,
        "categories": [(one, one) for one in queries.categories(owner)],
        "owners": [(one.value, f"{one.name}, {one.detail}" if one.detail else one.name) for one in owners],
        "owner_name": of.name if of else "",
    }


@bp.get("/apps/new")
@admins
def new_app() -> Response:
    """The dialog that asks for a name."""
    return _new_app("", {}, 200)


def _new_app(name: str, wrong: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_app.html", status, name=name, errors=wrong)
    return fragment("admin/apps.html", status, modal=True, name=name, errors=wrong, **_list())


@bp.post("/apps")
@admins
@fresh
def create_app() -> AnyResponse:
    """A name is enough; the rest is on the app's page."""
    name = one_line(request.form.get("name", ""))
    try:
        app = operations.create(name=name, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_app(name, error.fields, 422)
    commit()
    trace.about(app=app.public_id)
    return go(url_for("admin.app", public_id=app.public_id), f"{app.name} is here. Say who approves, then turn it on.")


@bp.get("/apps/<public_id>")
@keepers
def app(public_id: str) -> Response:
    """All that is set for one app."""
    return whole_page(load(public_id), {})


@bp.post("/apps/<public_id>/details")
@keepers
@fresh
def app_details(public_id: str) -> AnyResponse:
    return save(SETTINGS["details"], public_id)


@bp.post("/apps/<public_id>/icon")
@keepers
@fresh
def app_icon(public_id: str) -> AnyResponse:
    """One of the set, or the first letters; an uploaded picture goes."""
    return save(SETTINGS["icon"], public_id)


@bp.post("/apps/<public_id>/requestable")
@keepers
@fresh
def app_requestable(public_id: str) -> AnyResponse:
    return save(SETTINGS["requestable"], public_id)


@bp.post("/apps/<public_id>/comment-required")
@keepers
@fresh
def app_comment_required(public_id: str) -> AnyResponse:
    return save(SETTINGS["comment-required"], public_id)


@bp.post("/apps/<public_id>/assurance")
@keepers
@fresh
def app_assurance(public_id: str) -> AnyResponse:
    return save(SETTINGS["assurance"], public_id)


@bp.post("/apps/<public_id>/audience")
@keepers
@fresh
def app_audience(public_id: str) -> AnyResponse:
    return save(SETTINGS["audience"], public_id)


@bp.post("/apps/<public_id>/note")
@keepers
@fresh
def app_note(public_id: str) -> AnyResponse:
    return save(SETTINGS["note"], public_id)


@bp.post("/apps/<public_id>/owner")
@admins
@fresh
def app_owner(public_id: str) -> AnyResponse:
    return save(SETTINGS["owner"], public_id)


@bp.post("/apps/<public_id>/steps")
@keepers
@fresh
def app_steps(public_id: str) -> AnyResponse:
    return save(SETTINGS["steps"], public_id)


@bp.post("/apps/<public_id>/time-limit")
@keepers
@fresh
def app_time_limit(public_id: str) -> AnyResponse:
    return save(SETTINGS["time-limit"], public_id)


@bp.post("/apps/<public_id>/outcomes/<state>")
@keepers
@fresh
def app_outcome(public_id: str, state: str) -> AnyResponse:
    """Whom to mail when a request is approved, denied or expired, and with which words."""
    if state not in OUTCOMES:
        abort(404)
    return save(SETTINGS[state], public_id)


OUTCOMES = ("approved", "denied", "expired")


@bp.get("/approvers")
@owners
def approvers() -> Response:
    """The people and groups that match, as the options of a select: search as you type."""
    words = words_of(request.args.get("q", "")).split()[:8]
    field = request.args.get("field", "")
    if field not in BLANK:
        abort(404)
    chosen = queries.chosen(request.args.get(field, ""))
    choices = queries.choices(words)
    if field == "person":
        choices = replace(choices, groups=[])
    return fragment("admin/_approvers.html", choices=choices, chosen=chosen, blank=BLANK[field])


# The empty option of each select of people and groups.
BLANK = {
    "approver": "Nobody yet",
    "owner": "Nobody",
    "step": "A person or a group",
    "person": "Somebody",
    "decider": "Choose",
}


def load(public_id: str) -> AppPage:
    """All that an app's page shows; 404 for an app that is not in use."""
    row = queries.app(public_id)
    if row is None:
        abort(404)
    steps = [step.approver for step in row.policy.steps]
    names = queries.named(steps)
    return AppPage(
        row,
        [names.get(step) for step in steps],
        queries.audience(row.app.id),
        rules.members(step.group for step in steps if step.group is not None),
        tuple(rules.reached_twice(steps).values()),
        rules.fields(row.app.id),
        bool(row.pending) and rules.has_asked(row.app.id, me().id),
    )


# The sections that are no Setting: several small forms, each with an address of its own.
PARTS = ("fields", "matrix", "copy")


def change(
    section: str, public_id: str, act: Callable[[App, AppPage], object], *, at: str = "", mark: str = ""
) -> AnyResponse:
    """Does what one small form of a section asks for, and answers the section.

    `at` names the control where a refusal is shown that names none of its own; `mark` says which part it is about.
    """
    app = queries.app_to_change(public_id)
    if app is None:
        abort(404)
    try:
        act(app, load(public_id))
    except (Invalid, Conflict) as error:
        undo()
        fields = error.fields if isinstance(error, Invalid) else {"": str(error)}
        wrong = {at if name in ("", "policy") else name: said for name, said in fields.items()}
        page = load(public_id)
        drawn = _section(section, page)
        drawn.errors, drawn.mark, drawn.values = wrong, mark, drawn.values | request.form.to_dict()
        drawn.values["defaults"] = request.form.getlist("default")  # several boxes have this name
        return _present(section, page, drawn, 409 if isinstance(error, Conflict) else 422)
    commit()
    if not htmx.is_fragment():
        return go(f"{url_for('admin.app', public_id=public_id)}#set-{section}", "Saved.")
    page = load(public_id)
    drawn = _section(section, page)
    drawn.saved, drawn.mark, drawn.values = True, mark, drawn.values | request.form.to_dict()
    return _present(section, page, drawn, 200)


def _section(name: str, page: AppPage) -> Section:
    return forms.draw(SETTINGS[name], page) if name in SETTINGS else Section({}, "")


def _present(section: str, page: AppPage, drawn: Section, status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_app_section.html", status, section=section, said="", **_shown(page, {section: drawn}))
    return whole_page(page, {section: drawn}, status)


def save(setting: Setting, public_id: str) -> AnyResponse:
    """Saves one section and answers it: the row of the list if it was a switch there."""
    app = queries.app_to_change(public_id)
    if app is None:
        abort(404)
    page = load(public_id)
    before = page.row.app.requestable
    try:
        forms.save(setting, page, app, request.form, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        wrong = {
            name if name in setting.typed(request.form) else setting.name: said for name, said in error.fields.items()
        }
        return _refuse(setting, public_id, wrong, str(error), 422)
    except Conflict as error:
        undo()
        return _refuse(setting, public_id, {setting.name: str(error)}, str(error), 409)
    commit()
    page = load(public_id)
    said = ""
    if setting.name != "requestable" and before and not page.row.app.requestable:
        said = f"{page.row.app.name} is out of the catalog until you name an approver."
    if htmx.is_fragment():
        return present(setting, page, forms.draw(setting, page, saved=True), said=said)
    home = url_for("admin.app", public_id=public_id)
    back = local_path(request.form.get("back"), home)
    return go(f"{back}#{'app-' + public_id if back != home else 'set-' + setting.name}", said or "Saved.")


def _refuse(setting: Setting, public_id: str, wrong: dict[str, str], sentence: str, status: int) -> Response:
    """A switch falls back to what is so; anything else keeps what was typed."""
    page = load(public_id)
    section = forms.draw(setting, page)
    section.errors = wrong
    if not setting.is_switch:
        section.values = section.values | setting.typed(request.form)
    if htmx.is_fragment():
        return present(setting, page, section, status=status)
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return errors.answer(status, sentence, next_url=back, next_label="Back to the apps")
    return whole_page(page, {setting.name: section}, status)


def present(setting: Setting, page: AppPage, section: Section, *, said: str = "", status: int = 200) -> Response:
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return fragment(
            "admin/_app_row.html", status, row=page.row, back=back, said=said, errors=section.errors,
            saved="" if section.errors else setting.name,
        )  # fmt: skip
    values = _shown(page, {setting.name: section})
    return fragment("admin/_app_section.html", status, section=setting.name, said=said, **values)


def whole_page(page: AppPage, drawn: dict[str, Section], status: int = 200, **more: Any) -> Response:
    """The page, with the sections of `drawn` as they are given and the others as stored."""
    body = render_template("admin/app.html", **({"said": ""} | _shown(page, drawn) | more))
    return make_response(body, status)


def _shown(page: AppPage, drawn: dict[str, Section]) -> dict[str, Any]:
    """What the templates of an app's page read. `drawn` holds the sections that are not simply as stored."""
    q = words_of(request.args.get("q", ""))
    sections = {name: forms.draw(setting, page) for name, setting in SETTINGS.items()}
    sections |= {name: Section({}, "") for name in PARTS} | drawn
    choices = queries.choices(q.split()[:8])
    return {
        "page": page,
        "what": None,
        "people_only": replace(choices, groups=[]),
        "others": rules.other_apps(page.row.app.id, owner=None if me().is_admin else me().id),
        "app": page.row.app,
        "policy": page.row.policy,
        "sections": sections,
        "choices": choices,
        "q": q,
        "blank": BLANK,
        "icons": APP_ICONS,
        "picture_limit": pictures.BYTES,
        "categories": queries.categories(),
        "kinds": KINDS,
        "frozen": entitlements.frozen,
        "default_of": _default_of,
        "default_choices": _default_choices,
        "set_by": lambda field: _set_by(page, field),
        "setters": [(one.value, f"Step {at}: {one.name}") for at, one in enumerate(page.steps, 1) if one is not None],
        "unseen": [field.name for field in page.row.policy.entitlements if not _seen(page, field)],
    }


KINDS = {
    "choice": "Choice",
    "choices": "Several choices",
    "text": "Text",
    "number": "Number",
    "yes_no": "Yes or no",
}


def _default_of(field: Entitlement) -> str:
    """As its input shows it."""
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return "" if field.default is None else shown(field.default)


def _default_choices(field: Entitlement) -> list[tuple[str, str]]:
    if field.kind == "yes_no":
        return [("yes", "Yes"), ("no", "No")]
    return [(option, option) for option in field.options]


def _set_by(page: AppPage, field: EntitlementField) -> str:
    """ "the requester and Finance set it" """
    writers = ["the requester"] if field.requester == Visibility.WRITE else []
    for one, rule in zip(page.steps, page.row.policy.steps, strict=True):
        if one is not None and rule.see.get(field.public_id) is Visibility.WRITE:
            writers.append(one.name)
    if len(writers) < 2:
        return f"{writers[0]} sets it" if writers else "nobody sets it yet"
    return f"{', '.join(writers[:-1])} and {writers[-1]} set it"


def _seen(page: AppPage, field: Entitlement) -> bool:
    words = [field.requester, *(rule.see.get(field.id, Visibility.HIDDEN) for rule in page.row.policy.steps)]
    return any(word is not Visibility.HIDDEN for word in words)
