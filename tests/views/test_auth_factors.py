"""Setting up an authenticator app, and recovery codes."""

from __future__ import annotations

import re
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import select

from tests.helpers import changes, factories, pages
from tests.helpers.statements import counting
from webapp import clock, totp
from webapp.extensions import db
from webapp.models import Authenticator, Event, Notice, RecoveryCode

SETUP = "/account/security/authenticator"


@pytest.fixture
def hers(login_as, rita):
    factories.with_password(rita)
    return login_as(rita)


def form_of(answer):
    page = pages.flat(answer)
    key = re.search(r'class="cs-mono">([A-Z2-7 ]+)<', page)[1].replace(" ", "")
    return key, re.search(r'name="setup" value="([^"]+)"', page)[1]


def set_up(browser):
    key, setup = form_of(browser.get(SETUP))
    return key, browser.post(SETUP, {"setup": setup, "code": pyotp.TOTP(key).at(clock.now().timestamp())})


def test_rita_sets_up_an_app_and_gets_ten_codes_once(hers, rita):
    assert "Off." in hers.get("/account/security").text
    key, answer = set_up(hers)
    assert answer.status_code == 200
    codes = re.findall(r"<li>(\w{5}-\w{5})</li>", answer.text)
    assert len(set(codes)) == 10
    assert answer.headers["Cache-Control"] == "no-store"
    page = hers.get("/account/security").text
    assert "On since" in page
    assert "10 of 10 left" in page
    assert not any(code in page for code in codes)
    kinds = db.session.scalars(select(Event.kind)).all()
    assert "factor.added" in kinds
    assert db.session.scalar(select(Notice.kind).where(Notice.person_id == rita.id)) == "security-changed"
    assert key not in " ".join(db.session.scalars(select(Event.body)))


def test_a_page_that_is_only_looked_at_changes_nothing(hers):
    first, second = form_of(hers.get(SETUP))[0], form_of(hers.get(SETUP))[0]
    assert first != second
    assert db.session.scalar(select(Authenticator)) is None


@pytest.mark.parametrize("given", ["000000", "", "abc", "12345"])
def test_a_wrong_code_keeps_the_picture(hers, given):
    key, setup = form_of(hers.get(SETUP))
    answer = hers.post(SETUP, {"setup": setup, "code": given})
    assert answer.status_code == 422
    assert form_of(answer) == (key, setup)
    assert 'id="code-e"' in answer.text
    assert db.session.scalar(select(Authenticator)) is None


def test_a_setup_belongs_to_its_person_and_ends_after_half_an_hour(hers, login_as, otto, monkeypatch):
    factories.with_password(otto)
    key, setup = form_of(hers.get(SETUP))
    code = pyotp.TOTP(key).at(clock.now().timestamp())
    answer = login_as(otto).post(SETUP, {"setup": setup, "code": code})
    assert answer.status_code == 409
    assert "Scan the new QR code." in answer.text
    for forged in ("", "x", "x.y", setup[:-1], "é"):
        assert hers.post(SETUP, {"setup": forged, "code": code}).status_code == 409
    assert db.session.scalar(select(Authenticator)) is None


def test_another_app_takes_the_place_of_the_first_and_the_codes_stay(hers, login_as, rita):
    first, _ = set_up(hers)
    assert "stays in use" in hers.get(SETUP).text
    second, answer = set_up(hers)
    assert answer.status_code == 303
    assert "10 of 10 left" in hers.get("/account/security").text
    browser = login_as(None)
    browser.post("/sign-in", {"email": "rita@example.com", "password": factories.PASSWORD})
    for secret, status in ((first, 422), (second, 303)):
        answer = browser.post("/sign-in/code", {"code": pyotp.TOTP(secret).at(clock.now().timestamp() + 30)})
        assert answer.status_code == status


def test_turned_off_nothing_is_asked_and_the_codes_are_gone(hers):
    set_up(hers)
    answer = hers.post(f"{SETUP}/removal")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account/security")
    assert db.session.scalars(select(RecoveryCode)).all() == []
    assert "authenticator-removed" in " ".join(db.session.scalars(select(Notice.data_json)))
    db.session.rollback()
    assert hers.post(f"{SETUP}/removal").status_code == 409


def test_new_codes_replace_the_old_ones_and_the_same_form_makes_no_more(hers):
    set_up(hers)
    newest = re.search(r'name="was" value="([^"]+)"', pages.flat(hers.get("/account/security")))[1]
    answer = hers.post("/account/security/recovery-codes", {"was": newest})
    assert answer.status_code == 200
    assert len(re.findall(r"<li>\w{5}-\w{5}</li>", answer.text)) == 10
    assert len(db.session.scalars(select(RecoveryCode)).all()) == 10
    db.session.rollback()
    again = hers.post("/account/security/recovery-codes", {"was": newest})
    assert again.status_code == 409
    assert "already been renewed" in again.text


