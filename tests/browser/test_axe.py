"""Every screen in light and dark, wide and on a phone: axe finds nothing, the console says nothing, nothing sticks out.

Each screen is opened once and looked at four times. No rule is switched off, and no node is left out. Wide and light,
axe applies every rule to the whole page; on a phone, where other parts are shown, once more. The contrast of a text
depends on its look alone (looks.js): in dark and on a phone it is measured for each look once, wherever that is first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

from .conftest import Windows
from .in_process import first_day, served
from .screens import EMPTY, SCREENS
from .site import PHONE, WIDE, Site

SCRIPT = (Path(__file__).parent / "looks.js").read_text()
LINKS = {"runOnly": {"type": "rule", "values": ["link-in-text-block"]}}
BUT_CONTRAST = {"rules": {"color-contrast": {"enabled": False}}}
Look = Callable[[Page], list[str]]


@pytest.fixture(scope="session")
def look() -> Look:
    return Looks()


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_nothing_is_found(window, cases, look, screen):
    if screen.script and not screen.browser:
        page = window.again(screen.who)
    else:
        page = window(screen.who, java_script_enabled=screen.script, user_agent=screen.browser)
    if callable(screen.visit):
        screen.visit(page, cases)
    else:
        page.goto(screen.visit)
    assert screen.loud or window.complaints == []
    assert look(page if screen.script else as_without_script(page, window.again(None))) == []
    # axe copies imported style sheets into elements of its own, which the page's policy refuses.
    window.complaints.clear()


@pytest.mark.parametrize("address", ["/", "/catalog", "/approvals"])
def test_nothing_is_found_with_every_style_sheet_read(window, look, address):
    """The one check that looks into style sheets needs a page without its policy."""
    page = window("Noah", bypass_csp=True)
    page.goto(address)
    assert look(page) == []


FAULTY = """<!doctype html><html lang="en"><title>Faults</title><style>
    body { background: #fff; color: #000 }
    img { display: none }
    @media (prefers-color-scheme: dark) { .dark { color: #aaa } }
    @media (max-width: 500px) { .phone { color: #bbb } img { display: inline } }
    @media (max-width: 500px) and (prefers-color-scheme: dark) { .both { color: #ccc } }
</style><main><h1>Faults</h1><p class="dark">One</p><p class="phone">Two</p><p class="both">Three</p>
<img src="data:,"></main></html>"""


def test_what_is_wrong_in_one_of_the_four_views_is_found_there_again_and_again(window, look):
    page = window()
    page.set_content(FAULTY)
    for _ in range(2):
        found = look(page)
        of = {(view, rule, word) for one in found for view, rule, *_ in [one.split(": ")]
              for word in ("One", "Two", "Three", "img") if f">{word}<" in one or f"<{word} " in one}  # fmt: skip
        assert of == {
            ("1280 dark", "color-contrast", "One"),
            ("390 light", "color-contrast", "Two"),
            ("390 dark", "color-contrast", "One"),
            ("390 dark", "color-contrast", "Two"),
            ("390 dark", "color-contrast", "Three"),
            ("390 dark", "image-alt", "img"),
        }


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[Site]:
    """A company on its first day: Adam, the admin, and Rita, who has nothing yet."""
    with served(tmp_path_factory.mktemp("empty"), first_day) as site:
        yield site
        site.close()


@pytest.mark.parametrize(("who", "address"), EMPTY)
def test_nothing_is_found_where_nothing_is(empty, chromium, look, who, address):
    windows = Windows(chromium, empty)
    page = windows.again(who)
    page.goto(address)
    assert windows.complaints == []
    assert look(page) == []
    windows.close()


def as_without_script(page: Page, other: Page) -> Page:
    """The same page where axe can run, which is a script: without ours, and with what stands in <noscript>."""
    html = re.sub(r"</?noscript>|<script[^>]*></script>", "", page.content())
    other.route(page.url, lambda route: route.fulfill(content_type="text/html", body=html))
    other.goto(page.url)
    return other


class Looks:
    """What axe and a ruler find, in light and dark, wide and on a phone."""

    def __init__(self) -> None:
        # The looks of texts whose contrast axe has found good, in any test of this process.
        self.known: set[int] = set()

    def __call__(self, page: Page) -> list[str]:
        found = []
        page.evaluate(AXE_SCRIPT)
        for width, size in ((1280, WIDE), (390, PHONE)):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                whole = (width, scheme) == (1280, "light")
                rules = BUT_CONTRAST if (width, scheme) == (390, "dark") else LINKS
                given = {"whole": whole, "rules": rules, "known": list(self.known)}
                answer = page.evaluate(SCRIPT, given)
                self.known |= set(answer["passed"])
                found += [f"{width} {scheme}: {one}" for one in answer["found"]]
            if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
                found.append(f"{width}: the page is {page.evaluate('document.scrollingElement.scrollWidth')} px wide")
        return found
