"""A second step in a browser: an app, with and without JavaScript, and passkeys of a virtual authenticator."""

from __future__ import annotations

import contextlib
import re
import sqlite3
import time
from collections.abc import Iterator
from typing import Any

import pyotp
import pytest
from playwright.sync_api import Page, expect

from tests.helpers.chromium import close

from .conftest import Windows
from .in_process import first_day, served
from .site import PASSWORD, Site
from .test_axe import Looks


@pytest.fixture(scope="module")
def door(tmp_path_factory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("second-step"), first_day, host="localhost") as site:
        yield site


@pytest.fixture
def windows(chromium, door) -> Iterator[Windows]:
    made = Windows(chromium, door)
    yield made
    for context in made.contexts:
        close(context)


def give_password(page: Page, email: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("Email", exact=True).fill(email)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize(("script", "who"), [(True, "rita"), (False, "adam")])
def test_from_setting_it_up_to_a_recovery_code(windows, script, who):
    page = windows(java_script_enabled=script)
    give_password(page, f"{who}@example.com")
    page.goto("/account/security")
    page.get_by_role("link", name="Set up", exact=True).click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()
    page.get_by_text("Cannot scan it?").click()
    expect(page.locator("p.cs-mono")).to_be_visible()
    key = page.locator("p.cs-mono").inner_text().replace(" ", "")
    if script:
        assert Looks()(page) == []
    page.get_by_label("Code from the app").fill(pyotp.TOTP(key).now())
    page.get_by_role("button", name="Turn on").click()
    codes = page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    expect(codes).to_have_count(10)
    first = codes.first.inner_text()
    if script:
        assert Looks()(page) == []
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert first in download.value.path().read_text()
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("10 of 10 left.")).to_be_visible()
    page.context.clear_cookies()

    give_password(page, f"{who}@example.com")
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    expect(page.get_by_label("Code from your authenticator app")).to_be_focused()
    if script:
        assert Looks()(page) == []
    page.get_by_label("Code from your authenticator app").fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("4 attempts left.")).to_be_visible()
    page.get_by_label("Code from your authenticator app").fill(pyotp.TOTP(key).at(time.time() + 30))
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page).to_have_url(re.compile(r"/(admin/first-steps)?$"))
    page.context.clear_cookies()

    give_password(page, f"{who}@example.com")
    page.get_by_text("Use a recovery code").click()
    page.get_by_label("Recovery code", exact=True).fill(first)
    page.get_by_role("button", name="Sign in with this code").click()
    page.goto("/account/security")
    expect(page.get_by_text("9 of 10 left.")).to_be_visible()


@pytest.fixture
def empty(chromium, tmp_path) -> Iterator[Windows]:
    """Another installation, in which nobody has a passkey."""
    with served(tmp_path, first_day, host="localhost") as site:
        made = Windows(chromium, site)
        yield made
        for context in made.contexts:
            close(context)


def with_authenticator(page: Page) -> Any:
    """Gives the page's browser a built-in authenticator that knows its person."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, made["authenticatorId"]


def test_a_passkey_from_adding_it_to_confirming_with_it(empty):
    page = empty()
    give_password(page, "rita@example.com")
    expect(page.get_by_role("heading", level=1)).not_to_have_text("Sign in")
    devtools, authenticator = with_authenticator(page)
    page.goto("/account/security")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name of the passkey").fill("Laptop")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("list", name="Recovery codes").get_by_role("listitem")).to_have_count(10)
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_text("Laptop")).to_be_visible()

    page.goto("/account/security/passkeys/new")
    page.get_by_role("button", name="Add passkey").click()
    expect(page.get_by_role("alert")).to_have_text("This device already has a passkey for your account.")

    page.context.clear_cookies()
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("Account menu for Rita Lindqvist")).to_be_attached()

    stale(empty)
    page.goto("/account/security")
    page.get_by_role("button", name="Make new codes").click()
    page.get_by_role("button", name="Use a passkey instead").click()
    expect(page.get_by_role("list", name="Recovery codes").get_by_role("listitem")).to_have_count(10)

    page.context.clear_cookies()
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.goto("/sign-in")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("alert")).to_have_text("No passkey was used. Try again, or use your password.")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
    assert empty.complaints == []
    assert Looks()(page) == []


def stale(windows: Windows) -> None:
    """As if twenty minutes had passed."""
    with contextlib.closing(sqlite3.connect(windows._site.data / "countersign.db")) as database:
        database.execute("UPDATE sessions SET proved_at = '2020-01-01 00:00:00.000000'")
        database.commit()


def test_without_scripts_the_password_remains_and_the_page_says_so(windows):
    page = windows(java_script_enabled=False)
    page.goto("/sign-in")
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    expect(page.get_by_text("Your password works without it.")).to_be_visible()
