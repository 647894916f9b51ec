"""Groups and their members through the API."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.conftest import Program
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, facts, mailed
from tests.helpers.statements import assert_constant, counting
from webapp.extensions import db
from webapp.models import ApiToken

Make = Callable[..., Program]


@pytest.fixture
def adam(program: Make) -> Program:
    return program("adam")


@pytest.mark.both_engines
def test_groups_are_listed_by_name(adam: Program, company: Company) -> None:
    factories.group("Engineering", company.rita)
    factories.app("Figma", owner=company.finance)
    items = adam.get("/groups").json["items"]
    assert [one["name"] for one in items] == ["Engineering", "Finance"]
    assert items[1] == {
        "id": company.finance.public_id, "name": "Finance", "created_at": items[1]["created_at"], "member_count": 2,
        "active_member_count": 2, "owned_app_count": 1,
    }  # fmt: skip
    assert [one["name"] for one in adam.get("/groups?q=chloe").json["items"]] == ["Finance"]
    assert adam.get(f"/groups/{company.finance.public_id}").json == items[1]
    assert adam.get("/groups/NOGROUP00000").status_code == 404


@pytest.mark.both_engines
def test_all_pages_have_each_group_once_while_groups_are_added(adam: Program) -> None:
    for number in range(12):
        factories.group(f"Middle {number:02}")
    before = {one["id"] for one in adam.every("/groups?limit=200")}
    steps = iter([lambda: factories.group("Aa"), lambda: factories.group("Zz"), lambda: factories.group("Ab")])
    found = [one["id"] for one in adam.every("/groups?limit=4", between=lambda: next(steps, lambda: None)())]
    assert len(found) == len(set(found)) and before <= set(found)


@pytest.mark.both_engines
def test_lists_take_the_same_statements_with_few_and_many_rows(adam: Program, company: Company) -> None:
    lists, members = {}, {}
    for size in (1, 30):
        for number in range(size):
            someone = factories.person("Mia Berg", email=f"mia{size}.{number}@example.com")
            factories.group(f"Group {size} {number}", someone)
            adam.call("PUT", f"/groups/{company.finance.public_id}/members/{someone.public_id}")
        adam.get("/groups")
        with counting() as lists[size]:
            adam.get("/groups?limit=200")
        with counting() as members[size]:
            adam.get(f"/groups/{company.finance.public_id}/members?limit=200")
    assert_constant([len(one) for one in lists.values()], at_most=2)
    assert_constant([len(one) for one in members.values()], at_most=3)


def test_a_group_is_made_once_for_one_key(adam: Program, company: Company) -> None:
    made = adam.post("/groups", {"name": " Legal "}, Idempotency_Key="k1")
    assert made.status_code == 201 and made.json["name"] == "Legal" and made.json["member_count"] == 0
    assert adam.post("/groups", {"name": " Legal "}, Idempotency_Key="k1").json == made.json
    assert len(facts("group.created")) == 2
    token = db.session.query(ApiToken).one()
    assert events("group.created")[-1]["token"] == token.id


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Enter a name for the group."),
        ("x" * 81, "Use 80 characters or fewer."),
        ("FINANCE", "A group called FINANCE already exists."),
    ],
)
def test_names_that_do_not_fit_are_refused(adam: Program, company: Company, name: str, sentence: str) -> None:
    answer = adam.post("/groups", {"name": name})
    assert answer.status_code == 422 and answer.json["errors"] == [{"field": "name", "detail": sentence}]
    assert adam.post("/groups", {"name": "Legal", "members": []}).json["errors"][0]["field"] == "members"


def test_a_group_is_renamed_as_it_was_read(adam: Program, company: Company) -> None:
    path = f"/groups/{company.finance.public_id}"
    tag = adam.get(path).headers["ETag"]
    assert adam.call("PATCH", path, {"name": "Money"}).status_code == 428
    assert adam.call("PATCH", path, {"name": "Money"}, If_Match=tag).json["name"] == "Money"
    late = adam.call("PATCH", path, {"name": "Cash"}, If_Match=tag)
    assert (late.status_code, late.json["detail"]) == (
        412, "This was changed since you read it. Read it again, then change it.",
    )  # fmt: skip
    assert adam.get(path).json["name"] == "Money"


def test_a_group_is_archived_unless_something_uses_it(adam: Program, company: Company) -> None:
    path = f"/groups/{company.finance.public_id}"
    figma = factories.app("Figma", company.finance)
    refused = adam.post(f"{path}/archival")
    assert refused.status_code == 409
    assert refused.json["detail"].startswith("Finance cannot be archived: it is an approver for Figma (step 1).")
    legal = adam.post("/groups", {"name": "Legal"}).json["id"]
    assert adam.post(f"/groups/{legal}/archival").status_code == 204
    assert adam.get(f"/groups/{legal}").status_code == 404
    assert adam.post(f"/groups/{legal}/archival").status_code == 404
    assert adam.call("PUT", f"/groups/{legal}/members/{company.rita.public_id}").status_code == 404
    assert figma.name == "Figma"


@pytest.mark.both_engines
def test_members_are_put_and_deleted_as_often_as_one_likes(adam: Program, company: Company) -> None:
    salesforce = factories.app("Salesforce", company.finance)
    factories.request(company.rita, salesforce)
    path = f"/groups/{company.finance.public_id}/members"
    otto = f"{path}/{company.otto.public_id}"
    for _ in range(2):
        assert adam.call("PUT", otto).status_code == 204
    assert [one["name"] for one in adam.get(path).json["items"]] == ["Ben Okafor", "Chloe Tan", "Otto Brandt"]
    assert len([one for one in facts("group.member_added") if one["person"] == company.otto.id]) == 1
    assert ("approval-asked", "Otto") in mailed()  # who joins is asked for what is open
    for _ in range(2):
        assert adam.call("DELETE", otto).status_code == 204
    assert [one["name"] for one in adam.get(f"{path}?limit=1").json["items"]] == ["Ben Okafor"]
    removed = facts("group.member_removed")
    assert len(removed) == 1 and removed[0]["token"] == db.session.query(ApiToken).one().id
    assert adam.call("PUT", f"{path}/NOBODY000000").status_code == 404
    assert adam.get("/groups/NOGROUP00000/members").status_code == 404


def test_who_cannot_join_is_refused_with_the_sentence_of_the_screen(adam: Program, company: Company) -> None:
    adam.post(f"/people/{company.otto.public_id}/deactivation")
    refused = adam.call("PUT", f"/groups/{company.finance.public_id}/members/{company.otto.public_id}")
    assert (refused.status_code, refused.json["detail"]) == (
        409, "Otto Brandt is deactivated. Reactivate the account first.",
    )  # fmt: skip


@pytest.mark.both_engines
def test_all_members_come_once_over_pages(adam: Program, company: Company) -> None:
    for number in range(7):
        someone = factories.person("Mia Berg", email=f"mia{number}@example.com")
        adam.call("PUT", f"/groups/{company.finance.public_id}/members/{someone.public_id}")
    found = [one["id"] for one in adam.every(f"/groups/{company.finance.public_id}/members?limit=2")]
    assert len(found) == len(set(found)) == 9
