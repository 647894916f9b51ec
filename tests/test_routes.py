"""Every route for every kind of person: what they may, what is refused, and how.

The table fails when a route has no row or a row no route. Who may do what does not depend on the database engine,
so this runs on SQLite, whose file is put back before each request.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask import Flask

from tests.conftest import SQLITE, Engines
from tests.helpers import factories
from tests.helpers.route_table import ROLES, TABLE, UNSAFE, WITHOUT_PASSWORD, Row
from tests.helpers.world import World
from webapp.extensions import db


class Screens(World):
    """The world as browsers see it."""

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
def built(engines: Engines) -> Screens:
    app = engines.app(SQLITE)
    return Screens(app, app.extensions["settings"].data)


@pytest.fixture
def world(built: Screens) -> Screens:
    built.fresh()
    return built


def routes(app: Flask) -> dict[str, set[str]]:
    """ "rule" → the methods that somebody wrote a view for. Those for programs: tests/api/test_routes.py."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/api/v1", "/scim/v2")):
            continue
        found.setdefault(rule.rule, set()).update((rule.methods or set()) - {"HEAD", "OPTIONS"})
    return found


def test_every_route_has_a_row_and_every_row_a_route(world: Screens) -> None:
    there = {f"{method} {rule}" for rule, methods in routes(world.app).items() for method in methods}
    written = [row.name for row in TABLE]
    assert sorted(there - set(written)) == [], "these routes have no row in TABLE"
    assert sorted(set(written) - there) == [], "these rows have no route"
    assert len(written) == len(set(written))
    assert all(len(row.statuses.split()) == len(ROLES) for row in TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_each_role_gets_what_the_table_says(world: Screens, row: Row) -> None:
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
def test_each_unsafe_route_refuses_a_missing_token_and_another_site(world: Screens, row: Row) -> None:
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
WITH_PASSWORD = {
    "POST /account/tokens": "who has the token can act as the person, long after the browser is closed",
    "GET /account/security/authenticator": "shows the secret that makes the codes",
    "POST /account/security/authenticator": "whose app it is can sign in",
    "POST /account/security/authenticator/removal": "who knows the password alone can sign in from then on",
    "GET /account/security/passkeys/new": "leads to the next",
    "POST /account/security/passkeys": "whose passkey it is can sign in",
    "POST /account/security/passkeys/options": "begins it",
    "POST /account/security/passkeys/<public_id>/removal": "the password alone may be enough from then on",
    "POST /account/security/recovery-codes": "who has the codes can sign in",
    "GET /sso/<public_id>/connect": "whose account there is connected can sign in as the person",
    "POST /sso/<public_id>/disconnection": "the person may need it to sign in",
}


def needs_recent_password(row: Row) -> bool:
    if row.name in WITH_PASSWORD:
        return True
    below = row.rule == "/admin" or row.rule.startswith("/admin/")
    gives_a_token = row.rule.startswith("/device/") and row.rule.endswith("/approval")
    changes = (below and row.method in UNSAFE) or gives_a_token
    return row.name not in WITHOUT_PASSWORD and (changes or row.rule.endswith(".csv"))


def asks_for_password(view: Any) -> bool:
    return hasattr(view, "requires_recent_password")


def test_what_changes_rules_or_people_or_exports_data_needs_a_recent_password(world: Screens) -> None:
    """The table has every route, so a new one below /admin is asked about here."""
    lacking = [row.name for row in TABLE if needs_recent_password(row) and not asks_for_password(world.view(row))]
    assert lacking == [], "put @require_recent_password under the audience, or the route into WITHOUT_PASSWORD"
    assert [row.name for row in TABLE if asks_for_password(world.view(row)) and not needs_recent_password(row)] == []
    assert set(WITHOUT_PASSWORD) <= {row.name for row in TABLE}


@pytest.mark.parametrize("row", [row for row in TABLE if needs_recent_password(row)], ids=lambda row: row.name)
def test_an_older_sign_in_is_asked_for_the_password_and_nothing_is_lost(world: Screens, row: Row) -> None:
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


def test_other_methods_are_refused_with_those_that_are_allowed(world: Screens) -> None:
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


def test_what_is_nowhere_is_404_for_everybody(world: Screens) -> None:
    for role in ROLES:
        for path in ("/nothing", "/admin/nothing", "/requests/x/y/z", "/decide", "/decide/x/y", "/static/../wsgi.py"):
            answer = world.ask(Row("GET", path, "", path), role)
            assert answer.status_code == 404, path
