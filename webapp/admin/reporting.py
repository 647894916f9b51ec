"""Whom a person reports to, and their department: two settings of a person's page, each saved by itself."""

from collections.abc import Callable

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.models import Person
from webapp.operations import reporting as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import directories, reporting
from webapp.text import one_line
from webapp.web import access, htmx
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me

from .people import load, person_page
from .picker import picked
from .views import bp, commit, fragment, go, undo

CHANGED = "Someone else changed this. The current value is shown."


@bp.get("/people/<public_id>/reporting")
@admins
def reporting_of(public_id: str) -> Response:
    """The card with manager and department; without JavaScript, the page with what was searched for."""
    if htmx.is_fragment():
        return _card(public_id)
    return person_page(public_id, page="admin/person.html", pick=picked())


@bp.post("/people/<public_id>/manager")
@admins
@require_recent_password
def set_manager(public_id: str) -> AnyResponse:
    """`manager` is "person:4K7W9Q2M3XTA", or "" for no one; `was` is the one that the form was drawn with."""

    def save(person: Person) -> None:
        now = reporting.manager_of(person)
        if request.form.get("was") != (now.value if now else ""):
            raise Conflict(CHANGED)
        given = request.form.get("manager", "")
        manager = access.active_person(given.removeprefix("person:"))
        if given and manager is None:
            raise Invalid(manager="Choose someone who is active.")
        operations.set_manager(person, manager, actor=me(), now=clock.now())

    return _save(public_id, "manager", save)


@bp.post("/people/<public_id>/department")
@admins
@require_recent_password
def set_department(public_id: str) -> AnyResponse:
    """`department` is a text; `was` is the one that the form was drawn with."""

    def save(person: Person) -> None:
        if request.form.get("was") != person.department:
            raise Conflict(CHANGED)
        operations.set_department(person, request.form.get("department", ""), actor=me(), now=clock.now())

    return _save(public_id, "department", save)


def _save(public_id: str, part: str, save: Callable[[Person], None]) -> AnyResponse:
    typed = one_line(request.form.get("department", ""))
    try:
        save(access.person_to_change(public_id))
    except Conflict as error:
        undo()
        return _refused(public_id, 409, {part: str(error)})
    except Invalid as error:
        undo()
        return _refused(public_id, 422, error.fields, typed if part == "department" else None)
    commit()
    if htmx.is_fragment():
        return _card(public_id, saved_part=part)
    return go(url_for("admin.person", public_id=public_id), "Saved.")


def _refused(public_id: str, status: int, errors: dict[str, str], typed: str | None = None) -> Response:
    if htmx.is_fragment():
        return _card(public_id, status, errors=errors, typed_department=typed)
    return person_page(public_id, status, page="admin/person.html", errors=errors, typed_department=typed)


def _card(public_id: str, status: int = 200, **values: object) -> Response:
    card = load(public_id)
    return fragment("admin/_reporting.html", status, card=card, reporting=reporting.of_person(card.person),
                    keeper=directories.keeper(person=card.person.id),
                    departments=reporting.departments(), **values)  # fmt: skip
