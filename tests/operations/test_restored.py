"""After a restore: what may have gone out already is held, and only an admin lets it go."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.smtp_server import SmtpServer
from tests.worker.conftest import smtp
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.extensions import db
from webapp.models import Notice
from webapp.operations import mails
from webapp.operations.errors import Conflict

__all__ = ["smtp"]


def states() -> list[str]:
    db.session.rollback()
    found = list(db.session.scalars(select(Notice.state).order_by(Notice.id)))
    db.session.rollback()
    return found


def restored(app: Flask) -> str:
    """`flask restored`, in this context."""
    db.session.remove()
    done = app.test_cli_runner().invoke(args=["restored"])
    assert done.exit_code == 0, done.output
    choose("write")
    return str(done.output)


def test_what_was_due_is_held_and_nothing_goes_out(app: Flask, company: Company, smtp: SmtpServer) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    outbox.claim(1)  # and its worker is gone
    assert "2 emails are on hold." in restored(app)
    assert states() == ["held"] * 2
    jobs.drain()
    assert smtp.mails == []


def test_what_became_overdue_since_is_ended_and_its_mails_are_held_too(
    app: Flask, company: Company, smtp: SmtpServer
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    jobs.drain()
    assert len(smtp.mails) == 1
    factories.overdue(made)
    assert "2 emails are on hold." in restored(app)
    assert states() == ["sent", "held", "held"]
    assert rows("requests", "state = 'expired'") == 1
    jobs.sweep()
    assert len(smtp.mails) == 1


def test_let_go_they_are_looked_at_once_more_and_sent(app: Flask, company: Company, smtp: SmtpServer) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    done = factories.request(company.otto, factories.app("Benevity", company.ana))
    restored(app)
    factories.decide(done, company.ana)
    assert mails.release(actor=company.adam, now=clock.now()) == 2
    outbox.commit()
    jobs.drain()
    assert {mail.recipients[0] for mail in smtp.mails} == {"ana@example.com", "otto@example.com"}
    assert sorted(states()) == ["obsolete", "sent", "sent"]


def test_dropped_they_are_never_sent(app: Flask, company: Company, smtp: SmtpServer) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    restored(app)
    one = db.session.scalars(select(Notice).order_by(Notice.id)).first()
    assert one is not None
    assert mails.discard(one, actor=company.adam, now=clock.now()) == 1
    outbox.commit()
    with pytest.raises(Conflict, match="no longer on hold"):
        mails.discard(one, actor=company.adam, now=clock.now())
    db.session.rollback()
    assert mails.discard(None, actor=company.adam, now=clock.now()) == 1
    outbox.commit()
    jobs.drain()
    assert (states(), smtp.mails) == (["obsolete"] * 2, [])


def test_twice_restored_holds_nothing_twice(app: Flask, company: Company) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    restored(app)
    assert "0 emails are on hold." in restored(app)
    assert states() == ["held"]
