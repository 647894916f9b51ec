"""The dashboard: my apps, my requests and who has them, what was settled, who waits for me."""

from __future__ import annotations

from datetime import timedelta

from tests.helpers import changes, factories, pages
from tests.helpers.pages import words
from tests.helpers.rules import READ, text_field
from webapp.workflow.policy import Policy
from webapp.workflow.states import Verdict


def test_a_newcomer_is_told_what_to_press(login_as, rita):
    page = words(login_as(rita).get("/"))
    assert "Rita" in page
    assert "No apps yet" in page
    assert "Add apps" in page
    assert "Approvals" in page


def test_who_is_signed_out_is_sent_to_the_sign_in_page_and_back(login_as):
    answer = login_as(None).get("/")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in")


def test_a_fragment_after_the_session_ended_sends_the_whole_page_to_the_sign_in_page(login_as):
    answer = login_as(None).get("/", htmx=True)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/sign-in")


def test_an_app_of_mine_is_a_tile_that_launches_with_what_i_may_see_of_it(login_as, rita):
    fields = (text_field("role", requester=READ, default="Reader"), text_field("cost", default="4711"))
    policy = Policy(approval_required=False, entitlements=fields)
    apptio = factories.app("Apptio", policy=policy, launch_url="https://apptio.example/")
    browser = login_as(rita)
    assert browser.post(f"/catalog/{apptio.public_id}/grant").status_code == 303
    changes.shift("grants", "created_at", timedelta(days=-2))
    page = browser.get("/")
    assert 'href="https://apptio.example/"' in pages.source(page)
    assert "Role: Reader" in words(page)
    assert "4711" not in words(page)


def test_a_pending_request_says_who_has_it_and_until_when(login_as, rita, ana, company):
    factories.request(rita, factories.app("Salesforce", ana, company.finance))
    page = words(login_as(rita).get("/"))
    assert "You have 1 pending request." in page
    assert "Pending" in page
    assert "Requested just now" in page
    assert "Waiting for Ana Moreau" in page
    assert "Due " in page
    assert "days left" in page
    assert "Finance Next" in page
    assert "Access to Salesforce After final approval" in page
    assert "Cancel request" in page
    assert "again" not in page, "not within the first day"


def test_a_group_step_names_those_who_may_answer(login_as, rita, company):
    factories.request(rita, factories.app("Salesforce", company.finance))
    page = words(login_as(rita).get("/"))
    assert "Waiting for Finance" in page
    assert "Ben or Chloe, due" in page


def test_after_a_day_the_requester_can_send_a_reminder(login_as, rita, ana):
    factories.request(rita, factories.app("Benevity", ana))
    changes.shift("requests", "created_at", timedelta(hours=-25))
    assert "Send reminder to Ana" in words(login_as(rita).get("/"))


def test_a_group_is_reminded_not_asked_by_name(login_as, rita, company):
    factories.request(rita, factories.app("Benevity", company.finance))
    changes.shift("requests", "created_at", timedelta(hours=-25))
    assert "Send reminder" in words(login_as(rita).get("/"))


def test_a_request_whose_time_is_over_says_so_before_any_sweep(login_as, rita, ana, company):
    made = factories.request(rita, factories.app("Benevity", ana, company.finance))
    factories.overdue(made)
    page = words(login_as(rita).get("/"))
    assert "Expired" in page
    assert "The deadline passed 5 minutes ago without a decision" in page
    assert "Ana Moreau: no decision" in page
    assert "Finance Not needed" in page
    assert "No access" in page
    assert "You have no pending requests." in page
    assert "Request again" in page
    for wrong in ("Cancel request", "Waiting for", "Next", "Access to Benevity", "final approval"):
        assert wrong not in page


def test_every_outcome_is_told_in_words_with_the_reason(login_as, rita, ana, adam, company):
    made = {
        name: factories.request(rita, factories.app(name, ana)) for name in ("Yes", "No", "Late", "Gone", "Adminish")
    }
    factories.decide(made["Yes"], ana)
    factories.decide(made["No"], ana, Verdict.DENIED, "Use the shared licence.")
    factories.overdue(made["Late"])
    changes.sweep()
    changes.cancel(made["Gone"], rita)
    page = words(login_as(rita).get("/"))
    assert "Closed in the last 7 days" in page
    assert "Approved by Ana Moreau, just now" in page
    assert "You have Yes" in page
    assert "Denied by Ana Moreau, just now" in page
    assert "“Use the shared licence.”" in page
    assert "No access" in page
    assert "Expired just now" in page
    assert "Cancelled by you, just now" in page
    assert page.count("Request again") == 3


def test_what_was_settled_more_than_seven_days_ago_is_not_on_the_dashboard_but_in_the_list(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana))
    factories.decide(made, ana, Verdict.DENIED)
    changes.shift("requests", "settled_at", timedelta(days=-7, minutes=1))
    browser = login_as(rita)
    assert "Benevity" in words(browser.get("/"))
    changes.shift("requests", "settled_at", timedelta(minutes=-2))
    assert "Benevity" not in words(browser.get("/"))
    assert "Benevity" in words(browser.get("/requests"))


def test_other_peoples_requests_and_apps_are_not_shown(login_as, rita, otto, ana):
    factories.request(rita, factories.app("Benevity", ana))
    page = words(login_as(otto).get("/"))
    assert "Benevity" not in page
    assert "Benevity" not in words(login_as(otto).get("/requests"))


def test_an_approver_is_told_how_many_wait_and_which_is_due_first(login_as, rita, ben, ana):
    factories.request(rita, factories.app("Benevity", ana))
    page = words(login_as(ana).get("/"))
    assert "1 request waiting for your decision. Next deadline:" in page
    factories.request(ben, factories.app("Salesforce", ana))
    assert "2 requests waiting for your decision. Next deadline:" in words(login_as(ana).get("/"))


def test_all_my_requests_page_by_key(login_as, rita, ana):
    for number in range(23):
        factories.request(rita, factories.app(f"App {number:02d}", ana))
    browser = login_as(rita)
    first = browser.get("/requests")
    assert words(first).count("Waiting for Ana") == 20
    older = next(part for part in pages.source(first).split('"') if part.startswith("/requests?before="))
    second = words(browser.get(older))
    assert second.count("Waiting for Ana") == 3
    assert "App 00" in second
    assert "App 22" not in second


def test_a_broken_key_in_the_address_is_no_error(login_as, rita):
    browser = login_as(rita)
    for before in ("²", "٣", "-1", "9" * 30, "x", "%00", "1e5", "%FF"):
        assert browser.get(f"/requests?before={before}").status_code == 200, before
