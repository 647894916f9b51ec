"""The stack as bin/run starts it, and what people do on it: sign in, read their mail, follow its link."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import signal
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from playwright.sync_api import Browser, BrowserContext, Error, Locator, Page, expect

from tests.helpers.chromium import close, follow_in_mail
from tests.helpers.processes import Stack, until
from webapp.embedded import mailstore

PASSWORD = "countersign-demo"
WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
# Seconds for which a sign-in of ours serves, and a window that is kept: together fewer than 15 minutes.
PROVED = 600.0
KEPT = 240.0


class Site:
    """A running installation. `address` has no slash at its end."""

    def __init__(self, address: str, data: Path, log: Path) -> None:
        self.address = address
        self.data = data
        self.log = log
        self._sessions: dict[str, tuple[float, dict]] = {}
        # Windows with one page each that stay open from test to test, and when they were opened.
        self._kept: dict[str | None, tuple[float, BrowserContext]] = {}

    def context_of(self, chromium: Browser, name: str | None, **options) -> BrowserContext:
        """A window in which that person (by first name) is signed in; None: nobody. One sign-in for each person, and
        a new one before the password would be asked for again."""
        options = {"viewport": WIDE, "base_url": self.address, "reduced_motion": "reduce", **options}
        if name and time.monotonic() - self._sessions.get(name, (-PROVED, {}))[0] >= PROVED:
            context = chromium.new_context(base_url=self.address)
            sign_in(context.new_page(), name)
            self._sessions[name] = (time.monotonic(), context.storage_state())
            close(context)
        return chromium.new_context(storage_state=self._sessions[name][1] if name else None, **options)

    def kept_context(self, chromium: Browser, name: str | None) -> BrowserContext:
        """A window of that person that stays open, opened anew before its password would be asked for again."""
        since, context = self._kept.get(name, (-PROVED, None))
        if context is not None and time.monotonic() - since >= KEPT:
            self.drop(context)
            context = None
        if context is None:
            context = self.context_of(chromium, name)
            context.new_page().on("dialog", lambda dialog: dialog.accept())  # "Leave this page?"
            self._kept[name] = (time.monotonic(), context)
        if name is None:
            context.clear_cookies()
        return context

    def drop(self, context: BrowserContext) -> None:
        """Closes a window that was kept."""
        self._kept = {name: one for name, one in self._kept.items() if one[1] is not context}
        close(context)

    def close(self) -> None:
        """Closes all windows that were kept."""
        for _, context in list(self._kept.values()):
            self.drop(context)

    def forget(self, name: str) -> None:
        """The person is signed in anew the next time."""
        self._sessions.pop(name, None)

    def mails(self, to: str, words: str) -> list[mailstore.StoredMail]:
        """What the SMTP server took for that person, newest first; the words are in each of them."""
        return mailstore.page(self.data / "mailbox", words=words, to=email(to)).mails

    def mail(self, to: str, words: str, within: float = 20) -> mailstore.StoredMail:
        """The newest such mail, as soon as there is one."""
        return until(lambda: self.mails(to, words), within)[0]

    def text_of(self, mail: mailstore.StoredMail) -> str:
        """The mail's text part in one line."""
        return " ".join(mailstore.bodies(self.data / "mailbox", mail.id)[0].split())

    @contextlib.contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.data / "countersign.db", timeout=10)
        try:
            with connection:
                yield connection
        finally:
            connection.close()


def email(first_name: str) -> str:
    return f"{first_name.lower()}@example.com"


def sign_in(page: Page, name: str) -> None:
    """By the form, from wherever it is shown."""
    if "/sign-in" not in page.url:
        page.goto("/sign-in")
    page.get_by_label("Email", exact=True).fill(email(name))
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/sign-in" not in url)


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Account menu").click()
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.wait_for_url("**/sign-in")


