"""A removed secret key does not leave an approver with a dead link."""

import pytest
from flask import Flask
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db, keyring
from webapp.keys import KeyRing
from webapp.models import Invitation
from webapp.operations import keys


def test_an_open_invitation_gets_a_new_round_when_its_key_is_removed(
    app: Flask, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_one = factories.request(company.rita, factories.app("Benevity", company.ana))
    settled = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(settled, company.ana)
    late = factories.request(company.rita, factories.app("Jira", company.ana))
    factories.overdue(late)
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "keyring", KeyRing(("quite another secret of this installation",)))
        choose("write")
        assert keys.renew_orphaned(now=clock.now()) == 1
        assert keys.renew_orphaned(now=clock.now()) == 0
        renewed = db.session.query(Invitation).filter(Invitation.round == 2).one()
        assert renewed.key_id == keyring().current
        mails = db.session.execute(
            text("SELECT request_id, count(*) FROM notices WHERE kind = 'approval-asked' GROUP BY request_id")
        )
        assert {row[0]: row[1] for row in mails} == {open_one.id: 2, settled.id: 1, late.id: 1}
        # Not committed: the record of this test is verified with the key that was removed.
        db.session.rollback()


def test_nothing_happens_while_the_key_is_there(company: Company) -> None:
    factories.request(company.rita, factories.app("Benevity", company.ana))
    choose("write")
    assert keys.renew_orphaned(now=clock.now()) == 0


def test_while_the_old_key_is_still_there_nobody_gets_another_link(
    app: Flask, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    factories.request(company.rita, factories.app("Benevity", company.ana))
    both = KeyRing(("quite another secret of this installation", app.extensions["settings"].secret_key))
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "keyring", both)
        choose("write")
        assert keys.renew_orphaned(now=clock.now()) == 0
        db.session.rollback()
