"""The checks of `bin/chaos` find what they are there for: each is shown something that is not as it should be."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.chaos import check
from tests.chaos.check import State
from tests.chaos.crowd import Told
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Notice


@pytest.fixture
def made(company: Company) -> AccessRequest:
    """An approved request, all of whose mails are sent."""
    request = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(request, company.ana)
    outbox.claim(10)
    db.session.execute(update(Notice).values(state="sent"), execution_options={"synchronize_session": False})
    db.session.commit()
    return request


@pytest.fixture
def state(app: Flask, made: AccessRequest) -> State:
    found = check.load(app)
    choose("write")
    return found


@pytest.fixture
def mails(state: State) -> list[dict[str, Any]]:
    at = time.time()
    return [
        {"id": name, "to": [state.people[one.person_id].email], "at": at, "answered": True, "same": ""}
        for name, one in state.notices.items()
    ]


@pytest.fixture
def history(state: State, company: Company, made: AccessRequest) -> list[Told]:
    now, (step,) = time.time(), state.steps
    return [
        Told("ask", company.rita.id, now, now, 303, True, app=made.app_id, request=made.public_id),
        Told("decide", company.ana.id, now, now, 303, True, request=made.public_id, step=step, verdict="approval"),
    ]


def found(state: State, mails: list[dict[str, Any]], history: list[Told], **known: Any) -> list[str]:
    return check.everything(state, mails, history, **({"ends": [], "database_gone": []} | known))


def test_what_is_right_is_left_alone(state: State, mails: list[dict[str, Any]], history: list[Told]) -> None:
    assert found(state, mails, history) == []


def test_the_tables_have_to_agree_with_the_record_and_with_each_other(state: State) -> None:
    (decision,) = state.decisions
    assert any("has 2 decisions" in one for one in check.tables(replace(state, decisions=[decision, decision])))
    assert any("the record says" in one for one in check.tables(replace(state, decisions=[])))
    assert any("nobody has the app" in one for one in check.tables(replace(state, grants=[])))
    assert any("2 grants" in one for one in check.tables(replace(state, grants=state.grants * 2)))
    assert check.tables(replace(state, events=state.events[:-1])) and check.tables(replace(state, events=[]))
    assert check.tables(replace(state, broken="Line 3 was changed.")) == ["The record: Line 3 was changed."]


def test_who_decides_has_to_have_been_asked(state: State) -> None:
    stranger = [dict(one) for one in state.events]
    for one in stranger:
        if one["kind"] == "step.approved":
            one["actor"] = 999
    assert any("was not among those asked" in one for one in check.tables(replace(state, events=stranger)))


def with_events(state: State, kind: str, **changes: Any) -> State:
    """The record with other facts in each line of this kind."""
    told = [{**one, "facts": {**one["facts"], **changes}} if one["kind"] == kind else one for one in state.events]
    return replace(state, events=told)


def test_those_who_are_asked_are_those_of_the_frozen_rule(state: State, company: Company) -> None:
    otto = with_events(state, "step.opened", asked=[company.ana.id, company.otto.id])
    assert any("the rule says" in one for one in check.tables(otto))
    # She left before she was asked: then it was the admin's turn.
    opened = next(number for number, one in enumerate(state.events) if one["kind"] == "step.opened")
    gone = {**state.events[0], "kind": "person.deactivated", "person": company.ana.id, "facts": {}}
    left = replace(state, events=[*state.events[:opened], gone, *state.events[opened:]])
    assert any(f"the rule says [{company.adam.id}]" in one for one in check.tables(left))


def test_whoever_is_asked_and_whoever_asked_get_their_mails(state: State) -> None:
    for kind, words in (("approval-asked", "has no mail"), ("request-approved", "Nobody told")):
        some = {name: one for name, one in state.notices.items() if one.kind != kind}
        assert len(some) < len(state.notices)
        assert any(words in one for one in check.tables(replace(state, notices=some)))


def test_a_mail_goes_to_its_one_recipient(state: State, mails: list[dict[str, Any]], history: list[Told]) -> None:
    for to in (["otto@example.com"], [*mails[0]["to"], "otto@example.com"], []):
        assert any("and went to" in one for one in found(state, [{**mails[0], "to": to}, *mails[1:]], history))


def test_nobody_is_asked_long_after_it_was_over_or_without_being_asked(
    state: State, mails: list[dict[str, Any]], history: list[Told]
) -> None:
    late = [{**one, "at": one["at"] + check.ON_ITS_WAY + 5} for one in mails]
    assert any("after that was over" in one for one in found(state, late, history))
    early = [{**one, "at": one["at"] - 3600} for one in mails]
    assert any("was never asked" in one for one in found(state, early, history))


def test_what_admins_and_those_who_comment_were_told(
    state: State, mails: list[dict[str, Any]], history: list[Told], made: AccessRequest, company: Company
) -> None:
    now = time.time()
    said = Told("comment", company.rita.id, now, now, 303, True, request=made.public_id)
    assert any("comment" in one for one in found(state, mails, [*history, said]))
    written = [*state.comments, type("Row", (), {"request_id": made.id, "person_id": company.rita.id})]
    assert found(replace(state, comments=written), mails, [*history, said]) == []
    assert any("0 told" in one for one in found(replace(state, comments=written), mails, history))
    for what in ("deactivate", "reactivate", "leave", "join"):
        told = Told(what, company.adam.id, now, now, 303, True, person=company.ben.id)
        assert any(f"{what} {company.ben.id}: 1 told" in one for one in found(state, mails, [*history, told]))
        unknown = replace(told, status=0, done=False)
        assert found(state, mails, [*history, unknown], ends=[check.End(now, "web")]) == []
    rule = Told("rule", company.adam.id, now, now, 303, True, app=made.app_id, days=77)
    assert any("no such rule" in one for one in found(state, mails, [*history, rule]))
    saved = [{**one, "actor": company.adam.id} if one["kind"] == "policy.saved" else one for one in state.events]
    assert any("was saved 1 times" in one for one in found(replace(state, events=saved), mails, history))


def test_a_mail_that_the_server_never_had(state: State, mails: list[dict[str, Any]], history: list[Told]) -> None:
    assert any("never had it" in one for one in found(state, mails[1:], history))


def test_a_mail_twice_needs_a_kill_or_a_lost_answer_of_its_own(
    state: State, mails: list[dict[str, Any]], history: list[Told]
) -> None:
    later = [*mails, *({**one, "at": one["at"] + 9} for one in mails)]
    kill = check.End(mails[0]["at"] + 0.1, "worker")
    assert len(found(state, later, history)) == len(mails) == 2
    assert len(found(state, later, history, ends=[kill])) == 1
    assert found(state, later, history, ends=[kill, kill]) == []
    at_a_point = [replace(kill, point="mail.before-mark")] * 2
    assert found(state, later, history, ends=at_a_point) == []
    for elsewhere in (replace(kill, point="mail.claimed"), replace(kill, kind="web"), replace(kill, at=kill.at - 60)):
        assert len(found(state, later, history, ends=[elsewhere] * 2)) == 2
    lost = [{**one, "answered": False} for one in mails] + later[len(mails) :]
    assert found(state, lost, history) == []
    other = [*mails, {**mails[0], "at": mails[0]["at"] + 9, "same": "another link"}]
    assert any("another boundary" in one for one in found(state, other, history, ends=[kill]))


def test_what_people_were_told(state: State, mails: list[dict[str, Any]], history: list[Told]) -> None:
    asked, decided = history
    assert any("was never told so" in one for one in found(state, mails, [asked]))
    # Nobody knows, so either is right.
    nobody_knows = [asked, replace(decided, status=0, done=False)]
    killed = [check.End(decided.until, "web")]
    assert found(state, mails, nobody_knows, ends=killed) == []
    assert any("got no answer" in one for one in found(state, mails, nobody_knows))
    for other in (replace(killed[0], kind="worker"), replace(killed[0], at=decided.until + 5)):
        assert any("got no answer" in one for one in found(state, mails, nobody_knows, ends=[other]))
    refused = replace(decided, status=409, done=False)
    assert any("was never told so" in one for one in found(state, mails, [asked, refused]))
    twice = [asked, decided, replace(decided)]
    assert any("told 2 times" in one for one in found(state, mails, twice))
    denied = replace(decided, verdict="denial")
    assert any("denied, and it is not" in one for one in found(state, mails, [asked, decided, denied]))
    assert any("there is no request" in one for one in found(state, mails, [replace(asked, request="X"), decided]))
    broken = replace(asked, status=500, done=False)
    assert any("was answered 500" in one for one in found(state, mails, [*history, broken]))


def test_nothing_is_left_due(state: State, mails: list[dict[str, Any]], history: list[Told], app: Flask) -> None:
    choose("write")
    db.session.execute(update(Notice).values(state="due"), execution_options={"synchronize_session": False})
    db.session.commit()
    assert any("is due at rest" in one for one in found(check.load(app), mails, history))
    choose("write")
