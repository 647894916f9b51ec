"""Talks to a provider of single sign-on: its discovery document, its keys, the code for tokens. No database.

What a provider announces is kept in the process for ten minutes. It is not kept in the broker: whoever could write
there could put in a key of their own and sign in as anybody.
"""

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp import outgoing
from webapp.outgoing import Answer, Failed

from . import protocol
from .protocol import Metadata, Misfit, Secrets, UnknownKey

WELL_KNOWN = "/.well-known/openid-configuration"
SECONDS = 5.0
KEPT = 100 * 1024
LASTS = 600.0
# A token with an unknown key makes us ask for the keys again, so often at most.
KEYS_AGAIN = 30.0


class Unreachable(Exception):
    """The provider does not do its part: it does not answer, or refuses us. `str(error)` says what, for admins."""


@dataclass(frozen=True, slots=True)
class Client:
    """How Countersign is registered at a provider."""

    issuer: str
    client_id: str
    client_secret: str
    scopes: str
    redirect_uri: str
    acr_values: str = ""
    groups_claim: str = ""


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in brought: the checked claims, and the ID token as it came."""

    claims: dict[str, Any]
    id_token: str


_kept: dict[str, tuple[Any, float]] = {}


def forget() -> None:
    """Asks every provider again."""
    _kept.clear()


def metadata_of(issuer: str) -> Metadata:
    """Its discovery document. Raises Unreachable or Misfit."""
    found = _read(f"{issuer.rstrip('/')}{WELL_KNOWN}", "Its discovery document")
    return protocol.read_metadata(found, issuer=issuer)


def keys_of(metadata: Metadata, *, again: bool = False) -> Any:
    """Its keys as a JWK set. `again`: not those of more than half a minute ago. Raises Unreachable."""
    return _read(metadata.jwks_uri, "The list of its keys", lasts=KEYS_AGAIN if again else LASTS)


def _read(address: str, what: str, *, lasts: float = LASTS) -> Any:
    kept = _kept.get(address)
    if kept is not None and time.monotonic() - kept[1] < lasts:
        return kept[0]
    try:
        answer = outgoing.get(address, {"accept": "application/json"}, seconds=SECONDS, kept=KEPT)
    except Failed as error:
        raise Unreachable(f"{what} could not be read. {error}") from None
    if answer.status != 200:
        raise Unreachable(f"{what} could not be read. The answer was {answer.status}.")
    found = _json(answer, what)
    _kept[address] = found, time.monotonic()
    return found


def _json(answer: Answer, what: str) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        raise Unreachable(f"{what} is not JSON.") from None


def start(client: Client, kept: Secrets, *, fresh: bool = False, login_hint: str = "") -> str:
    """The address to send the browser to. Raises Unreachable or Misfit."""
    return protocol.authorization_url(
        metadata_of(client.issuer), client_id=client.client_id, redirect_uri=client.redirect_uri, scopes=client.scopes,
        kept=kept, fresh=fresh, acr_values=client.acr_values, login_hint=login_hint,
    )  # fmt: skip


def finish(
    client: Client, kept: Secrets, *, code: str, said_iss: str | None, now: datetime,
    fresh_since: datetime | None = None,
) -> Tokens:  # fmt: skip
    """Turns the code into checked claims. Raises Unreachable or Misfit."""
    metadata = metadata_of(client.issuer)
    protocol.check_issuer(metadata, said_iss)
    body, headers = protocol.token_request(
        metadata, client_id=client.client_id, client_secret=client.client_secret, code=code,
        redirect_uri=client.redirect_uri, verifier=kept.verifier,
    )  # fmt: skip
    try:
        answer = outgoing.post(metadata.token_endpoint, body, headers, seconds=SECONDS, kept=KEPT)
    except Failed as error:
        raise Unreachable(f"It could not be asked for the tokens. {error}") from None
    found = _json(answer, "The answer with the tokens")
    if answer.status != 200 or not isinstance(found, dict):
        raise _refusal(answer, found)
    access_token = found.get("access_token")
    access_token = access_token if isinstance(access_token, str) else ""
    claims = checked(metadata, found.get("id_token"))
    protocol.check_id_token(
        claims, issuer=client.issuer, client_id=client.client_id, nonce=kept.nonce, now=now, access_token=access_token,
        fresh_since=fresh_since,
    )  # fmt: skip
    if metadata.userinfo_endpoint and access_token and _lacks(claims, client):
        claims = protocol.userinfo_claims(claims, _userinfo(metadata, access_token))
    return Tokens(claims, found["id_token"])


def checked(metadata: Metadata, token: Any) -> dict[str, Any]:
    """The claims of a token that the provider has signed; after a change of its keys with the new ones."""
    try:
        return protocol.read_token(token, keys_of(metadata))
    except UnknownKey:
        return protocol.read_token(token, keys_of(metadata, again=True))


def _lacks(claims: dict[str, Any], client: Client) -> bool:
    """Whether the userinfo may say more: some providers put these claims there only."""
    return "email" not in claims or bool(client.groups_claim and client.groups_claim not in claims)


def _userinfo(metadata: Metadata, access_token: str) -> Any:
    headers = {"authorization": f"Bearer {access_token}", "accept": "application/json"}
    try:
        answer = outgoing.get(metadata.userinfo_endpoint, headers, seconds=SECONDS, kept=KEPT)
    except Failed as error:
        raise Unreachable(f"Its userinfo could not be read. {error}") from None
    if answer.status != 200:
        raise Unreachable(f"Its userinfo could not be read. The answer was {answer.status}.")
    return _json(answer, "Its userinfo")


def _refusal(answer: Answer, found: Any) -> Exception:
    """Why no tokens came: a code of no use is the person's matter, anything else the installation's."""
    error = found.get("error") if isinstance(found, dict) else None
    if error == "invalid_grant":
        return Misfit("The provider did not take the code: it was used already, is too old, or was not for us.")
    if error == "invalid_client":
        return Unreachable("It does not take the client ID and secret. Check both, and whether the secret has ended.")
    said = f": {error[:100]}" if isinstance(error, str) else ""
    return Unreachable(f"It did not give the tokens. The answer was {answer.status}{said}.")
