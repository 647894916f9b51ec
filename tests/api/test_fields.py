"""The fields of an app through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Program
from tests.api.helpers import assert_constant, by_token, entries, problem, statements
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import policy_of
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import App, EntitlementField

Make = Callable[..., Program]
ROLE = {"name": "Role", "kind": "choice", "options": ["Reader", "Writer"], "default": "Reader", "required": True,
        "help": "Most people read.", "requester": "write"}  # fmt: skip


@pytest.fixture
def crm(company: Company) -> App:
    return factories.app("Salesforce", company.ana, owner=company.ana)


@pytest.fixture
def ana(program: Make, company: Company) -> Program:
    return program("ana", "apps:read", "apps:admin")


def names(items: list[Any]) -> list[str]:
    return [one["name"] for one in items]


def test_an_owner_adds_fields_that_a_requester_fills_in(program: Make, crm: App, ana: Program) -> None:
    path = f"/apps/{crm.public_id}/fields"
    made = ana.post(path, ROLE, Idempotency_Key="role")
    assert made.status_code == 201, made.text
    assert {name: made.json[name] for name in ROLE} == ROLE
    assert made.headers["Location"] == f"/api/v1{path}/{made.json['id']}"
    assert ana.post(path, ROLE, Idempotency_Key="role").json == made.json
    seats = ana.post(path, {"name": "Seats", "kind": "number", "default": 2.5, "requester": "read"})
    assert seats.json["default"] == 2.5
    assert ana.post(path, {"name": "Admin", "kind": "yes_no", "default": True}).json["default"] is True
    regions = ana.post(path, {"name": "Regions", "kind": "choices", "options": ["EMEA", "APAC"], "default": ["APAC"]})
    assert regions.json["default"] == ["APAC"]
    assert ana.get(f"{path}/{seats.json['id']}").json == seats.json
    assert names(ana.get(path).json["items"]) == ["Role", "Seats", "Admin", "Regions"]
    assert [one.name for one in policy_of(crm).entitlements] == ["Role", "Seats", "Admin", "Regions"]
    assert names(program("rita").get(f"/apps/{crm.public_id}").json["fields"]) == ["Role", "Admin", "Regions"]
    assert by_token() == [("field.created", "laptop"), ("policy.saved", "laptop")] * 4


def test_a_field_is_refused_with_the_sentence_of_the_page(crm: App, ana: Program) -> None:
    path = f"/apps/{crm.public_id}/fields"
    assert ana.post(path, {"name": "Seat", "kind": "text"}).status_code == 201
    before = entries()
    for given, sentence, field in (
        ({"name": " "}, "Enter a name.", "name"),
        ({"name": "seat"}, "A field with the name seat already exists.", "name"),
        ({"name": "Role", "kind": "choice"}, "Enter at least one option, one per line.", "options"),
        ({"name": "Role", "options": ["A"]},
         "Only the types Choice and Several choices have options. Change the type or remove the options.", "options"),
        ({"name": "Role", "kind": "number", "default": "many"}, None, "default"),
        ({"name": "Role", "help": "x" * 201}, "Use 200 characters or fewer. You entered 201.", "help"),
        ({"name": "Role", "kind": "colour"}, None, "kind"),
        ({"name": "Role", "requester": "own"}, "Send 'hidden', 'read' or 'write'.", "requester"),
        ({"name": "Role", "help": None}, "Send a value, or leave it out.", "help"),
        ({"name": "Role", "size": 3}, "There is no such field.", "size"),
    ):  # fmt: skip
        answer = ana.post(path, {"kind": "text"} | given)
        problem(answer, 422, sentence or answer.json["detail"], field)
    # What is wrong with the rule as a whole belongs to no field.
    problem(ana.post(path, {"name": "Role", "kind": "text", "required": True, "requester": "hidden"}), 422,
            "Role is required but no one can edit it. Give the requester or a step Edit access.")  # fmt: skip
    assert ana.call("POST", path, None, Content_Type="text/plain").status_code == 415
    assert entries() == before
    for number in range(9):
        ana.post(path, {"name": f"Field {number}", "kind": "text"})
    problem(ana.post(path, {"name": "One more", "kind": "text"}), 409,
            "An app can have up to 10 fields. Archive one first.")  # fmt: skip


def test_a_field_is_changed_by_who_has_read_it(crm: App, ana: Program) -> None:
    path = f"/apps/{crm.public_id}/fields"
    path += f"/{ana.post(path, ROLE).json['id']}"
    assert ana.call("PATCH", path, {"help": "Ask."}).status_code == 428
    read = ana.get(path)
    changed = ana.call("PATCH", path, {"name": "Licence", "help": "Ask.", "default": None, "requester": "read",
                                       "required": False}, If_Match=read.headers["ETag"])  # fmt: skip
    assert changed.status_code == 200, changed.text
    assert changed.json == read.json | {"name": "Licence", "help": "Ask.", "default": None, "requester": "read",
                                        "required": False}  # fmt: skip
    assert ana.call("PATCH", path, {"help": ""}, If_Match=read.headers["ETag"]).status_code == 412
    problem(ana.change("PATCH", path, {"kind": "text"}), 422, "There is no such field.", "kind")
    problem(ana.change("PATCH", path, {"options": ["Writer"], "default": "Reader"}), 422,
            "“Reader” is not an option for Licence. Choose from the list.", "default")  # fmt: skip
    before = entries()
    assert ana.change("PATCH", path, {"help": "Ask."}).json == changed.json
    assert entries() == before
    assert by_token("field.changed") == [("field.changed", "laptop")]


def test_fields_are_archived_restored_and_ordered(crm: App, ana: Program) -> None:
    path = f"/apps/{crm.public_id}/fields"
    role, seat = (ana.post(path, {"name": name, "kind": "text"}).json["id"] for name in ("Role", "Seat"))
    assert ana.post(f"{path}/order", {"fields": [seat, role]}, Idempotency_Key="o").json == {"fields": [seat, role]}
    assert names(ana.get(path).json["items"]) == ["Seat", "Role"]
    stale = "Someone else changed the fields. Check them and try again."
    for wrong in ([seat], [seat, seat], [seat, role, "x"]):
        problem(ana.post(f"{path}/order", {"fields": wrong}), 409, stale)
    gone = ana.call("POST", f"{path}/{seat}/archival", Idempotency_Key="a")
    assert gone.status_code == 200 and gone.json["archived_at"] is not None
    assert ana.call("POST", f"{path}/{seat}/archival", Idempotency_Key="a").json == gone.json
    problem(ana.call("POST", f"{path}/{seat}/archival"), 409, "Someone else has archived this field. Reload the page.")
    problem(ana.call("POST", f"{path}/{role}/restoration"), 409,
            "Someone else has restored this field. Reload the page.")  # fmt: skip
    assert names(ana.get(path).json["items"]) == ["Role"]
    assert names(ana.get(f"{path}?archived=true").json["items"]) == ["Seat"]
    assert ana.change("PATCH", f"{path}/{seat}", {"help": "x"}).status_code == 409
    assert ana.call("POST", f"{path}/{seat}/restoration").json["archived_at"] is None
    assert names(ana.every(f"{path}?limit=1")) == ["Role", "Seat"]
    kinds = ("field.archived", "field.restored", "fields.ordered")
    assert by_token(*kinds) == [(kind, "laptop") for kind in ("fields.ordered", "field.archived", "field.restored")]


def test_a_field_of_another_app_is_not_found(crm: App, ana: Program, company: Company) -> None:
    other = factories.app("Slack", company.ben, owner=company.ben)
    choose("write")
    made = factories.field(other, actor=company.adam)
    db.session.commit()
    key = made.public_id
    for method, at in (("GET", ""), ("POST", "/archival"), ("POST", "/restoration")):
        assert ana.call(method, f"/apps/{crm.public_id}/fields/{key}{at}").status_code == 404
        assert ana.call(method, f"/apps/{other.public_id}/fields/{key}{at}").status_code == 404
    answer = ana.call("PATCH", f"/apps/{crm.public_id}/fields/{key}", {"help": "x"}, If_Match='"x"')
    assert answer.status_code == 404
    assert db.session.merge(made).archived_at is None


def test_who_has_a_pending_request_does_not_change_its_fields(crm: App, ana: Program, company: Company) -> None:
    factories.request(company.ben, crm)
    path = f"/apps/{crm.public_id}/fields"
    assert ana.post(path, {"name": "Seat", "kind": "text"}).status_code == 201
    other = factories.app("Slack", company.ben, owner=company.ana)
    factories.request(company.ana, other)
    problem(ana.post(f"/apps/{other.public_id}/fields", {"name": "Seat", "kind": "text"}), 409,
            "You have a pending request for Slack, so you cannot change its rules.")  # fmt: skip


@pytest.mark.both_engines
def test_the_list_takes_as_many_statements_for_one_field_as_for_many(crm: App, ana: Program) -> None:
    path, counts = f"/apps/{crm.public_id}/fields", []
    for number in (1, 4, 20):
        choose("write")
        db.session.add_all(
            EntitlementField(app_id=crm.id, kind="text", position=number + one, name=f"Field {number} {one}")
            for one in range(number)
        )
        db.session.commit()
        counts.append(statements(ana, path))
    assert_constant(counts, at_most=4)
