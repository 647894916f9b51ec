"""Hostile words through every field, and what a real browser, a mail, the CSV and the log make of them."""

from __future__ import annotations

import io
import logging
import re
from datetime import timedelta
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from flask import Flask
from playwright.sync_api import Browser as Chromium
from sqlalchemy import select
from werkzeug.exceptions import HTTPException

from tests.conftest import Browser
from tests.helpers import factories, lookups
from tests.helpers.pages import question
from tests.helpers.smtp_server import SmtpServer
from webapp import clock, links
from webapp.extensions import db, limiter
from webapp.models import AccessRequest, App, EntitlementField, Grant, Person
from webapp.operations import _repeat_limits, directories, endpoints, providers, tokens
from webapp.runtime import jsonlog
from webapp.text import clean, one_line
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Approver, Policy, StepRule
from webapp.workflow.states import Visibility

from .corpus import ADDRESSES as ADDRESSES
from .corpus import corpus as corpus
from .findings import (
    Findings,
    look_at_log,
    look_at_mails,
    look_at_mails_in_a_browser,
    look_at_table,
    look_at_texts,
    look_in_a_browser,
)
from .installation import send
from .robots import Sight


def throw(app: Flask, company: factories.Company, words: list[str], smtp: SmtpServer, chromium: Chromium | None,
          address: str) -> Findings:  # fmt: skip
    """Each payload through every field; then everything is looked at."""
    for one in vars(company).values():
        db.session.refresh(one)
    db.session.expunge_all()  # they stay as they are, whatever session ends meanwhile
    found = Findings(len(words))
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log = io.StringIO()
    jsonlog.configure(stream=log)
    limiter.enabled = False
    try:
        talk, *others = _type_everywhere(app, company, words, found)
        send()
        found.mails = len(smtp.mails)
        look_at_mails(smtp, found)
        admin, rita = Browser(app, company.adam), Browser(app, company.rita)
        look_at_texts(rita, talk, words, found)
        look_at_table(admin, found)
        paths = {
            company.rita: ["/", "/catalog", "/requests", "/search?q=e", talk],
            company.ana: ["/", "/approvals", talk.replace("/requests", "/approvals"), "/approvals/decided"],
            company.adam: ["/admin/apps", "/admin/people", "/admin/groups", "/admin/requests", "/admin/mail",
                           "/admin/organisation", "/admin/sign-in", "/admin/audit", "/mailbox", "/search?q=e", *others],
        }  # fmt: skip
        if chromium is not None:
            for person, some in paths.items():
                look_in_a_browser(app, chromium, address, person, some, found)
            look_at_mails_in_a_browser(chromium, smtp, found)
    finally:
        limiter.enabled = True
        root.handlers[:] = handlers
        root.setLevel(level)
    look_at_log(log, found)
    return found


# Fields that have their present value in the tag itself, or in the option that is selected.
ONE_LINE = ("hidden", "text", "email", "select")


