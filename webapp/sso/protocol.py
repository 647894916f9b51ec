"""OpenID Connect as values: the address to send people to, and whether what comes back fits. No Flask, no network.

The ID token is checked here by our own rules, not by what the provider announces: the signature with one of three
algorithms and a key of the provider, then each claim that says for whom, by whom and when it was made.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

# Signatures by a key of the provider's alone. For HS256 its public key, or our secret, would do; "none" is none.
ALGORITHMS = ("RS256", "PS256", "ES256")
SKEW = timedelta(minutes=2)
# An ID token comes straight from the provider, and a logout token is sent when it is made.
TOKEN_AGE = timedelta(minutes=10)
LONGEST_TOKEN = 64 * 1024
LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Misfit(Exception):
    """The provider's answer does not fit; `str(error)` says what in it, for the log and for admins."""


class UnknownKey(Misfit):
    """The token names a key that the provider has not shown yet: it may have a new one."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the discovery document of a provider says, as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    auth_methods: tuple[str, ...] = ("client_secret_basic",)
    says_iss: bool = False


@dataclass(frozen=True, slots=True)
class Secrets:
    """What one sign-in keeps in the browser until the answer comes."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Secrets:
        return cls(secrets.token_urlsafe(24), secrets.token_urlsafe(24), secrets.token_urlsafe(48))


def read_metadata(document: Any, *, issuer: str) -> Metadata:
    """The discovery document of this issuer. Raises Misfit."""
    if not isinstance(document, Mapping):
        raise Misfit("The discovery document is not a JSON object.")
    if document.get("issuer") != issuer:
        said = document.get("issuer")
        raise Misfit(f"The discovery document names another issuer: {said if isinstance(said, str) else 'none'}.")
    found = {key: _address(document, key, issuer) for key in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    missing = [key for key, value in found.items() if not value]
    if missing:
        raise Misfit(f"The discovery document lacks {missing[0]}.")
    methods = document.get("token_endpoint_auth_methods_supported")
    return Metadata(
        issuer,
        found["authorization_endpoint"], found["token_endpoint"], found["jwks_uri"],
        _address(document, "userinfo_endpoint", issuer), _address(document, "end_session_endpoint", issuer),
        tuple(str(one) for one in methods) if isinstance(methods, list) else ("client_secret_basic",),
        document.get("authorization_response_iss_parameter_supported") is True,
    )  # fmt: skip


def _address(document: Mapping[str, Any], key: str, issuer: str) -> str:
    """An address of the document: never without TLS where the issuer's has it."""
    value = document.get(key)
    if not isinstance(value, str) or not value:
        return ""
    scheme = urlsplit(value).scheme
    if scheme != "https" and not (scheme == "http" and issuer.startswith("http:")):
        raise Misfit(f"The {key} of the discovery document is not an address with https.")
    return value


def authorization_url(
    metadata: Metadata, *, client_id: str, redirect_uri: str, scopes: str, kept: Secrets, fresh: bool = False,
    acr_values: str = "", login_hint: str = "",
) -> str:  # fmt: skip
    """Where the browser goes. `fresh`: the person has to sign in there again, even if they are signed in."""
    values = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": scopes if "openid" in scopes.split() else f"openid {scopes}".strip(),
        "state": kept.state,
        "nonce": kept.nonce,
        "code_challenge": challenge(kept.verifier),
        "code_challenge_method": "S256",
    }
    if fresh:
        values |= {"prompt": "login", "max_age": "0"}
        if acr_values:
            values["acr_values"] = acr_values
    if login_hint:
        values["login_hint"] = login_hint
    return with_query(metadata.authorization_endpoint, values)


def with_query(address: str, values: Mapping[str, str]) -> str:
    """The address with these values after those that it has."""
    return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(values)}"


