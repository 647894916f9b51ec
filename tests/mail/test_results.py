"""What the emails about a result say to whom, and what they must not say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.contents import WRITE, Drain, link_in, never_says, says, two_steps
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import decisions, requests
from webapp.operations.proofs import STEP_IN
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState, Verdict


def test_an_approval_comes_with_the_admins_words(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = two_steps(
        company,
        outcomes={
            RequestState.APPROVED: OutcomeRule(
                approvers=True, others=("it-desk@example.com",), message="Welcome.\nTraining is every Tuesday."
            )
        },
    )
    app = factories.app("Salesforce", policy=rule, owner=company.adam, launch_url="https://sales.example.com/")
    made = factories.request(company.rita, app, given={"role": ["Sales user"]})
    factories.decide(made, company.ana, given={"region": ["EMEA"]})
    drain()
    factories.decide(made, company.ben, comment="Standard is fine.", given={"cost": ["4711"], "region": ["EMEA"]})
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Approved: your request for Salesforce"
    says(
        hers,
        "You now have access to Salesforce",
        "Ben Okafor approved it for Finance on",
        "Welcome.",
        "Training is every Tuesday.",
        "Sales user, chosen by you",
        "EMEA, set by Ana",
        "Ben wrote",
        "Standard is fine.",
        "Open Salesforce",
        "https://sales.example.com/",
        "You can open it from your dashboard.",
        "because you requested Salesforce.",
    )
    never_says(hers, "4711", "Cost centre")
    chloes = smtp.to("chloe@example.com")[-1]
    assert chloes.subject == f"Approved: Salesforce for Rita Lindqvist ({made.reference})"
    says(chloes, "Rita Lindqvist now has access to Salesforce", "You do not need to do anything.", "Welcome.")
    assert link_in(chloes, "requests/").endswith(made.public_id)
    desk = smtp.one_to("it-desk@example.com")
    assert str(desk.message["To"]) == "it-desk@example.com"
    says(desk, "Rita Lindqvist now has access to Salesforce", "Welcome.", "EMEA, set by Ana", "4711, set by Ben",
         "this address receives the results of requests for Salesforce")  # fmt: skip
    never_says(desk, "http://localhost", "Standard is fine.", "I need it for my work.")


def test_a_denial_gives_the_reason(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = two_steps(
        company, outcomes={RequestState.DENIED: OutcomeRule(others=("it@example.com",), message="See hr.")}
    )
    made = factories.request(company.rita, factories.app("Concur", policy=rule), message="Two visits in Lyon.")
    factories.decide(made, company.ana, Verdict.DENIED, "Travel is booked by the office.\nAsk Chloe.")
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "Denied: your request for Concur"
    says(
        mail, "Your request for Concur was denied", "Ana Moreau denied it on", "Reason:",
        "Travel is booked by the office.", "Ask Chloe.", "See hr.", "Your reason", "Two visits in Lyon.",
        "Ana Moreau denied", "View request",
    )  # fmt: skip
    assert mail.text.count("Travel is booked") == 1
    assert link_in(mail, "requests/").endswith(made.public_id)
    other = smtp.one_to("it@example.com")
    says(other, "Rita Lindqvist’s request for Concur was denied")
    never_says(other, "Travel is booked", "Lyon", "http://localhost")


def test_an_expiry_is_nobodys_no(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("NetSuite", company.finance))
    drain()
    factories.overdue(made)
    changes.sweep()
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Expired: your request for NetSuite"
    says(hers, "Your request for NetSuite expired", "Finance did not decide by", "You can request it again.")
    bens = smtp.to("ben@example.com")[-1]
    assert bens.subject == f"Expired: NetSuite for Rita Lindqvist ({made.reference})"
    says(bens, "Rita Lindqvist’s request for NetSuite expired", "You do not need to do anything.")


@pytest.mark.parametrize("ending", ["denied", "expired"])
def test_an_end_at_a_later_step_tells_nobody_more_than_they_may_see(
    company: Company, smtp: SmtpServer, drain: Drain, ending: str
) -> None:
    told = OutcomeRule(others=("it-desk@example.com",))
    rule = two_steps(company, outcomes={RequestState.DENIED: told, RequestState.EXPIRED: told})
    first, second = rule.steps
    rule = rule.with_steps(replace(first, visibility={**first.visibility, "cost": WRITE}), second)
    made = factories.request(company.rita, factories.app("Concur", policy=rule), given={"role": ["Sales user"]})
    given = {"region": ["EMEA"], "cost": ["4711"]}
    factories.decide(made, company.ana, comment="Her manager agrees.", given=given)
    drain()
    if ending == "denied":
        factories.decide(made, company.ben, Verdict.DENIED, "No seat is free.")
    else:
        factories.overdue(made)
        changes.sweep()
    drain()
    hers = smtp.one_to("rita@example.com")
    says(hers, "Ana wrote", "Her manager agrees.", "Sales user, chosen by you", "EMEA, set by Ana")
    never_says(hers, "4711", "Cost centre")
    desk = smtp.one_to("it-desk@example.com")
    never_says(desk, "Her manager agrees.", "No seat is free.", "I need it for my work.", "4711", "http://localhost")


def test_a_withdrawal_is_told_to_those_who_were_asked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    choose("write")
    requests.cancel(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    for who in ("ben", "chloe"):
        mail = smtp.to(f"{who}@example.com")[-1]
        assert mail.subject == f"Cancelled: Salesforce for Rita Lindqvist ({made.reference})"
        says(mail, "Rita Lindqvist cancelled the request for Salesforce", "You do not need to do anything.")
    assert not smtp.to("rita@example.com")


def test_the_requester_is_told_when_somebody_else_withdraws(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    choose("write")
    requests.cancel(factories.case_of(made), actor=company.adam, reason="Salesforce is going away.", now=clock.now())
    outbox.commit()
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "Cancelled: your request for Salesforce"
    says(mail, "Adam Weiss cancelled it on", "Salesforce is going away.", "You can request it again at any time.")


def test_the_others_of_a_group_read_that_it_is_settled(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    factories.decide(made, company.ben, Verdict.DENIED, "No licences left.")
    drain()
    mail = smtp.to("chloe@example.com")[-1]
    says(mail, "Ben Okafor denied Rita Lindqvist’s request for Salesforce", "Ben decided for Finance on",
         "No licences left.", "you do not need to do anything")  # fmt: skip
    assert len(smtp.to("ben@example.com")) == 1
    assert mail.subject == f"Denied by Ben Okafor: Salesforce for Rita Lindqvist ({made.reference})"


def test_an_admins_override_is_called_that(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    choose("write")
    decisions.decide(
        factories.case_of(made), actor=company.adam, verdict=Verdict.APPROVED, comment="Both are away.",
        proof=STEP_IN, now=clock.now(),
    )  # fmt: skip
    outbox.commit()
    drain()
    says(smtp.one_to("rita@example.com"), "Adam Weiss approved it as an admin on", "Both are away.")
    says(smtp.to("ben@example.com")[-1], "Adam decided as an admin on")
