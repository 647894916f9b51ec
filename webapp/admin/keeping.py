"""Beside an app's rules: the requests for it, and who has it. For admins, and for who owns it."""

from dataclasses import replace

from flask import Response, abort, url_for

from webapp import htmx
from webapp.queries import admin as queries
from webapp.queries import holdings, request_lines
from webapp.signin import keepers

from . import filters
from .requests import STATES, searched
from .views import bp, fragment, place


@bp.get("/apps/<public_id>/requests")
@keepers
def app_requests(public_id: str) -> Response:
    """Those for this app, newest first."""
    row = queries.app(public_id) or abort(404)
    search = replace(searched(), app="")
    wanted = replace(search.filter(), app=row.app.id)
    page = request_lines.page(wanted, before=filters.key("before"), after=filters.key("after"))
    return fragment(
        "admin/_requests.html" if htmx.is_fragment() else "admin/app_requests.html",
        page=page, search=search, states=STATES, card={"row": row}, app=row.app,
        url=url_for("admin.app_requests", public_id=public_id),
    )  # fmt: skip


@bp.get("/apps/<public_id>/people")
@keepers
def app_people(public_id: str) -> Response:
    """Who has this app, by name: with which fields, since when and why."""
    row = queries.app(public_id) or abort(404)
    where = place()
    page = holdings.holders(row.app.id, words=where.words, after=where.after, before=where.before)
    return fragment(
        "admin/_app_people.html" if htmx.is_fragment() else "admin/app_people.html",
        page=page, place=where, card={"row": row}, app=row.app,
        url=url_for("admin.app_people", public_id=public_id),
    )  # fmt: skip
