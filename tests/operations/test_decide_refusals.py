"""Who cannot decide, when it is too late to decide, and what cannot be said."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import events, mails, open_step, state, steps
from tests.operations.deciding import APPROVED, DENIED, decide
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Decision
from webapp.operations import decisions, requests
from webapp.operations.errors import Conflict, Invalid
from webapp.operations.proofs import SIGNED_IN, STEP_IN
from webapp.queries import cases
from webapp.workflow.errors import NotYourTurn, ReasonMissing, SelfApproval, Settled
from webapp.workflow.states import Verdict


def test_the_requester_cannot_decide_not_even_as_an_admin_or_in_the_group(company: Company) -> None:
    app = factories.app("Salesforce", company.finance)
    made = factories.request(company.ben, app)
    for proof in (SIGNED_IN, STEP_IN):
        with pytest.raises(SelfApproval):
            decide(made, company.ben, proof=proof, comment="Mine.")
    db.session.rollback()
    assert state(made) == "pending"


def test_an_outsider_the_next_approver_and_an_earlier_one_cannot_decide(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    made = factories.request(company.rita, app)
    for person in (company.otto, company.ben, company.adam):
        with pytest.raises(NotYourTurn):
            decide(made, person)
    decide(made, company.ana)
    with pytest.raises(NotYourTurn):
        decide(made, company.ana)


def test_a_verdict_on_a_step_that_has_passed_is_refused(company: Company) -> None:
    """Ben is in both groups and pressed Approve twice: the second press was not for the second step."""
    app = factories.app("Salesforce", company.finance, company.ben)
    made = factories.request(company.rita, app)
    seen = open_step(made).id
    decide(made, company.ben, step_id=seen)
    with pytest.raises(Settled, match="already been decided"):
        decide(made, company.ben, step_id=seen)
    assert steps(made) == [("approved", "approver"), ("open", "approver")]


@pytest.mark.parametrize("verdict", [APPROVED, DENIED])
def test_what_is_settled_cannot_be_decided_again(company: Company, verdict: Verdict) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    decide(made, company.ben, verdict)
    before, lines = len(mails()), len(events())
    for again in (APPROVED, DENIED):
        with pytest.raises(Settled, match="already"):
            decide(made, company.chloe, again)
    assert rows("decisions") == 1
    assert (len(mails()), len(events())) == (before, lines)


def test_an_overdue_step_cannot_be_decided_before_the_sweeper_comes(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.overdue(made)
    with pytest.raises(Settled, match="deadline"):
        decide(made, company.ana)


def test_the_due_instant_decides_inside_the_statement_too(company: Company) -> None:
    """The case was read in time, the verdict comes too late."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    case = factories.case_of(made)
    db.session.rollback()
    factories.overdue(made)
    with pytest.raises(Conflict, match="someone else has decided, or the deadline has passed"):
        decisions.decide(case, actor=company.ana, verdict=APPROVED, proof=SIGNED_IN, now=clock.now())
    db.session.rollback()
    assert state(made) == "pending"


def test_a_verdict_is_applied_again_when_only_a_reminder_came_between(company: Company) -> None:
    """The reminder moves the version, not the step that the approver was looking at."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    case = factories.case_of(made)
    db.session.expunge_all()
    db.session.rollback()
    choose("write")
    requests.remind(factories.case_of(made), actor=company.rita, now=clock.now() + timedelta(hours=30))
    outbox.commit()
    decisions.decide(case, actor=company.ana, verdict=APPROVED, proof=SIGNED_IN, now=clock.now())
    outbox.commit()
    assert state(made) == "approved"


def test_a_case_read_before_somebody_else_decided_is_refused(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    case = factories.case_of(made)
    db.session.expunge_all()
    db.session.rollback()
    decide(made, company.chloe)
    lines = len(events())
    with pytest.raises(Conflict):
        decisions.decide(case, actor=company.ben, verdict=DENIED, comment="No.", proof=SIGNED_IN, now=clock.now())
    db.session.rollback()
    outbox.commit()
    assert len(events()) == lines
    assert cases.reload(case).request.state == "approved"


def test_a_denial_without_a_reason_and_a_reason_too_long_are_refused(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    with pytest.raises(ReasonMissing):
        decide(made, company.ana, DENIED, comment=" \r\n")
    with pytest.raises(Invalid) as refusal:
        decide(made, company.ana, DENIED, comment="x" * 1001)
    assert "reason" in refusal.value.fields
    with pytest.raises(Invalid) as refusal:
        decide(made, company.ana, comment="x" * 1001)
    assert "comment" in refusal.value.fields


def test_an_admin_may_override_with_a_reason_and_it_is_recorded_as_that(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    before = len(mails())
    with pytest.raises(ReasonMissing):
        decide(made, company.adam, proof=STEP_IN)
    decide(made, company.adam, proof=STEP_IN, comment="Ana is away.")
    assert state(made) == "approved"
    assert db.session.query(Decision).one().channel == "admin"
    assert events("step.approved")[0]["facts"]["channel"] == "admin"
    assert mails(before) == [("request-approved", "requester", "rita"), ("request-settled", "approver", "ana")]


def test_only_an_active_admin_overrides(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    with pytest.raises(NotYourTurn, match="Only an admin"):
        decide(made, company.otto, proof=STEP_IN, comment="I want to.")
    db.session.execute(text(f"UPDATE people SET active = false WHERE id = {company.adam.id}"))
    db.session.commit()
    with pytest.raises(NotYourTurn):
        decide(made, company.adam, proof=STEP_IN, comment="I still hold a page open.")


def test_a_decision_checks_the_membership_of_now_not_the_invitation(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    # Past the operations: the invitation is still live.
    db.session.execute(text(f"DELETE FROM memberships WHERE person_id = {company.ben.id}"))
    db.session.commit()
    with pytest.raises(NotYourTurn):
        decide(made, company.ben)
