"""The facts of an entry for programs: with public ids in place of the integers inside.

A number is passed on only if its name is known to be no id, so that a fact of tomorrow gives no key away.
"""

from typing import Any

from webapp.record.entries import Entry, Names

# Facts that are an id, or a list of ids, and of what.
_IDS = {"person": "person", "by": "person", "group": "group", "source": "app", "field": "field",
        "api_token": "token", "provider": "provider"}  # fmt: skip  # nosec
_LISTS = {"asked": "person", "asked_twice": "person", "members": "person", "emergency": "person", "audience": "group"}
# `number` is that of a revision of an app's rules, `round` counts the links of an approver.
_NUMBERS = {"broken", "days", "deliveries", "lines", "mails", "number", "position", "round", "sessions", "token_days",
            "unchecked", "value"}  # fmt: skip
_LEFT_OUT = object()


def facts_of(line: Entry, names: Names) -> dict[str, Any]:
    """The facts. Left out are the ids of what has none outside (`grant`, `mail`, `revision`, the order of fields) and
    of what is no longer there. Steps are counted from 1."""
    found: dict[str, Any] = _one("", line.facts, names)
    return found


def _one(key: str, value: Any, names: Names) -> Any:
    if isinstance(value, dict):
        parts = ((name, _one(name, one, names)) for name, one in value.items())
        return {name: one for name, one in parts if one is not _LEFT_OUT}
    if isinstance(value, list):
        return _several(key, value, names)
    if not isinstance(value, int) or isinstance(value, bool):
        return value
    if key == "step":
        return value + 1
    if key in _IDS:
        return names.keys.get((_IDS[key], value), _LEFT_OUT)
    return value if key in _NUMBERS else _LEFT_OUT


def _several(key: str, values: list[Any], names: Names) -> Any:
    if key in _LISTS:
        return [names.keys[_LISTS[key], one] for one in values if (_LISTS[key], one) in names.keys]
    found = [one for one in (_one(key, value, names) for value in values) if one is not _LEFT_OUT]
    return found if found or not values else _LEFT_OUT