class _Hand:
    """Types a payload into forms, and keeps which fields of which routes it was typed into."""

    def __init__(self, app: Flask, company: factories.Company, found: Findings) -> None:
        self.app, self.company, self.found = app, company, found
        self._people: dict[str, Browser] = {}
        self.word, self.htmx = "", False

    def takes(self, word: str, number: int) -> None:
        self.word = word
        # Every other word goes as htmx sends a form: a refusal is then drawn as a part of the page.
        self.htmx = number % 2 == 1
        if number % 50 == 0:  # changing rules and people needs a password of the last quarter of an hour
            people: dict[str, Person | None] = {name: getattr(self.company, name) for name in ("adam", "rita", "ana")}
            self._people = {name: Browser(self.app, one) for name, one in (people | {"nobody": None}).items()}

    def post(self, who: str, path: str, *, htmx: bool = False, **form: Any) -> Any:
        return self._told("POST", path, form, self._people[who].post(path, form, htmx=htmx))

    def get(self, path: str, *names: str, **fixed: str) -> None:
        words = dict.fromkeys(names, self.word[:300])
        self._told("GET", path, words, self._people["adam"].get(path, query_string=words | fixed))

    def question(self, page: str) -> str:
        """Which question an admin's dialog asks."""
        return question(self._people["adam"].get(page))

    def fill(self, page: str, action: str, **typed: str) -> None:
        """An admin's form as the page has it now, with these words in it."""
        self.fill_each(page, (action, typed))

    def fill_each(self, page: str, *forms: tuple[str, dict[str, str]]) -> None:
        """Forms of one page that do not change each other: the words for the first that goes to such an address."""
        shown = [form for form in Sight(self._people["adam"].get(page).text).forms if form.method == "POST"]
        for action, typed in forms:
            form = next((one for one in shown if re.search(f"{action}$", urlsplit(one.action).path)), None)
            if form is None:
                self.found.wrong.append(f"{page} has no form for {action}")
                continue
            kept: dict[str, Any] = {}
            for name, kind, value in form.fields:
                if name and kind in ONE_LINE:
                    kept.setdefault(name, []).append(value)  # a field may be there several times
            self.post("adam", form.action.partition("#")[0], htmx=self.htmx, **kept | typed)

    def _told(self, method: str, path: str, form: dict[str, Any], answer: Any) -> Any:
        self.found.statuses[answer.status_code] += 1
        if rule := rule_of(self.app, path, method):
            self.found.fields |= {
                (rule, name) for name, value in form.items() if isinstance(value, str) and value and value in self.word
            }
        # Refused as a stale form, or at the door, a payload would be looked at by nobody; but for forms that carry only
        # what we have sealed.
        refused = answer.status_code in (401, 403, 405, 409) and path not in SEALED
        if answer.status_code >= 500 or refused:
            self.found.wrong.append(f"{path} answers {answer.status_code} to {form!r:.200}")
        return answer


# What these forms carry was sealed by us: other words are what a stale form has.
SEALED = ("/account/security/authenticator", "/account/security/recovery-codes")


def rule_of(app: Flask, path: str, method: str) -> str:
    """The route behind an address; "" when there is none."""
    try:
        rule, _ = app.url_map.bind("localhost").match(urlsplit(path).path, method=method, return_rule=True)
    except HTTPException:
        return ""
    return str(rule.rule)


# One person types all of it, much more than people may in a day.
@mock.patch.object(tokens, "COUNT_LIMIT", 10**6)
@mock.patch.object(endpoints, "COUNT_LIMIT", 10**6)
@mock.patch.object(providers, "COUNT_LIMIT", 10**6)
@mock.patch.object(providers, "ROWS_LIMIT", 10**6)
@mock.patch.object(directories, "DIRECTORIES_LIMIT", 10**6)
@mock.patch.multiple(
    _repeat_limits, COMMENTS_AN_HOUR=10**6, REQUESTS_A_DAY=10**6, SAME_APP_A_DAY=10**6, LINKS_AN_HOUR=10**6
)
def _type_everywhere(app: Flask, company: factories.Company, words: list[str], found: Findings) -> list[str]:
    """The addresses where it can be read; the first is of the request that has every payload as a comment."""
    talk = f"/requests/{factories.request(company.rita, factories.app('CommentThread', company.ana)).public_id}"
    group = f"/admin/groups/{company.finance.public_id}"
    ben = f"person:{company.ben.public_id}"
    provider = f"/admin/sign-in/{factories.provider(company.adam).public_id}"
    hand = _Hand(app, company, found)
    read = [talk]
    for number, one in enumerate(words):
        # A lone surrogate cannot be sent by a form; what a browser would send in its place can.
        word = one.encode("utf-8", "replace").decode()
        hand.takes(word, number)
        hand.post("rita", f"{talk}/comments", comment=word)
        _at_the_door(hand, company, word)
        _people_and_groups(hand, company, group, word, number)
        _organisation(hand)
        _programs(hand, company, number)
        _sign_in(hand, company, provider, number)
        name = one_line(word)[:60] or "-"
        field = Entitlement("f", "Field", "text", requester=Visibility.WRITE)
        step = StepRule(Approver(person=company.ana.id), None, {"f": Visibility.WRITE})
        wanted = factories.app(f"{name} {number}", policy=Policy(steps=(step,), entitlements=(field,)),
                               description=clean(word)[:500], category=name)  # fmt: skip
        page = f"/admin/apps/{wanted.public_id}"
        _rules(hand, company, page, word)
        for path in ("/admin/requests", f"{page}/requests"):
            hand.get(path, "q")
            hand.get(path, "q", "person", "approver", "since", "until")
        hand.get("/admin/audit", "who", "person", "since", "until")
        hand.get("/admin/mail", "q", "since", "until")
        for path in ("/search", "/catalog", "/admin/apps", "/admin/people", "/admin/groups"):
            hand.get(path, "q")
        hand.get(f"{page}/people", "q")
        hand.get(group, "who")
        _pickers(hand, company, page, group)
        _access(hand, company, wanted, page, word)
        asked = hand.post("rita", f"/catalog/{wanted.public_id}/request", message=word[:900], **{"field-f": word[:150]})
        if asked.status_code == 303:
            _ends(hand, company, db.session.query(AccessRequest).order_by(AccessRequest.id.desc()).first(), page, ben,
                  word, number % 5)  # fmt: skip
            if number % 10 < 2:
                read += [asked.headers["Location"], page, f"{page}/people", f"{page}/mails/denied"]
    return read


