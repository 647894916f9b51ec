"""A password by mailed link: after an invitation, or when it is forgotten."""

from __future__ import annotations

import time

import pytest

from tests.helpers import factories
from tests.helpers.factories import PASSWORD
from tests.views.test_auth_sign_in import Counting, sign_in
from webapp import clock, links, passwords
from webapp.auth import views
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import people

NEW = "three words in a row"
DEAD = "This link no longer works"


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr(views, "FORGOT_SECONDS", 0)


@pytest.fixture
def guest(login_as, company):
    return login_as(None)


def link_for(person):
    choose("read")
    fresh = db.session.get_one(Person, person.id, populate_existing=True)
    token = links.password_token(fresh.public_id, fresh.password_round)
    db.session.rollback()
    return f"/password/{token}"


def both(password=NEW):
    return {"password": password, "again": password}


# ---------- Asking for a link ----------


def test_rita_forgot_her_password_and_is_mailed_a_link(guest, rita):
    assert "Send link" in guest.get("/password/forgot").text
    answer = guest.post("/password/forgot", {"email": " Rita@example.com"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/password/forgot?sent=1")
    assert "If this address belongs to an account" in guest.get(answer.headers["Location"]).text
    assert factories.rows("notices", f"kind = 'password-reset' AND person_id = {rita.id}") == 1


def test_who_is_unknown_or_deactivated_hears_the_same_and_gets_nothing(guest, company, adam):
    choose("write")
    people.deactivate(db.session.merge(company.otto), actor=db.session.merge(adam), now=clock.now())
    outbox.commit()
    known = guest.post("/password/forgot", {"email": "ana@example.com"})
    for email in ("nobody@example.com", "otto@example.com", "a\0b@example.com"):
        answer = guest.post("/password/forgot", {"email": email})
        assert (answer.status_code, answer.headers["Location"]) == (known.status_code, known.headers["Location"])
    assert factories.rows("notices", "kind = 'password-reset'") == 1


def test_the_answer_takes_the_same_time_for_everybody(guest, monkeypatch):
    monkeypatch.setattr(views, "FORGOT_SECONDS", 0.4)
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)
    guest.post("/password/forgot", {"email": "nobody@example.com"})
    guest.post("/password/forgot", {"email": "ana@example.com"})
    assert len(slept) == 2
    assert all(0 < one <= 0.4 for one in slept)


def test_without_an_address_the_field_says_so(guest):
    answer = guest.post("/password/forgot", {"email": " "})
    assert answer.status_code == 422
    assert "Enter your email address." in answer.text


@pytest.mark.parametrize("typed", ["rita", "rita@", "@example.com", "not an address"])
def test_what_is_no_address_comes_back_with_a_sentence(guest, company, typed):
    answer = guest.post("/password/forgot", {"email": typed})
    assert answer.status_code == 422
    assert "Enter an email address in the form name@example.com" in answer.text
    assert f'value="{typed}"' in answer.text
    assert factories.rows("notices") == 0


# ---------- Setting it ----------


def test_the_link_sets_the_password_and_signs_in(guest, rita):
    link = link_for(rita)
    page = guest.get(link)
    assert page.status_code == 200
    assert "Rita Lindqvist" in page.text
    assert "rita@example.com" in page.text
    answer = guest.post(link, both())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "rita@example.com" in guest.get("/account").text
    guest.post("/sign-out")
    assert sign_in(guest, password=NEW).status_code == 303


def test_the_page_is_kept_out_of_caches_referers_and_search(guest, rita):
    link = link_for(rita)
    for answer in (
        guest.get(link),
        guest.get("/password/x"),
        guest.post(link, both("short")),
        guest.post(link, both()),
    ):
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex"


def test_looking_uses_nothing_up(guest, rita):
    link = link_for(rita)
    for _ in range(3):
        assert guest.client.head(link).status_code == 200
        assert guest.get(link).status_code == 200
    assert factories.rows("sessions") == 0


def test_the_link_works_once(guest, rita, login_as):
    link = link_for(rita)
    guest.post(link, both())
    thief = login_as(None)
    for answer in (thief.get(link), thief.post(link, both("something else entirely"))):
        assert answer.status_code == 404
        assert DEAD in answer.text
        assert "Send a new link" in answer.text
    assert factories.rows("sessions", "ended_at IS NULL") == 1


def test_an_older_link_is_dead_once_the_password_was_changed(guest, rita, login_as):
    factories.with_password(rita)
    link = link_for(rita)
    login_as(rita).post("/account/password", {"current": PASSWORD, **both()})
    assert DEAD in guest.get(link).text


def test_after_three_days_it_is_dead(guest, rita, monkeypatch):
    link = link_for(rita)
    later = time.time() + 3 * 24 * 3600
    monkeypatch.setattr(time, "time", lambda: later - 60)
    assert guest.get(link).status_code == 200
    monkeypatch.setattr(time, "time", lambda: later + 60)
    assert DEAD in guest.get(link).text


@pytest.mark.parametrize(
    "forged", ["x", "a.b.c", "eyJ", "%00", "..%2f", "x" * 500, "WyJBIiwwXQ.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb"]
)
def test_a_forged_link_is_dead(guest, forged):
    answer = guest.get(f"/password/{forged}")
    assert answer.status_code == 404
    assert "<h1>" in answer.text


def test_a_link_to_decide_sets_no_password(guest, rita, app):
    token = links.approval_token(rita.public_id, 0, app.extensions["keyring"].current)
    assert DEAD in guest.get(f"/password/{token}").text


def test_a_deactivated_person_cannot_use_it(guest, rita, adam):
    link = link_for(rita)
    choose("write")
    people.deactivate(db.session.merge(rita), actor=db.session.merge(adam), now=clock.now())
    outbox.commit()
    assert DEAD in guest.get(link).text
    assert DEAD in guest.post(link, both()).text


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (both("too short"), "at least 12 characters"),
        (both("aaaaaaaaaaaaaaa"), "too easy to guess"),
        (both("x" * 201), "Use 200 characters or fewer"),
        (both(""), "Enter a new password."),
        ({"password": NEW, "again": "another one"}, "The passwords do not match."),
        ({"password": NEW}, "The passwords do not match."),
    ],
)
def test_a_password_that_will_not_do_is_told_at_its_field(guest, rita, given, words):
    link = link_for(rita)
    answer = guest.post(link, given)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'aria-invalid="true"' in answer.text
    assert NEW not in answer.text
    assert guest.post(link, both()).status_code == 303


