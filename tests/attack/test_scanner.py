"""Mail scanners: they open, press and fill in what they find, and decide nothing."""

from __future__ import annotations

from typing import Any

import pytest

from .robots import PLAIN, Robot
from .scanner import digits, gauntlet


def test_no_plain_scanner_decides_and_the_link_still_works(app: Any, company: Any, smtp: Any, address: str) -> None:
    Robot.statuses.clear()
    result = gauntlet(app, company, smtp, address, mails=5, chromium=None)
    assert not [status for status in Robot.statuses if status >= 500]
    assert result.visits == dict.fromkeys((behave.__name__ for behave in PLAIN), 5)
    assert (result.decisions, result.failures) == (0, 0)
    assert result.decided_after == 5
    assert result.extra == 0, "no mails that nobody asked for"


@pytest.mark.parametrize("engine", ["sqlite"])
def test_no_scanner_with_a_browser_decides_and_the_link_still_works(
    app: Any, company: Any, smtp: Any, address: str, chromium: Any
) -> None:
    result = gauntlet(app, company, smtp, address, mails=1, chromium=chromium, plain=())
    assert (result.decisions, result.failures) == (0, 0)
    assert result.decided_after == 1
    assert result.extra == 0


def test_one_that_types_six_digits_locks_nobody_out(app: Any, company: Any, smtp: Any, address: str) -> None:
    result = digits(company, smtp, address, mails=3)
    assert result.decisions == 0
    assert result.decided_by_a_new_code == 3
