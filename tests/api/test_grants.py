"""Access through the API: listed, added, given, given back and removed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.api.conftest import Program, new_token
from tests.api.helpers import assert_constant, at_once, by_token, entries, problem, statements
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.lookups import count_mails, events, facts, grants, mails
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Grant
from webapp.operations import people as accounts

Make = Callable[..., Program]


def apps(items: list[Any]) -> list[str]:
    return [one["app"]["name"] for one in items]


def people(items: list[Any]) -> list[str]:
    return [one["person"]["name"] for one in items]


@pytest.fixture
def crm(company: Company) -> App:
    """Needs Ana's approval, is owned by Ben; Ana sets the role, which the requester does not see."""
    made = factories.app("Salesforce", company.ana, owner=company.ben)
    choose("write")
    factories.field(made, actor=company.adam, name="Role", kind="choice", options=["Reader", "Writer"],
                    writer=company.ana)  # fmt: skip
    factories.field(made, actor=company.adam, name="Seat", requester="write")
    outbox.commit()
    return made


def test_everyone_lists_the_access_that_they_may_see(program: Make, company: Company) -> None:
    slack, zoom = factories.app("Slack", owner=company.ana), factories.app("Zoom", owner=company.finance)
    for who, what in ((company.rita, slack), (company.otto, slack), (company.rita, zoom)):
        factories.grant(who, what)
    assert apps(program("rita").get("/grants").json["items"]) == ["Zoom", "Slack"]
    assert apps(program("otto").get("/grants").json["items"]) == ["Slack"]
    assert people(program("ana").get("/grants").json["items"]) == ["Otto Brandt", "Rita Lindqvist"]
    assert apps(program("chloe").get("/grants").json["items"]) == ["Zoom"]
    adam = program("adam")
    assert len(adam.get("/grants").json["items"]) == len(program("service").get("/grants").json["items"]) == 3
    assert people(adam.get(f"/grants?app={slack.public_id}").json["items"]) == ["Otto Brandt", "Rita Lindqvist"]
    assert apps(adam.get(f"/grants?person={company.rita.public_id}").json["items"]) == ["Zoom", "Slack"]
    assert program("otto").get(f"/grants?person={company.rita.public_id}").json["items"] == []
    # The owner of an app that is archived manages nobody there.
    changes.archive_app(slack, company.adam)
    assert program("ana").get("/grants").json["items"] == []
    assert apps(program("otto").get("/grants").json["items"]) == ["Slack"]
    assert adam.get("/grants?state=gone").status_code == 422
    assert adam.get("/grants?updated_since=2026-11-30T08:06:00").status_code == 422


@pytest.mark.both_engines
def test_what_began_changed_or_ended_since_is_listed(program: Make, company: Company, crm: App) -> None:
    slack = factories.app("Slack")
    factories.grant(company.rita, slack)
    ended = factories.grant(company.otto, slack).public_id
    adam = program("adam")
    since = clock.now().isoformat().replace("+00:00", "Z")
    path = f"/grants?updated_since={since}"
    assert adam.get(path).json["items"] == []
    given = adam.post("/grants", {"app": slack.public_id, "person": company.ben.public_id, "reason": "So."})
    assert given.status_code == 201, given.text
    adam.post(f"/grants/{ended}/removal", {"reason": "So."})
    assert people(adam.get(path).json["items"]) == ["Ben Okafor", "Otto Brandt"]
    assert people(adam.get(f"{path}&state=removed").json["items"]) == ["Otto Brandt"]
    assert people(adam.get(f"{path}&state=active").json["items"]) == ["Ben Okafor"]


@pytest.mark.both_engines
def test_all_access_is_listed_once_while_more_is_added(program: Make, company: Company) -> None:
    slack, zoom = factories.app("Slack"), factories.app("Zoom")
    for who in (company.rita, company.ana, company.ben, company.chloe, company.otto):
        factories.grant(who, slack)
    waiting = iter((company.rita, company.ana, company.ben))

    def add() -> None:
        factories.grant(next(waiting), zoom)

    items = program("adam").every("/grants?limit=2", between=add)
    assert people(items) == ["Otto Brandt", "Chloe Tan", "Ben Okafor", "Ana Moreau", "Rita Lindqvist"]
    assert set(apps(items)) == {"Slack"}
    cursor = program("adam").get("/grants?limit=1").json["next"]
    assert program("adam").get(f"/grants?state=active&limit=1&cursor={cursor}").status_code == 400


@pytest.mark.both_engines
def test_the_list_takes_as_many_statements_for_one_grant_as_for_twenty(program: Make, company: Company) -> None:
    adam, rita = program("adam"), program("rita")
    counts: list[int] = []
    for number in (1, 5, 20):
        for one in range(number):
            factories.grant(company.rita, factories.app(f"App {number} {one}"))
        counts += [statements(adam, "/grants"), statements(rita, "/grants?state=active")]
    assert_constant(counts[::2], at_most=2)
    assert_constant(counts[1::2], at_most=3)


