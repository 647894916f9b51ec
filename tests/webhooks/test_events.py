"""Which events there are, and their bodies: of ids and states, written with the change, in its order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.statements import counting
from webapp import clock
from webapp.delivery import outbox
from webapp.events_out import EVENTS, names_of
from webapp.extensions import db
from webapp.models import Delivery, Endpoint, Event
from webapp.operations import apps, comments, endpoints, people, requests
from webapp.record.events import EventKind
from webapp.workflow.states import Verdict

Hook = Callable[..., Endpoint]


def posted(endpoint: Endpoint) -> list[tuple[str, dict[str, Any]]]:
    rows = db.session.scalars(select(Delivery).where(Delivery.endpoint_id == endpoint.id).order_by(Delivery.id))
    return [(one.event, json.loads(one.body)) for one in rows]


def names(endpoint: Endpoint) -> list[str]:
    return [name for name, _ in posted(endpoint)]


def of(name: str, endpoint: Endpoint) -> dict[str, Any]:
    (found,) = [body for event, body in posted(endpoint) if event == name]
    assert found["type"] == name
    return found["data"]  # type: ignore[no-any-return]


def test_the_way_of_a_request(company: Company, hook: Hook) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    endpoint = hook()
    made = factories.request(company.rita, app, message="For the spring campaign")
    factories.decide(made, company.ana)
    factories.decide(made, company.ben)
    assert names(endpoint) == [
        "request.submitted", "request.step_opened", "request.step_approved", "request.step_opened",
        "request.step_approved", "request.approved", "access.given",
    ]  # fmt: skip
    data = of("request.approved", endpoint)
    assert data["request"]["id"] == made.public_id
    assert data["request"]["state"] == "approved"
    assert data["request"]["for_person"] == {"id": company.rita.public_id}
    assert data["request"]["app"] == {"id": app.public_id, "name": "Salesforce"}
    assert data["request"]["message_length"] == 23 and "message" not in data["request"]
    assert data["step"]["position"] == 2 and data["step"]["of"] == 2
    assert data["by"] == {"person": {"id": company.ben.public_id}, "token": None}
    given = of("access.given", endpoint)["access"]
    assert given["state"] == "active" and given["request"]["id"] == made.public_id
    assert given["person"] == {"id": company.rita.public_id}


def test_texts_only_where_the_endpoint_gets_them(company: Company, hook: Hook) -> None:
    app = factories.app("Salesforce", company.ana)
    without, with_texts = hook(), hook(with_texts=True)
    made = factories.request(company.rita, app, message="Please, for Q2.")
    factories.decide(made, company.ana, Verdict.DENIED, "Not this year.")
    assert of("request.denied", without)["decision"] == {"channel": "browser", "comment_length": 14}
    assert of("request.denied", with_texts)["decision"]["comment"] == "Not this year."
    assert of("request.submitted", with_texts)["request"]["message"] == "Please, for Q2."
    everything = json.dumps(posted(without))
    assert "Q2" not in everything and "this year" not in everything


def test_no_key_of_ours_and_no_name_of_a_person_leaves(company: Company, hook: Hook) -> None:
    app = factories.app("Salesforce", company.ana)
    endpoint = hook(with_texts=True)
    made = factories.request(company.rita, app)
    comments.add(factories.case_of(made), body="Is it urgent?", actor=company.ana, now=clock.now())
    outbox.commit()
    requests.cancel(factories.case_of(made), actor=company.rita, reason="No longer.", now=clock.now())
    outbox.commit()
    for name, body in posted(endpoint):
        words = json.dumps(body)
        for person in (company.rita, company.ana, company.adam):
            assert person.name not in words and person.email not in words, name
        for key, value in _leaves(body):
            if isinstance(value, int) and not isinstance(value, bool):
                assert key in ("position", "of") or key.endswith("_length"), (name, key)
    assert of("request.commented", endpoint)["comment"]["text"] == "Is it urgent?"
    assert of("request.cancelled", endpoint)["request"]["reason"] == "No longer."


def _leaves(value: Any, key: str = "") -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [leaf for name, one in value.items() for leaf in _leaves(one, name)]
    if isinstance(value, list):
        return [leaf for one in value for leaf in _leaves(one, key)]
    return [(key, value)]


def test_events_of_people_apps_and_access(company: Company, hook: Hook) -> None:
    app = factories.app("Salesforce", company.ana)
    endpoint = hook()
    apps.set_note(app, note="Ask your lead first.", actor=company.adam, now=clock.now())
    outbox.commit()
    people.deactivate(company.rita, actor=company.adam, now=clock.now())
    outbox.commit()
    assert names(endpoint) == ["app.changed", "person.deactivated"]
    assert of("app.changed", endpoint)["changed"] == ["note"]
    assert of("person.deactivated", endpoint)["person"] == {
        "id": company.rita.public_id, "active": False, "is_admin": False,
    }  # fmt: skip
    people.change_theme(company.otto, theme="dark", now=clock.now())
    outbox.commit()
    assert len(names(endpoint)) == 2


def test_an_endpoint_chooses_events_and_apps(company: Company, hook: Hook) -> None:
    mine, other = factories.app("Salesforce", company.ana), factories.app("Benevity", company.ana)
    some = hook(events=["request.submitted"])
    of_app = hook(apps=[mine])
    for app in (mine, other):
        factories.request(company.rita, app)
    assert names(some) == ["request.submitted"] * 2
    assert names(of_app) == ["request.submitted", "request.step_opened"]


def test_without_an_endpoint_nothing_is_read_or_written(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    with counting() as without:
        factories.request(company.rita, app)
    assert not [one for one in without.statements if "deliveries" in one or "endpoint_secrets" in one]
    assert db.session.scalar(select(Delivery.id).limit(1)) is None


def test_the_statements_do_not_grow_with_the_events(company: Company, hook: Hook) -> None:
    hook()
    hook(with_texts=True)
    made = [factories.app(f"App {number}", company.ana) for number in range(6)]

    def cost(number: int) -> int:
        chosen = [made.pop() for _ in range(number)]
        one = [factories.case_of(factories.request(company.rita, app)) for app in chosen]
        for case in one:
            requests.cancel(case, actor=company.rita, reason="", now=clock.now())
        before = len(db.session().info["uncommitted"])
        assert before >= number
        with counting() as statements:
            outbox.commit()
        return len(statements)

    assert cost(1) == cost(5)


def test_every_event_of_the_table_has_a_change_that_causes_it() -> None:
    facts = {"state": "approved", "after": {"name": "x"}}
    assert {name for kind in EventKind for name in names_of(kind, facts)} == set(EVENTS)


@pytest.mark.parametrize("ended", ["paused", "removed"])
def test_what_happens_while_it_is_paused_waits(company: Company, hook: Hook, ended: str) -> None:
    endpoint = hook()
    (endpoints.pause if ended == "paused" else endpoints.remove)(endpoint, actor=company.adam, now=clock.now())
    outbox.commit()
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    assert len([name for name in names(endpoint) if name.startswith("request")]) == (2 if ended == "paused" else 0)


def test_they_are_added_while_the_log_is_locked(company: Company, hook: Hook) -> None:
    """So their order is that of the log, and none is seen before an earlier one is committed."""
    endpoint = hook(events=["request.submitted"])
    app = factories.app("Salesforce", company.ana)
    with counting() as count:
        factories.request(company.rita, app)
    locked, added = (
        next(number for number, one in enumerate(count.statements) if one.startswith(begin))
        for begin in ("UPDATE event_head", "INSERT INTO deliveries")
    )
    assert locked < added
    (seq,) = db.session.scalars(select(Delivery.event_seq).where(Delivery.endpoint_id == endpoint.id))
    (entry,) = db.session.execute(select(Event.kind, Event.app_id).where(Event.seq == seq))
    assert tuple(entry) == ("request.submitted", app.id)
