"""Acts that several threads do at the same moment, each with an app context of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import open_step
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Group, Person
from webapp.operations import decisions, expiry, grants, groups, people, requests
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import cases
from webapp.workflow.states import Verdict

ROUNDS = 30
Act = Callable[[], object]


@pytest.fixture(autouse=True)
def no_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has no part in these races, and thousands of wake-ups take time."""
    monkeypatch.setattr(outbox, "wake_workers", lambda channel: None)


def at_once(app: Flask, *acts: Act) -> list[object]:
    """Runs them in as many threads, all let go together; each result, or the exception, in the same order.

    What they need of this thread's rows they must have read before.
    """
    db.session.commit()
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(place: int, act: Act) -> None:
        with app.app_context():
            choose("write")
            try:
                barrier.wait(20)
                results[place] = act()
            except Exception as error:
                db.session.rollback()
                results[place] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return results


def deciding(request_id: int, person_id: int, verdict: Verdict) -> Act:
    def act() -> str:
        case = cases.load(id=request_id)
        actor = db.session.get_one(Person, person_id)
        assert case is not None
        decisions.decide(
            case, actor=actor, verdict=verdict, comment="So.", proof=SIGNED_IN, now=clock.now()
        )  # fmt: skip
        outbox.commit()
        return verdict.value

    return act


def cancelling(request_id: int, person_id: int) -> Act:
    def act() -> str:
        case = cases.load(id=request_id)
        actor = db.session.get_one(Person, person_id)
        assert case is not None
        requests.cancel(case, actor=actor, now=clock.now())
        outbox.commit()
        return "cancelled"

    return act


def expiring(request_id: int) -> Act:
    def act() -> str:
        expiry.expire_overdue(now=clock.now())
        # What this sweep did, told apart from what it found done.
        mine = any(getattr(one, "request", None) == request_id for one in db.session().info.get("uncommitted", []))
        outbox.commit()
        return "expired" if mine else "nothing to do"

    return act


def make(company: Company, app: App, name: str) -> AccessRequest:
    """A new person's request: each round has its own."""
    return factories.request(factories.person(name, email=f"{name.lower()}@example.com"), app)


def due_now(made: AccessRequest, milliseconds: int) -> None:
    """Due so soon that a decision and the sweep may both think it is theirs."""
    choose("write")
    due = clock.now() + timedelta(milliseconds=milliseconds)
    open_step(made).due_at = due
    db.session.commit()


def asking(app_id: int, person_id: int) -> Act:
    def act() -> str:
        wanted = db.session.get_one(App, app_id)
        person = db.session.get_one(Person, person_id)
        requests.submit(
            wanted, factories.revision_of(wanted), actor=person, message="Why.", given={}, now=clock.now()
        )  # fmt: skip
        outbox.commit()
        return "asked"

    return act


def adding(app_id: int, person_id: int) -> Act:
    def act() -> str:
        wanted = db.session.get_one(App, app_id)
        person = db.session.get_one(Person, person_id)
        grants.add_directly(wanted, factories.revision_of(wanted), actor=person, now=clock.now())
        outbox.commit()
        return "added"

    return act


def in_crowds(app: Flask, act: Act, *, crowds: int = 5, of: int = 10) -> list[object]:
    """Fifty in all; ten at a time, as many as the pool has connections for."""
    return [result for _ in range(crowds) for result in at_once(app, *[act] * of)]


def changing(person_id: int, actor_id: int, group_id: int, how: str) -> Act:
    def act() -> str:
        person, actor = db.session.get_one(Person, person_id), db.session.get_one(Person, actor_id)
        if how == "deactivate":
            people.deactivate(person, actor=actor, now=clock.now())
        else:
            groups.remove_member(db.session.get_one(Group, group_id), person, actor=actor, now=clock.now())
        outbox.commit()
        return "changed"

    return act
