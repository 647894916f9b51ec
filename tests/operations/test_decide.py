"""Deciding: who is told, what is written, and what is left alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import asked, events, grants, kinds, mails, open_step, state, steps, values
from tests.helpers.rules import NOTES, READ, ROLE, SEAT, WRITE, outcomes
from tests.helpers.rules import rule as policy
from tests.operations.deciding import DENIED, decide
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Decision, Grant, Person
from webapp.operations import apps, comments, groups, people
from webapp.operations.errors import Invalid
from webapp.text import sha256
from webapp.workflow.errors import BadValues, NotYourTurn
from webapp.workflow.policy import OutcomeRule


def test_the_first_of_a_group_decides_the_next_step_opens_and_the_others_are_told(company: Company) -> None:
    app = factories.app("Salesforce", company.finance, company.ana)
    made = factories.request(company.rita, app)
    before, lines = len(mails()), len(events())
    decide(made, company.ben, comment=" Fine\r\nby me. ")
    assert steps(made) == [("approved", "approver"), ("open", "approver")]
    assert asked(made) == {"ana": 1}
    assert mails(before) == [("approval-asked", "approver", "ana"), ("request-settled", "approver", "chloe")]
    assert kinds(lines) == ["step.approved", "step.opened"]
    line = events("step.approved")[0]
    assert (line["actor"], line["request"], line["person"]) == (company.ben.id, made.id, company.rita.id)
    assert line["facts"] == {
        "step": 0, "channel": "browser", "comment": sha256("Fine\nby me."), "before": {}, "after": {},
        "state": "pending",
    }  # fmt: skip
    decision = db.session.query(Decision).one()
    assert (decision.person_id, decision.verdict, decision.channel) == (company.ben.id, "approved", "browser")
    assert decision.comment == "Fine\nby me."
    db.session.refresh(made)
    assert (made.state, made.version, made.settled_at) == ("pending", 2, None)


def test_the_last_yes_approves_grants_and_tells_as_the_rule_says(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.finance)
    made = factories.request(company.rita, app)
    decide(made, company.ana)
    before, lines = len(mails()), len(events())
    decide(made, company.chloe)
    assert state(made) == "approved"
    assert [(one.person_id, one.app_id, one.request_id, one.state) for one in grants()] == [
        (company.rita.id, app.id, made.id, "active")
    ]
    assert mails(before) == [("request-approved", "requester", "rita"), ("request-settled", "approver", "ben")]
    assert kinds(lines) == ["step.approved", "grant.added"]
    assert asked(made) == {}
    db.session.refresh(made)
    assert made.settled_by_id == company.chloe.id
    assert made.settled_at is not None


def test_a_denial_ends_the_chain_and_only_its_own_group_is_told_that_it_is_settled(company: Company) -> None:
    app = factories.app("Salesforce", company.finance, company.ana)
    made = factories.request(company.rita, app)
    before, lines = len(mails()), len(events())
    decide(made, company.ben, DENIED, comment="Use the shared licence.")
    assert steps(made) == [("denied", "approver"), ("skipped", "approver")]
    assert state(made) == "denied"
    assert grants() == []
    assert mails(before) == [("request-denied", "requester", "rita"), ("request-settled", "approver", "chloe")]
    assert kinds(lines) == ["step.denied"]
    assert events("step.denied")[0]["facts"]["state"] == "denied"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (OutcomeRule(), [("request-approved", "requester", "rita"), ("request-settled", "approver", "ben")]),
        (OutcomeRule(requester=False), [("request-settled", "approver", "ben")]),
        # Chloe decides: she knows. Ben hears of the outcome, so not that it is settled, too.
        (
            OutcomeRule(approvers=True),
            [
                ("request-approved", "approver", "ana"),
                ("request-approved", "approver", "ben"),
                ("request-approved", "requester", "rita"),
            ],
        ),
        (
            OutcomeRule(requester=False, others=("it@example.com", "desk@example.com", "it@example.com")),
            [
                ("request-approved", "other", "desk@example.com"),
                ("request-approved", "other", "it@example.com"),
                ("request-settled", "approver", "ben"),
            ],
        ),
    ],
)
def test_who_is_mailed_is_what_the_frozen_rule_says(
    company: Company, rule: OutcomeRule, expected: list[tuple[str, str, str]]
) -> None:
    set_out = outcomes(approved=rule, denied=OutcomeRule(requester=False), expired=OutcomeRule())
    app = factories.app("Salesforce", policy=policy(company.ana, company.finance, outcomes=set_out))
    made = factories.request(company.rita, app)
    decide(made, company.ana)
    before = len(mails())
    decide(made, company.chloe)
    assert mails(before) == expected


def test_a_rule_that_is_saved_meanwhile_changes_nothing_for_who_has_asked(company: Company) -> None:
    """Who approves, what they may set, what it is given with and whom it is told: all as when Rita asked."""
    rule = policy(
        company.ana,
        company.finance,
        entitlements=(ROLE, NOTES),
        see={0: {"role": WRITE}},
        outcomes=outcomes(
            approved=OutcomeRule(others=("old@example.com",)), denied=OutcomeRule(), expired=OutcomeRule()
        ),
    )
    app = factories.app("Salesforce", policy=rule)
    made = factories.request(company.rita, app)
    choose("write")
    apps.save_policy(
        app,
        policy(
            company.otto,
            entitlements=(NOTES,),
            see={0: {"notes": WRITE}},
            outcomes=outcomes(approved=OutcomeRule(requester=False), denied=OutcomeRule(), expired=OutcomeRule()),
        ),
        actor=company.adam,
        now=clock.now(),
    )
    outbox.commit()
    assert asked(made) == {"ana": 1}
    with pytest.raises(NotYourTurn):
        decide(made, company.otto)
    db.session.rollback()
    decide(made, company.ana, given={"role": ["Writer"], "notes": ["mine"]})
    before = len(mails())
    decide(made, company.ben, given={"role": ["Reader"], "notes": ["mine"]})
    assert values(grants()[0]) == {"role": "Writer", "notes": "standard"}
    assert mails(before) == [
        ("request-approved", "other", "old@example.com"),
        ("request-approved", "requester", "rita"),
        ("request-settled", "approver", "chloe"),
    ]


def test_each_step_writes_its_own_fields_and_nothing_else(company: Company) -> None:
    rule = policy(
        company.ana,
        company.finance,
        entitlements=(ROLE, SEAT, NOTES),
        see={0: {"role": WRITE, "seat": READ}, 1: {"notes": WRITE, "role": READ}},
    )
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule), given={"seat": ["5B"]})
    everything = {"role": ["Writer"], "seat": ["stolen"], "notes": ["mine"], "x": ["y"]}
    decide(made, company.ana, given=everything)
    assert values(made) == {"role": "Writer", "seat": "5B", "notes": "standard"}
    line = events("step.approved")[0]["facts"]
    assert (line["before"], set(line["after"])) == ({}, {"role"})
    decide(made, company.ben, given=everything | {"role": ["Reader"]})
    (grant,) = grants()
    assert values(grant) == {"role": "Writer", "seat": "5B", "notes": "mine"}
    assert {key: one.by for key, one in grant.values.items()} == {
        "role": company.ana.id, "seat": company.rita.id, "notes": company.ben.id,
    }  # fmt: skip
    line = events("step.approved")[1]["facts"]
    assert line["before"]["notes"]["value"] == sha256("standard")
    assert line["after"]["notes"]["value"] == sha256("mine")
    told = [one.set_values for one in db.session.query(Decision).order_by(Decision.id)]
    assert told == [{"Role": "Writer"}, {"Notes": "mine"}]


def test_what_an_approver_empties_is_empty_and_the_record_says_so(company: Company) -> None:
    rule = policy(company.ana, entitlements=(SEAT,), see={0: {"seat": WRITE}})
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule), given={"seat": ["5B"]})
    decide(made, company.ana, given={"seat": [""]})
    assert values(grants()[0]) == {}
    line = events("step.approved")[0]["facts"]
    assert (line["before"]["seat"]["value"], line["after"]) == (sha256("5B"), {})
    assert db.session.query(Decision).one().set_values == {"Seat": ""}


def test_a_value_that_the_approver_leaves_keeps_the_requester_as_its_author(company: Company) -> None:
    rule = policy(company.ana, entitlements=(SEAT,), see={0: {"seat": WRITE}})
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule), given={"seat": ["5B"]})
    decide(made, company.ana, given={"seat": ["5B"]})
    assert grants()[0].values["seat"].by == company.rita.id
    assert db.session.query(Decision).one().set_values == {}


def test_a_required_field_of_the_step_has_to_be_set_to_approve_but_not_to_deny(company: Company) -> None:
    rule = policy(company.ana, entitlements=(ROLE,), see={0: {"role": WRITE}})
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule))
    for given in ({}, {"role": [""]}, None):
        with pytest.raises(BadValues) as refusal:
            decide(made, company.ana, given=given)
        assert refusal.value.fields == {"role": "Choose Role."}
        db.session.rollback()
    assert state(made) == "pending"
    decide(made, company.ana, DENIED, given={"role": ["Writer"]})
    assert state(made) == "denied"
    assert values(made) == {}


def test_without_a_form_the_values_stay_as_they_are(company: Company) -> None:
    rule = policy(company.ana, entitlements=(SEAT, NOTES), see={0: {"seat": WRITE, "notes": WRITE}})
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule), given={"seat": ["5B"]})
    decide(made, company.ana, given=None)
    assert values(grants()[0]) == {"seat": "5B", "notes": "standard"}


def test_a_grant_that_appeared_meanwhile_gets_the_entitlements(company: Company) -> None:
    rule = policy(company.ana, entitlements=(ROLE,), see={0: {"role": WRITE}})
    app = factories.app("Salesforce", policy=rule)
    made = factories.request(company.rita, app)
    db.session.add(
        Grant(app_id=app.id, person_id=company.rita.id, created_at=clock.now(), state="active",
              values_json='{"role": {"value": "Reader", "by": null, "at": ""}}')
    )  # fmt: skip
    db.session.commit()
    before, lines = len(mails()), len(events())
    decide(made, company.ana, given={"role": ["Writer"]})
    (grant,) = grants()
    assert values(grant) == {"role": "Writer"}
    assert state(made) == "approved"
    assert kinds(lines) == ["step.approved", "grant.updated"]
    line = events("grant.updated")[0]["facts"]
    assert (line["before"]["role"]["value"], line["after"]["role"]["value"]) == ("Reader", "Writer")
    assert mails(before) == [("request-approved", "requester", "rita")]


def test_a_removed_grant_does_not_come_back_a_new_one_does(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    db.session.add(Grant(app_id=app.id, person_id=company.rita.id, created_at=clock.now(), state="removed"))
    db.session.commit()
    decide(factories.request(company.rita, app), company.ana)
    assert [one.state for one in grants()] == ["removed", "active"]


def test_the_next_step_falls_to_the_owner_when_its_approver_went_meanwhile(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.ben, owner=company.otto)
    made = factories.request(company.rita, app)
    choose("write")
    people.deactivate(company.ben, actor=company.adam, now=clock.now())
    outbox.commit()
    decide(made, company.ana)
    assert steps(made) == [("approved", "approver"), ("open", "owner")]
    assert asked(made) == {"otto": 1}


def test_each_step_has_the_time_that_the_rule_gives_it_from_when_it_opens(company: Company) -> None:
    first, second = policy(company.ana, company.finance).steps
    rule = policy(days=9).with_steps(replace(first, days=7), second)
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule))
    for days, decider in ((7, company.ana), (9, company.ben)):
        step = open_step(made)
        assert step.due_at is not None and step.opened_at is not None
        # A clock of its own on SQLite counts in milliseconds.
        assert abs(step.due_at - step.opened_at - timedelta(days=days)) < timedelta(seconds=1)
        decide(made, decider)
    assert state(made) == "approved"


def test_comments_stay_out_of_the_record(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    comments.add(factories.case_of(made), actor=company.rita, body=" By Friday,\r\nplease. ", now=clock.now())
    outbox.commit()
    assert events("request.commented")[0]["facts"] == {"comment": sha256("By Friday,\nplease.")}
    assert rows("comments", "body = 'By Friday,\nplease.'") == 1
    for body in ("", " \n", "x" * 1001):
        with pytest.raises(Invalid):
            comments.add(factories.case_of(made), actor=company.rita, body=body, now=clock.now())


def comment(made: AccessRequest, actor: Person, body: str) -> None:
    choose("write")
    comments.add(factories.case_of(made), actor=actor, body=body, now=clock.now())
    outbox.commit()


def test_a_comment_is_mailed_to_the_requester_and_to_those_who_can_answer(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance, company.ana))
    before = factories.rows("notices")
    comment(made, company.rita, "By Friday, please.")
    assert mails(before) == [("request-comment", "approver", "ben"), ("request-comment", "approver", "chloe")]
    before = factories.rows("notices")
    comment(made, company.ben, "I look at it.")
    assert mails(before) == [("request-comment", "approver", "chloe"), ("request-comment", "requester", "rita")]


def test_whoever_left_the_group_reads_no_comment_any_more(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    groups.remove_member(company.finance, company.ben, actor=company.adam, now=clock.now())
    outbox.commit()
    before = factories.rows("notices")
    comment(made, company.rita, "My manager is ill, so please decide today.")
    assert mails(before) == [("request-comment", "approver", "chloe")]


def test_a_comment_on_a_settled_request_is_mailed_to_those_who_decided(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    decide(made, company.ben, DENIED, comment="No.")
    before = factories.rows("notices")
    comment(made, company.rita, "Why not?")
    assert mails(before) == [("request-comment", "approver", "ben")]
