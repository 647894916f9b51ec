"""Every route for every kind of person: what they may, what is refused, and how.

The table fails when a route has no row or a row no route. Who may do what does not depend on the database engine,
so this runs on SQLite, whose file is put back before each request.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.conftest import SQLITE, Browser, Engines
from tests.helpers import changes, factories, lookups
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.embedded import hookstore, mailstore
from webapp.extensions import broker, db
from webapp.models import Notice, Person, PersonSession
from webapp.operations import device_codes
from webapp.operations import endpoints as operations
from webapp.queries.endpoint_feed import secrets_of

ROLES = ("nobody", "outsider", "requester", "approver", "owner", "admin")
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Row:
    """One method of one route: where it is asked, with which form, and the status for each of ROLES in order."""

    method: str
    rule: str
    statuses: str
    at: str = ""
    form: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.method} {self.rule}"


def get(rule: str, statuses: str, at: str = "") -> Row:
    return Row("GET", rule, statuses, at or rule)


def post(rule: str, statuses: str, at: str = "", **form: str) -> Row:
    return Row("POST", rule, statuses, at or rule, form)


ANYONE = "200 200 200 200 200 200"
PEOPLE = "303 200 200 200 200 200"
OWNERS = "303 404 404 404 200 200"
ADMINS = "303 404 404 404 404 200"
ADMINS_GO = "303 404 404 404 404 303"
ADMINS_STALE = "303 404 404 404 404 409"
APP_OWNERS = OWNERS
APP_OWNERS_GO = "303 404 404 404 303 303"
APP_OWNERS_STALE = "303 404 404 404 409 409"

# ---------------------------------------------------- nobody outsider requester approver owner admin
TABLE = (
    # The process
    get("/healthz", ANYONE),
    get("/readyz", ANYONE),
    # The door
    get("/sign-in", "200 303 303 303 303 303"),
    post("/sign-in", "422 422 422 422 422 422"),
    post("/sign-out", "303 303 303 303 303 303"),
    get("/password/forgot", ANYONE),
    post("/password/forgot", "422 422 422 422 422 422"),
    get("/password/<token>", ANYONE, "/password/{password}"),
    post("/password/<token>", "422 422 422 422 422 422", "/password/{password}"),
    # The API: its calls are in tests/api/test_routes.py
    get("/api/docs", ANYONE),
    # The account
    get("/account", PEOPLE),
    get("/account/security", PEOPLE),
    get("/account/sessions", PEOPLE),
    post("/account/password", "303 422 422 422 422 422"),
    post("/account/time-zone", "303 303 303 303 303 303", time_zone="Europe/Paris"),
    post("/account/theme", "303 303 303 303 303 303", theme="dark"),
    post("/account/proof", "303 401 401 401 401 401"),
    post("/account/sessions/<public_id>/ending", "303 404 303 404 404 404", "/account/sessions/{session}/ending"),
    post("/account/sessions/ending", "303 303 303 303 303 303"),
    # Terminals that sign in
    get("/device", PEOPLE),
    get("/device/done", PEOPLE),
    post("/device/<code>/approval", "303 303 303 303 303 303", "/device/{device}/approval", scope="requests:read"),
    post("/device/<code>/denial", "303 303 303 303 303 303", "/device/{device}/denial"),
    get("/account/tokens", PEOPLE),
    get("/account/tokens/new", PEOPLE),
    post("/account/tokens", "303 200 200 200 200 200", name="phone", scopes="requests:read", ends="{soon}"),
    get("/account/tokens/<public_id>/ending", "303 404 200 404 404 404", "/account/tokens/{token}/ending"),
    post("/account/tokens/<public_id>/ending", "303 404 303 404 404 404", "/account/tokens/{token}/ending"),
    # The dashboard
    get("/", PEOPLE),
    get("/requests", PEOPLE),
    get("/search", PEOPLE, "/search?q=a"),
    get("/apps/<public_id>", "303 404 200 404 404 404", "/apps/{held}"),
    post("/apps/<public_id>/return", "303 404 303 404 404 404", "/apps/{held}/return"),
    get("/requests/<public_id>", "303 404 200 200 200 200", "/requests/{request}"),
    get("/requests/<public_id>/cancellation", "303 404 200 403 403 403", "/requests/{request}/cancellation"),
    post("/requests/<public_id>/cancellation", "303 404 303 403 403 403", "/requests/{request}/cancellation"),
    post("/requests/<public_id>/reminder", "303 404 303 403 403 403", "/requests/{request}/reminder"),
    post("/requests/<public_id>/comments", "303 404 303 303 303 303", "/requests/{request}/comments", comment="Hm."),
    get("/logo", "303 404 404 404 404 404"),
    # The catalog
    get("/catalog", PEOPLE),
    post("/catalog/<public_id>/grant", "303 303 303 303 303 303", "/catalog/{free}/grant"),
    get("/catalog/<public_id>/request", PEOPLE, "/catalog/{wanted}/request"),
    post("/catalog/<public_id>/request", "303 303 303 303 303 303", "/catalog/{wanted}/request", message="Please."),
    get("/apps/<public_id>/icon", ANYONE, "/apps/{wanted}/icon?v=0000000000000000"),
    # Approvals
    get("/approvals", PEOPLE),
    get("/approvals/decided", PEOPLE),
    get("/approvals/<public_id>", "303 404 200 200 200 200", "/approvals/{request}"),
    post("/requests/<public_id>/approval", "303 404 403 303 403 403", "/requests/{request}/approval"),
    post("/requests/<public_id>/denial", "303 404 403 303 403 403", "/requests/{request}/denial", reason="No."),
    get("/decide/<token>", ANYONE, "/decide/{link}"),
    post("/decide/<token>/approval", "422 403 403 303 403 403", "/decide/{link}/approval"),
    post("/decide/<token>/denial", "422 403 403 303 403 403", "/decide/{link}/denial", reason="No."),
    post("/decide/<token>/code", "200 403 403 200 403 403", "/decide/{link}/code"),
    # Admin
    get("/admin", "303 404 404 404 302 302"),
    get("/admin/first-steps", ADMINS),
    post("/admin/first-steps/hiding", ADMINS_GO),
    get("/admin/overview", OWNERS),
    get("/admin/apps", OWNERS),
    get("/admin/apps/new", ADMINS),
    post("/admin/apps", ADMINS_GO, name="Zoom"),
    get("/admin/apps/<public_id>", APP_OWNERS, "/admin/apps/{wanted}"),
    post("/admin/apps/<public_id>/details/<part>", APP_OWNERS_STALE, "/admin/apps/{wanted}/details/name", was="{}"),
    post("/admin/apps/<public_id>/icon", APP_OWNERS_STALE, "/admin/apps/{wanted}/icon", was="{}"),
    post("/admin/apps/<public_id>/picture", "303 404 404 404 422 422", "/admin/apps/{wanted}/picture"),
    post("/admin/apps/<public_id>/requestable", APP_OWNERS_GO, "/admin/apps/{wanted}/requestable", was="on"),
    post("/admin/apps/<public_id>/approval-required", APP_OWNERS_GO, "/admin/apps/{free}/approval-required", was="off"),
    post("/admin/apps/<public_id>/comment-required", APP_OWNERS_GO, "/admin/apps/{free}/comment-required", was="off"),
    post("/admin/apps/<public_id>/assurance", APP_OWNERS_GO,
         "/admin/apps/{wanted}/assurance", assurance="sign_in", was='{"assurance": "code"}'),
    post("/admin/apps/<public_id>/audience", APP_OWNERS_STALE, "/admin/apps/{wanted}/audience",
         audience="group:{group}"),
    post("/admin/apps/<public_id>/note", APP_OWNERS_GO, "/admin/apps/{wanted}/note",
         note="For us.", was='{"note": ""}'),
    post("/admin/apps/<public_id>/owner", ADMINS_STALE, "/admin/apps/{wanted}/owner"),
    post("/admin/apps/<public_id>/steps/<step_id>/approver", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/approver", approver="person:{invited}"),
    post("/admin/apps/<public_id>/steps/new", APP_OWNERS_GO, "/admin/apps/{wanted}/steps/new", step="person:{invited}"),
    post("/admin/apps/<public_id>/steps/order", APP_OWNERS_STALE, "/admin/apps/{wanted}/steps/order", order="x"),
    post("/admin/apps/<public_id>/steps/<step_id>/removal", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/removal"),
    post("/admin/apps/<public_id>/steps/<step_id>/time-limit", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/steps/x/time-limit", days="5"),
    post("/admin/apps/<public_id>/visibility", APP_OWNERS_GO, "/admin/apps/{wanted}/visibility"),
    get("/admin/apps/<public_id>/mails/<kind>", APP_OWNERS, "/admin/apps/{wanted}/mails/denied"),
    get("/admin/apps/<public_id>/mails/<kind>/body", APP_OWNERS, "/admin/apps/{wanted}/mails/denied/body"),
    post("/admin/apps/<public_id>/outcomes/<state>/<part>", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/outcomes/denied/words", words="No."),
    get("/admin/apps/<public_id>/what-would-happen", APP_OWNERS,
        "/admin/apps/{wanted}/what-would-happen?person=person:{invited}"),
    post("/admin/apps/<public_id>/rules", APP_OWNERS_STALE, "/admin/apps/{wanted}/rules", source="{free}"),
    get("/admin/apps/<public_id>/requests", APP_OWNERS, "/admin/apps/{asked}/requests"),
    get("/admin/apps/<public_id>/people", APP_OWNERS, "/admin/apps/{free}/people"),
    get("/admin/apps/<public_id>/people.csv", APP_OWNERS, "/admin/apps/{free}/people.csv"),
    get("/admin/apps/<public_id>/grants/new", APP_OWNERS, "/admin/apps/{free}/grants/new?person=person:{invited}"),
    post("/admin/apps/<public_id>/grants", APP_OWNERS_GO,
         "/admin/apps/{free}/grants", person="person:{invited}", rules="1", reason="New."),
    get("/admin/apps/<public_id>/grants/<grant_id>/removal", APP_OWNERS, "/admin/apps/{free}/grants/{grant}/removal"),
    post("/admin/apps/<public_id>/grants/<grant_id>/removal", APP_OWNERS_GO,
         "/admin/apps/{free}/grants/{grant}/removal", reason="Moved."),
    get("/admin/apps/<public_id>/archive", ADMINS, "/admin/apps/{wanted}/archive"),
    post("/admin/apps/<public_id>/archive", ADMINS_STALE, "/admin/apps/{wanted}/archive"),
    post("/admin/apps/<public_id>/restoration", "303 404 404 404 404 404", "/admin/apps/{wanted}/restoration"),
    post("/admin/apps/<public_id>/fields", APP_OWNERS_GO, "/admin/apps/{wanted}/fields", name="Role", kind="text"),
    post("/admin/apps/<public_id>/fields/order", APP_OWNERS_GO, "/admin/apps/{wanted}/fields/order", order=""),
    post("/admin/apps/<public_id>/fields/<field_id>/<part>", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/help", help="Ask."),
    post("/admin/apps/<public_id>/fields/<field_id>/archive", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/archive"),
    post("/admin/apps/<public_id>/fields/<field_id>/restoration", APP_OWNERS_STALE,
         "/admin/apps/{wanted}/fields/000000000000/restoration"),
    post("/admin/apps/<public_id>/time-limit", APP_OWNERS_GO,
         "/admin/apps/{wanted}/time-limit", days="5", was='{"days": "3"}'),
    get("/admin/choices", OWNERS, "/admin/choices?field=owner"),
    get("/admin/people", ADMINS),
    get("/admin/people/new", ADMINS),
    post("/admin/people", ADMINS_GO, name="Nils Holm", email="nils@example.com"),
    get("/admin/people/<public_id>", ADMINS, "/admin/people/{invited}"),
    get("/admin/people/<public_id>/details", ADMINS, "/admin/people/{invited}/details"),
    post("/admin/people/<public_id>/details", ADMINS_STALE, "/admin/people/{invited}/details", was="{}"),
    get("/admin/people/<public_id>/grants/<grant_id>/removal", ADMINS, "/admin/people/{member}/grants/{grant}/removal"),
    post("/admin/people/<public_id>/grants/<grant_id>/removal", ADMINS_GO,
         "/admin/people/{member}/grants/{grant}/removal", reason="Moved."),
    get("/admin/people/<public_id>/grants/removal", ADMINS, "/admin/people/{member}/grants/removal"),
    post("/admin/people/<public_id>/grants/removal", ADMINS_GO,
         "/admin/people/{member}/grants/removal", shown="{grant}", reason="Moved."),
    get("/admin/people/<public_id>/password-reset", ADMINS, "/admin/people/{member}/password-reset"),
    post("/admin/people/<public_id>/password-reset", ADMINS_GO, "/admin/people/{member}/password-reset"),
    post("/admin/people/<public_id>/sessions/ending", ADMINS_GO, "/admin/people/{requester}/sessions/ending"),
    post("/admin/people/<public_id>/admin", ADMINS_GO, "/admin/people/{invited}/admin", on="1", was="off"),
    get("/admin/people/<public_id>/deactivation", ADMINS, "/admin/people/{invited}/deactivation"),
    post("/admin/people/<public_id>/deactivation", ADMINS_GO, "/admin/people/{invited}/deactivation"),
    post("/admin/people/<public_id>/reactivation", ADMINS_GO, "/admin/people/{gone}/reactivation"),
    post("/admin/people/<public_id>/invitation", ADMINS_GO, "/admin/people/{invited}/invitation"),
    get("/admin/groups", ADMINS),
    get("/admin/groups/new", ADMINS),
    post("/admin/groups", ADMINS_GO, name="Legal"),
    get("/admin/groups/<public_id>", ADMINS, "/admin/groups/{group}"),
    get("/admin/groups/<public_id>/name", ADMINS, "/admin/groups/{group}/name"),
    post("/admin/groups/<public_id>/name", ADMINS_GO, "/admin/groups/{group}/name", name="Money", was="Finance"),
    get("/admin/groups/<public_id>/archive", ADMINS, "/admin/groups/{group}/archive"),
    post("/admin/groups/<public_id>/archive", ADMINS_GO, "/admin/groups/{group}/archive"),
    post("/admin/groups/<public_id>/members", ADMINS_GO, "/admin/groups/{group}/members", person="{invited}"),
    post(
        "/admin/groups/<public_id>/members/<person_id>/removal",
        ADMINS_GO,
        "/admin/groups/{group}/members/{member}/removal",
    ),
    get("/admin/requests", ADMINS),
    get("/admin/requests.csv", ADMINS),
    get("/admin/requests/<public_id>", ADMINS, "/admin/requests/{request}"),
    post("/admin/requests/<public_id>/cancellation", ADMINS_GO, "/admin/requests/{request}/cancellation", reason="No."),
    post("/admin/requests/<public_id>/reassignment", ADMINS_GO,
         "/admin/requests/{request}/reassignment", reason="Away.", decider="person:{invited}"),
    post("/admin/requests/<public_id>/extension", ADMINS_GO,
         "/admin/requests/{request}/extension", reason="Away.", days="30"),
    get("/admin/mail", ADMINS),
    get("/admin/mail/<public_id>", ADMINS, "/admin/mail/{notice}"),
    get("/admin/mail/<public_id>/body", ADMINS, "/admin/mail/{notice}/body"),
    post("/admin/mail/<public_id>/attempt", ADMINS_STALE, "/admin/mail/{notice}/attempt"),
    post("/admin/mail/attempts", ADMINS_GO),
    post("/admin/mail/test", ADMINS_GO),
    post("/admin/mail/<public_id>/sending", ADMINS_STALE, "/admin/mail/{notice}/sending"),
    post("/admin/mail/<public_id>/dropping", ADMINS_STALE, "/admin/mail/{notice}/dropping"),
    post("/admin/mail/held/sending", ADMINS_GO),
    post("/admin/mail/held/dropping", ADMINS_GO),
    get("/admin/audit", ADMINS),
    get("/admin/audit.csv", ADMINS),
    post("/admin/audit/verification", ADMINS_GO),
    get("/admin/organisation", ADMINS),
    post("/admin/organisation", ADMINS_STALE, was="{}"),
    post("/admin/organisation/logo", "303 404 404 404 404 422"),
    post("/admin/organisation/logo/removal", "303 404 404 404 404 303", was=""),
    get("/admin/api", ADMINS),
    post("/admin/api/people/<part>", ADMINS_GO, "/admin/api/people/days", days="30", was="90"),
    get("/admin/api/tokens", ADMINS),
    get("/admin/api/tokens/new", ADMINS),
    post("/admin/api/tokens", "303 404 404 404 404 200", name="Sync", scopes="people:read", ends="{soon}"),
    get("/admin/api/tokens/<public_id>", ADMINS, "/admin/api/tokens/{token}"),
    get("/admin/api/tokens/<public_id>/ending", ADMINS, "/admin/api/tokens/{token}/ending"),
    post("/admin/api/tokens/<public_id>/ending", ADMINS_GO, "/admin/api/tokens/{token}/ending"),
    post("/admin/api/leak", "303 404 404 404 404 422", leaked="csn_0000"),
    get("/admin/webhooks", ADMINS),
    get("/admin/webhooks/new", ADMINS),
    post("/admin/webhooks", "303 404 404 404 404 200", name="Ledger", address="https://ledger.example.com/", every="1"),
    get("/admin/chat", ADMINS),
    post("/admin/chat", ADMINS_GO, kind="slack", name="#it", address="https://hooks.slack.com/services/T/B/x",
         events="waiting"),
    get("/admin/endpoints/<public_id>", ADMINS, "/admin/endpoints/{endpoint}"),
    post("/admin/endpoints/<public_id>", ADMINS_STALE, "/admin/endpoints/{endpoint}", name="Ledger", was="{}"),
    post("/admin/endpoints/<public_id>/pause", ADMINS_GO, "/admin/endpoints/{endpoint}/pause"),
    post("/admin/endpoints/<public_id>/resumption", ADMINS_STALE, "/admin/endpoints/{endpoint}/resumption"),
    post("/admin/endpoints/<public_id>/test", ADMINS_GO, "/admin/endpoints/{endpoint}/test"),
    get("/admin/endpoints/<public_id>/removal", ADMINS, "/admin/endpoints/{endpoint}/removal"),
    post("/admin/endpoints/<public_id>/removal", ADMINS_GO, "/admin/endpoints/{endpoint}/removal"),
    post("/admin/endpoints/<public_id>/secrets", "303 404 404 404 404 200", "/admin/endpoints/{endpoint}/secrets"),
    post("/admin/endpoints/<public_id>/secrets/<secret_id>/ending", ADMINS_STALE,
         "/admin/endpoints/{endpoint}/secrets/{secret}/ending"),
    get("/admin/endpoints/<public_id>/deliveries/<delivery_id>", ADMINS,
        "/admin/endpoints/{endpoint}/deliveries/{delivery}"),
    post("/admin/endpoints/<public_id>/deliveries/<delivery_id>/sending", ADMINS_GO,
         "/admin/endpoints/{endpoint}/deliveries/{delivery}/sending"),
    # The Mailbox, which is there on a loopback address only
    get("/mailbox", ANYONE),
    get("/mailbox/<mail_id>", ANYONE, "/mailbox/{mail}"),
    get("/mailbox/<mail_id>/body", ANYONE, "/mailbox/{mail}/body"),
    get("/mailbox/<mail_id>/text", ANYONE, "/mailbox/{mail}/text"),
    post("/mailbox/emptying", "303 303 303 303 303 303"),
    # It takes what is signed with the secret of an endpoint.
    post("/webhook-viewer/in", "400 400 400 400 400 400"),
    get("/webhook-viewer", ANYONE),
    get("/webhook-viewer/<hook_id>", ANYONE, "/webhook-viewer/{hook}"),
    get("/webhook-viewer/<hook_id>/body", ANYONE, "/webhook-viewer/{hook}/body"),
    post("/webhook-viewer/emptying", "303 303 303 303 303 303"),
)  # fmt: skip

# What an admin may do with an older sign-in, too, and why. Anything else below /admin that changes something, and
# every table to take along, asks for a password given in the last 15 minutes.
WITHOUT_PASSWORD = {
    "POST /admin/api/tokens/<public_id>/ending": "takes rights away, and has to be quick",
    "POST /admin/endpoints/<public_id>/test": "a message that says that it is a test",
    "POST /admin/endpoints/<public_id>/deliveries/<delivery_id>/sending": "what was due to that system anyway",
    "POST /admin/api/leak": "takes rights away, and has to be quick",
    "POST /admin/first-steps/hiding": "a matter of taste",
    "POST /admin/mail/test": "a mail to oneself",
    "POST /admin/mail/<public_id>/attempt": "a mail that was due to that person anyway",
    "POST /admin/mail/attempts": "mails that were due to those people anyway",
    "POST /admin/mail/<public_id>/sending": "a mail that was due to that person anyway",
    "POST /admin/mail/<public_id>/dropping": "a mail that somebody has had already",
    "POST /admin/mail/held/sending": "mails that were due to those people anyway",
    "POST /admin/mail/held/dropping": "mails that people have had already",
    "POST /admin/audit/verification": "only reads, and writes down that it did",
}


# Of a call that came to the webhook viewer.
HEADERS = {"webhook-timestamp": "1796025858", "webhook-signature": "v1,mZ0t2c="}


class World:
    """A company with one of each, kept as a database file; and a browser for each role."""

    def __init__(self, app: Flask, data: Path) -> None:
        self.app, self.data = app, data
        self.ids: dict[str, str] = {}
        self.cookies: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        with app.app_context():
            choose("write")
            self._build()
            db.session.remove()
            db.engine.dispose()
        if (data / "test.db").exists():
            shutil.copy(data / "test.db", data / "routes.db")

    def _build(self) -> None:
        company = factories.company()
        factories.with_password(company.adam)
        owner, invited, gone = (factories.person(name) for name in ("Olga Petrova", "Nina Ferrari", "Gus Left"))
        factories.with_password(owner)
        changes.deactivate(gone, company.adam)
        wanted = factories.app("Benevity", company.ana, owner=owner)
        asked = factories.app("Salesforce", company.ana, owner=owner)
        free = factories.app("Apptio", owner=owner)
        grant = factories.grant(company.ben, free)
        held = factories.app("Workday")
        factories.grant(company.rita, held)
        factories.with_password(company.ben)
        made = factories.request(company.rita, asked)
        changes.shift("requests", "created_at", timedelta(hours=-25))
        changes.shift("notices", "created_at", timedelta(hours=-25))
        factories.with_icon(wanted, body=b"png", sha256="0" * 64)
        device, _ = device_codes.ask(name="laptop", scopes=["requests:read"], days=30, address="127.0.0.1",
                                     now=clock.now())  # fmt: skip
        db.session.commit()
        people = {
            "nobody": None,
            "outsider": company.otto,
            "requester": company.rita,
            "approver": company.ana,
            "owner": owner,
            "admin": company.adam,
        }
        self.ids = {
            "request": made.public_id,
            "wanted": wanted.public_id,
            "free": free.public_id,
            "held": held.public_id,
            "asked": asked.public_id,
            "group": company.finance.public_id,
            "member": company.ben.public_id,
            "invited": invited.public_id,
            "gone": gone.public_id,
            "requester": company.rita.public_id,
            "grant": grant.public_id,
            "session": factories.session_of(company.rita),
            "token": factories.token(company.rita).public_id,
            **self._endpoint(company.adam),
            "soon": (clock.now() + timedelta(days=20)).date().isoformat(),
            "notice": db.session.scalars(select(Notice.public_id).limit(1)).one(),
            "device": device.shown_code,
            "link": lookups.link(made, company.ana).removeprefix("/decide/"),
            "password": links.password_token(company.otto.public_id, company.otto.password_round),
        }
        for role, person in people.items():
            self._keep(role, Browser(self.app, person))
        for role in ("owner", "admin"):
            self._keep(f"stale {role}", Browser(self.app, people[role]))
            newest = db.session.query(PersonSession).order_by(PersonSession.id.desc()).first()
            newest.reauthenticated_at -= timedelta(minutes=16)
            db.session.commit()

    def _endpoint(self, admin: Person) -> dict[str, str]:
        endpoint = factories.webhook(admin)
        choose("write")
        made = operations.send_test(endpoint, actor=admin, now=clock.now())
        outbox.commit()
        return {
            "endpoint": endpoint.public_id,
            "secret": secrets_of(endpoint)[0].public_id,
            "delivery": made.public_id,
        }

    def _keep(self, role: str, browser: Browser) -> None:
        self.tokens[role] = browser.token()
        cookie = browser.client.get_cookie("countersign")
        assert cookie is not None
        self.cookies[role] = cookie.value

    def fresh(self) -> None:
        """Puts everything back as it was built."""
        with self.app.app_context():
            db.engine.dispose()
            broker().flushdb()
        for leftover in self.data.glob("test.db*"):
            leftover.unlink()
        shutil.copy(self.data / "routes.db", self.data / "test.db")
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = "c@example.com", "ana@example.com", "Rita asks"
        mail.set_content("See there.")
        hookstore.empty(self.data / "webhooks")
        self.ids["hook"] = hookstore.store(
            self.data / "webhooks", endpoint="Viewer", event="test", message_id="msg_1", headers=HEADERS,
            body='{"type":"test"}', seconds=0.1, secret="9fQ2",
        ).id  # fmt: skip
        mailstore.empty(self.data / "mailbox")
        self.ids["mail"] = mailstore.store(
            self.data / "mailbox", sender="c@example.com", recipients=["ana@example.com"], content=mail.as_bytes()
        )

    def view(self, row: Row) -> Any:
        endpoint, _ = self.app.url_map.bind("localhost").match(
            row.at.format(**self.ids).partition("?")[0], method=row.method
        )
        return self.app.view_functions[endpoint]

    def ask(self, row: Row, role: str, *, method: str = "", token: bool = True, **headers: str) -> Any:
        client = self.app.test_client()
        client.set_cookie("countersign", self.cookies[role])
        data = {
            key: re.sub(r"{(invited|free|grant|soon)}", lambda found: self.ids[found[1]], value)
            for key, value in row.form.items()
        }
        if token:
            data["csrf_token"] = self.tokens[role]
        method = method or row.method
        return client.open(
            row.at.format(**self.ids), method=method, data=data if method in UNSAFE else None, headers=headers,
            buffered=True,
        )  # fmt: skip


@pytest.fixture(scope="module")
def built(engines: Engines) -> World:
    app = engines.app(SQLITE)
    return World(app, app.extensions["settings"].data)


@pytest.fixture
def world(built: World) -> World:
    built.fresh()
    return built


def routes(app: Flask) -> dict[str, set[str]]:
    """ "rule" → the methods that somebody wrote a view for. Those for programs: tests/api/test_routes.py."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1"):
            continue
        found.setdefault(rule.rule, set()).update((rule.methods or set()) - {"HEAD", "OPTIONS"})
    return found


