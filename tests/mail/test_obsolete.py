"""What is no longer so is never sent; a mail says what is so when it is sent."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.helpers.statements import counting
from tests.mail.queue import Drain, asked, notices
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.extensions import db
from webapp.models import Grant, Invitation, Person
from webapp.operations import approval_codes, comments, groups, people, requests
from webapp.workflow.states import Verdict


def reason(kind: str = "approval-asked") -> str:
    (found,) = {one[3] for one in notices(kind) if one[1] == "obsolete"}
    return str(found)


def test_nobody_is_asked_what_was_cancelled(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    (made,) = asked(company)
    choose("write")
    requests.cancel(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    assert smtp.mails == []
    assert reason() == "The request was cancelled in the meantime."
    assert reason("request-cancelled") == "This person had not received an earlier email about this request."


def test_what_is_no_longer_so_takes_no_turn_for_each(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    """A long queue of it waits for writers once in a batch, and for the mail server not at all."""
    made = asked(company, 9)
    choose("write")
    for one in made:
        requests.cancel(factories.case_of(one), actor=company.rita, now=clock.now())
        outbox.commit()
    with counting() as counted:
        drain()
    assert smtp.connections == 0
    assert [one[1] for one in notices()] == ["obsolete"] * 18
    assert (reason(), reason("request-cancelled")) == (
        "The request was cancelled in the meantime.",
        "This person had not received an earlier email about this request.",
    )  # fmt: skip
    # Two claims, and a mark for each reason; a look before, between and after.
    assert counted.by_verb["UPDATE"] + counted.by_verb["WITH"] <= 4 and counted.by_verb["SELECT"] <= 3, counted


def test_nobody_is_asked_what_was_decided(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))
    factories.decide(made, company.ana)
    drain()
    assert reason() == "This step was decided in the meantime."
    assert {mail.recipients[0] for mail in smtp.mails} == {"ben@example.com", "chloe@example.com"}


def test_nobody_is_asked_after_the_time(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    (made,) = asked(company)
    factories.overdue(made)
    drain()
    assert smtp.mails == []
    assert reason() == "The request expired in the meantime."


def test_a_comment_is_not_mailed_to_those_who_need_not_answer_any_more(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    (made,) = asked(company)
    for who, words in ((company.rita, "By Friday, please."), (company.ana, "I look at it.")):
        choose("write")
        comments.add(factories.case_of(made), actor=who, body=words, now=clock.now())
        outbox.commit()
    factories.decide(made, company.ana)
    drain()
    assert reason("request-comment") == "The request was approved in the meantime."
    told = [mail.text for mail in smtp.mails if mail.subject.startswith("New comment: your request")]
    assert len(told) == 1 and "I look at it." in told[0]


def test_only_the_newest_link_is_mailed(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    (made,) = asked(company)
    choose("write")
    approval_codes.mail_new_code(factories.case_of(made), db.session.query(Invitation).one(), now=clock.now())
    outbox.commit()
    drain()
    assert len(smtp.mails) == 1
    assert "Here is your new code" in smtp.mails[0].text
    assert reason() == "Replaced by a newer email with a new link."


def test_whoever_left_the_group_is_not_asked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    choose("write")
    groups.remove_member(company.finance, company.chloe, actor=company.adam, now=clock.now())
    outbox.commit()
    drain()
    assert [mail.recipients for mail in smtp.mails] == [["ben@example.com"]]
    assert reason() == "This person is no longer an approver."
    assert "Chloe" not in smtp.mails[0].text


def test_whoever_is_deactivated_gets_no_mail(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    (made,) = asked(company)
    factories.decide(made, company.ana)
    choose("write")
    people.deactivate(company.rita, actor=company.adam, now=clock.now())
    outbox.commit()
    drain()
    assert not smtp.to("rita@example.com")
    assert reason("request-approved") == "This person was deactivated."


def test_a_used_password_link_is_not_mailed(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    choose("write")
    people.mail_password_reset(company.otto, now=clock.now())
    outbox.commit()
    choose("write")
    db.session.execute(update(Person).where(Person.id == company.otto.id).values(password_round=1))
    db.session.commit()
    drain()
    assert smtp.mails == []
    assert reason("password-reset") == "The password or the address was changed in the meantime."


def test_an_app_that_was_taken_away_is_not_announced(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    (made,) = asked(company)
    factories.decide(made, company.ana)
    choose("write")
    db.session.execute(update(Grant).values(state="removed"))
    db.session.commit()
    drain()
    assert not smtp.to("rita@example.com")
    assert reason("request-approved") == "Access was removed in the meantime."


def test_settled_is_told_to_nobody_who_was_never_asked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    factories.decide(made, company.ben)
    drain()
    assert not smtp.to("chloe@example.com")
    assert reason("request-settled") == "This person had not received an earlier email about this request."
    assert len(smtp.to("rita@example.com")) == 1


def test_a_mail_says_what_is_so_when_it_is_sent(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chloe leaves after the batch was read and before Ben's mail is sent."""
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    real = jobs._send_one

    def leave_first(left: Any, facts: Any, connection: Any) -> None:
        if len(smtp.mails) == 0 and company.chloe.id in {row.person_id for row in db.session.query(Invitation)}:
            db.session.rollback()
            choose("write")
            groups.remove_member(company.finance, company.chloe, actor=company.adam, now=clock.now())
            outbox.commit()
            monkeypatch.setattr(jobs, "_send_one", real)
        real(left, facts, connection)

    monkeypatch.setattr(jobs, "_send_one", leave_first)
    drain()
    assert [mail.recipients for mail in smtp.mails] == [["ben@example.com"]]
    assert "Chloe" not in smtp.mails[0].text


def test_a_denied_request_tells_its_group_once(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    factories.decide(made, company.ben, Verdict.DENIED, "No.")
    drain()
    assert sorted(mail.recipients[0] for mail in smtp.mails) == [
        "ben@example.com", "chloe@example.com", "chloe@example.com", "rita@example.com",
    ]  # fmt: skip
