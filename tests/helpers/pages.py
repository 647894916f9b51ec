"""What a page says, and what its markup holds."""

from __future__ import annotations

import html
import re
from typing import Any

_INLINE = re.compile(r"</?(?:a|b|em|i|strong|time)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")


def words(response: Any) -> str:
    """What a reader sees, in one line: no tags, no icons."""
    body = re.sub(r"<(head|template|svg)\b.*?</\1>", "", response.get_data(as_text=True), flags=re.DOTALL)
    return " ".join(html.unescape(_TAG.sub(" ", _INLINE.sub("", body))).split())


def source(response: Any) -> str:
    return str(response.get_data(as_text=True))


def markup(answer: Any) -> str:
    """The page's text with entities resolved, so that sentences can be looked for as they are read."""
    return html.unescape(answer.get_data(as_text=True))


def flat(answer: Any) -> str:
    """`markup` with each run of white space as one space: for tags, which may be written on several lines."""
    return " ".join(markup(answer).split())


def typed(response: Any, text: str) -> bool:
    """Whether the page still holds what somebody typed, escaped as Jinja does."""
    from markupsafe import escape

    return str(escape(text)) in source(response)


def is_fragment(answer: Any) -> bool:
    return "<html" not in markup(answer)


def question(answer: Any) -> str:
    """The hidden field that says which question it was; "" where nothing was asked."""
    found = re.search(r'name="asked" value="(\w+)"', answer.text)
    return found[1] if found else ""


def assert_refuses_get(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert "start from there" in words(answer)
