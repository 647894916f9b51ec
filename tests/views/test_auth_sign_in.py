"""The door: who comes in, who does not, and where they come out."""

from __future__ import annotations

import re
from urllib.parse import urljoin, urlsplit

import pytest
from sqlalchemy import update

from tests.helpers import factories
from tests.helpers.factories import PASSWORD
from webapp import clock, passwords
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, PersonSession
from webapp.operations import people

WRONG = "The email address or password is incorrect."


@pytest.fixture
def door(login_as, rita):
    """A browser with nobody signed in, and Rita with a password."""
    factories.with_password(rita)
    return login_as(None)


def sign_in(browser, email="rita@example.com", password=PASSWORD, **more):
    return browser.post("/sign-in", {"email": email, "password": password, **more})


def cookie(browser):
    return browser.client.get_cookie("countersign").value


def without_tokens(page):
    return re.sub(r'(name="csrf_token"\s+value=)"[^"]+"', r"\1", page)


def test_rita_signs_in_with_her_e_mail_and_password(door):
    answer = sign_in(door)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
    assert "rita@example.com" in door.get("/account").text


def test_capitals_and_spaces_in_the_e_mail_do_not_matter(door):
    assert sign_in(door, " Rita@Example.COM ").status_code == 303


def test_the_form_has_the_words_people_know(door):
    page = door.get("/sign-in").text
    for words in (">Email</label>", ">Password</label>", "Keep me signed in on this device", ">Sign in</button>"):
        assert words in page


def test_a_wrong_password_keeps_the_e_mail_and_marks_the_field(door):
    answer = sign_in(door, password="not the one")
    assert answer.status_code == 422
    assert 'value="rita@example.com"' in answer.text
    assert re.search(r'id="password"[^>]*aria-invalid="true" aria-describedby="password-e"', answer.text)
    assert WRONG in answer.text
    assert "not the one" not in answer.text
    assert door.get("/account").status_code == 303


def test_unknown_wrong_deactivated_and_without_a_password_hear_the_same(door, company, adam, ana):
    factories.with_password(company.ben)
    choose("write")
    people.deactivate(db.session.merge(company.ben), actor=db.session.merge(adam), now=clock.now())
    outbox.commit()
    told = {
        without_tokens(sign_in(door, email).text).replace(email, "…")
        for email in ("rita@example.com1", "nobody@example.com", "ben@example.com", "ana@example.com")
    }
    wrong = without_tokens(sign_in(door, password="wrong").text).replace("rita@example.com", "…")
    assert told == {wrong}


def test_an_unknown_e_mail_costs_as_much_work_as_a_known_one(door, monkeypatch):
    verified = []
    monkeypatch.setattr(passwords, "_hasher", Counting(passwords._hasher, verified))
    sign_in(door, "nobody@example.com")
    sign_in(door, password="wrong")
    assert verified == ["verify", "verify"]


def test_no_transaction_is_open_while_a_password_is_hashed(door, monkeypatch):
    calls = []
    monkeypatch.setattr(passwords, "_hasher", Counting(passwords._hasher, calls))
    assert sign_in(door).status_code == 303
    assert calls == ["verify", "hash"]


class Counting:
    """argon2 that writes down what it does, and sees to it that nobody waits for it."""

    def __init__(self, hasher, calls):
        passwords._nobody()
        self._hasher = hasher
        self._calls = calls

    def _note(self, call):
        assert not db.session().in_transaction()
        self._calls.append(call)

    def verify(self, hash, password):
        self._note("verify")
        return self._hasher.verify(hash, password)

    def hash(self, password):
        self._note("hash")
        return self._hasher.hash(password)

    def check_needs_rehash(self, hash):
        return self._hasher.check_needs_rehash(hash)


def test_a_hash_made_with_other_parameters_is_renewed(door, rita):
    before = db.session.get_one(Person, rita.id).password_hash
    db.session.rollback()
    sign_in(door)
    db.session.expire_all()
    after = db.session.get_one(Person, rita.id).password_hash
    db.session.rollback()
    assert before != after
    assert not passwords.outdated(after)
    assert sign_in(door).status_code == 303


