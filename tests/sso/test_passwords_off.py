"""Who keeps a password when only emergency admins may use one."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from tests.helpers import factories
from tests.helpers.browsers import Browser
from tests.helpers.factories import Company
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, Provider
from webapp.operations import people, providers
from webapp.queries import directory

pytestmark = pytest.mark.both_engines


def write() -> None:
    db.session.rollback()
    choose("write")
    directory.lock(exclusive=True)


def passwords_off(company: Company, *admins: Person) -> None:
    write()
    providers.change_passwords(
        for_all=False, emergency=[one.public_id for one in admins], actor=company.adam, now=clock.now()
    )
    outbox.commit()


def sign_in(app: Flask, person: Person) -> Any:
    return Browser(app).post("/sign-in", {"email": person.email, "password": factories.PASSWORD})


def test_only_emergency_admins_use_a_password(app: Flask, company: Company, provider: Provider) -> None:
    for one in (company.rita, company.adam):
        factories.with_password(one)
    db.session.commit()
    assert sign_in(app, company.rita).status_code == 303
    passwords_off(company, company.adam)
    refused = sign_in(app, company.rita)
    assert refused.status_code == 422 and "Only emergency admins use a password here" in refused.text
    assert sign_in(app, company.adam).status_code == 303
    wrong = Browser(app).post("/sign-in", {"email": company.rita.email, "password": "wrong"})
    assert "email address or password is incorrect" in wrong.text
    assert "Only emergency admins use a password here" in Browser(app).get("/sign-in").text


def test_no_link_to_set_a_password_works_then(app: Flask, company: Company, provider: Provider) -> None:
    factories.with_password(company.adam)
    db.session.commit()
    passwords_off(company, company.adam)
    token = links.password_token(company.otto.public_id, company.otto.password_round)
    browser = Browser(app)
    assert browser.get(f"/password/{token}").location == "/sign-in"
    again = {"password": "a new long password", "again": "a new long password"}
    assert browser.post(f"/password/{token}", again).location == "/sign-in"
    before = factories.rows("notices")
    browser.post("/password/forgot", {"email": company.otto.email})
    assert factories.rows("notices") == before


def test_an_emergency_admin_who_is_none_any_more_is_refused(app: Flask, company: Company, provider: Provider) -> None:
    for one in (company.ana, company.adam):
        factories.with_password(one)
    write()
    people.set_admin(company.ana, is_admin=True, actor=company.adam, now=clock.now())
    outbox.commit()
    passwords_off(company, company.adam, company.ana)
    assert sign_in(app, company.ana).status_code == 303
    write()
    people.set_admin(db.session.get_one(Person, company.ana.id), is_admin=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert sign_in(app, company.ana).status_code == 422


def test_the_last_provider_stays_while_passwords_are_off(company: Company, provider: Provider) -> None:
    factories.with_password(company.adam)
    db.session.commit()
    passwords_off(company, company.adam)
    write()
    row = db.session.get_one(Provider, provider.id)
    with pytest.raises(Exception, match="is the only provider"):
        providers.switch(row, on=False, actor=company.adam, now=clock.now())
    db.session.rollback()