@pytest.mark.parametrize("newest", ["", "x", "-1", "9" * 50])
def test_without_an_app_there_are_no_codes(hers, newest):
    assert hers.post("/account/security/recovery-codes", {"was": newest}).status_code == 409


@pytest.mark.parametrize("path", ["authenticator", "authenticator/removal", "recovery-codes"])
def test_each_of_it_asks_for_the_password_unless_it_was_just_given(hers, path):
    changes.shift("sessions", "proved_at", timedelta(minutes=-20))
    answer = hers.post(f"/account/security/{path}", {"code": "1"})
    assert answer.status_code == 401
    assert "Confirm your password" in answer.text


def test_the_page_takes_the_same_statements_with_and_without_codes(hers):
    with counting() as before:
        hers.get("/account/security")
    set_up(hers)
    with counting() as after:
        hers.get("/account/security")
    assert len(before) == len(after)


def test_the_qr_code_holds_the_address_of_the_account():
    width, path = totp.picture(
        totp.uri("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", account="rita@example.com", issuer="Firm: A")
    )
    assert path.startswith("M2 2.5h7")
    assert width > 37
    assert totp.uri("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", account="rita@example.com", issuer="Firm: A").startswith(
        "otpauth://totp/Firm"
    )


# ---------- Reset by an admin ----------


@pytest.fixture
def his(login_as, adam):
    factories.with_password(adam)
    return login_as(adam)


def test_another_admin_resets_it_and_the_person_is_told(his, hers, rita, login_as):
    set_up(hers)
    page = f"/admin/people/{rita.public_id}"
    assert "Reset second step" in his.get(page).text
    assert "Reset the second step of Rita Lindqvist?" in pages.words(his.get(f"{page}/second-step-reset"))
    answer = his.post(f"{page}/second-step-reset", htmx=True)
    assert answer.status_code == 200
    assert "Second step reset." in answer.text
    assert "Reset second step" not in his.get(page).text
    assert db.session.scalars(select(Authenticator)).all() == db.session.scalars(select(RecoveryCode)).all() == []
    assert "factor.reset" in list(db.session.scalars(select(Event.kind)))
    told = db.session.scalars(select(Notice).where(Notice.person_id == rita.id).order_by(Notice.id.desc())).first()
    assert '"what": "reset"' in told.data_json
    db.session.rollback()
    browser = login_as(None)
    given = {"email": "rita@example.com", "password": factories.PASSWORD}
    assert browser.post("/sign-in", given).headers["Location"] == "/"
    assert his.post(f"{page}/second-step-reset").status_code == 409


def test_nobody_resets_their_own_and_only_admins_reset(his, hers, adam, rita):
    set_up(his)
    own = f"/admin/people/{adam.public_id}/second-step-reset"
    assert "Reset second step" not in his.get(f"/admin/people/{adam.public_id}").text
    answer = his.post(own)
    assert answer.status_code == 409
    assert "ask another admin" in answer.text
    assert hers.post(own).status_code == 404


def test_the_command_helps_the_last_admin(app, his, adam):
    set_up(his)
    run = app.test_cli_runner().invoke
    done = run(args=["reset-factor", "adam@example.com"])
    assert done.exit_code == 0
    assert "Second step reset." in done.output
    assert run(args=["reset-factor", "adam@example.com"]).exit_code == 1
    assert "no active person" in run(args=["reset-factor", "x@example.com"]).output


# ---------- Required of admins ----------


def require(browser, was="off", on="1"):
    return browser.post("/admin/sign-in/second-step", {"was": was, **({"on": on} if on else {})})


def test_an_admin_without_one_is_led_to_it_before_anything_of_the_admin_side(his, hers):
    answer = require(his)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/sign-in")
    for path in ("/admin", "/admin/people", "/admin/apps", "/admin/sign-in", "/admin/audit"):
        assert his.get(path).headers["Location"] == "/account/security", path
    assert his.post("/admin/groups", {"name": "x"}).headers["Location"] == "/account/security"
    assert his.post("/admin/groups", {"name": "x"}, htmx=True).headers["HX-Redirect"] == "/account/security"
    assert "Your organisation requires a second step of its admins." in his.get("/account/security").text
    assert his.get("/").status_code == hers.get("/").status_code == 200
    assert hers.get("/admin/people").status_code == 404
    assert "Your organisation requires" not in hers.get("/account/security").text
    assert set_up(his)[1].status_code == 200
    assert his.get("/admin/people").status_code == 200
    assert his.post(f"{SETUP}/removal").status_code == 303
    assert his.get("/admin/people").headers["Location"] == "/account/security"


def test_the_switch_is_recorded_and_a_stale_form_is_refused(his):
    set_up(his)
    assert require(his).status_code == 303
    assert require(his).status_code == 409
    assert "Admins must have a second step" in his.get("/admin/audit").text
    assert require(his, was="on", on="").status_code == 303