def test_accents_may_be_typed_in_either_way(door, rita):
    choose("write")
    db.session.merge(rita).password_hash = passwords.hash_password("caf\u00e9 au lait, please")
    db.session.commit()
    assert sign_in(door, password="cafe\u0301 au lait, please").status_code == 303


@pytest.mark.parametrize(
    ("field", "words"), [("email", "Enter your email address."), ("password", "Enter your password.")]
)
def test_an_empty_field_is_named(door, field, words):
    answer = sign_in(door, **{field: ""})
    assert answer.status_code == 422
    assert words in answer.text


def test_strange_input_is_no_more_than_wrong(door):
    for strange in (
        "\0",
        "rita@example.com\0",
        "x" * 3000,
        "' OR 1=1 --",
        "<b>@example.com",
        "😀",
    ):
        answer = sign_in(door, strange, strange)
        assert answer.status_code == 422
        assert "<b>@" not in answer.text


@pytest.mark.parametrize("meanwhile", [{"active": False}, {"password_round": 5}], ids=["deactivated", "reset"])
def test_what_happens_while_the_password_is_checked_wins(door, rita, monkeypatch, meanwhile):
    real = passwords.fits

    def fits(*args):
        with db.engine.begin() as connection:
            connection.execute(update(Person).values(**meanwhile).where(Person.id == rita.id))
        return real(*args)

    monkeypatch.setattr(passwords, "fits", fits)
    assert sign_in(door).status_code == 409
    assert factories.rows("sessions") == 0


# ---------- The session ----------


def test_the_session_is_new_and_what_the_browser_carried_is_gone(door):
    door.get("/sign-in")
    with door.client.session_transaction() as session:
        session["left behind"] = "by somebody"
        token = session["csrf_token"]
    before = cookie(door)
    sign_in(door)
    assert cookie(door) != before
    with door.client.session_transaction() as session:
        assert "left behind" not in session
        assert session.get("csrf_token") != token


def test_signing_in_again_ends_the_session_before(door):
    sign_in(door)
    sign_in(door)
    assert factories.rows("sessions") == 2
    assert factories.rows("sessions", "ended_at IS NULL") == 1


def test_without_the_tick_the_cookie_ends_with_the_browser(door):
    answer = sign_in(door)
    (session,) = (one for one in answer.headers.getlist("Set-Cookie") if one.startswith("countersign="))
    assert "Expires" not in session and "Max-Age" not in session
    lasts = lifetime()
    assert 11.9 * 3600 < lasts <= 12 * 3600


def test_with_the_tick_it_lasts_thirty_days(door):
    answer = sign_in(door, remember="1")
    assert "Expires" in answer.headers["Set-Cookie"]
    assert 29.9 * 86400 < lifetime() <= 30 * 86400


def lifetime():
    row = db.session.query(PersonSession).one()
    lasts = (row.expires_at - row.created_at).total_seconds()
    db.session.rollback()
    return lasts


def test_who_is_signed_in_is_not_asked_again(login_as, rita):
    browser = login_as(rita)
    answer = browser.get("/sign-in?next=/catalog%3Fq%3Da%2526b")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/catalog?q=a%26b")


def test_a_deactivated_persons_session_dies_at_the_next_request(login_as, rita, adam):
    browser = login_as(rita)
    assert browser.get("/account").status_code == 200
    choose("write")
    people.deactivate(db.session.merge(rita), actor=db.session.merge(adam), now=clock.now())
    outbox.commit()
    assert browser.get("/account").headers["Location"] == "/sign-in?next=/account"


def test_an_expired_session_is_none(login_as, rita):
    browser = login_as(rita)
    choose("write")
    db.session.execute(update(PersonSession).values(expires_at=clock.now()))
    db.session.commit()
    assert browser.get("/account").status_code == 303


# ---------- Where to ----------


