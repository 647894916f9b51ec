"""Tokens through the API: listed and ended, never made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.api.conftest import Program, new_token
from tests.api.helpers import by_token, problem
from tests.helpers.factories import Company
from tests.helpers.lookups import events, facts
from tests.helpers.statements import assert_constant, counting
from webapp.api._operation import OPERATIONS
from webapp.tokens import beginning

Make = Callable[..., Program]


def test_my_tokens_are_listed_without_their_secrets(program: Make, company: Company) -> None:
    program("ana")
    rita = program("rita", "requests:read")
    program("rita", "decide")
    answer = rita.get("/tokens")
    assert rita.secret not in answer.text
    newer, older = answer.json["items"]
    assert newer["scopes"] == ["decide"]
    assert older | {"created_at": "", "expires_at": "", "last_used_at": ""} == {
        "id": older["id"], "kind": "person", "name": "laptop", "beginning": rita.secret[: len(older["beginning"])],
        "person": {"id": company.rita.public_id, "name": "Rita Lindqvist"}, "scopes": ["requests:read"],
        "networks": [], "created_at": "", "expires_at": "", "last_used_at": "", "revoked_at": None, "revoked_by": None,
    }  # fmt: skip
    assert len(older["beginning"]) < 20


def test_tokens_of_services_are_for_admins_with_the_scope(program: Make) -> None:
    service = program("service", "requests:read")
    manager, reader, rita = program("adam"), program("adam", "people:read"), program("rita")
    assert {one["kind"] for one in manager.get("/tokens").json["items"]} == {"person", "service"}
    assert {one["kind"] for one in manager.get("/tokens?kind=person").json["items"]} == {"person"}
    assert {one["kind"] for one in manager.get("/tokens?kind=service").json["items"]} == {"service"}
    for one in (reader, rita, service):
        assert one.get("/tokens?kind=service").json["items"] == []
    assert service.get("/tokens").json["items"] == []
    assert len(program("service", "settings:admin").get("/tokens").json["items"]) == 2


def test_a_token_ends_itself(program: Make) -> None:
    rita = program("rita", "requests:read")
    (line,) = rita.get("/tokens").json["items"]
    ended = rita.post(f"/tokens/{line['id']}/revocation")
    assert ended.status_code == 200 and ended.json["revoked_at"] and ended.json["revoked_by"] == line["person"]
    assert rita.get("/me").status_code == 401
    last = events("token.revoked")[-1]
    assert last["token"] == last["facts"]["api_token"]


def test_a_service_ends_itself(program: Make) -> None:
    service, manager = program("service", "requests:read"), program("adam")
    (line,) = manager.get("/tokens?kind=service").json["items"]
    assert service.post(f"/tokens/{line['id']}/revocation").status_code == 200
    assert service.get("/me").status_code == 401


def test_other_tokens_are_ended_only_by_who_manages_them(program: Make, company: Company) -> None:
    rita, second, ana = program("rita"), program("rita", "decide"), program("ana")
    service, manager = program("service", "people:admin"), program("adam")
    own, other = (one["id"] for one in rita.get("/tokens").json["items"])
    refused = rita.post(f"/tokens/{own}/revocation")
    assert (refused.status_code, refused.json["detail"]) == (
        403, "This token can end only itself. End your other tokens in your account.",
    )  # fmt: skip
    for one in (ana, service, manager):
        assert one.post(f"/tokens/{other}/revocation").status_code == 404
    assert rita.post("/tokens/NOTOKEN00000/revocation").status_code == 404
    assert second.get("/me").status_code == 200 and rita.get("/me").status_code == 200
    (line,) = manager.get("/tokens?kind=service").json["items"]
    assert manager.post(f"/tokens/{line['id']}/revocation", Idempotency_Key="k").status_code == 200
    assert manager.post(f"/tokens/{line['id']}/revocation", Idempotency_Key="k").status_code == 200
    again = manager.post(f"/tokens/{line['id']}/revocation")
    assert (again.status_code, again.json["detail"]) == (409, "The token laptop had ended already.")
    assert len(facts("token.revoked")) == 1
    assert service.get("/me").status_code == 401
    assert manager.get("/tokens?in_use=false").json["items"][0]["id"] == line["id"]
    assert line["id"] not in {one["id"] for one in manager.get("/tokens?in_use=true").json["items"]}


@pytest.mark.both_engines
def test_pages_have_each_token_once_and_take_the_same_statements(app: Flask, program: Make, company: Company) -> None:
    rita = program("rita")
    counts = []
    for more in (0, 11):
        for number in range(more):
            new_token(company.rita, ["requests:read"], name=f"laptop {number}")
        rita.get("/tokens")
        with counting() as seen:
            rita.get("/tokens?limit=200")
        counts.append(len(seen))
    assert_constant(counts, at_most=3)
    found = [one["id"] for one in rita.every("/tokens?limit=5", between=lambda: new_token(company.rita))]
    assert len(found) == len(set(found)) == 12


def test_no_call_makes_a_token() -> None:
    assert [one.path for one in OPERATIONS if one.tag == "tokens" and one.method != "GET"] == [
        "/tokens/{token}/revocation",
        "/tokens/leak",
    ]


def test_a_token_that_leaked_is_ended_by_its_first_characters(program: Make, company: Company) -> None:
    adam, rita = program("adam"), program("rita")
    shown = beginning(rita.secret)
    ended = adam.post("/tokens/leak", {"token": f'curl -H "Authorization: Bearer {rita.secret}"'})
    assert ended.status_code == 200, ended.text
    assert ended.json["beginning"] == shown and ended.json["revoked_by"]["name"] == "Adam Weiss"
    assert rita.get("/me").status_code == 401
    again = adam.post("/tokens/leak", {"token": shown})
    assert again.json["revoked_at"] == ended.json["revoked_at"]
    assert [kind for kind, _ in by_token("token.revoked")] == ["token.revoked"]
    for given, words in (
        ("nothing", "Enter a token or its first characters. Tokens begin with csn_."),
        ("csn_ab", "Enter at least 3 characters after csn_."),
        ("csn_00000", "No token begins with csn_00000. Check for upper and lower case, or enter more of it."),
    ):
        problem(adam.post("/tokens/leak", {"token": given}), 422, words, "token")
