"""Requests and decisions through the API."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.api.conftest import Program, new_token
from tests.api.helpers import assert_constant, by_token, problem, statements
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Decision, Grant, Notice, Organisation
from webapp.operations import apps
from webapp.workflow.states import Assurance, Verdict

Make = Callable[..., Program]


@pytest.fixture
def salesforce(company: Company) -> App:
    return factories.app("Salesforce", company.ana)


def test_who_am_i(program: Make, company: Company) -> None:
    me = program("rita", "requests:read").get("/me").json
    assert me["person"] == {
        "id": company.rita.public_id, "name": "Rita Lindqvist", "email": "rita@example.com", "is_admin": False,
        "owns_apps": False, "department": "", "manager": None,
    }  # fmt: skip
    assert (me["token"]["name"], me["token"]["kind"], me["token"]["scopes"]) == ("laptop", "person", ["requests:read"])
    service = program("service", "people:read").get("/me").json
    assert service["person"] is None and service["token"]["kind"] == "service"


def test_a_request_is_submitted_commented_approved_and_given(program: Make, company: Company, salesforce: App) -> None:
    rita, ana = program("rita"), program("ana")
    made = rita.post("/requests", {"app": salesforce.public_id, "message": "For the spring campaign"})
    assert made.status_code == 201, made.text
    id = made.json["id"]
    assert made.headers["Location"] == f"/api/v1/requests/{id}"
    assert made.json["state"] == "pending" and made.json["message"] == "For the spring campaign"
    (step,) = made.json["steps"]
    assert (step["position"], step["state"], step["approver"]["name"]) == (1, "open", "Ana Moreau")
    assert [one["name"] for one in step["asked"]] == ["Ana Moreau"]
    assert [one["id"] for one in ana.get("/requests?role=approver").json["items"]] == [id]
    rita.post(f"/requests/{id}/comments", {"text": "By Friday, please."})
    (comment,) = ana.get(f"/requests/{id}/comments").json["items"]
    assert (comment["by"]["name"], comment["text"]) == ("Rita Lindqvist", "By Friday, please.")
    done = ana.post(f"/requests/{id}/approval", {"comment": "Fine.", "step": 1})
    assert (done.status_code, done.json["state"]) == (200, "approved")
    (decision,) = done.json["steps"][0]["decisions"]
    assert (decision["verdict"], decision["channel"], decision["comment"]) == ("approved", "api", "Fine.")
    assert db.session.scalars(select(Grant.person_id)).all() == [company.rita.id]
    assert ana.get("/requests?role=approver").json["items"] == []
    kinds = ("request.submitted", "request.commented", "step.approved", "grant.added")
    assert by_token(*kinds) == [(kind, "laptop") for kind in kinds]


def test_a_denial_is_told_as_on_the_screen(program: Make, company: Company, salesforce: App) -> None:
    made = factories.request(company.rita, salesforce)
    answer = program("ana").post(f"/requests/{made.public_id}/denial", {"reason": "Use the shared account."})
    assert answer.json["state"] == "denied"
    kinds = db.session.scalars(select(Notice.kind).where(Notice.person_id == company.rita.id)).all()
    assert "request-denied" in kinds


def test_fields_have_their_names_and_only_those_that_one_may_see(
    program: Make, company: Company, salesforce: App
) -> None:
    for name, requester in (("Role", "write"), ("Region", "read")):
        factories.field(salesforce, actor=company.adam, name=name, kind="choices", options=("EMEA", "APAC", "Viewer"),
                        requester=requester)  # fmt: skip
    factories.field(salesforce, actor=company.adam, writer=company.ana, required=True, name="Cost centre")
    outbox.commit()
    rita, ana = program("rita"), program("ana")
    body = {"app": salesforce.public_id, "message": "Please.", "fields": {"Role": ["Viewer"]}}
    id = rita.post("/requests", body).json["id"]
    missing = ana.post(f"/requests/{id}/approval")
    problem(missing, 422, "Enter Cost centre.", "fields.Cost centre")
    other = ana.post(f"/requests/{id}/approval", {"fields": {"Cost": "4711"}})
    problem(other, 422, "There is no field Cost that you can set.", "fields.Cost")
    done = ana.post(f"/requests/{id}/approval", {"fields": {"Cost centre": "4711"}})
    assert done.json["state"] == "approved"
    assert rita.get(f"/requests/{id}").json["fields"] == {"Role": ["Viewer"]}
    assert program("adam").get(f"/requests/{id}").json["fields"] == {"Role": ["Viewer"], "Cost centre": "4711"}


def test_a_field_that_one_may_only_see_is_not_set(program: Make, company: Company, salesforce: App) -> None:
    factories.field(salesforce, actor=company.adam, name="Region", kind="text", requester="read")
    outbox.commit()
    body = {"app": salesforce.public_id, "message": "Please.", "fields": {"Region": "EMEA"}}
    problem(program("rita").post("/requests", body), 422, "You cannot set Region.", "fields.Region")


def test_a_field_that_is_left_out_keeps_its_value(program: Make, company: Company, salesforce: App) -> None:
    factories.field(salesforce, actor=company.adam, writer=company.ana, name="Licence", default=("Basic",))
    outbox.commit()
    id = program("rita").post("/requests", {"app": salesforce.public_id, "message": "Please."}).json["id"]
    program("ana").post(f"/requests/{id}/approval", {})
    assert program("adam").get(f"/requests/{id}").json["fields"] == {"Licence": "Basic"}


# A service


def test_a_service_requests_for_a_person_who_is_named(program: Make, company: Company, salesforce: App) -> None:
    service = program("service")
    body = {"app": salesforce.public_id, "message": "New here."}
    problem(service.post("/requests", body), 422, "Name the person who gets the app: an active one.", "for_person")
    made = service.post("/requests", body | {"for_person": company.rita.public_id})
    assert made.status_code == 201 and made.json["for_person"]["name"] == "Rita Lindqvist"
    assert by_token("request.submitted") == [("request.submitted", "laptop")]
    changes.deactivate(company.otto, company.adam)
    assert service.post("/requests", body | {"for_person": company.otto.public_id}).status_code == 422


def test_a_person_requests_for_nobody_else(program: Make, company: Company, salesforce: App) -> None:
    body = {"app": salesforce.public_id, "message": "Please.", "for_person": company.otto.public_id}
    problem(program("rita").post("/requests", body), 422, "You can request apps for yourself only.", "for_person")


@pytest.mark.parametrize("call", ["approval", "denial", "comments", "cancellation", "reminders"])
def test_a_service_decides_nothing_and_speaks_for_nobody(
    program: Make, company: Company, salesforce: App, call: str
) -> None:
    made = factories.request(company.rita, salesforce)
    body = {"denial": {"reason": "No."}, "comments": {"text": "Hm."}}.get(call, {})
    assert program("service").post(f"/requests/{made.public_id}/{call}", body).status_code == 403
    assert db.session.scalars(select(Decision.id)).all() == []


# Where the rule wants a session


def test_where_the_rule_wants_a_session_a_token_decides_only_if_the_organisation_allows_it(
    program: Make, company: Company, salesforce: App
) -> None:
    choose("write")
    apps.change_policy(db.session.merge(salesforce), assurance=Assurance.SIGN_IN, actor=company.adam, now=clock.now())
    outbox.commit()
    made = factories.request(company.rita, salesforce)
    ana = program("ana")
    refused = ana.post(f"/requests/{made.public_id}/approval")
    problem(refused, 403, "Salesforce needs an approver who is signed in. Open the request in Countersign and decide "
                          "there.")  # fmt: skip
    assert program("otto").post(f"/requests/{made.public_id}/approval").status_code == 404
    choose("write")
    db.session.get_one(Organisation, 1).tokens_decide_signed_in = True
    db.session.commit()
    assert ana.post(f"/requests/{made.public_id}/approval").json["state"] == "approved"


# Lists


def ids(program: Program, query: str = "") -> list[str]:
    return [one["id"] for one in program.every(f"/requests{query}")]


def test_everyone_sees_their_own_what_they_decide_and_what_they_own(program: Make, company: Company) -> None:
    olga = factories.person("Olga Petrova")
    mine = factories.request(company.rita, factories.app("Figma", company.ana))
    owned = factories.request(company.otto, factories.app("Miro", company.ben, owner=olga))
    assert ids(program("rita")) == [mine.public_id]
    assert ids(program("ana")) == [mine.public_id]
    assert ids(program("otto")) == [owned.public_id]
    assert ids(program("chloe")) == []
    everything = [owned.public_id, mine.public_id]
    assert ids(program("adam")) == everything and ids(program("service")) == everything
    choose("write")
    app = db.session.merge(db.session.get_one(App, owned.app_id))
    assert app.owner_person_id == olga.id


@pytest.mark.both_engines
def test_filters(program: Make, company: Company) -> None:
    figma, miro = factories.app("Figma", company.ana), factories.app("Miro", company.ben)
    first = factories.request(company.rita, figma, message="Winter campaign")
    second = factories.request(company.otto, miro)
    factories.decide(second, company.ben, Verdict.DENIED)
    adam = program("adam")
    assert ids(adam, "?state=pending") == [first.public_id]
    assert ids(adam, "?state=denied") == [second.public_id]
    assert ids(adam, f"?app={miro.public_id}") == [second.public_id]
    assert ids(adam, f"?person={company.rita.public_id}") == [first.public_id]
    assert ids(adam, f"?approver={company.ben.public_id}") == [second.public_id]
    assert ids(adam, "?q=winter") == [first.public_id]
    assert ids(adam, f"?q={second.reference}") == [second.public_id]
    assert ids(adam, "?until=2020-01-01T00:00:00Z") == []
    assert ids(program("ben"), "?role=approver") == []
    assert ids(program("rita"), "?role=requester") == [first.public_id]


def test_what_is_overdue_is_expired_as_on_the_pages(program: Make, company: Company, salesforce: App) -> None:
    made = factories.request(company.rita, salesforce)
    factories.overdue(made)
    rita = program("rita")
    assert rita.get(f"/requests/{made.public_id}").json["state"] == "expired"
    assert rita.get("/requests").json["items"][0]["state"] == "expired"
    assert ids(rita, "?state=expired") == [made.public_id] and ids(rita, "?state=pending") == []
    assert ids(program("ana"), "?role=approver") == []


@pytest.mark.both_engines
def test_updated_since_finds_whatever_happened_to_it(program: Make, company: Company) -> None:
    old, new = (factories.request(company.rita, factories.app(name, company.ana)) for name in ("Figma", "Miro"))
    between = clock.now()
    changes.comment(old, company.rita, "By Friday, please.")
    since = (between + timedelta(0)).isoformat().replace("+00:00", "Z")
    assert ids(program("rita"), f"?updated_since={since}") == [old.public_id]
    assert len(ids(program("rita"), "?updated_since=2020-01-01T00:00:00Z")) == 2
    assert new.public_id


@pytest.mark.both_engines
def test_pages_lose_nothing_and_repeat_nothing_while_others_are_added(program: Make, company: Company) -> None:
    made = [
        factories.request(company.rita, factories.app(f"App {number}", company.ana)).public_id for number in range(5)
    ]
    rita = program("rita")
    more = iter(range(5, 20))
    found = [
        one["id"]
        for one in rita.every(
            "/requests?limit=2",
            between=lambda: factories.request(company.rita, factories.app(f"App {next(more)}", company.ana)),
        )
    ]
    assert found == made[::-1]


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("who", "path", "at_most"),
    [
        ("rita", "/requests", 3),
        ("ana", "/requests?role=approver", 3),
        ("rita", "/requests/{id}", 7),
        ("rita", "/requests/{id}/comments", 5),
    ],
)
def test_statements_do_not_grow_with_rows(program: Make, company: Company, who: str, path: str, at_most: int) -> None:
    caller, counts, first = program(who), [], ""
    for number in range(3):
        made = factories.request(company.rita, factories.app(f"App {number}", company.ana, company.ben))
        first = first or made.public_id
        changes.comment(db.session.merge(made), company.rita, f"Comment {number}")
        counts.append(statements(caller, path.format(id=first)))
    assert_constant(counts, at_most=at_most)


def test_a_service_sees_no_more_of_the_request_of_who_made_its_token_than_they_do(
    app: Flask, program: Make, company: Company, salesforce: App
) -> None:
    choose("write")
    factories.field(salesforce, actor=company.otto, name="Level", kind="text", default=["gold"], writer=company.ana)
    outbox.commit()
    made, others = factories.request(company.adam, salesforce), factories.request(company.rita, salesforce)
    service = Program(app, new_token(None, made_by=company.adam))
    for caller in (service, program("adam")):
        assert caller.get(f"/requests/{made.public_id}").json["fields"] == {}
        assert caller.get(f"/requests/{others.public_id}").json["fields"] == {"Level": "gold"}
    for person, fields in ((company.adam, {}), (company.rita, {"Level": "gold"})):
        figma = factories.app(f"Figma {person.name}", company.ana)
        choose("write")
        factories.field(figma, actor=company.otto, name="Level", kind="text", default=["gold"], writer=company.ana)
        outbox.commit()
        body = {"app": figma.public_id, "for_person": person.public_id}
        assert service.post("/requests", body).json["fields"] == fields