def _at_the_door(hand: _Hand, company: factories.Company, word: str) -> None:
    hand.post("nobody", "/sign-in", email=word, password="x", next=word)
    hand.post("nobody", "/sign-in", email="rita@example.com", password=word)
    hand.post("nobody", "/password/forgot", email=word)
    hand.post("rita", "/account/time-zone", time_zone=word)
    hand.post("rita", "/account/security/authenticator", setup=word, code=word)
    hand.post("rita", "/account/security/recovery-codes", was=word)
    hand.post("rita", "/account/security/passkeys/options")
    hand.post("rita", "/account/security/passkeys", name=word, credential=word)
    hand.post("nobody", "/sign-in/passkey/options")
    hand.post("nobody", "/sign-in/passkey", credential=word, next=word)
    hand.post("nobody", "/sign-in/code", code=word, recovery=word, next=word)
    hand.post("rita", "/account/password", current=word, password=word, again=word, username=word)
    otto = db.session.get_one(Person, company.otto.id, populate_existing=True)
    path = f"/password/{links.password_token(otto.public_id, otto.password_round)}"
    db.session.rollback()
    hand.post("nobody", path, password=word, again=word, username=word)
    hand.post("nobody", "/sign-out")


def _people_and_groups(hand: _Hand, company: factories.Company, group: str, word: str, number: int) -> None:
    hand.post("adam", "/admin/groups", name=word)
    hand.fill(f"{group}/name", "/name", name=word)
    hand.post("adam", "/admin/people", name=word, email=word, about=word)
    hand.post("adam", "/admin/people", name=word, email=f"p{number}@example.com", about=word)
    chloe = f"/admin/people/{company.chloe.public_id}"
    hand.post("adam", "/admin/directory/csv/import", name=word)
    hand.post("adam", f"{chloe}/manager", manager=word, was="")
    hand.fill(chloe, "/department", department=word)
    details = f"{chloe}/details"
    for name in ("name", "about", "email"):
        hand.fill(details, "/details", **{name: word})


def _organisation(hand: _Hand) -> None:
    for name in ("name", "sender", "outcome_domains", "time_zone"):
        hand.fill("/admin/organisation", "/organisation", **{name: hand.word})
    send()  # with this name as their sender