@pytest.mark.parametrize(
    "page", ["/account", "/account?a=1&b=%26%3D&c=caf%C3%A9", "/account?q=what%3F?", "/requests/7K3F9Q2M3XTA?tab=mails"]
)
def test_one_comes_back_to_exactly_the_page_and_its_query(door, page):
    there = door.get("/account" + page.partition("/account")[2]) if page.startswith("/account") else None
    where = there.headers["Location"] if there is not None else f"/sign-in?next={page}"
    form = door.get(where).text
    target = re.search(r'name="next"\s+value="([^"]*)"', form)[1].replace("&amp;", "&")
    assert target == page
    assert sign_in(door, next=target).headers["Location"] == page


EVIL = [
    "//evil.example",
    "///evil.example",
    "https://evil.example",
    "HTTPS:evil.example",
    "http:///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "/\x00/evil.example",
    "/\x7f/evil.example",
    "/\r\nSet-Cookie: a=b",
    "javascript:alert(1)",
    "data:text/html,evil",
    "evil.example",
    "//[evil",
    "/" + "a" * 3000,
]


@pytest.mark.parametrize("evil", EVIL)
def test_next_never_leads_away(door, evil):
    answer = sign_in(door, next=evil)
    assert answer.headers["Location"] == "/"


@pytest.mark.parametrize(
    "odd", ["/.//evil.example", "/%2F/evil.example", "/@evil.example", "/?next=//evil.example", "/a:b"]
)
def test_an_odd_path_stays_here(door, odd):
    to = urlsplit(urljoin("http://localhost/sign-in", sign_in(door, next=odd).headers["Location"]))
    assert (to.scheme, to.netloc) == ("http", "localhost")


def test_a_bad_next_in_the_address_is_dropped(door):
    assert 'name="next" value="/"' in re.sub(r"\s+", " ", door.get("/sign-in?next=//evil.example").text)


def test_after_a_wrong_password_one_still_comes_to_the_right_page(door):
    answer = sign_in(door, password="wrong", next="/account?a=1")
    assert 'value="/account?a=1"' in answer.text


def test_a_form_sent_too_late_comes_back_to_its_page(door):
    answer = door.client.post(
        "/account/time-zone",
        data={"csrf_token": door.token()},
        headers={"Referer": "http://localhost/catalog?q=a"},
    )
    assert answer.headers["Location"] == "/sign-in?next=/catalog%3Fq%3Da"


@pytest.mark.parametrize(
    "referer", ["http://evil.example/a", "http://localhost/decide/some.secret-token", "x", "http://[", ""]
)
def test_a_foreign_page_or_a_mailed_link_is_nothing_to_come_back_to(door, referer):
    answer = door.client.post(
        "/account/time-zone", data={"csrf_token": door.token()}, headers={"Referer": referer} if referer else {}
    )
    assert answer.headers["Location"] == "/sign-in"


def test_htmx_with_an_expired_session_loads_the_sign_in_page(login_as, rita):
    browser = login_as(rita)
    choose("write")
    db.session.execute(update(PersonSession).values(ended_at=clock.now()))
    db.session.commit()
    answer = browser.client.get(
        "/account", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/catalog?q=a"}
    )
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/catalog%3Fq%3Da"


def test_htmx_on_a_mailed_link_never_carries_its_token_along(door):
    answer = door.client.get(
        "/account", headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/decide/secret.token"}
    )
    assert answer.headers["HX-Redirect"] == "/sign-in"


# ---------- The demo ----------


def test_the_demo_says_how_to_come_in(door):
    page = door.get("/sign-in").text
    assert "countersign-demo" in page
    assert 'value="ana@example.com"' in door.get("/sign-in?email=ana@example.com").text


def test_a_real_installation_does_not(door, app, monkeypatch):
    from dataclasses import replace

    monkeypatch.setitem(app.extensions, "settings", replace(app.extensions["settings"], demo=False))
    assert "countersign-demo" not in door.get("/sign-in").text


def test_a_head_changes_nothing(door):
    assert door.client.head("/sign-in").status_code == 200


def test_without_the_forms_token_nobody_comes_in(door):
    answer = door.client.post("/sign-in", data={"email": "rita@example.com", "password": PASSWORD})
    assert answer.status_code == 400
    assert factories.rows("sessions") == 0
