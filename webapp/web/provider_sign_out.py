"""Signing out of Countersign when the session came from a provider: the page after it offers to sign out there, too.

Nobody is sent to the provider at once: they may want to stay signed in there, and the policy of our pages lets no form
end on another site. What the provider needs for it waits in the broker for ten minutes.
"""

import json
import logging
import secrets
from dataclasses import dataclass
from typing import cast

from flask import session
from redis.exceptions import RedisError

from webapp.extensions import broker
from webapp.web.signin import signed_in

_IN_COOKIE = "signed_out_of"
LASTS = 600

log = logging.getLogger("countersign.sso")


@dataclass(frozen=True, slots=True)
class Leaving:
    """A provider by its key, and the ID token (encrypted, or "")."""

    provider_id: int
    id_token: str


def leaving() -> Leaving | None:
    """Where the session of this browser came from; None for here. To be asked before it ends."""
    user = signed_in()
    if user is None or user.session.provider_id is None:
        return None
    return Leaving(user.session.provider_id, user.session.id_token or "")


def next_page(left: Leaving | None) -> str:
    """The page after the sign-out, which is committed."""
    if left is None:
        return "/sign-in"
    key = secrets.token_urlsafe(24)
    try:
        broker().set(f"countersign:sso-left:{key}", json.dumps([left.provider_id, left.id_token]), ex=LASTS)
    except (RedisError, OSError) as error:
        log.warning("The broker is away; nobody is offered to sign out of their provider.", extra={"error": str(error)})
        return "/sign-in"
    session[_IN_COOKIE] = key
    return "/sso/signed-out"


def left() -> Leaving | None:
    """What this browser has just signed out of."""
    key = str(session.get(_IN_COOKIE, ""))
    if not key:
        return None
    try:
        value = cast(bytes | None, broker().get(f"countersign:sso-left:{key}"))
    except (RedisError, OSError) as error:
        log.warning("The broker is away; nobody is offered to sign out of their provider.", extra={"error": str(error)})
        return None
    if value is None:
        return None
    provider_id, id_token = json.loads(value)
    return Leaving(provider_id, id_token)
