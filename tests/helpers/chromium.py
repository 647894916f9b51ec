"""The Chromium of the browser tests: CHROMIUM, one on the PATH, or the one Playwright has downloaded."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright


def executable() -> str | None:
    """Its path, or None for Playwright's own."""
    named = os.environ.get("CHROMIUM")
    return named or next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def launch(playwright: Playwright, *arguments: str) -> Browser:
    # Chromium refuses its own sandbox to root, and containers refuse it to everybody.
    return playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox", *arguments])


def close(context: BrowserContext) -> None:
    """Close a window whose page may be on its way elsewhere. Chromium sometimes never answers a close that meets a
    navigation (playwright issue 42068), and the test would wait without end: so each page is led to an empty one first.
    """
    for page in context.pages:
        page.on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"
        with suppress(Error):
            page.goto("about:blank", timeout=10_000)
    context.close()


def follow_in_mail(page: Page, link: str) -> None:
    """Click a link of the mail that the Mailbox shows. Chromium throws away a click on a frame of another origin
    that has moved within the last half second, as ours has while the page is being laid out."""
    page.wait_for_load_state("load")
    page.wait_for_timeout(700)
    page.frame_locator("iframe").get_by_role("link", name=link).click()
