"""Each mail of an outcome can be read before anybody gets it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests import factories
from webapp.workflow.policy import OutcomeRule, Policy, StepRule

from .admin_helpers import flat, words


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana, company):
    steps = (StepRule(factories.approver(company.finance)), StepRule(factories.approver(ana)))
    outcomes = {state: OutcomeRule(words=f"Words when {state}.") for state in Policy().outcomes}
    return factories.app("Salesforce", policy=replace(Policy(steps=steps), outcomes=outcomes))


@pytest.mark.parametrize("to", ["requester", "approver", "other"])
@pytest.mark.parametrize("state", ["approved", "denied", "expired"])
def test_each_mail_is_shown_with_real_names_and_nothing_is_written(admin, app_, state, to):
    tables = ("notices", "requests", "events", "steps")
    before = [factories.rows(table) for table in tables]
    answer = admin.get(f"/admin/apps/{app_.public_id}/outcomes/{state}/mail?to={to}")
    page = flat(answer)
    assert answer.status_code == 200
    assert f"Words when {state}." in page and "Salesforce" in page
    # Ben, the first of Finance, is told "you" as the approver.
    assert "Ana Moreau" in page and ("Ben Okafor" in page or state == "expired" or to == "approver")
    assert [factories.rows(table) for table in tables] == before


def test_there_is_no_such_mail_without_steps_or_for_anything_else(admin, app_):
    none = factories.app("Zoom")
    assert "Name an approver first." in words(admin.get(f"/admin/apps/{none.public_id}/outcomes/denied/mail"))
    for where in ("cancelled/mail", "denied/mail?to=everybody"):
        assert admin.get(f"/admin/apps/{app_.public_id}/outcomes/{where}").status_code == 404
