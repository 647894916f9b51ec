"""Entitlements: the typed fields of an app, and the values that a request and a grant carry."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import BadValues
from .states import Visibility

KINDS = ("choice", "choices", "text", "number", "yes_no")
TEXT_LIMIT = 200

# One value: text and one choice are str, several choices list[str], number int or float, yes/no bool.
Value = str | list[str] | int | float | bool
# A form's values: entitlement id → what was sent for it.
Given = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Entitlement:
    """A field as frozen in a policy. `requester` is what the one who asks may do with it."""

    id: str
    name: str
    kind: str
    options: tuple[str, ...] = ()
    required: bool = False
    default: Value | None = None
    help: str = ""
    requester: Visibility = Visibility.HIDDEN


@dataclass(frozen=True, slots=True)
class SetValue:
    """A value and who set it when: `by` is a person's key (None: the default), `at` ISO 8601 UTC."""

    value: Value
    by: int | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """An entitlement as one reader sees it."""

    entitlement: Entitlement
    visibility: Visibility
    current: SetValue | None = None


def parse(entitlement: Entitlement, given: Sequence[str]) -> Value | None:
    """The typed value of what a form sent, None for nothing. Raises ValueError with a sentence."""
    texts = [text.strip() for text in given if text.strip()]
    if entitlement.kind == "yes_no":
        return _yes_no(entitlement, texts[-1] if texts else "no")
    if not texts:
        return None
    if entitlement.kind == "choices":
        unknown = [text for text in texts if text not in entitlement.options]
        if unknown:
            raise ValueError(f"“{unknown[0][:80]}” is not an option for {entitlement.name}. Choose from the list.")
        return [option for option in entitlement.options if option in texts]
    text = texts[0]
    if entitlement.kind == "choice":
        if text not in entitlement.options:
            raise ValueError(f"“{text[:80]}” is not an option for {entitlement.name}. Choose from the list.")
        return text
    if entitlement.kind == "number":
        return _number(entitlement, text)
    if len(text) > TEXT_LIMIT:
        raise ValueError(f"Use {TEXT_LIMIT} characters or fewer for {entitlement.name}. You entered {len(text):,}.")
    return text


def missing(entitlement: Entitlement) -> str:
    """What to say where a required field is empty."""
    verb = "Choose" if entitlement.kind in ("choice", "choices", "yes_no") else "Enter"
    return f"{verb} {entitlement.name}."


def _yes_no(entitlement: Entitlement, text: str) -> bool:
    # A box that is not ticked sends nothing, and a hidden "no" may stand before it.
    if text in ("yes", "on", "1", "true"):
        return True
    if text in ("no", "off", "0", "false"):
        return False
    raise ValueError(f"Choose Yes or No for {entitlement.name}.")


def _number(entitlement: Entitlement, text: str) -> int | float:
    # Plain decimal notation only: float() would also take nan, inf and 1e400.
    if not re.fullmatch(r"-?[0-9]{1,12}([.,][0-9]{1,6})?", text):
        raise ValueError(f"Enter a number for {entitlement.name}, for example 5 or 2.5.")
    plain = text.replace(",", ".")
    return float(plain) if "." in plain else int(plain)


def fill(fields: Sequence[Field], given: Given, *, by: int, at: str) -> dict[str, SetValue]:
    """What one person set among the fields that they may write; raises BadValues with every fault at once.

    A value that the person left as it was keeps its author, so the record says who really chose it.
    """
    faults: dict[str, str] = {}
    filled: dict[str, SetValue] = {}
    for one in fields:
        if one.visibility is not Visibility.WRITE:
            continue
        entitlement = one.entitlement
        try:
            value = parse(entitlement, given.get(entitlement.id, ()))
        except ValueError as error:
            faults[entitlement.id] = str(error)
            continue
        if value is None:
            if entitlement.required:
                faults[entitlement.id] = missing(entitlement)
            continue
        if one.current is not None and one.current.value == value:
            filled[entitlement.id] = one.current
        else:
            filled[entitlement.id] = SetValue(value, by, at)
    if faults:
        raise BadValues(faults)
    return filled


def as_typed(value: Value | None) -> list[str]:
    """What a form would send for it: the reverse of `parse`."""
    if value is None:
        return []
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    if isinstance(value, float):
        # Six decimals is what `parse` takes; str() would write a small number as 1e-05.
        return [f"{value:f}".rstrip("0").rstrip(".")]
    return value if isinstance(value, list) else [str(value)]


def shown(value: Value) -> str:
    """A value in words, for pages and mails."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)


def to_json(values: Mapping[str, SetValue]) -> dict[str, Any]:
    """{entitlement id: {"value", "by", "at"}} for storing."""
    return {key: {"value": one.value, "by": one.by, "at": one.at} for key, one in values.items()}


def from_json(stored: Mapping[str, Mapping[str, Any]]) -> dict[str, SetValue]:
    """The reverse of `to_json`."""
    return {key: SetValue(one["value"], one["by"], one["at"]) for key, one in stored.items()}


@dataclass(frozen=True, slots=True)
class Sheet:
    """All entitlements of a policy with the values set so far, as the reader of one role sees them."""

    fields: tuple[Field, ...] = field(default=())

    @property
    def visible(self) -> tuple[Field, ...]:
        return tuple(one for one in self.fields if one.visibility is not Visibility.HIDDEN)

    @property
    def writable(self) -> tuple[Field, ...]:
        return tuple(one for one in self.fields if one.visibility is Visibility.WRITE)
