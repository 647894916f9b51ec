"""People through the API."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from tests.api.conftest import Program, new_token
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, facts, mailed
from tests.helpers.statements import assert_constant, counting
from webapp.extensions import db
from webapp.models import ApiToken, Notice, Person

Make = Callable[..., Program]


@pytest.fixture
def adam(program: Make) -> Program:
    return program("adam")


@pytest.mark.both_engines
def test_the_list_is_by_name_and_has_everybody(adam: Program, company: Company) -> None:
    factories.grant(company.rita, factories.app("Figma"))
    items = adam.get("/people").json["items"]
    assert [one["name"] for one in items] == [
        "Adam Weiss", "Ana Moreau", "Ben Okafor", "Chloe Tan", "Otto Brandt", "Rita Lindqvist",
    ]  # fmt: skip
    rita = items[-1]
    assert rita == {
        "id": company.rita.public_id, "name": "Rita Lindqvist", "email": "rita@example.com", "about": "",
        "department": "", "manager": None,
        "state": "invited", "is_admin": False, "app_count": 1, "created_at": rita["created_at"],
        "deactivated_at": None,
    }  # fmt: skip


@pytest.mark.both_engines
def test_the_list_is_filtered(adam: Program, company: Company) -> None:
    def named(query: str) -> list[str]:
        return [one["name"].split()[0] for one in adam.every(f"/people?{query}")]

    assert named("q=okafor") == ["Ben"]
    assert named("q=an%20mor") == ["Ana"]
    assert named("email=RITA@Example.com") == ["Rita"]
    assert named("is_admin=true") == ["Adam"]
    assert "Adam" not in named("is_admin=false")
    assert adam.post(f"/people/{company.otto.public_id}/deactivation").status_code == 200
    assert named("state=deactivated") == ["Otto"]
    assert "Otto" not in named("state=invited")
    refused = adam.get("/people?email=nothing")
    assert refused.status_code == 422 and refused.json["errors"][0]["field"] == "email"
    assert adam.get("/people?state=gone").status_code == 422


@pytest.mark.both_engines
def test_updated_since_finds_who_was_changed(adam: Program, company: Company) -> None:
    since = events()[-1]["at"].replace("+00:00", "Z")
    changed = adam.get(f"/people/{company.ben.public_id}")
    adam.call("PATCH", f"/people/{company.ben.public_id}", {"about": "Finance"}, If_Match=changed.headers["ETag"])
    adam.call("PUT", f"/groups/{company.finance.public_id}/members/{company.otto.public_id}")
    found = adam.get(f"/people?updated_since={since}").json["items"]
    assert {"Ben Okafor", "Otto Brandt"} <= {one["name"] for one in found}
    assert "Chloe Tan" not in {one["name"] for one in found}
    assert adam.get("/people?updated_since=2026-11-30T08:06:00").status_code == 422
    assert adam.get("/people?updated_since=0001-01-01T00:00:00%2B05:00").status_code == 422


@pytest.mark.both_engines
def test_all_pages_have_everybody_once_while_people_are_added(adam: Program) -> None:
    for number in range(12):
        factories.person(f"Mia{number:02} Berg", email=f"mia{number}@example.com")
    before = {one["id"] for one in adam.every("/people?limit=200")}
    names = iter(["Aaron First", "Zoe Last", "Mia Middle"])

    def add() -> None:
        if name := next(names, ""):
            factories.person(name)

    found = [one["id"] for one in adam.every("/people?limit=5", between=add)]
    assert len(found) == len(set(found))
    assert before <= set(found)


@pytest.mark.both_engines
def test_a_name_that_becomes_very_long_can_be_sorted_by(adam: Program) -> None:
    for number in range(3):
        factories.person("\ufdfa" * 110 + str(number), email=f"long{number}@example.com")
    assert len({one["id"] for one in adam.every("/people?limit=1")}) == 9


@pytest.mark.both_engines
def test_the_list_takes_the_same_statements_with_few_and_many_people(adam: Program) -> None:
    counts = {}
    for size, more in ((1, 0), (30, 30)):
        for number in range(more):
            factories.person("Mia Berg", email=f"mia{number}@example.com")
        adam.get("/people")
        with counting() as counts[size]:
            adam.get("/people?limit=200")
    assert_constant([len(one) for one in counts.values()], at_most=5)


def test_a_person_has_groups_and_apps(adam: Program, company: Company) -> None:
    figma = factories.app("Figma")
    grant = factories.grant(company.ben, figma)
    ben = adam.get(f"/people/{company.ben.public_id}").json
    assert ben["groups"] == [{"id": company.finance.public_id, "name": "Finance"}]
    assert [(one["id"], one["app"]) for one in ben["apps"]] == [
        (grant.public_id, {"id": figma.public_id, "name": "Figma"})
    ]
    assert ben["time_zone"] is None
    assert adam.get("/people/NOBODY000000").status_code == 404


@pytest.mark.both_engines
def test_a_person_takes_the_same_statements_with_few_and_many_groups_and_apps(adam: Program, company: Company) -> None:
    counts = {}
    for size in (1, 20):
        for number in range(size):
            factories.group(f"Group {size} {number}", company.rita)
            factories.grant(company.rita, factories.app(f"App {size} {number}"))
        adam.get("/people")
        with counting() as counts[size]:
            adam.get(f"/people/{company.rita.public_id}")
    assert_constant([len(one) for one in counts.values()], at_most=5)


def test_a_person_is_invited_once_for_one_key(adam: Program, company: Company) -> None:
    body = {"name": "Mia Berg", "email": "Mia@Example.com", "about": "Sales"}
    made = adam.post("/people", body, Idempotency_Key="k1")
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == f"/api/v1/people/{made.json['id']}"
    assert (made.json["email"], made.json["state"], made.json["about"]) == ("mia@example.com", "invited", "Sales")
    again = adam.post("/people", body, Idempotency_Key="k1")
    assert again.json == made.json and again.headers["Idempotency-Replayed"] == "true"
    assert mailed().count(("invitation", "Mia")) == 1
    assert len(facts("person.created")) == 7
    other = adam.post("/people", body | {"name": "Mia Tan"}, Idempotency_Key="k1")
    assert other.status_code == 422


@pytest.mark.parametrize(
    ("body", "field", "sentence"),
    [
        ({"email": "mia@example.com"}, "name", "Send this field."),
        ({"name": " ", "email": "mia@example.com"}, "name", "Enter a name."),
        ({"name": "M" * 121, "email": "mia@example.com"}, "name", "Use 120 characters or fewer."),
        ({"name": "Mia", "email": "rita@example.com"}, "email",
         "A person with the email rita@example.com already exists."),
        ({"name": "Mia", "email": "mia@example.com", "about": "M" * 121}, "about",
         "Use 120 characters or fewer. You entered 121."),
        ({"name": "Mia", "email": "mia@example.com", "role": "boss"}, "role", "There is no such field."),
        ({"name": "Mia", "email": "mia@example.com", "is_admin": "yes"}, "is_admin", "Send true or false."),
    ],
)  # fmt: skip
def test_who_cannot_be_invited_is_refused_with_the_sentence_of_the_screen(
    adam: Program, company: Company, body: dict[str, Any], field: str, sentence: str
) -> None:
    answer = adam.post("/people", body)
    assert answer.status_code == 422
    assert answer.json["errors"] == [{"field": field, "detail": sentence}]
    assert len(facts("person.created")) == 6


def test_a_person_is_changed_as_they_were_read(adam: Program, company: Company) -> None:
    path = f"/people/{company.ben.public_id}"
    read = adam.get(path)
    assert adam.call("PATCH", path, {"name": "Ben Berg"}).status_code == 428
    done = adam.call("PATCH", path, {"name": "Ben Berg", "is_admin": True}, If_Match=read.headers["ETag"])
    assert done.status_code == 200, done.text
    assert (done.json["name"], done.json["is_admin"], done.json["email"]) == ("Ben Berg", True, "ben@example.com")
    assert done.headers["ETag"] == adam.get(path).headers["ETag"]
    late = adam.call("PATCH", path, {"name": "Ben Tan"}, If_Match=read.headers["ETag"])
    assert late.status_code == 412
    assert adam.get(path).json["name"] == "Ben Berg"
    last = [one for one in events("person.changed") if one["person"] == company.ben.id]
    assert [sorted(one["facts"]["after"]) for one in last] == [["name"], ["is_admin"]]
    token = db.session.query(ApiToken).one()
    assert {one["token"] for one in last} == {token.id} and {one["actor"] for one in last} == {company.adam.id}


def test_the_only_admin_stays_one(adam: Program, company: Company) -> None:
    path = f"/people/{company.adam.public_id}"
    sentence = "Adam Weiss is the only admin. Make another person an admin first."
    tag = adam.get(path).headers["ETag"]
    refused = adam.call("PATCH", path, {"is_admin": False, "about": "IT"}, If_Match=tag)
    assert (refused.status_code, refused.json["detail"]) == (409, sentence)
    assert adam.get(path).json["about"] == ""
    refused = adam.post(f"{path}/deactivation")
    assert (refused.status_code, refused.json["detail"]) == (409, "You cannot deactivate yourself. Ask another admin.")


def test_the_time_zone_of_others_is_not_changed(adam: Program, company: Company) -> None:
    path = f"/people/{company.ben.public_id}"
    refused = adam.call("PATCH", path, {"time_zone": "Europe/Berlin"}, If_Match=adam.get(path).headers["ETag"])
    assert refused.status_code == 422
    assert refused.json["errors"] == [{"field": "time_zone", "detail": "There is no such field."}]


def test_deactivation_and_reactivation(adam: Program, program: Make, company: Company) -> None:
    path, rita = f"/people/{company.rita.public_id}", program("rita")
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    done = adam.post(f"{path}/deactivation")
    assert done.status_code == 200 and done.json["state"] == "deactivated" and done.json["deactivated_at"]
    assert rita.get("/me").status_code == 401
    assert facts("request.cancelled")[-1]["actor"] == company.adam.id
    again = adam.post(f"{path}/deactivation")
    assert (again.status_code, again.json["detail"]) == (409, "Rita Lindqvist is already deactivated.")
    back = adam.post(f"{path}/reactivation")
    assert back.json["state"] == "invited" and back.json["deactivated_at"] is None
    again = adam.post(f"{path}/reactivation")
    assert (again.status_code, again.json["detail"]) == (409, "Rita Lindqvist is already active.")


def test_a_deactivation_may_remove_access_too(adam: Program, company: Company) -> None:
    path = f"/people/{company.rita.public_id}/deactivation"
    factories.grant(company.rita, factories.app("Figma"))
    refused = adam.post(path, {"access_removal": {"reason": " "}})
    assert refused.status_code == 422
    assert refused.json["errors"][0]["detail"].startswith("Enter a reason.")
    done = adam.post(path, {"access_removal": {"reason": "Rita leaves."}})
    assert done.status_code == 200 and done.json["apps"] == [] and done.json["state"] == "deactivated"
    assert not [one for one in mailed() if one[0].startswith("grant") and one[1] == "Rita"]
    nothing = adam.post(f"/people/{company.otto.public_id}/deactivation", {"access_removal": {"reason": "He leaves."}})
    assert nothing.status_code == 200


def test_access_to_all_apps_is_removed_for_one_reason(adam: Program, company: Company) -> None:
    path = f"/people/{company.rita.public_id}/access-removal"
    first, second = (factories.grant(company.rita, factories.app(name)) for name in ("Figma", "Miro"))
    stale = adam.post(path, {"reason": "She moves.", "grants": [first.public_id]})
    assert (stale.status_code, stale.json["detail"]) == (
        409, "The apps of Rita Lindqvist have just changed. Check the list, then remove them again.",
    )  # fmt: skip
    assert adam.post(path, {}).json["errors"] == [{"field": "reason", "detail": "Send this field."}]
    done = adam.post(path, {"reason": "She moves.", "grants": [second.public_id, first.public_id]})
    assert done.status_code == 200 and done.json["apps"] == []
    assert len(facts("grant.removed")) == 2
    assert adam.post(path, {"reason": "She moves."}).status_code == 200  # nothing is left
    assert len(facts("grant.removed")) == 2
    assert mailed().count(("grants-removed", "Rita")) == 1


def test_invitations_and_password_links(adam: Program, program: Make, company: Company) -> None:
    path = f"/people/{company.rita.public_id}"
    assert adam.post(f"{path}/invitation").status_code == 200
    assert ("invitation", "Rita") in mailed()
    refused = adam.post(f"{path}/password-reset")
    assert (refused.status_code, refused.json["detail"]) == (
        409, "Rita Lindqvist has no password yet. Send the invitation again.",
    )  # fmt: skip
    factories.with_password(company.rita)
    refused = adam.post(f"{path}/invitation")
    assert (refused.status_code, refused.json["detail"]) == (
        409, "Rita Lindqvist already has a password. They can reset it on the sign-in page.",
    )  # fmt: skip
    assert adam.post(f"{path}/password-reset").status_code == 200
    assert ("password-reset", "Rita") in mailed()
    assert db.session.get_one(Person, company.rita.id, populate_existing=True).vouched_by_id == company.adam.id
    refused = adam.post(f"{path}/sessions/ending")
    assert (refused.status_code, refused.json["detail"]) == (409, "Rita Lindqvist has no active sessions.")


def test_a_service_may_and_stands_in_the_audit_log(program: Make, company: Company) -> None:
    service = program("service", "people:read", "people:admin")
    made = service.post("/people", {"name": "Mia Berg", "email": "mia@example.com"})
    assert made.status_code == 201
    line = events("person.created")[-1]
    assert line["actor"] is None and line["token"] == db.session.query(ApiToken).one().id


def test_who_is_no_admin_any_more_may_nothing(adam: Program, program: Make, company: Company) -> None:
    path = f"/people/{company.ben.public_id}"
    adam.call("PATCH", path, {"is_admin": True}, If_Match=adam.get(path).headers["ETag"])
    company.ben = db.session.get_one(Person, company.ben.id)
    ben = program("ben", "people:read", "people:admin")
    assert ben.get("/people").status_code == 200
    adam.call("PATCH", path, {"is_admin": False}, If_Match=adam.get(path).headers["ETag"])
    assert ben.get("/people").status_code == 404
    assert ben.post("/people", {"name": "Mia", "email": "mia@example.com"}).status_code == 404


def test_the_last_admin_is_not_deactivated_by_a_service(program: Make, company: Company) -> None:
    refused = program("service").post(f"/people/{company.adam.public_id}/deactivation")
    assert (refused.status_code, refused.json["detail"]) == (
        409, "Adam Weiss is the only admin. Make another person an admin first.",
    )  # fmt: skip


def test_reading_does_not_allow_changing(program: Make, company: Company) -> None:
    reader = program("adam", "people:read")
    refused = reader.post(f"/people/{company.rita.public_id}/deactivation")
    assert (refused.status_code, refused.json["detail"]) == (
        403, "This token was not made for this. It needs the scope people:admin.",
    )  # fmt: skip


@pytest.mark.both_engines
@pytest.mark.parametrize("who", ["person", "group", "organisation"])
def test_of_two_changes_of_what_both_have_read_one_wins(
    adam: Program, program: Make, company: Company, who: str
) -> None:
    path = {
        "person": f"/people/{company.ben.public_id}",
        "group": f"/groups/{company.finance.public_id}",
        "organisation": "/organisation",
    }[who]
    programs = [adam, program("service"), program("adam"), program("service")]
    tag, start = adam.get(path).headers["ETag"], threading.Barrier(len(programs))
    statuses = []

    def change(number: int) -> None:
        start.wait()
        answer = programs[number].call("PATCH", path, {"name": f"Name {number}"}, If_Match=tag)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(len(programs))]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(statuses) == [200, 412, 412, 412]


def test_a_call_that_needs_no_words_takes_none(adam: Program, app: Flask, company: Company) -> None:
    client, headers = app.test_client(use_cookies=False), {"Authorization": f"Bearer {adam.secret}"}
    path = f"/api/v1/people/{company.rita.public_id}"
    assert client.post(f"{path}/deactivation", headers=headers).status_code == 200
    needed = client.post(f"{path}/access-removal", headers=headers)
    assert needed.status_code == 422 and needed.json["errors"] == [{"field": "reason", "detail": "Send this field."}]


def test_a_link_from_a_service_says_who_made_its_token(app: Flask, company: Company) -> None:
    factories.with_password(company.ben)
    service = Program(app, new_token(None, ["people:admin"], made_by=company.adam))
    assert service.post(f"/people/{company.ben.public_id}/password-reset").status_code == 200
    mail = db.session.scalars(select(Notice).where(Notice.kind == "password-reset")).one()
    assert mail.data == {"by": company.adam.id}


def test_manager_and_department_are_read_set_and_filtered_by(adam: Program, program: Make, company: Company) -> None:
    made = adam.post(
        "/people", {"name": "Kim", "email": "kim@example.com", "department": "IT", "manager": company.ana.public_id}
    )
    assert made.status_code == 201
    assert made.json["manager"] == {"id": company.ana.public_id, "name": "Ana Moreau"}
    assert made.json["department"] == "IT"
    for query in ("department=IT", f"manager={company.ana.public_id}"):
        (line,) = adam.get(f"/people?{query}").json["items"]
        assert (line["name"], line["department"], line["manager"]["name"]) == ("Kim", "IT", "Ana Moreau")
    place = f"/people/{company.ana.public_id}"
    etag = adam.get(place).headers["ETag"]
    refused = adam.call("PATCH", place, {"manager": made.json["id"]}, If_Match=etag)
    assert refused.status_code == 422 and refused.json["errors"][0]["field"] == "manager"
    assert adam.call("PATCH", place, {"manager": "NOSUCHPERSON"}, If_Match=etag).status_code == 422
    kim = f"/people/{made.json['id']}"
    kept = adam.call("PATCH", kim, {"about": "Support"}, If_Match=made.headers["ETag"])
    assert kept.json["manager"]["name"] == "Ana Moreau"
    ended = adam.call("PATCH", kim, {"manager": None, "department": ""}, If_Match=kept.headers["ETag"])
    assert (ended.json["manager"], ended.json["department"]) == (None, "")


def test_me_says_department_and_manager(adam: Program, program: Make, company: Company) -> None:
    place = f"/people/{company.rita.public_id}"
    body = {"department": "Marketing", "manager": company.ana.public_id}
    adam.call("PATCH", place, body, If_Match=adam.get(place).headers["ETag"])
    me = program("rita").get("/me").json["person"]
    assert (me["department"], me["manager"]["name"]) == ("Marketing", "Ana Moreau")
