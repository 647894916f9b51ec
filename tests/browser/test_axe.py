"""Every screen in light and dark, wide and on a phone: axe finds nothing, the console says nothing, nothing sticks out.

Each screen is opened once and looked at four times. No rule is switched off, and no node is left out; in dark, where
the markup is that of light, axe looks at colours only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.helpers.chromium import close

from .cases import Cases
from .conftest import Windows
from .in_process import first_day, served
from .screens import EMPTY, SCREENS
from .site import PHONE, WIDE, Site


@pytest.fixture(scope="session")
def cases(site):
    return Cases(site)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_nothing_is_found(window, cases, screen):
    page = window(screen.who, java_script_enabled=screen.script, user_agent=screen.browser)
    if callable(screen.visit):
        screen.visit(page, cases)
    else:
        page.goto(screen.visit)
    assert screen.loud or window.complaints == []
    assert look(page if screen.script else as_without_script(page, window())) == []
    # axe copies imported style sheets into elements of its own, which the page's policy refuses.
    window.complaints.clear()


@pytest.mark.parametrize("address", ["/", "/catalog", "/approvals"])
def test_nothing_is_found_with_every_style_sheet_read(window, address):
    """The one check that looks into style sheets needs a page without its policy."""
    page = window("Noah", bypass_csp=True)
    page.goto(address)
    assert look(page) == []


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[Site]:
    """A company on its first day: Adam, the admin, and Rita, who has nothing yet."""
    with served(tmp_path_factory.mktemp("empty"), first_day) as site:
        yield site


@pytest.mark.parametrize(("who", "address"), EMPTY)
def test_nothing_is_found_where_nothing_is(empty, chromium, who, address):
    windows = Windows(chromium, empty)
    page = windows(who)
    page.goto(address)
    assert windows.complaints == []
    assert look(page) == []
    for context in windows.contexts:
        close(context)


def as_without_script(page: Page, other: Page) -> Page:
    """The same page where axe can run, which is a script: without ours, and with what stands in <noscript>."""
    html = re.sub(r"</?noscript>|<script[^>]*></script>", "", page.content())
    other.route(page.url, lambda route: route.fulfill(content_type="text/html", body=html))
    other.goto(page.url)
    return other


EVERY_RULE = {"resultTypes": ["violations"]}
COLOURS = EVERY_RULE | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def look(page: Page) -> list[str]:
    """What axe and a ruler find, in light and dark, wide and on a phone."""
    found = []
    axe = Axe()
    for width, size in ((1280, WIDE), (390, PHONE)):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for one in axe.run(page, options=EVERY_RULE if scheme == "light" else COLOURS).response["violations"]:
                for node in one["nodes"]:
                    found.append(f"{width} {scheme}: {one['id']}: {node['html'][:200]} {node.get('failureSummary')}")
            axe.axe_script = "0"  # the page has it by now
        if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            found.append(f"{width}: the page is {page.evaluate('document.scrollingElement.scrollWidth')} px wide")
    return found