def test_a_person_adds_an_app_that_needs_no_approval(program: Make, company: Company, crm: App) -> None:
    slack = factories.app("Slack")
    rita = program("rita", "grants:read", "grants:write")
    added = rita.post("/grants", {"app": slack.public_id}, Idempotency_Key="slack")
    assert added.status_code == 201, added.text
    assert added.headers["Location"] == f"/api/v1/grants/{added.json['id']}"
    assert rita.post("/grants", {"app": slack.public_id}, Idempotency_Key="slack").json == added.json
    assert rita.get(f"/grants/{added.json['id']}").json == added.json
    assert added.json == {
        "id": added.json["id"], "app": {"id": slack.public_id, "name": "Slack"},
        "person": {"id": company.rita.public_id, "name": "Rita Lindqvist"}, "state": "active", "fields": {},
        "request": None, "given_by": None, "reason": "", "created_at": added.json["created_at"], "ends_at": None,
        "removed_at": None, "removed_by": None, "removed_reason": "",
    }  # fmt: skip
    assert by_token() == [("grant.added", "laptop")]
    before = entries()
    problem(rita.post("/grants", {"app": slack.public_id}), 409, "You already have Slack.")
    problem(rita.post("/grants", {"app": crm.public_id}), 409,
            "Salesforce now needs approval. Select Request instead.")  # fmt: skip
    leave = "Leave this out, or name the person who gets the app."
    problem(rita.post("/grants", {"app": slack.public_id, "reason": "So."}), 422, leave, "reason")
    problem(rita.post("/grants", {"app": slack.public_id, "fields": {"Seat": "1"}}), 422, leave, "fields")
    problem(rita.post("/grants", {"app": slack.public_id, "until": 1}), 422, "There is no such field.", "until")
    problem(program("service").post("/grants", {"app": slack.public_id}), 422,
            "Name the person who gets the app: an active one.", "person")  # fmt: skip
    hidden = changes.only_for(factories.app("Zoom"), company.finance)
    assert rita.post("/grants", {"app": hidden.public_id}).status_code == 404
    assert rita.post("/grants", {"app": "nothing"}).status_code == 404
    assert rita.call("POST", "/grants", None, Content_Type="text/plain").status_code == 415
    assert len(grants()) == 1 and entries() >= before


def test_who_opened_an_app_to_themselves_does_not_add_it(program: Make, company: Company) -> None:
    slack = factories.app("Slack", company.ana, owner=company.rita)
    rita, path = program("rita"), f"/apps/{slack.public_id}/policy"
    off = rita.get(path).json | {"approval_required": False}
    assert rita.change("PUT", path, off).status_code == 200
    problem(rita.post("/grants", {"app": slack.public_id}), 409,
            "You turned off approval for Slack, so someone else has to give you access. Ask Adam Weiss.")  # fmt: skip


def test_an_owner_gives_an_app_as_on_its_page(program: Make, company: Company, crm: App) -> None:
    ben = program("ben")
    body = {"app": crm.public_id, "person": company.rita.public_id, "reason": "For the fair.",
            "fields": {"Role": "Writer"}}  # fmt: skip
    given = ben.post("/grants", body, Idempotency_Key="one")
    assert given.status_code == 201, given.text
    assert given.json["fields"] == {"Role": "Writer"} and given.json["reason"] == "For the fair."
    assert given.json["given_by"] == {"id": company.ben.public_id, "name": "Ben Okafor"}
    assert ben.post("/grants", body, Idempotency_Key="one").json == given.json
    mails = count_mails()
    assert by_token() == [("grant.added", "laptop")]
    # The person does not see a field that is hidden from requesters, as on their page of the app.
    assert program("rita").get(f"/grants/{given.json['id']}").json["fields"] == {}
    otto = {"app": crm.public_id, "person": company.otto.public_id, "reason": "So."}
    for change, sentence, field in (
        ({"person": company.rita.public_id}, "Rita Lindqvist already has access to Salesforce.", "person"),
        ({"person": company.ben.public_id},
         "You cannot grant yourself access. Request the app, or ask another owner or an admin.", "person"),
        ({"person": "nobody"}, "Choose a person.", "person"),
        ({"reason": " "}, "Enter a reason. The person and the owner of the app get it by email.", "reason"),
        ({"fields": {"Role": "Boss"}}, "“Boss” is not an option for Role. Choose from the list.", "fields.Role"),
        ({"fields": {"Colour": "red"}}, "There is no field Colour that you can set.", "fields.Colour"),
    ):  # fmt: skip
        problem(ben.post("/grants", otto | change), 422, sentence, field)
    asked = factories.request(company.otto, db.session.get_one(App, crm.id))
    problem(ben.post("/grants", otto), 422,
            f"Otto Brandt has a pending request for Salesforce (R-{asked.public_id[:6]}). It has to be approved, "
            "denied or cancelled first.", "person")  # fmt: skip
    for outsider in ("otto", "ana"):
        assert program(outsider).post("/grants", otto).status_code == 404
    assert count_mails() > mails and len(grants()) == 1


