"""Sign-out with a provider: from here to there, and from there to here."""

import logging

from flask import Response, abort, jsonify, make_response, redirect, render_template, request
from redis.exceptions import RedisError
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.database.transactions import reading
from webapp.delivery import outbox
from webapp.encryption import Unreadable, decrypt
from webapp.extensions import broker, csrf, network, settings
from webapp.models import Provider
from webapp.operations import identities
from webapp.queries import identities as queries
from webapp.text import sha256
from webapp.web import provider_sign_out
from webapp.web.attempts import Count, TooMany, take
from webapp.web.security import hide_from_caches_and_referers
from webapp.web.signin import anyone

from . import protocol
from .blueprint import bp
from .protocol import Metadata, Misfit

# For how long the number of a logout token is remembered: as long as one is taken.
JTI_SECONDS = int((protocol.TOKEN_AGE + 2 * protocol.SKEW).total_seconds())

log = logging.getLogger("countersign.sso")


@bp.get("/signed-out")
@anyone
def signed_out() -> AnyResponse:
    """After a sign-out here: offers to sign out at the provider, too."""
    provider, metadata, _ = _left()
    if provider is None or metadata is None or not metadata.end_session_endpoint:
        return redirect("/sign-in", 303)
    return make_response(render_template("sso/signed_out.html", provider=provider))


@bp.get("/sign-out")
@anyone
def sign_out() -> AnyResponse:
    """Sends the browser to the provider to sign out there."""
    provider, metadata, id_token = _left()
    if provider is None or metadata is None or not metadata.end_session_endpoint:
        return redirect("/sign-in", 303)
    values = {"client_id": provider.client_id, "post_logout_redirect_uri": f"{settings().base_url}/sign-in"}
    if id_token:
        values["id_token_hint"] = id_token
    address = protocol.with_query(metadata.end_session_endpoint, values)
    return hide_from_caches_and_referers(make_response(redirect(address, 303)))


def _left() -> tuple[Provider | None, Metadata | None, str]:
    """The provider that this browser has just signed out of, what it announces, and the ID token."""
    from . import provider as calls

    left = provider_sign_out.left()
    if left is None:
        return None, None, ""
    with reading():
        provider = queries.by_id(left.provider_id)
    if provider is None:
        return None, None, ""
    try:
        id_token = decrypt(left.id_token) if left.id_token else ""
        return provider, calls.metadata_of(provider.issuer), id_token
    except (calls.Unreachable, Misfit, Unreadable) as error:
        log.warning("nobody can sign out at a provider", extra={"provider": provider.public_id, "reason": str(error)})
        return provider, None, ""


@bp.post("/<public_id>/back-channel-logout")
@anyone
def back_channel_logout(public_id: str) -> AnyResponse:
    """A provider says that somebody has signed out there: their sessions that came from it end."""
    from . import provider as calls

    try:
        take(Count("sso-logout", network(), ((600, 60),)))
    except TooMany as error:
        return _answer(429, str(error))
    with reading():
        provider = queries.by_public_id(public_id)
    if provider is None:
        abort(404)
    token = request.form.get("logout_token", "")
    if not token:
        return _answer(400, "There is no logout_token.")
    if token.count(".") != 2:
        return _answer(400, "This is not a signed token.")  # nobody makes us call a provider with any text
    try:
        metadata = calls.metadata_of(provider.issuer)
        claims = calls.checked(metadata, token)
        protocol.check_logout_token(claims, issuer=provider.issuer, client_id=provider.client_id, now=clock.now())
    except Misfit as error:
        log.warning("a logout token did not fit", extra={"provider": public_id, "reason": str(error)})
        return _answer(400, str(error))
    except calls.Unreachable as error:
        return _answer(503, str(error))
    if not _is_new(provider, claims["jti"]):
        return _answer(400, "This token was used already.")
    sid, subject = (claims[key] if isinstance(claims.get(key), str) else "" for key in ("sid", "sub"))
    identities.end_sessions(provider, sid=sid, subject=subject, now=clock.now())
    outbox.commit()
    return _answer(200, "")


csrf.exempt(back_channel_logout)  # it reads no cookie: what comes is signed


def _is_new(provider: Provider, jti: str) -> bool:
    """Whether no token of this number has come. While the broker is away each is taken: it ends sessions and can do
    nothing else."""
    try:
        key = f"countersign:sso-jti:{provider.public_id}:{sha256(jti)}"
        return bool(broker().set(key, 1, nx=True, ex=JTI_SECONDS))
    except (RedisError, OSError) as error:
        log.warning("The broker is away; a logout token may be used twice.", extra={"error": str(error)})
        return True


def _answer(status: int, sentence: str) -> Response:
    body = {"error": "invalid_request", "error_description": sentence} if sentence else {}
    response = make_response(jsonify(body), status)
    response.headers["Cache-Control"] = "no-store"
    return response
