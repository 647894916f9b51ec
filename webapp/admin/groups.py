"""Groups: the list with members inline, and one group with all of its members."""

from typing import Any

from flask import Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import Group, Person
from webapp.operations import groups as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import group_list, principals
from webapp.queries.group_list import GroupRow
from webapp.queries.paging import Page
from webapp.runtime import trace
from webapp.text import one_line
from webapp.web import access, error_pages, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me

from . import questions
from .picker import Pick
from .views import bp, commit, fragment, go, list_query, undo, words_of


@bp.get("/groups")
@admins
def groups() -> Response:
    """The list, by name."""
    template = "admin/_groups.html" if htmx.is_fragment() else "admin/groups.html"
    return fragment(template, page=_list(), list_query=list_query())


def _list() -> Page[GroupRow]:
    where = list_query()
    return group_list.page(words=where.words, after=where.after, before=where.before)


@bp.get("/groups/new")
@admins
def new_group() -> Response:
    """The dialog that asks for a name."""
    return _new_group("", {}, 200)


def _new_group(name: str, errors: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_group.html", status, name=name, errors=errors)
    return fragment(
        "admin/groups.html", status, page=_list(), list_query=list_query(), modal=True, name=name, errors=errors
    )


@bp.post("/groups")
@admins
@require_recent_password
def create_group() -> AnyResponse:
    name = one_line(request.form.get("name", ""))
    try:
        made = operations.create(name=name, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_group(name, error.fields, 422)
    commit()
    trace.about(group=made.public_id)
    return go(url_for("admin.group", public_id=made.public_id), f"{made.name} created. Now add members.")


@bp.get("/groups/<public_id>")
@admins
def group(public_id: str) -> Response:
    """One group with all of its members; for htmx, the people who can be added."""
    row, q = _load(public_id), words_of(request.args.get("q", ""))
    asked = htmx.is_fragment() or "pick" in request.args
    found = principals.candidates(row.id, q.split()[:8]) if asked else []
    if htmx.is_fragment():
        return fragment("admin/_choices.html", name="person", q=q, found=found, plain=False)
    return fragment("admin/group.html", group=row, pick=Pick(request.args.get("pick", ""), q, found))


@bp.get("/groups/<public_id>/name")
@admins
def group_name(public_id: str) -> Response:
    """The dialog with its name."""
    return _dialog(public_id, "name", 200, value=_load(public_id).name)


@bp.get("/groups/<public_id>/archive")
@admins
def group_archive(public_id: str) -> Response:
    """The dialog that explains what archiving does."""
    return _dialog(public_id, "archive", 200)


def _dialog(
    public_id: str,
    act: str,
    status: int,
    *,
    value: str = "",
    errors: dict[str, str] | None = None,
    refused: str = "",
) -> Response:
    row = _load(public_id)
    values: dict[str, Any] = {"group": row, "act": act, "value": value, "errors": errors or {}, "refused": refused,
                              "asked": _archive_stamp(row)}  # fmt: skip
    if htmx.is_fragment():
        return fragment("admin/_group_dialog.html", status, **values)
    return fragment("admin/group.html", status, modal=True, **values)


def _archive_stamp(row: GroupRow) -> str:
    """The stamp of the dialog: the group and the number of its members."""
    return questions.stamp(row.id, row.name, row.count)


@bp.post("/groups/<public_id>/name")
@admins
@require_recent_password
def rename_group(public_id: str) -> AnyResponse:
    """Rename the group. `was` is the name that the form was drawn with."""
    group, name = access.group_to_change(public_id), one_line(request.form.get("name", ""))
    if request.form.get("was") != group.name:
        sentence = f"Someone else renamed this group to {group.name}. Save again to overwrite."
        return _dialog(public_id, "name", 409, value=name, errors={"name": sentence})
    try:
        operations.rename(group, name=name, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _dialog(public_id, "name", 422, value=name, errors=error.fields)
    commit()
    return go(url_for("admin.group", public_id=public_id), f"Renamed to {group.name}.")


@bp.post("/groups/<public_id>/archive")
@admins
@require_recent_password
def archive_group(public_id: str) -> AnyResponse:
    """Archive the group; refused, with what uses it, while it is in use."""
    group = access.group_to_change(public_id)
    if questions.is_outdated(_archive_stamp(_load(public_id))):
        undo()
        return _dialog(public_id, "archive", 409, refused=questions.CHANGED)
    try:
        operations.archive(group, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _dialog(public_id, "archive", 409, refused=str(error))
    commit()
    return go(url_for("admin.groups"), f"{group.name} is archived.")


@bp.post("/groups/<public_id>/members")
@admins
@require_recent_password
def add_member(public_id: str) -> AnyResponse:
    """`person` is "person:4K7W9Q2M3XTA", or the public id alone."""
    group, person = _to_change(public_id, request.form.get("person", "").removeprefix("person:"))
    try:
        operations.add_member(group, person, actor=me(), now=clock.now())
    except Conflict as error:
        return _refuse(public_id, str(error))
    commit()
    return _answer(public_id, f"{person.name} added to {group.name}.")


@bp.post("/groups/<public_id>/members/<person_id>/removal")
@admins
@require_recent_password
def remove_member(public_id: str, person_id: str) -> AnyResponse:
    group, person = _to_change(public_id, person_id)
    try:
        operations.remove_member(group, person, actor=me(), now=clock.now())
    except Conflict as error:
        return _refuse(public_id, str(error))
    commit()
    return _answer(public_id, f"{person.name} removed from {group.name}.")


def _load(public_id: str, *, whole: bool = True) -> GroupRow:
    return group_list.row(public_id, whole=whole) or abort(404)


def _to_change(public_id: str, person_id: str) -> tuple[Group, Person]:
    return access.group_to_change(public_id), access.person_to_change(person_id)


def _is_whole() -> bool:
    """Whether the form stands on the group's own page, which shows all members."""
    return request.form.get("whole") == "1"


def _refuse(public_id: str, sentence: str) -> AnyResponse:
    undo()
    row = _load(public_id, whole=_is_whole())
    if htmx.is_fragment():
        return fragment("admin/_group.html", 409, group=row, whole=_is_whole(), message=sentence, refused=True)
    home = url_for("admin.group", public_id=public_id)
    return error_pages.answer(409, sentence, next_url=home, next_label=f"Back to {row.name}")


def _answer(public_id: str, message: str) -> AnyResponse:
    if htmx.is_fragment():
        row = _load(public_id, whole=_is_whole())
        return fragment("admin/_group.html", group=row, whole=_is_whole(), message=message, refused=False)
    return go(url_for("admin.group", public_id=public_id), message)
