"""What JavaScript makes quicker, and what it must not break: search, dialogs, double clicks, failures, sessions."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, Route, expect

from .site import PHONE, WIDE, card, request_of, tile

STILL_THERE = "Your text is still here"


def dialog_for(page: Page, app: str):
    page.goto("/catalog")
    card(page, app).get_by_role("link", name="Request", exact=True).click()
    dialog = page.get_by_role("dialog", name=f"Request {app}", exact=True)
    expect(dialog).to_be_visible()
    return dialog


def test_search_as_you_type(window):
    page = window("Lena")
    page.goto("/catalog")
    page.get_by_label("Search apps", exact=True).press_sequentially("salesf", delay=20)
    expect(page.locator(".cs-card")).to_have_count(1)
    expect(card(page, "Salesforce")).to_be_visible()
    expect(page.locator("#say")).to_have_text("1 app found.")
    page.reload()
    expect(page.get_by_label("Search apps", exact=True)).to_have_value("salesf")
    expect(page.locator(".cs-card")).to_have_count(1)
    page.get_by_label("Search apps", exact=True).fill("zebra")
    expect(page.get_by_role("heading", name="No apps match “zebra”")).to_be_visible()
    page.get_by_label("Search apps", exact=True).fill("")
    expect(card(page, "Figma")).to_be_visible()


def test_search_without_javascript(window):
    page = window("Lena", java_script_enabled=False)
    page.goto("/catalog")
    page.get_by_label("Search apps", exact=True).fill("warehouse")
    page.get_by_label("Search apps", exact=True).press("Enter")
    page.wait_for_url("**q=warehouse*")
    expect(page.locator(".cs-card")).to_have_count(1)
    expect(card(page, "Snowflake")).to_be_visible()
    expect(page.get_by_label("Search apps", exact=True)).to_have_value("warehouse")


def test_filters_are_folded_on_a_phone(window):
    page = window("Adam", viewport=PHONE)
    page.goto("/admin/requests")
    person, fold = page.get_by_label("Any requester", exact=True), page.locator(".cs-more-filters > summary")
    expect(person).to_be_hidden()
    fold.press("Enter")
    person.fill("zebra")
    expect(page.get_by_role("heading", name="No requests match")).to_be_visible()
    expect(fold).to_have_text("Filters 1 set")
    expect(person).to_be_visible()
    # What is set is not folded away, and nothing is on a wide screen.
    page.reload()
    expect(person).to_have_value("zebra")
    expect(person).to_be_visible()
    expect(fold).to_have_text("Filters 1 set")
    person.fill("")
    expect(fold).to_have_text("Filters")
    page.goto("/admin/requests")
    page.set_viewport_size(WIDE)
    expect(person).to_be_visible()
    expect(fold).to_be_hidden()


def test_filters_and_sorting_without_javascript(window):
    page = window("Adam", viewport=PHONE, java_script_enabled=False)
    page.goto("/admin/requests")
    newest = page.locator("tr[id^=request-]").first.get_attribute("id")
    page.get_by_role("link", name="Requested", exact=True).click()
    page.wait_for_url("**sort=asked*")
    expect(page.get_by_text("oldest first")).to_be_visible()
    assert page.locator("tr[id^=request-]").first.get_attribute("id") != newest
    page.locator(".cs-more-filters > summary").click()
    page.get_by_label("Any requester", exact=True).fill("zebra")
    page.get_by_label("Any requester", exact=True).press("Enter")
    page.wait_for_url("**person=zebra*sort=asked*")
    expect(page.locator(".cs-more-filters > summary")).to_have_text("Filters 1 set")
    expect(page.get_by_label("Any requester", exact=True)).to_be_visible()


def test_a_refused_request_keeps_what_was_typed(window):
    page = window("Lena")
    dialog = dialog_for(page, "Snowflake")
    why = dialog.get_by_label("Why do you need it?", exact=True)
    why.fill("Head count by month.")
    dialog.get_by_role("button", name="Request app", exact=True).click()
    # Snowflake asks for at least one role.
    refused = dialog.locator("[aria-invalid=true]").first
    expect(refused).to_be_focused()
    expect(why).to_have_value("Head count by month.")
    expect(dialog).to_be_visible()


def test_what_nobody_can_decide_is_refused_in_the_dialog_and_the_card_stays(window):
    """Adam is the only admin and decides DocuSign."""
    page = window("Adam")
    dialog = dialog_for(page, "DocuSign")
    refusal = dialog.get_by_text("This app has no approver who can decide your request")
    expect(refusal).to_be_visible()
    why = dialog.get_by_label("Why do you need it?", exact=True)
    why.fill("Contracts.")
    with page.expect_response("**/request") as answer:
        dialog.get_by_role("button", name="Request app", exact=True).click()
    assert answer.value.status == 409
    expect(why).to_have_value("Contracts.")
    expect(refusal).to_be_visible()
    expect(page.locator("dialog")).to_have_count(1)
    dialog.get_by_role("link", name="Close", exact=True).first.click()
    expect(page.locator("dialog")).to_have_count(0)
    expect(card(page, "DocuSign").get_by_role("link", name="Request", exact=True)).to_be_focused()


def test_the_dialog_opens_on_its_first_field(window):
    page = window("Lena")
    dialog = dialog_for(page, "HubSpot")
    expect(dialog.locator("input:not([type=hidden]), select, textarea").first).to_be_focused()
    page.keyboard.press("Escape")
    dialog = dialog_for(page, "Snowflake")
    expect(dialog.locator("input:not([type=hidden]), select, textarea").first).to_be_focused()


def test_a_double_click_makes_one_request(window, cases):
    page = window("Lena")
    before = cases.one("SELECT count(*) FROM requests")[0]
    dialog = dialog_for(page, "HubSpot")
    dialog.get_by_label("Why do you need it?", exact=True).fill("Newsletters to applicants.")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    dialog.get_by_role("button", name="Request app", exact=True).dblclick()
    expect(card(page, "HubSpot").get_by_role("link", name="Requested", exact=True)).to_be_visible()
    expect(dialog).to_be_hidden()
    assert len(sent) == 1
    assert cases.one("SELECT count(*) FROM requests")[0] == before + 1


def unreachable(route: Route) -> None:
    route.abort()


def proxy_page(route: Route) -> None:
    route.fulfill(status=502, content_type="text/html", body="<html><body><h1>Bad gateway</h1></body></html>")


def empty_failure(route: Route) -> None:
    route.fulfill(status=500, body="")


@pytest.mark.parametrize("failure", [unreachable, proxy_page, empty_failure])
def test_a_failure_keeps_what_was_typed(window, failure):
    page = window("Lena")
    dialog = dialog_for(page, "GitHub")
    why = dialog.get_by_label("Why do you need it?", exact=True)
    why.fill("The career pages.")
    page.route("**/request", failure)
    dialog.get_by_role("button", name="Request app", exact=True).click()
    expect(dialog.locator("[data-toast]")).to_contain_text(STILL_THERE)
    expect(dialog.locator(".cs-live")).to_contain_text(STILL_THERE)
    expect(why).to_have_value("The career pages.")
    expect(page.get_by_text("Bad gateway")).to_be_hidden()
    window.complaints.clear()  # Chromium tells of the failure that we made


def test_our_own_refusal_is_a_sentence_in_the_dialog(window, cases):
    """Asked in another tab meanwhile."""
    page = window("Lena")
    dialog = dialog_for(page, "NetSuite")
    other = page.context.new_page()
    again = dialog_for(other, "NetSuite")
    again.get_by_label("Why do you need it?", exact=True).fill("First.")
    again.get_by_role("button", name="Request app", exact=True).click()
    expect(again).to_be_hidden()
    dialog.get_by_label("Why do you need it?", exact=True).fill("Second.")
    dialog.get_by_role("button", name="Request app", exact=True).click()
    expect(dialog.locator("[data-toast].is-no")).to_be_visible()
    expect(dialog.get_by_label("Why do you need it?", exact=True)).to_have_value("Second.")
    expect(dialog.locator("[data-toast]").get_by_role("link", name="View your request", exact=True)).to_be_visible()
    page.keyboard.press("Escape")
    expect(card(page, "NetSuite").get_by_role("link", name="Requested", exact=True)).to_be_focused()


def test_an_expired_session_leads_to_sign_in_and_back(window, cases, site):
    page = window("Tom")
    site.forget("Tom")
    page.goto("/catalog")
    cases.change(
        "UPDATE sessions SET ended_at = created_at WHERE ended_at IS NULL AND person_id = "
        "(SELECT id FROM people WHERE email = ?)",
        "tom@example.com",
    )
    card(page, "Figma").get_by_role("link", name="Request", exact=True).click()
    page.wait_for_url("**/sign-in?next=/catalog")
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_cancel_swaps_in_place_and_is_told(window, cases):
    page = window("Ines")
    dialog = dialog_for(page, "Tableau")
    dialog.get_by_label("Why do you need it?", exact=True).fill("By mistake.")
    dialog.get_by_role("button", name="Request app", exact=True).click()
    expect(dialog).to_be_hidden()
    page.goto("/")
    page.evaluate("document.querySelector('h1').dataset.mark = 'same page'")
    line = request_of(page, "Tableau")
    ask = line.get_by_role("link", name="Cancel request", exact=True)
    expect(ask).to_have_accessible_description("Tableau")
    ask.click()
    question = page.get_by_role("dialog", name="Cancel the request for Tableau?", exact=True)
    expect(question.get_by_label("Reason", exact=True)).to_be_focused()
    question.get_by_role("link", name="Keep request", exact=True).click()
    expect(ask).to_be_focused()
    ask.click()
    question.get_by_label("Reason", exact=True).fill("Marta has it.")
    question.get_by_role("button", name="Cancel request", exact=True).click()
    expect(question).to_be_hidden()
    expect(line).to_contain_text("Cancelled by you")
    expect(line.locator("blockquote")).to_have_text("“Marta has it.”")
    toast = page.get_by_role("region", name="Notifications").get_by_text("Request for Tableau cancelled")
    expect(toast).to_be_visible()
    expect(page.locator("#say")).to_contain_text("Request for Tableau cancelled")
    assert page.evaluate("document.querySelector('h1').dataset.mark") == "same page"
    expect(line.get_by_role("link", name="Tableau", exact=True)).to_be_focused()


def test_add_swaps_the_card_in_place(window):
    page = window("Chloe")
    page.goto("/catalog")
    name = page.locator(".cs-card:has(button:text-is('Add')) h2").first.text_content()
    card(page, name).get_by_role("button", name="Add", exact=True).click()
    expect(card(page, name).get_by_text("Added", exact=True)).to_be_visible()
    expect(card(page, name)).to_be_focused()
    expect(page.locator("#say")).to_contain_text(f"{name} added to your dashboard.")


def test_the_mail_once_more_leaves_the_decision_as_it_was_typed(window, cases):
    page = window()
    cases.change("UPDATE notices SET created_at = datetime(created_at, '-11 minutes') || '.000000'")
    page.goto(cases.link("Noah", "Benevity", "Ana"))
    page.get_by_text("Add a comment").click()
    page.get_by_label("Comment", exact=True).fill("Fine for the spring drive.")
    page.get_by_role("button", name="Send the email again", exact=True).click()
    told = page.get_by_role("alert").filter(has_text="Email sent again to Ana Moreau")
    expect(told).to_be_focused()
    expect(told).to_be_in_viewport()
    expect(page.get_by_label("Comment", exact=True)).to_have_value("Fine for the spring drive.")


def test_what_was_typed_when_the_code_was_locked_is_in_the_form_again(window, cases):
    page = window()
    page.goto(cases.link("Noah", "Benevity", "Ana", wrong_codes=4))
    page.get_by_text("Add a comment").click()
    page.get_by_label("Comment", exact=True).fill("Fine for the spring drive.")
    page.get_by_label("Code from the email", exact=True).fill("000 000")
    page.get_by_role("button", name="Approve", exact=True).click()
    # Not the live region, which says it, too.
    expect(page.locator("main").get_by_text("The code is locked after 5 wrong attempts.")).to_be_visible()
    expect(page.locator("main").get_by_text("stays in this browser for an hour")).to_be_visible()
    page.get_by_label("Comment", exact=True).fill("Fine for both drives.")
    # The new link, in another tab; that a new code was mailed is another test's.
    link = cases.link("Noah", "Benevity", "Ana", wrong_codes=0)
    other = page.context.new_page()
    other.goto(link)
    expect(other.get_by_label("Comment", exact=True)).to_have_value("Fine for both drives.")
    expect(other.locator("main").get_by_text("is here again")).to_be_visible()
    other.goto(link)
    expect(other.get_by_text("is here again")).to_be_hidden()


def test_slash_leads_to_the_search_of_the_catalog(window):
    page = window("Rita")
    page.goto("/catalog")
    search = page.get_by_role("searchbox", name="Search apps", exact=True)
    page.keyboard.press("/")
    expect(search).to_be_focused()
    page.keyboard.type("a/b")
    expect(search).to_have_value("a/b")


def test_an_app_is_given_back_from_its_tile(window):
    page = window("Tom")
    page.goto("/")
    name = page.locator(".cs-tile .cs-open").first.text_content()
    more = page.get_by_role("link", name=f"Details of {name}", exact=True)
    more.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name=name, exact=True)
    expect(dialog).to_contain_text("Access since")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(more).to_be_focused()
    page.keyboard.press("Enter")
    dialog.locator("summary").press("Enter")
    dialog.get_by_label("Reason", exact=True).fill("I moved to another team.")
    dialog.get_by_role("button", name=f"Give {name} back", exact=True).click()
    expect(page.get_by_role("region", name="Notifications")).to_contain_text(f"{name} given back.")
    expect(tile(page, name)).to_have_count(0)


def test_a_press_before_the_code_leads_to_the_code_on_a_phone(window, cases):
    page = window(viewport={"width": 390, "height": 844})
    page.goto(cases.link("Otto", "Tableau", "Ana", wrong_codes=0))
    page.get_by_role("button", name="Approve", exact=True).click()
    code = page.get_by_label("Code from the email", exact=True)
    expect(code).to_be_focused()
    expect(code).to_be_in_viewport()
    expect(page.locator("main").get_by_text("Enter the code to confirm your decision.")).to_be_visible()
    expect(page.locator("[aria-invalid=true]")).to_have_count(0)


def test_a_denial_with_a_wrong_code_leads_to_the_code(window, cases):
    """And not to the reason, which the answer unfolds again."""
    page = window()
    page.goto(cases.link("Otto", "Tableau", "Ana", wrong_codes=0))
    page.locator("summary").filter(has_text="Deny").click()
    reason = page.get_by_label("Reason for denying", exact=True)
    expect(reason).to_be_focused()
    reason.fill("Use the shared one.")
    code = page.get_by_label("Code from the email", exact=True)
    code.fill("000 000")
    page.get_by_role("button", name="Deny", exact=True).click()
    expect(page.get_by_text("Incorrect code")).to_be_visible()
    # The unfolding is told in a task of its own.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    expect(code).to_be_focused()
    expect(reason).to_have_value("Use the shared one.")


def test_a_wrong_code_is_seen_at_once_without_javascript_on_a_phone(window, cases):
    page = window(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page.goto(cases.link("Otto", "Tableau", "Ana", wrong_codes=0))
    page.get_by_label("Code from the email", exact=True).fill("000 000")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Incorrect code")).to_be_in_viewport()
    expect(page.get_by_label("Code from the email", exact=True)).to_be_focused()
    leads = page.get_by_role("link", name="Check the form for errors", exact=True)
    expect(leads).to_have_attribute("href", "#code")


@pytest.mark.parametrize("script", [True, False])
def test_who_steps_in_finds_somebody_and_keeps_what_was_written(window, cases, script):
    page = window("Adam", java_script_enabled=script)
    page.goto(f"/admin/requests/{cases.request_id('Ines', 'Salesforce')}")
    why = page.locator("#why-reassign")
    decider, picker = page.locator("#decider"), page.locator(".cs-picker")
    why.fill("Ben is away.")
    names = ["Otto Brandt", "Lena Novak"] if script else ["Lena Novak", "Otto Brandt"]
    for name in names:
        decider.fill(name)
        if script:
            expect(page.get_by_role("option")).to_have_count(1)
        decider.press("Enter")
        if not script:
            picker.get_by_role("button", name=name).click()
        expect(picker.locator(".cs-chips > span")).to_contain_text([name])
        expect(why).to_have_value("Ben is away.")
    page.get_by_role("button", name="Reassign", exact=True).click()
    expect(page.get_by_text(f"Reassigned to {names[1]}.").first).to_be_visible()
