"""Who calls: the token, how often it may call, and what strangers get."""

from dataclasses import dataclass

from flask import Response, g, request

from webapp import clock, tokens
from webapp.extensions import network
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web.attempts import Count, TooMany, Window, count_call, forget_call, take
from webapp.web.problems import Problem

CALLS, SECONDS = 600, 60
# Calls without a token from one address or network; so many with unknown tokens, too.
ADDRESS_CALLS = 120
STRANGERS = "api-strangers"


@dataclass(frozen=True, slots=True)
class Sent:
    """A token as it was sent: whether there is one like it is not known yet."""

    hash: str
    is_service: bool


def token_sent() -> Sent:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise Problem(401, "token", "Send a token: “Authorization: Bearer csn_…”. You make one in your account.")
    if not tokens.is_well_formed(secret):
        raise Problem(401, "token", "This is not a token of Countersign. Check that it was copied whole.")
    return Sent(tokens.digest(secret), tokens.prefix_of(secret) == tokens.SERVICE_PREFIX)


def count(token: Sent) -> Window:
    """Counts the call in the broker, by the token's hash, before the database is asked for anything."""
    g.window = window = count_call(
        token.hash, address=request.remote_addr or "", at=clock.now(), limit=CALLS, seconds=SECONDS,
        strangers=of_address(STRANGERS),
    )  # fmt: skip
    if window.left < 0:
        raise Problem(429, "slow-down", f"A token can make {CALLS} calls a minute. Try again in {window.seconds} s.")
    return window


def known(caller: Caller | None, token: Sent) -> Caller:
    """The caller, if there is one who may call from here. A call with an unknown token counts for its address."""
    if caller is None:
        g.pop("window")
        forget_call(token.hash)
        count_apart(of_address(STRANGERS))
        raise Problem(401, "token", "This token is unknown, or has ended. Make a new one.")
    if not caller.is_allowed_from(request.remote_addr or ""):
        raise Problem(401, "token", "This token may not be used from this network.")
    trace.about(actor=caller.key, token=caller.token_key)
    return caller


def count_apart(count: Count) -> None:
    """Counts a call in a limit of its own. Raises Problem (429)."""
    try:
        take(count)
    except TooMany as error:
        g.retry_after = error.seconds
        raise Problem(429, "slow-down", str(error)) from None


def of_address(name: str) -> Count:
    """The count of this name for the address of the call, or its network."""
    return Count(name, network(), ((ADDRESS_CALLS, SECONDS),))


def add_rate_limit(response: Response) -> Response:
    """Says how many calls are left, in the draft standard's headers."""
    window: Window | None = g.get("window")
    if window is not None:
        response.headers["RateLimit-Policy"] = f'"token";q={window.limit};w={SECONDS}'
        response.headers["RateLimit"] = f'"token";r={max(0, window.left)};t={window.seconds}'
    if response.status_code == 429:
        response.headers["Retry-After"] = str(g.get("retry_after", window.seconds if window is not None else SECONDS))
    return response
