"""Passkeys: sign in with one, add one, remove one. The browser's part is static/js/app/passkeys.js."""

from flask import Response, flash, jsonify, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, passkeys
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import passkeys as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import factors as queries
from webapp.queries.organisation import load as organisation
from webapp.web import passkey_answers
from webapp.web.attempts import TooMany, take
from webapp.web.browsers import browser_name
from webapp.web.reauth import require_recent_password
from webapp.web.signin import anyone, me, people
from webapp.workflow.states import SignInMethod

from . import limits
from .factors import HOME, show_codes
from .views import bp, may_use_password, retry_later, show_refused, signed_in_by

NOT_WITH_PASSKEY = "Only emergency admins use a passkey here. Choose another way to sign in."
UNAVAILABLE = "Passkeys need an address with a name. Open Countersign at such an address."


@bp.post("/sign-in/passkey/options")
@anyone
def passkey_to_sign_in() -> Response:
    """What the browser needs to let somebody choose a passkey; says nothing about any account."""
    try:
        take(limits.any_from_here())
    except TooMany as error:
        return retry_later(make_response(jsonify(message=str(error)), 429), error)
    return _options("passkey", None)


@bp.post("/sign-in/passkey")
@anyone
def sign_in_by_passkey() -> AnyResponse:
    """Signs in whose passkey it is: it was unlocked by its person, so nothing else is asked for."""
    try:
        take(limits.any_from_here())
    except TooMany as error:
        return retry_later(show_refused(429, str(error)), error)
    found = passkey_answers.signed_by(request.form.get("credential", ""), "passkey", None)
    if found is None:
        outbox.commit()
        return show_refused(422, passkey_answers.REFUSED)
    person = found[1]
    # A passkey is kept here, as a password is: whom only a provider may let in, it does not.
    if not may_use_password(person):
        outbox.commit()
        return show_refused(403, NOT_WITH_PASSKEY)
    return signed_in_by(
        SignInMethod.PASSKEY, person, round=person.password_round, remember="remember" in request.form,
        target=request.form.get("next", ""),
    )  # fmt: skip


@bp.post("/account/proof/options")
@people
def passkey_to_confirm() -> Response:
    """What the browser needs to confirm with a passkey that it is still the same person."""
    return _options("confirm", me().id)


@bp.get("/account/security/passkeys/new")
@people
@require_recent_password
def new_passkey() -> Response:
    """The form with the name of a new passkey."""
    return _new(browser_name(request.user_agent.string))


@bp.post("/account/security/passkeys/options")
@people
@require_recent_password
def passkey_to_add() -> Response:
    """What the browser needs to make a passkey."""
    return _options("new_passkey", me().id)


@bp.post("/account/security/passkeys")
@people
@require_recent_password
def add_passkey() -> AnyResponse:
    """Adds what the browser made. With the first second factor, recovery codes are shown, once."""
    name = request.form.get("name", "")
    try:
        challenge = passkey_answers.take_challenge("new_passkey", me().id)
        if not challenge:
            raise Invalid(name="This page was open for too long. Select Add passkey again.")
        made = passkeys.register(request.form.get("credential", ""), challenge)
        codes = operations.add(me(), made, name=name, actor=me(), now=clock.now())
    except (Invalid, Conflict, passkeys.Refused) as error:
        db.session.rollback()
        choose("read")
        sentence = "The passkey was not accepted. Try again." if isinstance(error, passkeys.Refused) else str(error)
        return _new(name, 409 if isinstance(error, Conflict) else 422, sentence)
    outbox.commit()
    if codes:
        return show_codes(codes, "Your passkey is ready.")
    flash("Passkey added.")
    return redirect(HOME, 303)


@bp.post("/account/security/passkeys/<public_id>/removal")
@people
@require_recent_password
def remove_passkey(public_id: str) -> AnyResponse:
    """Removes one of the person's passkeys."""
    passkey = queries.own_passkey(public_id, me().id)
    if passkey is None:
        raise Conflict(operations.GONE)
    operations.remove(me(), passkey, actor=me(), now=clock.now())
    outbox.commit()
    flash("Passkey removed. Delete it on your device, too.")
    return redirect(HOME, 303)


def _options(kind: str, person_id: int | None) -> Response:
    if not passkeys.are_available():
        return make_response(jsonify(message=UNAVAILABLE), 409)
    if kind == "new_passkey":
        person = me()
        made = passkeys.creation_options(
            name=str(person.name), email=person.email, handle=person.public_id,
            known=[(one.credential_id, one.transports) for one in queries.of(person.id).passkeys],
            organisation=str(organisation().name),
        )  # fmt: skip
    else:
        made = passkeys.request_options()
    options = passkey_answers.ask(kind, person_id, made)
    outbox.commit()
    return jsonify(options)


def _new(name: str, status: int = 200, error: str = "") -> Response:
    body = render_template(
        "auth/new_passkey.html", name=name, error=error, available=passkeys.are_available(), limit=operations.NAME_LIMIT
    )
    return make_response(body, status)
