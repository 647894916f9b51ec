"""The test of a provider: the claims that came, and what is done with each. Signs nobody in and changes nobody."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import Response, make_response, render_template

from webapp import addresses
from webapp.claims import Claims, groups_of
from webapp.database.transactions import reading
from webapp.models import Provider
from webapp.queries import identities as queries
from webapp.web.signin import SignedIn

from .flows import Flow

if TYPE_CHECKING:
    from .provider import Tokens

VALUE_SHOWN = 120
GROUPS_SHOWN = 12
# What only the token says about itself.
_CHECKED = {"iss": "Checked: it is the issuer as entered", "aud": "Checked: it is the client ID",
            "azp": "Checked: it is the client ID", "exp": "Checked: it has not ended", "iat": "Checked: it is new",
            "nbf": "Checked: it has begun", "nonce": "Checked: it belongs to this sign-in",
            "at_hash": "Checked: it fits the access token"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A claim, its value as text, and what is done with it. `state`: "", "missing" or "unused"."""

    claim: str
    value: str
    does: str
    state: str = ""


def page(provider: Provider, found: Tokens, claims: Claims, flow: Flow, user: SignedIn | None) -> Response:
    """The result, for the admin who began the test."""
    with reading():
        if user is None or not user.person.is_admin or user.person.public_id != flow.person:
            body = render_template("sso/refused.html", name=provider.name, next="/", test="",
                                   sentence="You were signed out meanwhile. Sign in and test again.")  # fmt: skip
            return make_response(body, 403)
        rows = _rows(provider, found.claims, claims)
        body = render_template("sso/test.html", provider=provider, rows=rows, outcome=_outcome(provider, claims),
                               name=claims.name or claims.email or claims.subject)  # fmt: skip
    return make_response(body)


def _rows(provider: Provider, raw: dict[str, Any], claims: Claims) -> list[Row]:
    rows = [Row("sub", _shown(raw["sub"]), "Finds the person, together with the issuer")]
    if claims.email:
        does = "Finds the person at their first sign-in; brought up to date at each"
        rows.append(Row("email", claims.email, does if claims.verified_email else "Not used, as it is not verified"))
    else:
        rows.append(Row("email", "did not come", "Without it nobody is found or added by their address", "missing"))
    rows.append(_verified(raw))
    if claims.name:
        rows.append(Row("name", claims.name, "Name, brought up to date at each sign-in"))
    else:
        rows.append(Row("name", "did not come", "The name here stays as it is", "missing"))
    if provider.groups_claim:
        rows.append(_groups(provider, raw, claims))
    at = claims.authenticated_at
    if at is None:
        rows.append(Row("auth_time", "did not come", "Without it a fresh sign-in cannot be proven", "missing"))
    else:
        rows.append(Row("auth_time", _shown(raw["auth_time"]), "Says how fresh the sign-in is"))
    if claims.sid:
        rows.append(Row("sid", _shown(claims.sid), "Finds the session that ends when you sign out there"))
    rows += [Row(key, _shown(raw[key]), does) for key, does in _CHECKED.items() if key in raw]
    known = {row.claim for row in rows} | {"given_name", "family_name"}
    return rows + [Row(key, _shown(raw[key]), "Not used, not stored", "unused") for key in sorted(set(raw) - known)]


def _verified(raw: dict[str, Any]) -> Row:
    value = raw.get("email_verified")
    if value is True:
        return Row("email_verified", "true", "The address may be used to find people")
    if value is None:
        return Row("email_verified", "did not come",
                   "Without it an address proves nothing: people connect the provider under Your account", "missing",
                   )  # fmt: skip
    return Row("email_verified", _shown(value), "Only the value true counts: this address proves nothing", "missing")


def _groups(provider: Provider, raw: dict[str, Any], claims: Claims) -> Row:
    if groups_of(raw, provider.groups_claim) is None or claims.groups is None:
        return Row(provider.groups_claim, "did not come", "Memberships stay as they are", "missing")
    become = {row.value: row.group.name for row in queries.group_rows(provider)}
    used = [f"{value} becomes {become[value]}" for value in sorted(claims.groups) if value in become]
    others = len(claims.groups) - len(used)
    does = "; ".join([*used, *([f"{others} without a row in the table of groups"] if others else [])])
    shown = ", ".join(sorted(claims.groups)[:GROUPS_SHOWN]) or "none"
    return Row(provider.groups_claim, shown, does or "Takes the person out of the groups in the table")


def _outcome(provider: Provider, claims: Claims) -> str:
    """What a sign-in would do, in a sentence."""
    linked = queries.person_of(provider.id, claims.subject)
    if linked is not None:
        return f"It is linked to {linked.name}" + ("." if linked.active else ", whose account is deactivated.")
    if not claims.verified_email:
        return "It is linked to nobody here, and without a verified address nobody is found."
    person = queries.by_email(addresses.same(claims.verified_email))
    if person is None:
        return "Nobody here has this address. " + (
            "A first sign-in would add them." if provider.creates_people else "They would be told to ask an admin."
        )
    if not provider.links_by_email:
        return f"{person.name} has this address, but linking by address is off."
    if person.is_admin:
        return f"A first sign-in would link it to {person.name}, who would be asked for their password, being an admin."
    return f"A first sign-in would link it to {person.name}."


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= VALUE_SHOWN else f"{text[:VALUE_SHOWN]}…"
