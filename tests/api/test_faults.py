"""Which field of a body or query is wrong, in the words of who sent it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from webapp.api._faults import fields_of
from webapp.api._types import Body
from webapp.api.apps import AppQuery
from webapp.api.fields import NewField
from webapp.api.policies import NewPolicy
from webapp.api.requests import NewRequest

_ANA = {"kind": "person", "id": "x"}


def faults(model: type[Body], sent: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as found:
        model.model_validate_json(json.dumps(sent))
    return fields_of(found.value, sent)


@pytest.mark.parametrize(
    ("model", "sent", "field", "sentence"),
    [
        (NewRequest, {"fields": {}}, "app", "Send this field."),
        (NewRequest, {"app": "x", "colour": 1}, "colour", "There is no such field."),
        (NewRequest, {"app": "x", "fields": {"Role": {}}}, "fields.Role", "Send a text."),
        (NewRequest, {"app": "x", "fields": {"role": None}}, "fields.role", "Send a text."),
        (NewField, {"name": "Role", "kind": "text", "default": {}}, "default", "Send a text."),
        (NewRequest, [], "body", "Send an object."),
    ],
)
def test_one_field_is_named_as_it_was_sent(model: type[Body], sent: Any, field: str, sentence: str) -> None:
    assert faults(model, sent) == {field: sentence}


def test_places_inside_lists_and_by_name_are_found() -> None:
    steps = [{"approver": _ANA}, {"approver": _ANA, "fields": {"Role": "own"}}, {}, {"approver": {"kind": "person"}}]
    found = faults(NewPolicy, {"steps": steps, "days": "3"})
    assert {"steps.1.fields.Role", "steps.2.approver", "steps.3.approver.id", "days"} <= set(found)
    assert not any(one.startswith("steps.0") for one in found)


def test_a_query_names_its_parameter() -> None:
    with pytest.raises(ValidationError) as found:
        AppQuery.model_validate({"limit": "many", "x": "1"})
    assert fields_of(found.value, {"limit": "many", "x": "1"}) == {
        "limit": "Send a whole number.",
        "x": "There is no such field.",
    }
