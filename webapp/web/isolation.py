"""Isolates right-to-left text in the output of all templates (see webapp/bidi.py), without any change to them.

Values of fields, and other attributes that programs read, get the text unchanged, so that what was typed comes back as
it was.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from webapp.bidi import FSI, PDI, Name, isolated

# Matches when the source so far ends inside an attribute for programs, or inside a textarea.
_AS_IT_IS = re.compile(
    r"""[\s"'](?:value|id|for|name|href|src|action|formaction|content|datetime|(?:data|hx)-[\w-]+|aria-(?:describedby|
    labelledby|controls|owns))\s*=\s*(?:"[^"<>]*|'[^'<>]*)$ | <textarea\b(?:[^>"']|"[^"]*"|'[^']*')*>[^<]*$""",
    re.X,
)
_LONGEST_TAG = 2000


def init(app: Flask) -> None:
    """Call it before the first template is compiled."""
    app.jinja_env.finalize = finalize
    app.jinja_env.filters["as_it_is"] = as_it_is
    app.jinja_env.add_extension(AsItIs)


def finalize(value: Any) -> Any:
    """Isolate the value of an expression. Markup consists of isolated values already."""
    if (type(value) is str or type(value) is Name) and not value.isascii():
        return isolated(str(value))
    return value


def as_it_is(value: Any) -> Markup:
    """Escape only, without isolation."""
    if isinstance(value, Markup):  # `~` joined a name and other text
        return Markup(value.replace(FSI, "").replace(PDI, ""))  # nosec
    return escape(str(value) if type(value) is Name else value)


class AsItIs(Extension):
    """Adds `|as_it_is` to each expression inside such an attribute."""

    def filter_stream(self, stream: TokenStream) -> Iterable[Token]:
        if not (stream.name or "").endswith(".html"):
            return stream
        return self._tokens(stream)

    def _tokens(self, stream: Iterable[Token]) -> Iterator[Token]:
        source, inside = "", False
        for token in stream:
            if token.type == "data":
                source = (source + token.value)[-_LONGEST_TAG:]
            elif token.type == "variable_begin":
                inside = _AS_IT_IS.search(source) is not None
                source += "x"
                yield token
                if inside:
                    yield Token(token.lineno, "lparen", "(")
                continue
            elif token.type == "variable_end" and inside:
                yield Token(token.lineno, "rparen", ")")
                yield Token(token.lineno, "pipe", "|")
                yield Token(token.lineno, "name", "as_it_is")
            yield token
