"""Signing in through a provider: out to it, and back.

Both ways are GETs. The way out only sets a cookie: a form could not lead there, as the policy of our pages lets no form
end on another site. The way back has to write, and a POST from the provider would come without our cookie. What makes
it safe is the state in that cookie, which is good for one answer; so it is the one GET that chooses a transaction that
writes, after the provider was asked.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

from flask import Response, abort, flash, make_response, redirect, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock, passwords
from webapp.claims import Claims
from webapp.database.transactions import choose, reading
from webapp.delivery import outbox
from webapp.encryption import Unreadable, decrypt, encrypt
from webapp.extensions import db, network, settings
from webapp.models import Person, Provider
from webapp.operations import identities
from webapp.operations import people as people_operations
from webapp.operations.errors import Conflict
from webapp.operations.identities import NoEntry, PasswordNeeded
from webapp.operations.origin import Origin
from webapp.queries import directory
from webapp.queries import identities as queries
from webapp.queries.factors import is_asked
from webapp.web import provider_health, signin
from webapp.web.attempts import Count, TooMany, give_back, take
from webapp.web.reauth import require_recent_password
from webapp.web.security import hide_from_caches_and_referers, local_path
from webapp.web.signin import SignedIn, admins, anyone, me, people, signed_in

from . import flows, trial
from .blueprint import bp
from .flows import Flow, Purpose
from .protocol import Misfit, Secrets

if TYPE_CHECKING:
    from .provider import Client

NOT_BEGUN = (
    "This sign-in was not begun in this browser, took longer than 15 minutes, or has ended already. Nothing was done. "
    "Start again."
)
CONNECTIONS = "/account/security#connections-head"
AGAIN_DONE = "/sso/signed-in-again"
SECOND_FACTOR = (
    "Your account has a second factor, so the password is not enough to link it. Sign in with both, then connect the "
    "provider under Your account, Security."
)
LONGEST_ID_TOKEN = 16 * 1024


# ---------- Out to the provider ----------


@bp.get("/<public_id>/start")
@anyone
def start(public_id: str) -> AnyResponse:
    """Sends the browser to the provider to sign in; `next` is where it lands afterwards."""
    target = local_path(request.args.get("next"))
    if signed_in() is not None:
        return redirect(target, 303)
    return _leave(public_id, Purpose.SIGN_IN, target)


@bp.get("/<public_id>/again")
@people
def sign_in_again(public_id: str) -> AnyResponse:
    """Sends the person to the provider to prove once more who they are."""
    return _leave(public_id, Purpose.FRESH, local_path(request.args.get("next"), AGAIN_DONE))


@bp.get("/<public_id>/connect")
@people
@require_recent_password
def connect(public_id: str) -> AnyResponse:
    """Sends the person to the provider to link their account there to the one here."""
    return _leave(public_id, Purpose.CONNECT, CONNECTIONS)


@bp.get("/<public_id>/test")
@admins
def test(public_id: str) -> AnyResponse:
    """Sends the admin to the provider to see what it says of them."""
    return _leave(public_id, Purpose.TEST, "/")


def _leave(public_id: str, purpose: Purpose, target: str) -> AnyResponse:
    from . import provider as calls

    try:
        take(Count("sso", network(), ((60, 60),)))
    except TooMany as error:
        return _refused(429, "", str(error), target)
    user = signed_in()
    person = user.person if user else None
    with reading():
        provider = _load(public_id, off=purpose is Purpose.TEST)
        hint = person.email if person and purpose in (Purpose.FRESH, Purpose.CONNECT) else ""
    kept, fresh = Secrets.new(), purpose is Purpose.FRESH
    try:
        address = calls.start(_client(provider), kept, fresh=fresh, login_hint=hint)
    except (calls.Unreachable, Misfit) as error:
        provider_health.note_failure(provider.public_id, str(error), now=clock.now())
        return _unreachable(provider, error, purpose, target)
    response = redirect(address, 303)
    flows.begin(response, kept, provider=public_id, purpose=purpose, next=target,
                person=person.public_id if person else "", now=clock.now())  # fmt: skip
    return response


def _load(public_id: str, *, off: bool = False) -> Provider:
    """The provider; with `off` also one that nobody can sign in through."""
    provider = queries.by_public_id(public_id)
    if provider is None or not (provider.in_use or off):
        abort(404)
    return provider


def _client(provider: Provider, secret: str = "") -> Client:  # nosec
    from .provider import Client

    return Client(
        provider.issuer, provider.client_id, secret, provider.scopes, redirect_uri(provider.public_id),
        provider.acr_values, provider.groups_claim,
    )  # fmt: skip


def redirect_uri(public_id: str) -> str:
    """Where the provider sends people back to."""
    return f"{settings().base_url}/sso/{public_id}/callback"


# ---------- And back ----------


@bp.get("/<public_id>/callback")
@anyone
def callback(public_id: str) -> AnyResponse:
    """The provider's answer: checked without a transaction, then what it was asked for is done."""
    from . import provider as calls

    user = signed_in()
    with reading():
        provider = _load(public_id, off=True)
    flow = flows.waiting(request.args.get("state", ""), public_id)
    if flow is None or flow.subject or not flows.is_first_use(flow):
        return _refused(400, provider.name, NOT_BEGUN, "/")
    fresh_since = datetime.fromtimestamp(flow.at, UTC) if flow.purpose == Purpose.FRESH else None
    try:
        if request.args.get("error"):
            return _ended(_denied(provider, flow), flow)
        found = calls.finish(
            _client(provider, decrypt(provider.client_secret) if provider.client_secret else ""), flow.secrets,
            code=request.args.get("code", ""), said_iss=request.args.get("iss"), now=clock.now(),
            fresh_since=fresh_since,
        )  # fmt: skip
    except (calls.Unreachable, Unreadable) as error:
        provider_health.note_failure(provider.public_id, str(error), now=clock.now())
        return _ended(_unreachable(provider, error, Purpose(flow.purpose), flow.next), flow)
    except Misfit as error:
        flows.log.warning("a provider's answer did not fit", extra={"provider": public_id, "reason": str(error)})
        return _ended(_misfit(provider, error, flow), flow)
    provider_health.note_success(provider.public_id)
    claims = Claims.of(found.claims, groups_claim=provider.groups_claim)
    if flow.purpose == Purpose.TEST:
        return _ended(trial.page(provider, found, claims, flow, user), flow)
    choose("write")
    directory.lock(exclusive=True)
    try:
        response = _act(flow, claims, found.id_token)
    except NoEntry as error:
        _give_up()
        choose("read")
        if isinstance(error, PasswordNeeded):
            return _ask_password(provider, flow, claims, error.person)
        response = _refused(403, provider.name, str(error), flow.next)
    return _ended(response, flow)


