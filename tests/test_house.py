"""The drawing of the house is what the imports are, and what import-linter cannot see of them."""

from __future__ import annotations

import ast

import pytest

from tests import house

# The standard library's HTTP clients; embedded asks its own web server on loopback whether it answers.
CLIENTS = {"http.client", "urllib.request"}
MAY = ("outgoing", "embedded")


def test_the_drawing_is_what_the_command_writes() -> None:
    assert house.FILE.read_text() == house.drawing(), "run: python -m tests.house"


def test_a_circle_of_imports_is_refused() -> None:
    with pytest.raises(ValueError, match="circle: a, b"):
        house.levels({"a": {"b"}, "b": {"a"}, "c": set()})


def test_an_arrow_that_repeats_a_way_over_others_is_left_out() -> None:
    assert house.arrows({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == [("a", "b"), ("b", "c")]


def test_only_outgoing_imports_an_http_client_of_the_standard_library() -> None:
    found = []
    for path in house.WEBAPP.rglob("*.py"):
        if path.relative_to(house.WEBAPP).parts[0] in MAY:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
            else:
                continue
            found += [(path.name, name) for name in names & CLIENTS]
    assert found == []
