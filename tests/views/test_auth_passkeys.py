"""Passkeys: added, used to sign in and to confirm, removed; and what is no proof."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.helpers import changes, factories
from tests.helpers.soft_key import FLAG, SoftKey
from tests.views.test_auth_second_step import code, is_in
from tests.views.test_auth_sign_in import cookie, sign_in
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Event, Notice, Organisation, Passkey, SignInState
from webapp.operations import people

OPTIONS, SIGN_IN = "/sign-in/passkey/options", "/sign-in/passkey"
NEW = "/account/security/passkeys"


@pytest.fixture
def hers(login_as, rita):
    factories.with_password(rita)
    return login_as(rita)


@pytest.fixture
def key(hers):
    """A passkey of Rita."""
    key = SoftKey()
    add(hers, key)
    return key


def add(browser, key, name="Laptop"):
    options = browser.post(f"{NEW}/options").json
    return browser.post(NEW, {"name": name, "credential": key.make(options)})


def use(browser, key, **more):
    return browser.post(SIGN_IN, {"credential": key.sign(browser.post(OPTIONS).json), **more})


def test_rita_adds_one_and_gets_recovery_codes_with_the_first(hers, rita):
    options = hers.post(f"{NEW}/options").json["publicKey"]
    assert (options["rp"]["id"], options["user"]["name"]) == ("localhost", "rita@example.com")
    assert options["authenticatorSelection"]["userVerification"] == "required"
    assert options["authenticatorSelection"]["residentKey"] == "required"
    key = SoftKey()
    answer = add(hers, key)
    assert answer.status_code == 200
    assert len(re.findall(r"<li>\w{5}-\w{5}</li>", answer.text)) == 10
    page = hers.get("/account/security").text
    assert "Laptop" in page
    assert "never used" in page
    second = add(hers, SoftKey(), "Phone")
    assert (second.status_code, second.headers["Location"]) == (303, "/account/security")
    assert "passkey-added" in " ".join(db.session.scalars(select(Notice.data_json)))
    assert list(db.session.scalars(select(Event.kind))).count("factor.added") == 2
    known = hers.post(f"{NEW}/options").json["publicKey"]["excludeCredentials"]
    assert [one["transports"] for one in known] == [["internal"], ["internal"]]


def test_it_signs_in_without_password_and_address(key, login_as):
    door = login_as(None)
    assert "Sign in with a passkey" in door.get("/sign-in").text
    options = door.post(OPTIONS).json["publicKey"]
    assert "allowCredentials" not in options, "tells nothing about anybody"
    answer = use(door, key, next="/catalog?q=a")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/catalog?q=a")
    assert "rita@example.com" in door.get("/account").text
    assert "Signed in with passkey" in " ".join(door.get("/account/sessions").text.split())
    assert "last used" in door.get("/account/security").text


def test_the_password_alone_no_longer_signs_in_and_the_passkey_is_the_second_step(key, login_as):
    door = login_as(None)
    assert sign_in(door).headers["Location"] == "/sign-in/code"
    page = door.get("/sign-in/code").text
    assert "Sign in with a passkey" in page
    assert "Code from your authenticator app" not in page
    assert not is_in(door)
    assert use(door, key).status_code == 303
    assert is_in(door)


def otherwise(**changed):
    def change(key):
        for name, value in changed.items():
            setattr(key, name, value)

    return change


@pytest.mark.parametrize(
    "wrong",
    [
        otherwise(origin="https://evil.example"),
        otherwise(origin="http://localhost:1"),
        otherwise(origin="http://localhost.evil.example"),
        otherwise(site="evil.example"),
        otherwise(flags=FLAG.UP),
        otherwise(flags=FLAG.UV),
        otherwise(_key=SoftKey()._key),
        otherwise(id=b"somebody's other one"),
    ],
)
def test_what_proves_nothing_is_refused(key, login_as, wrong):
    door = login_as(None)
    wrong(key)
    answer = use(door, key)
    assert answer.status_code == 422
    assert "The passkey was not accepted." in answer.text
    assert not is_in(door)


@pytest.mark.parametrize(
    "given", ["", "x", "{}", "[]", "null", '{"id": 5}', '{"id": "AAAA", "response": []}', "[" * 9999]
)
def test_what_is_no_answer_is_refused(key, login_as, given):
    door = login_as(None)
    door.post(OPTIONS)
    assert door.post(SIGN_IN, {"credential": given}).status_code == 422


def test_an_answer_is_accepted_once_and_in_its_browser_only(key, login_as):
    door, other = login_as(None), login_as(None)
    options = door.post(OPTIONS).json
    before = cookie(door)
    answer = key.sign(options)
    other.post(OPTIONS)
    assert other.post(SIGN_IN, {"credential": answer}).status_code == 422
    assert door.post(SIGN_IN, {"credential": answer}).status_code == 303
    other.client.set_cookie("countersign", before)
    assert other.post(SIGN_IN, {"credential": key.sign(options)}).status_code == 422, "the challenge is used up"
    assert not is_in(other)


def test_a_refused_answer_uses_the_challenge_up(key, login_as):
    door = login_as(None)
    options = door.post(OPTIONS).json
    good = key.sign(options)
    key.origin = "https://evil.example"
    assert door.post(SIGN_IN, {"credential": key.sign(options)}).status_code == 422
    assert door.post(SIGN_IN, {"credential": good}).status_code == 422


def test_a_challenge_ends_after_ten_minutes(key, login_as):
    door = login_as(None)
    answer = key.sign(door.post(OPTIONS).json)
    changes.shift("sign_in_states", "expires_at", timedelta(minutes=-11))
    assert door.post(SIGN_IN, {"credential": answer}).status_code == 422


def test_a_challenge_is_for_one_purpose(key, hers, login_as):
    adding = hers.post(f"{NEW}/options").json
    assert hers.post(SIGN_IN, {"credential": key.sign(adding)}).status_code == 422
    signing = hers.post(OPTIONS).json
    assert hers.post(NEW, {"name": "x", "credential": SoftKey().make(signing)}).status_code == 422


def test_a_copy_of_the_key_is_noticed_and_told(key, login_as, rita):
    copied = SoftKey()
    copied.__dict__.update(key.__dict__)
    assert use(login_as(None), key).status_code == 303
    thief = login_as(None)
    assert use(thief, copied).status_code == 422
    assert not is_in(thief)
    assert "passkey.refused" in list(db.session.scalars(select(Event.kind)))
    assert "passkey-refused" in " ".join(db.session.scalars(select(Notice.data_json)))
    db.session.rollback()


def test_keys_that_do_not_count_may_be_used_again_and_again(hers, login_as):
    key = SoftKey(count=None)
    add(hers, key)
    for _ in range(2):
        assert use(login_as(None), key).status_code == 303


def test_who_was_deactivated_is_refused(key, login_as, rita, adam):
    choose("write")
    people.deactivate(db.session.merge(rita), actor=adam, now=clock.now())
    outbox.commit()
    assert use(login_as(None), key).status_code == 422


def test_removed_it_signs_in_no_more_and_the_password_is_enough_again(key, hers, login_as, otto):
    public_id = db.session.scalar(select(Passkey.public_id))
    db.session.rollback()
    path = f"{NEW}/{public_id}/removal"
    assert login_as(otto).post(path).status_code == 409
    assert hers.post(path).status_code == 303
    assert hers.post(path).status_code == 409
    assert "passkey-removed" in " ".join(db.session.scalars(select(Notice.data_json)))
    db.session.rollback()
    assert use(login_as(None), key).status_code == 422
    assert sign_in(login_as(None)).headers["Location"] == "/"


@pytest.mark.parametrize(("name", "words"), [("", "Enter a name"), ("n" * 81, "80 characters or fewer")])
def test_a_passkey_has_a_name(hers, name, words):
    answer = add(hers, SoftKey(), name)
    assert answer.status_code == 422
    assert words in answer.text


def test_the_same_passkey_is_not_added_twice_nor_for_somebody_else(key, hers, login_as, otto):
    assert add(hers, key).status_code == 409
    assert add(login_as(otto), key).status_code == 409


def test_who_asks_for_many_challenges_has_to_wait_and_none_stays(hers, login_as, app):
    hers.post(OPTIONS)
    hers.post(OPTIONS)
    assert len(list(db.session.scalars(select(SignInState)))) == 1
    db.session.rollback()


def providers_only():
    choose("write")
    db.session.get_one(Organisation, 1).passwords_for_all = False
    db.session.commit()


def test_where_passwords_are_for_emergency_admins_passkeys_are_too(key, login_as):
    providers_only()
    door = login_as(None)
    answer = use(door, key)
    assert answer.status_code == 403
    assert "Only emergency admins use a passkey here." in answer.text
    assert not is_in(door)


def test_a_sign_in_that_was_half_done_when_passwords_were_switched_off_ends(rita, login_as):
    factories.with_password(rita)
    secret = factories.with_authenticator(rita)
    door = login_as(None)
    sign_in(door)
    providers_only()
    assert door.post("/sign-in/code", {"code": code(secret)}).headers["Location"] == "/sign-in"
    assert not is_in(door)


# ---------- In place of the password question ----------


def stale(browser):
    changes.shift("sessions", "proved_at", timedelta(minutes=-20))
    return browser.post(f"{NEW}/options")


def test_a_passkey_confirms_instead_of_the_password(key, hers):
    assert stale(hers).status_code == 401
    page = hers.post("/account/security/recovery-codes", {"was": "x"})
    assert "Use a passkey instead" in page.text
    proof = key.sign(hers.post("/account/proof/options").json)
    answer = hers.post("/account/security/recovery-codes", {"was": "x", "your_password": "", "your_passkey": proof})
    assert answer.status_code == 409, "asked, and then refused for the stamp"
    assert hers.post(f"{NEW}/options").status_code == 200
    assert proof not in answer.text


def test_one_of_somebody_else_does_not(key, hers, login_as, otto):
    factories.with_password(otto)
    his = login_as(otto)
    other = SoftKey()
    add(his, other)
    stale(hers)
    proof = other.sign(hers.post("/account/proof/options").json)
    answer = hers.post(f"{NEW}/options", {"your_passkey": proof})
    assert answer.status_code == 401
    assert hers.post(f"{NEW}/options", {"your_passkey": key.sign(hers.post(OPTIONS).json)}).status_code == 401


def test_without_a_passkey_only_the_password_is_asked_for(hers):
    assert stale(hers).status_code == 401
    assert "Use a passkey instead" not in hers.post("/account/security/recovery-codes").text


# ---------- Where there can be none ----------


def test_at_an_address_without_a_name_the_page_says_so(app, key, hers, login_as):
    settings = app.extensions["settings"]
    app.extensions["settings"] = replace(settings, base_url="http://127.0.0.1:8000")
    try:
        assert "Browsers make passkeys only for an address with a name" in hers.get("/account/security").text
        assert "Sign in with a passkey" not in login_as(None).get("/sign-in").text
        assert login_as(None).post(OPTIONS).status_code == 409
    finally:
        app.extensions["settings"] = settings
