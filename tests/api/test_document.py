"""The OpenAPI document: valid, with an example of everything, the same as committed, and only ever larger."""

import copy
import json
import re
from typing import Any

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from pydantic import BaseModel, ValidationError

import webapp.api  # noqa: F401  registers the operations
from tests import openapi
from webapp.api._document import document
from webapp.api._operation import OPERATIONS


def test_it_is_valid() -> None:
    validate(document())


def test_it_is_what_is_committed() -> None:
    assert openapi.FILE.read_text() == openapi.written(), "run: python -m tests.openapi, and read what changed"


def test_nothing_that_programs_rely_on_is_taken_away() -> None:
    assert list(openapi.missing(json.loads(openapi.FILE.read_text()), document())) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda it: it["paths"].pop("/me"), "/paths//me is gone"),
        (lambda it: it["paths"]["/requests"]["post"]["responses"].pop("409"), "responses/409 is gone"),
        (lambda it: it["components"]["schemas"]["Request"]["properties"].pop("state"), "properties/state is gone"),
        (lambda it: it["components"]["schemas"]["Request"]["required"].remove("state"), "no longer always has state"),
        (lambda it: it["components"]["schemas"]["NewRequest"]["required"].append("fields"), "now needs fields"),
        (lambda it: it["paths"]["/requests"]["get"]["parameters"].pop(0), "parameters no longer has"),
        (
            lambda it: it["paths"]["/requests"]["get"]["parameters"].append({"name": "x", "required": True}),
            "parameters now needs x",
        ),
    ],
)  # fmt: skip
def test_each_way_to_take_something_away_is_found(change: Any, found: str) -> None:
    other = copy.deepcopy(document())
    change(other)
    assert any(found in one for one in openapi.missing(document(), other))


def test_what_is_added_is_fine() -> None:
    other = copy.deepcopy(document())
    other["paths"]["/more"] = {"get": {}}
    other["components"]["schemas"]["Request"]["properties"]["more"] = {"type": "string"}
    other["components"]["schemas"]["Request"]["required"].append("more")
    other["paths"]["/requests"]["get"]["description"] = "Other words."
    assert list(openapi.missing(document(), other)) == []


def test_every_example_fits_its_schema() -> None:
    whole = document()
    for name, schema in whole["components"]["schemas"].items():
        validator = Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": whole["components"]})
        for one in schema["examples"]:
            assert [error.message for error in validator.iter_errors(one)] == [], name
    for path, methods in whole["paths"].items():
        for method, one in methods.items():
            assert one["summary"] and one["description"], (method, path)


def test_every_call_says_in_its_docstring_what_it_does() -> None:
    assert [one.name for one in OPERATIONS if not one.summary or len(one.summary) > 60] == []


def bodies() -> list[type[BaseModel]]:
    return sorted({one.body for one in OPERATIONS if one.body is not None}, key=lambda one: one.__name__)


@pytest.mark.parametrize("body", bodies(), ids=lambda one: one.__name__)
def test_every_text_of_a_body_is_looked_at_before_it_is_read(body: type[BaseModel]) -> None:
    """A letter with a thousand accents takes quadratic time to normalise: it is refused, wherever it stands."""
    example = document()["components"]["schemas"][body.__name__]["examples"][0]

    def texts(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if isinstance(value, str):
            return [path]
        pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        return [found for key, one in pairs for found in texts(one, (*path, key))]

    for path in texts(example):
        bad = copy.deepcopy(example)
        *way, last = path
        place = bad
        for key in way:
            place = place[key]
        place[last] = "e" + "\u0301" * 60
        with pytest.raises(ValidationError):
            body.model_validate_json(json.dumps(bad))


@pytest.mark.parametrize("engine", ["sqlite"])
def test_it_is_served_to_anyone_and_kept_by_its_tag(app: Flask) -> None:
    client = app.test_client()
    answer = client.get("/api/v1/openapi.json")
    assert answer.status_code == 200 and answer.json["openapi"] == "3.1.0"
    again = client.get("/api/v1/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


@pytest.mark.parametrize("engine", ["sqlite"])
def test_the_page_has_every_call_and_every_kind_of_refusal(app: Flask) -> None:
    page = app.test_client().get("/api/docs").text
    ids = set(re.findall(r'id="([\w-]+)"', page))
    assert {one.name.replace(".", "_") for one in OPERATIONS} <= ids
    assert {"invalid", "token", "unsure"} <= ids
    linked = set(re.findall(r'href="#([\w-]+)"', page))
    assert linked <= ids
