"""Every address, generated from the url map: reading changes nothing, and the ids of other things lead nowhere."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask

from tests.conftest import POSTGRESQL, SQLITE, Browser
from tests.helpers import factories, lookups
from tests.helpers.route_table import ROLES, TABLE, UNSAFE, Row
from tests.test_routes import Screens, routes
from webapp.extensions import limiter

ASKED = {row.rule: row for row in TABLE}
# Which of the world's ids are of which kind.
IDS = {
    "app": ("wanted", "free"), "request": ("request",), "person": ("invited", "gone", "member", "requester"),
    "group": ("group",),
    "session": ("session",), "link": ("link",), "password": ("password",), "notice": ("notice",), "mail": ("mail",),
    "grant": ("grant",),
}  # fmt: skip
# For a GET: what a server that believes everything makes a POST of.
MEANT = dict.fromkeys(("X-HTTP-Method-Override", "X-Method-Override", "X-Original-Method"), "POST") | {
    "HX-Request": "true"
}


@pytest.fixture
def world(app: Flask) -> Screens:
    """On either engine, unlike that of the table of routes; nothing is put back, for nothing may change."""
    world = Screens(app, app.extensions["settings"].data)
    world.ids |= {"mail": "0" * 12, "hook": "0" * 12}
    limiter.enabled = False
    yield world
    limiter.enabled = True


def is_broken(answer: Any) -> bool:
    """Whether it is a failure of ours: 502 says that a provider of sign-in does not answer, as none does here."""
    return answer.status_code >= 500 and answer.status_code != 502


@pytest.mark.slow
@pytest.mark.both_engines
def test_no_get_head_or_options_changes_a_byte_of_any_table(world: Screens, engine: str) -> None:
    """What a view reads for whom is the same on both engines; how writing is kept from it is not."""
    before = lookups.everything()
    roles = ROLES if engine == SQLITE else ("nobody", "approver", "admin")
    for number, rule in enumerate(routes(world.app)):
        row = replace(ASKED[rule], method="GET", form={})
        queried = replace(row, at=row.at + ("&" if "?" in row.at else "?") + "q=a&before=1&after=1&next=/&code=123456")
        for role in roles:
            assert not is_broken(world.ask(queried, role)), (rule, role)
        for role in ("nobody", "admin"):
            for method in ("HEAD", "OPTIONS"):
                assert not is_broken(world.ask(row, role, method=method)), (rule, role, method)
            # Whatever htmx, a proxy or a client says that it really meant.
            assert not is_broken(world.ask(row, role, **MEANT)), (rule, role)
        if number % 10 == 9:
            unchanged(before, f"one of the ten up to {rule}")
    unchanged(before, "one of the last")


QUERIED = (
    "q", "after", "before", "person", "group", "app", "approver", "owner", "who", "to", "step", "state", "category",
    "since", "until", "again", "next", "email", "v", "field", "what", "kind", "keep", "whole", "sent", "mail", "notice",
    "actor", "subject", "days", "order", "sort",
)  # fmt: skip


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_a_nul_in_any_place_is_no_failure(world: Screens) -> None:
    """PostgreSQL takes it nowhere. Each route gets it in its query, in its form, and in its path."""
    for row in TABLE:
        if row.rule in ("/sign-out", "/account/sessions/ending"):
            continue
        at, names = row.at.partition("?")[0], read_by(world, row)
        if row.method == "GET":
            asked = replace(row, at=f"{at}?{urlencode({name: holding_nul(name) for name in QUERIED})}")
        else:
            asked = replace(row, form={name: holding_nul(name) for name in {*row.form, *names}})
        assert not is_broken(world.ask(asked, "admin")), row.name
        if "{" in at:
            broken = f"{at[: at.index('{')]}a%00b{at[at.index('}') + 1 :]}"
            assert world.ask(replace(row, at=broken), "admin").status_code == 404, row.name


def holding_nul(name: str) -> str:
    """A key of what is looked up by "person:…" or "group:…", else a letter."""
    return "person:\0" if name in ("person", "approver", "owner", "to", "step", "decider", "groups") else "a\0"


def read_by(world: Screens, row: Row) -> set[str]:
    """The names that the module of a view reads from forms, found in its source."""
    source = inspect.getsource(sys.modules[inspect.unwrap(world.view(row)).__module__])
    return {"step", "person", "owner", "groups", *re.findall(r"form(?:\.get(?:list)?\(|\[)\s*\"([a-z_-]+)\"", source)}


def unchanged(before: dict[str, list[Any]], which: str) -> None:
    after = lookups.everything()
    assert after == before, f"{which} changed {[table for table in before if after[table] != before[table]]}"


def foreign(world: Screens, row: Row) -> list[tuple[str, str]]:
    """(which, address) with an id in place of the first argument that is nobody's, or of a thing of another kind."""
    start, _, rest = row.at.partition("{")
    name, _, end = rest.partition("}")
    kind = next((one for one, names in IDS.items() if name in names), "")
    others = [(one, names[0]) for one, names in IDS.items() if one != kind]
    # Three of the eight for each route: all of them over all routes.
    first = sum(map(ord, row.name)) % len(others)
    made = dict((others * 2)[first : first + 3])
    return [(one, start + world.ids[which] + end) for one, which in made.items()] + [
        ("nothing", start + "0" * 12 + end), ("number", start + "1" + end),
    ]  # fmt: skip


