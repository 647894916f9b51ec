"""The settings of the organisation through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.api.conftest import Program
from tests.helpers.factories import Company
from tests.helpers.lookups import events
from webapp.extensions import db
from webapp.models import ApiToken

Make = Callable[..., Program]
PATH = "/organisation"


@pytest.fixture
def adam(program: Make) -> Program:
    return program("adam")


def test_the_settings_are_read_and_changed(adam: Program, company: Company) -> None:
    before = adam.get(PATH).json
    assert before["tokens_allowed"] is True and before["token_days"] == 90 and before["has_logo"] is False
    done = adam.change(
        "PATCH", PATH,
        {"name": "Nordlicht", "outcome_domains": ["@Partner.example", "other.example"], "token_days": 30},
    )  # fmt: skip
    assert done.status_code == 200, done.text
    assert done.json == before | {
        "name": "Nordlicht", "outcome_domains": ["partner.example", "other.example"], "token_days": 30,
    }  # fmt: skip
    assert adam.get(PATH).json == done.json
    line = events("organisation.changed")[-1]
    assert sorted(line["facts"]["after"]) == ["name", "outcome_domains", "token_days"]
    assert line["token"] == db.session.query(ApiToken).one().id and line["actor"] == company.adam.id


@pytest.mark.both_engines
def test_a_change_of_what_was_changed_since_is_refused(adam: Program) -> None:
    tag = adam.get(PATH).headers["ETag"]
    assert adam.call("PATCH", PATH, {"name": "First"}).status_code == 428
    assert adam.call("PATCH", PATH, {"name": "First"}, If_Match=tag).status_code == 200
    assert adam.call("PATCH", PATH, {"name": "Second"}, If_Match=tag).status_code == 412
    assert adam.get(PATH).json["name"] == "First"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", " ", "A company's name has 1 to 120 characters."),
        ("sender", "x" * 121, "The sender's name can have up to 120 characters."),
        ("time_zone", "Europe/Bonn", "“Europe/Bonn” is not a known time zone. Example: Europe/Berlin."),
        ("outcome_domains", ["partner"],
         "“partner” is not a domain. Enter domains like example.com, parted by commas."),
        ("token_days", 31, "Choose 30, 90 or 365 days."),
        ("token_days", "30", "Send a whole number."),
        ("tokens_allowed", 1, "Send true or false."),
        ("logo", "x", "There is no such field."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_the_sentence_of_the_screen(
    adam: Program, field: str, value: Any, sentence: str
) -> None:
    refused = adam.change("PATCH", PATH, {field: value})
    assert refused.status_code == 422 and refused.json["errors"] == [{"field": field, "detail": sentence}]


def test_without_tokens_of_people_only_services_go_on(adam: Program, program: Make) -> None:
    service = program("service", "settings:admin")
    assert adam.change("PATCH", PATH, {"tokens_allowed": False}).status_code == 200
    assert adam.get(PATH).status_code == 401
    assert service.change("PATCH", PATH, {"tokens_allowed": True}).status_code == 200
    assert adam.get(PATH).status_code == 200
