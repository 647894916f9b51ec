"""What a mutant is, and how its changes are made in a copy of the code.

A change is pinned to a function and an expression, never to lines: it goes on applying when code is moved within its
file, formatted anew or commented.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
_LAYOUT = (tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.ENDMARKER)


class DoesNotApply(Exception):
    """A change does not fit the code: its file, its function or its expression is missing, or is there twice."""


@dataclass(frozen=True, slots=True)
class Change:
    """`old` in `where` becomes `new`.

    In Python, `where` is `file::name`, of a function, a method (`Class.method`), a class or an assignment of the
    module, and `old` is compared token by token: whitespace, line ends, comments and trailing commas do not matter.
    In other files `where` is the file, and whitespace does not matter. Either way `old` has to occur exactly once.
    """

    where: str
    old: str
    new: str

    @property
    def file(self) -> str:
        """The path of the file, from the project's folder."""
        return self.where.partition("::")[0]

    def apply(self, source: str) -> str:
        """The file's text with the change in it. Raises DoesNotApply."""
        if self.file.endswith(".py"):
            first, last = self._first_and_last_line(source)
            spans = list(_python_spans(source, self.old, first, last))
        else:
            spans = list(_text_spans(source, self.old))
        if len(spans) != 1:
            raise DoesNotApply(f"{self.where} holds this {len(spans)} times instead of once: {self.old}")
        start, end = spans[0]
        line = source[source.rfind("\n", 0, start) + 1 : start]
        indent = line[: len(line) - len(line.lstrip())]
        return source[:start] + self.new.replace("\n", "\n" + indent) + source[end:]

    def _first_and_last_line(self, source: str) -> tuple[int, int]:
        body: Sequence[ast.stmt] = ast.parse(source).body
        found: ast.stmt | None = None
        for name in self.where.partition("::")[2].split("."):
            named = [statement for statement in body if name in _names(statement)]
            if len(named) != 1:
                raise DoesNotApply(f"{self.where}: {self.file} has {len(named)} of this name instead of one.")
            found = named[0]
            body = getattr(found, "body", ())
        assert found is not None and found.end_lineno is not None
        decorators = [one.lineno for one in getattr(found, "decorator_list", ())]
        return min([found.lineno, *decorators]), found.end_lineno


@dataclass(frozen=True, slots=True)
class Mutant:
    """A mistake that somebody could make: an id, what is wrong in a sentence, the tests that ought to see it
    (`file` or `file::test`, separated by spaces), and the changes that make it."""

    id: str
    mistake: str
    tests: str
    changes: Sequence[Change]

    def files(self, folder: Path = PROJECT) -> dict[Path, str]:
        """The files in `folder` that the mutant changes, with their new text. Raises DoesNotApply."""
        texts: dict[Path, str] = {}
        for change in self.changes:
            path = folder / change.file
            if not path.is_file():
                raise DoesNotApply(f"There is no file {change.file}.")
            texts[path] = change.apply(texts.get(path) or path.read_text())
        return texts


def _names(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _python_spans(source: str, old: str, first: int, last: int) -> Iterator[tuple[int, int]]:
    """Start and end, in characters, of each place in these lines that has the tokens of `old`."""
    offsets = [0, 0]  # lines are counted from 1
    for line in source.splitlines(keepends=True):
        offsets.append(offsets[-1] + len(line))
    tokens = [token for token in _tokens(source) if first <= token.start[0] <= last]
    texts = [token.string for token in tokens]
    # In parentheses, so that `old` may be some lines out of the middle of a function, with any indentation.
    wanted = [token.string for token in _tokens(f"(\n{old}\n)")][1:-1]
    for index in range(len(texts) - len(wanted) + 1):
        if texts[index : index + len(wanted)] == wanted:
            (row, column), (last_row, last_column) = tokens[index].start, tokens[index + len(wanted) - 1].end
            yield offsets[row] + column, offsets[last_row] + last_column


def _tokens(source: str) -> list[tokenize.TokenInfo]:
    """The tokens of Python source, without layout, comments and trailing commas."""
    tokens = [one for one in tokenize.generate_tokens(io.StringIO(source).readline) if one.type not in _LAYOUT]
    following = [*(one.string for one in tokens[1:]), ""]
    return [one for one, after in zip(tokens, following, strict=True) if one.string != "," or after not in list(")]}")]


def _text_spans(source: str, old: str) -> Iterator[tuple[int, int]]:
    pieces = re.findall(r"\w+|[^\w\s]", old)
    return (found.span() for found in re.finditer(r"\s*".join(map(re.escape, pieces)), source))
