"""A removed secret key does not leave an approver with a dead link."""

from tests import factories
from tests.factories import Company, rows
from webapp import clock, outbox
from webapp.extensions import db, keyring
from webapp.keys import KeyRing
from webapp.models import Invitation
from webapp.operations import keys
from webapp.transactions import choose


def test_an_open_invitation_gets_a_new_round_when_its_key_is_removed(app, company: Company) -> None:
    open_one = factories.request(company.rita, factories.app("Benevity", company.ana))
    settled = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(settled, company.ana)
    before = app.extensions["keyring"]
    app.extensions["keyring"] = KeyRing(("quite another secret of this installation",))
    try:
        choose("write")
        assert keys.renew_orphaned(now=clock.now()) == 1
        outbox.commit()
        assert keys.renew_orphaned(now=clock.now()) == 0
        db.session.rollback()
        renewed = db.session.query(Invitation).filter(Invitation.round == 2).one()
        assert renewed.key_id == keyring().current
    finally:
        app.extensions["keyring"] = before
    assert rows("notices", f"kind = 'approval-asked' AND request_id = {open_one.id}") == 2
    assert rows("notices", f"kind = 'approval-asked' AND request_id = {settled.id}") == 1


def test_nothing_happens_while_the_key_is_there(app, company: Company) -> None:
    factories.request(company.rita, factories.app("Benevity", company.ana))
    choose("write")
    assert keys.renew_orphaned(now=clock.now()) == 0
