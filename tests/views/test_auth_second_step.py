"""The second step of a sign-in: who gets in with the password alone, and who does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import delete, func, select, update

from tests.helpers import changes, factories, pages
from tests.views.test_auth_sign_in import cookie, sign_in
from webapp import clock, encryption, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Authenticator, Event, Notice, PersonSession, RecoveryCode, SignInState
from webapp.operations import factors, people
from webapp.wording import SIGN_IN_METHODS
from webapp.workflow.states import SignInMethod


@pytest.fixture
def secret(rita):
    factories.with_password(rita)
    return factories.with_authenticator(rita)


@pytest.fixture
def door(login_as, secret):
    """A browser with nobody signed in; Rita has a password and an authenticator app."""
    return login_as(None)


def code(secret, steps=0):
    return pyotp.TOTP(secret).at(clock.now().timestamp() + 30 * steps)


def give(browser, given, **more):
    return browser.post("/sign-in/code", {"code": given, **more})


def sessions():
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(PersonSession).where(PersonSession.ended_at.is_(None)))


def is_in(browser):
    return browser.get("/account").status_code == 200


def test_the_password_alone_opens_nothing(door):
    answer = sign_in(door, next="/catalog?q=a")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in/code?next=/catalog%3Fq%3Da")
    assert sessions() == 0
    for path in ("/", "/account", "/catalog", "/account/security"):
        assert door.get(path).headers["Location"].startswith("/sign-in"), path
    assert door.post("/account/theme", {"theme": "dark"}).headers["Location"] == "/sign-in"


def test_with_the_code_rita_is_where_she_wanted_to_be(door, secret):
    sign_in(door, next="/catalog?q=a")
    page = door.get("/sign-in/code?next=/catalog?q=a")
    assert "Code from your authenticator app" in page.text
    assert 'name="next" value="/catalog?q=a"' in pages.flat(page)
    answer = give(door, code(secret), next="/catalog?q=a")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/catalog?q=a")
    assert is_in(door)
    assert "password and authenticator app" in door.get("/account/sessions").text


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_phone_may_be_half_a_minute_early_or_late(door, secret, steps):
    sign_in(door)
    assert give(door, code(secret, steps)).status_code == 303
    assert is_in(door)


@pytest.mark.parametrize("steps", [-3, 3])
def test_an_old_code_is_refused(door, secret, steps):
    sign_in(door)
    answer = give(door, code(secret, steps))
    assert answer.status_code == 422
    assert "This code is not right." in answer.text
    assert "4 attempts left" in answer.text


def test_a_code_works_once(door, secret, login_as):
    given = code(secret)
    sign_in(door)
    assert give(door, given).status_code == 303
    thief = login_as(None)
    sign_in(thief)
    assert give(thief, given).status_code == 422
    assert not is_in(thief)


def test_nor_does_an_earlier_code_work_after_a_later_one(door, secret, login_as):
    sign_in(door)
    give(door, code(secret, 1))
    thief = login_as(None)
    sign_in(thief)
    assert give(thief, code(secret, 0)).status_code == 422


def test_of_two_who_send_the_same_code_at_once_one_is_let_in(app, rita, secret):
    given, now = code(secret), clock.now()

    def use(_):
        with app.app_context():
            choose("write")
            used = factors.use_authenticator(rita.id, given, now=now)
            db.session.commit()
            return used

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(use, range(4))) == [False, False, False, True]


@pytest.mark.parametrize("given", ["", "12345", "1234567", "abcdef", "12 34 5"])
def test_what_is_no_code_costs_no_attempt(door, given):
    sign_in(door)
    answer = give(door, given)
    assert answer.status_code == 422
    assert "Enter the 6 digits" in answer.text
    assert db.session.scalar(select(SignInState.tries)) == 0


def test_after_five_wrong_codes_the_password_is_asked_for_again(door, secret):
    sign_in(door)
    for left in (4, 3, 2, 1):
        assert f"{left} attempt" in give(door, "000000").text
    answer = give(door, "000000")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")
    assert "Enter your password again." in door.get("/sign-in").text
    assert give(door, code(secret)).headers["Location"] == "/sign-in"
    assert not is_in(door)


def test_who_knows_the_password_cannot_go_on_guessing(app, door, secret, login_as, monkeypatch):
    from webapp.extensions import limiter

    monkeypatch.setattr(limiter, "enabled", True)
    answers = []
    for _ in range(3):
        sign_in(door)
        answers += [give(door, "000000") for _ in range(5)]
    assert 429 in {answer.status_code for answer in answers[10:]}
    assert "Too many attempts" in next(answer.text for answer in answers if answer.status_code == 429)
    sign_in(door)
    assert give(door, code(secret)).status_code == 429, "the right one is not compared either"


def test_the_state_belongs_to_one_browser(door, secret, login_as):
    sign_in(door)
    other = login_as(None)
    assert give(other, code(secret)).headers["Location"] == "/sign-in"
    assert other.get("/sign-in/code").headers["Location"] == "/sign-in"
    assert give(door, code(secret)).status_code == 303


def test_a_copied_state_is_of_no_use_once_it_was_used(door, secret, login_as):
    sign_in(door)
    copied = cookie(door)
    give(door, code(secret))
    thief = login_as(None)
    thief.client.set_cookie("countersign", copied)
    assert give(thief, code(secret, 1)).headers["Location"] == "/sign-in"
    assert not is_in(thief)


def test_the_cookie_and_its_forms_change_with_each_step(door, secret):
    door.get("/sign-in")
    before = cookie(door)
    sign_in(door)
    between, form = cookie(door), door.token()
    give(door, code(secret))
    assert len({before, between, cookie(door)}) == 3
    assert door.client.post("/account/theme", data={"csrf_token": form, "theme": "dark"}).status_code == 400


def test_the_id_of_a_state_is_no_session(door, secret, login_as, app):
    sign_in(door)
    public_id = db.session.scalar(select(SignInState.public_id))
    db.session.rollback()
    with door.client.session_transaction() as cookie:
        cookie["_user_id"] = public_id
        cookie["_fresh"] = True
    assert not is_in(door)


def test_a_sign_in_ends_the_session_of_who_was_there_before(login_as, secret, otto):
    browser = login_as(otto)
    sign_in(browser)
    assert not is_in(browser)
    assert give(browser, code(secret)).status_code == 303
    assert "rita@example.com" in browser.get("/account").text


@pytest.mark.parametrize("what", ["password", "deactivated", "over"])
def test_a_state_ends_with_the_password_the_account_and_after_ten_minutes(door, secret, rita, adam, what):
    sign_in(door)
    choose("write")
    if what == "password":
        people.set_password(rita.id, hash="x", round=0, now=clock.now())
    elif what == "deactivated":
        people.deactivate(db.session.merge(rita), actor=adam, now=clock.now())
    outbox.commit()
    if what == "over":
        changes.shift("sign_in_states", "expires_at", timedelta(minutes=-11))
    assert door.get("/sign-in/code").headers["Location"] == "/sign-in"
    assert give(door, code(secret)).headers["Location"] == "/sign-in"
    assert sessions() == 0


def test_the_worker_forgets_states_that_are_over(door):
    sign_in(door)
    choose("write")
    assert factors.forget_states(now=clock.now()) == 0
    assert factors.forget_states(now=clock.now() + timedelta(minutes=11)) == 1
    db.session.commit()


def test_a_reset_password_does_not_get_around_it(door, secret, rita):
    token = links.password_token(rita.public_id, 0)
    words = {"password": "three words in a row", "again": "three words in a row"}
    answer = door.post(f"/password/{token}", words)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in/code")
    assert not is_in(door)
    assert give(door, code(secret)).status_code == 303
    assert is_in(door)


def test_an_address_that_is_ours_only(door, secret):
    sign_in(door)
    assert give(door, code(secret), next="//evil.example").headers["Location"] == "/"


def test_who_has_no_second_factor_is_not_asked(login_as, otto):
    factories.with_password(otto)
    browser = login_as(None)
    assert sign_in(browser, "otto@example.com").headers["Location"] == "/"
    assert is_in(browser)


# ---------- Recovery codes ----------


@pytest.fixture
def codes(rita, secret):
    choose("write")
    made = factors.renew_codes(rita, stamp="", actor=rita, now=clock.now())
    outbox.commit()
    return made


def test_a_recovery_code_lets_in_once_and_is_mailed(door, codes, login_as, rita):
    sign_in(door)
    answer = door.post("/sign-in/code", {"recovery": f" {codes[0].upper()} "})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "9 of 10 left" in door.get("/account/security").text
    assert "code-used" in db.session.scalars(select(Notice.data_json).order_by(Notice.id.desc())).first()
    assert "recovery_code.used" in db.session.scalars(select(Event.kind)).all()
    thief = login_as(None)
    sign_in(thief)
    refused = thief.post("/sign-in/code", {"recovery": codes[0]})
    assert refused.status_code == 422
    assert "has already been used" in refused.text
    assert "<details" in refused.text
    assert not is_in(thief)
    assert thief.post("/sign-in/code", {"recovery": codes[1]}).status_code == 303


def test_the_code_of_somebody_else_is_none(door, codes, otto, login_as):
    factories.with_password(otto)
    factories.with_authenticator(otto)
    browser = login_as(None)
    sign_in(browser, "otto@example.com")
    assert browser.post("/sign-in/code", {"recovery": codes[0]}).status_code == 422


@pytest.mark.parametrize("given", ["x", "x" * 5000, "é" * 10, "\x00"])
def test_what_is_no_recovery_code_is_refused(door, codes, given):
    sign_in(door)
    assert door.post("/sign-in/code", {"recovery": given}).status_code in (400, 422)


def test_codes_are_stored_as_hashes_only(codes):
    stored = " ".join(db.session.scalars(select(RecoveryCode.hash)))
    assert not any(code in stored or code.replace("-", "") in stored for code in codes)


def test_the_secret_is_stored_encrypted_and_by_the_newest_key(app, rita, secret):
    stored = db.session.scalar(select(Authenticator.secret))
    assert secret not in stored
    assert encryption.is_current(stored)
    choose("write")
    assert factors.renew_secrets() == 0
    db.session.rollback()


def test_every_way_of_signing_in_has_words():
    assert set(SIGN_IN_METHODS) == set(SignInMethod)


def test_without_its_key_the_code_cannot_be_checked_and_the_page_says_who_helps(door, secret):
    choose("write")
    db.session.execute(update(Authenticator).values(secret="gone.xx"))
    db.session.commit()
    sign_in(door)
    answer = give(door, code(secret))
    assert answer.status_code == 409
    assert "Ask an admin to reset your second step." in answer.text
    choose("write")
    db.session.execute(delete(Authenticator))
    db.session.commit()