def _programs(hand: _Hand, company: factories.Company, number: int) -> None:
    """Tokens, a terminal's code, webhooks and chat: each field by itself, with good words in the others."""
    for who, path in (("rita", "/account/tokens"), ("adam", "/admin/api/tokens")):
        good = {
            "name": f"t{number}",
            "scopes": "requests:read",
            "ends": (clock.now() + timedelta(9)).date().isoformat(),
        }
        for name in ("name", "networks", "ends"):
            hand.post(who, path, **good | {name: hand.word})
    hand.post("adam", "/admin/api/leak", leaked=hand.word)
    hand.get("/device", "code")
    chat = {"kind": "slack", "name": f"#c{number}", "address": "https://hooks.slack.com/services/T/B/x",
            "events": "results", "whom": f"person:{company.ana.public_id}"}  # fmt: skip
    for name in ("name", "address", "whom", "q"):
        hand.post("adam", "/admin/chat", **chat | {name: hand.word})
    hand.post("adam", "/admin/chat", **chat, find="1", q=hand.word)
    hook = {"name": f"h{number}", "address": "https://ledger.example.com/", "every": "1"}
    for name in ("name", "address", "apps", "q", "category"):
        hand.post("adam", "/admin/webhooks", **hook | {name: hand.word})
    hand.post("adam", "/admin/webhooks", **hook, find="1", q=hand.word)
    for name in ("kind", "topic", "channel"):
        hand.get("/admin/chat/preview", name)
    hand.post("adam", "/admin/directory", name=hand.word)


def _sign_in(hand: _Hand, company: factories.Company, provider: str, number: int) -> None:
    """Providers of single sign-on: each field by itself."""
    good = {"name": f"p{number}", "issuer": f"https://p{number}.example.com", "client_id": "c", "client_secret": "s"}
    for name in good:
        hand.post("adam", "/admin/sign-in", **good | {name: hand.word})
    for name in ("name", "issuer", "client_id", "client_secret", "secret_ends_on", "scopes", "acr_values"):
        more = {"client_secret": "new"} if name == "secret_ends_on" else {}
        hand.fill(provider, provider, **more | {name: hand.word})
    for name in ("domains", "groups_claim", "default_group"):
        hand.fill(provider, f"{provider}/people", **{name: hand.word})
    for name in ("value", "group"):
        hand.post("adam", f"{provider}/groups", **{"value": "x", "group": company.finance.public_id, name: hand.word})


def _rules(hand: _Hand, company: factories.Company, page: str, word: str) -> None:
    """Each field of an app's page by itself, so that one that is refused does not keep the others out."""
    hand.post("adam", "/admin/apps", name=word)
    key = page.rpartition("/")[2]
    hand.post("adam", f"{page}/steps/new", step=word)
    hand.post("adam", f"{page}/steps/1/approver", approver=word)
    # One of each kind, so that each kind of default gets it, too.
    hand.post("adam", f"{page}/fields", name=word, kind="text")
    hand.post("adam", f"{page}/fields", name="A choice", kind="choice", options=word)
    for kind in ("text", "number", "yes_no", "choices"):
        hand.post("adam", f"{page}/fields", name=f"A {kind}", kind=kind, options="A\nB" if kind == "choices" else "")
    db.session.rollback()
    ids = db.session.scalars(select(EntitlementField.public_id).join(App).where(App.public_id == key)).all()
    db.session.rollback()
    hand.fill_each(
        page,
        *((f"/details/{name}", {name: word}) for name in ("description", "category", "launch_url", "name")),
        ("/note", {"note": word}),
        (r"/apps/\w+/time-limit", {"days": word}),
        ("/steps/[^/]+/time-limit", {"days": word}),
        *((f"/outcomes/{state}/words", {"words": word}) for state in ("approved", "denied", "expired")),
        *((f"/outcomes/{state}/others", {"add": word}) for state in ("approved", "denied", "expired")),
        ("/outcomes/denied/reasons", {"add": word}),
        *((f"/fields/{id}/default", {"default": word}) for id in ids),
        *((rf"/fields/\w+/{name}", {name: word}) for name in ("options", "help", "name")),
    )


