"""What mail scanners do with a link: by plain HTTP, and in a real browser that runs scripts."""

from __future__ import annotations

import http.client
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.cookies import SimpleCookie
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Error as BrowserError
from playwright.sync_api import Page

# As a program fills in what it does not understand. No six digits: see `types_six_digits`.
JUNK = {"email": "scan@example.com", "password": "Passw0rd!Passw0rd!", "textarea": "Looks good to me", "": "test"}
LINK_ENDINGS = (
    "?", "?utm_source=mail&utm_medium=scanner", "?code=123456", "?approve=1&verdict=approved", "?_method=POST",
    "?next=//evil.example", "?step=1&comment=ok&code=000000&remember=1", "?" + "x" * 3000, "?a=%00%ff%0d%0aX:1",
)  # fmt: skip


@dataclass
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: str


@dataclass
class Form:
    """One form of a page: its method and action, its fields as they stand, and what its buttons do."""

    method: str
    action: str
    id: str = ""
    fields: list[tuple[str, str, str]] = field(default_factory=list)  # name, kind, value
    buttons: list[tuple[str, str, str]] = field(default_factory=list)  # action, name, value

    def filled(self, junk: bool) -> dict[str, str]:
        boxes = ("checkbox", "radio")
        return {
            name: JUNK.get(kind, JUNK[""]) if junk and kind != "hidden" and kind not in boxes else value or "1"
            for name, kind, value in self.fields
            if name and (junk or kind not in boxes)
        }


class Sight(HTMLParser):
    """The forms of a page and every address in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.addresses: set[str] = set()
        self._elsewhere: list[tuple[str, tuple[str, str, str]]] = []  # fields that name their form by its id
        self._options: list[tuple[str, str, str]] | None = None  # the fields whose last one is a select still read
        self.feed(source)
        self.close()
        for id, one in self._elsewhere:
            for form in self.forms:
                if form.id == id:
                    form.fields.append(one)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.addresses |= {given[name] for name in ("href", "src", "action", "formaction", "hx-post") if name in given}
        if tag == "form":
            self.forms.append(Form(given.get("method", "get").upper(), given.get("action", ""), given.get("id", "")))
        elif not self.forms:
            return
        elif tag in ("input", "textarea", "select"):
            kind = given.get("type", "text") if tag == "input" else tag
            one = given.get("name", ""), kind, given.get("value", "")
            self._options = None
            if "form" in given:
                self._elsewhere.append((given["form"], one))
                return
            self.forms[-1].fields.append(one)
            if tag == "select":
                self._options = self.forms[-1].fields
        elif tag == "option" and self._options and "selected" in given:
            name, kind, _ = self._options[-1]
            self._options[-1] = name, kind, given.get("value", "")
        elif tag == "button":
            # Disabled ones as well: a program need not care.
            action = given.get("formaction") or self.forms[-1].action
            self.forms[-1].buttons.append((action, given.get("name", ""), given.get("value", "")))


class Robot:
    """A program of somewhere in 127.0.0.0/8, with cookies of its own and nobody's session."""

    networks: Iterator[str] = (f"127.{a}.{b}.7" for a, b in itertools.cycle(itertools.product(range(1, 250), repeat=2)))

    # What all of them were answered.
    statuses: ClassVar[Counter[int]] = Counter()

    def __init__(self, address: str, *, cookies: bool = True) -> None:
        self._host = urlsplit(address).netloc
        self._from = next(self.networks)
        self._keeps = cookies
        self._cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection(self._host, timeout=60, source_address=(self._from, 0))
        body = urlencode(form) if form is not None else None
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        content = answer.read().decode("utf-8", "replace")
        connection.close()
        self.statuses[answer.status] += 1
        if self._keeps:
            for line in answer.headers.get_all("Set-Cookie", ()):
                self._cookies |= {name: one.value for name, one in SimpleCookie(line).items()}
        return Answer(answer.status, answer.headers, content)

    def see(self, path: str) -> Sight:
        return Sight(self.ask("GET", path).body)


# ---------- By plain HTTP ----------


def heads(address: str, path: str) -> None:
    robot = Robot(address)
    for method in ("HEAD", "OPTIONS", "HEAD"):
        robot.ask(method, path)


