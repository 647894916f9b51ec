"""Cancelling a request, and sending the approver a reminder."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.pages import words


@pytest.fixture
def made(company):
    return factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))


def test_rita_withdraws_and_everybody_who_was_asked_is_told(login_as, rita, ana, made):
    factories.decide(made, ana)
    before = len(lookups.mailed())
    answer = login_as(rita).post(f"/requests/{made.public_id}/cancellation")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/requests/{made.public_id}")
    assert lookups.state(made) == "cancelled"
    told = lookups.mailed()[before:]
    assert sorted(told) == [("request-cancelled", who) for who in ("Ana", "Ben", "Chloe")]
    browser = login_as(rita)
    assert "Cancelled by you" in words(browser.get(f"/requests/{made.public_id}"))


def test_the_fragment_is_the_request_as_it_is_now_and_a_toast(login_as, rita, made):
    answer = login_as(rita).post(f"/requests/{made.public_id}/cancellation", htmx=True)
    assert answer.status_code == 200
    assert answer.headers["HX-Retarget"] == f"#request-{made.public_id}"
    assert pages.source(answer).startswith(f'<article class="cs-req" id="request-{made.public_id}">')
    assert "Cancelled" in words(answer)
    assert "Cancel request" not in words(answer)
    assert "Request for Salesforce cancelled. The approvers have been notified." in words(answer)
    assert "HX-Request" in answer.headers["Vary"]


def test_a_reminder_refuses_get(login_as, rita, made):
    pages.assert_refuses_get(login_as(rita), f"/requests/{made.public_id}/reminder")


def test_cancel_asks_first_and_takes_a_reason(login_as, rita, ana, made):
    browser, path = login_as(rita), f"/requests/{made.public_id}/cancellation"
    before = lookups.everything()
    for address in ("/", f"/requests/{made.public_id}"):
        assert f'href="{path}" hx-get="{path}"' in pages.source(browser.get(address))
    told = browser.get(path)
    assert "Cancel the request for Salesforce?" in words(told) and "Keep request Cancel request" in words(told)
    assert " open aria-modal" in pages.source(told)
    assert pages.source(browser.get(path, htmx=True)).lstrip().startswith("<dialog")
    assert lookups.everything() == before, "the question changes nothing"
    assert browser.post(path, {"reason": " Ines makes them\r\nfor me. "}).status_code == 303
    assert "Reason: “Ines makes them for me.”" in words(browser.get(f"/requests/{made.public_id}"))
    assert "Reason from Rita Lindqvist: “Ines" in words(login_as(None).get(lookups.link(made, ana)))
    answer = browser.get(path)
    assert answer.status_code == 409 and "This request is cancelled." in words(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reason_that_is_too_long_is_kept_and_nothing_is_cut(login_as, rita, made, htmx):
    long = "x" * 501
    answer = login_as(rita).post(f"/requests/{made.public_id}/cancellation", {"reason": long}, htmx=htmx)
    assert answer.status_code == 422 and pages.typed(answer, long)
    assert "Use 500 characters or fewer. You entered 501." in words(answer)
    assert lookups.state(made) == "pending"


@pytest.mark.parametrize("path", ["cancellation", "reminder"])
def test_an_outsider_does_not_find_it_and_others_may_not(login_as, otto, ana, adam, made, path):
    changes.shift("requests", "created_at", timedelta(hours=-25))
    before = lookups.everything()
    assert login_as(otto).client.get("/healthz").status_code == 200
    for person, status in ((otto, 404), (ana, 403), (adam, 403)):
        browser = login_as(person)
        before = lookups.everything()
        answer = browser.post(f"/requests/{made.public_id}/{path}")
        assert answer.status_code == status
        assert lookups.everything() == before
    assert "Only the requester can do this." in words(answer)


def test_a_second_press_hears_how_it_stands(login_as, rita, made):
    browser = login_as(rita)
    browser.post(f"/requests/{made.public_id}/cancellation")
    before = lookups.everything()
    answer = browser.post(f"/requests/{made.public_id}/cancellation")
    assert answer.status_code == 409
    assert "This request is cancelled." in words(answer)
    assert lookups.everything() == before


def test_too_late_says_how_it_ended(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana))
    factories.decide(made, ana)
    answer = login_as(rita).post(f"/requests/{made.public_id}/cancellation", htmx=True)
    assert answer.status_code == 409
    assert answer.headers["HX-Retarget"] == "#toasts"
    assert "This request is already approved." in words(answer)


def test_rita_asks_ana_again_once_a_day(login_as, rita, made):
    browser = login_as(rita)
    path = f"/requests/{made.public_id}/reminder"
    answer = browser.post(path)
    assert answer.status_code == 409
    assert "You can send one reminder a day." in words(answer)
    changes.shift("requests", "created_at", timedelta(hours=-25))
    answer = browser.post(path)
    assert answer.status_code == 303
    assert lookups.mailed()[-1] == ("approval-asked", "Ana")
    count = len(lookups.mailed())
    assert browser.post(path).status_code == 409
    assert len(lookups.mailed()) == count
    changes.shift("requests", "asked_again_at", timedelta(hours=-25))
    answer = browser.post(path, htmx=True)
    assert answer.status_code == 200
    assert pages.source(answer).startswith("<article")
    assert "Reminder sent." in words(answer)
    assert "Send reminder to Ana" not in words(answer)
    assert len(lookups.mailed()) == count + 1


def test_nobody_is_reminded_of_what_is_over(login_as, rita, made):
    changes.shift("requests", "created_at", timedelta(hours=-25))
    factories.overdue(made)
    answer = login_as(rita).post(f"/requests/{made.public_id}/reminder")
    assert answer.status_code == 409
    assert "The deadline for this decision has passed." in words(answer)


def test_only_who_has_it_now_is_reminded(login_as, rita, ana, made):
    factories.decide(made, ana)
    changes.shift("requests", "created_at", timedelta(hours=-25))
    count = len(lookups.mailed())
    login_as(rita).post(f"/requests/{made.public_id}/reminder")
    assert lookups.mailed()[count:] == [("approval-asked", "Ben"), ("approval-asked", "Chloe")]
