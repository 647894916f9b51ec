"""One stack for the whole run, one Chromium for each process of it; what a failed test leaves to look at."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, WebError, expect

from tests.helpers.chromium import close, launch

from .cases import Cases
from .site import WIDE, Shared, Site, forget_everything

expect.set_options(timeout=10_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The stack that bin/run execs, on a data folder of its own, with the demo company."""
    shared = Shared()
    yield shared.join()
    shared.leave()


@pytest.fixture(scope="session")
def cases(site: Site) -> Cases:
    return Cases(site)


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    browser.close()


class Windows:
    """The windows of one test, and what their consoles said."""

    def __init__(self, chromium: Browser, site: Site) -> None:
        self._chromium = chromium
        self._site = site
        self.contexts: list[BrowserContext] = []
        self.borrowed: list[BrowserContext] = []
        self.complaints: list[str] = []

    def __call__(self, name: str | None = None, **options) -> Page:
        """A page on which that person (by first name) is signed in; without a name: nobody."""
        context = self._site.context_of(self._chromium, name, **options)
        self.contexts.append(context)
        return self._heard(context).new_page()

    def again(self, name: str | None) -> Page:
        """The page that tests before this one used for that person, as new. For tests that only look: a new page takes
        Chromium a second."""
        context = self._heard(self._site.kept_context(self._chromium, name))
        self.borrowed.append(context)
        page = context.pages[0]
        page.set_viewport_size(WIDE)
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        return page

    def _heard(self, context: BrowserContext) -> BrowserContext:
        context.set_default_timeout(15_000)
        context.on("console", self._console)
        context.on("weberror", self._error)
        return context

    def close(self, *, failed: bool = False) -> None:
        """Closes the windows. Those that were borrowed are given back, unless a test left them as nobody knows."""
        for context in self.borrowed:
            context.remove_listener("console", self._console)
            context.remove_listener("weberror", self._error)
            if failed:
                self._site.drop(context)
            else:
                forget_everything(context)
        for context in self.contexts:
            close(context)

    def _error(self, error: WebError) -> None:
        self.complaints.append(str(error.error))

    def _console(self, message: ConsoleMessage) -> None:
        # Chromium tells of every answer of 400 and above; that a form was refused is no fault of the page.
        refused = message.text.startswith("Failed to load resource: the server responded with a status of 4")
        if message.type in ("error", "warning") and not (refused and "/static/" not in message.location["url"]):
            self.complaints.append(f"{message.text} ({message.location['url']})")


@pytest.fixture
def window(chromium: Browser, site: Site, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """`window("Rita")` is a page on which she is signed in. At the end no console may have complained."""
    windows = Windows(chromium, site)
    yield windows
    failed = getattr(request.node, "failed", None)
    if failed is not None:
        _keep(windows, site, failed)
    windows.close(failed=failed is not None)
    if failed is None:
        assert windows.complaints == []


def _keep(windows: Windows, site: Site, report: pytest.TestReport) -> None:
    """Pictures, HTML and the stack's log in a folder that the failure names."""
    folder = Path(tempfile.mkdtemp(prefix="countersign-failed-"))
    pages = [page for context in [*windows.contexts, *windows.borrowed] for page in context.pages]
    for number, page in enumerate(pages, start=1):
        try:
            page.screenshot(path=folder / f"page-{number}.png", timeout=5000)
            (folder / f"page-{number}.html").write_text(f"<!-- {page.url} -->\n{page.content()}")
        except Exception as error:
            (folder / f"page-{number}.txt").write_text(f"{page.url}\n{error}")
    (folder / "console.txt").write_text("\n".join(windows.complaints))
    (folder / "stack.log").write_text(site.log.read_text() if site.log.exists() else "")
    report.sections.append(("What the browser saw", f"Pictures, pages and the stack's log: {folder}"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed:
        item.failed = report
    return report
