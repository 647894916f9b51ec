"""The rules of an app through the API: read, replaced as a whole, and simulated."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Program
from tests.api.helpers import at_once, by_token, entries, problem
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.lookups import policy_of
from tests.helpers.statements import counting
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Person

Make = Callable[..., Program]


def person(one: Person) -> dict[str, str]:
    return {"kind": "person", "id": one.public_id, "name": str(one.name)}


@pytest.fixture
def crm(company: Company) -> App:
    """Ana, then Finance; Ana sets the role, which the requester sees."""
    made = factories.app("Salesforce", company.ana, company.finance, owner=company.ana)
    choose("write")
    factories.field(made, actor=company.adam, name="Role", kind="choice", options=["Reader", "Writer"],
                    requester="read", writer=company.ana)  # fmt: skip
    outbox.commit()
    return made


@pytest.fixture
def ana(program: Make, company: Company) -> Program:
    return program("ana", "apps:read", "apps:admin")


def test_an_owner_reads_the_whole_policy(crm: App, ana: Program, company: Company) -> None:
    told = {"requester": True, "approvers": False, "others": [], "words": ""}
    assert ana.get(f"/apps/{crm.public_id}/policy").json == {
        "approval_required": True,
        "comment_required": False,
        "days": 3,
        "assurance": "code",
        "steps": [
            {"id": factories.step_id(crm, company.ana), "approver": person(company.ana), "days": None,
             "fields": {"Role": "write"}},
            {"id": factories.step_id(crm, company.finance),
             "approver": {"kind": "group", "id": company.finance.public_id, "name": "Finance"}, "days": None,
             "fields": {"Role": "hidden"}},
        ],
        "outcomes": {"approved": told, "denied": told | {"reasons": []}, "expired": told | {"approvers": True}},
    }  # fmt: skip


def test_what_was_read_is_changed_and_sent_back(crm: App, ana: Program, company: Company) -> None:
    path = f"/apps/{crm.public_id}/policy"
    read = ana.get(path).json
    before = entries()
    assert ana.change("PUT", path, read).json == read
    assert entries() == before, "nothing differs, so nothing is saved"
    first, second = read["steps"]
    third = {"approver": person(company.ben), "days": 5, "fields": {"Role": "read"}}
    wanted = read | {
        "comment_required": True, "days": 7, "assurance": "sign_in",
        "steps": [second | {"days": 2}, third, first],
    }  # fmt: skip
    wanted["outcomes"] = read["outcomes"] | {
        "denied": {"requester": True, "approvers": True, "others": ["desk@example.com"], "words": " Sorry. ",
                   "reasons": ["Use the shared licence.", " "]},
    }  # fmt: skip
    changed = ana.change("PUT", path, wanted)
    assert changed.status_code == 200, changed.text
    steps = changed.json["steps"]
    assert [one["id"] for one in steps[::2]] == [second["id"], first["id"]]
    assert steps[1]["id"] not in (first["id"], second["id"]) and steps[1]["approver"] == person(company.ben)
    assert [(one["days"], one["fields"]["Role"]) for one in steps] == [(2, "hidden"), (5, "read"), (None, "write")]
    assert changed.json["outcomes"]["denied"]["words"] == "Sorry."
    assert changed.json["outcomes"]["denied"]["reasons"] == ["Use the shared licence."]
    assert (changed.json["days"], changed.json["assurance"], changed.json["comment_required"]) == (7, "sign_in", True)
    assert changed.json == ana.get(path).json
    assert policy_of(crm).entitlements[0].name == "Role"
    assert by_token() == [("policy.saved", "laptop")]


def test_a_step_without_an_id_is_that_of_its_approver(crm: App, ana: Program, company: Company) -> None:
    """As from a file in git: the same file again changes nothing, and an id goes with its step to another approver."""
    path = f"/apps/{crm.public_id}/policy"
    read = ana.get(path).json
    plain = copy.deepcopy(read)
    for step in plain["steps"]:
        del step["id"], step["approver"]["name"]
    before = entries()
    assert ana.change("PUT", path, plain).json == read
    assert entries() == before
    first = read["steps"][0] | {"approver": person(company.ben)}
    changed = ana.change("PUT", path, read | {"steps": [first, read["steps"][1]]}).json
    assert changed["steps"][0]["id"] == read["steps"][0]["id"] and changed["steps"][0]["fields"] == {"Role": "write"}


def test_a_policy_is_refused_with_the_place_of_each_mistake(crm: App, ana: Program, company: Company) -> None:
    path = f"/apps/{crm.public_id}/policy"
    read = ana.get(path).json
    first, second = read["steps"]
    told = read["outcomes"]["approved"]
    before = entries()
    gone = "This person or group is no longer available. Choose another one."
    days = "The time limit can be 1 to 90 days."
    for given, sentence, *fields in (
        ({"days": 91}, days, "days"),
        ({"steps": [first | {"days": 0}, second]}, days, "steps.0.days"),
        ({"steps": [first, second, {"approver": person(company.ana)}]},
         "This approver is already in another step.", "steps.2.approver"),
        ({"steps": [first, {"approver": {"kind": "person", "id": "nobody"}}]}, gone, "steps.1.approver"),
        ({"steps": [first | {"fields": {"Seat": "read"}}]}, "There is no field Seat.", "steps.0.fields.Seat"),
        ({"steps": [first | {"fields": {"Role": "own"}}]}, "Send 'hidden', 'read' or 'write'.", "steps.0.fields.Role"),
        ({"steps": [first | {"id": "other"}]}, "There is no step with this id. Leave it out for a new step.",
         "steps.0.id"),
        ({"steps": [first, second | {"id": first["id"]}]},
         "Another step has this id, too. Leave it out for a new step.", "steps.1.id"),
        ({"outcomes": read["outcomes"] | {"approved": told | {"words": "x" * 2001}}},
         "Use 2,000 characters or fewer. You entered 2,001.", "outcomes.approved.words"),
        ({"outcomes": read["outcomes"] | {"expired": told | {"others": ["a@other.example.org"]}}},
         "No email may go to a@other.example.org. Enter an address in the domain of your people, or ask an admin to "
         "allow another domain in the settings of the organisation.", "outcomes.expired.others"),
        ({"outcomes": read["outcomes"] | {"approved": told | {"reasons": ["x"]}}}, "There is no such field.",
         "outcomes.approved.reasons"),
        ({"steps": [{"approver": person(one)} for one in (company.ben, company.chloe, company.otto)], "days": 0,
          "outcomes": read["outcomes"] | {"approved": told | {"words": "x" * 2001}}},
         f"{days} Use 2,000 characters or fewer. You entered 2,001.", "days", "outcomes.approved.words"),
        ({"steps": [first | {"days": 0, "fields": {"Seat": "read"}}, {"approver": {"kind": "group", "id": "x"}}]},
         f"{days} There is no field Seat. {gone}", "steps.0.days", "steps.0.fields.Seat", "steps.1.approver"),
        ({"steps": "Ana"}, "Send a list.", "steps"),
        ({"colour": "red"}, "There is no such field.", "colour"),
    ):  # fmt: skip
        problem(ana.change("PUT", path, read | given), 422, sentence, *fields)
    short = {key: value for key, value in read.items() if key != "outcomes"}
    problem(ana.change("PUT", path, short), 422, "Send this field.", "outcomes")
    problem(ana.change("PUT", path, read | {"steps": []}), 409,
            "Salesforce is requestable and needs an approver. Turn off Requestable first.")  # fmt: skip
    assert entries() == before
    assert ana.call("PUT", path, read).status_code == 428
    assert ana.call("PUT", path, read, If_Match='"old"').status_code == 412
    etag = ana.get(path).headers["ETag"]
    assert ana.call("PUT", path, None, If_Match=etag, Content_Type="text/plain").status_code == 415


def test_a_rule_that_leaves_a_required_field_empty_is_refused(crm: App, ana: Program) -> None:
    fields = f"/apps/{crm.public_id}/fields"
    role = ana.get(fields).json["items"][0]["id"]
    assert ana.change("PATCH", f"{fields}/{role}", {"required": True}).status_code == 200
    path = f"/apps/{crm.public_id}/policy"
    read = ana.get(path).json
    steps = [one | {"fields": {}} for one in read["steps"]]
    problem(ana.change("PUT", path, read | {"steps": steps}), 422,
            "Role is required but no one can edit it. Give the requester or a step Edit access.", "steps")  # fmt: skip
    problem(ana.change("PUT", path, read | {"approval_required": False}), 422,
            "Role is required but has no default. Without approval, no one can set it. Add a default or make it "
            "optional.", "approval_required")  # fmt: skip


def test_an_approver_who_is_deactivated_by_now_may_stay(crm: App, program: Make, company: Company) -> None:
    adam, path = program("adam"), f"/apps/{crm.public_id}/policy"
    changes.deactivate(company.ana, company.adam)
    read = adam.get(path).json
    assert adam.change("PUT", path, read | {"days": 5}).json["steps"] == read["steps"]
    new = read | {"steps": [{"approver": person(company.ben)}]}
    assert adam.change("PUT", path, new).status_code == 200
    problem(adam.change("PUT", path, read | {"steps": [{"approver": person(company.ana)}]}), 422,
            "This person or group is no longer available. Choose another one.", "steps.0.approver")  # fmt: skip


def test_who_has_a_pending_request_does_not_change_the_rules(crm: App, ana: Program, company: Company) -> None:
    other = factories.app("Slack", company.ben, owner=company.ana)
    factories.request(company.ana, other)
    path = f"/apps/{other.public_id}/policy"
    problem(ana.change("PUT", path, ana.get(path).json | {"days": 9}), 409,
            "You have a pending request for Slack, so you cannot change its rules.")  # fmt: skip


def test_who_turns_approval_off_says_what_becomes_of_pending_requests(
    crm: App, ana: Program, program: Make, company: Company
) -> None:
    made = factories.request(company.rita, crm)
    adam, app_id = program("adam"), crm.id

    def state_of(key: str) -> str:
        return str(adam.get(f"/requests/{key}").json["state"])

    key = made.public_id
    path = f"/apps/{crm.public_id}/policy"
    off = ana.get(path).json | {"approval_required": False}
    asks = "1 request for Salesforce is pending. Send “pending” to say what should happen to it: finish, approve or "
    problem(ana.change("PUT", path, off), 422, asks + "cancel.", "pending")
    cancel = {"action": "cancel", "reason": "It is free now.", "requests": [key]}
    problem(ana.change("PUT", path, off | {"pending": cancel}), 409,
            "Only an admin can approve or cancel them all. Keep them pending or ask an admin.")  # fmt: skip
    on = off | {"approval_required": True}
    problem(ana.change("PUT", path, on | {"pending": cancel}), 422,
            "Leave this out: approval is not turned off, so pending requests stay as they are.", "pending")  # fmt: skip
    assert policy_of(crm).approval_required and state_of(key) == "pending"
    done = adam.change("PUT", path, off | {"pending": cancel | {"action": "approve"}})
    assert done.status_code == 200 and done.json["approval_required"] is False
    assert state_of(key) == "approved"
    assert ("step.approved", "laptop") in by_token()
    on = ana.get(path).json | {"approval_required": True}
    assert ana.change("PUT", path, on).json["approval_required"] is True
    again = factories.request(company.ben, db.session.get_one(App, app_id)).public_id
    assert ana.change("PUT", path, off | {"pending": {"action": "finish"}}).status_code == 200
    assert state_of(again) == "pending"


@pytest.mark.both_engines
def test_a_policy_takes_as_many_statements_for_one_step_as_for_nine(program: Make, company: Company) -> None:
    people = [factories.person(f"Approver {number}", email=f"a{number}@example.com") for number in range(9)]
    adam, counts = program("adam"), []
    for name, some in (("One", people[:1]), ("Nine", people)):
        path = f"/apps/{factories.app(name, *some, owner=company.ana).public_id}/policy"
        with counting() as reading:
            read = adam.get(path)
        with counting() as simulating:
            adam.get(f"{path}/simulation?person={company.rita.public_id}")
        with counting() as writing:
            done = adam.call("PUT", path, read.json | {"days": 9}, If_Match=read.headers["ETag"])
        assert done.status_code == 200, done.text
        counts.append((len(reading), len(simulating), writing.by_verb))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 4


def test_the_rules_of_another_app_are_copied_as_on_the_page(
    crm: App, ana: Program, program: Make, company: Company
) -> None:
    other = factories.app("Zoom", company.ben, owner=company.ana)
    ana.post(f"/apps/{crm.public_id}/fields", {"name": "Seat", "kind": "text"})
    path = f"/apps/{other.public_id}/policy/copy"
    without = ana.post(path, {"source": crm.public_id})
    assert without.status_code == 200, without.text
    assert [one["approver"]["name"] for one in without.json["steps"]] == ["Ana Moreau", "Finance"]
    assert ana.get(f"/apps/{other.public_id}/fields").json["items"] == []
    ana.post(path, {"source": crm.public_id, "fields": True})
    fields = [one["name"] for one in ana.get(f"/apps/{other.public_id}/fields").json["items"]]
    assert "Seat" in fields
    assert [kind for kind, _ in by_token("policy.copied")] == ["policy.copied"] * 2
    hers = factories.app("Miro", company.ana, owner=company.ben)
    for source in (hers.public_id, other.public_id, "0" * 12):
        problem(ana.post(path, {"source": source}), 422, "Choose an app from the list.", "source")
    assert program("adam").post(path, {"source": hers.public_id}).status_code == 200


def test_a_request_is_simulated_as_on_the_page(crm: App, ana: Program, company: Company) -> None:
    path = f"/apps/{crm.public_id}/policy/simulation"
    before = entries(), factories.rows("notices"), factories.rows("requests")
    rita = ana.get(f"{path}?person={company.rita.public_id}").json
    assert rita["gets_access"] is True and rita["missing"] == "" and rita["warnings"] == []
    assert [(one["position"], one["decided_by"], [who["name"] for who in one["people"]], one["days"])
            for one in rita["steps"]] == [
        (1, "approver", ["Ana Moreau"], 3), (2, "approver", ["Ben Okafor", "Chloe Tan"], 3),
    ]  # fmt: skip
    ben = ana.get(f"{path}?person={company.ben.public_id}").json
    assert [who["name"] for who in ben["steps"][1]["people"]] == ["Chloe Tan"] and ben["steps"][1]["people_count"] == 1
    assert ben["warnings"] == ["Only Chloe Tan can decide, because Ben is in Finance."]
    mine = ana.get(f"{path}?person={company.ana.public_id}").json
    assert mine["steps"][0]["decided_by"] == "admins"
    assert mine["warnings"] == ["Step 1 would go to the admins. Requesters cannot approve their own request."]
    problem(ana.get(f"{path}?person=nobody"), 422, "Choose a person.", "person")
    problem(ana.get(path), 422, "Send this field.", "person")
    assert before == (entries(), factories.rows("notices"), factories.rows("requests"))


def test_a_simulation_says_why_nobody_gets_the_app(ana: Program, company: Company) -> None:
    free = factories.app("Slack", owner=company.ana)
    empty = factories.app("Zoom", factories.group("Legal"), owner=company.ana, requestable=False)
    person = f"policy/simulation?person={company.rita.public_id}"
    found = ana.get(f"/apps/{free.public_id}/{person}").json
    assert (found["approval_required"], found["gets_access"], found["steps"]) == (False, True, [])
    changes.only_for(free, company.finance)
    found = ana.get(f"/apps/{free.public_id}/{person}").json
    assert (found["gets_access"], found["missing"]) == (False, "They cannot see it in the catalog")
    found = ana.get(f"/apps/{empty.public_id}/{person}").json
    assert found["missing"] == "It is not in the catalog"
    assert found["steps"][0]["decided_by"] == "owner"
    assert found["warnings"][0] == "Zoom is not in the catalog. Turn on Requestable so that people can request it."


@pytest.mark.both_engines
def test_of_four_who_have_read_the_same_one_is_first(crm: App, ana: Program, company: Company, app: Flask) -> None:
    path = f"/apps/{crm.public_id}/policy"
    read = ana.get(path)
    tag = read.headers["ETag"]
    programs = [Program(app, ana.secret) for _ in range(4)]

    def saving(program: Program, days: int) -> Callable[[], Any]:
        return lambda: program.call("PUT", path, read.json | {"days": days}, If_Match=tag)

    calls = [saving(program, 10 + number) for number, program in enumerate(programs)]
    assert at_once(calls) == [200, 412, 412, 412]
    assert by_token() == [("policy.saved", "laptop")]
