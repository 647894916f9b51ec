"""Deciding with the code of an email."""

from __future__ import annotations

import re
import threading

import pytest

from tests.helpers import factories, lookups, pages, rules
from tests.helpers.pages import words
from tests.helpers.rules import rule, text_field
from webapp.extensions import db

from .code_helpers import focused


@pytest.fixture
def made(company):
    return factories.request(company.rita, factories.app("Benevity", company.ana), message="For the drive.")


@pytest.fixture
def nobody(login_as):
    return login_as(None)


def wrongs(made, ana):
    return lookups.invitation(made, ana).wrong_codes


@pytest.mark.parametrize("verdict", ["approval", "denial"])
def test_link_and_code_decide(nobody, ana, made, verdict):
    address = lookups.link(made, ana)
    answer = nobody.post(f"{address}/{verdict}", {"code": lookups.code(made, ana), "reason": "Use the other."})
    assert (answer.status_code, answer.headers["Location"]) == (303, address)
    assert lookups.decisions(made) == [("Ana", {"approval": "approved", "denial": "denied"}[verdict], "code")]
    assert "by you, just now" in words(nobody.get(address))
    assert "countersign_decisions" not in str(answer.headers), "nothing is remembered that nobody ticked"


@pytest.mark.parametrize("form", ["{}{}", "{} {}", " {}-{} ", "{}\u00a0{}\n", "{}\u2009\u2013\u200a{}"])
def test_the_code_is_taken_as_people_type_it(nobody, ana, made, form):
    code = lookups.code(made, ana)
    answer = nobody.post(f"{lookups.link(made, ana)}/approval", {"code": form.format(code[:3], code[3:])})
    assert answer.status_code == 303


def test_by_htmx_the_whole_page_is_another_one(nobody, ana, made):
    address = lookups.link(made, ana)
    answer = nobody.post(f"{address}/approval", {"code": lookups.code(made, ana)}, htmx=True)
    assert (answer.status_code, answer.headers["HX-Redirect"]) == (200, address)


def test_a_replay_hears_how_it_stands(nobody, ana, made):
    address, form = lookups.link(made, ana), {"code": lookups.code(made, ana), "reason": "No."}
    nobody.post(f"{address}/approval", form)
    before = lookups.everything()
    for verdict in ("approval", "denial"):
        answer = nobody.post(f"{address}/{verdict}", form)
        assert answer.status_code == 409
        assert "Approved by you, just now" in words(answer)
        assert nobody.post(f"{address}/{verdict}", form, htmx=True).headers["HX-Redirect"] == address
    assert lookups.everything() == before


@pytest.mark.parametrize("htmx", [False, True])
def test_what_is_no_code_is_not_counted_and_nothing_is_lost(nobody, ana, made, htmx):
    address = lookups.link(made, ana)
    before = lookups.everything()
    for typed in ("12345", "1234567", "12345a", "R-12: 123456", "²²²²²²", "x" * 5000, "\x00x"):
        answer = nobody.post(f"{address}/approval", {"code": typed, "comment": "Keep me"}, htmx=htmx)
        assert answer.status_code == 422
        assert "Enter the 6-digit code." in words(answer)
        assert "left." not in words(answer).partition("Enter the 6-digit code.")[2][:60]
        assert "Keep me</textarea>" in pages.source(answer)
    assert lookups.everything() == before


