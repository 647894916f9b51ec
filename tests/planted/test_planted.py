"""The planted mistakes can still be planted; `python -m tests.planted` shows that each is caught."""

import pytest

from tests.planted.__main__ import PROJECT, Planted, applies, planted

ALL = planted()


def test_there_are_mistakes_enough() -> None:
    assert len(ALL) >= 24


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.file.stem)
def test_a_planted_mistake_still_applies(one: Planted) -> None:
    assert applies(one) == ""
    assert all((PROJECT / test).exists() for test in one.tests)
