"""Settings, Sign-in: providers are added and changed; who may use a password is said before it is saved."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.browsers import Browser
from tests.helpers.factories import Company
from tests.helpers.statements import counting
from webapp import clock, encryption
from webapp.claims import Claims
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, Provider, ProviderGroup
from webapp.operations import identities
from webapp.record import entries
from webapp.record.events import EventKind
from webapp.record.sentences import describe
from webapp.web import provider_health

GOOD = {
    "name": "Okta",
    "issuer": "https://okta.example.com",
    "client_id": "abc",
    "client_secret": "a very secret secret",
}


@pytest.fixture
def admin(app: Flask, company: Company) -> Browser:
    return Browser(app, company.adam)


@pytest.fixture
def made(company: Company) -> Provider:
    return factories.provider(company.adam, name="Okta")


def stored(made: Provider) -> Provider:
    db.session.rollback()
    return db.session.get_one(Provider, made.id, populate_existing=True)


def was(page: str, action: str) -> str:
    """The hidden field of the form that goes there."""
    form = next(
        one for one in re.findall(r"<form\b.*?</form>", page, re.S) if re.search(rf'action="[^"]*{action}"', one)
    )
    found = re.search(r'name="was" value="([^"]*)"', form)
    assert found is not None
    return html.unescape(found[1])


def fill(admin: Browser, path: str, action: str = "", **typed: str) -> Any:
    page = admin.get(path).text
    return admin.post(f"{path}{action}", {"was": was(page, f"{path.rpartition('/')[2]}{action}"), **typed})


def sentence(kind: EventKind) -> str:
    (line,) = entries.latest(entries.Filter(kinds=(kind,)), limit=1)
    return describe(line, entries.names([line])).sentence.striptags()


def test_a_provider_is_added_off_and_its_secret_is_encrypted(admin: Browser, company: Company) -> None:
    answer = admin.post("/admin/sign-in", GOOD)
    made = db.session.scalars(select(Provider)).one()
    assert (answer.status_code, answer.location) == (303, f"/admin/sign-in/{made.public_id}")
    assert not made.in_use and encryption.decrypt(made.client_secret) == GOOD["client_secret"]
    page = admin.get(answer.location).text
    assert GOOD["client_secret"] not in page and "cret" in page
    assert f"http://localhost/sso/{made.public_id}/callback" in page
    assert sentence(EventKind.PROVIDER_CREATED) == f"{company.adam.name} added the sign-in with Okta."
    assert "Okta" not in Browser(admin.app).get("/sign-in").text


@pytest.mark.parametrize(
    ("field", "typed", "words"),
    [
        ("name", "", "Enter the words for the button"),
        ("name", "x" * 61, "up to 60 characters"),
        ("issuer", "", "Enter the issuer"),
        ("issuer", "http://okta.example.com", "Use https://"),
        ("issuer", "https://okta.example.com/.well-known/openid-configuration", "Leave out /.well-known"),
        ("issuer", "https://127.0.0.1/", "not on the internet"),
        ("issuer", "https://okta.example.com/?a=b", "after the question mark"),
        ("client_id", "", "Enter the client ID"),
        ("client_secret", "x" * 1001, "up to 1,000 characters"),
    ],
)
def test_what_cannot_be_is_said_and_what_was_typed_stays(admin: Browser, field: str, typed: str, words: str) -> None:
    answer = admin.post("/admin/sign-in", GOOD | {field: typed})
    assert answer.status_code == 422 and words in answer.text
    assert 'value="abc"' in answer.text or field == "client_id"
    if field != "client_secret":
        assert GOOD["client_secret"] not in answer.text and "Enter the secret again" in answer.text
    assert db.session.scalar(select(Provider.id)) is None


def test_a_name_or_issuer_is_taken_once(admin: Browser, made: Provider) -> None:
    assert "is a provider called Okta already" in admin.post("/admin/sign-in", GOOD).text
    again = admin.post("/admin/sign-in", GOOD | {"name": "Other", "issuer": "https://localhost"})
    assert "Okta has this issuer already" in again.text


def test_the_connection_is_changed_and_the_secret_stays_where_none_is_typed(admin: Browser, company: Company) -> None:
    admin.post("/admin/sign-in", GOOD)
    made = db.session.scalars(select(Provider)).one()
    path, secret = f"/admin/sign-in/{made.public_id}", made.client_secret
    typed = {
        **GOOD,
        "name": "Work",
        "client_secret": "",
        "scopes": "openid groups",
        "acr_values": "",
        "secret_ends_on": "",
    }
    assert fill(admin, path, **typed).status_code == 303
    assert (stored(made).name, stored(made).scopes, stored(made).client_secret) == ("Work", "openid groups", secret)
    ends = (clock.now() + timedelta(days=12)).date().isoformat()
    alone = fill(admin, path, **{**typed, "secret_ends_on": ends})
    assert alone.status_code == 422 and "together with the day" in alone.text
    assert fill(admin, path, **{**typed, "client_secret": "new", "secret_ends_on": ends}).status_code == 303
    assert encryption.decrypt(stored(made).client_secret) == "new"
    assert "The client secret ends in 12 days" in admin.get(path).text
    stale = admin.post(path, {**typed, "was": "{}"})
    assert stale.status_code == 409 and "Someone else changed this" in stale.text


def test_the_issuer_stays_once_people_are_linked(admin: Browser, company: Company, made: Provider) -> None:
    choose("write")
    identities.link(stored(made), company.rita, Claims("x"), how="account", now=clock.now())
    outbox.commit()
    path = f"/admin/sign-in/{made.public_id}"
    answer = fill(admin, path, name="Okta", issuer="https://evil.example.com", client_id="countersign")
    assert answer.status_code == 422 and "People are linked through this issuer" in answer.text
    assert "1 person is linked" in admin.get(path).text


def test_what_happens_to_people_is_changed(admin: Browser, company: Company, made: Provider) -> None:
    path = f"/admin/sign-in/{made.public_id}"
    group = company.finance.public_id
    typed = {
        "creates_people": "1",
        "domains": "example.com, firma.example",
        "default_group": group,
        "groups_claim": "groups",
    }
    assert fill(admin, path, "/people", **typed).status_code == 303
    row = stored(made)
    assert row.creates_people and not row.links_by_email and row.domains == "example.com firma.example"
    assert row.default_group_id == company.finance.id and row.groups_claim == "groups"
    bad = fill(admin, path, "/people", **{**typed, "domains": "not a domain"})
    assert bad.status_code == 422 and "is not a domain" in bad.text and 'value="not a domain"' in bad.text


def test_a_row_of_groups_is_added_once_and_removed(admin: Browser, company: Company, made: Provider) -> None:
    path = f"/admin/sign-in/{made.public_id}"
    row = {"value": "sg-finance", "group": company.finance.public_id}
    assert admin.post(f"{path}/groups", row).status_code == 303
    again = admin.post(f"{path}/groups", row)
    assert again.status_code == 422 and "sg-finance has a row already" in again.text
    assert sentence(EventKind.PROVIDER_GROUP_ADDED) == f"{company.adam.name} let Okta say who is in Finance."
    found = db.session.scalars(select(ProviderGroup.public_id)).one()
    assert admin.post(f"{path}/groups/{found}/removal").status_code == 303
    assert "was removed already" in admin.post(f"{path}/groups/{found}/removal", follow_redirects=True).text


def test_it_is_switched_off_and_on(admin: Browser, made: Provider) -> None:
    path = f"/admin/sign-in/{made.public_id}"
    assert "Continue with Okta" in Browser(admin.app).get("/sign-in").text
    admin.post(f"{path}/state", {"on": ""})
    assert "Continue with Okta" not in Browser(admin.app).get("/sign-in").text
    admin.post(f"{path}/state", {"on": "1"})
    assert stored(made).in_use


def test_a_provider_that_fails_is_shown_since_when_and_why(admin: Browser, made: Provider) -> None:
    provider_health.note_failure(made.public_id, "The list of its keys could not be read.", now=clock.now())
    assert "The list of its keys could not be read." in admin.get("/admin/sign-in").text
    assert "It fails since" in admin.get(f"/admin/sign-in/{made.public_id}").text


def test_whoever_has_only_a_password_is_named_before_it_is_switched_off(
    admin: Browser, company: Company, made: Provider
) -> None:
    for one in (company.adam, company.otto, company.rita):
        factories.with_password(one)
    identities.link(stored(made), company.rita, Claims("x"), how="account", now=clock.now())
    outbox.commit()
    page = admin.get("/admin/sign-in").text
    said = page.partition("Never signed in through a provider")[2].partition("</p>")[0]
    assert company.otto.name in said and company.adam.name in said and company.rita.name not in said
    none = fill(admin, "/admin/sign-in", "/passwords", passwords="emergency")
    assert none.status_code == 422 and "Choose at least one emergency admin" in none.text
    adam = company.adam.public_id
    assert fill(admin, "/admin/sign-in", "/passwords", passwords="emergency", emergency=adam).status_code == 303
    assert db.session.get_one(Person, company.adam.id, populate_existing=True).is_emergency_admin
    assert (
        company.adam.name not in admin.get("/admin/sign-in").text.partition("Never signed in")[2].partition("</p>")[0]
    )
    assert fill(admin, "/admin/sign-in", "/passwords", passwords="all").status_code == 303


def test_passwords_stay_while_no_provider_is_in_use(admin: Browser, company: Company) -> None:
    factories.with_password(company.adam)
    db.session.commit()
    adam = company.adam.public_id
    answer = fill(admin, "/admin/sign-in", "/passwords", passwords="emergency", emergency=adam)
    assert answer.status_code == 422 and "Switch a provider on first" in answer.text


def test_the_pages_ask_the_database_as_often_with_many_rows(admin: Browser, company: Company, made: Provider) -> None:
    path = f"/admin/sign-in/{made.public_id}"
    with counting() as few:
        admin.get("/admin/sign-in")
        admin.get(path)
    for number in range(6):
        factories.with_password(factories.person(f"Nina{number} Berg"))
        choose("write")
        group = factories.group(f"Group {number}")
        db.session.add(ProviderGroup(provider_id=made.id, value=f"v{number}", group_id=group.id))
        db.session.add(
            Provider(name=f"P{number}", issuer=f"https://p{number}.example", client_id="x", created_at=clock.now())
        )
        outbox.commit()
    with counting() as many:
        admin.get("/admin/sign-in")
        admin.get(path)
    assert len(many) == len(few)


def test_the_admin_removes_a_link_and_its_sessions_end(admin: Browser, company: Company, made: Provider) -> None:
    choose("write")
    identities.link(stored(made), company.rita, Claims("x"), how="account", now=clock.now())
    outbox.commit()
    person = f"/admin/people/{company.rita.public_id}"
    page = admin.get(person).text
    (path,) = set(re.findall(rf'action="({person}/identities/[^"]+)"', page))
    assert admin.post(path).status_code == 303
    assert (
        sentence(EventKind.IDENTITY_UNLINKED) == f"{company.adam.name} removed the link of {company.rita.name} to Okta."
    )
    again = admin.post(path)
    assert again.status_code == 409 and "was removed already" in again.text
    assert "Single sign-on" not in admin.get(person).text
