"""To which addresses the emails about an outcome may go."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, mails
from tests.helpers.rules import outcomes
from tests.helpers.rules import rule as policy
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Organisation, Person
from webapp.operations import apps, expiry, organisation, people
from webapp.operations.errors import Invalid
from webapp.queries import domains
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState, Verdict


def allow(typed: str) -> str:
    ours = db.session.query(Organisation).one()
    organisation.change(ours, name=None, time_zone=None, sender=None, outcome_domains=typed, now=clock.now())
    outbox.commit()
    return ours.outcome_domains


def test_domains_are_kept_in_one_form_and_once(company: Company) -> None:
    assert allow(" Partner.Example, @other.example;partner.example\nthird.example ") == (
        "partner.example other.example third.example"
    )
    assert events("organisation.changed")[-1]["facts"]["after"]["outcome_domains"] == [
        "partner.example", "other.example", "third.example",
    ]  # fmt: skip
    assert allow("") == ""


@pytest.mark.parametrize("typed", ["example", "a b.example@c", "*.example.com", "https://example.com", "x@y.example"])
def test_what_is_no_domain_is_refused_with_what_to_enter(company: Company, typed: str) -> None:
    with pytest.raises(Invalid, match=r"is not a domain. Enter domains like example\.com"):
        allow(typed)
    db.session.rollback()
    with pytest.raises(Invalid, match="Enter 50 domains or fewer"):
        allow(" ".join(f"d{number}.example" for number in range(51)))


def test_the_command_sets_and_shows_them(app: Flask, company: Company) -> None:
    db.session.remove()
    runner = app.test_cli_runner()
    said = runner.invoke(args=["organisation", "--outcome-domains", "partner.example, other.example"]).output
    assert said.splitlines()[-1] == "More domains for outcome emails: partner.example, other.example"
    db.session.remove()
    assert runner.invoke(args=["organisation", "--outcome-domains", ""]).output.endswith("emails: none\n")
    bad = runner.invoke(args=["organisation", "--outcome-domains", "partner"])
    assert bad.exit_code == 1 and "is not a domain" in bad.output


def set_others(app_: App, of: Company, *addresses: str, state: RequestState = RequestState.APPROVED) -> None:
    choose("write")
    apps.set_outcome(app_, state, others=addresses, actor=of.adam, now=clock.now())
    outbox.commit()


def mailed(after: int) -> list[str]:
    return [who for _, role, who in mails(after) if role == "other"]


def test_an_owner_adds_no_address_elsewhere(company: Company) -> None:
    figma = factories.app("Figma", company.ana, owner=company.otto)
    for address in ("me@elsewhere.example", "me@sub.example.com", "me@notexample.com", "me@example.com.evil.example"):
        with pytest.raises(
            Invalid, match=f"No email may go to {address}. Enter an address in the domain of your people"
        ):
            set_others(figma, company, "desk@example.com", address)
        db.session.rollback()
    set_others(figma, company, "Desk@EXAMPLE.com")
    allow("elsewhere.example")
    set_others(figma, company, "desk@example.com", "me@elsewhere.example")
    told = len(mails())
    factories.decide(factories.request(company.rita, figma), company.ana)
    assert mailed(told) == ["desk@example.com", "me@elsewhere.example"]


def test_what_a_rule_has_from_before_stays_and_is_not_mailed(company: Company) -> None:
    strange = OutcomeRule(others=("desk@example.com", "me@elsewhere.example"))
    rule = policy(company.ana, outcomes=outcomes(approved=strange, denied=strange, expired=strange))
    figma = factories.app("Figma", policy=rule)
    for verdict in (Verdict.APPROVED, Verdict.DENIED, None):
        told = len(mails())
        made = factories.request(company.rita if verdict is Verdict.APPROVED else company.otto, figma)
        if verdict is None:
            factories.overdue(made)
            expiry.expire_overdue(now=clock.now())
            outbox.commit()
        else:
            factories.decide(made, company.ana, verdict)
        assert mailed(told) == ["desk@example.com"], verdict
    # Another one beside it is judged by itself, and it may be taken out.
    set_others(figma, company, "desk@example.com", "me@elsewhere.example", "it@example.com")
    with pytest.raises(Invalid, match=r"No email may go to you@elsewhere\.example"):
        set_others(figma, company, "me@elsewhere.example", "you@elsewhere.example")
    db.session.rollback()
    set_others(figma, company, "desk@example.com")
    with pytest.raises(Invalid):
        set_others(figma, company, "desk@example.com", "me@elsewhere.example")
    db.session.rollback()


def test_the_domain_of_who_was_deactivated_is_nobodys(company: Company) -> None:
    factories.person("Eve New", email="eve@partner.example")
    figma = factories.app("Figma", company.ana)
    set_others(figma, company, "desk@partner.example")
    assert domains.outside(["desk@partner.example"]) == frozenset()
    eve = db.session.query(Person).filter_by(email="eve@partner.example").one()
    people.deactivate(eve, actor=company.adam, now=clock.now())
    outbox.commit()
    assert domains.outside(["desk@partner.example", "desk@example.com"]) == {"desk@partner.example"}


def test_a_domain_has_one_form(company: Company) -> None:
    allow("xn--strae-oqa.example")
    assert domains.outside(["hr@straße.example", "hr@STRASSE.example"]) == {"hr@STRASSE.example"}
    assert domains.allowed_also() == ["straße.example"]
