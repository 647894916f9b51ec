"""No token, code, password or text of people gets into the log."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Browser
from tests.helpers import factories, lookups
from webapp import links
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.runtime import jsonlog


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What the app's own log would hold."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    stream = io.StringIO()
    jsonlog.configure(stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_no_token_code_or_password_gets_into_the_log(
    app: Any, company: Any, written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.ana), message="A private matter.")
    address, code = lookups.link(made, company.ana), lookups.code(made, company.ana)
    wrong = lookups.wrong_code(made, company.ana)
    password = f"/password/{links.password_token(company.otto.public_id, company.otto.password_round)}"
    secrets = [one.rpartition("/")[2] for one in (address, password)] + [
        code,
        wrong,
        "hunter2-secret",
        "private matter",
    ]
    nobody, otto, ana = Browser(app), Browser(app, company.otto), Browser(app, company.ana)
    session_ids = [row.public_id for row in db.session.query(factories.people.PersonSession)]
    db.session.rollback()
    for browser in (nobody, otto, ana):
        for path in (address, password):
            browser.get(path)
            browser.get(path, htmx=True)
            browser.get(f"{path}/nothing")
            browser.get(path + "?next=" + path)
            browser.client.post(path)
            browser.client.post(f"{path}/approval", headers={"Sec-Fetch-Site": "cross-site", "Referer": path})
            browser.client.put(f"{path}/approval", headers={"HX-Current-URL": f"http://localhost{path}"})
            browser.client.get("/", headers={"Referer": f"http://localhost{path}", "User-Agent": path})
    nobody.post(f"{address}/approval", {"code": wrong})
    nobody.post(f"{address}/denial", {"code": code})
    nobody.post(password, {"password": "hunter2-secret", "again": "no"})
    nobody.post("/sign-in", {"email": "ana@example.com", "password": "hunter2-secret", "next": address})

    def broken(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"Nothing works at {address}, nor at http://localhost{password}?x=1 or '{address}/code'")

    monkeypatch.setattr("webapp.web.access.links.verify_approval_link", broken)
    monkeypatch.setattr("webapp.auth.views.links.verify_password_link", broken)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    try:
        for path in (address, f"{address}/approval", password):
            method = "post" if path.endswith("approval") else "get"
            answer = getattr(nobody, method)(path)
            assert answer.status_code == 500
            assert answer.headers["Referrer-Policy"] == "no-referrer"
    finally:
        app.config["PROPAGATE_EXCEPTIONS"] = None
    lines = written.getvalue()
    assert lines.count("Nothing works at /decide/***") >= 3
    assert lines.count('"event": "request"') > 30
    told = [json.loads(line) for line in lines.splitlines()]
    chance = {"timestamp", "ms", "request_id"}  # digits that may be those of a code
    for secret in [*secrets, *session_ids]:
        assert not [one for one in told if secret in str([one[key] for key in one.keys() - chance])], secret


def test_a_failed_statement_does_not_log_what_people_wrote(app: Any, company: Any, written: io.StringIO) -> None:
    """SQLAlchemy's errors would carry every value of the statement."""
    made = factories.request(company.rita, factories.app("Benevity", company.ana))
    browser = Browser(app, company.rita)

    app.config["PROPAGATE_EXCEPTIONS"] = False
    try:
        db.session.rollback()
        choose("write")
        with db.engine.begin() as connection:
            connection.execute(db.text("ALTER TABLE comments RENAME TO comments_gone"))
        answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": "Another private matter"})
        assert answer.status_code in (500, 503)
        assert "private" not in answer.get_data(as_text=True)
    finally:
        app.config["PROPAGATE_EXCEPTIONS"] = None
        choose("write")
        with db.engine.begin() as connection:
            connection.execute(db.text("ALTER TABLE comments_gone RENAME TO comments"))
    assert "INSERT INTO comments" in written.getvalue() or "comments" in written.getvalue()
    assert "private" not in written.getvalue()


def test_the_mask_covers_every_way_a_token_stands_in_a_line() -> None:
    for text in (
        "GET /decide/abc.def-ghi HTTP/1.1", "http://localhost/decide/abc.def-ghi/approval?x=1", "'/decide/abc.def-ghi'",
        'path="/password/abc.def-ghi"', "/decide/abc.def-ghi and /password/abc.def-ghi", "(/decide/abc.def-ghi)",
    ):  # fmt: skip
        assert "abc" not in jsonlog.mask(text), text
    assert jsonlog.mask("/requests/7K3F9QXXXXXX") == "/requests/7K3F9QXXXXXX"
