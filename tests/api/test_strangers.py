"""Calls with unknown tokens: counted for their address, before they hold up anybody, and kept nowhere."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.api.conftest import Program
from tests.api.test_calls import _away, raw
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import token_use, tokens
from webapp.api import _callers
from webapp.database.transactions import choose
from webapp.extensions import broker, db
from webapp.queries import directory

Make = Callable[..., Program]


@pytest.mark.parametrize("away", [False, True], ids=["broker", "without-broker"])
def test_unknown_tokens_are_counted_for_their_address_and_known_ones_go_on(
    app: Flask, program: Make, company: Company, monkeypatch: pytest.MonkeyPatch, away: bool
) -> None:
    monkeypatch.setattr(_callers, "ADDRESS_CALLS", 3)
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    comments, rita = f"/requests/{made.public_id}/comments", program("rita")
    if away:
        monkeypatch.setattr(broker(), "eval", _away)
    sent = [raw(app, tokens.make(), method, comments, json={"text": "Hm."}) for method in ("POST", "GET") * 3]
    assert [one.status_code for one in sent] == [401, 401, 401, 429, 429, 429]
    assert all("RateLimit" not in one.headers for one in sent)
    assert 1 <= int(sent[-1].headers["Retry-After"]) <= 60
    assert rita.get("/me").status_code == 200
    assert rita.post(comments, {"text": "Hm."}).status_code == 200


def test_many_unknown_tokens_hold_up_nobody_who_writes(
    app: Flask, program: Make, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit of their address they are refused before a transaction that writes begins."""
    monkeypatch.setattr(_callers, "ADDRESS_CALLS", 1)
    assert raw(app, tokens.make(), "POST", "/requests", json={}).status_code == 401
    db.session.rollback()
    choose("write")
    directory.lock(exclusive=True)
    assert raw(app, tokens.make(), "POST", "/requests", json={}).status_code == 429
    db.session.rollback()


def test_nothing_is_kept_of_unknown_tokens(app: Flask, program: Make, company: Company) -> None:
    program("rita").get("/me")
    for method in ("GET", "POST"):
        assert raw(app, tokens.make(), method, "/requests").status_code == 401
    assert len(token_use.take()) == 1
