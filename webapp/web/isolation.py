"""What templates put out is set apart where it would turn the words around it, without a word in any template.

The value of a field, and other attributes that a program reads, get the text as it is, so that what was typed comes
back as it was.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from flask import Flask
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from markupsafe import Markup, escape

from webapp.bidi import FSI, PDI, Name, isolated

# The end of the source so far, inside an attribute that nobody reads as text, or inside a field of several lines.
_AS_IT_IS = re.compile(
    r"""[\s"'](?:value|id|for|name|href|src|action|formaction|content|datetime|(?:data|hx)-[\w-]+|aria-(?:describedby|
    labelledby|controls|owns))\s*=\s*(?:"[^"<>]*|'[^'<>]*)$ | <textarea\b(?:[^>"']|"[^"]*"|'[^']*')*>[^<]*$""",
    re.X,
)
_LONGEST_TAG = 2000


def init(app: Flask) -> None:
    """To be called before the first template is compiled."""
    app.jinja_env.finalize = finalize
    app.jinja_env.filters["as_it_is"] = as_it_is
    app.jinja_env.add_extension(AsItIs)


def finalize(value: Any) -> Any:
    """Every expression's value on its way out. Markup is made of such values already."""
    if (type(value) is str or type(value) is Name) and not value.isascii():
        return isolated(str(value))
    return value


def as_it_is(value: Any) -> Markup:
    """Escaped and nothing else."""
    if isinstance(value, Markup):  # as `~` makes it of a name and other words
        return Markup(value.replace(FSI, "").replace(PDI, ""))  # nosec
    return escape(str(value) if type(value) is Name else value)


class AsItIs(Extension):
    """Puts `|as_it_is` behind each expression inside such an attribute."""

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
