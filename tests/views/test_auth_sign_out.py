"""Leaving, here and everywhere."""

from __future__ import annotations

import pytest

from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import PersonSession
from webapp.operations import people


def live():
    return factories.rows("sessions", "ended_at IS NULL")


def test_signing_out_ends_the_session(login_as, rita):
    browser = login_as(rita)
    answer = browser.post("/sign-out")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert live() == 0
    assert "You have signed out." in browser.get("/sign-in").text


def test_a_stolen_copy_of_the_cookie_is_dead(app, login_as, rita):
    browser = login_as(rita)
    stolen = browser.client.get_cookie("countersign").value
    browser.post("/sign-out")
    thief = app.test_client()
    thief.set_cookie("countersign", stolen)
    assert thief.get("/account").headers["Location"] == "/sign-in?next=/account"


def test_signing_out_twice_is_no_error(login_as, rita):
    browser = login_as(rita)
    browser.post("/sign-out")
    assert browser.post("/sign-out").status_code == 303


def test_a_get_signs_nobody_out(login_as, rita):
    browser = login_as(rita)
    assert browser.get("/sign-out").status_code == 405
    assert live() == 1


def test_without_the_forms_token_nobody_is_signed_out(login_as, rita):
    browser = login_as(rita)
    assert browser.client.post("/sign-out").status_code == 400
    assert live() == 1


# ---------- From the list of sessions ----------


@pytest.fixture
def phone(company, rita):
    """Rita's phone, signed in too: its session's id."""
    return factories.session_of(rita)


def ending(public_id):
    return f"/account/sessions/{public_id}/ending"


def test_rita_signs_her_phone_out(login_as, rita, phone):
    browser = login_as(rita)
    answer = browser.post(ending(phone))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account/sessions")
    assert "Session signed out." in browser.get("/account/sessions").text
    assert live() == 1


def test_with_htmx_the_list_comes_back_without_it(login_as, rita, phone):
    answer = login_as(rita).post(ending(phone), htmx=True)
    assert answer.status_code == 200
    assert "<html" not in answer.text
    assert 'id="browsers"' in answer.text
    assert phone not in answer.text
    assert "Session signed out." in answer.text


def test_a_browser_remembered_for_decisions_is_forgotten_in_the_same_way(login_as, rita):
    choose("write")
    row = people.start_session(
        rita.id, kind="decisions", browser="", address="", lasts=people.timedelta(days=30), now=clock.now()
    )
    outbox.commit()
    browser = login_as(rita)
    assert "Trusted for approvals" in browser.get("/account/sessions").text
    browser.post(ending(row.public_id))
    assert "Trusted for approvals" not in browser.get("/account/sessions").text


def test_ending_it_twice_says_that_it_was_ended(login_as, rita, phone):
    browser = login_as(rita)
    browser.post(ending(phone))
    answer = browser.post(ending(phone))
    assert answer.status_code == 409
    assert "This session had already ended." in answer.text


@pytest.mark.parametrize("odd", ["nothing", "%00", "x" * 200])
def test_an_unknown_session_is_not_there(login_as, rita, odd):
    assert login_as(rita).post(ending(odd)).status_code == 404


def test_nobody_ends_somebody_elses_session(login_as, otto, phone):
    assert login_as(otto).post(ending(phone)).status_code == 404
    assert live() == 2


def test_ending_this_browsers_session_signs_it_out(login_as, rita):
    browser = login_as(rita)
    public_id = db.session.query(PersonSession).one().public_id
    db.session.rollback()
    assert browser.post(ending(public_id)).headers["Location"] == "/sign-in"
    assert live() == 0


def test_sign_out_everywhere_means_here_too(login_as, rita, phone, otto):
    other = login_as(otto)
    browser = login_as(rita)
    answer = browser.post("/account/sessions/ending")
    assert answer.headers["Location"] == "/sign-in"
    assert live() == 1
    assert browser.get("/account").status_code == 303
    assert other.get("/account").status_code == 200


def test_sign_out_everywhere_with_htmx_loads_the_sign_in_page(login_as, rita):
    answer = login_as(rita).post("/account/sessions/ending", htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, "/sign-in")


@pytest.mark.parametrize("path", ["/account/sessions/ending", "/account/sessions/abc/ending"])
def test_no_session_ends_by_a_get_or_by_an_outsider(login_as, rita, path):
    assert login_as(rita).get(path).status_code == 405
    assert login_as(None).post(path).headers["Location"] == "/sign-in"
    assert live() == 1
