"""Text for a terminal: what others wrote cannot move the cursor, change colours or reverse the line."""

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

# Cc: control characters; Cf: invisible ones, as those that reverse the text; Cs, Co, Cn: no characters at all.
_REMOVED = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
# Joiners, which several scripts need.
_KEPT = "\u200c\u200d"


def clean(text: object) -> str:
    """One line without anything that a terminal would obey; a line break or tab becomes a space."""
    spaced = "".join(" " if sign in "\n\r\t\v\f\u2028\u2029\x85" else sign for sign in str(text))
    return "".join(sign for sign in spaced if not _is_obeyed(sign))


def lines(text: str) -> list[str]:
    """A text of several lines, each without anything that a terminal would obey."""
    return [clean(line) for line in text.splitlines()]


def as_json(value: Any, *, indent: int | None = None) -> str:
    """JSON in which whatever a terminal would obey is written as an escape, so that it is the same value still."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(sign if sign == "\n" or not _is_obeyed(sign) else _escaped(sign) for sign in text)


def _is_obeyed(sign: str) -> bool:
    return sign not in _KEPT and unicodedata.category(sign) in _REMOVED


def _escaped(sign: str) -> str:
    return json.dumps(sign)[1:-1] if ord(sign) > 0x7F else f"\\u{ord(sign):04x}"


def width(text: str) -> int:
    """The columns that it takes on a terminal."""
    wide = sum(unicodedata.east_asian_width(sign) in "WF" for sign in text)
    return len(text) + wide - sum(bool(unicodedata.combining(sign)) for sign in text)


def _cut(text: str, columns: int) -> str:
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return text + "…"


def table(head: Sequence[str], rows: Sequence[Sequence[object]], columns: int) -> list[str]:
    """A table as lines of at most so many columns: the widest column is made narrower until all fit."""
    cells = [[clean(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(width, column)) for column in zip(*cells, strict=True)]
    while sum(widths) + 2 * (len(widths) - 1) > columns and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    drawn = []
    for row in cells:
        cut = [_cut(cell, size) for cell, size in zip(row, widths, strict=True)]
        padded = [cell + " " * (size - width(cell)) for cell, size in zip(cut, widths, strict=True)]
        drawn.append("  ".join(padded).rstrip())
    return drawn
