"""Every call of the API with every kind of token: what it may, and what is refused.

The table fails when a call has no row or a row no call. Who may do what does not depend on the database engine, so this
runs on SQLite, whose file is put back before each call.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from tests.api.conftest import Program, new_token
from tests.conftest import SQLITE, Engines
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.api._operation import OPERATIONS
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db
from webapp.models import ApiToken, Endpoint, EndpointSecret, Notice
from webapp.operations import device_codes, endpoints, entitlements
from webapp.tokens import digest

# Whose token it is; "service" has no person, "unscoped" is the admin's with a scope of a newer version only.
ROLES = ("nobody", "unscoped", "outsider", "requester", "approver", "owner", "admin", "service")


@dataclass(frozen=True)
class Row:
    """One call: its operation ("GET /requests/{request}"), the address and body that are sent, with names of
    `World.ids` in braces, and the status for each of ROLES in order. `match`: the address whose ETag is sent as
    If-Match, as this token reads it."""

    name: str
    statuses: str
    at: str = ""
    body: Any = None
    match: str = ""

    @property
    def method(self) -> str:
        return self.name.partition(" ")[0]


ALL = "401 403 200 200 200 200 200 200"
ADMINS = "401 403 404 404 404 404 200 200"
# Of a scope that only an admin's token can have.
ADMINS_ONLY = "401 403 403 403 403 403 200 200"
OWNERS = "401 403 404 404 404 200 200 200"

_TOLD = {"requester": True, "approvers": False, "others": [], "words": ""}
POLICY = {
    "approval_required": True,
    "comment_required": False,
    "days": 2,
    "assurance": "code",
    "steps": [{"approver": {"kind": "group", "id": "{group}"}}],
    "outcomes": {"approved": _TOLD, "denied": _TOLD | {"reasons": []}, "expired": _TOLD},
}

# ------------------------------------------------ nobody unscoped outsider requester approver owner admin service
TABLE = (
    Row("GET /me", "401 200 200 200 200 200 200 200"),
    Row("DELETE /me/token", "401 204 204 204 204 204 204 204"),
    # Terminals that sign in, which have no token yet
    Row("POST /device-codes", "201 201 201 201 201 201 201 201", body={"name": "laptop", "scopes": ["requests:read"]}),
    Row(
        "POST /device-codes/{code}/token",
        "400 400 400 400 400 400 400 400",
        "/device-codes/{device}/token",
        {"device_code": "{device_secret}"},
    ),
    # Apps
    Row("GET /apps", ALL),
    Row("GET /apps/{app}", ALL),
    Row("POST /apps", "401 403 404 404 404 404 201 201", body={"name": "Canva"}),
    Row("PATCH /apps/{app}", OWNERS, body={"category": "Sales"}, match="/apps/{app}"),
    Row("POST /apps/{app}/archival", ADMINS, at="/apps/{wanted}/archival", body={}),
    Row("POST /apps/{app}/restoration", ADMINS, at="/apps/{archived}/restoration"),
    # Rules of an app
    Row("GET /apps/{app}/policy", OWNERS),
    Row("PUT /apps/{app}/policy", OWNERS, body=POLICY, match="/apps/{app}/policy"),
    Row("GET /apps/{app}/policy/simulation", OWNERS, at="/apps/{app}/policy/simulation?person={person}"),
    # Fields of an app
    Row("GET /apps/{app}/fields", OWNERS),
    Row("GET /apps/{app}/fields/{field}", OWNERS),
    Row("POST /apps/{app}/fields", OWNERS.replace("200", "201"), body={"name": "Seat", "kind": "text"}),
    Row("PATCH /apps/{app}/fields/{field}", OWNERS, body={"help": "Ask."}, match="/apps/{app}/fields/{field}"),
    Row("POST /apps/{app}/fields/{field}/archival", OWNERS),
    Row("POST /apps/{app}/fields/{field}/restoration", OWNERS, at="/apps/{app}/fields/{old_field}/restoration"),
    Row("POST /apps/{app}/fields/order", OWNERS, body={"fields": ["{field}"]}),
    # Access
    Row("GET /grants", ALL),
    Row("GET /grants/{grant}", "401 403 404 200 404 200 200 200"),
    Row("POST /grants", "401 403 201 201 201 201 201 422", body={"app": "{free}"}),
    Row("POST /grants/{grant}/removal", "401 403 404 200 404 200 200 200", body={"reason": "So."}),
    # Requests
    Row("GET /requests", ALL),
    Row("POST /requests", "401 403 201 201 201 201 201 422", body={"app": "{wanted}", "message": "Please."}),
    Row("GET /requests/{request}", "401 403 404 200 200 200 200 200"),
    Row("GET /requests/{request}/comments", "401 403 404 200 200 200 200 200"),
    Row("POST /requests/{request}/comments", "401 403 404 200 200 200 200 403", body={"text": "Hm."}),
    Row("POST /requests/{request}/cancellation", "401 403 404 200 403 403 403 403", body={}),
    Row("POST /requests/{request}/reminders", "401 403 404 409 403 403 403 403"),
    # Audit
    Row("GET /audit/events", ADMINS_ONLY),
    Row("GET /audit/events.ndjson", ADMINS_ONLY),
    Row("GET /audit/verification", ADMINS_ONLY),
    Row("POST /audit/verification", ADMINS_ONLY),
    # Notices
    Row("GET /notices", ADMINS_ONLY),
    Row("GET /notices/{notice}", ADMINS_ONLY),
    Row("POST /notices/{notice}/resend", "401 403 403 403 403 403 409 409"),
    Row("POST /notices/{notice}/attempt", "401 403 403 403 403 403 409 409"),
    Row("POST /notices/{notice}/discarding", "401 403 403 403 403 403 409 409"),
    # Webhooks
    Row("GET /webhooks", ADMINS_ONLY),
    Row("POST /webhooks", ADMINS_ONLY.replace("200", "201"), body={"name": "Desk", "address": "https://a.example/in"}),
    Row("GET /webhooks/{webhook}", ADMINS_ONLY),
    Row("PATCH /webhooks/{webhook}", "401 403 403 403 403 403 428 428", body={"name": "Service desk"}),
    Row("DELETE /webhooks/{webhook}", ADMINS_ONLY.replace("200", "204")),
    Row("POST /webhooks/{webhook}/pause", ADMINS_ONLY),
    Row("DELETE /webhooks/{webhook}/pause", "401 403 403 403 403 403 409 409"),
    Row("POST /webhooks/{webhook}/test", ADMINS_ONLY.replace("200", "202")),
    Row("GET /webhooks/{webhook}/secrets", ADMINS_ONLY),
    Row("POST /webhooks/{webhook}/secrets", ADMINS_ONLY.replace("200", "201")),
    Row("DELETE /webhooks/{webhook}/secrets/{secret}", "401 403 403 403 403 403 409 409"),
    Row("GET /webhooks/{webhook}/deliveries", ADMINS_ONLY),
    Row("GET /webhooks/{webhook}/deliveries/{delivery}", ADMINS_ONLY),
    Row("POST /webhooks/{webhook}/deliveries/{delivery}/retry", "401 403 403 403 403 403 409 409"),
    # Chat channels
    Row("GET /chat-channels", ADMINS_ONLY),
    Row(
        "POST /chat-channels",
        ADMINS_ONLY.replace("200", "201"),
        body={"kind": "teams", "name": "Legal", "address": "https://b.example/x"},
    ),
    Row("GET /chat-channels/{channel}", ADMINS_ONLY),
    Row("PATCH /chat-channels/{channel}", "401 403 403 403 403 403 428 428", body={"name": "Money"}),
    Row("DELETE /chat-channels/{channel}", ADMINS_ONLY.replace("200", "204")),
    Row("POST /chat-channels/{channel}/pause", ADMINS_ONLY),
    Row("DELETE /chat-channels/{channel}/pause", "401 403 403 403 403 403 409 409"),
    Row("POST /chat-channels/{channel}/test", ADMINS_ONLY.replace("200", "202")),
    # Organisation
    Row("GET /organisation", "401 403 403 403 403 403 200 200"),
    Row("PATCH /organisation", "401 403 403 403 403 403 428 428", body={"name": "Nordlicht"}),
    # Tokens
    Row("GET /tokens", "401 200 200 200 200 200 200 200"),
    Row("POST /tokens/{token}/revocation", "401 404 404 404 404 404 200 200"),
    # People
    Row("GET /people", ADMINS_ONLY),
    Row("POST /people", "401 403 403 403 403 403 201 201", body={"name": "Mia Berg", "email": "mia@example.com"}),
    Row("GET /people/{person}", ADMINS_ONLY),
    Row("PATCH /people/{person}", "401 403 403 403 403 403 428 428", body={"name": "Ben Berg"}),
    Row("POST /people/{person}/deactivation", ADMINS_ONLY, body={}),
    Row("POST /people/{person}/reactivation", "401 403 403 403 403 403 409 409"),
    Row("POST /people/{person}/invitation", ADMINS_ONLY),
    Row("POST /people/{person}/password-reset", "401 403 403 403 403 403 409 409"),
    Row("POST /people/{person}/sessions/ending", "401 403 403 403 403 403 409 409"),
    Row("POST /people/{person}/access-removal", ADMINS_ONLY, body={"reason": "Ben moves."}),
    # Groups
    Row("GET /groups", ADMINS_ONLY),
    Row("POST /groups", "401 403 403 403 403 403 201 201", body={"name": "Legal"}),
    Row("GET /groups/{group}", ADMINS_ONLY),
    Row("PATCH /groups/{group}", "401 403 403 403 403 403 428 428", body={"name": "Money"}),
    Row("POST /groups/{group}/archival", "401 403 403 403 403 403 204 204"),
    Row("GET /groups/{group}/members", ADMINS_ONLY),
    Row("PUT /groups/{group}/members/{person}", "401 403 403 403 403 403 204 204"),
    Row("DELETE /groups/{group}/members/{person}", "401 403 403 403 403 403 204 204"),
    # Decisions
    Row("POST /requests/{request}/approval", "401 403 404 403 200 403 403 403", body={}),
    Row("POST /requests/{request}/denial", "401 403 404 403 200 403 403 403", body={"reason": "No."}),
)


def _endpoints(company: Company) -> dict[str, str]:
    """A webhook with a delivery, and a chat channel."""

    def add(kind: str) -> Endpoint:
        address = f"https://{kind}.example.com/in"
        return endpoints.create(kind=kind, name=kind, address=address, actor=company.adam, now=clock.now())[0]

    hook, channel = add("webhook"), add("slack")
    delivery = endpoints.send_test(hook, actor=company.adam, now=clock.now())
    outbox.commit()
    secret = db.session.scalars(select(EndpointSecret.public_id)).one()
    return {
        "webhook": hook.public_id,
        "channel": channel.public_id,
        "delivery": delivery.public_id,
        "secret": secret,
    }


class World:
    """A company with one of each, kept as a database file, and a token for each role."""

    def __init__(self, app: Flask, data: Path) -> None:
        self.app, self.data = app, data
        self.ids: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        with app.app_context():
            choose("write")
            self._build()
            db.session.remove()
            db.engine.dispose()
        shutil.copy(data / "test.db", data / "api.db")

    def _build(self) -> None:
        company = factories.company()
        owner = factories.person("Olga Petrova")
        wanted = factories.app("Benevity", company.ana, owner=owner)
        asked = factories.app("Salesforce", company.ana, owner=owner)
        free = factories.app("Apptio", owner=owner)
        held = factories.app("Workday", owner=owner)
        grant = factories.grant(company.rita, held)
        made = factories.request(company.rita, asked)
        archived = factories.app("Zoom", owner=owner)
        changes.archive_app(archived, company.adam)
        field, old_field = (factories.field(asked, actor=company.adam, name=name) for name in ("Role", "Region"))
        entitlements.archive(asked, old_field.public_id, actor=company.adam, now=clock.now())
        outbox.commit()
        self.ids = {
            "field": field.public_id,
            "old_field": old_field.public_id,
            "archived": archived.public_id,
            "request": made.public_id,
            "wanted": wanted.public_id,
            "app": asked.public_id,
            "free": free.public_id,
            "held": held.public_id,
            "grant": grant.public_id,
            "group": company.finance.public_id,
            "person": company.ben.public_id,
            "outsider": company.otto.public_id,
            "notice": db.session.scalars(select(Notice.public_id).limit(1)).one(),
        }
        device, self.ids["device_secret"] = device_codes.ask(
            name="laptop", scopes=["requests:read"], days=30, address="127.0.0.1", now=clock.now()
        )
        db.session.commit()
        self.ids["device"] = device.public_id
        self.ids |= _endpoints(company)
        people = {
            "outsider": company.otto,
            "requester": company.rita,
            "approver": company.ana,
            "owner": owner,
            "admin": company.adam,
            "service": None,
        }
        intranet = ApiToken.hash == digest(new_token(None, name="Intranet"))
        self.ids["token"] = db.session.scalars(select(ApiToken.public_id).where(intranet)).one()
        made_tokens = {role: new_token(person) for role, person in people.items()}
        unscoped = new_token(company.adam)
        choose("write")
        db.session.execute(update(ApiToken).where(ApiToken.hash == digest(unscoped)).values(scope_list="moon:walk"))
        db.session.commit()
        self.secrets = made_tokens | {"nobody": "", "unscoped": unscoped}

    def fresh(self) -> None:
        """Puts everything back as it was built."""
        with self.app.app_context():
            db.engine.dispose()
            broker().flushdb()
        for leftover in self.data.glob("test.db*"):
            leftover.unlink()
        shutil.copy(self.data / "api.db", self.data / "test.db")

    def filled(self, value: Any) -> Any:
        """The value with the ids in place of their names."""
        if isinstance(value, str):
            return re.sub(r"{(\w+)}", lambda found: self.ids[found[1]], value)
        if isinstance(value, dict):
            return {key: self.filled(one) for key, one in value.items()}
        return [self.filled(one) for one in value] if isinstance(value, list) else value

    def call(self, row: Row, role: str, **headers: str) -> TestResponse:
        path = row.at or row.name.partition(" ")[2]
        if row.match:
            read = Program(self.app, self.secrets[role]).get(self.filled(row.match))
            headers["If_Match"] = read.headers.get("ETag", '"none"')
        program = Program(self.app, self.secrets[role])
        return program.call(row.method, self.filled(path), self.filled(row.body), **headers)


@pytest.fixture(scope="module")
def built(engines: Engines) -> World:
    app = engines.app(SQLITE)
    return World(app, app.extensions["settings"].data)


@pytest.fixture
def world(built: World) -> World:
    built.fresh()
    return built


def test_every_call_has_a_row_and_every_row_a_call() -> None:
    there = [f"{one.method} {one.path}" for one in OPERATIONS]
    written = [row.name for row in TABLE]
    assert sorted(set(there) - set(written)) == [], "these calls have no row in TABLE"
    assert sorted(set(written) - set(there)) == [], "these rows have no call"
    assert len(there) == len(set(there)) and len(written) == len(set(written))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_token_gets_what_the_table_says(world: World, row: Row) -> None:
    got = []
    for role in ROLES:
        if row.method != "GET":
            world.fresh()
        answer = world.call(row, role)
        got.append(str(answer.status_code))
        if answer.status_code >= 400:
            assert answer.content_type == "application/problem+json"
            assert answer.json["detail"] and answer.json["status"] == answer.status_code
        elif answer.content_length:
            assert answer.content_type in ("application/json", "application/x-ndjson")
    assert " ".join(got) == row.statuses
