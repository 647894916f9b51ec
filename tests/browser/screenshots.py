"""Makes docs/screenshots/*.png anew: bin/screenshots. The demo company's days are counted from today."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.helpers.chromium import launch
from tests.helpers.processes import PROJECT, Stack

from .cases import Cases
from .site import PASSWORD, PHONE, Site, card, open_mail, start

FOLDER = PROJECT / "docs" / "screenshots"
DESK = {"width": 1280, "height": 860}
LARGEST = 250_000
WHY = (
    "From January I look after our partner accounts in Sweden, Norway and Finland. I need their opportunities and "
    "the renewal dates, and I log my own calls."
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        chromium = launch(playwright)
        on_a_stack(chromium, take, demo="1")
        on_a_stack(chromium, take_empty, demo="0")
        chromium.close()
    for picture in sorted(FOLDER.glob("*.png")):
        size = picture.stat().st_size
        assert size < LARGEST, f"{picture.name} has {size} bytes"
        print(f"{picture.relative_to(PROJECT)}  {size // 1000} kB")


def on_a_stack(chromium: Browser, pictures: Callable[[Browser, Site], None], *, demo: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        stack = Stack(Path(scratch) / "data", COUNTERSIGN_DEMO=demo)
        start(stack)
        try:
            pictures(chromium, Site(f"http://127.0.0.1:{stack.port}", stack.data, stack.log))
        finally:
            stack.stop()


def take_empty(chromium: Browser, site: Site) -> None:
    """What the first admin of a new installation sees."""
    command = ["create-admin", "--email", "adam@example.com", "--name", "Adam Weiss", "--password", PASSWORD]
    env = os.environ | {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(site.data)}
    subprocess.run([sys.executable, "-m", "flask", "--app", "wsgi", *command], cwd=PROJECT, env=env, check=True)
    adam = site.context_of(chromium, "Adam", viewport=DESK).new_page()
    adam.goto("/admin")
    keep(adam, "first-steps")


def take(chromium: Browser, site: Site) -> None:
    cases = Cases(site)

    def window(name: str | None, **options) -> Page:
        return site.context_of(chromium, name, **{"viewport": DESK, **options}).new_page()

    rita = window("Rita")
    rita.goto("/")
    keep(rita, "dashboard")
    rita.emulate_media(color_scheme="dark")
    keep(rita, "dashboard-dark")
    rita.emulate_media(color_scheme="light")
    rita.goto("/catalog")
    keep(rita, "catalog")
    card(rita, "Salesforce").get_by_role("link", name="Request", exact=True).click()
    dialog = rita.get_by_role("dialog", name="Request Salesforce")
    dialog.get_by_label("Why do you need it?", exact=True).fill(WHY)
    rita.evaluate("scrollTo(0, 0)")
    keep(rita, "request-dialog")
    dialog.get_by_role("button", name="Request app", exact=True).click()
    expect(dialog).to_be_hidden()

    anyone = window(None, viewport={"width": 1280, "height": 1060})
    anyone.goto("/sign-in")
    open_mail(anyone, site, "Ana", "Rita requests Salesforce")
    expect(anyone.frame_locator("iframe").get_by_text("Review request")).to_be_visible()
    anyone.evaluate("scrollTo(0, 0)")
    keep(anyone, "mail")
    anyone.set_viewport_size(DESK)
    link = cases.link("Rita", "Salesforce", "Ana")
    anyone.goto(link)
    keep(anyone, "decision")
    phone = window(None, viewport=PHONE, device_scale_factor=2, is_mobile=True, has_touch=True)
    phone.goto(link)
    keep(phone, "decision-phone")
    phone.emulate_media(color_scheme="dark")
    keep(phone, "decision-phone-dark")

    ines = window("Ines")
    ines.goto(f"/requests/{cases.request_id('Ines', 'Salesforce')}")
    keep(ines, "request")
    ana = window("Ana")
    ana.goto("/approvals")
    keep(ana, "approvals")
    adam = window("Adam")
    for name in ("apps", "people", "groups", "requests", "audit", "mail", "overview"):
        adam.goto(f"/admin/{name}")
        keep(adam, f"admin-{name}")
    for place, who in (("apps", "Salesforce"), ("people", "Ines Kaya")):
        adam.goto(f"/admin/{place}")
        adam.get_by_role("link", name=who).first.click()
        adam.wait_for_url(f"**/admin/{place}/*")
        keep(adam, {"apps": "admin-app", "people": "admin-person"}[place])


def keep(page: Page, name: str) -> None:
    page.evaluate("document.fonts.ready.then(() => document.activeElement?.blur())")
    page.screenshot(path=FOLDER / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    main()
