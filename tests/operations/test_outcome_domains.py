"""To which addresses the emails about an outcome may go."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.factories import Company
from tests.operations.helpers import events
from webapp import clock, outbox
from webapp.extensions import db
from webapp.models import Organisation
from webapp.operations import organisation
from webapp.operations.errors import Invalid


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
