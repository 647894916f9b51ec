"""Two at the same moment: real threads, each with an app context and a connection of its own."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.operations.racing import (
    ROUNDS,
    Act,
    adding,
    asking,
    at_once,
    cancelling,
    deciding,
    due_now,
    expiring,
    in_crowds,
    make,
)
from tests.operations.racing import no_wake_up as no_wake_up
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Person
from webapp.operations import expiry
from webapp.operations.errors import Conflict
from webapp.record import audit
from webapp.workflow.errors import Settled
from webapp.workflow.states import Verdict

EVENTS = ("approve", "deny", "cancel", "expire")
PAIRS = [(one, other) for place, one in enumerate(EVENTS) for other in EVENTS[place:]]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_of_two_at_once_exactly_one_wins(app: Flask, company: Company, one: str, other: str) -> None:
    """Ben does the one and Chloe the other; Rita's friend cancels; the sweep expires."""
    wanted = factories.app("Salesforce", company.finance)
    ends: dict[str, int] = {}
    for number in range(ROUNDS):
        made = make(company, wanted, f"Asker{number}")
        if "expire" in (one, other):
            # Some rounds are due while both run, the others before.
            due_now(made, number % 4)

        def act_of(event: str, person: Person, made: AccessRequest = made) -> Act:
            if event == "expire":
                return expiring(made.id)
            if event == "cancel":
                return cancelling(made.id, made.asked_by_id)
            return deciding(made.id, person.id, Verdict.APPROVED if event == "approve" else Verdict.DENIED)

        results = at_once(app, act_of(one, company.ben), act_of(other, company.chloe))
        if one == other == "expire" and "expired" not in results:
            # Neither came late enough.
            results = at_once(app, expiring(made.id), expiring(made.id))
        won = [result for result in results if isinstance(result, str) and result != "nothing to do"]
        lost = [result for result in results if result == "nothing to do" or isinstance(result, Conflict | Settled)]
        assert (len(won), len(lost)) == (1, 1) or nobody_was_in_time(one, other, results), results
        if not won:
            factories.overdue(made)
            choose("write")
            expiry.expire_overdue(now=clock.now())
            outbox.commit()
            won = ["expired"]
        consistent(made, str(won[0]))
        ends[str(won[0])] = ends.get(str(won[0]), 0) + 1
    assert sum(ends.values()) == ROUNDS
    choose("read")
    assert audit.verify()[1] is None


def nobody_was_in_time(one: str, other: str, results: list[object]) -> bool:
    """The verdict came too late and the sweep too early: both say so, and nothing has happened."""
    return "expire" in (one, other) and all(
        result == "nothing to do" or isinstance(result, Conflict | Settled) for result in results
    )


def consistent(made: AccessRequest, end: str) -> None:
    """The end that the winner was told is the one in the books, with its grant, decision and mails, once."""

    def found(query: str) -> list[str]:
        return [str(row[0]) for row in db.session.execute(text(query.format(id=made_id)))]

    made_id = made.id
    steps = "SELECT id FROM steps WHERE request_id = {id}"
    assert found("SELECT state FROM requests WHERE id = {id}") == [end]
    assert found("SELECT state FROM steps WHERE request_id = {id}") == ["skipped" if end == "cancelled" else end]
    decided = found(f"SELECT verdict FROM decisions WHERE step_id IN ({steps})")
    assert decided == ([end] if end in ("approved", "denied") else [])
    granted = found("SELECT state FROM grants WHERE request_id = {id}")
    assert granted == (["active"] if end == "approved" else [])
    assert found(f"SELECT id FROM invitations WHERE live AND step_id IN ({steps})") == []
    told = "SELECT kind FROM notices WHERE request_id = {id} AND kind <> 'approval-asked' ORDER BY kind"
    assert (
        found(told)
        == {
            "approved": ["request-approved", "request-settled"],
            "denied": ["request-denied", "request-settled"],
            "cancelled": ["request-cancelled", "request-cancelled"],
            "expired": ["request-expired"] * 3,
        }[end]
    )
    happened = "SELECT kind FROM events WHERE request_id = {id} ORDER BY seq"
    assert (
        found(happened)[2:]
        == {
            "approved": ["step.approved", "grant.added"],
            "denied": ["step.denied"],
            "cancelled": ["request.cancelled"],
            "expired": ["request.expired"],
        }[end]
    )
    db.session.rollback()


def test_fifty_posts_at_once_are_one_pending_request(app: Flask, company: Company) -> None:
    wanted = factories.app("Salesforce", company.ana)
    results = in_crowds(app, asking(wanted.id, company.rita.id))
    assert results.count("asked") == 1
    assert sum(isinstance(one, Conflict) for one in results) == 49
    assert [rows("requests"), rows("steps"), rows("invitations"), rows("notices")] == [1, 1, 1, 1]
    assert rows("events", "kind = 'request.submitted'") == 1


def test_fifty_adds_at_once_are_one_grant(app: Flask, company: Company) -> None:
    wanted = factories.app("Apptio")
    results = in_crowds(app, adding(wanted.id, company.rita.id))
    assert results.count("added") == 1
    assert sum(isinstance(one, Conflict) for one in results) == 49
    assert [rows("grants"), rows("notices"), rows("events", "kind = 'grant.added'")] == [1, 1, 1]


def test_different_people_asking_at_once_all_get_through_and_the_record_does_not_fork(
    app: Flask, company: Company
) -> None:
    wanted = factories.app("Salesforce", company.finance)
    crowd = [factories.person(f"Asker{number}", email=f"a{number}@example.com") for number in range(10)]
    results = at_once(app, *[asking(wanted.id, person.id) for person in crowd])
    assert results == ["asked"] * 10
    assert rows("requests") == 10
    choose("read")
    assert audit.verify()[1] is None