def test_it_ends_every_other_session_of_the_person(guest, rita, login_as):
    thief = login_as(rita)
    guest.post(link_for(rita), both())
    assert thief.get("/account").status_code == 303


def test_while_somebody_else_is_signed_in_the_page_says_so(login_as, rita, otto):
    guest = login_as(otto)
    link = link_for(rita)
    page = guest.get(link).text
    assert "You are signed in as <b>Otto Brandt</b>" in page
    guest.post(link, both())
    assert "rita@example.com" in guest.get("/account").text
    assert factories.rows("sessions", f"person_id = {otto.id} AND ended_at IS NULL") == 0


def test_no_transaction_is_open_while_it_is_hashed(login_as, rita, otto, monkeypatch):
    calls = []
    monkeypatch.setattr(passwords, "_hasher", Counting(passwords._hasher, calls))
    assert login_as(otto).post(link_for(rita), both()).status_code == 303
    assert calls == ["hash"]


def test_of_two_at_once_one_sets_it(guest, rita, monkeypatch, login_as):
    link = link_for(rita)
    other = login_as(None)
    real = passwords.hash_password

    def hash_password(password):
        monkeypatch.setattr(passwords, "hash_password", real)
        assert other.post(link, both("the other one was faster")).status_code == 303
        return real(password)

    monkeypatch.setattr(passwords, "hash_password", hash_password)
    answer = guest.post(link, both())
    assert answer.status_code == 404
    assert DEAD in answer.text
    assert sign_in(guest, password=NEW).status_code == 422


def test_the_key_may_change_meanwhile(guest, rita, app, monkeypatch):
    from webapp.keys import KeyRing

    link = link_for(rita)
    old = app.extensions["settings"].secret_key
    monkeypatch.setitem(app.extensions, "keyring", KeyRing(("the new secret key of today", old)))
    assert guest.get(link).status_code == 200
    monkeypatch.setitem(app.extensions, "keyring", KeyRing(("the new secret key of today",)))
    assert DEAD in guest.get(link).text
