"""Conversations as Entra ID and Okta hold them, written after their documents: requests in their order and form, and
what they rely on in the answers."""

from typing import Any

from tests.helpers.factories import Company
from webapp.extensions import db
from webapp.models import Group, Membership, Person

from .conftest import ENTERPRISE, GROUP, PATCH, USER, Pusher


def state_of(email: str) -> tuple[str, str, bool]:
    db.session.rollback()
    one = db.session.query(Person).filter_by(email=email).populate_existing().one()
    return str(one.name), str(one.department), one.active


def members(group: str) -> int:
    db.session.rollback()
    return db.session.query(Membership).join(Group, Group.id == Membership.group_id).filter(Group.name == group).count()


def test_entra_id(entra: Pusher, company: Company) -> None:
    """https://learn.microsoft.com/entra/identity/app-provisioning/use-scim-to-provision-users-and-groups"""
    # "Test Connection": a name that nobody has.
    unknown = entra.get('/Users?filter=userName+eq+"131319d7-0d53-4d38-b2c8-5c5a2ab2c3b7"')
    assert unknown.status_code == 200 and unknown.json["totalResults"] == 0
    assert unknown.content_type == "application/scim+json"
    assert entra.get("/Schemas").status_code == entra.get("/ServiceProviderConfig").status_code == 200

    # A person is looked for, then created, with attributes that we do not keep, and true as a text.
    assert entra.get('/Users?filter=externalId+eq+"58342554-38d6-4ec8-948c-50044d0a33fd"').json["totalResults"] == 0
    body = {
        "schemas": [USER, ENTERPRISE],
        "externalId": "58342554-38d6-4ec8-948c-50044d0a33fd",
        "userName": "Test_User_feed3ace@testuser.com",
        "active": True,
        "addresses": [{"primary": False, "type": "work", "country": "Germany"}],
        "displayName": "Sofia Keller",
        "emails": [{"primary": True, "type": "work", "value": "Sofia.Keller@example.com"}],
        "meta": {"resourceType": "User"},
        "name": {"familyName": "Keller", "givenName": "Sofia"},
        "phoneNumbers": [{"primary": True, "type": "work", "value": "030"}],
        "preferredLanguage": "de",
        "title": "Designer",
        ENTERPRISE: {"department": "Brand", "employeeNumber": "12"},
    }
    made = entra.call("POST", "/Users", body)
    assert made.status_code == 201, made.text
    id = made.json["id"]
    assert state_of("sofia.keller@example.com") == ("Sofia Keller", "Brand", True)

    # Changes of single attributes: capitalised operations, paths with a filter and with the schema.
    changed = entra.patch(
        f"/Users/{id}",
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "sofia.k@example.com"},
        {"op": "Add", "path": "displayName", "value": "Sofia K."},
        {"op": "Replace", "path": "name.familyName", "value": "K"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Design"},
        {"op": "Add", "path": 'addresses[type eq "work"].country', "value": "Austria"},
    )
    assert changed.status_code == 204, changed.text
    assert state_of("sofia.k@example.com") == ("Sofia K.", "Design", True)
    # Another kind of address is added to a list that has none of it.
    added = entra.patch(
        f"/Users/{id}", {"op": "Add", "path": 'emails[type eq "home"].value', "value": "s@home.example"}
    )
    assert added.status_code == 204, added.text
    assert state_of("sofia.k@example.com")[2]
    # Without a path, and with a dotted key.
    plain = {"op": "Replace", "value": {"displayName": "Sofia Keller", "name.givenName": "Sofia"}}
    assert entra.patch(f"/Users/{id}", plain).status_code == 204
    # A manager by the bare id, and as a list of one.
    boss = entra.person("Ida Berg").json["id"]
    for value in (boss, [{"$ref": f"http://localhost/scim/v2/Users/{boss}", "value": boss}]):
        manager = {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": value}
        assert entra.patch(f"/Users/{id}", manager).status_code == 204
        assert entra.get(f"/Users/{id}").json[ENTERPRISE]["manager"]["value"] == boss

    # A group is looked for without its members, created empty, and filled one person at a time.
    looked = entra.get('/Groups?excludedAttributes=members&filter=displayName+eq+"Brand"')
    assert looked.status_code == 200 and looked.json["totalResults"] == 0
    group = entra.call("POST", "/Groups", {"schemas": [GROUP], "externalId": "8aa1", "displayName": "Brand"})
    key = group.json["id"]
    for one in (id, boss):
        add = {"op": "Add", "path": "members", "value": [{"value": one}]}
        assert entra.patch(f"/Groups/{key}", add).status_code == 204
    assert members("Brand") == 2
    found = entra.get(f'/Groups?excludedAttributes=members&filter=id+eq+"{key}"+and+members+eq+"{id}"')
    assert found.json["totalResults"] == 1 and "members" not in found.json["Resources"][0]
    gone = {"op": "Remove", "path": "members", "value": [{"value": boss}]}
    assert entra.patch(f"/Groups/{key}", gone).status_code == 204
    assert members("Brand") == 1
    gone = {"op": "Remove", "path": f'members[value eq "{id}"]'}
    assert entra.patch(f"/Groups/{key}", gone).status_code == 204
    assert members("Brand") == 0

    # Soft delete, restore, and delete.
    assert entra.patch(f"/Users/{id}", {"op": "Replace", "path": "active", "value": "False"}).status_code == 204
    assert state_of("sofia.k@example.com")[2] is False
    assert entra.get(f"/Users/{id}").json["active"] is False
    assert entra.patch(f"/Users/{id}", {"op": "Replace", "path": "active", "value": True}).status_code == 204
    assert state_of("sofia.k@example.com")[2] is True
    assert entra.call("DELETE", f"/Users/{id}").status_code == 204
    assert entra.get(f"/Users/{id}").status_code == 404
    assert entra.call("DELETE", f"/Groups/{key}").status_code == 204


def test_okta(entra: Pusher, company: Company) -> None:
    """https://developer.okta.com/docs/api/openapi/okta-scim/guides/scim-20"""
    # Import: all people, in pages.
    page = entra.get("/Users?startIndex=1&count=2").json
    assert page["itemsPerPage"] == 2 and page["totalResults"] >= 6 and page["startIndex"] == 1
    assert (
        entra.get('/Users?filter=userName eq "test.user@okta.local"&startIndex=1&count=100').json["totalResults"] == 0
    )

    body: dict[str, Any] = {
        "schemas": [USER],
        "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": True, "value": "test.user@example.com", "type": "work"}],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "password": "1mz050nq",
        "active": True,
    }
    made = entra.call("POST", "/Users", body)
    assert made.status_code == 201 and "password" not in made.json
    id = made.json["id"]
    assert entra.get(f"/Users/{id}").json["userName"] == "test.user@okta.local"

    # The whole person again, with another middle name and department.
    whole = {**made.json, "name": {"givenName": "Another", "familyName": "User"}, "displayName": "Another User"}
    put = entra.call("PUT", f"/Users/{id}", whole)
    assert put.status_code == 200 and put.json["displayName"] == "Another User"
    assert state_of("test.user@example.com")[0] == "Another User"

    # Deactivation and reactivation without a path.
    for active in (False, True):
        answer = entra.patch(f"/Users/{id}", {"op": "replace", "value": {"active": active}})
        assert answer.status_code in (200, 204)
        assert state_of("test.user@example.com")[2] is active

    # A group with members and their names; then the whole list of members, and the name, in one call.
    group = entra.call(
        "POST",
        "/Groups",
        {
            "schemas": [GROUP],
            "displayName": "Test SCIMv2",
            "members": [{"value": id, "display": "test.user@okta.local"}],
        },
    )
    assert group.status_code == 201 and members("Test SCIMv2") == 1
    key = group.json["id"]
    changed = entra.call(
        "PATCH",
        f"/Groups/{key}",
        {
            "schemas": [PATCH],
            "Operations": [
                {"op": "replace", "path": "members", "value": []},
                {"op": "replace", "value": {"id": key, "displayName": "Renamed"}},
            ],
        },
    )
    assert changed.status_code in (200, 204), changed.text
    assert members("Renamed") == 0
    assert entra.call("DELETE", f"/Groups/{key}").status_code == 204
