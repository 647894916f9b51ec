"""The person's own account: profile, security and sessions, each a page."""

from collections import defaultdict
from typing import Any

from flask import Response, abort, flash, make_response, redirect, render_template, request, session
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, passkeys, passwords
from webapp.auth import limits
from webapp.auth.forms import ChangePassword, errors_of
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import people as people_operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import accounts, factors, identities, reporting
from webapp.web import devices, htmx, signin
from webapp.web.attempts import TooMany, give_back, take
from webapp.web.browsers import browser_name, is_phone
from webapp.web.presentation import now
from webapp.web.reauth import FIELD, PASSKEY_FIELD, in_this_session, reauthenticate
from webapp.web.security import local_path, own_path
from webapp.web.signin import me, people, signed_in
from webapp.wording import SIGN_IN_METHODS
from webapp.zones import time_zones

from .views import bp, retry_later

# ---------- Profile ----------


@bp.get("/account")
@people
def account() -> Response:
    """Who the person is here, and how pages look to them."""
    return make_response(_profile())


@bp.post("/account/time-zone")
@people
def change_time_zone() -> AnyResponse:
    """The person's own time zone; "" is the organisation's."""
    try:
        people_operations.change_settings(me(), time_zone=request.form.get("time_zone", ""), now=clock.now())
    except Invalid as error:
        with reading():
            return make_response(_profile(**error.fields), 422)
    outbox.commit()
    flash("Time zone saved.")
    return redirect("/account", 303)


@bp.post("/account/theme")
@people
def change_theme() -> AnyResponse:
    """Saves the theme: light, dark or as the system. With htmx the page has switched already."""
    people_operations.change_theme(me(), theme=request.form.get("theme", ""), now=clock.now())
    outbox.commit()
    if htmx.is_fragment():
        return Response(status=204)
    return redirect(own_path(request.referrer), 303)


def _profile(**errors: str) -> str:
    found = accounts.profile(me().id)
    return render_template(
        "auth/account.html",
        organisation_zone=found.organisation_zone,
        groups=found.groups,
        manager=reporting.manager_of(db.session.get_one(Person, me().id)),
        regions=time_zones(),
        now=now(),
        errors=defaultdict(str, errors),
    )


# ---------- Security ----------


@bp.get("/account/security")
@people
def security() -> Response:
    """The ways in which the person signs in."""
    return make_response(_security())


@bp.post("/account/password")
@people
def change_password() -> AnyResponse:
    """Changes the password, given the old one; ends all other sessions."""
    form = ChangePassword()
    with reading():
        person = db.session.get_one(Person, me().id)
    valid = form.validate()
    errors = errors_of(form)
    if "current" not in errors:
        try:
            taken = take(in_this_session())
        except TooMany as error:
            return retry_later(_security_again(429, current=f"{error} {limits.OR_RESET}"), error)
        if passwords.fits(person.password_hash, form.current.data):
            give_back(taken)
        else:
            errors["current"] = "The current password is incorrect."
    if not valid or errors:
        return _security_again(422, **errors)
    hash = passwords.hash_password(form.password.data)
    signin.recheck_right()
    user = signed_in()
    method = user.session.method if user else ""
    people_operations.set_password(person.id, hash=hash, round=person.password_round, now=clock.now())
    signin.begin(person.id, remember=bool(session.permanent), method=method)
    outbox.commit()
    flash("Password changed. All your other sessions have been signed out.")
    response = make_response(redirect("/account/security", 303))
    devices.remember(response, person.email, person.password_round + 1)
    return response


@bp.post("/account/proof")
@people
def confirm_password() -> AnyResponse:
    """Checks the password or a passkey before an export; then redirects to the export."""
    target = local_path(request.form.get("next"))
    given = request.form.get(FIELD, ""), request.form.get(PASSKEY_FIELD, "")
    return reauthenticate(*given, then=target) or redirect(target, 303)


def _security_again(status: int, **errors: str) -> Response:
    with reading():
        return make_response(_security(**errors), status)


def _security(**errors: str) -> str:
    return render_template(
        "auth/security.html",
        errors=defaultdict(str, errors),
        shortest=passwords.SHORTEST,
        has=factors.of(me().id),
        lacks_second_step=bool((user := signed_in()) and user.lacks_second_step),
        passkeys=passkeys.are_available(),
        connections=identities.connections(me().id),
    )


# ---------- Sessions ----------


@bp.get("/account/sessions")
@people
def sessions() -> Response:
    """Where the person is signed in."""
    rows = _browsers(accounts.sessions(me().id, now=clock.now()))
    return make_response(render_template("auth/sessions.html", browsers=rows))


@bp.post("/account/sessions/<public_id>/ending")
@people
def end_session(public_id: str) -> AnyResponse:
    """Ends one of the person's sessions, or forgets a trusted browser."""
    user = signed_in()
    if user is not None and public_id == user.session.public_id:
        return _signed_out("You have signed out.")
    if not people_operations.end_session(public_id, person_id=me().id, now=clock.now()):
        if accounts.session_ended(public_id, me().id):
            raise Conflict("This session had already ended.")
        abort(404)
    outbox.commit()
    message = "Session signed out."
    if htmx.is_fragment():
        rows = _browsers(accounts.sessions(me().id, now=clock.now()))
        return make_response(render_template("auth/_sessions.html", browsers=rows, message=message))
    flash(message)
    return redirect("/account/sessions", 303)


@bp.post("/account/sessions/ending")
@people
def end_sessions() -> AnyResponse:
    """Ends all sessions of the person, this one included."""
    people_operations.end_sessions(me().id, actor=me(), now=clock.now())
    return _signed_out("You have signed out of all sessions.")


def _signed_out(message: str) -> AnyResponse:
    signin.end()
    outbox.commit()
    flash(message)
    if htmx.is_fragment():
        return htmx.redirect_whole_page(Response(status=204), "/sign-in")
    return redirect("/sign-in", 303)


def _browsers(rows: Any) -> list[dict[str, Any]]:
    user = signed_in()
    here = user.session.public_id if user else ""
    return [
        {
            "public_id": row.public_id,
            "name": browser_name(row.browser),
            "is_phone": is_phone(row.browser),
            "here": row.public_id == here,
            "how": SIGN_IN_METHODS.get(row.method, ""),
            "for_decisions": row.kind == "decisions",
            "began": row.created_at,
            "seen": row.seen_at,
            "address": row.address,
        }
        for row in sorted(rows, key=lambda row: row.public_id != here)
    ]
