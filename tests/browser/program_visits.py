"""How to get to the screens for programs: tokens and webhooks."""

from __future__ import annotations

import secrets

from playwright.sync_api import Page, expect

from .cases import Cases


def new_service_token(page: Page, cases: Cases) -> None:
    page.goto("/admin/api")
    page.locator("#new-token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(f"Terraform {secrets.token_hex(3)}")
    dialog.locator("[value='apps:admin']").check()
    dialog.get_by_role("button", name="Create token", exact=True).click()
    expect(dialog.get_by_label("Your token", exact=True)).to_be_visible()


def token_of_rita(page: Page, cases: Cases) -> None:
    """What was done with a token."""
    page.goto("/admin/api/tokens")
    page.get_by_role("row").filter(has_text="Rita").get_by_role("link", name="laptop", exact=True).click()
    expect(page.get_by_role("heading", name="laptop", exact=True)).to_be_visible()


def refused_leak(page: Page, cases: Cases) -> None:
    page.goto("/admin/api")
    page.get_by_label("The token, or its first characters").fill("csn_0000")
    page.locator("#leak").get_by_role("button", name="End token", exact=True).click()
    expect(page.locator("#leaked[aria-invalid=true]")).to_be_visible()


def new_token(page: Page, cases: Cases) -> None:
    """A token that was just made."""
    page.goto("/account/tokens")
    page.locator("#new-token").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill(f"laptop {secrets.token_hex(3)}")
    for scope in ("requests:read", "decide"):
        dialog.locator(f"[value='{scope}']").check()
    dialog.get_by_label("Only from (optional)", exact=True).fill("10.2.0.0/16 2001:db8::/32")
    dialog.get_by_role("button", name="Create token", exact=True).click()
    expect(dialog.get_by_label("Your token", exact=True)).to_be_visible()


def token_ending(page: Page, cases: Cases) -> None:
    new_token(page, cases)
    page.get_by_role("link", name="Done", exact=True).click()
    page.locator("#tokens a").first.click()
    expect(page.get_by_role("button", name="End token", exact=True)).to_be_visible()
