"""A small run of the calls made from the API's document; `python -m tests.attack api` makes 20,000."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.attack import calls
from tests.conftest import SQLITE
from webapp.api._operation import OPERATIONS


@pytest.mark.slow
@pytest.mark.parametrize("engine", [SQLITE])
def test_no_call_breaks_and_none_does_what_its_token_may_not(app: Flask) -> None:
    *_, found = calls.run(app, cases=2 * len(OPERATIONS), number=1)
    assert found.faults == []
    # Else the calls reach nothing, and prove nothing.
    assert found.calls >= 2 * len(OPERATIONS) and sum(status < 300 for _, status in found.statuses) > 20


@pytest.mark.slow
@pytest.mark.parametrize("engine", [SQLITE])
def test_a_fault_is_found(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that lets everyone in is told."""
    monkeypatch.setattr("webapp.api._operation._check_scope", lambda of, caller: None)
    monkeypatch.setattr("webapp.api._operation._check_audience", lambda of, caller, parts: None)
    *_, found = calls.run(app, cases=len(OPERATIONS), number=1)
    assert any("done without the scope" in one for one in found.faults)
    assert any("done without being an admin" in one for one in found.faults)
