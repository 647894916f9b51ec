"""What a directory pushes, and what follows here."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.helpers import factories, statements
from tests.helpers.factories import Company
from tests.helpers.lookups import asked, events, kinds, mails, state
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import ApiToken, Directory, DirectoryPush, Group, Membership, Person
from webapp.operations import directories, groups, people, people_import, reporting
from webapp.operations import tokens as token_operations
from webapp.operations.errors import Conflict

from .conftest import BULK, ENTERPRISE, USER, Pusher


def found(name: str) -> Person:
    db.session.rollback()
    return db.session.query(Person).filter_by(name=name).populate_existing().one()


def pushed() -> list[tuple[str, str, str]]:
    """(call, name, outcome) of each push, in order."""
    db.session.rollback()
    return [(one.call, str(one.name), one.outcome) for one in db.session.query(DirectoryPush).order_by("id")]


def members_of(group: str) -> list[str]:
    db.session.rollback()
    rows = db.session.query(Person.name).join(Membership, Membership.person_id == Person.id)
    return sorted(str(name) for (name,) in rows.join(Group).filter(Group.name == group))


def test_a_new_person_is_here_at_once_without_a_password_and_nobody_is_mailed(entra: Pusher, company: Company) -> None:
    before, lines = len(mails()), len(events())
    answer = entra.person("Nils Berg")
    assert answer.status_code == 201 and answer.headers["Location"].endswith(f"/scim/v2/Users/{answer.json['id']}")
    assert answer.json["meta"]["version"] == answer.headers["ETag"] == 'W/"1"'
    nils = found("Nils Berg")
    assert nils.email == "nils@example.com" and nils.active and not nils.is_admin and nils.password_hash is None
    assert kinds(lines) == ["person.created"] and len(mails()) == before
    assert events("person.created")[-1]["token"] == db.session.query(ApiToken).one().id
    assert pushed() == [("POST Users", "Nils Berg", "done")]
    read = entra.get(f"/Users/{answer.json['id']}")
    assert read.json["userName"] == "nils@corp.example.com" and read.json["externalId"] == "ext-nils"
    assert entra.get(f"/Users/{answer.json['id']}", If_None_Match=read.headers["ETag"]).status_code == 304


def test_new_people_are_invited_if_the_directory_says_so(entra: Pusher) -> None:
    choose("write")
    db.session.query(Directory).one().invites = True
    outbox.commit()
    before = len(mails())
    entra.person("Nils Berg")
    entra.person("Pia Sand", active=False)
    assert mails(before) == [("invitation", "requester", "nils")]


def test_somebody_who_was_added_by_hand_is_found_and_taken_over(entra: Pusher, company: Company) -> None:
    listed = entra.get('/Users?filter=userName eq "RITA@example.com"').json
    assert listed["totalResults"] == 1 and listed["Resources"][0]["userName"] == "rita@example.com"
    answer = entra.person("Rita Lindqvist-Berg")
    assert answer.status_code == 201 and answer.json["id"] == company.rita.public_id
    assert found("Rita Lindqvist-Berg").id == company.rita.id


def test_deactivation_has_at_once_the_full_effect(entra: Pusher, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.with_password(company.rita)
    session, (_, _) = factories.session_of(company.rita), factories_token(company.rita)
    id = entra.person("Rita Lindqvist").json["id"]
    answer = entra.patch(f"/Users/{id}?attributes=active", {"op": "Replace", "path": "active", "value": "False"})
    assert answer.status_code == 200 and answer.json["active"] is False, answer.text
    rita = found("Rita Lindqvist")
    assert not rita.active and state(made) == "cancelled" and session
    assert factories.rows("sessions", "ended_at IS NULL") == 0
    assert factories.rows("api_tokens", "revoked_at IS NULL AND person_id IS NOT NULL") == 0
    assert events("person.deactivated")[-1]["actor"] is None
    entra.patch(f"/Users/{id}", {"op": "replace", "value": {"active": True}})
    assert found("Rita Lindqvist").active


def factories_token(person: Person) -> tuple[ApiToken, str]:
    choose("write")
    made = token_operations.create(
        name="laptop", scopes=["requests:read"], days=30, actor=person, now=clock.now(), person=person
    )
    outbox.commit()
    return made


def test_who_is_deleted_comes_back_as_the_same_person(entra: Pusher) -> None:
    id = entra.person("Nils Berg").json["id"]
    assert entra.call("DELETE", f"/Users/{id}").status_code == 204
    assert not found("Nils Berg").active
    assert entra.get(f"/Users/{id}").status_code == entra.call("DELETE", f"/Users/{id}").status_code == 404
    assert entra.get('/Users?filter=userName eq "nils@corp.example.com"').json["totalResults"] == 0
    answer = entra.person("Nils Berg")
    assert answer.status_code == 201 and answer.json["id"] == id
    assert found("Nils Berg").active


@pytest.mark.parametrize(
    ("body", "status", "sentence"),
    [
        ({"emails": []}, 400, "has no email address"),
        ({"emails": [{"value": "no address"}]}, 400, "email"),
        ({"userName": " "}, 400, "userName"),
        ({"displayName": "x" * 30_000}, 400, "characters"),
        ({"displayName": "a" + "\u0301" * 40}, 400, "accents"),
        ({"displayName": "Nils\x00"}, 400, "cannot be stored"),
    ],
)
def test_what_cannot_be_is_refused_with_a_sentence_and_noted(
    entra: Pusher, body: dict[str, Any], status: int, sentence: str
) -> None:
    people_before, lines = factories.rows("people"), len(events())
    answer = entra.person("Nils Berg", **body)
    assert answer.status_code == status and sentence in answer.json["detail"], answer.text
    assert factories.rows("people") == people_before and len(events()) == lines
    assert [outcome for _, _, outcome in pushed()] == ["refused"]
    assert sentence in db.session.query(DirectoryPush).one().sentence


def test_the_same_person_twice_is_a_conflict(entra: Pusher) -> None:
    entra.person("Nils Berg")
    again = entra.person("Nils Berg")
    assert again.status_code == 409 and again.content_type == "application/scim+json"
    assert entra.person("Nora Berg", userName="NILS@corp.example.com").status_code == 409


def test_an_admin_keeps_their_address_and_the_only_admin_their_account(entra: Pusher, company: Company) -> None:
    id = entra.person("Adam Weber", emails=[{"value": company.adam.email}]).json["id"]
    moved = {"op": "replace", "path": 'emails[type eq "work"].value', "value": "evil@example.net"}
    answer = entra.patch(f"/Users/{id}", moved | {"path": "emails", "value": [{"value": "evil@example.net"}]})
    assert answer.status_code == 409 and "is an admin here" in answer.json["detail"]
    assert entra.call("DELETE", f"/Users/{id}").status_code == 409
    db.session.rollback()
    adam = db.session.get(Person, company.adam.id)
    assert adam is not None and adam.active and adam.email == "adam@example.com"


def test_a_push_for_an_older_version_is_refused(entra: Pusher) -> None:
    id = entra.person("Nils Berg").json["id"]
    old = entra.get(f"/Users/{id}").headers["ETag"]
    change = {"op": "replace", "path": "displayName", "value": "Nils B"}
    assert entra.patch(f"/Users/{id}", change, If_Match=old).status_code == 204
    assert entra.patch(f"/Users/{id}", change | {"value": "Nils C"}, If_Match=old).status_code == 412
    assert found("Nils B").active


def test_a_bulk_with_a_duplicate_in_the_middle_loses_nothing(entra: Pusher) -> None:
    entra.person("Nils Berg")
    lines = len(events())

    def new(name: str, key: str) -> dict[str, Any]:
        first = name.split()[0].lower()
        data = {
            "schemas": [USER],
            "userName": first,
            "displayName": name,
            "emails": [{"value": f"{first}@example.com"}],
        }
        return {"method": "POST", "path": "/Users", "bulkId": key, "data": data}

    answer = entra.call(
        "POST",
        "/Bulk",
        {"schemas": [BULK], "Operations": [new("Pia Sand", "a"), new("Nils Berg", "b"), new("Olga Lie", "c")]},
    )
    assert [one["status"] for one in answer.json["Operations"]] == ["201", "409", "201"]
    assert found("Pia Sand").active and found("Olga Lie").active
    assert kinds(lines) == ["person.created", "person.created"]
    assert sorted(outcome for _, _, outcome in pushed()) == ["done", "done", "done", "refused"]


def test_a_group_follows_the_directory_and_what_waits_follows_the_group(entra: Pusher, company: Company) -> None:
    ids = [entra.person(name).json["id"] for name in ("Nils Berg", "Pia Sand", "Olga Lie")]
    group = entra.group("Brand", *ids[:2])
    assert group.status_code == 201 and [one["value"] for one in group.json["members"]] == ids[:2]
    key = group.json["id"]
    brand = db.session.query(Group).filter_by(name="Brand").one()
    made = factories.request(company.rita, factories.app("Salesforce", brand))
    remove = {"op": "Remove", "path": "members", "value": [{"value": ids[0]}]}
    entra.patch(f"/Groups/{key}", {"op": "Add", "path": "members", "value": [{"value": ids[2]}]}, remove)
    assert members_of("Brand") == ["Olga Lie", "Pia Sand"]
    assert asked(made) == {"olga": 1, "pia": 1}
    in_use = entra.call("DELETE", f"/Groups/{key}")
    assert in_use.status_code == 409 and "is an approver for Salesforce" in in_use.json["detail"]
    wrong = entra.patch(f"/Groups/{key}", {"op": "add", "path": "members", "value": [{"value": "0" * 12}]})
    assert wrong.status_code == 400 and "Push the person first" in wrong.json["detail"]
    assert members_of("Brand") == ["Olga Lie", "Pia Sand"]


def test_a_group_that_is_kept_by_hand_stays_so(entra: Pusher, company: Company) -> None:
    assert entra.get('/Groups?filter=displayName eq "Finance"').json["totalResults"] == 0
    answer = entra.group("Finance", company.otto.public_id)
    assert answer.status_code == 400 and "already exists" in answer.json["detail"]
    assert members_of("Finance") == ["Ben Okafor", "Chloe Tan"]


def test_an_inactive_member_is_held(entra: Pusher) -> None:
    id = entra.person("Nils Berg", active=False).json["id"]
    assert entra.group("Brand", id).status_code == 201
    assert members_of("Brand") == ["Nils Berg"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('userName eq "NILS@corp.example.com"', ["Nils Berg"]),
        ('externalId eq "ext-pia"', ["Pia Sand"]),
        ('displayName co "berg" and active eq true', ["Nils Berg"]),
        ('userName sw "pia" or userName sw "nils"', ["Nils Berg", "Pia Sand"]),
        ('emails[type eq "work" and value eq "pia@example.com"]', ["Pia Sand"]),
        ('emails.value ew "example.com" and not (userName co "%")and externalId pr', ["Nils Berg", "Pia Sand"]),
        ('meta.lastModified gt "2020-01-01T00:00:00Z" and externalId pr', ["Nils Berg", "Pia Sand"]),
    ],
)
def test_people_are_filtered_in_the_database(entra: Pusher, query: str, names: list[str]) -> None:
    entra.person("Nils Berg")
    entra.person("Pia Sand")
    answer = entra.get(f"/Users?filter={query}")
    assert answer.status_code == 200, answer.text
    assert [one["displayName"] for one in answer.json.get("Resources", [])] == names
    assert answer.json["totalResults"] == len(names)


@pytest.mark.parametrize("query", ["name.familyName eq 1", "userName eq", "x" * 3000, "meta.lastModified gt 3"])
def test_a_filter_that_cannot_be_is_refused(entra: Pusher, query: str) -> None:
    answer = entra.get(f"/Users?filter={query}")
    assert answer.status_code == 400 and answer.json["scimType"] == "invalidFilter"


def test_lists_have_pages(entra: Pusher) -> None:
    for number in range(5):
        entra.person(f"Nils{number} Berg")
    query = '/Users?filter=externalId sw "ext-nils"&count=2&startIndex=3'
    page = entra.get(query).json
    assert page["totalResults"] == 5 and page["itemsPerPage"] == 2 and page["startIndex"] == 3
    assert [one["displayName"] for one in page["Resources"]] == ["Nils2 Berg", "Nils3 Berg"]


def test_one_directory_does_not_see_what_another_keeps(
    app: Flask, entra: Pusher, secret_of: Callable[[str], str]
) -> None:
    id = entra.person("Nils Berg").json["id"]
    okta = Pusher(app, secret_of("Okta"))
    assert okta.get(f"/Users/{id}").status_code == 404
    answer = okta.person("Nils Berg", userName="other")
    assert answer.status_code == 409 and "kept by another directory" in answer.json["detail"]


def test_a_token_works_for_this_alone_and_only_while_it_should(
    app: Flask, entra: Pusher, company: Company, secret_of: Callable[[str], str]
) -> None:
    client = app.test_client(use_cookies=False)
    head = {"Authorization": f"Bearer {entra.secret}"}
    assert client.get("/api/v1/me", headers=head).status_code == 401
    _, person = factories_token(company.adam)
    for wrong in ("", "Bearer x", f"Bearer {person}", "Basic x"):
        answer = client.get("/scim/v2/Users", headers={"Authorization": wrong})
        assert answer.status_code == 401 and answer.headers["WWW-Authenticate"] == 'Bearer realm="SCIM"'
    choose("write")
    row = db.session.query(Directory).one()
    directories.pause(row, actor=company.adam, now=clock.now())
    outbox.commit()
    paused = entra.person("Nils Berg")
    assert paused.status_code == 503 and "Entra ID is paused" in paused.json["detail"]
    choose("write")
    directories.resume(row, actor=company.adam, now=clock.now())
    outbox.commit()
    assert entra.person("Nils Berg").status_code == 201
    choose("write")
    directories.remove(row, actor=company.adam, now=clock.now())
    outbox.commit()
    assert entra.get("/Users").status_code == 401
    people.change_details(found("Nils Berg"), name="Nils B", email="nils@example.com", about="", actor=company.adam,
                          now=clock.now())  # fmt: skip
    db.session.rollback()


def test_a_push_takes_few_statements_however_many_people_it_names(entra: Pusher, company: Company) -> None:
    with statements.counting() as new:
        first = entra.person("Nils Berg").json["id"]
    assert len(new) <= 12, str(new)
    ids = [factories.person(f"M {number}", email=f"m{number}@example.com").public_id for number in range(200)]
    group = entra.group("Everybody", first).json["id"]

    def add(some: list[str]) -> int:
        with statements.counting() as found:
            answer = entra.patch(
                f"/Groups/{group}", {"op": "add", "path": "members", "value": [{"value": one} for one in some]}
            )
        assert answer.status_code == 204
        return len(found)

    assert add(ids[:20]) == add(ids[20:60]) <= 12
    assert add(ids[60:]) <= 13  # of so many it is asked whether they decide
    with statements.counting() as found:
        entra.get("/Groups?count=100")
    assert len(found) <= 5, str(found)


def test_department_and_manager_follow(entra: Pusher) -> None:
    boss = entra.person("Ida Berg").json["id"]
    place = {ENTERPRISE: {"department": "Brand", "manager": {"value": boss}}}
    answer = entra.person("Nils Berg", schemas=[USER, ENTERPRISE], **place)
    assert answer.status_code == 201 and answer.json[ENTERPRISE]["manager"]["value"] == boss
    nils, ida = found("Nils Berg"), found("Ida Berg")
    assert nils.department == "Brand" and nils.manager_id == ida.id
    id = answer.json["id"]
    # As Entra ID writes it: a path with the schema, and the value alone.
    path = f"{ENTERPRISE}:department"
    assert entra.patch(f"/Users/{id}", {"op": "Add", "path": path, "value": "Design"}).status_code == 204
    assert found("Nils Berg").department == "Design"
    circle = {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": {"value": id}}
    refused = entra.patch(f"/Users/{boss}", circle)
    assert refused.status_code == 400 and "reports to Ida Berg" in refused.json["detail"]
    unknown = circle | {"value": {"value": "0" * 12}}
    assert "Push the manager first" in entra.patch(f"/Users/{boss}", unknown).json["detail"]
    assert entra.patch(f"/Users/{id}", {"op": "remove", "path": f"{ENTERPRISE}:manager"}).status_code == 204
    assert found("Nils Berg").manager_id is None
    assert ["Department", "Brand", "Design"] in json.loads(db.session.query(DirectoryPush).all()[2].changes)


def test_what_a_directory_keeps_is_not_changed_by_hand(entra: Pusher, company: Company) -> None:
    entra.group("Brand", entra.person("Nils Berg").json["id"])
    nils, adam, now = found("Nils Berg"), company.adam, clock.now()
    brand = db.session.query(Group).filter_by(name="Brand").one()
    choose("write")
    sentence = "comes from Entra ID. Change it there"
    for change in (
        lambda: people.change_details(nils, name="Nils B", email=nils.email, about="", actor=adam, now=now),
        lambda: people.change_details(nils, name=nils.name, email="n@example.com", about="", actor=adam, now=now),
        lambda: reporting.set_department(nils, "Brand", actor=adam, now=now),
        lambda: reporting.set_manager(nils, adam, actor=adam, now=now),
        lambda: groups.rename(brand, name="Design", actor=adam, now=now),
        lambda: groups.add_member(brand, adam, actor=adam, now=now),
        lambda: groups.remove_member(brand, nils, actor=adam, now=now),
        lambda: groups.archive(brand, actor=adam, now=now),
    ):
        with pytest.raises(Conflict, match=sentence):
            change()
        db.session.rollback()
    # A description is ours, and somebody who left may have to be out before the next push.
    people.change_details(nils, name=nils.name, email=nils.email, about="Designer", actor=adam, now=now)
    people.deactivate(nils, actor=adam, now=now)
    outbox.commit()
    assert entra.get('/Users?filter=userName sw "nils"').json["Resources"][0]["active"] is False


def test_a_file_does_not_change_what_a_directory_keeps(entra: Pusher, company: Company) -> None:
    entra.group("Brand", entra.person("Nils Berg").json["id"])
    body = (
        "email,name,department,groups\n"
        "nils@example.com,Nils B,,\n"
        f"{company.rita.email},{company.rita.name},,Brand\n"
        f"{company.otto.email},{company.otto.name},Sales,\n"
    )
    first, second, third = people_import.look(body.encode()).lines
    assert "Nils Berg is kept by Entra ID" in first.why and "Brand is kept by Entra ID" in second.why
    assert not third.why
