"""The password, asked for in place before rules or people are changed: by keyboard, with all that was typed kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .cases import OLD, Cases
from .site import PASSWORD, sign_in

AGAIN = "Confirm your password"


@pytest.fixture
def stale(window, cases, request):
    """A page of Adam's, who signed in 16 minutes ago."""
    return lambda **options: signed_in_long_ago(window, cases, request.node.name, **options)


def signed_in_long_ago(window, cases: Cases, browser: str, **options) -> Page:
    page = window(user_agent=browser, **options)
    sign_in(page, "Adam")
    cases.change(OLD, browser)
    return page


def dialog_of(page: Page):
    return page.get_by_role("dialog", name=AGAIN, exact=True)


def setting(cases: Cases, app: str, column: str):
    return cases.one(f"SELECT {column} FROM apps WHERE name = ?", app)[0]


def comment_switch(page: Page, cases: Cases, app: str):
    page.goto(f"/admin/apps/{cases.app_id(app)}")
    return page.get_by_role("switch", name="Reason required", exact=True)


def test_a_switch_by_keyboard(stale, cases):
    page = stale()
    switch = comment_switch(page, cases, "Zoom")
    was = switch.is_checked()
    switch.focus()
    page.keyboard.press("Space")
    dialog = dialog_of(page)
    expect(dialog).to_be_visible()
    password = dialog.get_by_label("Password", exact=True)
    expect(password).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(dialog.get_by_text("Incorrect password.")).to_be_visible()
    expect(password).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(page.locator("#set-comment-required").get_by_text("Saved", exact=True)).to_be_visible()
    expect(switch).to_be_checked(checked=not was)
    expect(switch).to_be_focused()
    # The next one goes through at once.
    page.keyboard.press("Space")
    expect(switch).to_be_checked(checked=was)
    expect(page.locator("#set-comment-required").get_by_text("Saved", exact=True)).to_be_visible()


def test_who_thinks_better_of_it_finds_what_is_so_and_what_was_typed(stale, cases):
    page = stale()
    switch = comment_switch(page, cases, "Zoom")
    was = switch.is_checked()
    switch.focus()
    page.keyboard.press("Space")
    expect(dialog_of(page).locator(":focus")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog_of(page)).to_be_hidden()
    expect(switch).to_be_checked(checked=was)
    expect(switch).to_be_focused()
    page.locator("#note-fold > summary").click()
    note = page.get_by_label("Note to the requester", exact=True)
    before = setting(cases, "Zoom", "note")
    note.fill("For meetings with more than two.")
    note.press("Tab")
    dialog = dialog_of(page)
    expect(dialog).to_be_visible()
    dialog.get_by_role("link", name="Cancel", exact=True).click()
    expect(note).to_have_value("For meetings with more than two.")
    expect(note).to_be_focused()
    line = page.locator("#set-note .cs-failed")
    expect(line).to_contain_text("Not saved: you did not confirm your password.")
    expect(page.locator("#say")).to_contain_text("Not saved: you did not confirm your password.")
    assert setting(cases, "Zoom", "note") == before
    line.get_by_role("button", name="Try again", exact=True).click()
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("#set-note .cs-saved")).to_be_visible()
    expect(line).to_have_count(0)
    assert setting(cases, "Zoom", "note") == "For meetings with more than two."


def test_what_is_refused_then_is_told_at_its_control(stale, cases):
    page = stale()
    page.goto(f"/admin/apps/{cases.app_id('Figma')}")
    page.locator("#days").fill("1000")
    page.locator("#days").press("Tab")
    dialog_of(page).get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog_of(page)).to_be_hidden()
    expect(page.locator("#days")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#days")).to_have_value("1000")
    expect(page.locator("#days")).to_be_focused()


def test_a_dialog_goes_on_where_it_was(stale, cases):
    page = stale()
    page.goto("/admin/people")
    page.locator("#new-person").click()
    invite = page.get_by_role("dialog", name="Invite person", exact=True)
    invite.get_by_label("Name", exact=True).fill("Vera Again")
    invite.get_by_label("Email", exact=True).fill("vera.again@example.com")
    invite.get_by_role("button", name="Send invitation", exact=True).click()
    dialog_of(page).get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("region", name="Notifications").get_by_text("vera.again@example.com")).to_be_visible()
    expect(page.locator("#new-person")).to_be_focused()
    assert cases.one("SELECT count(*) FROM people WHERE email = 'vera.again@example.com'") == (1,)


def test_a_question_that_follows_stays_open(stale, cases):
    """Benevity has requests pending: after the password comes what happens to them."""
    page = stale()
    page.goto(f"/admin/apps/{cases.app_id('Benevity')}")
    switch = page.get_by_role("switch", name="Approval required", exact=True)
    switch.focus()
    page.keyboard.press("Space")
    dialog_of(page).get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog").filter(has_text="No changes have been saved yet.")
    expect(question.locator(":focus")).to_be_visible()
    page.keyboard.press("Escape")
    expect(question).to_be_hidden()
    expect(switch).to_be_checked()


def test_without_javascript_a_page_asks_and_the_change_is_made(stale, cases):
    page = stale(java_script_enabled=False)
    page.goto(f"/admin/apps/{cases.app_id('Miro')}")
    page.locator("#note-fold > summary").click()
    note = page.get_by_label("Note to the requester", exact=True)
    note.fill("Two lines,\nand “quotes”.")
    page.get_by_role("button", name="Save note to the requester", exact=True).click()
    expect(page.get_by_role("heading", name=AGAIN, exact=True)).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Continue", exact=True).click()
    page.wait_for_url("**/admin/apps/*")
    expect(note).to_have_value("Two lines,\nand “quotes”.")
    assert setting(cases, "Miro", "note") == "Two lines,\nand “quotes”."


def test_a_download_begins_when_the_password_is_right(stale, cases):
    page = stale()
    page.goto("/admin/audit")
    page.get_by_role("link", name="CSV").click()
    expect(page.get_by_role("heading", name=AGAIN, exact=True)).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename.startswith("audit-")
