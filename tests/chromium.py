"""The Chromium of the browser tests: CHROMIUM, one on the PATH, or the one Playwright has downloaded."""

from __future__ import annotations

import os
import shutil

from playwright.sync_api import Browser, Page, Playwright


def executable() -> str | None:
    """Its path, or None for Playwright's own."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def launch(playwright: Playwright) -> Browser:
    # Chromium refuses its own sandbox to root, and containers refuse it to everybody.
    return playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])


def follow_in_mail(page: Page, link: str) -> None:
    """Click a link of the mail that the Mailbox shows. Chromium throws away a click on a frame of another origin
    that has moved within the last half second, as ours has while the page is being laid out."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(700)
    page.frame_locator("iframe").get_by_role("link", name=link).click()
