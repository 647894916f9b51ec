"""Giving an app back, below the pages."""

from __future__ import annotations

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import grants, returns
from webapp.operations.errors import Conflict
from webapp.workflow.errors import NotYourTurn


def test_nobody_gives_back_what_somebody_else_has(company: Company) -> None:
    grant = factories.grant(company.rita, factories.app("Apptio", owner=company.otto))
    for person in (company.otto, company.adam, company.ana):
        choose("write")
        with pytest.raises(NotYourTurn, match="Only the person who has an app"):
            returns.give_back(grant, actor=person, now=clock.now())
    assert factories.rows("grants", "state = 'removed'") == 0
    assert factories.rows("notices", "kind = 'grant-returned'") == 0


def test_what_was_removed_in_the_meantime_is_not_given_back(company: Company) -> None:
    grant = factories.grant(company.rita, factories.app("Apptio", owner=company.otto))
    choose("write")
    grants.remove(grant, actor=company.adam, reason="Moved.", now=clock.now())
    outbox.commit()
    choose("write")
    with pytest.raises(Conflict, match="You no longer have Apptio"):
        returns.give_back(grant, actor=company.rita, now=clock.now())
    assert factories.rows("events", "kind = 'grant.removed'") == 1