def challenge(verifier: str) -> str:
    """The S256 challenge of PKCE."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def check_issuer(metadata: Metadata, said: str | None) -> None:
    """Compares `iss` of the callback, so that the code of one provider is not sent to another. Raises Misfit."""
    if said is None:
        if metadata.says_iss:
            raise Misfit("The answer does not say which provider it comes from.")
    elif said != metadata.issuer:
        raise Misfit("The answer comes from another provider than the one that was asked.")


def read_token(token: Any, keys: Any) -> dict[str, Any]:
    """The claims of a token whose signature fits one of the provider's keys (a JWK set as JSON). Raises Misfit."""
    from joserfc import jws
    from joserfc.errors import JoseError

    if not isinstance(token, str) or not token or len(token) > LONGEST_TOKEN:
        raise Misfit("There is no token in the answer.")
    try:
        key = _key_of(token, keys)
        claims = json.loads(jws.deserialize_compact(token, key, algorithms=list(ALGORITHMS)).payload)
    except JoseError as error:
        raise Misfit(f"The token could not be read: {type(error).__name__}.") from None
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise Misfit(f"The token is not one: {type(error).__name__}.") from None
    if not isinstance(claims, dict):
        raise Misfit("The token holds no claims.")
    return claims


def _key_of(token: str, keys: Any) -> Any:
    """The key that the token's header names. Raises Misfit."""
    from joserfc import jws
    from joserfc.jwk import JWKRegistry

    header = jws.extract_compact(token.encode()).headers()
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise Misfit(f"The token is signed with {str(algorithm)[:20]}. Allowed are {', '.join(ALGORITHMS)}.")
    kty = "EC" if algorithm == "ES256" else "RSA"
    found = [one for one in usable_keys(keys) if one.get("kty") == kty and one.get("alg", algorithm) == algorithm]
    if kid is not None:
        found = [one for one in found if one.get("kid") == kid]
    if not found:
        raise UnknownKey("The token is signed with a key that the provider does not show.")
    if len(found) > 1:
        raise Misfit("The token does not say which of the provider's keys signed it.")
    return JWKRegistry.import_key({name: value for name, value in found[0].items() if name in _KEY_PARTS})


# Of a key only what verifies: no certificates, and nothing private.
_KEY_PARTS = ("kty", "n", "e", "crv", "x", "y", "kid")


def usable_keys(keys: Any) -> list[Mapping[str, Any]]:
    """Those of a JWK set that may sign. Raises Misfit where it is none."""
    listed = keys.get("keys") if isinstance(keys, Mapping) else None
    if not isinstance(listed, list):
        raise Misfit("The provider's keys could not be read.")
    return [one for one in listed if isinstance(one, Mapping) and one.get("kty") in ("RSA", "EC")
            and one.get("use", "sig") == "sig"]  # fmt: skip


def check_id_token(
    claims: Mapping[str, Any], *, issuer: str, client_id: str, nonce: str, now: datetime, access_token: str = "",
    fresh_since: datetime | None = None,
) -> None:  # fmt: skip
    """Whether a token that is signed by the provider was made for us, for this sign-in, and just now. With
    `fresh_since` the person has to have signed in there after it. Raises Misfit."""
    _check_who_and_when(claims, issuer=issuer, client_id=client_id, now=now)
    if not isinstance(claims.get("sub"), str) or not claims["sub"] or len(claims["sub"]) > 255:
        raise Misfit("The ID token does not say who signed in.")
    if "exp" not in claims:
        raise Misfit("The ID token has no end.")
    if not isinstance(claims.get("nonce"), str) or not hmac.compare_digest(claims["nonce"].encode(), nonce.encode()):
        raise Misfit("The ID token was not made for this sign-in.")
    said = claims.get("at_hash")
    if said is not None and access_token and said != _half_hash(access_token):
        raise Misfit("The ID token does not belong to the access token.")
    if fresh_since is not None:
        at = _seconds(claims, "auth_time")
        if at is None:
            raise Misfit("The provider did not say when you signed in (auth_time), so a fresh sign-in is not proven.")
        if at < (fresh_since - SKEW).timestamp():
            raise Misfit("The provider did not ask you to sign in again.")


