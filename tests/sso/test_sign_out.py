"""Sign-out, from here to the provider and from the provider to here."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.claims import Claims
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Identity, PersonSession, Provider
from webapp.operations import identities
from webapp.record import audit
from webapp.sso import provider as calls

from .conftest import Visitor, claims_of
from .strict import CLIENT, OTHER_KEY, StrictProvider

pytestmark = pytest.mark.both_engines
Visit = Callable[..., Visitor]


@pytest.fixture
def rita_came(company: Company, provider: Provider, strict: StrictProvider, visitor: Visit) -> Visitor:
    """Rita, who came from the provider in a session that it calls "s-1"."""
    strict.claims = claims_of(company.rita, sid="s-1")
    browser = visitor()
    browser.come(provider)
    assert browser.who() == company.rita.name
    return browser


def test_after_a_sign_out_the_provider_is_offered_and_told_who_leaves(
    rita_came: Visitor, provider: Provider, strict: StrictProvider
) -> None:
    answer = rita_came.post("/sign-out")
    assert (answer.status_code, answer.location) == (303, "/sso/signed-out")
    assert rita_came.who() is None
    assert "Sign out of Strict" in rita_came.get("/sso/signed-out").text
    away = urlsplit(rita_came.get("/sso/sign-out").location)
    assert f"{away.scheme}://{away.netloc}{away.path}" == f"{strict.issuer}/end"
    query = parse_qs(away.query)
    assert query["client_id"] == [CLIENT] and query["post_logout_redirect_uri"] == ["http://localhost/sign-in"]
    assert query["id_token_hint"][0].count(".") == 2
    # The session keeps nothing of it.
    row = db.session.scalars(select(PersonSession).where(PersonSession.provider_id == provider.id)).one()
    assert row.id_token is None and row.ended_at is not None


def test_whoever_used_a_password_is_asked_nothing(company: Company, provider: Provider, visitor: Visit) -> None:
    browser = visitor(company.rita)
    assert browser.post("/sign-out").location == "/sign-in"
    assert browser.get("/sso/signed-out").location == "/sign-in"
    assert browser.get("/sso/sign-out").location == "/sign-in"


def test_a_provider_without_a_sign_out_is_not_offered(
    rita_came: Visitor, provider: Provider, strict: StrictProvider
) -> None:
    calls.forget()
    strict.document = {"end_session_endpoint": None}
    rita_came.post("/sign-out")
    assert rita_came.get("/sso/signed-out").location == "/sign-in"


def told(provider: Provider, visitor: Visit, token: str) -> Any:
    """The provider posts a logout token, as a server does: without a cookie."""
    return visitor().client.post(f"/sso/{provider.public_id}/back-channel-logout", data={"logout_token": token})


def test_the_provider_ends_the_session_of_this_id_only(
    rita_came: Visitor, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita, sid="s-2")
    other = visitor()
    other.come(provider)
    answer = told(provider, visitor, strict.logout_token(sid="s-1", sub=strict.claims["sub"]))
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert rita_came.who() is None and other.who() == company.rita.name
    assert audit.verify()[1] is None


def test_without_an_id_all_that_came_from_there_end(
    rita_came: Visitor, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita, sid="s-2")
    other, by_password = visitor(), visitor(company.rita)
    other.come(provider)
    strict.claims = claims_of(company.otto)
    otto = visitor()
    otto.come(provider)
    assert told(provider, visitor, strict.logout_token(sub="sub-Rita")).status_code == 200
    assert rita_came.who() is None and other.who() is None
    assert by_password.who() == company.rita.name and otto.who() == company.otto.name


def test_a_logout_token_is_taken_once(
    rita_came: Visitor, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    token = strict.logout_token(sub="sub-Rita")
    assert told(provider, visitor, token).status_code == 200
    strict.claims = claims_of(company.rita)
    again = visitor()
    again.come(provider)
    refused = told(provider, visitor, token)
    assert refused.status_code == 400 and refused.json["error"] == "invalid_request"
    assert again.who() == company.rita.name


REFUSED: dict[str, dict[str, Any]] = {
    "an ID token": {"nonce": "n"},
    "not about signing out": {"events": {}},
    "events are a list": {"events": ["http://schemas.openid.net/event/backchannel-logout"]},
    "no events": {"events": None},
    "another audience": {"aud": "another"},
    "another issuer": {"iss": "https://evil.example"},
    "no number": {"jti": None},
    "nobody": {"sub": None},
    "old": {"iat": int(time.time()) - 3600},
    "no time": {"iat": None},
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_logout_token_that_does_not_fit_ends_nothing(
    what: str, rita_came: Visitor, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    token = strict.logout_token(**{"sub": "sub-Rita", **REFUSED[what]})
    assert told(provider, visitor, token).status_code == 400
    assert rita_came.who() == company.rita.name


def test_a_logout_token_of_somebody_else_ends_nothing(
    rita_came: Visitor, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.key = OTHER_KEY
    assert told(provider, visitor, strict.logout_token(sub="sub-Rita")).status_code == 400
    assert told(provider, visitor, "x").status_code == 400
    assert told(provider, visitor, "").status_code == 400
    assert rita_came.who() == company.rita.name


def test_an_admin_who_removes_a_link_ends_its_sessions(
    rita_came: Visitor, company: Company, provider: Provider
) -> None:
    choose("write")
    (found,) = db.session.scalars(select(Identity)).all()
    identities.unlink(found, actor=company.adam, now=clock.now())
    outbox.commit()
    assert rita_came.who() is None
    assert factories.rows("identities") == 0


def test_claims_are_read_strictly() -> None:
    """Values of another kind than the standard says are as if they had not come."""
    read = Claims.of({"sub": 7, "email": ["a@b.example"], "email_verified": 1, "name": {"x": 1}, "sid": True,
                      "auth_time": "now", "groups": 5}, groups_claim="groups")  # fmt: skip
    assert read == Claims("")
    assert Claims.of({"sub": "x", "auth_time": 10**30}).authenticated_at is None
    assert Claims.of({"sub": "x", "name": "A\0B"}).name == ""
    assert Claims.of({"sub": "x", "given_name": "Rita", "family_name": "Lind"}).name == "Rita Lind"
