"""Each control of an app's page saves itself: what is refused, fails, comes late or is left half-written."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from tests.helpers.processes import until

from .rules_page import Held, days_of, rules_of, rules_of_its_own


def broken(route: Route) -> None:
    route.fulfill(status=500, body="")


def our_own_failure(route: Route) -> None:
    """As webapp/web/error_pages.py answers."""
    route.fulfill(
        status=500,
        headers={"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"},
        body='<div data-toast data-say="Something went wrong. Your text is still here."></div>',
    )


def unreachable(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize(
    ("app", "failure", "sentence"),
    [("DeepL", broken, "Something went wrong."), ("1Password", our_own_failure, "Something went wrong."),
     ("Notion", unreachable, "Cannot reach the server.")],
)  # fmt: skip
def test_what_could_not_be_saved_says_so_beside_its_control(window, cases, app, failure, sentence):
    page = rules_of(window, cases, app)
    switch = page.get_by_role("switch", name="Reason required", exact=True)
    was = switch.is_checked()
    page.route("**/comment-required", failure)
    switch.click()
    line = page.locator("#set-comment-required .cs-failed")
    expect(line).to_contain_text(sentence)
    expect(page.locator("#say")).to_contain_text(sentence)
    expect(line.get_by_role("button")).to_have_count(0)
    expect(switch).to_be_checked(checked=was)  # it shows what is so
    page.locator("#note-fold > summary").click()
    note = page.get_by_label("Note to the requester", exact=True)
    page.route("**/note", failure)
    note.fill("Ask your lead first.")
    note.press("Tab")
    line = page.locator("#set-note .cs-failed")
    expect(line).to_contain_text("still here")
    expect(note).to_have_value("Ask your lead first.")
    assert page.locator("[data-toast]").count() == 0
    page.unroute("**/note")
    line.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator("#set-note .cs-saved")).to_be_visible()
    expect(line).to_have_count(0)
    assert page.evaluate("window.refused") == []
    window.complaints.clear()  # Chromium tells of the failures that we made


def test_what_the_server_refuses_stands_beside_its_control(window, cases):
    """422 keeps what was typed; 409, as somebody else was quicker, shows how it is."""
    page = rules_of_its_own(window, cases)
    days = page.locator("#days")
    days.fill("1000")
    days.press("Tab")
    expect(page.locator("#days-e")).to_be_visible()
    expect(days).to_have_value("1000")
    expect(days).to_have_attribute("aria-invalid", "true")
    page.reload()
    switch = page.get_by_role("switch", name="Reason required", exact=True)
    other = window("Adam")
    other.goto(page.url)
    other.get_by_role("switch", name="Reason required", exact=True).click()
    expect(other.locator("#set-comment-required .cs-saved")).to_be_visible()
    now = other.get_by_role("switch", name="Reason required", exact=True).is_checked()
    switch.click()
    expect(page.locator("#comment-required-s-e")).to_be_visible()
    expect(switch).to_be_checked(checked=now)
    expect(switch).to_have_attribute("aria-invalid", "true")


@pytest.mark.parametrize("refused", [False, True])
def test_what_is_typed_while_a_save_is_on_its_way_stays_and_is_saved(window, refused, cases):
    page = rules_of_its_own(window, cases)
    field = page.locator("#set-fields [data-sort] > details")
    field.locator("summary").click()
    name, help = field.get_by_label("Name", exact=True), field.get_by_label("Help text", exact=True)
    held = Held(page, "**/fields/*/name")
    name.fill("n" * 80 if not refused else " ")
    help.click()
    held.one()
    page.keyboard.type("Ask again in January.")
    page.keyboard.press("Home")
    page.evaluate("document.querySelector('#set-fields').dataset.mark = 'old'")
    held.let_go()
    expect(page.locator("#set-fields[data-mark]")).to_have_count(0)
    expect(help).to_have_value("Ask again in January.")
    expect(help).to_be_focused()
    page.keyboard.type("Please! ")
    expect(help).to_have_value("Please! Ask again in January.")
    if refused:
        expect(field.get_by_text("Enter a name.")).to_be_visible()
    with page.expect_response("**/fields/*/help"):
        page.keyboard.press("Tab")
    expect(field.locator(".cs-saved")).to_be_visible()
    page.reload()
    field.locator("summary").click()
    expect(help).to_have_value("Please! Ask again in January.")
    expect(name).to_have_value("Plan" if refused else "n" * 80)
    assert page.evaluate("window.refused") == []


@pytest.mark.parametrize("scripted", [True, False])
def test_a_bad_address_stops_nothing_beside_it_and_both_stay(window, scripted, cases):
    page = rules_of_its_own(window, cases, java_script_enabled=scripted)
    address, words = page.locator("#denied-others"), page.locator("#denied-words")
    page.locator("#denied-words-fold > summary").click()
    address.fill("nobody")
    if not scripted:
        address.press("Enter")
    else:
        words.click()
    expect(page.locator("#denied-others-e")).to_contain_text("“nobody” is not an e")
    expect(address).to_have_value("nobody")
    if not scripted:
        page.locator("#denied-words-fold > summary").click()
    words.fill("Ask again in January.")
    if scripted:
        words.press("Tab")
        expect(page.locator("#set-denied-words .cs-saved")).to_be_visible()
        expect(address).to_have_value("nobody")
    else:
        page.get_by_role("button", name="Save message", exact=True).click()
    address.fill("desk@example.com")
    address.press("Enter")
    expect(page.get_by_role("button", name="Remove desk@example.com", exact=True)).to_be_visible()
    expect(address).to_have_value("")
    page.reload()
    expect(words).to_have_value("Ask again in January.")
    page.get_by_role("button", name="Remove desk@example.com", exact=True).click()
    expect(page.get_by_role("button", name="Remove desk@example.com", exact=True)).to_have_count(0)


def test_what_was_typed_to_its_end_while_a_save_was_on_its_way_is_saved_by_leaving_it(window, cases):
    """Nothing more is typed after the answer, so that the browser itself sees no change."""
    page = rules_of_its_own(window, cases)
    first, second = days_of(page, "Ana Moreau"), days_of(page, "Finance")
    held = Held(page, "**/time-limit")
    first.fill("5")
    second.focus()
    held.one()
    second.fill("7")
    held.let_go()
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    expect(second).to_have_value("7")
    expect(second).to_be_focused()
    with page.expect_response("**/time-limit"):
        page.keyboard.press("Tab")
    expect(page.locator("#set-steps li", has_text="Finance").locator(".cs-saved")).to_be_visible()
    page.reload()
    expect(first).to_have_value("5")
    expect(second).to_have_value("7")


def test_two_saves_at_once_are_both_shown_and_sent_once(window, cases):
    page = rules_of_its_own(window, cases)
    first, second = days_of(page, "Ana Moreau"), days_of(page, "Finance")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    held = Held(page, "**/time-limit")
    first.fill("5")
    second.focus()
    held.one()
    second.fill("7")
    page.keyboard.press("Tab")
    until(lambda: page.evaluate("1") and len(held.routes) == 2, 10)
    with page.expect_response("**/time-limit"):
        held.routes.pop(0).continue_()
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    expect(second).to_have_value("7")
    held.let_go()
    expect(page.locator("#set-steps li", has_text="Finance").locator(".cs-saved")).to_be_visible()
    expect(first).to_have_value("5")
    expect(second).to_have_value("7")
    assert len(sent) == 2


def test_half_written_fields_stay_while_another_is_moved_or_saved(window, cases):
    page = rules_of_its_own(window, cases)
    new, fields = page.locator("#f-new"), page.locator("#set-fields [data-sort] > details")
    new.locator("summary").click()
    new.get_by_label("Name", exact=True).fill("Region")
    new.get_by_label("Options", exact=True).fill("North\nSouth")
    new.get_by_role("button", name="Add field", exact=True).press("Enter")
    expect(fields).to_have_count(2)
    # The form is empty and closed, and whoever works by keyboard is at its head.
    expect(new.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    new.get_by_label("Name", exact=True).fill("Seat")
    new.get_by_label("Type", exact=True).select_option(label="Number")
    plan, region = fields.nth(0), fields.nth(1)
    expect(region).to_have_attribute("open", "")  # to go on with what there is to it
    plan.locator("summary").click()
    plan.get_by_label("Help text", exact=True).fill("As in the contract.")
    region.get_by_label("Default value", exact=True).select_option(label="South")
    expect(region.locator("summary")).to_contain_text("default South")
    expect(plan).to_have_attribute("open", "")
    expect(plan.get_by_label("Help text", exact=True)).to_have_value("As in the contract.")
    region.get_by_role("button", name="Move Region up", exact=True).click()
    expect(fields.first).to_contain_text("Region")
    expect(region.get_by_label("Help text", exact=True)).to_have_value("As in the contract.")  # it is Plan now
    expect(new).to_have_attribute("open", "")
    expect(new.get_by_label("Name", exact=True)).to_have_value("Seat")
    expect(new.locator("#f-new-k option:checked")).to_have_text("Number")
    # After Archive, too, the focus is on something that can be seen.
    page.get_by_role("button", name="Archive Region", exact=True).press("Enter")
    expect(fields).to_have_count(1)
    expect(fields.first.locator("summary")).to_be_focused()
    expect(new.get_by_label("Name", exact=True)).to_have_value("Seat")
    assert page.evaluate("window.refused") == []


def test_what_is_typed_is_saved_by_leaving_the_page(window, cases):
    """By a link, or as the window goes to another address while the cursor is still in the field."""
    page = rules_of_its_own(window, cases)
    here = page.url
    page.locator("#note-fold > summary").click()
    page.locator("#note").fill("Ask your lead first.")
    page.get_by_role("link", name="Dashboard", exact=True).click()
    page.wait_for_url("**/")
    page.goto(here)
    page.locator("#note-fold > summary").click()
    expect(page.locator("#note")).to_have_value("Ask your lead first.")
    page.locator("#note").fill("Ask your lead second.")
    page.goto("/catalog")
    page.goto(here)
    page.locator("#note-fold > summary").click()
    expect(page.locator("#note")).to_have_value("Ask your lead second.")
    # What could not be saved is not left without a question.
    asked = []
    page.on("dialog", lambda dialog: [asked.append(dialog.type), dialog.accept()])
    page.goto(here)
    assert asked == []
    page.locator("#denied-others").press_sequentially("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#denied-others-e")).to_be_visible()
    page.goto("/catalog")
    assert asked == ["beforeunload"]
    page.goto(here)
    page.locator("#f-new > summary").click()
    page.locator("#f-new-n").press_sequentially("Region")
    page.goto("/catalog")
    assert asked == ["beforeunload", "beforeunload"]
    window.complaints.clear()  # Chromium may tell of an answer that nobody waited for