def check_logout_token(claims: Mapping[str, Any], *, issuer: str, client_id: str, now: datetime) -> None:
    """Whether a signed token asks us to end sessions. Raises Misfit."""
    _check_who_and_when(claims, issuer=issuer, client_id=client_id, now=now)
    events = claims.get("events")
    if not isinstance(events, Mapping) or not isinstance(events.get(LOGOUT_EVENT), Mapping):
        raise Misfit("The token is not about signing out.")
    if "nonce" in claims:
        raise Misfit("An ID token cannot sign anybody out.")
    if not isinstance(claims.get("jti"), str) or not claims["jti"]:
        raise Misfit("The token has no number of its own.")
    if not any(isinstance(claims.get(key), str) and claims[key] for key in ("sid", "sub")):
        raise Misfit("The token does not say whose sessions end.")


def _check_who_and_when(claims: Mapping[str, Any], *, issuer: str, client_id: str, now: datetime) -> None:
    if claims.get("iss") != issuer:
        raise Misfit("The token was made by another provider.")
    audience = claims.get("aud")
    if isinstance(audience, str):
        audience = [audience]
    if not isinstance(audience, list) or client_id not in audience:
        raise Misfit("The token was made for another application.")
    party = claims.get("azp")
    if party != client_id and (party is not None or len(audience) > 1):
        raise Misfit("The token was given to another application.")
    at, skew = now.timestamp(), SKEW.total_seconds()
    made, ends, begins = (_seconds(claims, key) for key in ("iat", "exp", "nbf"))
    if made is None:
        raise Misfit("The token does not say when it was made.")
    if made > at + skew or (begins is not None and begins > at + skew):
        raise Misfit("The token is not valid yet. Check that the clocks of both servers are right.")
    if made < at - skew - TOKEN_AGE.total_seconds() or (ends is not None and ends <= at - skew):
        raise Misfit("The token has expired. Check that the clocks of both servers are right.")


def _seconds(claims: Mapping[str, Any], key: str) -> float | None:
    """A claim that is an instant; None where it did not come. Raises Misfit for another kind of value."""
    value = claims.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e11 < value < 1e11:
        raise Misfit(f"The {key} of the token is not an instant.")
    return float(value)


def _half_hash(access_token: str) -> str:
    # All three algorithms are over SHA-256.
    digest = hashlib.sha256(access_token.encode()).digest()[:16]
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def token_request(
    metadata: Metadata, *, client_id: str, client_secret: str, code: str, redirect_uri: str, verifier: str
) -> tuple[bytes, dict[str, str]]:
    """(body, headers) of the request that turns the code into tokens."""
    body = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": redirect_uri,
        "code_verifier": verifier,
    }
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
    if not client_secret:
        body["client_id"] = client_id
    elif "client_secret_basic" in metadata.auth_methods or "client_secret_post" not in metadata.auth_methods:
        # Each part is encoded as in a form, before both are joined: RFC 6749, 2.3.1.
        both = ":".join(urlencode({"": one})[1:] for one in (client_id, client_secret))
        headers["authorization"] = f"Basic {base64.b64encode(both.encode()).decode()}"
    else:
        body |= {"client_id": client_id, "client_secret": client_secret}
    return urlencode(body).encode(), headers


def userinfo_claims(claims: Mapping[str, Any], more: Any) -> dict[str, Any]:
    """The ID token's claims with those of the userinfo that it lacks. Raises Misfit where it is about somebody else."""
    if not isinstance(more, Mapping) or more.get("sub") != claims.get("sub"):
        raise Misfit("The userinfo is about somebody else.")
    # Whether an address is verified is said where the address is.
    apart = {"email_verified"} if "email" in claims else set()
    ours = claims if "email" in claims else {key: value for key, value in claims.items() if key != "email_verified"}
    return {**{key: value for key, value in more.items() if key not in _OF_THE_TOKEN and key not in apart}, **ours}


# What only the signed token says.
_OF_THE_TOKEN = ("iss", "aud", "azp", "exp", "iat", "nbf", "nonce", "auth_time", "acr", "amr", "sid", "at_hash")
