"""Every call of the API with every kind of token: what it may, and what is refused.

The table fails when a call has no row or a row no call. Who may do what does not depend on the database engine, so this
runs on SQLite, whose file is put back before each call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from werkzeug.test import TestResponse

from tests.api.conftest import Program
from tests.conftest import SQLITE, Engines
from tests.helpers.world import World
from webapp.api._operation import OPERATIONS

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
    # A PNG that is the body.
    file: bytes = b""

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

_made = BytesIO()
Image.new("RGB", (8, 8), "red").save(_made, "PNG")
PICTURE = _made.getvalue()

# ------------------------------------------------ nobody unscoped outsider requester approver owner admin service
TABLE = (
    Row("GET /me", "401 200 200 200 200 200 200 200"),
    Row("DELETE /me/token", "401 204 204 204 204 204 204 204"),
    # Terminals that sign in, which have no token yet
    Row("POST /device-codes", "201 201 201 201 201 201 201 201", body={"name": "laptop", "scopes": ["requests:read"]}),
    Row(
        "POST /device-codes/{code}/token",
        "400 400 400 400 400 400 400 400",
        "/device-codes/{device_id}/token",
        {"device_code": "{device_secret}"},
    ),
    # Apps
    Row("GET /apps", ALL),
    Row("GET /apps/{app}", ALL),
    Row("POST /apps", "401 403 404 404 404 404 201 201", body={"name": "Canva"}),
    Row("PATCH /apps/{app}", OWNERS, body={"category": "Sales"}, match="/apps/{app}"),
    Row("POST /apps/{app}/archival", ADMINS, at="/apps/{wanted}/archival", body={}),
    Row("POST /apps/{app}/restoration", ADMINS, at="/apps/{archived}/restoration"),
    Row("PUT /apps/{app}/picture", OWNERS, match="/apps/{app}", file=PICTURE),
    Row("DELETE /apps/{app}/picture", OWNERS, match="/apps/{app}"),
    # Rules of an app
    Row("GET /apps/{app}/policy", OWNERS),
    Row("PUT /apps/{app}/policy", OWNERS, body=POLICY, match="/apps/{app}/policy"),
    Row("POST /apps/{app}/policy/copy", OWNERS, body={"source": "{wanted}"}),
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
    Row("GET /grants/{grant}", "401 403 404 200 404 200 200 200", at="/grants/{own_grant}"),
    Row("POST /grants", "401 403 201 201 201 201 201 422", body={"app": "{open}"}),
    Row(
        "POST /grants/{grant}/removal",
        "401 403 404 200 404 200 200 200",
        at="/grants/{own_grant}/removal",
        body={"reason": "So."},
    ),
    # Requests
    Row("GET /requests", ALL),
    Row("POST /requests", "401 403 201 201 201 201 201 422", body={"app": "{wanted}", "message": "Please."}),
    Row("GET /requests/{request}", "401 403 404 200 200 200 200 200"),
    Row("GET /requests/{request}/comments", "401 403 404 200 200 200 200 200"),
    Row("POST /requests/{request}/comments", "401 403 404 200 200 200 200 403", body={"text": "Hm."}),
    Row("POST /requests/{request}/cancellation", "401 403 404 200 403 403 403 403", body={}),
    Row("POST /requests/{request}/reminders", "401 403 404 200 403 403 403 403"),
    # Stepping in
    Row(
        "POST /requests/{request}/stepping-in/cancellation",
        "401 403 404 404 404 404 200 403",
        body={"reason": "Away."},
    ),
    Row(
        "POST /requests/{request}/stepping-in/reassignment",
        "401 403 404 404 404 404 200 403",
        body={"approver": {"kind": "group", "id": "{group}"}, "reason": "Away."},
    ),
    Row(
        "POST /requests/{request}/stepping-in/extension",
        "401 403 404 404 404 404 200 403",
        body={"days": 30, "reason": "Away."},
    ),
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
    Row("POST /notices/attempts", ADMINS_ONLY, body={}),
    Row("POST /notices/held/sending", ADMINS_ONLY),
    Row("POST /notices/held/discarding", ADMINS_ONLY),
    Row("POST /notices/test", "401 403 403 403 403 403 204 403"),
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
    Row("POST /webhooks/{webhook}/deliveries/{delivery}/discarding", "401 403 403 403 403 403 409 409"),
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
    Row("PUT /organisation/logo", ADMINS_ONLY, match="/organisation", file=PICTURE),
    Row("DELETE /organisation/logo", ADMINS_ONLY, match="/organisation"),
    # Tokens
    Row("GET /tokens", "401 200 200 200 200 200 200 200"),
    Row("POST /tokens/{token}/revocation", "401 404 404 404 404 404 200 200", at="/tokens/{service_token}/revocation"),
    Row("POST /tokens/leak", ADMINS_ONLY, body={"token": "{beginning}"}),
    # People
    Row("GET /people", ADMINS_ONLY),
    Row("POST /people", "401 403 403 403 403 403 201 201", body={"name": "Mia Berg", "email": "mia@example.com"}),
    Row("POST /people/import", ADMINS_ONLY, body={"csv": "email,name\nmia@example.com,Mia Berg\n"}),
    Row("GET /people/{person}", ADMINS_ONLY),
    Row("GET /people/{person}/left-to-do", ADMINS_ONLY),
    Row("PATCH /people/{person}", "401 403 403 403 403 403 428 428", body={"name": "Ben Berg"}),
    Row("POST /people/{person}/deactivation", ADMINS_ONLY, body={}),
    Row("POST /people/{person}/reactivation", "401 403 403 403 403 403 409 409"),
    Row("POST /people/{person}/invitation", ADMINS_ONLY, at="/people/{invited}/invitation"),
    Row("POST /people/{person}/password-reset", ADMINS_ONLY),
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


class Programs(World):
    """The world as programs see it."""

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
        if row.file:
            return program.upload(self.filled(path), row.file, "image/png", **headers)
        return program.call(row.method, self.filled(path), self.filled(row.body), **headers)


@pytest.fixture(scope="module")
def built(engines: Engines) -> Programs:
    app = engines.app(SQLITE)
    return Programs(app, app.extensions["settings"].data)


@pytest.fixture
def world(built: Programs) -> Programs:
    built.fresh()
    return built


def test_every_call_has_a_row_and_every_row_a_call() -> None:
    there = [f"{one.method} {one.path}" for one in OPERATIONS]
    written = [row.name for row in TABLE]
    assert sorted(set(there) - set(written)) == [], "these calls have no row in TABLE"
    assert sorted(set(written) - set(there)) == [], "these rows have no call"
    assert len(there) == len(set(there)) and len(written) == len(set(written))


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_token_gets_what_the_table_says(world: Programs, row: Row) -> None:
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
