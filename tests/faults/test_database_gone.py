"""The database goes away in the middle of a form: a page says so, and does not claim what nobody knows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
import pytest
from flask import Flask, Response
from sqlalchemy import text

from tests.conftest import POSTGRESQL, SQLITE
from tests.helpers import factories
from tests.helpers.factories import Company, rows
from webapp.database import transactions
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.record import audit
from webapp.record.audit import Draft
from webapp.web import access, error_pages
from webapp.workflow import state_machine


@pytest.fixture(autouse=True)
def no_dead_connection_is_left(app: Flask) -> Iterator[None]:
    """The next test goes on with the connections of this one."""
    yield
    db.engine.dispose()


def cut_all(app: Flask) -> None:
    """Every connection of the app to its database ends, as when the server is stopped at once."""
    url = app.extensions["settings"].database_url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_gone_in_the_middle_is_a_page_that_says_so(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, rita = factories.app("Salesforce", company.ana), login_as(company.rita)
    post = outbox.post

    def cut(some: Any) -> None:
        cut_all(app)
        post(some)

    with monkeypatch.context() as patch:
        patch.setattr(outbox, "post", cut)
        answer = rita.post(f"/catalog/{wanted.public_id}/request", {"message": "For my work."})
    assert answer.status_code == 503
    assert "Nothing was saved" in answer.text
    assert rows("requests") == 0
    assert rita.post(f"/catalog/{wanted.public_id}/request", {"message": "For my work."}).status_code == 303


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_gone_at_the_commit_is_not_called_unchanged(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, rita = factories.app("Salesforce", company.ana), login_as(company.rita)
    seal = audit.seal

    def cut(drafts: Sequence[Draft]) -> Any:
        sealed = seal(drafts)
        cut_all(app)
        return sealed

    monkeypatch.setattr(audit, "seal", cut)
    answer = rita.post(f"/catalog/{wanted.public_id}/request", {"message": "For my work."})
    assert answer.status_code == 503
    assert "Check whether your change is there" in answer.text
    assert "Nothing was saved" not in answer.text


@pytest.mark.parametrize("engine", [POSTGRESQL])
@pytest.mark.parametrize("form", [False, True])
def test_gone_behind_the_answer_does_not_spoil_it(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch, form: bool
) -> None:
    wanted, rita = factories.app("Salesforce", company.ana), login_as(company.rita)
    url = f"/catalog/{wanted.public_id}/request"

    def cut(answer: Response) -> Response:
        db.session.execute(text("SELECT 1"))  # the last word of a page that read to its end
        cut_all(app)
        return answer

    monkeypatch.setitem(app.after_request_funcs, None, [*app.after_request_funcs[None], cut])
    answer = rita.post(url, {"message": "For my work."}) if form else rita.get(url)
    assert answer.status_code == (303 if form else 200)
    monkeypatch.undo()
    assert rita.get("/").status_code == 200


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_gone_behind_a_refusal_does_not_spoil_it(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is signed in cannot be looked up again for the page that says so."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    ana = login_as(company.ana)
    decide, refuse, rita = state_machine.decide, access.refuse_to_decide, company.rita.id

    def cut(*given: Any) -> None:
        refuse(*given)
        cut_all(app)

    monkeypatch.setattr(state_machine, "decide", lambda *given, **named: decide(*given, **named | {"actor": rita}))
    monkeypatch.setattr(access, "refuse_to_decide", cut)
    answer = ana.post(f"/requests/{made.public_id}/approval")
    assert answer.status_code == 403
    assert "You cannot approve or deny your own request." in answer.text


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_gone_while_a_refusal_is_drawn_is_a_page_that_says_so(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rita, end = login_as(company.rita), error_pages._end_transaction

    def cut() -> None:
        end()
        cut_all(app)

    assert rita.get("/catalog/nothing/request").status_code == 404
    monkeypatch.setattr(error_pages, "_end_transaction", cut)
    monkeypatch.setitem(app.config, "PROPAGATE_EXCEPTIONS", False)  # as in a server
    answer = rita.get("/catalog/nothing/request")
    assert answer.status_code == 503
    assert "Nothing was saved" in answer.text


@pytest.mark.parametrize("engine", [SQLITE])
def test_a_file_that_somebody_holds_is_a_page_that_says_so(
    app: Flask, company: Company, login_as: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted, rita = factories.app("Salesforce", company.ana), login_as(company.rita)
    db.session.rollback()
    monkeypatch.setattr(transactions, "WAIT", 0.05)
    holder = sqlite3.connect(db.engine.url.database or "", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        answer = rita.post(f"/catalog/{wanted.public_id}/request", {"message": "For my work."})
    finally:
        holder.close()
    assert answer.status_code == 503
    assert "Nothing was saved" in answer.text
