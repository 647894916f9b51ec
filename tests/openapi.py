"""The committed OpenAPI document: `python -m tests.openapi` writes docs/openapi.json from the code.

Within v1 the document only grows; `missing` says what a change would take away from programs that are written for it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from webapp.api._document import document

FILE = Path(__file__).parent.parent / "docs" / "openapi.json"
# Words about the API may change; what programs rely on may not.
WORDS = ("description", "summary", "example", "examples", "tags", "version", "title")


def written() -> str:
    """The document as it is committed."""
    return json.dumps(document(), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def missing(old: Any, new: Any, place: str = "") -> Iterator[str]:
    """Everything that `old` promises and `new` does not: each place in words."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key in WORDS and not isinstance(value, dict):
                continue
            if key not in new:
                yield f"{place}/{key} is gone"
            elif key == "required" and isinstance(value, list):
                yield from _required(value, new[key], place)
            else:
                yield from missing(value, new[key], f"{place}/{key}")
        if "required" in new and "required" not in old:
            yield from _required([], new["required"], place)
    elif isinstance(old, list) and isinstance(new, list):
        for value in old:
            if not any(next(missing(value, other), None) is None for other in new):
                yield f"{place} no longer has {_named(value)}"
        if place.endswith("/parameters"):
            known = {_named(one) for one in old}
            for one in new:
                if _named(one) not in known and one.get("required"):
                    yield f"{place} now needs {_named(one)}"
    elif old != new:
        yield f"{place} was {old!r} and is {new!r}"


def _required(old: Any, new: Any, place: str) -> Iterator[str]:
    """Of an answer, a field that is no longer sent; of a body, a field that is newly needed."""
    if not isinstance(old, list):
        if old != new:
            yield f"{place}/required was {old!r} and is {new!r}"
        return
    for name in old:
        if name not in new:
            yield f"{place} no longer always has {name}"
    # A body forbids unknown fields; an answer may send more at any time.
    if "New" in place or "parameters" in place:
        for name in new:
            if name not in old:
                yield f"{place} now needs {name}"


def _named(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("name") or value.get("$ref") or value)
    return str(value)


if __name__ == "__main__":
    FILE.write_text(written())
    print(f"wrote {FILE.relative_to(FILE.parent.parent)}")
