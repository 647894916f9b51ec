"""One story by its id: every line of the log, of the web and of the worker, that one request caused."""

from __future__ import annotations

import io
import json
import logging
from dataclasses import replace

import pytest

from tests.helpers import factories, lookups
from tests.mail.conftest import smtp
from webapp.database.transactions import choose
from webapp.delivery import jobs
from webapp.extensions import db, settings
from webapp.models import AccessRequest, Notice
from webapp.runtime import jsonlog

__all__ = ["smtp"]


@pytest.fixture
def lines():
    """A function that answers what was logged since, as a list of lines."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    jsonlog.configure(stream=stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.handlers[:], level = before
    root.setLevel(level)


def of(lines, request_id):
    return [line for line in lines() if line.get("request_id") == request_id]


def test_the_id_of_a_request_is_in_the_lines_of_its_emails(app, company, login_as, smtp, lines):
    wanted = factories.app("Salesforce", company.ana)
    page = login_as(company.rita).post(f"/catalog/{wanted.public_id}/request", {"message": "Please."})
    id = page.headers["X-Request-Id"]
    jobs.drain()
    web, *worker = of(lines, id)
    made = db.session.query(AccessRequest).one()
    assert web["logger"] == "countersign.web" and web["status"] == 303
    assert (web["actor"], web["app"]) == (company.rita.public_id, wanted.public_id)
    assert web["access_request"] == made.public_id
    assert [line["logger"] for line in worker] == ["countersign.jobs"] * len(worker) and worker
    for line in worker:
        assert (line["access_request"], line["app"]) == (made.public_id, wanted.public_id)
    assert {line["person"] for line in worker} == {company.ana.public_id}
    assert {line["notice"] for line in worker} == {one.public_id for one in db.session.query(Notice)}


def test_a_decision_behind_a_link_names_who_and_what_but_no_token(app, company, login_as, smtp, lines):
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    jobs.drain()
    link = lookups.link(made, company.ana)
    answer = login_as(None).post(f"{link}/approval", {"code": lookups.code(made, company.ana)})
    assert answer.status_code == 303
    jobs.drain()
    web, *worker = of(lines, answer.headers["X-Request-Id"])
    assert (web["person"], web["access_request"]) == (company.ana.public_id, made.public_id)
    assert {line["person"] for line in worker} == {company.rita.public_id}
    assert link.removeprefix("/decide/") not in json.dumps(lines())


def test_what_a_worker_begins_has_an_id_of_its_own(app, company, smtp, lines):
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    jobs.drain()
    first = {line["request_id"] for line in lines() if line["logger"] == "countersign.jobs"}
    factories.overdue(made)
    jobs.sweep()
    (cause,) = {one.cause for one in db.session.query(Notice).filter(Notice.kind == "request-expired")}
    told = of(lines, cause)
    assert cause not in first and len(told) == 2
    assert {line["access_request"] for line in told} == {made.public_id}


def test_an_email_that_cannot_be_sent_is_told_with_the_id_of_its_request(app, company, login_as, smtp, lines):
    wanted = factories.app("Salesforce", company.ana)
    page = login_as(company.rita).post(f"/catalog/{wanted.public_id}/request", {"message": "Please."})
    choose("write")
    db.session.query(Notice).update({"person_id": None, "address": "nobody@"})
    db.session.commit()
    jobs.drain()
    told = of(lines, page.headers["X-Request-Id"])
    assert any(line["level"] == "warning" and "access_request" in line for line in told)


@pytest.mark.parametrize(
    ("proxies", "given", "taken"),
    [
        (0, "a-request-of-another", False),
        (1, "a-request-of-another", True),
        (1, "short", False),
        (1, "x" * 65, False),
        (1, 'with "quotes" in it', False),
        (1, "with-a-line-end%0a", False),
    ],
)
def test_only_a_trusted_proxy_names_the_request(app, client, monkeypatch, lines, proxies, given, taken):
    monkeypatch.setitem(app.extensions, "settings", replace(settings(), trusted_proxies=proxies))
    answer = client.get("/sign-in", headers={"X-Request-Id": given})
    assert (answer.headers["X-Request-Id"] == given) is taken
    assert len(of(lines, answer.headers["X-Request-Id"])) == 1


def test_one_request_leaves_nothing_for_the_next(app, company, login_as, lines):
    login_as(company.rita).get("/")
    login_as(None).get("/healthz")
    first, second = (line for line in lines() if line["logger"] == "countersign.web")
    assert first["actor"] == company.rita.public_id and "actor" not in second
    assert first["request_id"] != second["request_id"]
