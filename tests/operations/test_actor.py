"""Whoever acts by a token, or as a directory, calls the operations of the pages; the record names the token."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, case_of, revision_of
from tests.helpers.lookups import events, state
from webapp import clock, operations
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Decision, Person
from webapp.operations import apps, comments, decisions, grants, groups, mails, people, requests, returns, step_in
from webapp.operations.proofs import SIGNED_IN, STEP_IN
from webapp.record import audit
from webapp.workflow.actor import SYSTEM, Actor, AnyActor
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.states import Channel, Verdict

now = clock.now


def by(token: int, person: Person) -> Actor:
    """The person as a program acts for them."""
    return Actor.of(person, channel=Channel.API, token=token)


def recorded(act: Callable[[], object]) -> list[tuple[str, int | None, int | None]]:
    """(kind, actor, token) of each entry that comes of it."""
    before = len(events())
    choose("write")
    act()
    outbox.commit()
    return [(one["kind"], one["actor"], one.get("token")) for one in events()[before:]]


def asked(company: Company, name: str) -> AccessRequest:
    return factories.request(company.rita, factories.app(name, company.ana))


def test_a_token_submits_comments_decides_and_cancels(company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    rita, ana = company.rita.id, company.ana.id

    def submit() -> None:
        requests.submit(figma, revision_of(figma), actor=by(7, company.rita), message="", given={}, now=now())

    assert recorded(submit) == [("request.submitted", rita, 7), ("step.opened", None, None)]
    made = db.session.query(AccessRequest).one()
    assert recorded(lambda: comments.add(case_of(made), actor=by(8, company.ana), body="Why?", now=now())) == [
        ("request.commented", ana, 8)
    ]
    assert recorded(lambda: comments.add(case_of(made), actor=company.rita, body="For work.", now=now())) == [
        ("request.commented", rita, None)
    ]
    assert recorded(
        lambda: decisions.decide(case_of(made), actor=by(8, company.ana), verdict=Verdict.APPROVED, proof=SIGNED_IN,
                                 now=now())
    ) == [("step.approved", ana, 8), ("grant.added", ana, 8)]  # fmt: skip
    assert [one["facts"]["channel"] for one in events("step.approved")] == ["api"]
    decision = db.session.query(Decision).one()
    assert (decision.person_id, decision.channel) == (ana, "api")
    other = asked(company, "Slack")
    assert recorded(lambda: requests.cancel(case_of(other), actor=by(7, company.rita), now=now())) == [
        ("request.cancelled", rita, 7)
    ]
    assert state(other) == "cancelled"


def test_a_token_adds_gives_back_gives_and_removes_an_app(company: Company) -> None:
    free = factories.app("Slack")
    made: list[Any] = []

    def add() -> None:
        made.append(grants.add_directly(free, revision_of(free), actor=by(7, company.rita), now=now()))

    def give() -> None:
        made.append(
            grants.give(free, revision_of(free), person=company.rita, actor=by(9, company.adam), given={},
                        reason="New here.", now=now())
        )  # fmt: skip

    assert recorded(add) == [("grant.added", company.rita.id, 7)]
    assert recorded(lambda: returns.give_back(made[0], actor=by(7, company.rita), now=now())) == [
        ("grant.removed", company.rita.id, 7)
    ]
    assert recorded(give) == [("grant.added", company.adam.id, 9)]
    assert recorded(lambda: grants.remove(made[1], actor=by(9, company.adam), reason="Left.", now=now())) == [
        ("grant.removed", company.adam.id, 9)
    ]


def test_a_token_changes_rules_groups_and_people_with_the_rights_of_its_person(company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    admin, adam = by(9, company.adam), company.adam.id
    assert recorded(lambda: apps.change_policy(figma, days=3, actor=admin, now=now())) == [("policy.saved", adam, 9)]
    made = asked(company, "Slack")
    assert recorded(
        lambda: step_in.extend(case_of(made), days="30", actor=admin, reason="Holidays.", now=now())
    ) == [("step.extended", adam, 9)]  # fmt: skip
    with pytest.raises(NotYourTurn):
        step_in.extend(case_of(made), days="30", actor=by(8, company.otto), reason="Holidays.", now=now())
    db.session.rollback()
    entries = recorded(lambda: people.deactivate(db.session.merge(company.rita), actor=admin, now=now()))
    # What follows of itself is Countersign's, what the person does is the token's.
    assert ("person.deactivated", adam, 9) in entries
    assert ("session.ended", adam, 9) in entries
    assert ("request.cancelled", adam, 9) in entries
    assert {token for _, actor, token in entries if actor is None} <= {None}


def test_a_directory_changes_groups_and_people_as_no_person(company: Company) -> None:
    directory = Actor(None, channel=Channel.API, token=11)

    def add() -> None:
        group = groups.create(name="Sales", actor=directory, now=now())
        groups.add_member(group, db.session.merge(company.ana), actor=directory, now=now())

    assert recorded(add) == [("group.created", None, 11), ("group.member_added", None, 11)]
    assert recorded(lambda: people.deactivate(db.session.merge(company.otto), actor=directory, now=now()))[0] == (
        "person.deactivated", None, 11,
    )  # fmt: skip


@pytest.mark.parametrize("nobody", [SYSTEM, Actor(None, is_admin=True, channel=Channel.API, token=11)])
def test_who_is_no_person_does_nothing_that_only_a_person_does(company: Company, nobody: Actor) -> None:
    free, made = factories.app("Slack"), asked(company, "Figma")
    figma = case_of(made).app
    grant = factories.grant(company.otto, free)
    before = len(events())
    choose("write")
    for act in (
        lambda: requests.submit(figma, revision_of(figma), actor=nobody, message="", given={}, now=now()),
        lambda: comments.add(case_of(made), actor=nobody, body="Why?", now=now()),
        lambda: decisions.decide(case_of(made), actor=nobody, verdict=Verdict.APPROVED, proof=SIGNED_IN, now=now()),
        lambda: decisions.decide(case_of(made), actor=nobody, verdict=Verdict.APPROVED, comment="So.", proof=STEP_IN,
                                 now=now()),
        lambda: decisions.approve_remaining_steps(case_of(made), actor=nobody, reason="So.", now=now()),
        lambda: grants.add_directly(free, revision_of(free), actor=nobody, now=now()),
        lambda: grants.give(free, revision_of(free), person=company.rita, actor=nobody, given={}, reason="So.",
                            now=now()),
        lambda: returns.give_back(grant, actor=nobody, now=now()),
        lambda: step_in.extend(case_of(made), days="30", actor=nobody, reason="So.", now=now()),
        lambda: mails.send_test(actor=nobody, now=now()),
    ):  # fmt: skip
        with pytest.raises(NotYourTurn):
            act()
        db.session.rollback()
        choose("write")
    assert len(events()) == before
    assert state(made) == "pending"


def test_who_has_no_channel_decides_nothing(company: Company) -> None:
    made = asked(company, "Figma")
    choose("write")
    with pytest.raises(NotYourTurn, match="Only a person can decide"):
        decisions.decide(
            case_of(made), actor=Actor(company.ana.id), verdict=Verdict.APPROVED, proof=SIGNED_IN, now=now()
        )


def test_an_entry_without_a_token_has_the_bytes_that_it_always_had() -> None:
    at = clock.now().replace(2026, 3, 1, 12, 30, 0, 0)
    draft = audit.Draft("grant.added", at, 4, None, 2, 4, {"after": {}})
    assert audit.canonical(9, draft) == (
        '{"actor":4,"app":2,"at":"2026-03-01T12:30:00+00:00","facts":{"after":{}},"kind":"grant.added","person":4,'
        '"request":null,"seq":9}'
    )
    draft.token = 7
    assert audit.canonical(9, draft).endswith('"request":null,"seq":9,"token":7}')


def test_every_operation_takes_any_actor() -> None:
    found = 0
    for module in pkgutil.iter_modules(operations.__path__, f"{operations.__name__}."):
        for name, function in inspect.getmembers(import_module(module.name), inspect.isfunction):
            parameter = inspect.signature(function).parameters.get("actor")
            # Only a number is left of the actor where a row is written.
            if parameter is not None and function.__module__ == module.name and name != "transition":
                assert parameter.annotation is AnyActor, (module.name, name)
                found += 1
    assert found > 60
