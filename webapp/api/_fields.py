"""An app's fields in JSON: by their names, each with a value of its own type."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from webapp.web.problems import Problem
from webapp.workflow.entitlements import Given, Sheet, Value, as_typed
from webapp.workflow.errors import BadValues


def shown(sheet: Sheet) -> dict[str, Value]:
    """The values that this reader sees."""
    return {one.entitlement.name: one.current.value for one in sheet.visible if one.current is not None}


def given(sheet: Sheet, values: Mapping[str, Any]) -> Given:
    """What a form would send: the values that were sent, and for fields that were left out what is set now."""
    writable = {one.entitlement.name: one for one in sheet.writable}
    unknown = [name for name in values if name not in writable]
    if unknown:
        name = unknown[0][:80]
        there = any(one.entitlement.name == unknown[0] for one in sheet.visible)
        words = f"You cannot set {name}." if there else f"There is no field {name} that you can set."
        raise Problem(422, "invalid", words, {f"fields.{name}": words})
    return {
        one.entitlement.id: as_typed(values.get(name, one.current.value if one.current else None))
        for name, one in writable.items()
    }


@contextmanager
def named(sheet: Sheet) -> Iterator[None]:
    """Refusals inside name fields by their names, not by their ids."""
    try:
        yield
    except BadValues as error:
        names = {one.entitlement.id: one.entitlement.name for one in sheet.fields}
        raise BadValues({names.get(key, key): words for key, words in error.fields.items()}) from None