def opens_it_again_and_again(address: str, path: str) -> None:
    for _ in range(3):
        robot = Robot(address)
        for agent in ("curl/8", "Mozilla/5.0 (Windows NT 10.0) SafeLinks", "facebookexternalhit/1.1"):
            robot.ask("GET", path, **{"User-Agent": agent})


def adds_parameters(address: str, path: str) -> None:
    robot = Robot(address)
    for ending in LINK_ENDINGS:
        robot.ask("GET", path + ending)


def opens_every_address(address: str, path: str) -> None:
    """What the page points to, by GET and HEAD, the addresses of its forms too."""
    robot = Robot(address)
    for found in robot.see(path).addresses:
        if found.startswith("/") and not found.startswith("//"):
            robot.ask("GET", found)
            robot.ask("HEAD", found)


def _presses(address: str, path: str, *, junk: bool, htmx: bool = False) -> None:
    robot = Robot(address)
    headers = {"HX-Request": "true"} if htmx else {}
    for number, form in enumerate(robot.see(path).forms):
        for action, name, value in form.buttons or [(form.action, "", "")]:
            # The page anew each time: its token, and what it says by now.
            now = robot.see(path).forms
            sent = (now[number] if number < len(now) else form).filled(junk)
            robot.ask(form.method, action, sent | ({name: value} if name else {}), **headers)


def presses_every_button(address: str, path: str) -> None:
    _presses(address, path, junk=False)
    _presses(address, path, junk=False, htmx=True)


def fills_in_every_form(address: str, path: str) -> None:
    _presses(address, path, junk=True)


def posts_without_cookies(address: str, path: str) -> None:
    robot = Robot(address, cookies=False)
    for ending in ("", "/approval", "/denial", "/code"):
        robot.ask("POST", path + ending, {"code": "000000", "reason": "no"})
        robot.ask("PUT", path + ending, {"code": "000000"})


PLAIN: list[Callable[[str, str], None]] = [
    heads, opens_it_again_and_again, adds_parameters, opens_every_address, presses_every_button, fills_in_every_form,
    posts_without_cookies,
]  # fmt: skip


def types_six_digits(address: str, path: str) -> None:
    """Not a scanner that is known, but one that may come: types 111111 into the field and presses Approve six times."""
    robot = Robot(address)
    for _ in range(6):
        sent = robot.see(path).forms[0].filled(False)
        robot.ask("POST", f"{path}/approval", sent | {"code": "111111"})


# ---------- In a browser ----------


def looks(page: Page, url: str) -> None:
    page.goto(url)
    page.mouse.wheel(0, 2000)
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_load_state()


def submits_every_form(page: Page, url: str) -> None:
    """Each form as a script does it, without and with each of its buttons."""
    page.goto(url)
    for number in range(page.evaluate("document.forms.length")):
        buttons = page.evaluate("number => document.forms[number].querySelectorAll('button').length", number)
        for button in range(-1, buttons):
            page.goto(url)
            _and_wait(page, lambda number=number, button=button: page.evaluate(_SUBMIT, [number, button]))


_SUBMIT = """([number, button]) => {
    const form = document.forms[number];
    if (!form) return;
    for (const field of form.querySelectorAll("input:not([type=hidden]):not([type=checkbox]), textarea"))
        field.value = "test";
    if (button < 0) return form.submit();
    const one = form.querySelectorAll("button")[button];
    one.disabled = false;
    one.click();
}"""


def clicks_everything(page: Page, url: str) -> None:
    """Each button, link and summary with the mouse, after unfolding what is folded."""
    page.goto(url)
    things = "button, summary, a[href^='/'], [role=button], input[type=checkbox]"
    for number in range(page.locator(things).count()):
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        one = page.locator(things).nth(number)
        if one.count() and one.is_visible():
            _and_wait(page, lambda one=one: one.click(timeout=2000, force=True))


def _and_wait(page: Page, act: Callable[[], Any]) -> None:
    try:
        act()
        page.wait_for_load_state()
        page.wait_for_function("!document.querySelector('.htmx-request')", timeout=5000)
    except BrowserError:
        # It went elsewhere under our hands: what it did is looked at afterwards.
        page.wait_for_load_state()


IN_A_BROWSER: list[Callable[[Page, str], None]] = [looks, submits_every_form, clicks_everything]