@pytest.mark.parametrize("engine", [SQLITE])
def test_the_id_of_another_thing_is_not_there_for_anybody(world: Screens) -> None:
    """Admins included: an app's page by the id of a request, a password by the link of a decision, and so on."""
    before = lookups.everything()
    for row in TABLE:
        if "{" not in row.at.partition("?")[0]:
            continue
        for which, at in foreign(world, row):
            role = "outsider" if world.view(row).audience != "admins" and len(which) % 2 else "admin"
            if row.rule == "/sso/<public_id>/start":  # leads whoever is signed in to where they wanted to go
                role = "nobody"
            answer = world.ask(replace(row, at=at), role)
            assert answer.status_code == 404, (row.name, which, role, answer.status_code)
    assert lookups.everything() == before


@pytest.mark.parametrize("engine", [SQLITE])
def test_what_belongs_to_others_is_not_there_for_an_outsider(world: Screens) -> None:
    """From the url map: each route for signed-in people that names a thing of somebody's."""
    before = lookups.everything()
    tried = 0
    for row in TABLE:
        named = row.at.partition("{")[2].partition("}")[0]
        if world.view(row).audience == "anyone" or named not in (
            "request",
            "session",
            "notice",
            "group",
            "invited",
            "gone",
        ):
            continue
        for method in {row.method, *({"HEAD"} if row.method == "GET" else ())}:
            for headers in ({}, {"HX-Request": "true"}):
                answer = world.ask(row, "outsider", method=method, **headers)
                assert answer.status_code == 404, (row.name, method)
                tried += 1
    assert tried > 50
    assert lookups.everything() == before


@pytest.mark.parametrize("engine", [SQLITE])
def test_who_owns_one_app_finds_no_other(world: Screens) -> None:
    """From the url map: each route that keeps an app, and those of a request for it, by the owner of another."""
    olaf = factories.person("Olaf Holm")
    factories.app("Zoom", owner=olaf)
    world._keep("owner of another", Browser(world.app, olaf))
    before = lookups.everything()
    tried = 0
    for row in TABLE:
        if row.at.startswith(("/admin/apps/{", "/requests/{", "/approvals/{")):
            for headers in ({}, {"HX-Request": "true"}):
                assert world.ask(row, "owner of another", **headers).status_code == 404, row.name
                tried += 1
    assert tried > 70
    assert lookups.everything() == before


@pytest.mark.parametrize("engine", [SQLITE])
def test_every_unsafe_method_of_every_route_is_refused_without_a_token(world: Screens) -> None:
    before = lookups.everything()
    for rule, methods in routes(world.app).items():
        for method in UNSAFE:
            # What no view answers is refused by the url map, before anybody asks who it is.
            for role in ROLES if method in methods else ("admin",):
                answer = world.ask(ASKED[rule], role, method=method, token=False)
                assert answer.status_code in (400, 405), (rule, method, role)
    assert lookups.everything() == before
