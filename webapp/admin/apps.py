"""Apps: the list with its two switches, and one app's rules."""

from typing import Any

from flask import Response, abort, make_response, render_template, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, errors, htmx
from webapp.assets import APP_ICONS
from webapp.operations import apps as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import admin as queries
from webapp.security import local_path
from webapp.signin import admins, me
from webapp.text import one_line

from . import forms
from .forms import SETTINGS, AppPage, Section, Setting
from .views import bp, commit, fragment, go, place, undo, words_of


@bp.get("/apps")
@admins
def apps() -> Response:
    """The list, by name."""
    where = place()
    template = "admin/_apps.html" if htmx.is_fragment() else "admin/apps.html"
    return fragment(template, page=_list(), place=where)


def _list() -> queries.Page[queries.AppRow]:
    where = place()
    return queries.apps(words=where.words, after=where.after, before=where.before)


@bp.get("/apps/new")
@admins
def new_app() -> Response:
    """The dialog that asks for a name."""
    return _new_app("", {}, 200)


def _new_app(name: str, wrong: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_app.html", status, name=name, errors=wrong)
    return fragment("admin/apps.html", status, page=_list(), place=place(), modal=True, name=name, errors=wrong)


@bp.post("/apps")
@admins
def create_app() -> AnyResponse:
    """A name is enough; the rest is on the app's page."""
    name = one_line(request.form.get("name", ""))
    try:
        app = operations.create(name=name, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_app(name, error.fields, 422)
    commit()
    return go(url_for("admin.app", public_id=app.public_id), f"{app.name} is here. Say who approves, then turn it on.")


@bp.get("/apps/<public_id>")
@admins
def app(public_id: str) -> Response:
    """All that is set for one app."""
    return _whole_page(_load(public_id), {})


@bp.post("/apps/<public_id>/details")
@admins
def app_details(public_id: str) -> AnyResponse:
    return _save(SETTINGS["details"], public_id)


@bp.post("/apps/<public_id>/requestable")
@admins
def app_requestable(public_id: str) -> AnyResponse:
    return _save(SETTINGS["requestable"], public_id)


@bp.post("/apps/<public_id>/approval-required")
@admins
def app_approval_required(public_id: str) -> AnyResponse:
    return _save(SETTINGS["approval-required"], public_id)


@bp.post("/apps/<public_id>/comment-required")
@admins
def app_comment_required(public_id: str) -> AnyResponse:
    return _save(SETTINGS["comment-required"], public_id)


@bp.post("/apps/<public_id>/assurance")
@admins
def app_assurance(public_id: str) -> AnyResponse:
    return _save(SETTINGS["assurance"], public_id)


@bp.post("/apps/<public_id>/audience")
@admins
def app_audience(public_id: str) -> AnyResponse:
    return _save(SETTINGS["audience"], public_id)


@bp.post("/apps/<public_id>/note")
@admins
def app_note(public_id: str) -> AnyResponse:
    return _save(SETTINGS["note"], public_id)


@bp.post("/apps/<public_id>/owner")
@admins
def app_owner(public_id: str) -> AnyResponse:
    return _save(SETTINGS["owner"], public_id)


@bp.post("/apps/<public_id>/steps")
@admins
def app_steps(public_id: str) -> AnyResponse:
    return _save(SETTINGS["steps"], public_id)


@bp.post("/apps/<public_id>/time-limit")
@admins
def app_time_limit(public_id: str) -> AnyResponse:
    return _save(SETTINGS["time-limit"], public_id)


@bp.get("/approvers")
@admins
def approvers() -> Response:
    """The people and groups that match, as the options of a select: search as you type."""
    words = words_of(request.args.get("q", "")).split()[:8]
    field = request.args.get("field", "")
    if field not in ("approver", "owner"):
        abort(404)
    chosen = queries.chosen(request.args.get(field, ""))
    return fragment("admin/_approvers.html", choices=queries.choices(words), chosen=chosen, blank=_BLANK[field])


_BLANK = {"approver": "Nobody yet", "owner": "Nobody"}


def _load(public_id: str) -> AppPage:
    row = queries.app(public_id)
    if row is None:
        abort(404)
    names = queries.named(step.approver for step in row.policy.steps)
    return AppPage(row, [names.get(step.approver) for step in row.policy.steps], queries.audience(row.app.id))


def _save(setting: Setting, public_id: str) -> AnyResponse:
    """Saves one section and answers it: the row of the list if it was a switch there."""
    app = queries.app_to_change(public_id)
    if app is None:
        abort(404)
    page = _load(public_id)
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
    page = _load(public_id)
    said = ""
    if setting.name != "requestable" and before and not page.row.app.requestable:
        said = f"{page.row.app.name} is out of the catalog until you name an approver."
    if htmx.is_fragment():
        return _answer(setting, page, forms.draw(setting, page, saved=True), said=said)
    home = url_for("admin.app", public_id=public_id)
    back = local_path(request.form.get("back"), home)
    return go(f"{back}#{'app-' + public_id if back != home else 'set-' + setting.name}", said or "Saved.")


def _refuse(setting: Setting, public_id: str, wrong: dict[str, str], sentence: str, status: int) -> Response:
    """A switch falls back to what is so; anything else keeps what was typed."""
    page = _load(public_id)
    section = forms.draw(setting, page)
    section.errors = wrong
    if not setting.is_switch:
        section.values = setting.typed(request.form)
    if htmx.is_fragment():
        return _answer(setting, page, section, said=sentence if "back" in request.form else "", status=status)
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return errors.answer(status, sentence, next_url=back, next_label="Back to the apps")
    return _whole_page(page, {setting.name: section}, status)


def _answer(setting: Setting, page: AppPage, section: Section, *, said: str = "", status: int = 200) -> Response:
    if "back" in request.form:
        back = local_path(request.form.get("back"), url_for("admin.apps"))
        return fragment(
            "admin/_app_row.html", status, row=page.row, back=back, said=said, refused=status >= 400,
            saved="" if section.errors else setting.name,
        )  # fmt: skip
    values = _shown(page, {setting.name: section})
    return fragment("admin/_app_section.html", status, section=setting.name, said=said, **values)


def _whole_page(page: AppPage, drawn: dict[str, Section], status: int = 200) -> Response:
    body = render_template("admin/app.html", said="", **_shown(page, drawn))
    return make_response(body, status)


def _shown(page: AppPage, drawn: dict[str, Section]) -> dict[str, Any]:
    """What the templates of an app's page read. `drawn` holds the sections that are not simply as stored."""
    q = words_of(request.args.get("q", ""))
    sections = {name: forms.draw(setting, page) for name, setting in SETTINGS.items()} | drawn
    return {
        "page": page,
        "app": page.row.app,
        "policy": page.row.policy,
        "sections": sections,
        "choices": queries.choices(q.split()[:8]),
        "q": q,
        "blank": _BLANK,
        "icons": APP_ICONS,
        "categories": queries.categories(),
    }
