"""Signing in through a provider in a real browser: oidc-provider-mock as a process of its own, with and without
JavaScript. What a provider may not get away with: tests/sso."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.helpers.chromium import close
from tests.helpers.processes import free_port
from webapp import clock, networks, outgoing
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.networks import Allowed
from webapp.operations import providers
from webapp.sso import provider as calls

from .in_process import first_day, served
from .site import PASSWORD, Site

USERS = (
    {"sub": "rita-there", "email": "rita@example.com", "email_verified": True, "name": "Rita Lindqvist"},
    {"sub": "nils-there", "email": "nils@example.com", "email_verified": True, "name": "Nils Holm"},
    {"sub": "adam-there", "email": "adam@example.com", "email_verified": True, "name": "Adam Weiss"},
    {"sub": "unproven", "email": "rita@example.com", "name": "Somebody"},
)


@pytest.fixture(scope="module")
def mock() -> Iterator[int]:
    """The port of the provider."""
    port = free_port()
    program = Path(sys.executable).parent / "oidc-provider-mock"
    claims = [word for user in USERS for word in ("--user-claims", json.dumps(user))]
    process = subprocess.Popen(
        [program, "-p", str(port), *claims], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(600):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/.well-known/openid-configuration", timeout=5):
                break
        except (OSError, urllib.error.URLError):
            assert process.poll() is None, "the provider did not start"
            time.sleep(0.1)
    yield port
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def company_site(mock: int, tmp_path_factory: Any) -> Iterator[Site]:
    """An installation with this provider. The refusal of loopback is lifted for its port."""
    ours = {("127.0.0.1", mock)}
    with pytest.MonkeyPatch.context() as patch:
        for module in (networks, outgoing):
            patch.setattr(module, "allowed_for", lambda url: Allowed(sockets=ours))
        calls.forget()

        def fill() -> None:
            first_day()
            admin = db.session.scalars(db.select(Person).where(Person.is_admin)).one()
            made = providers.create(name="Mock", issuer=f"http://127.0.0.1:{mock}", client_id="countersign",
                                    client_secret="a secret", actor=admin, now=clock.now())  # fmt: skip
            providers.change(made, creates_people=True, actor=admin, now=clock.now())
            providers.switch(made, on=True, actor=admin, now=clock.now())
            outbox.commit()

        with served(tmp_path_factory.mktemp("sso"), fill) as site:
            yield site


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(request: Any, chromium: Browser, company_site: Site) -> Iterator[Page]:
    context = chromium.new_context(base_url=company_site.address, java_script_enabled=request.param)
    context.set_default_timeout(30_000)
    yield context.new_page()
    close(context)


def come(page: Page, who: str) -> None:
    page.get_by_role("link", name="Continue with Mock").click()
    page.get_by_role("button", name=who, exact=True).click()


def test_rita_comes_back_to_the_page_that_she_wanted(page: Page) -> None:
    page.goto("/catalog?q=something")
    expect(page.get_by_role("heading", name="Sign in", exact=True)).to_be_visible()
    expect(page.get_by_label("Password", exact=True)).to_be_hidden()
    come(page, "rita-there")
    expect(page).to_have_url("http://127.0.0.1:" + page.url.split(":")[2].split("/")[0] + "/catalog?q=something")
    page.goto("/account/security")
    expect(page.get_by_role("button", name="Disconnect Mock")).to_be_visible()


def test_somebody_whose_address_is_not_proven_is_told_what_to_do(page: Page) -> None:
    page.goto("/sign-in")
    come(page, "unproven")
    expect(page.get_by_text("did not say that your email address is verified")).to_be_visible()
    page.get_by_role("link", name="All ways to sign in").click()
    expect(page.get_by_role("link", name="Continue with Mock")).to_be_visible()


def test_the_password_is_a_fold_away(page: Page) -> None:
    page.goto("/sign-in")
    page.get_by_text("Use a password").click()
    page.get_by_label("Email", exact=True).fill("rita@example.com")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("The email address or password is incorrect")).to_be_visible()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_the_admin_tests_the_connection(page: Page) -> None:
    page.goto("/sign-in?next=/admin/sign-in&email=adam@example.com")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("main").get_by_role("link", name="Mock", exact=True).click()
    page.get_by_role("link", name="Test this connection").click()
    page.get_by_role("button", name="nils-there", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mock works: you came back as Nils Holm")
    expect(page.get_by_role("row", name="email_verified")).to_contain_text("The address may be used")
    expect(page.get_by_text("A test signs nobody in")).to_be_visible()
