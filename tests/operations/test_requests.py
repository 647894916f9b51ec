"""Asking, deciding, cancelling and expiring, on both databases."""

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Grant
from webapp.operations import expiry
from webapp.operations.errors import Conflict
from webapp.workflow.states import Verdict


def test_a_request_goes_through_both_steps_and_becomes_a_grant(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    made = factories.request(company.rita, app)
    assert rows("notices", "kind = 'approval-asked'") == 1
    factories.decide(made, company.ana)
    assert rows("notices", "kind = 'approval-asked'") == 3
    factories.decide(made, company.ben)
    assert db.session.get_one(AccessRequest, made.id, populate_existing=True).state == "approved"
    assert db.session.query(Grant).one().person_id == company.rita.id
    assert rows("notices", f"kind = 'request-settled' AND person_id = {company.chloe.id}") == 1


def test_an_overdue_step_expires_once(company: Company) -> None:
    app = factories.app("Benevity", company.ana)
    made = factories.request(company.rita, app)
    factories.overdue(made)
    choose("write")
    assert expiry.expire_overdue(now=clock.now()) == 1
    outbox.commit()
    assert expiry.expire_overdue(now=clock.now()) == 0
    assert db.session.get_one(AccessRequest, made.id, populate_existing=True).state == "expired"


def test_a_second_request_for_the_same_app_is_refused(company: Company) -> None:
    app = factories.app("Benevity", company.ana)
    factories.request(company.rita, app)
    with pytest.raises(Conflict):
        factories.request(company.rita, app)


def test_a_denial_ends_the_request(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    made = factories.request(company.rita, app)
    factories.decide(made, company.ana, Verdict.DENIED, "Not now.")
    assert rows("steps", "state = 'skipped'") == 1
