"""Settings, Directory: the directories that push people and groups, their tokens, and what came last."""

import json
from datetime import timedelta
from typing import Any

from flask import Response, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.extensions import settings
from webapp.models import ApiToken, Directory
from webapp.operations import directories as operations
from webapp.operations import tokens
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import directories as queries
from webapp.queries.directories import DirectoryLine
from webapp.text import one_line
from webapp.web import htmx
from webapp.web.presentation import now
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import admins, me

from .views import bp, commit, fragment, go, list_query, undo

# What was refused so long is counted in the list.
LATELY = timedelta(days=1)


@bp.get("/directory")
@admins
def directories() -> Response:
    """The directories, and the way to a file."""
    return fragment("admin/directories.html", lines=_lines(), now=now())


def _lines() -> list[DirectoryLine]:
    return queries.all_of(now=clock.now(), since=clock.now() - LATELY)


@bp.get("/directory/new")
@admins
def new_directory() -> Response:
    return _new("", False, {}, 200)


def _new(name: str, invites: bool, errors: dict[str, str], status: int) -> Response:
    return fragment("admin/directory_new.html", status, name=name, invites=invites, errors=errors)


@bp.post("/directory")
@admins
@require_recent_password
def create_directory() -> Response:
    """Connects a directory and shows its token, once: the same form again is refused, because its name is in use."""
    name, invites = one_line(request.form.get("name", "")), request.form.get("invites") == "1"
    try:
        made, secret = operations.create(name=name, invites=invites, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new(name, invites, error.fields, 422)
    public_id = made.public_id
    commit()
    return _secret(public_id, secret)


@bp.get("/directory/<public_id>")
@admins
def directory(public_id: str) -> Response:
    """What came last, the token, what it keeps, and its settings."""
    return _page(public_id)


def _page(public_id: str, status: int = 200, **values: Any) -> Response:
    line = _line(public_id)
    where = list_query("refused")
    page = queries.pushes(line.directory.id, refused=where.state == "refused", after=where.after, before=where.before)
    if htmx.is_fragment() and not values:
        return fragment("admin/_pushes.html", line=line, page=page, list_query=where, changes_of=changes_of)
    return fragment(
        "admin/directory.html", status, line=line, page=page, list_query=where, changes_of=changes_of,
        groups=queries.kept_groups(line.directory.id), address=f"{settings().base_url.rstrip('/')}/scim/v2",
        most=operations.TOKENS_LIMIT, kept=operations.PUSHES_KEPT // timedelta(days=1), now=now(),
        **({"errors": {}, "form": line.directory} | values),
    )  # fmt: skip


def changes_of(push: Any) -> list[tuple[str, str, str]]:
    """(what, before, after) of a push, all of it text."""
    return [(str(what), str(before), str(after)) for what, before, after in json.loads(push.changes)]


def _line(public_id: str) -> DirectoryLine:
    return next((one for one in _lines() if one.directory.public_id == public_id), None) or abort(404)


def _to_change(public_id: str) -> Directory:
    return queries.one(public_id) or abort(404)


@bp.post("/directory/<public_id>")
@admins
@require_recent_password
def change_directory(public_id: str) -> AnyResponse:
    """Saves the name, and whether new people are invited."""
    row = _to_change(public_id)
    name, invites = one_line(request.form.get("name", "")), request.form.get("invites") == "1"
    try:
        operations.change(row, name=name, invites=invites, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _page(public_id, 422, errors=error.fields, form={"name": name, "invites": invites})
    return _done(row, "Saved.")


@bp.post("/directory/<public_id>/pause")
@admins
@require_recent_password
def pause_directory(public_id: str) -> AnyResponse:
    """Its pushes are refused until it is resumed."""
    row = _to_change(public_id)
    operations.pause(row, actor=me(), now=clock.now())
    return _done(row, f"{row.name} is paused. What it pushes is refused, and it tries again later.")


@bp.post("/directory/<public_id>/resumption")
@admins
@require_recent_password
def resume_directory(public_id: str) -> AnyResponse:
    row = _to_change(public_id)
    operations.resume(row, actor=me(), now=clock.now())
    return _done(row, f"{row.name} is in use again.")


def _done(row: Directory, message: str) -> AnyResponse:
    location = url_for("admin.directory", public_id=row.public_id)
    commit()
    return go(location, message)


@bp.get("/directory/<public_id>/removal")
@admins
def directory_to_remove(public_id: str) -> Response:
    """The dialog that asks before it is removed."""
    if htmx.is_fragment():
        return fragment("admin/_directory_removal.html", line=_line(public_id))
    return _page(public_id, modal="removal")


@bp.post("/directory/<public_id>/removal")
@admins
@require_recent_password
def remove_directory(public_id: str) -> AnyResponse:
    """Removes it; people and groups stay."""
    row = _to_change(public_id)
    operations.remove(row, actor=me(), now=clock.now())
    message = f"{row.name} removed. Its people and groups stay, and can be changed by hand."
    commit()
    return go(url_for("admin.directories"), message)


# Tokens


@bp.post("/directory/<public_id>/tokens")
@admins
@require_recent_password
def new_directory_token(public_id: str) -> AnyResponse:
    """Makes one more token and shows it, once; the one in use works until somebody ends it."""
    row = _to_change(public_id)
    try:
        _, secret = operations.new_token(row, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        flash(str(error), "error")
        return redirect(url_for("admin.directory", public_id=public_id), 303)
    commit()
    return _secret(public_id, secret)


@bp.post("/directory/<public_id>/tokens/<token_id>/ending")
@admins
@require_recent_password
def end_directory_token(public_id: str, token_id: str) -> AnyResponse:
    """Ends a token at once."""
    row = _to_change(public_id)
    tokens.revoke(_token(row, token_id), actor=me(), now=clock.now())
    return _done(row, "The token has ended.")


def _token(row: Directory, public_id: str) -> ApiToken:
    return queries.token(public_id, row.id) or abort(404)


def _secret(public_id: str, secret: str) -> Response:
    """The page with the new token in a dialog: the only time that it is shown."""
    return hide_from_caches_and_referers(_page(public_id, modal="secret", secret=secret))
