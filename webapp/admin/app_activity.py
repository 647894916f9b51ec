"""The requests for an app and the people who have it, for its owners and admins."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from flask import Response, abort, url_for

from webapp.database.transactions import choose
from webapp.queries import app_list, holders, request_lines
from webapp.queries.people_list import PersonRow
from webapp.text import reference
from webapp.times import utc
from webapp.web import htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import owners_of_app

from . import filters, tables
from .requests import STATES, searched
from .views import ListQuery, bp, fragment, list_query


@bp.get("/apps/<public_id>/requests")
@owners_of_app
def app_requests(public_id: str) -> Response:
    """The requests for this app, newest first."""
    row = app_list.row(public_id) or abort(404)
    search = replace(searched(), app="")
    wanted = replace(search.filter(), app=row.app.id)
    page = request_lines.page(wanted, before=filters.key("before"), after=filters.key("after"))
    return fragment(
        "admin/_requests.html" if htmx.is_fragment() else "admin/app_requests.html",
        page=page, search=search, states=STATES, card={"row": row}, app=row.app,
        url=url_for("admin.app_requests", public_id=public_id),
    )  # fmt: skip


@bp.get("/apps/<public_id>/people")
@owners_of_app
def app_people(public_id: str) -> Response:
    """The people with access by name, with fields, since when and why."""
    row = app_list.row(public_id) or abort(404)
    if htmx.is_fragment():
        return fragment("admin/_app_people.html", **people_of(row))
    return fragment("admin/app_people.html", **people_of(row))


def people_of(row: app_list.AppRow) -> dict[str, Any]:
    """The values for the templates of the list."""
    where = here()
    page = holders.page(row.app.id, words=where.words, sort=where.sort, after=where.after, before=where.before)
    url = url_for("admin.app_people", public_id=row.app.public_id)
    return {"page": page, "list_query": where, "card": {"row": row}, "app": row.app, "url": url}


def here() -> ListQuery:
    """The list query of the people with access."""
    return list_query(sorts=holders.ORDERS)


COLUMNS = ("Person", "Email", "About", "State", "Since (UTC)", "Ends (UTC)", "Access", "Request", "Reason", "Fields")


@bp.get("/apps/<public_id>/people.csv")
@owners_of_app
@require_recent_password
def app_people_csv(public_id: str) -> Response:
    """Export the matching people, streamed from the database."""
    row = app_list.row(public_id) or abort(404)
    return tables.download("people", _table(row.app.id, here()))


def _table(app_id: int, where: ListQuery) -> Iterator[str]:
    choose("read")
    yield tables.head(COLUMNS)
    for some in holders.batches(app_id, words=where.words, sort=where.sort):
        yield tables.written([_row(one) for one in some])


def _row(holder: holders.Holder) -> list[str]:
    person, held = holder.person, holder.held
    if held.request:
        by = f"Approved by {', '.join(held.deciders)}" if held.deciders else "Approved"
    else:
        by = f"Granted by {held.giver}" if held.giver else "Added without approval"
    return [
        person.name,
        person.email,
        person.about,
        PersonRow(person, 0).state.capitalize(),
        utc(held.since),
        utc(held.ends_at),
        by,
        reference(held.request) if held.request else "",
        held.reason,
        "; ".join(f"{one.name}: {one.value}" for one in held.values),
    ]
