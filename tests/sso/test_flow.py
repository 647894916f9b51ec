"""Signing in through a strict provider: what works, and each answer that has to be refused."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Identity, Person, PersonSession, Provider
from webapp.operations import providers
from webapp.record import audit, entries
from webapp.record.sentences import describe
from webapp.sso import provider as calls
from webapp.web import provider_health

from .conftest import Visitor, claims_of
from .strict import StrictProvider

pytestmark = pytest.mark.both_engines
Visit = Callable[..., Visitor]


def sentences(count: int) -> list[str]:
    """The newest entries of the audit log in words, oldest first."""
    lines = entries.latest(entries.Filter(), limit=count)
    names = entries.names(lines)
    return [describe(line, names).sentence.striptags() for line in reversed(lines)]


def test_rita_comes_from_the_provider_and_lands_where_she_wanted(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    answer = browser.come(provider, "/catalog?q=figma")
    assert (answer.status_code, answer.location) == (303, "/catalog?q=figma")
    assert browser.who() == company.rita.name
    assert sentences(2) == [
        f"{company.rita.name} linked their account to Strict by their verified email address.",
        f"{company.rita.name} signed in with Strict.",
    ]
    assert audit.verify()[1] is None


def test_a_second_sign_in_finds_her_by_the_subject_with_another_address(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    visitor().come(provider)
    strict.claims = {"sub": strict.claims["sub"], "email": "new@example.com", "email_verified": True,
                     "name": "Rita Berg"}  # fmt: skip
    browser = visitor()
    browser.come(provider)
    assert browser.who() == "Rita Berg"
    db.session.rollback()
    assert db.session.get_one(Person, company.rita.id).email == "new@example.com"
    assert db.session.scalar(select(Identity.person_id)) == company.rita.id


def test_an_address_of_somebody_else_does_not_move_hers(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    visitor().come(provider)
    strict.claims |= {"email": company.otto.email, "name": "Rita Berg"}
    browser = visitor()
    browser.come(provider)
    assert browser.who() == "Rita Berg"
    db.session.rollback()
    assert db.session.get_one(Person, company.rita.id).email == "rita@example.com"


def test_somebody_new_is_added_once(provider: Provider, strict: StrictProvider, visitor: Visit) -> None:
    strict.claims = {"sub": "nils", "email": "nils@example.com", "email_verified": True, "given_name": "Nils",
                     "family_name": "Holm"}  # fmt: skip
    for _ in range(2):
        browser = visitor()
        browser.come(provider)
        assert browser.who() == "Nils Holm"
    found = db.session.scalars(select(Person).where(Person.email == "nils@example.com")).one()
    assert found.password_hash is None and not found.is_admin


def test_the_address_may_come_from_the_userinfo_only(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = {"sub": "okta-1"}
    strict.userinfo = {"email": company.rita.email, "email_verified": True}
    browser = visitor()
    browser.come(provider)
    assert browser.who() == company.rita.name


def test_a_userinfo_about_somebody_else_is_refused(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = {"sub": "okta-1"}
    strict.userinfo = {"sub": "okta-2", "email": company.rita.email, "email_verified": True}
    assert visitor().come(provider).status_code == 400


def test_an_answer_is_good_once(company: Company, provider: Provider, strict: StrictProvider, visitor: Visit) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    back = browser.leave(f"/sso/{provider.public_id}/start")
    cookie = browser.client.get_cookie("countersign_sso", path="/sso")
    assert cookie is not None
    assert browser.get(back).status_code == 303
    again = visitor()
    again.client.set_cookie("countersign_sso", cookie.value, path="/sso")  # as if the browser had kept it
    answer = again.get(back)
    assert answer.status_code == 400 and "has ended already" in answer.text
    assert again.who() is None
    assert browser.get(back).status_code == 400


def test_an_answer_does_not_work_in_another_browser(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    back = visitor().leave(f"/sso/{provider.public_id}/start")
    other = visitor()
    other.leave(f"/sso/{provider.public_id}/start")
    answer = other.get(back)
    assert answer.status_code == 400 and "was not begun in this browser" in answer.text
    assert other.who() is None


def test_the_session_from_before_is_not_taken_over(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    """Whoever planted a session cookie in her browser does not hold her session."""
    strict.claims = claims_of(company.rita)
    browser = visitor()
    with browser.client.session_transaction() as session:
        session["planted"] = "yes"
        session["csrf_token"] = "planted"
    browser.come(provider)
    with browser.client.session_transaction() as session:
        assert "planted" not in session and session.get("csrf_token") != "planted"
    assert browser.who() == company.rita.name


def test_two_tabs_both_come_back(company: Company, provider: Provider, strict: StrictProvider, visitor: Visit) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    first = browser.leave(f"/sso/{provider.public_id}/start?next=/approvals")
    second = browser.leave(f"/sso/{provider.public_id}/start?next=/catalog")
    assert browser.get(first).location == "/approvals"
    assert browser.get(second).location == "/catalog"


def test_next_never_leads_to_another_site(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    assert visitor().come(provider, "https://evil.example/").location == "/"
    assert visitor().come(provider, "//evil.example/").location == "/"


def changed_claims(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def twist(claims: dict[str, Any]) -> None:
        claims.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del claims[key]

    return twist


REFUSED_CLAIMS: dict[str, dict[str, Any]] = {
    "wrong nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "wrong audience": {"aud": "another"},
    "no audience": {"aud": None},
    "audience is an object": {"aud": {"countersign": 1}},
    "two audiences, no party": {"aud": ["countersign", "another"]},
    "another party": {"azp": "another"},
    "wrong issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "expired": {"exp": int(time.time()) - 600},
    "no end": {"exp": None},
    "an end that is a text": {"exp": "tomorrow"},
    "an end that is true": {"exp": True},
    "old": {"iat": int(time.time()) - 3600},
    "from the future": {"iat": int(time.time()) + 3600},
    "not yet valid": {"nbf": int(time.time()) + 3600},
    "no time": {"iat": None},
    "no subject": {"sub": None},
    "empty subject": {"sub": ""},
    "subject is a number": {"sub": 7},
    "endless subject": {"sub": "s" * 256},
    "another access token": {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
}


@pytest.mark.parametrize("what", REFUSED_CLAIMS)
def test_a_token_that_does_not_fit_signs_nobody_in(
    what: str, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    strict.twist = changed_claims(**REFUSED_CLAIMS[what])
    browser = visitor()
    answer = browser.come(provider)
    assert answer.status_code == 400 and "did not fit, so nothing was done" in answer.text
    assert browser.who() is None
    assert db.session.scalar(select(Identity.id)) is None
    assert provider_health.troubles([provider.public_id]) == {}  # what a visitor brings is no fault of the provider


@pytest.mark.parametrize("seconds", [-100, 100])
def test_clocks_may_be_apart_by_a_little(
    seconds: int, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    at = int(time.time()) + seconds
    strict.twist = changed_claims(iat=at, nbf=at, exp=at + 60)
    browser = visitor()
    browser.come(provider)
    assert browser.who() == company.rita.name


@pytest.mark.parametrize("iss", ["https://evil.example", None])
def test_the_answer_of_another_provider_is_not_taken(
    iss: str | None, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    """Mix-up: the code of one provider must not be sent to another."""
    strict.claims = claims_of(company.rita)
    strict.answer = lambda query: query.update(iss=iss) if iss else query.pop("iss")
    assert visitor().come(provider).status_code == 400
    assert "/token" not in strict.asked


def test_the_state_of_one_provider_does_not_work_at_another(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    other = providers.create(name="Other", issuer="https://other.example", client_id="x", client_secret="",
                             actor=company.adam, now=clock.now())  # fmt: skip
    providers.switch(other, on=True, actor=company.adam, now=clock.now())
    outbox.commit()
    strict.claims = claims_of(company.rita)
    browser = visitor()
    back = browser.leave(f"/sso/{provider.public_id}/start")
    assert browser.get(back.replace(provider.public_id, other.public_id)).status_code == 400
    assert "/token" not in strict.asked


def test_a_code_that_another_browser_asked_for_lacks_its_verifier(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    """PKCE: a stolen code, put into the answer to somebody else's sign-in."""
    strict.claims = claims_of(company.rita)
    stolen = visitor().leave(f"/sso/{provider.public_id}/start").partition("code=")[2].partition("&")[0]
    thief = visitor()
    own = thief.leave(f"/sso/{provider.public_id}/start")
    code = own.partition("code=")[2].partition("&")[0]
    answer = thief.get(own.replace(code, stolen))
    assert answer.status_code == 400
    assert thief.who() is None


