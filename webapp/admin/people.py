"""People: the list, invitations, and what an admin can do with one person's account."""

from collections.abc import Callable

from flask import Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, errors, htmx
from webapp.models import Person
from webapp.operations import people as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import admin as queries
from webapp.signin import admins, me
from webapp.text import one_line

from .views import bp, commit, fragment, go, place, undo


@bp.get("/people")
@admins
def people() -> Response:
    """The list, by name."""
    template = "admin/_people.html" if htmx.is_fragment() else "admin/people.html"
    return fragment(template, page=_list(), place=place())


def _list() -> queries.Page[queries.PersonRow]:
    where = place()
    return queries.people(words=where.words, after=where.after, before=where.before)


@bp.get("/people/new")
@admins
def new_person() -> Response:
    """The dialog that invites somebody."""
    return _new_person({"name": "", "email": "", "about": "", "is_admin": False}, {}, 200)


def _new_person(values: dict[str, str | bool], wrong: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_person.html", status, values=values, errors=wrong)
    return fragment("admin/people.html", status, page=_list(), place=place(), modal="new", values=values, errors=wrong)


@bp.post("/people")
@admins
def create_person() -> AnyResponse:
    """Invites somebody: they get a mail with a link to set a password."""
    form = request.form
    name, email, about = (one_line(form.get(key, "")) for key in ("name", "email", "about"))
    is_admin = form.get("is_admin") == "1"
    try:
        if len(about) > 120:
            raise Invalid(about=f"Please keep it to 120 characters; this has {len(about):,}.")
        person = operations.invite(email=email, name=name, about=about, is_admin=is_admin, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_person({"name": name, "email": email, "about": about, "is_admin": is_admin}, error.fields, 422)
    commit()
    said = f"A mail with a link to set a password is on its way to {person.email}."
    if htmx.is_fragment():
        return fragment("admin/_people.html", page=queries.people(), place=place(), invited=person, said=said)
    return go(url_for("admin.people"), said)


@bp.get("/people/<public_id>")
@admins
def person(public_id: str) -> Response:
    """One person's account."""
    return fragment("admin/person.html", card=_load(public_id))


@bp.get("/people/<public_id>/deactivation")
@admins
def deactivation(public_id: str) -> Response:
    """The dialog that says what deactivating somebody does."""
    return _deactivation(public_id, "", 200)


def _deactivation(public_id: str, refused: str, status: int) -> Response:
    card = _load(public_id)
    if htmx.is_fragment():
        return fragment("admin/_deactivation.html", status, card=card, refused=refused)
    return fragment("admin/person.html", status, card=card, modal=True, refused=refused)


@bp.post("/people/<public_id>/deactivation")
@admins
def deactivate(public_id: str) -> AnyResponse:
    someone = _load(public_id).person
    try:
        operations.deactivate(someone, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _deactivation(public_id, str(error), 409)
    commit()
    return _answer(public_id, f"{someone.name} is deactivated: signed out everywhere, and asked for nothing any more.")


@bp.post("/people/<public_id>/reactivation")
@admins
def reactivate(public_id: str) -> AnyResponse:
    return _change(
        public_id,
        lambda someone: operations.reactivate(someone, actor=me(), now=clock.now()),
        "{name} can sign in again.",
    )


@bp.post("/people/<public_id>/invitation")
@admins
def invite_again(public_id: str) -> AnyResponse:
    return _change(
        public_id,
        lambda someone: operations.send_invitation_again(someone, actor=me(), now=clock.now()),
        "The invitation is on its way to {email} again.",
    )


@bp.post("/people/<public_id>/admin")
@admins
def set_admin(public_id: str) -> AnyResponse:
    """Makes somebody an admin (`on` = 1) or takes it back; `was` is what the switch showed."""
    wanted, was = request.form.get("on") == "1", request.form.get("was") == "on"

    def change(someone: Person) -> None:
        if someone.is_admin is not was:
            raise Conflict(f"Somebody else changed this meanwhile: {someone.name} is {_standing(someone)} now.")
        operations.set_admin(someone, is_admin=wanted, actor=me(), now=clock.now())

    # Whoever has just taken it from themselves may not see this page any more.
    leaves = public_id == me().public_id and not wanted
    return _change(public_id, change, "{name} is an admin now." if wanted else "{name} is no admin any more.", leaves)


def _standing(someone: Person) -> str:
    return "an admin" if someone.is_admin else "no admin"


def _load(public_id: str) -> queries.PersonCard:
    return queries.person(public_id) or abort(404)


def _change(public_id: str, change: Callable[[Person], None], said: str, leaves: bool = False) -> AnyResponse:
    someone = _load(public_id).person
    try:
        change(someone)
    except Conflict as error:
        undo()
        if htmx.is_fragment():
            return fragment("admin/_person.html", 409, card=_load(public_id), said=str(error), refused=True)
        return errors.answer(
            409,
            str(error),
            next_url=url_for("admin.person", public_id=public_id),
            next_label=f"Back to {someone.name}",
        )
    commit()
    said = said.format(name=someone.name, email=someone.email)
    if leaves:
        return go("/", "You are no admin any more.")
    return _answer(public_id, said)


def _answer(public_id: str, said: str) -> AnyResponse:
    if htmx.is_fragment():
        return fragment("admin/_person.html", card=_load(public_id), said=said, refused=False)
    return go(url_for("admin.person", public_id=public_id), said)
