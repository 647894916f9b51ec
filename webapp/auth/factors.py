"""The pages on which people set up their authenticator app and get recovery codes."""

from typing import Any

from flask import Response, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, links, totp
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import factors as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import factors as queries
from webapp.queries.organisation import load as organisation
from webapp.web.attempts import TooMany, give_back, take
from webapp.web.reauth import in_this_session, require_recent_password
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import me, people

from .views import bp, retry_later

HOME = "/account/security"


@bp.get("/account/security/authenticator")
@people
@require_recent_password
def new_authenticator() -> Response:
    """A QR code for the app, and the field for the first code of it."""
    return _setup(operations.begin_setup(me(), now=clock.now()))


@bp.post("/account/security/authenticator")
@people
@require_recent_password
def set_authenticator() -> AnyResponse:
    """Turns the app on, once a code shows that it has the secret. New recovery codes are shown, once."""
    person, setup, now = me(), request.form.get("setup", ""), clock.now()
    try:
        secret = operations.secret_of(setup, person, now=now)
    except Conflict as error:
        _undo()
        return _setup(operations.begin_setup(person, now=now), 409, str(error))
    try:
        taken = take(in_this_session())
    except TooMany as error:
        _undo()
        return retry_later(_setup(setup, 429, str(error)), error)
    try:
        code = links.well_formed(request.form.get("code", ""))
        if code is None:
            raise Invalid(code="Enter the 6 digits that your app shows.")
        codes = operations.set_authenticator(me(), secret=secret, code=code, actor=me(), now=now)
    except Invalid as error:
        _undo()
        return _setup(setup, 422, error.fields["code"])
    outbox.commit()
    give_back(taken)
    if codes:
        return show_codes(codes, "Your authenticator app is set up.")
    flash("Authenticator app replaced.")
    return redirect(HOME, 303)


@bp.post("/account/security/authenticator/removal")
@people
@require_recent_password
def remove_authenticator() -> AnyResponse:
    """Turns the app off."""
    operations.remove_authenticator(me(), actor=me(), now=clock.now())
    outbox.commit()
    flash("Authenticator app turned off.")
    return redirect(HOME, 303)


@bp.post("/account/security/recovery-codes")
@people
@require_recent_password
def renew_codes() -> AnyResponse:
    """Ten new recovery codes, shown once: the same form again is refused."""
    codes = operations.renew_codes(me(), stamp=request.form.get("was", ""), actor=me(), now=clock.now())
    outbox.commit()
    return show_codes(codes, "The old codes no longer work.")


def _undo() -> None:
    db.session.rollback()
    choose("read")


def show_codes(codes: list[str], lead: str) -> Response:
    """Shows recovery codes, once: only their hashes are stored."""
    choose("read")
    return hide_from_caches_and_referers(
        make_response(render_template("auth/recovery_codes.html", codes=codes, lead=lead))
    )


def _setup(setup: str, status: int = 200, error: str = "") -> Response:
    person = me()
    secret = operations.secret_of(setup, person, now=clock.now())
    width, path = totp.picture(totp.uri(secret, account=person.email, issuer=str(organisation().name)))
    values: dict[str, Any] = {"setup": setup, "width": width, "path": path, "error": error}
    values["key"] = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    values["replaces"] = queries.of(person.id).authenticator is not None
    return hide_from_caches_and_referers(make_response(render_template("auth/authenticator.html", **values), status))
