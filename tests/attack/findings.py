"""What came of hostile words: looked for in pages, in emails, in the table, in the log and in a browser."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from flask import Flask
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page
from sqlalchemy import select

from tests.conftest import Browser
from tests.helpers.chromium import close
from tests.helpers.skeleton import Skeleton
from tests.helpers.smtp_server import SmtpServer
from webapp.extensions import db
from webapp.models import App, Person
from webapp.text import clean

from .robots import Sight


@dataclass
class Findings:
    """What came of it; `wrong` in sentences, `statuses` of all that was posted."""

    payloads: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    pages: int = 0
    mails: int = 0
    cells: int = 0
    lines: int = 0
    # (route, field) of everything that a payload was typed into.
    fields: set[tuple[str, str]] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def look_at_texts(browser: Browser, talk: str, words: list[str], found: Findings) -> None:
    """Nothing is lost: what was written stands on the page, in one of its parts, as it was written, but for `clean`."""
    text, path = "", talk
    while path:
        source = browser.get(path).text
        text += "".join(Skeleton(source).texts)
        earlier = [one for one in Sight(source).addresses if one.startswith(f"{talk}?before=")]
        path = earlier[0].partition("#")[0] if earlier else ""
    for one in words:
        kept = clean(one.encode("utf-8", "replace").decode())
        if kept and len(kept) <= 1000 and kept not in text:
            found.wrong.append(f"not on the page: {kept!r:.200}")


def look_at_mails(smtp: SmtpServer, found: Findings) -> None:
    from tests.mail.test_hostile import HEADERS as KNOWN
    from tests.mail.test_hostile import Tags

    # What an admin gave as the link that opens an app: nobody else's words are ever a link.
    opening = {one for one in db.session.scalars(select(App.launch_url)) if one}
    db.session.rollback()
    for mail in smtp.mails:
        tags = Tags(mail.html)
        names = mail.message.keys()
        if not set(names) <= KNOWN or len(set(names)) != len(names) or len(mail.recipients) != 1:
            found.wrong.append(f"a mail with the headers {names}, to {mail.recipients}")
        if {"script", "img", "iframe", "svg", "form", "object"} & set(tags.tags):
            found.wrong.append(f"a mail with the tags {sorted(set(tags.tags))}")
        if any(name.startswith("on") for name in tags.attributes):
            found.wrong.append(f"a mail with the attributes {sorted(tags.attributes)}")
        if not all(where.startswith("http://localhost/") for where in set(tags.addresses) - opening):
            found.wrong.append(f"a mail that leads to {sorted(tags.addresses)}")


def look_at_table(admin: Browser, found: Findings) -> None:
    answer = admin.get("/admin/audit.csv", buffered=True)
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    for cell in itertools.chain.from_iterable(rows):
        found.cells += 1
        if cell[:1] in ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"):
            found.wrong.append(f"a cell that is a formula: {cell!r:.200}")
    if len({len(row) for row in rows}) != 1:
        found.wrong.append("rows of the table have different lengths")


def look_at_log(log: io.StringIO, found: Findings) -> None:
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


def look_in_a_browser(app: Flask, chromium: Chromium, address: str, person: Person, paths: list[str],
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
    close(context)


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
    close(context)