def open_mail(page: Page, site: Site, to: str, words: str) -> Page:
    """On the Mailbox page, as soon as the mail is there."""
    mail = site.mail(to, words)
    page.get_by_role("link", name="Mailbox", exact=True).click()
    page.get_by_role("combobox", name="To", exact=True).select_option(email(to))
    page.get_by_role("button", name="Search", exact=True).click()
    page.locator(f"a[href*='{mail.id}']").first.click()
    page.wait_for_url("**#mail")
    return page


def code_in(page: Page) -> str:
    """The six digits in the mail that the Mailbox shows."""
    body = page.frame_locator("iframe").locator("body")
    told = re.compile(r"Your approval code\s*(\d{6})\b")
    expect(body).to_contain_text(told)
    return told.search(body.text_content())[1]


def follow_link(page: Page) -> None:
    follow_in_mail(page, "Review request")
    page.wait_for_url("**/decide/*")


def card(page: Page, app: str) -> Locator:
    """The app's card in the catalog."""
    return page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=app, exact=True))


def tile(page: Page, app: str) -> Locator:
    """The app's tile on the dashboard."""
    return page.get_by_role("region", name="My apps").get_by_role("listitem").filter(has_text=app)


def pick(page: Page, id: str, words: str) -> None:
    """In the picker of that id the first who is found by these words, as somebody at the keyboard does it."""
    field = page.locator(f"[id='{id}']")
    field.fill(words)
    expect(page.locator(f"[id='{id}-list'] [role=option]").first).to_contain_text(words)
    field.press("Enter")


def request_of(page: Page, app: str) -> Locator:
    """The newest request for the app in a list of mine."""
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=app, exact=True)).first


def forget_everything(context: BrowserContext) -> None:
    """The window is as if it had just been opened: an empty page, nothing stored, nothing routed."""
    page = context.pages[0]
    page.unroute_all()
    with contextlib.suppress(Error):  # an empty page has no storage
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.goto("about:blank")


def start(stack: Stack) -> None:
    """A machine that runs other tests beside takes its time."""
    stack.start(wait=False)
    try:
        until(lambda: "Countersign runs at" in stack.output() or stack.process.poll() is not None, within=120)
        assert stack.process.poll() is None, stack.output()
        # The demo's own emails: a test that waits for an email would take one of them for it.
        mailstore.empty(stack.data / "mailbox")
    except BaseException:
        stack.stop()
        raise


class Shared:
    """One stack for all processes of a test run: the first starts it, the last one out stops it."""

    def __init__(self) -> None:
        run = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
        name = hashlib.sha256(run.encode()).hexdigest()[:10]
        self.folder = Path(tempfile.gettempdir()) / f"countersign-browser-{name}"

    def join(self) -> Site:
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with self._turn():
            self._users = os.open(self.folder / "users", os.O_RDWR | os.O_CREAT, 0o600)
            # Held as long as we use the stack. It goes with us even when we are killed.
            fcntl.flock(self._users, fcntl.LOCK_SH)
            os.set_inheritable(self._users, False)
            known = self.folder / "stack.json"
            if not known.exists():
                stack = Stack(self.folder / "data", COUNTERSIGN_DEMO="1")
                start(stack)
                known.write_text(json.dumps({"port": stack.port, "pid": stack.process.pid, "log": str(stack.log)}))
                self._process = stack.process
            facts = json.loads(known.read_text())
        self._pid = facts["pid"]
        return Site(f"http://127.0.0.1:{facts['port']}", self.folder / "data", Path(facts["log"]))

    def leave(self) -> None:
        with self._turn():
            fcntl.flock(self._users, fcntl.LOCK_UN)
            try:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                last = False
            else:
                last = True
                self._stop()
            os.close(self._users)
        if hasattr(self, "_process"):
            # Ours to wait for, whoever stops it.
            self._process.wait(60)
        if last:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGTERM)
            with open(self.folder / "data" / "lock") as lock:
                until(lambda: _is_free(lock), within=30)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with open(self.folder / "turn", "a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            yield


def _is_free(lock: TextIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
