"""What is wrong with input, in sentences: one for each kind of fault that pydantic finds."""

from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

_SENTENCES = {
    "missing": "Send this field.",
    "extra_forbidden": "There is no such field.",
    "string_type": "Send a text.",
    "int_type": "Send a whole number.",
    "int_parsing": "Send a whole number.",
    "int_from_float": "Send a whole number.",
    "bool_type": "Send true or false.",
    "bool_parsing": "Send true or false.",
    "list_type": "Send a list.",
    "dict_type": "Send an object.",
    "model_type": "Send an object.",
    "string_too_long": "Use {max_length} characters or fewer.",
    "string_too_short": "Use {min_length} characters or more.",
    "too_long": "Send {max_length} or fewer.",
    "too_short": "Send {min_length} or more.",
    "greater_than_equal": "Send {ge} or more.",
    "less_than_equal": "Send {le} or less.",
    "literal_error": "Send {expected}.",
    "enum": "Send {expected}.",
    "fault": "{sentence}",
}
_TIMES = "Send a time as 2026-11-30T08:06:00Z."
_OTHER = "This does not fit. See the documentation."


def fields_of(error: ValidationError, sent: Any) -> dict[str, str]:
    """Field → sentence, for a body or query as it was sent. Of a field that may have several types only the first
    sentence is kept."""
    found: dict[str, str] = {}
    for one in error.errors(include_url=False, include_input=False):
        found.setdefault(_path(one, sent), _sentence(one))
    return found


def _path(error: ErrorDetails, sent: Any) -> str:
    """The field as "steps.0.person": as far as it is there in what was sent, without what pydantic says of types."""
    parts: list[str] = []
    for part in error["loc"]:
        if part in sent if isinstance(sent, dict) else isinstance(sent, list) and isinstance(part, int):
            sent = sent[part]
        elif error["type"] == "missing":
            sent = None
        else:
            break
        parts.append(str(part))
    return ".".join(parts)[:120] or "body"


def _sentence(error: ErrorDetails) -> str:
    kind = error["type"]
    if kind.startswith(("datetime", "date", "timezone")):
        return _TIMES
    return _SENTENCES.get(kind, _OTHER).format(**error.get("ctx", {}))