def _pickers(hand: _Hand, company: factories.Company, page: str, group: str) -> None:
    """What is typed to find people and groups: the search of each form without JavaScript, and the list with it."""
    for pick in ("owner", "audience", "step", f"approver-{company.ana.public_id}"):
        hand.get(page, "q", pick=pick)
    for path in (f"{page}/grants/new", f"{page}/mails/denied", f"{page}/what-would-happen", group):
        hand.get(path, "q", pick="person")
    hand.get(f"/admin/people/{company.chloe.public_id}/reporting", "q", pick="manager")
    for kind in ("step", "approver", "owner", "decider", "audience", "person", "manager", "apps", "whom"):
        hand.get("/admin/choices", "q", field=kind)


def _access(hand: _Hand, company: factories.Company, wanted: App, page: str, word: str) -> None:
    """Access that an admin grants and removes, with the field and the reason each by itself."""
    ben, chloe = (f"person:{one.public_id}" for one in (company.ben, company.chloe))
    given = f"{page}/grants/new?person="
    hand.fill(given + ben, "/grants", reason=word[:450])
    hand.fill(given + chloe, "/grants", reason="For the tests.", **{"field-f": word[:150]})
    hand.fill(given + chloe, "/grants", reason="For the tests.")
    held = select(Grant.public_id).where(Grant.app_id == wanted.id, Grant.person_id == company.ben.id)
    for grant in db.session.scalars(held).all():
        db.session.rollback()
        hand.post("adam", f"{page}/grants/{grant}/removal", reason=word[:450])
    home = f"/admin/people/{company.chloe.public_id}"
    hand.fill(f"{home}/grants/removal", "/grants/removal", reason=word[:450])
    hand.fill(given + chloe, "/grants", reason="For the tests.")
    hand.fill(f"{home}/deactivation", "/deactivation", remove="1", reason=word[:450])
    active = db.session.scalar(select(Person.active).where(Person.id == company.chloe.id))
    db.session.rollback()
    if not active:  # the reason may have been refused
        hand.post("adam", f"{home}/reactivation")


def _ends(hand: _Hand, company: factories.Company, made: Any, page: str, ben: str, word: str, way: int) -> None:
    """What people write when they end a request, in one of five ways."""
    path, words = f"/requests/{made.public_id}", word[:900]
    if way == 0:
        denied = hand.post("ana", f"{path}/denial", reason=words, comment=words)
        if denied.status_code != 303:  # the reason was refused
            return
        again = hand.post("rita", page.replace("/admin/apps", "/catalog") + "/request", message="Once more, please.")
        if again.status_code == 303:
            hand.post("rita", f"{again.headers['Location']}/cancellation", reason=words[:450])
    elif way == 1:
        hand.post("adam", f"/admin{path}/reassignment", q=word, reason=words, decider=ben)
        hand.post("adam", f"/admin{path}/extension", days=word, reason=words)
        hand.post("adam", f"/admin{path}/extension", days="30", reason=words)
        hand.post("adam", f"/admin{path}/cancellation", reason=words)
    elif way == 2:
        link, code = lookups.link(made, company.ana), lookups.code(made, company.ana)
        hand.post("nobody", f"{link}/denial", code=code, reason=" ", comment=words)
        hand.post("nobody", f"{link}/approval", code=word[:50], reason=words, **{"field-f": word[:150]})
        hand.post("nobody", f"{link}/approval", code=code, comment=words, **{"field-f": word[:150]})
        for grant in db.session.query(Grant).filter(Grant.request_id == made.id).all():
            home = f"/admin/people/{company.rita.public_id}/grants/{grant.public_id}"
            db.session.rollback()
            hand.post("adam", f"{home}/removal", reason=words)
    elif way == 3:
        hand.post("ana", f"{path}/approval", comment=words, reason=words, **{"field-f": word[:150]})
        hand.post("rita", page.removeprefix("/admin") + "/return", reason=words[:450])
    else:
        hand.post("adam", f"{page}/archive", asked=hand.question(f"{page}/archive"), pending="cancel", why=words)
