"""Isolates names and texts that are read from right to left, or that change the reading direction.

Each such text is put between FIRST STRONG ISOLATE and POP DIRECTIONAL ISOLATE (UAX #9), so that it keeps its own
direction and does not change the text around it, on pages and in plain text. Other texts stay as they are.
"""

import re
from collections.abc import Iterable
from typing import Any

from markupsafe import Markup, escape

FSI, PDI = "\u2068", "\u2069"
# Letters and digits of scripts that run from right to left, and the characters that change the direction.
_TURNS = re.compile(
    "[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_ISOLATE = re.compile("[\u2066-\u2069]")
# What ends a paragraph, and with it every isolate.
_PARAGRAPH = re.compile("([\n\r\x1c-\x1e\x85\u2029]+)")


class Name(str):
    """A name with such letters. It is isolated when it is formatted into a text; otherwise it is a str."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return isolated(str.__format__(self, spec))

    def __html__(self) -> Markup:
        return escape(isolated(str(self)))

    def split(self, *where: Any) -> list[str]:
        """A first name is a name, too."""
        return [named(part) for part in str.split(self, *where)]


def named(text: str) -> str:
    """A Name if the text has such letters, else the same text."""
    return text if text.isascii() or not _TURNS.search(text) else Name(text)


def listed(names: Iterable[str], between: str = ", ") -> str:
    """Join several names, each isolated."""
    return between.join(isolated(name) for name in names)


def isolated(text: str) -> str:
    """Isolate the text, paragraph by paragraph, if it would change the direction of its surroundings."""
    if text.isascii() or not _TURNS.search(text):
        return text
    return "".join(part if not part or place % 2 else _apart(part) for place, part in enumerate(_PARAGRAPH.split(text)))


def _apart(text: str) -> str:
    if not _TURNS.search(text):
        return text
    depth = 0
    kept = []
    for sign in text:
        if sign == PDI:
            if not depth:
                continue  # it would end our own isolate
            depth -= 1
        elif _ISOLATE.match(sign):
            depth += 1
        kept.append(sign)
    return f"{FSI}{''.join(kept)}{PDI * depth}{PDI}"
