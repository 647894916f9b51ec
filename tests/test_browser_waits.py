"""Browser tests wait for what an action brings: a page read at once after a click may still be the page before."""

from __future__ import annotations

import ast
from pathlib import Path

HERE = Path(__file__).parent
FILES = sorted([*(HERE / "browser").rglob("*.py"), *(HERE / "attack").rglob("*.py")])

# Playwright's calls that look at the page as it is at this moment.
READS = {
    *("all_inner_texts", "all_text_contents", "content", "count", "get_attribute", "inner_html", "inner_text"),
    *("input_value", "is_checked", "is_disabled", "is_enabled", "is_hidden", "is_visible", "text_content"),
}
ACTS = {
    *("check", "click", "dblclick", "drag_to", "fill", "press", "press_sequentially", "select_option", "set_checked"),
    *("set_input_files", "tap", "uncheck"),
}
# What waits for an outcome: after one of these the page may be read.
WAITS = {
    *("expect", "expect_navigation", "expect_response", "goto", "reload", "until", "wait_for", "wait_for_function"),
    *("wait_for_load_state", "wait_for_selector", "wait_for_timeout", "wait_for_url"),
}


def calls(node: ast.AST) -> set[str]:
    """The names of all functions and methods that a piece of code calls."""
    functions = (each.func for each in ast.walk(node) if isinstance(each, ast.Call))
    return {each.attr if isinstance(each, ast.Attribute) else getattr(each, "id", "") for each in functions}


def readers(trees: list[ast.Module]) -> set[str]:
    """Our own functions that read and do not wait, such as a list of the steps on the page."""
    ours = [each for tree in trees for each in tree.body if isinstance(each, ast.FunctionDef)]
    helpers = [each for each in ours if not each.name.startswith("test_")]
    return {each.name for each in helpers if calls(each) & READS and not calls(each) & (WAITS | ACTS)}


def read_too_soon(tree: ast.AST, reads: set[str]) -> list[int]:
    """The lines of statements that read the page while nothing has waited since the action before."""
    lines = []
    for block in ast.walk(tree):
        acted = False
        for statement in block.body if isinstance(getattr(block, "body", None), list) else []:
            called = calls(statement)
            if isinstance(statement, ast.With) or called & WAITS:  # such as expect_response, which waits at its end
                acted = False
            elif acted and called & reads:
                lines.append(statement.lineno)
            else:
                acted = acted or bool(called & ACTS)
    return lines


def test_no_page_is_read_at_once_after_an_action():
    trees = {path: ast.parse(path.read_text()) for path in FILES}
    reads = READS | readers(list(trees.values()))
    found = [f"{path.relative_to(HERE)}:{line}" for path, tree in trees.items() for line in read_too_soon(tree, reads)]
    assert not found, f"use expect(), which waits: {found}"


def test_the_check_finds_what_it_looks_for():
    soon = "def test():\n    page.click()\n    assert page.locator('a').count() == 1\n"
    through = "def names(page):\n    return page.all_text_contents()\ndef test():\n    page.click()\n    names(page)\n"
    fine = "def test():\n    page.click()\n    expect(page).to_have_title('a')\n    assert page.locator('a').count()\n"
    assert read_too_soon(ast.parse(soon), READS) == [3]
    assert read_too_soon(ast.parse(through), READS | readers([ast.parse(through)])) == [5]
    assert read_too_soon(ast.parse(fine), READS) == []