def _act(flow: Flow, claims: Claims, id_token: str) -> AnyResponse:
    """Does what the answer is for, in one transaction. Raises NoEntry."""
    provider = _load(flow.provider)
    if flow.purpose == Purpose.SIGN_IN:
        person = identities.sign_in(provider, claims, now=clock.now())
        _begin(provider, person, claims, id_token)
        outbox.commit()
        return redirect(local_path(flow.next), 303)
    signin.lock_signed_in(alone=True)
    user = signed_in()
    if user is None or user.person.public_id != flow.person:
        raise NoEntry("You were signed out meanwhile. Sign in again.")
    if flow.purpose == Purpose.CONNECT:
        identities.link(provider, user.person, claims, how="account", now=clock.now())
    else:
        _confirm(provider, user, claims)
    outbox.commit()
    return redirect(local_path(flow.next), 303)


def _confirm(provider: Provider, user: SignedIn, claims: Claims) -> None:
    if not identities.is_of(provider, user.person, claims):
        raise NoEntry(f"You signed in at {provider.name} as somebody else. Sign in there as {user.person.name}.")
    people_operations.reauthenticate(
        user.session.public_id, person_id=user.person.id, now=clock.now(), provider=provider.id
    )


def _begin(provider: Provider, person: Person, claims: Claims, id_token: str) -> None:
    stored = encrypt(id_token) if 0 < len(id_token) <= LONGEST_ID_TOKEN else ""
    signin.begin(person.id, remember=False,
                 origin=Origin(provider.id, claims.sid, stored, claims.authenticated_at))  # fmt: skip


def _give_up() -> None:
    """Ends the transaction; what was loaded in it can be shown still."""
    db.session.expunge_all()
    db.session.rollback()


def _ended(response: AnyResponse, flow: Flow) -> AnyResponse:
    flows.end(response, flow)
    return hide_from_caches_and_referers(cast(Response, response))


# ---------- An admin's password, once ----------


def _ask_password(provider: Provider, flow: Flow, claims: Claims, person: Person) -> AnyResponse:
    kept = Secrets.new()
    response = _password_page(provider, kept.state, person)
    flows.ask_password(response, flow, kept, person=person.public_id, subject=claims.subject, sid=claims.sid)
    return hide_from_caches_and_referers(response)


