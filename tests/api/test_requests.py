"""Requests and decisions through the API."""

from collections.abc import Callable

from tests.api.conftest import Program
from tests.helpers import factories
from tests.helpers.factories import Company

Make = Callable[..., Program]


def test_who_am_i(program: Make, company: Company) -> None:
    answer = program("rita", "requests:read").get("/me")
    assert answer.status_code == 200, answer.text
    assert answer.json["person"]["name"] == "Rita Lindqvist"
    assert answer.json["token"]["scopes"] == ["requests:read"]
    assert answer.headers["RateLimit"].startswith('"token";r=599')


def test_a_request_is_submitted_and_approved(program: Make, company: Company) -> None:
    salesforce = factories.app("Salesforce", company.ana)
    rita, ana = program("rita"), program("ana")
    made = rita.post("/requests", {"app": salesforce.public_id, "message": "For the spring campaign"})
    assert made.status_code == 201, made.text
    assert made.json["state"] == "pending"
    waiting = ana.get("/requests?role=approver")
    assert [one["id"] for one in waiting.json["items"]] == [made.json["id"]]
    done = ana.post(f"/requests/{made.json['id']}/approval", {"comment": "Fine"})
    assert done.status_code == 200, done.text
    print(done.json)
