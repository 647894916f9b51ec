"""The audit log through the API: listed, followed, downloaded and verified."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from tests.api.conftest import Program
from tests.api.helpers import problem
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, facts
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.api.audit import CHECKS, NDJSON
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest
from webapp.operations import groups
from webapp.record import audit, entries
from webapp.record.entries import Entry, Names
from webapp.record.entry_facts import facts_of
from webapp.record.sentences import GROUPS
from webapp.workflow.actor import SYSTEM

from ..test_audit import tamper

Make = Callable[..., Program]
EVENTS, CHECK = "/audit/events", "/audit/verification"


@pytest.fixture
def adam(program: Make) -> Program:
    return program("adam")


@pytest.fixture
def decided(company: Company) -> AccessRequest:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana)
    return made


def test_entries_say_who_did_what_by_which_token(adam: Program, program: Make, company: Company) -> None:
    service = program("service", "people:admin")
    service.post("/people", {"name": "Mia Berg", "email": "mia@example.com"})
    adam.post("/groups", {"name": "Legal"})
    made, invited = adam.get(EVENTS).json["items"][:2]
    assert made | {"at": "", "facts": {}} == {
        "seq": invited["seq"] + 1, "at": "", "kind": "group.created",
        "actor": {"kind": "person", "id": company.adam.public_id, "name": "Adam Weiss"},
        "token": {"id": made["token"]["id"], "name": "laptop"}, "request": None, "app": None, "person": None,
        "sentence": "Adam Weiss (token laptop) added the group Legal.", "changes": [], "facts": {},
    }  # fmt: skip
    assert invited["actor"] == {"kind": "service", "id": invited["token"]["id"], "name": "laptop"}
    assert invited["sentence"] == "laptop (service token) added Mia Berg."
    assert invited["person"]["name"] == "Mia Berg" and invited["facts"]["is_admin"] is False
    first = adam.get(f"{EVENTS}?after_seq=0&limit=200").json["items"][-1]
    assert first["seq"] == 1 and first["actor"] == {"kind": "countersign", "id": None, "name": "Countersign"}
    legal = made["facts"]["group"]
    assert adam.get(f"/groups/{legal}").json["name"] == "Legal"


def test_facts_have_public_ids_and_steps_from_one(adam: Program, company: Company, decided: AccessRequest) -> None:
    opened = adam.get(f"{EVENTS}?kind=step.opened").json["items"][0]
    assert opened["facts"] == {"step": 1, "tier": "approver", "asked": [company.ana.public_id]}
    assert opened["request"]["id"] == decided.public_id and opened["app"]["name"] == "Salesforce"
    saved = adam.get(f"{EVENTS}?kind=policy.saved").json["items"][0]
    assert saved["facts"]["steps"] == [{"person": company.ana.public_id, "group": None}]
    assert saved["facts"]["after"]["number"] == 1
    choose("write")
    groups.archive(factories.group("Old", company.rita, company.ben), actor=company.adam, now=clock.now())
    outbox.commit()
    archived = adam.get(f"{EVENTS}?kind=group.archived").json["items"][0]
    assert set(archived["facts"]["members"]) == {company.rita.public_id, company.ben.public_id}


def test_no_integer_of_the_tables_is_among_the_facts() -> None:
    recorded = {
        "person": 7, "by": 7, "group": 8, "asked": [7, 9], "audience": [8], "grant": 3, "mail": 4, "revision": 5,
        "before": [1, 2], "something_new": 6, "some": [1], "days": 3, "on": True, "none": None, "empty": [],
        "after": {"Role": {"value": 5, "by": 7, "at": "2026"}, "owner": {"person": 9, "group": None}},
    }  # fmt: skip
    names = Names(keys={("person", 7): "RITA", ("group", 8): "FINANCE"})
    line = Entry(1, clock.now(), "app.changed", None, None, None, None, recorded, "")
    assert facts_of(line, names) == {
        "person": "RITA", "by": "RITA", "group": "FINANCE", "asked": ["RITA"], "audience": ["FINANCE"], "days": 3,
        "on": True, "none": None, "empty": [],
        "after": {"Role": {"value": 5, "by": "RITA", "at": "2026"}, "owner": {"group": None}},
    }  # fmt: skip


@pytest.mark.both_engines
def test_the_log_is_filtered(adam: Program, program: Make, company: Company, decided: AccessRequest) -> None:
    def kinds(query: str) -> set[str]:
        return {one["kind"] for one in adam.every(f"{EVENTS}?{query}")}

    adam.post("/groups", {"name": "Legal"})
    token = next(one["token"]["id"] for one in adam.get(EVENTS).json["items"])
    (salesforce,) = {one["app"]["id"] for one in adam.get(f"{EVENTS}?kind=request.submitted").json["items"]}
    assert kinds(f"token={token}") == {"group.created"}
    assert kinds(f"actor={company.ana.public_id}") == {"step.approved", "grant.added"}
    assert "request.submitted" in kinds(f"person={company.rita.public_id}&topic=requests")
    assert "app.created" in kinds(f"app={salesforce}")
    assert kinds(f"request={decided.public_id}") >= {"request.submitted", "step.opened", "step.approved"}
    last = events()[-1]
    assert kinds(f"after_seq={last['seq'] - 1}") == {last["kind"]}
    assert kinds("until=2000-01-01T00:00:00Z") == set() and kinds("since=8999-01-01T00:00:00Z") == set()
    for name in ("token", "actor", "person", "app", "request"):
        assert kinds(f"{name}=NOTHING00000") == set()


@pytest.mark.both_engines
@pytest.mark.parametrize(
    ("query", "field", "sentence"),
    [
        ("kind=moon.walked", "kind", "There is no such kind of entry. The documentation lists them."),
        ("kind=app.created&topic=people", "kind", "This kind is of another topic. Leave one of them out."),
        ("since=2026-11-30", "since", "Send a time as 2026-11-30T08:06:00Z."),
        ("after_seq=-1", "after_seq", "Send 0 or more."),
        ("who=ana", "who", "There is no such field."),
    ],
)
def test_a_filter_that_does_not_fit_is_refused(adam: Program, query: str, field: str, sentence: str) -> None:
    for path in (EVENTS, f"{EVENTS}.ndjson"):
        refused = adam.get(f"{path}?{query}")
        assert refused.status_code == 422 and refused.json["errors"] == [{"field": field, "detail": sentence}]


def test_each_topic_is_one_of_the_page() -> None:
    from webapp.api.audit import EventFilter

    for topic in GROUPS:
        assert EventFilter.model_validate({"topic": topic}).topic == topic


@pytest.mark.both_engines
def test_pages_have_each_entry_once_while_entries_are_added(adam: Program) -> None:
    wanted = list(range(events()[-1]["seq"], 0, -1))
    names = iter(range(100))
    found = [
        one["seq"] for one in adam.every(f"{EVENTS}?limit=3", between=lambda: factories.group(f"Group {next(names)}"))
    ]
    assert found == wanted


@pytest.mark.both_engines
def test_a_list_takes_the_same_statements_with_few_and_many_entries(adam: Program, company: Company) -> None:
    counts = []
    for more in (0, 30):
        for number in range(more):
            factories.request(company.rita, factories.app(f"App {number}", company.ana, company.finance))
        adam.get(EVENTS)
        with counting() as seen:
            adam.get(f"{EVENTS}?limit=200&app=NOTHING00000")
            adam.get(f"{EVENTS}?limit=200")
        counts.append(len(seen))
    assert_constant(counts, at_most=12)


@pytest.mark.both_engines
def test_the_download_has_what_the_list_has_in_batches_of_their_own(
    app: Flask, adam: Program, decided: AccessRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = adam.every(f"{EVENTS}?limit=200")
    monkeypatch.setattr(entries, "BATCH", 7)
    answer = adam.get(f"{EVENTS}.ndjson")
    assert answer.content_type == NDJSON and "ETag" not in answer.headers
    assert [json.loads(line) for line in answer.text.splitlines()] == listed
    some = adam.get(f"{EVENTS}.ndjson?topic=requests&after_seq=3")
    assert {json.loads(line)["kind"].split(".")[0] for line in some.text.splitlines()} == {"request", "step"}
    assert adam.get(f"{EVENTS}.ndjson?token=NOTHING00000").text == ""


def test_reading_the_check_writes_nothing_and_recording_it_does(adam: Program) -> None:
    before = len(events())
    read = adam.get(CHECK)
    assert read.status_code == 200, read.text
    assert read.json["is_intact"] is True and read.json["intact"] == before and read.json["broken"] is None
    assert read.json["sentence"].startswith(f"All {before} entries are intact. No anchor found")
    assert len(events()) == before
    done = adam.post(CHECK, Idempotency_Key="k")
    assert done.status_code == 200 and done.json == read.json
    assert adam.post(CHECK, Idempotency_Key="k").json == done.json
    (line,) = facts("audit.verified")
    assert line["holds"] is True and line["lines"] == before and line["token"] is not None
    assert adam.get(f"{CHECK}?newest=3").json | {"sentence": ""} == {
        "is_intact": True, "is_partial": True, "intact": 3, "unchecked": 0, "broken": None, "sentence": "",
    }  # fmt: skip
    assert adam.get(f"{CHECK}?newest=100001").status_code == 422


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_check_has_a_limit_of_its_own(program: Make, adam: Program, company: Company, method: str) -> None:
    """It reads 100,000 entries. A second token of the same person has no second limit."""
    one, path = program("adam"), "/audit/verification"
    assert {one.call(method, path).status_code for _ in range(CHECKS)} == {200}
    for again in (one, adam):
        refused = again.call(method, path)
        problem(refused, 429, "Too many attempts. Try again in 1 minute.")
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert one.get("/audit/events").status_code == 200


@pytest.mark.both_engines
def test_a_change_is_found(adam: Program, engine: str) -> None:
    tamper(engine, "UPDATE events SET body = body || ' ' WHERE seq = 3")
    found = adam.post(CHECK).json
    assert found["is_intact"] is False and found["intact"] == 2
    assert found["broken"] == {"seq": 3, "sentence": "Entry 3 was changed, or an entry before it was."}
    assert found["sentence"].startswith("The audit log has been altered. Entry 3 was changed")
    assert facts("audit.verified")[-1]["broken"] == 3


def test_the_check_is_for_who_may_read_the_log(adam: Program, program: Make, company: Company) -> None:
    assert program("adam", "people:read").post(CHECK).status_code == 403
    assert program("rita").post(CHECK).status_code == 403
    assert facts("audit.verified") == []


def test_sentences_have_no_markup(adam: Program, decided: AccessRequest) -> None:
    factories.group("<b>Bold</b>")
    told: list[dict[str, Any]] = adam.every(f"{EVENTS}?limit=200")
    assert told[0]["sentence"] == "Countersign added the group <b>Bold</b>."
    assert not any(re.search("</?a|&lt;", one["sentence"]) for one in told)


def test_an_entry_of_a_newer_version_is_shown_as_well(adam: Program) -> None:
    choose("write")
    audit.record("moon.walked", at=clock.now(), actor=SYSTEM, person=None, moon=1)  # type: ignore[arg-type]
    outbox.commit()
    walked = adam.get(EVENTS).json["items"][0]
    assert walked["kind"] == "moon.walked" and walked["facts"] == {}
    assert walked["sentence"] == "Countersign: unknown action (moon.walked)"
    assert db.session.execute(text("SELECT count(*) FROM events")).scalar_one() == walked["seq"]
