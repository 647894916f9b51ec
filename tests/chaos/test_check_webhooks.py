"""The check of webhooks finds what it is there for: each test shows it something that is not as it should be."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.chaos import check, check_webhooks
from tests.chaos.check import End, State
from tests.chaos.check_webhooks import Call, Hook
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.delivery.out import signing
from webapp.extensions import db
from webapp.models import Delivery
from webapp.operations import endpoints

SOME = ("request.submitted", "request.approved")


@pytest.fixture
def hooks(company: Company) -> list[Hook]:
    """Two webhooks: everything, and some events."""

    def make(to: str, events: tuple[str, ...] | None) -> Hook:
        row, secret = endpoints.create(
            kind="webhook", name=to, address="https://hooks.example.com/in", events=events or (), actor=company.adam,
            now=clock.now(),
        )  # fmt: skip
        outbox.commit()
        return Hook(row.id, to, secret, events)

    return [make("everything", None), make("some", SOME)]


@pytest.fixture
def state(app: Flask, company: Company, hooks: list[Hook]) -> State:
    """An approved request, all of which was delivered."""
    request = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(request, company.ana)
    db.session.execute(update(Delivery).values(state="sent"), execution_options={"synchronize_session": False})
    db.session.commit()
    found = check.load(app)
    choose("write")
    return found


@pytest.fixture
def calls(state: State, hooks: list[Hook]) -> list[Call]:
    """What the receivers got: each once, in order."""
    by_id = {hook.id: hook for hook in hooks}
    now = time.time()
    found = []
    for number, (id, row) in enumerate(state.deliveries.items()):
        hook = by_id[row.endpoint_id]
        headers = signing.headers([hook.secret], id, row.body, at=clock.now())
        found.append(Call(hook.to, now + number, True, headers, row.body))
    return found


def found(state: State, hooks: list[Hook], calls: list[Call], *ends: End, gone: Any = ()) -> list[str]:
    return list(check_webhooks.deliveries(state, hooks, calls, ends=list(ends), database_gone=list(gone)))


def test_what_is_right_is_left_alone(state: State, hooks: list[Hook], calls: list[Call]) -> None:
    assert found(state, hooks, calls) == []
    events = [one.json["type"] for one in calls if one.to == "everything"]
    assert events == ["app.created", "app.changed", "request.submitted", "request.step_opened",
                      "request.step_approved", "request.approved", "access.given"]  # fmt: skip
    assert [one.json["type"] for one in calls if one.to == "some"] == list(SOME)


def test_each_that_is_lost_or_too_many_is_found(state: State, hooks: list[Hook], calls: list[Call]) -> None:
    for number, one in enumerate(calls):
        less = [*calls[:number], *calls[number + 1 :]]
        assert any(f"Lost on the way to {one.to}" in words for words in found(state, hooks, less)), one.key
    # Nobody wrote a row for it, either: the audit log alone says that it is missing.
    first = next(iter(state.deliveries))
    never = replace(state, deliveries={id: row for id, row in state.deliveries.items() if id != first})
    assert any("Lost" in words for words in found(never, hooks, [one for one in calls if one.id != first]))
    other = replace(calls[0], headers={**calls[0].headers, "webhook-id": "msg_X"})
    assert any("more than the audit log says" in words for words in found(state, hooks, [*calls, other]))
    assert any("which is no delivery" in words for words in found(state, hooks, [*calls, other]))


def test_what_the_second_webhook_does_not_want_is_too_much(
    state: State, hooks: list[Hook], calls: list[Call]
) -> None:  # fmt: skip
    everything = [hooks[0], replace(hooks[1], events=None)]
    assert any("Lost on the way to some" in words for words in found(state, everything, calls))


def test_an_order_that_is_not_that_of_the_log_is_found(state: State, hooks: list[Hook], calls: list[Call]) -> None:
    place = next(number for number, one in enumerate(calls) if one.json["type"] == "request.step_approved")
    turned = [*calls[: place - 1], calls[place], calls[place - 1], *calls[place + 1 :]]
    assert any("after a later event" in words for words in found(state, hooks, turned))
    # A copy of an earlier message counts, too.
    late = [*calls, calls[place]]
    assert any("after a later event" in words for words in found(state, hooks, late, End(calls[place].at, "webhooks")))


def test_twice_needs_a_kill_of_its_own(state: State, hooks: list[Hook], calls: list[Call]) -> None:
    for number in (-1, -2):
        twice = [*calls, replace(calls[number], at=calls[number].at + 60)]
        kill = End(calls[number].at + 0.1, "webhooks")
        assert any("without a cause" in words for words in found(state, hooks, twice))
        assert not any("without a cause" in words for words in found(state, hooks, twice, kill))
        for other in (replace(kill, kind="worker"), replace(kill, at=kill.at - 60), replace(kill, at=kill.at + 70)):
            assert any("without a cause" in words for words in found(state, hooks, twice, other))
        again = [*twice, replace(calls[number], at=calls[number].at + 0.2)]
        again.sort(key=lambda one: one.at)
        assert sum("without a cause" in words for words in found(state, hooks, again, kill)) == 1
        lost = [*calls, replace(calls[number], at=calls[number].at + 60)]
        lost[len(calls) + number] = replace(calls[number], answered=False)
        assert not any("without a cause" in words for words in found(state, hooks, lost))
        gone = [(calls[number].at, calls[number].at + 1)]
        assert not any("without a cause" in words for words in found(state, hooks, twice, gone=gone))


def test_a_kill_explains_one_copy_for_each_webhook(state: State, hooks: list[Hook], calls: list[Call]) -> None:
    last = [next(one for one in reversed(calls) if one.to == hook.to) for hook in hooks]
    at = last[0].at
    same = [replace(one, at=at) for one in last]
    twice = [one for one in calls if one not in last] + same + [replace(one, at=at + 60) for one in last]

    def unexplained(*ends: End) -> int:
        return sum("without a cause" in words for words in found(state, hooks, twice, *ends))

    assert unexplained() == 2
    assert unexplained(End(at, "webhooks")) == 0
    assert unexplained(End(at, "webhooks", "webhook.before-mark")) == 0
    # Whoever dies there has at most the call to the other one in hand.
    for point in check_webhooks.NO_CALL_IN_HAND:
        assert unexplained(End(at, "webhooks", point)) == 1


def test_other_bytes_a_wrong_signature_and_what_is_left_due(
    state: State, hooks: list[Hook], calls: list[Call]
) -> None:  # fmt: skip
    forged = [replace(hooks[0], secret=hooks[1].secret), hooks[1]]
    assert any("signature" in words for words in found(state, forged, calls))
    changed = replace(calls[-1], at=calls[-1].at + 1, body=calls[-1].body.replace("active", "removed"))
    assert any("another body" in words for words in found(state, hooks, [*calls, changed]))
    some = next(iter(state.deliveries))
    row = state.deliveries[some]._mapping
    left = type("Row", (), {**row, "state": "due"})()
    unsent = replace(state, deliveries={**state.deliveries, some: left})
    assert any("is due at rest" in words for words in found(unsent, hooks, calls))