def test_a_refusal_at_the_provider_is_said(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    browser = visitor()
    back = browser.leave(f"/sso/{provider.public_id}/start")
    state = back.partition("state=")[2].partition("&")[0]
    answer = browser.get(f"/sso/{provider.public_id}/callback?state={state}&error=access_denied")
    assert answer.status_code == 403 and "did not let you in, or you cancelled there" in answer.text


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/keys", "/token"])
def test_a_provider_that_fails_is_said_to_people_and_shown_to_admins(
    path: str, company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims, strict.down = claims_of(company.rita), path
    browser = visitor()
    answer = browser.get(f"/sso/{provider.public_id}/start")
    if answer.status_code == 303:
        answer = browser.come(provider)
    assert answer.status_code == 502 and "cannot be used at the moment" in answer.text
    trouble = provider_health.troubles([provider.public_id])[provider.public_id]
    assert "500" in trouble.sentence
    strict.down = ""
    visitor().come(provider)
    assert provider_health.troubles([provider.public_id]) == {}


def test_a_discovery_document_of_another_issuer_is_refused(
    provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.document = {"issuer": "https://evil.example"}
    assert visitor().get(f"/sso/{provider.public_id}/start").status_code == 502
    calls.forget()
    strict.document = {"token_endpoint": "ftp://127.0.0.1/"}
    assert visitor().get(f"/sso/{provider.public_id}/start").status_code == 502


def test_the_secret_is_stored_encrypted_and_the_id_token_too(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    visitor().come(provider)
    row = db.session.scalars(select(PersonSession).where(PersonSession.provider_id == provider.id)).one()
    assert row.id_token and "eyJ" not in row.id_token
    assert "secret" not in provider.client_secret


def test_a_provider_that_is_off_signs_nobody_in(
    company: Company, provider: Provider, strict: StrictProvider, visitor: Visit
) -> None:
    strict.claims = claims_of(company.rita)
    browser = visitor()
    back = browser.leave(f"/sso/{provider.public_id}/start")
    choose("write")
    row = db.session.get_one(Provider, provider.id)
    providers.switch(row, on=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert browser.get(back).status_code == 404
    assert visitor().get(f"/sso/{provider.public_id}/start").status_code == 404


def test_too_many_starts_are_refused(provider: Provider, strict: StrictProvider, visitor: Visit) -> None:
    browser = visitor()
    answers = [browser.get(f"/sso/{provider.public_id}/start").status_code for _ in range(61)]
    assert answers[59:] == [303, 429]


def test_nothing_of_it_is_loaded_while_no_provider_is_used(app: Flask) -> None:
    """In a process of its own: joserfc alone would take a second."""
    words = "import sys, webapp.sso, webapp.wiring; print([m for m in ('joserfc', 'httpx2') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