@bp.post("/<public_id>/password")
@anyone
def link_with_password(public_id: str) -> AnyResponse:
    """Links an admin who has given their password, and signs them in."""
    flow = flows.waiting(request.form.get("state", ""), public_id)
    given = request.form.get("password", "")
    with reading():
        provider = _load(public_id)
        person = queries.active_person(flow.person) if flow and flow.subject else None
        has_factor = person is not None and is_asked(person.id)
    if flow is None or person is None:
        return _refused(400, provider.name, NOT_BEGUN, "/")
    try:
        taken = take(Count("sso-password", person.public_id, ((10, 15 * 60),)))
    except TooMany as error:
        response = _password_page(provider, flow.state, person, 429, str(error))
        response.headers["Retry-After"] = str(error.seconds)
        return response
    fits = passwords.fits(person.password_hash, given)
    if not fits or person.password_hash is None:
        return _password_page(provider, flow.state, person, 422, "The password is incorrect. Try again.")
    if has_factor:
        # The password alone does not sign this person in, so it does not link an account either.
        return _ended(_refused(403, provider.name, SECOND_FACTOR, flow.next), flow)
    directory.lock(exclusive=True)
    people_operations.confirm_password(person.id, round=person.password_round, hash=person.password_hash)
    provider, claims = _load(public_id), Claims(flow.subject, sid=flow.sid)
    try:
        identities.link(provider, db.session.get_one(Person, person.id), claims, how="password", now=clock.now())
    except NoEntry as error:
        _give_up()
        return _ended(_refused(403, provider.name, str(error), flow.next), flow)
    _begin(provider, person, claims, "")
    outbox.commit()
    give_back(taken)
    return _ended(redirect(local_path(flow.next), 303), flow)


def _password_page(provider: Provider, state: str, person: Person, status: int = 200, error: str = "") -> Response:
    body = render_template("sso/password.html", provider=provider, state=state, person=person, error=error)
    return make_response(body, status)


# ---------- And apart again ----------


@bp.post("/<public_id>/disconnection")
@people
@require_recent_password
def disconnect(public_id: str) -> AnyResponse:
    """Removes the link of the person to a provider, unless nothing else lets them in."""
    _load(public_id, off=True)  # 404 for what is no provider
    found = queries.of_person(me().id)
    identity = next((one for one, provider in found if provider.public_id == public_id), None)
    if identity is None:
        raise Conflict("Your account is not connected there any more.")
    others = any(provider.in_use and one.id != identity.id for one, provider in found)
    by_password = me().password_hash is not None and (
        queries.passwords_for_all() or (me().is_emergency_admin and me().is_admin)
    )
    if not others and not by_password:
        raise Conflict(
            "You have no other way to sign in, so the connection stays. Set a password first, or ask an admin."
        )
    identities.unlink(identity, actor=me(), now=clock.now())
    outbox.commit()
    flash("Disconnected. Sessions that came from there have ended.")
    return redirect(CONNECTIONS, 303)


# ---------- Pages ----------


@bp.get("/signed-in-again")
@people
def signed_in_again() -> Response:
    """Says that the other tab goes on."""
    return make_response(render_template("sso/again.html", person=me()))


def _denied(provider: Provider, flow: Flow) -> AnyResponse:
    error = request.args.get("error", "")
    if error == "access_denied":
        sentence = f"{provider.name} did not let you in, or you cancelled there. Nothing was done."
    else:
        sentence = f"{provider.name} answered: {error[:60]}. Nothing was done. Try again, or ask an admin."
    if flow.purpose == Purpose.TEST:
        said = request.args.get("error_description", "")[:300]
        sentence = f"{sentence} It said: {said}" if said else sentence
    return _refused(403, provider.name, sentence, flow.next, test=_test_page(provider, Purpose(flow.purpose)))


def _misfit(provider: Provider, error: Misfit, flow: Flow) -> AnyResponse:
    purpose = Purpose(flow.purpose)
    sentence = f"The answer of {provider.name} did not fit, so nothing was done. Try again, or another way."
    if purpose in (Purpose.TEST, Purpose.FRESH):
        sentence = f"The answer of {provider.name} did not fit. {error} Nothing was done."
    return _refused(400, provider.name, sentence, flow.next, test=_test_page(provider, purpose))


def _unreachable(provider: Provider, error: Exception, purpose: Purpose, target: str) -> AnyResponse:
    sentence = f"{provider.name} cannot be used at the moment. Try again in a minute, or another way. Admins see why."
    if purpose is Purpose.TEST:
        sentence = f"The test of {provider.name} failed. {error}"
    return _refused(502, provider.name, sentence, target, test=_test_page(provider, purpose))


def _test_page(provider: Provider, purpose: Purpose) -> str:
    return f"/admin/sign-in/{provider.public_id}" if purpose is Purpose.TEST else ""


def _refused(status: int, name: str, sentence: str, target: str, *, test: str = "") -> AnyResponse:
    """A page that says why nothing was done, and what to do."""
    with reading():
        body = render_template("sso/refused.html", name=name, sentence=sentence, next=local_path(target), test=test)
    return make_response(body, status)
