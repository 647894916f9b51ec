"""Stepping in on somebody's request through the API: the same operations and refusals as on the screen."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.conftest import Program
from tests.api.helpers import by_token, problem
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp.models import AccessRequest

Make = Callable[..., Program]
AWAY = "Ana is away."


@pytest.fixture
def made(company: Company) -> AccessRequest:
    return factories.request(company.rita, factories.app("Salesforce", company.ana))


def to(person: object) -> dict[str, str]:
    return {"kind": "person", "id": person.public_id}  # type: ignore[attr-defined]


def test_an_admin_gives_the_step_to_somebody_else(program: Make, company: Company, made: AccessRequest) -> None:
    adam, path = program("adam"), f"/requests/{made.public_id}/stepping-in/reassignment"
    answer = adam.post(path, {"step": 1, "approver": to(company.ben), "reason": AWAY})
    assert answer.status_code == 200, answer.text
    (step,) = answer.json["steps"]
    assert step["approver"]["name"] == "Ben Okafor" and [one["name"] for one in step["asked"]] == ["Ben Okafor"]
    assert program("ben").post(f"/requests/{made.public_id}/approval").json["state"] == "approved"
    assert ("step.reassigned", "laptop") in by_token("step.reassigned")
    comments = adam.get(f"/requests/{made.public_id}/comments").json["items"]
    assert AWAY in comments[0]["text"]


def test_an_admin_gives_time_and_cancels(program: Make, company: Company, made: AccessRequest) -> None:
    adam, path = program("adam"), f"/requests/{made.public_id}/stepping-in"
    before = adam.get(f"/requests/{made.public_id}").json["steps"][0]["due_at"]
    longer = adam.post(f"{path}/extension", {"step": 1, "days": 30, "reason": AWAY})
    assert longer.json["steps"][0]["due_at"] > before
    ended = adam.post(f"{path}/cancellation", {"reason": "Not needed."})
    assert (ended.json["state"], ended.json["note"]) == ("cancelled", "Not needed.")
    again = adam.post(f"{path}/cancellation", {"reason": "Not needed."})
    assert again.status_code == 409


def test_what_is_refused_on_the_screen_is_refused_with_its_words(
    program: Make, company: Company, made: AccessRequest
) -> None:
    adam, path = program("adam"), f"/requests/{made.public_id}/stepping-in"
    problem(adam.post(f"{path}/cancellation", {"reason": " "}), 422,
            "Enter a reason. Everyone on this request will see it.", "reason")  # fmt: skip
    problem(adam.post(f"{path}/extension", {"days": 0, "reason": AWAY}), 422,
            "Enter a number of days from 1 to 90.", "days")  # fmt: skip
    problem(adam.post(f"{path}/extension", {"days": 1, "reason": AWAY}), 422,
            "The current deadline is later. Enter more days.", "days")  # fmt: skip
    problem(adam.post(f"{path}/reassignment", {"approver": to(company.ana), "reason": AWAY}), 422,
            "Ana Moreau is already the approver.", "approver")  # fmt: skip
    problem(adam.post(f"{path}/reassignment", {"approver": {"kind": "person", "id": "0" * 12}, "reason": AWAY}), 422,
            "Choose a person or group.", "approver")  # fmt: skip
    problem(adam.post(f"{path}/extension", {"step": 2, "days": 9, "reason": AWAY}), 422,
            "This request has 1 step.", "step")  # fmt: skip


def test_nobody_steps_in_on_their_own_request_and_no_service_does(program: Make, company: Company) -> None:
    own = factories.request(company.adam, factories.app("Salesforce", company.ana))
    path = f"/requests/{own.public_id}/stepping-in/cancellation"
    problem(program("adam").post(path, {"reason": AWAY}), 403, "You cannot change your own request. Ask another admin.")
    assert program("service").post(path, {"reason": AWAY}).status_code == 403


def test_a_step_that_is_no_longer_open_is_not_changed(program: Make, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))
    adam, path = program("adam"), f"/requests/{made.public_id}/stepping-in"
    factories.decide(made, company.ana)
    for call, body in (("extension", {"days": 30}), ("reassignment", {"approver": to(company.otto)})):
        assert adam.post(f"{path}/{call}", body | {"step": 1, "reason": AWAY}).status_code == 409
    assert adam.post(f"{path}/extension", {"step": 2, "days": 30, "reason": AWAY}).status_code == 200