@pytest.mark.parametrize("htmx", [False, True])
def test_five_wrong_codes_close_the_code_and_keep_it_closed(nobody, login_as, ana, made, htmx):
    address, wrong = lookups.link(made, ana), lookups.wrong_code(made, ana)
    for left in (4, 3, 2, 1):
        answer = nobody.post(f"{address}/denial", {"code": wrong, "reason": "Because", "remember": "1"}, htmx=htmx)
        assert answer.status_code == 422
        assert "Incorrect code." in words(answer)
        assert (f"{left} attempts left." if left > 1 else "1 attempt left.") in words(answer)
        assert "Because</textarea>" in pages.source(answer)
        assert f'value="{wrong}"' in pages.source(answer)
        assert re.search(r'name="remember"[^>]*checked', pages.source(answer))
        assert wrongs(made, ana) == 5 - left
    answer = nobody.post(f"{address}/denial", {"code": wrong, "reason": "Because"}, htmx=htmx)
    assert answer.status_code == 422
    assert "The code is locked after 5 wrong attempts." in words(answer)
    assert "Because</textarea>" in pages.source(answer)
    assert focused(answer) == ["code-closed"]
    assert "Copy anything you have typed first: the form will be empty." in words(answer)
    before = lookups.everything()
    for verdict in ("approval", "denial"):
        answer = nobody.post(f"{address}/{verdict}", {"code": lookups.code(made, ana), "reason": "No."}, htmx=htmx)
        assert answer.status_code == 422, "the right code comes too late"
        assert "The code is locked after 5 wrong attempts." in words(answer)
    assert lookups.everything() == before
    page = nobody.get(address)
    assert "The code is locked after 5 wrong attempts." in words(page)
    assert focused(page) == []
    assert login_as(ana).post(f"{address}/approval").status_code == 303, "signing in still works"
    assert lookups.decisions(made) == [("Ana", "approved", "browser")]


def test_the_codes_of_others_and_of_other_steps_do_not_fit(nobody, rita, company):
    made = factories.request(rita, factories.app("Salesforce", company.finance))
    ben, chloe = company.ben, company.chloe
    if lookups.code(made, ben) != lookups.code(made, chloe):
        assert (
            nobody.post(f"{lookups.link(made, ben)}/approval", {"code": lookups.code(made, chloe)}).status_code == 422
        )
    assert lookups.decisions(made) == []
    assert wrongs(made, ben) == 1
    assert wrongs(made, chloe) == 0


def test_a_missing_reason_or_field_is_no_wrong_code(nobody, rita, ana):
    policy = rule(ana, see=({"role": rules.WRITE},), entitlements=(text_field("role", required=True),))
    made = factories.request(rita, factories.app("Salesforce", policy=policy))
    address, code = lookups.link(made, ana), lookups.code(made, ana)
    answer = nobody.post(f"{address}/denial", {"code": code, "reason": ""})
    assert (answer.status_code, wrongs(made, ana)) == (422, 0)
    assert f'value="{code}"' in pages.source(answer)
    assert focused(answer) == ["reason"]
    answer = nobody.post(f"{address}/approval", {"code": code, "field-role": ""})
    assert (answer.status_code, wrongs(made, ana)) == (422, 0)
    assert "Enter Role." in words(answer)
    assert focused(answer) == ["field-role"]
    answer = nobody.post(f"{address}/approval", {"code": code, "field-role": "Writer"})
    assert answer.status_code == 303


def test_guesses_sent_at_once_are_counted_like_one_after_the_other(app, ana, made):
    """Twelve guesses side by side, the right one among them: at most five are ever compared and kept."""
    address, right = lookups.link(made, ana), lookups.code(made, ana)
    guesses = [f"{(int(right) + step) % 1_000_000:06d}" for step in range(-6, 6)]
    from tests.conftest import Browser

    sent = [(Browser(app), guess) for guess in guesses]
    sent = [(browser, guess, browser.token()) for browser, guess in sent]
    db.session.rollback()
    start, statuses = threading.Barrier(len(sent)), {}

    def press(browser, guess, token):
        start.wait()
        answer = browser.client.post(f"{address}/approval", data={"csrf_token": token, "code": guess})
        statuses[guess] = answer.status_code

    threads = [threading.Thread(target=press, args=one) for one in sent]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = wrongs(made, ana)
    assert counted <= 5
    if statuses[right] == 303:
        assert lookups.state(made) == "approved"
        assert counted < 5
    else:
        assert lookups.state(made) == "pending"
        assert counted == 5
    assert set(statuses.values()) <= {303, 409, 422}
