"""Apps through the API: the catalog, and the settings for who manages an app."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Program, new_token
from tests.api.helpers import assert_constant, by_token, entries, problem, statements
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.lookups import app_called, facts, state
from webapp import clock
from webapp.extensions import db

Make = Callable[..., Program]


def names(items: list[Any]) -> list[str]:
    return [one["name"] for one in items]


def test_the_catalog_says_what_each_app_is_to_the_person(program: Make, company: Company) -> None:
    salesforce = factories.app("Salesforce", company.ana, category="Sales", launch_url="https://crm.example.com")
    slack = factories.app("Slack", launch_url="https://slack.example.com")
    factories.app("Zoom")
    factories.app("Adobe", company.ana)
    changes.only_for(factories.app("Workday"), company.finance)
    factories.app("Hidden", company.ana, requestable=False)
    request = factories.request(company.rita, salesforce)
    grant = factories.grant(company.rita, slack)
    items = program("rita", "apps:read").get("/apps").json["items"]
    assert names(items) == ["Adobe", "Salesforce", "Slack", "Zoom"]
    assert [one["mine"] for one in items] == [
        {"state": "request", "request": None, "grant": None},
        {"state": "requested", "request": request.public_id, "grant": None},
        {"state": "added", "request": None, "grant": grant.public_id},
        {"state": "add", "request": None, "grant": None},
    ]
    assert [one["settings"] for one in items] == [None] * 4
    # Where an app opens is for those who have it.
    assert [one["launch_url"] for one in items] == ["", "", "https://slack.example.com", ""]
    assert [one["approval_required"] for one in items] == [True, True, False, False]
    factories.overdue(request)
    assert program("rita").get(f"/apps/{salesforce.public_id}").json["mine"]["state"] == "request"
    assert names(program("ben").get("/apps").json["items"])[3] == "Workday"


@pytest.mark.both_engines
def test_the_lists_are_filtered_as_on_the_screens(program: Make, company: Company) -> None:
    factories.app("Salesforce", company.ana, category="Sales", owner=company.ana)
    factories.app("Slack", category="Teamwork", owner=company.finance)
    factories.app("Zoom", company.ana, category="Teamwork", requestable=False)
    old = factories.app("Old")
    changes.archive_app(old, company.adam)
    rita, ana, adam, service = (program(one) for one in ("rita", "ana", "adam", "service"))
    assert names(rita.get("/apps?q=sal").json["items"]) == ["Salesforce"]
    assert names(rita.get("/apps?category=Teamwork").json["items"]) == ["Slack"]
    assert rita.get("/apps?manage=true").json["items"] == []
    assert names(ana.get("/apps?manage=true").json["items"]) == ["Salesforce"]
    assert names(program("ben").get("/apps?manage=true").json["items"]) == ["Slack"]
    every = ["Salesforce", "Slack", "Zoom"]
    assert names(adam.get("/apps?manage=true").json["items"]) == names(service.get("/apps").json["items"]) == every
    assert names(adam.get("/apps").json["items"]) == ["Salesforce", "Slack"]
    assert names(adam.get("/apps?manage=true&requestable=false").json["items"]) == ["Zoom"]
    assert names(adam.get("/apps?manage=true&archived=true").json["items"]) == ["Old"]
    assert all(one["mine"] is None for one in service.get("/apps").json["items"])
    problem(rita.get("/apps?requestable=true"), 422, "Send manage=true with requestable.", "requestable")
    problem(ana.get("/apps?manage=true&archived=true"), 403, "Only an admin can list archived apps.", "archived")
    assert rita.get("/apps?colour=red").status_code == 422
    assert rita.get("/apps?updated_since=2026-11-30T08:06:00").status_code == 422
    assert rita.get("/apps?cursor=x").status_code == 400


@pytest.mark.both_engines
def test_what_changed_since_is_found_by_the_audit_log(program: Make, company: Company) -> None:
    slack, zoom = factories.app("Slack", company.ana), factories.app("Zoom")
    adam = program("adam")
    db.session.remove()
    since = clock.now().isoformat().replace("+00:00", "Z")
    assert adam.get(f"/apps?updated_since={since}").json["items"] == []
    # A request and a grant are no change of the app.
    factories.request(company.rita, slack)
    factories.grant(company.rita, zoom)
    assert adam.get(f"/apps?updated_since={since}").json["items"] == []
    assert adam.change("PATCH", f"/apps/{zoom.public_id}", {"note": "Ask first."}).status_code == 200
    assert names(adam.get(f"/apps?updated_since={since}").json["items"]) == ["Zoom"]


@pytest.mark.both_engines
def test_all_apps_are_listed_once_while_others_are_added(program: Make, company: Company) -> None:
    for number in range(7):
        factories.app(f"App {number}")
    added = iter(range(100))

    def add() -> None:
        factories.app(f"A first one {next(added)}")
        factories.app(f"Z last one {next(added)}")

    items = names(program("rita").every("/apps?limit=2", between=add))
    assert items[:7] == [f"App {number}" for number in range(7)]
    assert len(items) == len(set(items))
    adam = program("adam")
    every = names(adam.every("/apps?manage=true&limit=3"))
    assert every == sorted(every) and len(every) == len(set(every)) and set(items) < set(every)
    # A cursor is of its own list.
    cursor = adam.get("/apps?limit=2").json["next"]
    assert adam.get(f"/apps?manage=true&limit=2&cursor={cursor}").status_code == 400


@pytest.mark.both_engines
def test_the_list_takes_as_many_statements_for_one_app_as_for_forty(program: Make, company: Company) -> None:
    rita, adam = program("rita"), program("adam")
    counts: dict[str, list[int]] = {"/apps": [], "/apps?manage=true": []}
    for number in (1, 12, 27):
        for one in range(number):
            changes.only_for(factories.app(f"App {number} {one}", owner=company.finance), company.finance)
        for path, found in counts.items():
            found.append(statements(adam if "manage" in path else rita, path))
    assert_constant(counts["/apps"], at_most=2)
    assert_constant(counts["/apps?manage=true"], at_most=3)


def test_an_app_is_for_those_who_find_it_have_it_or_own_it(program: Make, company: Company) -> None:
    hidden = factories.app("Workday", owner=company.ana, note="Ask first.")
    grant = factories.grant(company.rita, hidden)
    changes.only_for(hidden, company.finance)
    path = f"/apps/{hidden.public_id}"
    for who, status in (("rita", 200), ("ben", 200), ("ana", 200), ("adam", 200), ("service", 200), ("otto", 404)):
        assert program(who).get(path).status_code == status, who
    assert program("rita").get(path).json["mine"] == {"state": "added", "request": None, "grant": grant.public_id}
    assert program("ana").get(path).json["mine"]["state"] == "unavailable"
    settings = program("ana").get(path).json["settings"]
    assert settings["owner"] == {"kind": "person", "id": company.ana.public_id, "name": "Ana Moreau"}
    assert settings["audience"] == [{"id": company.finance.public_id, "name": "Finance"}]
    assert settings["requestable"] is True and settings["archived_at"] is None
    changes.archive_app(hidden, company.adam)
    for who, status in (("rita", 200), ("ben", 404), ("ana", 404), ("adam", 200)):
        assert program(who).get(path).status_code == status, who


def test_an_admin_creates_an_app_once(program: Make, company: Company) -> None:
    adam = program("adam", "apps:read", "apps:admin")
    body = {
        "name": " Canva ", "description": "Pictures", "category": "Design", "note": "Ask first.",
        "launch_url": "https://canva.example.com", "owner": {"kind": "person", "id": company.ana.public_id},
        "audience": [{"id": company.finance.public_id}],
    }  # fmt: skip
    made = adam.post("/apps", body, Idempotency_Key="one")
    assert made.status_code == 201, made.text
    assert made.headers["Location"] == f"/api/v1/apps/{made.json['id']}"
    again = adam.post("/apps", body, Idempotency_Key="one")
    assert (again.status_code, again.json) == (201, made.json) and again.headers["Idempotency-Replayed"] == "true"
    assert adam.get(f"/apps/{made.json['id']}").json == made.json
    assert (made.json["name"], made.json["description"], made.json["note"]) == ("Canva", "Pictures", "Ask first.")
    assert made.json["approval_required"] is True and made.json["settings"]["requestable"] is False
    assert made.json["settings"]["owner"]["name"] == "Ana Moreau"
    assert [one["name"] for one in made.json["settings"]["audience"]] == ["Finance"]
    assert set(by_token()) == {("app.created", "laptop"), ("policy.saved", "laptop"), ("app.changed", "laptop")}
    assert [kind for kind, _ in by_token()].count("app.created") == 1
    # An admin owns what they create, a service nothing.
    assert adam.post("/apps", {"name": "Miro"}).json["settings"]["owner"]["name"] == "Adam Weiss"
    assert program("service").post("/apps", {"name": "Figma"}).json["settings"]["owner"] is None


def test_an_app_is_not_created_with_bad_input(program: Make, company: Company) -> None:
    factories.app("Slack")
    adam = program("adam")
    before = entries()
    problem(adam.post("/apps", {"name": "  "}), 422, "Enter a name.", "name")
    problem(adam.post("/apps", {"name": "Slack"}), 422, "An app with the name Slack already exists.", "name")
    problem(adam.post("/apps", {}), 422, "Send this field.", "name")
    problem(adam.post("/apps", {"name": "A", "colour": "red"}), 422, "There is no such field.", "colour")
    problem(adam.post("/apps", {"name": "A", "category": "x" * 61}), 422,
            "A category can have up to 60 characters.", "category")  # fmt: skip
    problem(adam.post("/apps", {"name": "A", "launch_url": "javascript:1"}), 422,
            "Enter a full URL, for example https://app.example.com.", "launch_url")  # fmt: skip
    gone = "This person or group is no longer available. Choose another one."
    problem(adam.post("/apps", {"name": "A", "owner": {"kind": "group", "id": "nobody"}}), 422, gone, "owner")
    problem(adam.post("/apps", {"name": "A", "requestable": True}), 409,
            "Choose an approver for A first or turn off Approval required.")  # fmt: skip
    assert adam.call("POST", "/apps", None, Content_Type="application/json").status_code == 400
    assert adam.call("POST", "/apps", None, Content_Type="text/plain").status_code == 415
    assert app_called("A") is None and entries() == before


def test_an_owner_changes_an_app_that_they_have_read(program: Make, company: Company) -> None:
    slack = factories.app("Slack", company.ana, owner=company.ana, note="Ask first.")
    ana, path = program("ana"), f"/apps/{slack.public_id}"
    change = {"name": "Slack for all", "description": "Chat", "category": "Teamwork", "note": "Just ask.",
              "audience": [{"id": company.finance.public_id}], "requestable": False}  # fmt: skip
    problem(ana.call("PATCH", path, change), 428,
            "Send the ETag that you read as If-Match, so that no change is lost.")  # fmt: skip
    read = ana.get(path)
    changed = ana.call("PATCH", path, change, If_Match=read.headers["ETag"])
    assert changed.status_code == 200, changed.text
    assert changed.headers["ETag"] == ana.get(path).headers["ETag"] != read.headers["ETag"]
    assert {name: changed.json[name] for name in ("name", "description", "category", "note")} == {
        name: change[name] for name in ("name", "description", "category", "note")
    }
    assert changed.json["settings"]["requestable"] is False
    problem(ana.call("PATCH", path, {"note": ""}, If_Match=read.headers["ETag"]), 412,
            "This was changed since you read it. Read it again, then change it.")  # fmt: skip
    assert set(by_token()) == {("app.changed", "laptop")}
    # What was read can be sent back, and nothing is recorded.
    before = entries()
    same = {"name": changed.json["name"], "audience": changed.json["settings"]["audience"], "requestable": False,
            "owner": changed.json["settings"]["owner"]}  # fmt: skip
    assert ana.change("PATCH", path, same).json == changed.json
    assert entries() == before


def test_a_change_is_refused_as_on_the_screen(program: Make, company: Company) -> None:
    slack = factories.app("Slack", company.ana, owner=company.ana)
    ana, adam, path = program("ana"), program("adam"), f"/apps/{slack.public_id}"
    before = entries()
    for change, status, sentence, field in (
        ({"launch_url": "https://x.example.com"}, 422, "Only an admin can change the app URL.", "launch_url"),
        ({"owner": None}, 403, "Only an admin can change the owner.", "owner"),
        ({"note": "x" * 501}, 422, "Use 500 characters or fewer. You entered 501.", "note"),
        ({"note": None}, 422, "Send a value, or leave it out.", "note"),
        ({"audience": [{"id": "nobody"}]}, 422,
         "One of these groups is no longer available. Reload the page and choose again.", "audience"),
    ):  # fmt: skip
        problem(ana.change("PATCH", path, change), status, sentence, field)
    factories.request(company.ben, slack)
    factories.request(company.adam, slack)
    problem(adam.change("PATCH", path, {"requestable": False}), 409,
            "You have a pending request for Slack, so you cannot change its rules.")  # fmt: skip
    assert entries() == before + 4  # the two requests
    assert db.session.merge(slack).requestable


def test_an_admin_changes_the_owner(program: Make, company: Company) -> None:
    slack = factories.app("Slack", company.ana, owner=company.ana)
    adam, path = program("adam"), f"/apps/{slack.public_id}"
    to = {"kind": "group", "id": company.finance.public_id}
    assert adam.change("PATCH", path, {"owner": to}).json["settings"]["owner"] == to | {"name": "Finance"}
    assert program("ana").call("PATCH", path, {"note": "Mine."}).status_code == 404
    assert adam.change("PATCH", path, {"owner": None}).json["settings"]["owner"] is None
    # An owner who is deactivated by now does not keep others from changing the rest.
    assert adam.change("PATCH", path, {"owner": {"kind": "person", "id": company.ana.public_id}}).status_code == 200
    changes.deactivate(company.ana, company.adam)
    read = adam.get(path).json["settings"]["owner"]
    assert adam.change("PATCH", path, {"owner": read, "note": "Ask."}).json["note"] == "Ask."


def test_an_app_is_archived_and_restored(program: Make, company: Company) -> None:
    slack = factories.app("Slack", owner=company.ana)
    adam, path = program("adam"), f"/apps/{slack.public_id}"
    archived = adam.post(f"{path}/archival", Idempotency_Key="a")
    assert archived.status_code == 200 and archived.json["settings"]["archived_at"] is not None
    assert adam.post(f"{path}/archival", Idempotency_Key="a").json == archived.json
    assert adam.post(f"{path}/archival").status_code == 404
    assert adam.call("PATCH", path, {"note": ""}, If_Match='"x"').status_code == 404
    restored = adam.call("POST", f"{path}/restoration")
    assert restored.json["settings"]["archived_at"] is None and restored.json["settings"]["requestable"] is False
    assert by_token() == [("app.archived", "laptop"), ("app.restored", "laptop")]
    adam.post(f"{path}/archival")
    factories.app("Slack")
    problem(adam.call("POST", f"{path}/restoration"), 409, "Another app now has this name. Rename that app first.")


def test_who_archives_says_what_becomes_of_pending_requests(program: Make, company: Company) -> None:
    slack = factories.app("Slack", company.ana)
    first = factories.request(company.rita, slack)
    adam, path = program("adam"), f"/apps/{slack.public_id}/archival"
    asks = "1 request for Slack is pending. Send “pending” to say what should happen to it: finish, approve or cancel."
    problem(adam.post(path), 422, asks, "pending")
    look = "Send the ids of the pending requests that you have looked at."
    problem(adam.post(path, {"pending": {"action": "cancel", "reason": "So."}}), 422, look, "pending.requests")
    seen = {"action": "cancel", "reason": "It is gone.", "requests": [first.public_id]}
    second = factories.request(company.ben, slack)
    problem(adam.post(path, {"pending": seen}), 409,
            "There is a new request for Slack. Nothing was saved. Look at it and confirm again.")  # fmt: skip
    both = seen | {"requests": [first.public_id, second.public_id]}
    problem(adam.post(path, {"pending": both | {"reason": ""}}), 422,
            "Enter a reason. People on these requests will see it with your name.", "pending.reason")  # fmt: skip
    problem(program("service").post(path, {"pending": both | {"action": "approve"}}), 403,
            "Only a person can do that.")  # fmt: skip
    problem(adam.post(path, {"pending": both | {"action": "burn"}}), 422,
            "Send 'finish', 'approve' or 'cancel'.", "pending.action")  # fmt: skip
    assert state(first) == state(second) == "pending" and not db.session.merge(slack).archived_at
    assert adam.post(path, {"pending": both}).status_code == 200
    assert state(first) == state(second) == "cancelled"
    assert [one["reason"] is not None for one in facts("request.cancelled")] == [True, True]
    assert ("request.cancelled", "laptop") in by_token()


def test_a_service_that_cancels_does_so_for_who_made_its_token(app: Flask, company: Company) -> None:
    secret = new_token(None, ["apps:admin"], made_by=company.adam)
    slack = factories.app("Slack", company.ana)
    made = factories.request(company.rita, slack)
    answer = Program(app, secret).post(
        f"/apps/{slack.public_id}/archival",
        {"pending": {"action": "cancel", "reason": "It is gone.", "requests": [made.public_id]}},
    )
    assert answer.status_code == 200, answer.text
    assert state(made) == "cancelled"
    assert db.session.merge(made).settled_by_id == company.adam.id