def test_a_service_gives_in_the_name_of_who_made_its_token(app: Flask, company: Company, crm: App) -> None:
    body = {"app": crm.public_id, "person": company.rita.public_id, "reason": "A new contract."}
    service = Program(app, new_token(None, made_by=company.adam, name="HR sync"))
    given = service.post("/grants", body)
    assert given.status_code == 201, given.text
    assert given.json["given_by"]["name"] == "Adam Weiss"
    assert by_token("grant.added") == [("grant.added", "HR sync")]
    own = "You cannot grant yourself access. Request the app, or ask another owner or an admin."
    problem(service.post("/grants", body | {"person": company.adam.public_id}), 422, own, "person")
    removed = service.post(f"/grants/{given.json['id']}/removal", {"reason": "Over."})
    assert removed.json["removed_by"]["name"] == "Adam Weiss"
    assert service.post(f"/grants/{given.json['id']}/removal", {"reason": "Over."}).status_code == 409


def test_access_by_a_request_names_the_request_and_its_fields(program: Make, company: Company, crm: App) -> None:
    made = factories.request(company.rita, crm, given=None)
    factories.decide(made, company.ana)
    key = made.public_id
    (own,) = program("rita").get("/grants").json["items"]
    assert own["request"] == key and own["given_by"] is None
    assert program("ben").get(f"/grants/{own['id']}").json["request"] == key
    for outsider in ("otto", "ana"):
        assert program(outsider).get(f"/grants/{own['id']}").status_code == 404


def test_a_person_gives_back_their_own_and_a_manager_says_why(program: Make, company: Company) -> None:
    slack = factories.app("Slack", owner=company.ana)
    own, other = (factories.grant(who, slack).public_id for who in (company.rita, company.otto))
    rita, ana = program("rita"), program("ana")
    back = rita.post(f"/grants/{own}/removal", Idempotency_Key="back")
    assert back.status_code == 200, back.text
    assert (back.json["state"], back.json["removed_by"]["name"]) == ("removed", "Rita Lindqvist")
    assert rita.post(f"/grants/{own}/removal", Idempotency_Key="back").json == back.json
    problem(rita.post(f"/grants/{own}/removal"), 409, "You no longer have Slack.")
    assert rita.post(f"/grants/{other}/removal", {"reason": "So."}).status_code == 404
    problem(ana.post(f"/grants/{other}/removal"), 422,
            "Enter a reason. The person and the app owner get it by email.", "reason")  # fmt: skip
    problem(ana.post(f"/grants/{other}/removal", {"reason": "x" * 501}), 422,
            "Use 500 characters or fewer. You entered 501.", "reason")  # fmt: skip
    removed = ana.post(f"/grants/{other}/removal", {"reason": "The project is over."})
    assert (removed.json["removed_by"]["name"], removed.json["removed_reason"]) == (
        "Ana Moreau", "The project is over.",
    )  # fmt: skip
    problem(ana.post(f"/grants/{other}/removal", {"reason": "Again."}), 409,
            "Ana Moreau has already removed this access.")  # fmt: skip
    assert by_token("grant.removed") == [("grant.removed", "laptop")] * 2
    assert program("otto").get(f"/grants/{other}").json["removed_reason"] == "The project is over."
    assert len(facts("grant.removed")) == 2
    assert {one.state for one in db.session.query(Grant)} == {"removed"}


@pytest.mark.both_engines
def test_an_app_that_is_added_and_given_at_once_is_there_once(program: Make, app: Flask, company: Company) -> None:
    slack = factories.app("Slack", owner=company.ana)
    rita, ana = program("rita").secret, program("ana").secret
    add = {"app": slack.public_id}
    give = add | {"person": company.rita.public_id, "reason": "So."}

    def posting(secret: str, body: dict[str, str]) -> Callable[[], Any]:
        return lambda: Program(app, secret).post("/grants", body)

    first, *others = at_once([posting(rita, add), posting(rita, add), posting(ana, give), posting(ana, give)])
    assert first == 201 and set(others) <= {409, 422}
    assert [one.state for one in grants()] == ["active"]


def test_a_service_of_an_admins_second_account_is_marked_as_the_account_is(
    app: Flask, company: Company, crm: App
) -> None:
    ada = factories.person("Ada Berg", admin=True)
    choose("write")
    eve = accounts.invite(email="eve@example.com", name="Eve New", is_admin=True, actor=company.adam, now=clock.now())
    outbox.commit()
    service = Program(app, new_token(None, made_by=eve))
    for person, is_marked in ((company.adam, True), (company.rita, False)):
        body = {"app": crm.public_id, "person": person.public_id, "reason": "So."}
        before = len(mails())
        assert service.post("/grants", body).status_code == 201
        assert ("vouched" in events("grant.added")[-1]["facts"]) is is_marked
        assert (("grant-added", "other", "ada") in mails(before)) is is_marked
    assert ada.is_admin
