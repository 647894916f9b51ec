"""Each mutant still fits the code; `python -m tests.mutants` shows that each is caught."""

import ast

import pytest

from tests.mutants.all_mutants import ALL
from tests.mutants.change import PROJECT, Change, DoesNotApply, Mutant

SOURCE = '''
LIMIT = 3


class Door:
    @property
    def open(self):
        """Whether it is open."""
        return all(
            # The lock first: it costs nothing.
            [self.unlocked,
             self.pushed,],
        )


def push(door):
    door.pushed = True
    door.pushed = True
'''


def test_ids_are_unique() -> None:
    assert len({mutant.id for mutant in ALL}) == len(ALL)


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.id)
def test_a_mutant_applies_and_compiles(mutant: Mutant) -> None:
    for path, text in mutant.files().items():
        before = path.read_text()
        if path.suffix == ".py":
            compile(text, path, "exec")
            assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(before))
        else:
            assert text != before


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.id)
def test_the_tests_of_a_mutant_exist(mutant: Mutant) -> None:
    assert mutant.tests
    for test in mutant.tests.split():
        file, _, name = test.partition("::")
        assert (PROJECT / file).exists(), file
        if name:
            assert f"def {name}(" in (PROJECT / file).read_text(), test


def test_layout_comments_and_trailing_commas_do_not_matter() -> None:
    changed = Change("door.py::Door.open", "all([self.unlocked, self.pushed])", "all([self.unlocked])").apply(SOURCE)
    assert "return all([self.unlocked])\n" in changed


def test_new_lines_are_indented_like_the_first() -> None:
    changed = Change("door.py::Door.open", "return all", "if self.broken:\n    return True\nreturn all").apply(SOURCE)
    assert "        if self.broken:\n            return True\n        return all(\n" in changed


@pytest.mark.parametrize(
    ("where", "old"),
    [
        ("door.py::Door.open", "LIMIT"),
        ("door.py::Door.close", "self.pushed"),
        ("door.py::push", "door.pushed = True"),
        ("door.txt", "pushed"),
    ],
    ids=["elsewhere", "no such function", "twice", "twice in a text"],
)
def test_what_is_not_there_exactly_once_is_refused(where: str, old: str) -> None:
    with pytest.raises(DoesNotApply):
        Change(where, old, "").apply(SOURCE)


def test_a_text_is_found_across_line_ends() -> None:
    assert Change("door.html", "<b>open</b>", "shut").apply("<p>\n  <b>\n    open</b>\n</p>") == "<p>\n  shut\n</p>"
