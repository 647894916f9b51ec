"""People: the list, invitations, and what an admin can do with one person's account."""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.addresses import plain, same
from webapp.extensions import db
from webapp.models import App, Grant, Person
from webapp.operations import grants
from webapp.operations import identities as identity_operations
from webapp.operations import people as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import (
    accounts,
    directories,
    factors,
    holdings,
    identities,
    people_list,
    reporting,
    request_lines,
    tokens,
)
from webapp.queries.people_list import ACCOUNT_STATES, PEOPLE_ORDERS, PersonCard
from webapp.queries.request_search import Filter
from webapp.runtime import trace
from webapp.text import one_line
from webapp.web import error_pages, htmx
from webapp.web.browsers import browser_name, is_phone
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me
from webapp.wording import count

from .forms import stamp
from .views import ListQuery, bp, commit, fragment, go, list_query, undo

DETAILS = ("name", "email", "about")
# Of the person's requests; "View all" leads to the list.
REQUESTS = 5


@bp.get("/people")
@admins
def people() -> Response:
    """The list, by name."""
    return fragment("admin/_people.html" if htmx.is_fragment() else "admin/people.html", **_list())


def _list() -> dict[str, Any]:
    """The values for the templates of the list."""
    where = _list_query()
    page = people_list.page(words=where.words, state=where.state, department=where.department, manager=where.manager,
                            sort=where.sort, after=where.after, before=where.before)  # fmt: skip
    values: dict[str, Any] = {"page": page, "list_query": where, "account_states": ACCOUNT_STATES}
    if not htmx.is_fragment():  # the filters stay as they are
        managers = reporting.managers()
        values["departments"] = [(one, one) for one in reporting.departments()]
        values["managers"] = [
            (one.public_id, f"{one.name}, {one.detail}" if one.detail else one.name) for one in managers
        ]
    return values


def _list_query() -> ListQuery:
    return list_query(*ACCOUNT_STATES, sorts=PEOPLE_ORDERS)


@bp.get("/people/new")
@admins
def new_person() -> Response:
    """The dialog to invite a person."""
    return _new_person({"name": "", "email": "", "about": "", "is_admin": False}, {}, 200)


def _new_person(values: dict[str, str | bool], errors: dict[str, str], status: int) -> Response:
    if htmx.is_fragment():
        return fragment("admin/_new_person.html", status, values=values, errors=errors)
    return fragment("admin/people.html", status, modal="new", values=values, errors=errors, **_list())


