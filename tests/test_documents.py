"""What the documents name exists: files, folders, commands and functions."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
DOCUMENTS = [*sorted(PROJECT.glob("[A-Z]*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]
# Where a path may begin; so `templates/<kind>/` and URLs are told from paths.
ROOTS = ("bin", "bench", "docs", "migrations", "static", "templates", "tests", "webapp")
# In code spans a path may stand without its folder only for these files at the top.
CODE = re.compile(r"`([^`\n]+)`")
BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)\)")
PATH = re.compile(rf"(?<![\w./<-])(?:{'|'.join(ROOTS)})/[\w./-]*")
MODULE = re.compile(r"python -m ([\w.]+)")
FUNCTION = re.compile(r"([\w./]+\.py)::(\w+)")

by_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)


def spans(text: str) -> Iterator[str]:
    """The code in a document: its blocks of commands, and its spans."""
    for block in BLOCK.findall(text):
        yield from (line.partition("#")[0] for line in block.splitlines())
    yield from CODE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def paths_in(text: str) -> set[str]:
    """Paths from the project's root; of a path with a placeholder, the folder before it."""
    return {path.rstrip(".") for span in spans(text) for path in PATH.findall(span.partition("<")[0])}


def functions_of(file: str) -> set[str]:
    tree = ast.parse((PROJECT / file).read_text())
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}


def test_the_documents_are_found() -> None:
    """An empty result would make every test below pass."""
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert len(paths_in(text)) > 40 and len(MODULE.findall(text)) > 4 and len(FUNCTION.findall(text)) > 8


@by_document
def test_every_path_exists(document: Path) -> None:
    missing = [path for path in paths_in(document.read_text()) if not (PROJECT / path.partition("::")[0]).exists()]
    assert missing == []


@by_document
def test_every_link_leads_to_a_file(document: Path) -> None:
    links = [link for link in LINK.findall(document.read_text()) if not link.startswith(("http:", "https:"))]
    assert [link for link in links if not (document.parent / link).exists()] == []


@by_document
def test_every_command_exists(document: Path) -> None:
    modules = {name for span in spans(document.read_text()) for name in MODULE.findall(span)}
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


@by_document
def test_every_function_exists(document: Path) -> None:
    named = FUNCTION.findall(document.read_text())
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []
