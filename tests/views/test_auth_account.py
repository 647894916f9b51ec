"""A person's own page: times, looks, password, browsers."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import event, update

from tests.helpers import factories
from tests.helpers.factories import PASSWORD
from tests.views.test_auth_sign_in import Counting, sign_in
from webapp import clock, passwords
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, PersonSession
from webapp.operations import people
from webapp.web.browsers import browser_name, is_phone

NEW = {"password": "three words in a row", "again": "three words in a row"}
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138 Safari/537.36 Edg/138"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605 Version/18.5 Mobile/15E148 Safari/604.1"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138 Mobile Safari/537.36"
)
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605"


@pytest.fixture
def hers(login_as, rita):
    factories.with_password(rita)
    return login_as(rita)


def person(rita):
    fresh = db.session.get_one(Person, rita.id, populate_existing=True)
    db.session.rollback()
    return fresh


def test_rita_sees_herself_and_this_browser(hers):
    page = hers.get("/account").text
    assert "Rita Lindqvist" in page
    assert "rita@example.com" in page
    assert "This browser" in hers.get("/account/sessions").text


def test_the_profile_names_the_groups_of_the_person(login_as, ben):
    assert "Finance" in login_as(ben).get("/account").text


def test_who_is_not_signed_in_sees_the_sign_in_page(login_as, company):
    assert login_as(None).get("/account").headers["Location"] == "/sign-in?next=/account"


@pytest.mark.parametrize("path", ["time-zone", "theme", "password"])
def test_only_a_post_changes_something(hers, login_as, path):
    assert hers.get(f"/account/{path}").status_code == 405
    assert hers.client.post(f"/account/{path}").status_code == 400
    assert login_as(None).post(f"/account/{path}").headers["Location"] == "/sign-in"


# ---------- Time zone and theme ----------


def test_times_are_shown_in_ones_own_zone(hers, rita):
    assert "Organisation default (UTC)" in hers.get("/account").text
    answer = hers.post("/account/time-zone", {"time_zone": "Pacific/Kiritimati"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account")
    assert '<option value="Pacific/Kiritimati" selected>' in hers.get("/account").text
    hers.post("/account/time-zone", {"time_zone": ""})
    assert person(rita).time_zone is None


def test_a_zone_of_another_name_stays_chosen(hers, rita):
    hers.post("/account/time-zone", {"time_zone": "US/Eastern"})
    assert '<option value="US/Eastern" selected>' in hers.get("/account").text


def test_a_zone_that_is_none_is_refused_at_its_field(hers, rita):
    answer = hers.post("/account/time-zone", {"time_zone": "Mars/<b>Olympus"})
    assert answer.status_code == 422
    assert "is not a known time zone" in answer.text
    assert "<b>Olympus" not in answer.text
    assert 'id="time_zone-e"' in answer.text


def test_the_menu_changes_the_theme_without_leaving_the_page(hers, rita):
    answer = hers.post("/account/theme", {"theme": "dark"}, htmx=True)
    assert (answer.status_code, answer.data) == (204, b"")
    assert 'data-bs-theme="dark"' in hers.get("/account").text


@pytest.mark.parametrize(
    ("referer", "to"),
    [
        ("http://localhost/catalog?q=a", "/catalog?q=a"),
        ("http://evil.example/catalog", "/"),
        ("http://localhost//evil.example", "/"),
        ("", "/"),
    ],
)
def test_without_javascript_one_comes_back_to_the_page(hers, referer, to):
    answer = hers.client.post(
        "/account/theme",
        data={"csrf_token": hers.token(), "theme": "light"},
        headers={"Referer": referer} if referer else {},
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, to)


def test_there_are_three_themes(hers, rita):
    assert hers.post("/account/theme", {"theme": "pink"}).status_code == 422
    assert person(rita).theme == ""


# ---------- Password ----------


def test_changing_the_password_keeps_this_browser_and_signs_out_the_others(hers, rita, login_as):
    other = login_as(rita)
    before = hers.client.get_cookie("countersign").value
    answer = hers.post("/account/password", {"current": PASSWORD, **NEW})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/account/security")
    assert "Password changed." in hers.get("/account/security").text
    assert hers.client.get_cookie("countersign").value != before
    assert other.get("/account").status_code == 303
    assert sign_in(login_as(None), password=NEW["password"]).status_code == 303
    assert sign_in(login_as(None)).status_code == 422


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"current": "not it", **NEW}, "The current password is incorrect."),
        ({"current": "", **NEW}, "Enter your current password."),
        ({"current": PASSWORD, "password": "short", "again": "short"}, "at least 12 characters"),
        ({"current": PASSWORD, "password": NEW["password"], "again": "x"}, "The passwords do not match."),
    ],
)
def test_what_is_wrong_is_told_at_its_field(hers, rita, given, words):
    answer = hers.post("/account/password", given)
    assert answer.status_code == 422
    assert words in answer.text
    assert answer.text.count('aria-invalid="true"') == 1
    assert person(rita).password_round == 0


def test_no_transaction_is_open_while_passwords_are_hashed(hers, monkeypatch):
    calls = []
    monkeypatch.setattr(passwords, "_hasher", Counting(passwords._hasher, calls))
    assert hers.post("/account/password", {"current": PASSWORD, **NEW}).status_code == 303
    assert calls == ["verify", "hash"]


def test_a_reset_in_the_middle_wins(hers, rita, monkeypatch):
    real = passwords.hash_password

    def hash_password(password):
        with db.engine.begin() as connection:
            connection.execute(update(Person).values(password_round=5).where(Person.id == rita.id))
        return real(password)

    monkeypatch.setattr(passwords, "hash_password", hash_password)
    assert hers.post("/account/password", {"current": PASSWORD, **NEW}).status_code == 409


# ---------- Browsers ----------


@pytest.mark.parametrize(
    ("header", "name", "phone"),
    [
        (FIREFOX, "Firefox on Linux", False),
        (EDGE, "Edge on Windows", False),
        (IPHONE, "Safari on iPhone", True),
        (PIXEL, "Chrome on Android", True),
        (MAC, "Safari on Mac", False),
        ("curl/8.5", "A browser", False),
        ("", "A browser", False),
    ],
)
def test_browsers_have_names_that_people_know(header, name, phone):
    assert browser_name(header) == name
    assert is_phone(header) is phone


def test_the_list_says_which_browser_when_and_until_when_seen(app, hers, rita):
    start(rita, FIREFOX, began=timedelta(days=2), seen=timedelta(hours=3))
    start(rita, EDGE, ended=True)
    start(rita, MAC, lasts=timedelta(seconds=-1))
    page = " ".join(hers.get("/account/sessions").text.split())
    assert "Firefox on Linux" in page
    assert "last seen" in page
    assert "Edge on Windows" not in page
    assert "Safari on Mac" not in page


def test_a_browser_cannot_write_into_the_page(hers, rita):
    start(rita, "<script>alert(1)</script> Firefox/1")
    assert "<script>alert" not in hers.get("/account/sessions").text


def test_nobody_sees_somebody_elses_browsers(login_as, rita, otto):
    start(otto, EDGE)
    assert "Edge on Windows" not in login_as(rita).get("/account/sessions").text


def test_a_get_leaves_last_seen_alone_and_a_change_moves_it(hers, rita):
    long_ago = clock.now() - timedelta(days=1)
    choose("write")
    db.session.execute(update(PersonSession).values(seen_at=long_ago))
    db.session.commit()
    hers.get("/account")
    assert seen() == long_ago
    hers.post("/account/time-zone", {"time_zone": "Europe/Berlin"})
    assert clock.now() - seen() < timedelta(minutes=1)


@pytest.mark.parametrize("browsers", [1, 30, 300])
def test_the_page_takes_two_statements_however_many_browsers(hers, rita, browsers):
    for _ in range(browsers):
        start(rita, FIREFOX, commit=False)
    outbox.commit()
    statements = []

    def note(_connection, _cursor, statement, *_more):
        statements.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        assert hers.get("/account/sessions").status_code == 200
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len(statements) == 2, statements


def seen():
    row = db.session.query(PersonSession).one()
    db.session.refresh(row)
    db.session.rollback()
    return row.seen_at


def start(someone, header, *, began=timedelta(0), seen=None, ended=False, lasts=timedelta(days=30), commit=True):
    choose("write")
    now = clock.now()
    row = people.start_session(
        someone.id, kind="sign_in", browser=header, address="192.0.2.7", lasts=lasts + began, now=now - began
    )
    if seen is not None:
        row.seen_at = now - seen
    if ended:
        row.ended_at = now
    if commit:
        outbox.commit()
