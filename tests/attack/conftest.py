"""A mail server, a socket and a browser for the attacks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Playwright

from tests.helpers.chromium import launch
from tests.mail.conftest import drain, smtp  # noqa: F401

from .installation import serving


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """Where the test's app listens."""
    with serving(app) as address:
        yield address


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Chromium]:
    browser = launch(playwright)
    yield browser
    browser.close()
