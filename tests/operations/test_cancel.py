"""Cancelling a request, and requesting again."""

from datetime import timedelta

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import asked, events, kinds, mails, state, steps
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest
from webapp.operations import groups, requests
from webapp.operations.errors import Conflict
from webapp.text import sha256
from webapp.workflow.errors import Settled
from webapp.workflow.states import Verdict


def cancel(made: AccessRequest, actor: object, reason: str = "") -> None:
    choose("write")
    requests.cancel(factories.case_of(made), actor=actor, reason=reason, now=clock.now())  # type: ignore[arg-type]
    outbox.commit()


def test_everyone_who_was_asked_is_told_of_a_withdrawal(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    made = factories.request(company.rita, app)
    factories.decide(made, company.ana)
    before, lines = len(mails()), len(events())
    cancel(made, company.rita, " Not\r\nneeded any more. ")
    assert state(made) == "cancelled"
    assert steps(made) == [("approved", "approver"), ("skipped", "approver")]
    assert asked(made) == {}
    assert mails(before) == [("request-cancelled", "approver", one) for one in ("ana", "ben", "chloe")]
    assert kinds(lines) == ["request.cancelled"]
    assert events("request.cancelled")[0]["facts"] == {"reason": sha256("Not\nneeded any more.")}
    db.session.refresh(made)
    assert (made.settled_note, made.settled_by_id) == ("Not\nneeded any more.", company.rita.id)


def test_who_has_not_been_asked_yet_is_not_told(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))
    before = len(mails())
    cancel(made, company.rita)
    assert mails(before) == [("request-cancelled", "approver", "ana")]


def test_the_requester_is_told_when_somebody_else_withdraws(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    before = len(mails())
    cancel(made, company.adam, "Gone.")
    assert mails(before) == [
        ("request-cancelled", "approver", "ana"), ("request-cancelled", "requester", "rita"),
    ]  # fmt: skip


def test_an_overdue_request_can_be_cancelled_until_it_has_expired(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.overdue(made)
    cancel(made, company.rita)
    assert state(made) == "cancelled"


def test_a_closed_request_cannot_be_cancelled(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana, Verdict.DENIED)
    before = len(mails())
    with pytest.raises(Settled, match="denied"):
        cancel(made, company.rita)
    assert len(mails()) == before
    assert state(made) == "denied"


def test_after_a_withdrawal_the_person_may_ask_again(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    cancel(factories.request(company.rita, app), company.rita)
    assert state(factories.request(company.rita, app)) == "pending"


def remind(made: AccessRequest, *, hours: float) -> None:
    """Ask again so many hours from now."""
    choose("write")
    now = clock.now() + timedelta(hours=hours)
    try:
        case = factories.case_of(made)
        requests.remind(case, actor=case.for_person, now=now)
    finally:
        outbox.commit()


def test_asking_again_mails_those_who_are_asked_once_a_day(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance, company.ana))
    before = len(mails())
    with pytest.raises(Conflict, match="24 hours"):
        remind(made, hours=23.9)
    remind(made, hours=24.1)
    assert mails(before) == [("approval-asked", "approver", "ben"), ("approval-asked", "approver", "chloe")]
    # The link and the code of their first mail still decide.
    assert asked(made) == {"ben": 1, "chloe": 1}
    assert [one["kind"] for one in events()][-1] == "request.reminded"
    lines = len(events())
    with pytest.raises(Conflict, match="one reminder a day"):
        remind(made, hours=48)
    assert (len(mails()), len(events())) == (before + 2, lines)
    choose("write")
    groups.remove_member(company.finance, company.chloe, actor=company.adam, now=clock.now())
    outbox.commit()
    before = len(mails())
    remind(made, hours=48.2)
    assert mails(before) == [("approval-asked", "approver", "ben")]


def test_nobody_is_asked_again_for_what_is_settled_or_overdue(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    made = factories.request(company.rita, app)
    factories.overdue(made)
    with pytest.raises(Settled, match="deadline"):
        remind(made, hours=30)
    cancel(made, company.rita)
    with pytest.raises(Settled, match="cancelled"):
        remind(made, hours=30)


def test_asking_again_loses_against_a_decision(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    case = factories.case_of(made)
    db.session.expunge_all()
    factories.decide(made, company.ana)
    with pytest.raises(Conflict, match="someone else has decided"):
        requests.remind(case, actor=company.rita, now=clock.now() + timedelta(hours=30))
    db.session.rollback()
