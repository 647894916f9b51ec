"""No page is wider than its window, whatever the names in it: words of eighty letters without a space, everywhere."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from flask_migrate import upgrade
from playwright.sync_api import Page
from werkzeug.serving import make_server

from tests.helpers import changes, factories, lookups
from tests.helpers.chromium import close
from tests.helpers.processes import free_port
from tests.helpers.route_table import ROLES, TABLE, Row
from webapp import clock, create_app, links
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.embedded import hookstore, mailstore
from webapp.extensions import db
from webapp.models import DeliveryTry, Notice, Organisation, Person
from webapp.operations import comments, directories, endpoints, grants, people, providers, requests
from webapp.passwords import hash_password
from webapp.workflow.actor import SYSTEM
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Verdict, Visibility

from .site import PASSWORD, Site, sign_in

# Wide letters, and none at which a browser would break a line.
W = "W" * 79
LONG = "Wm" * 40
WIDTHS = (320, 390, 768, 1280)
WHO = {"requester": "rita", "approver": "ana", "owner": "olga", "admin": "adam"}


class Long:
    """A company in which everything has a name of eighty letters."""

    def __init__(self, app: Flask, site: Site) -> None:
        self.app, self.site = app, site
        self.ids: dict[str, str] = {}
        with app.app_context():
            choose("write")
            upgrade()
            self._build()
            outbox.commit()
            db.engine.dispose()

    def _person(self, first: str, *, admin: bool = False) -> Person:
        now = clock.now()
        # The first word is what pages call them by; it is as long.
        person = people.create(email=f"{first}@{'d' * 60}.example.com" if first == "otto" else f"{first}@example.com",
                               name=f"{first.capitalize()}{W}"[:80] + f" {LONG}"[:40], about=LONG, actor=SYSTEM,
                               now=now, is_admin=admin)  # fmt: skip
        people.set_password(person.id, hash=hash_password(PASSWORD), round=0, now=now)
        outbox.commit()
        return person

    def _build(self) -> None:
        adam = self._person("adam", admin=True)
        rita, ana, olga, otto, ben = (self._person(one) for one in ("rita", "ana", "olga", "otto", "ben"))
        gone = self._person("gone")
        choose("write")
        invited = people.invite(email=f"{'i' * 60}@example.com", name=LONG, actor=adam, now=clock.now(), about=LONG)
        db.session.query(Organisation).one().name = LONG[:80]
        outbox.commit()
        changes.deactivate(gone, adam)
        finance, sales = factories.group(f"G{W}", ben, otto), factories.group(f"S{W}", olga, ana)
        write = Visibility.WRITE
        fields = (
            Entitlement("a", f"A{W}", "choice", (f"O{W}", f"P{W}"), requester=write, default=f"O{W}", help=LONG),
            Entitlement("b", f"B{W}", "choices", (f"O{W}", f"P{W}"), requester=write, default=[f"O{W}", f"P{W}"]),
            Entitlement("c", f"C{W}", "text", requester=write, default=LONG, help=LONG),
        )
        steps = tuple(
            StepRule(factories.approver(one), visibility=dict.fromkeys("abc", write)) for one in (ana, finance, sales)
        )
        rule = Policy(steps=steps, entitlements=fields)
        details = {"category": f"C{W}"[:80], "description": LONG * 2}

        def app(first: str, policy: Policy, owner):
            return factories.app(f"{first}{W}", policy=policy, owner=owner, **details)

        wanted, asked, other = app("W", rule, olga), app("A", rule, olga), app("X", rule, sales)
        free = app("F", Policy(approval_required=False, entitlements=fields), olga)
        grant = factories.grant(ben, free)
        given = {"a": [f"P{W}"], "b": [f"O{W}"], "c": [LONG]}
        made = factories.request(rita, asked, message=f"{LONG} {LONG}\n{LONG}", given=given)
        choose("write")
        comments.add(factories.case_of(made), actor=ana, body=LONG * 3, now=clock.now())
        outbox.commit()
        for one, verdict in ((factories.request(rita, wanted, message=LONG), Verdict.DENIED),
                             (factories.request(rita, other, message=LONG), Verdict.APPROVED)):  # fmt: skip
            factories.decide(one, ana, verdict, comment=LONG)
        choose("write")
        taken = factories.grant(rita, free)
        choose("write")
        grants.remove(db.session.merge(taken), actor=adam, reason=LONG * 2, now=clock.now())
        rule = factories.revision_of(free)
        grants.give(free, rule, person=otto, actor=adam, given=given, reason=LONG * 2, now=clock.now())
        requests.cancel(factories.case_of(factories.request(otto, asked, message=LONG)), actor=otto, reason=LONG,
                        now=clock.now())  # fmt: skip
        outbox.commit()
        held = app("H", Policy(approval_required=False, entitlements=fields), olga)
        factories.grant(rita, held)
        with db.session.no_autoflush:
            choose("write")
            dead = db.session.query(Notice).order_by(Notice.id).first()
            dead.state, dead.error, dead.settled_at = "dead", f"550 5.1.1 {LONG}", clock.now()
            db.session.commit()
        self.ids = {
            "request": made.public_id, "wanted": wanted.public_id, "free": free.public_id, "asked": asked.public_id,
            "group": finance.public_id, "member": ben.public_id, "invited": invited.public_id, "gone": gone.public_id,
            "requester": rita.public_id, "held": held.public_id, "grant": grant.public_id, "notice": dead.public_id,
            "link": lookups.link(made, ana).removeprefix("/decide/"),
            "password": links.password_token(otto.public_id, otto.password_round),
            "token": factories.token(rita, "requests:read", "decide", name=f"T{W}").public_id,
            "mail": self._mail(),
            "hook": hookstore.store(
                self.site.data / "webhooks", endpoint=LONG, event="request.approved", message_id=f"msg_{W}",
                headers={"webhook-timestamp": "1", "webhook-signature": f"v1,{LONG}"}, seconds=1.0, secret="9fQ2",
                body=f'{{"type": "x", "data": {{"request": {{"app": {{"name": "{LONG}"}}}}}}}}',
            ).id,
            **self._endpoint(adam),
            "provider": self._provider(adam),
            **self._directory(adam),
        }  # fmt: skip

    def _provider(self, admin: Person) -> str:
        """Switched off: at the door everybody signs in with a password."""
        made = factories.provider(admin, name=f"P{W[:50]}")
        choose("write")
        providers.switch(db.session.merge(made), on=False, actor=admin, now=clock.now())
        outbox.commit()
        return made.public_id

    def _directory(self, admin: Person) -> dict[str, str]:
        choose("write")
        made, _ = directories.create(name=f"D{W}", actor=admin, now=clock.now())
        outbox.commit()
        return {"directory": made.public_id}

    def _endpoint(self, admin: Person) -> dict[str, str]:
        endpoint = factories.webhook(admin, name=f"E{W}", address=f"https://{'h' * 60}.example.com/{'p' * 80}")
        choose("write")
        made = endpoints.send_test(endpoint, actor=admin, now=clock.now())
        db.session.flush()
        answer = f"503 {W}\n\n{LONG}"
        db.session.add(DeliveryTry(delivery_id=made.id, at=clock.now(), status=503, ms=1, answer=answer, error=LONG))
        outbox.commit()
        factories.webhook(admin, kind="slack", name=f"C{W}", address="https://hooks.slack.com/x")
        return {"endpoint": endpoint.public_id, "delivery": made.public_id}

    def _mail(self) -> str:
        content = f"From: {W} <c@example.com>\nTo: {W} <ana@example.com>\nSubject: {LONG}\n\n{LONG * 2}\n".encode()
        folder = self.site.data / "mailbox"
        folder.mkdir(exist_ok=True)
        return mailstore.store(folder, sender="c@example.com", recipients=["ana@example.com"], content=content)


@pytest.fixture(scope="module")
def long(tmp_path_factory) -> Iterator[Long]:
    port = free_port()
    data = tmp_path_factory.mktemp("long")
    environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(data), "PORT": str(port)}
    app = create_app(Settings.from_env(environment | {"COUNTERSIGN_DEMO": "0"}))
    company = Long(app, Site(f"http://127.0.0.1:{port}", data, data / "log"))
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield company
    server.shutdown()
    thread.join()
    server.server_close()


def pages(company: Long, role: str) -> list[str]:
    """The addresses that the table of routes says this role may read."""
    place = ROLES.index(role)
    rows: list[Row] = [one for one in TABLE if one.method == "GET" and one.statuses.split()[place] == "200"]
    return [one.at.format_map(company.ids | {"session": ""}) for one in rows]


# What a page draws only when it is asked to.
MORE = {
    "requester": ["/catalog?q=WWWW", "/?q=WWWW"],
    "approver": ["/approvals"],
    "owner": ["/admin/apps/{free}/grants/new?who=w", "/admin/overview?app={asked}"],
    "admin": ["/admin/apps/{free}/people?q=w", "/admin/apps?state=archived", "/admin/audit?q=w",
              "/admin/mail?state=dead", "/admin/people/{member}/grants/removal", "/admin/groups/{group}?who=w",
              "/admin/people?q=zzz" + "W" * 80],
}  # fmt: skip

# Widths of the parts that stick out, to say where to look.
STICKING = """() => {
    const out = (one) => {
        const at = one.getBoundingClientRect();
        return at.width && (at.right > innerWidth + 1 || at.left < -1);
    };
    const cut = (one) => ["auto", "hidden", "clip", "scroll"].includes(getComputedStyle(one).overflowX);
    const seen = (one) => {
        for (let up = one.parentElement; up && up !== document.body; up = up.parentElement) if (cut(up)) return false;
        return true;
    };
    return [...document.querySelectorAll("body *")].filter((one) => out(one) && seen(one)).slice(0, 4)
        .map((one) => `${one.tagName}.${one.className} ${Math.round(one.getBoundingClientRect().right)}`);
}"""


def too_wide(page: Page, address: str) -> list[str]:
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            found.append(f"{width} {address}: {page.evaluate('document.scrollingElement.scrollWidth')} px,"
                         f" {page.evaluate(STICKING)}")  # fmt: skip
    return found


@pytest.mark.slow
@pytest.mark.parametrize("role", list(WHO))
def test_no_page_scrolls_sideways(long: Long, chromium, role: str) -> None:
    context = chromium.new_context(base_url=long.site.address, reduced_motion="reduce")
    page = context.new_page()
    sign_in(page, WHO[role])
    found = []
    for address in dict.fromkeys([*pages(long, role), *(one.format_map(long.ids) for one in MORE[role])]):
        answer = context.request.get(address)
        if "<title>" not in answer.text():  # a table to take along, or a part of a page
            continue
        page.goto(address)
        found += too_wide(page, address)
    close(context)
    assert found == [], "\n".join(found)