def test_every_route_has_a_row_and_every_row_a_route(world: World) -> None:
    there = {f"{method} {rule}" for rule, methods in routes(world.app).items() for method in methods}
    written = [row.name for row in TABLE]
    assert sorted(there - set(written)) == [], "these routes have no row in TABLE"
    assert sorted(set(written) - there) == [], "these rows have no route"
    assert len(written) == len(set(written))
    assert all(len(row.statuses.split()) == len(ROLES) for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_role_gets_what_the_table_says(world: World, row: Row) -> None:
    got = []
    for role in ROLES:
        if row.method in UNSAFE:
            world.fresh()
        answer = world.ask(row, role)
        got.append(str(answer.status_code))
        if role == "nobody" and world.view(row).audience != "anyone":
            assert answer.headers["Location"].startswith("/sign-in"), "shown the door"
        if row.method == "GET":
            head = world.ask(row, role, method="HEAD")
            assert (head.status_code, head.data) == (answer.status_code, b"")
    assert " ".join(got) == row.statuses


@pytest.mark.parametrize("row", [row for row in TABLE if row.method in UNSAFE], ids=lambda row: row.name)
def test_each_unsafe_route_refuses_a_missing_token_and_another_site(world: World, row: Row) -> None:
    before = (world.data / "test.db").read_bytes()
    for role in ("nobody", "requester", "approver", "admin"):
        assert world.ask(row, role, token=False).status_code == 400
        for site in ("cross-site", "same-site", "made up"):
            assert world.ask(row, role, **{"Sec-Fetch-Site": site}).status_code == 403
        bent = Row(row.method, row.rule, row.statuses, row.at, {**row.form, "csrf_token": world.tokens[role][::-1]})
        assert world.ask(bent, role, token=False).status_code == 400
    with world.app.app_context():
        db.engine.dispose()
    assert (world.data / "test.db").read_bytes() == before


# And outside of /admin.
WITH_PASSWORD = {"POST /account/tokens": "who has the token can act as the person, long after the browser is closed"}


def needs_recent_password(row: Row) -> bool:
    if row.name in WITH_PASSWORD:
        return True
    below = row.rule == "/admin" or row.rule.startswith("/admin/")
    gives_a_token = row.rule.startswith("/device/") and row.rule.endswith("/approval")
    changes = (below and row.method in UNSAFE) or gives_a_token
    return row.name not in WITHOUT_PASSWORD and (changes or row.rule.endswith(".csv"))


def asks_for_password(view: Any) -> bool:
    return hasattr(view, "requires_recent_password")


def test_what_changes_rules_or_people_or_exports_data_needs_a_recent_password(world: World) -> None:
    """The table has every route, so a new one below /admin is asked about here."""
    lacking = [row.name for row in TABLE if needs_recent_password(row) and not asks_for_password(world.view(row))]
    assert lacking == [], "put @require_recent_password under the audience, or the route into WITHOUT_PASSWORD"
    assert [row.name for row in TABLE if asks_for_password(world.view(row)) and not needs_recent_password(row)] == []
    assert set(WITHOUT_PASSWORD) <= {row.name for row in TABLE}


@pytest.mark.parametrize("row", [row for row in TABLE if needs_recent_password(row)], ids=lambda row: row.name)
def test_an_older_sign_in_is_asked_for_the_password_and_nothing_is_lost(world: World, row: Row) -> None:
    for role, expected in zip(ROLES[-2:], row.statuses.split()[-2:], strict=True):
        world.fresh()
        before = (world.data / "test.db").read_bytes()
        asked = world.ask(row, f"stale {role}")
        if expected == "404" and role == "owner":
            assert asked.status_code == 404, "no outsider learns that there is something"
            continue
        assert asked.status_code == 401 and "Confirm your password" in asked.text
        for name in row.form:
            assert f'type="hidden" name="{name}"' in asked.text
        with world.app.app_context():
            db.engine.dispose()
        assert (world.data / "test.db").read_bytes() == before
        if row.method in UNSAFE:
            right = Row(row.method, row.rule, "", row.at, {**row.form, "your_password": factories.PASSWORD})
            assert str(world.ask(right, f"stale {role}").status_code) == expected


def test_other_methods_are_refused_with_those_that_are_allowed(world: World) -> None:
    allowed = routes(world.app)
    for row in TABLE:
        for method in ("GET", *UNSAFE):
            if method in allowed[row.rule]:
                continue
            if any(_fits(one, row.rule) for one in allowed if method in allowed[one]):
                continue
            answer = world.ask(row, "admin", method=method)
            assert answer.status_code == 405, (method, row.rule)
            named = set(answer.headers["Allow"].split(", "))
            assert allowed[row.rule] <= named, row.rule
            assert method not in named


def _fits(rule: str, path: str) -> bool:
    """Whether the path is also one of the other rule: /password/forgot of /password/<token>."""
    parts, given = rule.split("/"), path.split("/")
    return len(parts) == len(given) and all(
        one.startswith("<") or one == two for one, two in zip(parts, given, strict=True)
    )


def test_what_is_nowhere_is_404_for_everybody(world: World) -> None:
    for role in ROLES:
        for path in ("/nothing", "/admin/nothing", "/requests/x/y/z", "/decide", "/decide/x/y", "/static/../wsgi.py"):
            answer = world.ask(Row("GET", path, "", path), role)
            assert answer.status_code == 404, path