@bp.post("/people")
@admins
@require_recent_password
def create_person() -> AnyResponse:
    """Invite a person: they get an email with a link to set a password."""
    form = request.form
    name, email, about = (one_line(form.get(key, "")) for key in ("name", "email", "about"))
    is_admin = form.get("is_admin") == "1"
    try:
        person = operations.invite(email=email, name=name, about=about, is_admin=is_admin, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _new_person({"name": name, "email": email, "about": about, "is_admin": is_admin}, error.fields, 422)
    commit()
    trace.about(person=person.public_id)
    message = f"Invitation sent to {person.email}."
    if htmx.is_fragment():
        return fragment("admin/_people.html", page=people_list.page(), list_query=_list_query(),
                        account_states=ACCOUNT_STATES, invited=person, message=message)  # fmt: skip
    return go(url_for("admin.people"), message)


@bp.get("/people/<public_id>")
@admins
def person(public_id: str) -> Response:
    """One person: their access and why, their requests and decisions, and their account."""
    return person_page(public_id, page="admin/person.html")


def person_page(public_id: str, status: int = 200, *, page: str = "admin/_person.html", **more: object) -> Response:
    card = load(public_id)
    someone = card.person
    return fragment(
        page,
        status,
        card=card,
        apps=holdings.held_by(someone.id),
        removed=holdings.removed_from(someone.id),
        requests=request_lines.page(Filter(person=(someone.id,)), limit=REQUESTS),
        verdicts=holdings.decisions_of(someone.id),
        reporting=reporting.of_person(someone),
        keeper=directories.keeper(person=someone.id),
        departments=reporting.departments(),
        rules=[rule for rule in holdings.rules_naming(person=someone.id) if rule.in_force],
        browsers=[
            (browser_name(one.browser), is_phone(one.browser), one)
            for one in accounts.sessions(someone.id, now=clock.now())
        ],
        has_second_step=factors.is_asked(someone.id),
        tokens=tokens.of_person(someone.id, now=clock.now()),
        identities=identities.of_person(someone.id),
        **more,
    )


@bp.get("/people/<public_id>/details")
@admins
def details(public_id: str) -> Response:
    """The dialog with the name, address and description of a person."""
    someone = load(public_id).person
    return _details(public_id, {key: getattr(someone, key) for key in DETAILS}, {}, 200)


def _details(public_id: str, values: dict[str, str], errors: dict[str, str], status: int) -> Response:
    card = load(public_id)
    was = stamp({key: getattr(card.person, key) for key in DETAILS})
    if htmx.is_fragment():
        return fragment("admin/_details.html", status, card=card, values=values, errors=errors, was=was)
    return person_page(
        public_id, status, page="admin/person.html", modal="details", values=values, errors=errors, was=was
    )


@bp.post("/people/<public_id>/details")
@admins
@require_recent_password
def change_details(public_id: str) -> AnyResponse:
    """Save the details. `was` holds the values that the form was drawn with."""
    someone = load(public_id).person
    values = {key: one_line(request.form.get(key, "")) for key in DETAILS}
    if request.form.get("was") != stamp({key: getattr(someone, key) for key in DETAILS}):
        sentence = "Someone else changed this. Your text is still here. Save again to overwrite."
        return _details(public_id, values, {"name": sentence}, 409)
    moves = someone.email not in (plain(values["email"]), same(values["email"]))
    try:
        operations.change_details(someone, **values, actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _details(public_id, values, error.fields, 422)
    commit()
    return answer(public_id, "Saved. Emails now go to the new address." if moves else "Saved.")


@bp.get("/people/<public_id>/grants/<grant_id>/removal")
@admins
def removal(public_id: str, grant_id: str) -> Response:
    """Ask for the reason of a removal; with `keep`, htmx gets the app without the question."""
    return _removal(public_id, grant_id, "", {}, 200, asks=request.args.get("keep") != "1")


def _removal(
    public_id: str, grant_id: str, reason: str, errors: dict[str, str], status: int, *, asks: bool = True
) -> Response:
    card = load(public_id)
    one = holdings.held(grant_id, card.person.id) or abort(404)
    if htmx.is_fragment():
        return fragment("admin/_grant.html", status, one=one, card=card, asks=asks, reason=reason, errors=errors)
    return person_page(
        public_id, status, page="admin/person.html", asked=grant_id if asks else "", reason=reason, errors=errors
    )


@bp.post("/people/<public_id>/grants/<grant_id>/removal")
@admins
@require_recent_password
def remove_grant(public_id: str, grant_id: str) -> AnyResponse:
    """With a reason."""
    someone = load(public_id).person
    grant = db.session.query(Grant).filter_by(public_id=grant_id, person_id=someone.id).first() or abort(404)
    reason = request.form.get("reason", "")
    try:
        grants.remove(grant, actor=me(), reason=reason, now=clock.now())
    except Invalid as error:
        undo()
        return _removal(public_id, grant_id, reason, error.fields, 422)
    except Conflict as error:
        return _refuse(public_id, someone.name, str(error))
    commit()
    return answer(
        public_id, f"Access to {db.session.get_one(App, grant.app_id).name} removed. {someone.name} has been notified."
    )


@bp.get("/people/<public_id>/grants/removal")
@admins
def removal_of_all(public_id: str) -> Response:
    """The dialog that lists all apps of a person, to remove them for one reason."""
    return _removal_of_all(public_id, 200)


def _removal_of_all(public_id: str, status: int, **typed: object) -> Response:
    card = load(public_id)
    values: dict[str, object] = {"listed": holdings.listed(card.person.id), **typed}
    if htmx.is_fragment():
        return fragment("admin/_remove_all.html", status, card=card, **values)
    return person_page(public_id, status, page="admin/person.html", modal="remove-all", **values)


@bp.post("/people/<public_id>/grants/removal")
@admins
@require_recent_password
def remove_all_grants(public_id: str) -> AnyResponse:
    """Remove all access. `shown` are the apps that the dialog listed."""
    someone = load(public_id).person
    reason = request.form.get("reason", "")
    try:
        number = grants.remove_all(
            someone, shown=request.form.getlist("shown"), actor=me(), reason=reason, now=clock.now()
        )
    except Invalid as error:
        undo()
        return _removal_of_all(public_id, 422, reason=reason, errors=error.fields)
    except Conflict as error:
        undo()
        return _removal_of_all(public_id, 409, reason=reason, refused=str(error))
    commit()
    return answer(public_id, f"Access to {count(number, 'app')} removed. {someone.name} has been notified.")


@bp.get("/people/<public_id>/password-reset")
@admins
def password_reset(public_id: str) -> Response:
    """The dialog that asks before the link is sent."""
    return _password_reset(public_id, 200)


def _password_reset(public_id: str, status: int, refused: str = "") -> Response:
    card = load(public_id)
    if htmx.is_fragment():
        return fragment("admin/_password_reset.html", status, card=card, refused=refused)
    return person_page(public_id, status, page="admin/person.html", modal="password-reset", refused=refused)


@bp.post("/people/<public_id>/password-reset")
@admins
@require_recent_password
def reset_password(public_id: str) -> AnyResponse:
    """Emails a link to set a new password."""
    someone = load(public_id).person
    try:
        operations.reset_password(someone, actor=me(), now=clock.now())
    except Conflict as error:
        undo()
        return _password_reset(public_id, 409, str(error))
    commit()
    return answer(public_id, f"Email with a password link sent to {someone.email}.")


@bp.post("/people/<public_id>/sessions/ending")
@admins
@require_recent_password
def end_sessions(public_id: str) -> AnyResponse:
    """End all sessions of a person."""
    return change(
        public_id,
        lambda someone: operations.sign_out(someone, actor=me(), now=clock.now()),
        "{name} has been signed out of all sessions.",
        leaves="/sign-in" if public_id == me().public_id else "",
    )


@bp.post("/people/<public_id>/identities/<identity_id>/removal")
@admins
@require_recent_password
def remove_identity(public_id: str, identity_id: str) -> AnyResponse:
    """Removes the link of a person to a provider of single sign-on; sessions that came from there end."""

    def unlink(someone: Person) -> None:
        found = identities.identity(identity_id, someone.id)
        if found is None:
            raise Conflict(f"This link of {someone.name} was removed already.")
        identity_operations.unlink(found, actor=me(), now=clock.now())

    return change(public_id, unlink, "Link removed. {name} can link the account again at the next sign-in.")


@bp.post("/people/<public_id>/invitation")
@admins
@require_recent_password
def invite_again(public_id: str) -> AnyResponse:
    return change(
        public_id,
        lambda someone: operations.send_invitation_again(someone, actor=me(), now=clock.now()),
        "Invitation sent again to {email}.",
    )


@bp.post("/people/<public_id>/admin")
@admins
@require_recent_password
def set_admin(public_id: str) -> AnyResponse:
    """Make a person an admin (`on` = 1) or no longer one; `was` is what the switch showed."""
    wanted, was = request.form.get("on") == "1", request.form.get("was") == "on"

    def set_right(someone: Person) -> None:
        if someone.is_admin is not was:
            raise Conflict(f"Someone else changed this: {someone.name} is now {_admin_status(someone)}.")
        operations.set_admin(someone, is_admin=wanted, actor=me(), now=clock.now())

    # An admin who removed their own right cannot see this page any more.
    leaves = "/" if public_id == me().public_id and not wanted else ""
    return change(
        public_id, set_right, "{name} is now an admin." if wanted else "{name} is no longer an admin.", leaves
    )


def _admin_status(someone: Person) -> str:
    return "an admin" if someone.is_admin else "not an admin"


def load(public_id: str) -> PersonCard:
    return people_list.card(public_id) or abort(404)


def change(public_id: str, act: Callable[[Person], None], message: str, leaves: str = "") -> AnyResponse:
    """Apply a change. `leaves`: where to go if the signed-in admin cannot see this page any more."""
    someone = load(public_id).person
    try:
        act(someone)
    except Conflict as error:
        return _refuse(public_id, someone.name, str(error))
    commit()
    message = message.format(name=someone.name, email=someone.email)
    if leaves:
        return go(leaves, "You are no longer an admin." if leaves == "/" else "")
    return answer(public_id, message)


def _refuse(public_id: str, name: str, sentence: str) -> AnyResponse:
    undo()
    if htmx.is_fragment():
        return person_page(public_id, 409, message=sentence, refused=True)
    home = url_for("admin.person", public_id=public_id)
    return error_pages.answer(409, sentence, next_url=home, next_label=f"Back to {name}")


def answer(public_id: str, message: str) -> AnyResponse:
    if htmx.is_fragment():
        return person_page(public_id, message=message, refused=False)
    return go(url_for("admin.person", public_id=public_id), message)
