"""Tokens in a browser: made and seen once, by keyboard, with and without script."""

from __future__ import annotations

import re
import secrets

from playwright.sync_api import Page, expect

from .site import PHONE


def fill(page: Page, name: str) -> None:
    form = page.get_by_role("dialog")
    form.get_by_label("Name", exact=True).fill(name)
    form.locator("[value='requests:read']").check()


def make(page: Page) -> str:
    page.get_by_role("button", name="Create token", exact=True).click()
    secret = page.get_by_label("Your token", exact=True)
    expect(secret).to_be_visible()
    return secret.input_value()


def test_a_token_is_copied_and_then_gone(window):
    page = window("Ines", permissions=["clipboard-read", "clipboard-write"])
    name = f"laptop {secrets.token_hex(3)}"
    page.goto("/account/tokens")
    page.locator("#new-token").focus()
    page.keyboard.press("Enter")
    fill(page, name)
    page.keyboard.press("Enter")
    secret = page.get_by_label("Your token", exact=True)
    expect(secret).to_be_focused()
    value = secret.input_value()
    page.get_by_role("button", name="Copy your token", exact=True).click()
    expect(page.locator(".cs-live")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == value
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text=name)).to_be_visible()
    assert value not in page.content()
    assert page.url.endswith("/account/tokens")
    page.reload()
    assert value not in page.content()


def test_without_script_a_token_is_shown_once(window):
    page = window("Ines", java_script_enabled=False)
    name = f"script {secrets.token_hex(3)}"
    page.goto("/account/tokens/new")
    fill(page, name)
    value = make(page)
    expect(page.get_by_role("button", name="Copy your token")).to_be_hidden()
    # The form is sent again, as a browser asks.
    page.reload()
    expect(page.get_by_text(f"A token named {name} is in use already.")).to_be_visible()
    assert value not in page.content()
    page.get_by_role("link", name="Cancel", exact=True).click()
    expect(page.get_by_role("row").filter(has_text=name)).to_have_count(1)
    page.get_by_role("link", name=f"End {name}", exact=True).click()
    page.get_by_role("button", name="End token", exact=True).click()
    expect(page.get_by_text(f"{name} ended.").first).to_be_visible()


def test_on_a_phone_the_pages_of_an_area_are_one_control(window):
    page = window("Adam")
    page.set_viewport_size(PHONE)
    page.goto("/admin/api")
    pick = page.get_by_role("navigation", name="Admin", exact=True)
    expect(pick.get_by_role("link", name="Organisation", exact=True)).to_be_hidden()
    pick.locator("summary").focus()
    page.keyboard.press("Enter")
    pick.get_by_role("link", name="Organisation", exact=True).click()
    expect(page.get_by_role("heading", name="Organisation", exact=True)).to_be_visible()


def test_a_leaked_token_is_ended_on_one_page(window):
    page = window("Adam")
    page.goto("/admin/api")
    page.locator("#new-token").click()
    name = f"Sync {secrets.token_hex(3)}"
    fill(page, name)
    value = make(page)
    page.get_by_role("link", name="Done", exact=True).click()
    page.get_by_label("The token, or its first characters").fill(value)
    page.locator("#leak").get_by_role("button", name="End token", exact=True).click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.get_by_text(f"{name} ended.").first).to_be_visible()
    assert value not in page.content()


def test_a_webhook_is_added_tested_and_seen_in_the_viewer(window, site):
    page = window("Adam")
    name = f"Ledger {secrets.token_hex(3)}"
    page.goto("/admin/webhooks/new")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Address", exact=True).fill(f"{site.address}/webhook-viewer/in")
    every = page.get_by_role("checkbox", name="Every event, also those of later versions")
    expect(page.get_by_role("checkbox", name="request.denied")).to_be_hidden()
    every.uncheck()
    page.get_by_role("checkbox", name="request.denied").check()
    page.get_by_role("button", name="Add webhook", exact=True).click()
    secret = page.get_by_role("textbox", name="Signing secret", exact=True)
    expect(secret).to_have_value(re.compile("^whsec_"))
    value = secret.input_value()
    page.get_by_role("link", name="Done", exact=True).click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert value not in page.content()
    page.get_by_role("button", name="Send test", exact=True).click()
    expect(
        page.get_by_role("region", name="Notifications").get_by_text(f"A test is on its way to {name}.")
    ).to_be_visible()
    for _ in range(40):
        page.reload()
        if page.get_by_text("Delivered").count():
            break
        page.wait_for_timeout(250)
    page.locator("#results").get_by_role("link", name="test", exact=True).click()
    expect(page.get_by_role("heading", name="What is sent", exact=True)).to_be_visible()
    page.goto(f"/webhook-viewer?q={name.replace(' ', '+')}")
    expect(page.get_by_text(f"fits the secret whsec_…{value[-4:]}")).to_be_visible()
