"""Groups change while requests wait for them."""

import pytest
from flask import Flask

from tests.helpers import factories, statements
from tests.helpers.factories import Company
from tests.helpers.lookups import asked, events, kinds, mails, state, steps
from tests.helpers.rules import outcomes, rule
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.keys import KeyRing
from webapp.models import Group, Invitation, Person
from webapp.operations import _deciding_groups, approval_codes, groups
from webapp.operations.errors import Conflict, Invalid
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import Verdict


def add(group: Group, person: Person, actor: Person) -> None:
    choose("write")
    groups.add_member(group, person, actor=actor, now=clock.now())
    outbox.commit()


def remove(group: Group, person: Person, actor: Person) -> None:
    choose("write")
    groups.remove_member(group, person, actor=actor, now=clock.now())
    outbox.commit()


def test_a_new_member_is_asked_for_what_waits_and_only_the_new_one(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    before, lines = len(mails()), len(events())
    add(company.finance, company.otto, company.adam)
    assert asked(made) == {"ben": 1, "chloe": 1, "otto": 1}
    assert mails(before) == [("approval-asked", "approver", "otto")]
    assert kinds(lines) == ["group.member_added", "step.reassigned"]
    assert events("group.member_added")[-1]["facts"] == {"group": company.finance.id}
    factories.decide(made, company.otto)
    assert state(made) == "approved"


def test_who_leaves_can_no_longer_decide_and_comes_back_with_a_new_round(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    before = len(mails())
    remove(company.finance, company.ben, company.adam)
    assert asked(made) == {"chloe": 1}
    assert len(mails()) == before
    with pytest.raises(NotYourTurn):
        factories.decide(made, company.ben)
    db.session.rollback()
    add(company.finance, company.ben, company.adam)
    assert asked(made) == {"ben": 2, "chloe": 1}
    assert mails(before) == [("approval-asked", "approver", "ben")]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_former_member_gets_no_mail_about_the_outcome(company: Company, verdict: Verdict) -> None:
    told = outcomes(approved=OutcomeRule(approvers=True), denied=OutcomeRule(approvers=True), expired=OutcomeRule())
    made = factories.request(company.rita, factories.app("Salesforce", policy=rule(company.finance, outcomes=told)))
    add(company.finance, company.otto, company.adam)
    remove(company.finance, company.ben, company.adam)
    before = len(mails())
    factories.decide(made, company.chloe, verdict)
    kind = f"request-{state(made)}"
    assert mails(before) == [(kind, "approver", "otto"), (kind, "requester", "rita")]


def test_who_comes_back_has_all_tries_and_a_link_of_the_present_key(
    app: Flask, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    choose("write")
    invitation = db.session.query(Invitation).filter_by(person_id=company.ben.id).one()
    for _ in range(approval_codes.WRONG_CODES):
        approval_codes.count_wrong_code(factories.case_of(made), invitation, now=clock.now())
    outbox.commit()
    remove(company.finance, company.ben, company.adam)
    keys = KeyRing(("quite another secret of this installation", app.extensions["settings"].secret_key))
    with monkeypatch.context() as patch:
        patch.setitem(app.extensions, "keyring", keys)
        choose("write")
        groups.add_member(company.finance, company.ben, actor=company.adam, now=clock.now())
        db.session.flush()
        db.session.refresh(invitation)
        assert (invitation.live, invitation.round, invitation.wrong_codes) == (True, 2, 0)
        assert invitation.key_id == keys.current
        # Not committed: the record of this test is verified with the key that it began with.
        db.session.rollback()


def test_an_empty_group_falls_to_the_owner_and_a_filled_one_takes_it_back(company: Company) -> None:
    app = factories.app("Salesforce", company.finance, owner=company.ana)
    made = factories.request(company.rita, app)
    remove(company.finance, company.ben, company.adam)
    remove(company.finance, company.chloe, company.adam)
    assert steps(made) == [("open", "owner")]
    assert asked(made) == {"ana": 1}
    before = len(mails())
    add(company.finance, company.otto, company.adam)
    assert steps(made) == [("open", "approver")]
    assert asked(made) == {"otto": 1}
    assert mails(before) == [("approval-asked", "approver", "otto")]


def test_whoever_owns_the_app_and_leaves_the_group_decides_as_its_owner(company: Company) -> None:
    solo = factories.group("Solo", company.ana)
    made = factories.request(company.rita, factories.app("Salesforce", solo, owner=company.ana))
    before = len(mails())
    remove(solo, company.ana, company.adam)
    assert (steps(made), asked(made)) == ([("open", "owner")], {"ana": 1})
    assert len(mails()) == before
    add(solo, company.otto, company.adam)
    assert (steps(made), asked(made)) == ([("open", "approver")], {"otto": 1})


def test_a_group_whose_only_member_asks_falls_to_the_owner(company: Company) -> None:
    solo = factories.group("Solo", company.rita)
    made = factories.request(company.rita, factories.app("Salesforce", solo, owner=company.ana))
    assert steps(made) == [("open", "owner")]
    add(solo, company.otto, company.adam)
    assert steps(made) == [("open", "approver")]
    assert asked(made) == {"otto": 1}


def test_the_requester_who_joins_the_group_is_not_asked(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    version, before = made.version, len(mails())
    add(company.finance, company.rita, company.adam)
    assert asked(made) == {"ben": 1, "chloe": 1}
    assert len(mails()) == before
    db.session.refresh(made)
    assert made.version > version  # the decision that was read before this loses, though nothing moved


def test_a_step_that_waits_is_resolved_when_it_opens_not_before(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))
    remove(company.finance, company.ben, company.adam)
    assert asked(made) == {"ana": 1}
    factories.decide(made, company.ana)
    assert asked(made) == {"chloe": 1}


def test_settled_requests_are_left_alone(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    factories.decide(made, company.ben)
    before, lines = len(mails()), len(events())
    add(company.finance, company.otto, company.adam)
    assert len(mails()) == before
    assert kinds(lines) == ["group.member_added"]


def test_what_cannot_be_is_refused_with_a_sentence(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Conflict, match="already in Finance"):
        add(company.finance, company.ben, company.adam)
    with pytest.raises(Conflict, match="no longer in Finance"):
        remove(company.finance, company.otto, company.adam)
    company.otto.active = False
    outbox.commit()
    with pytest.raises(Conflict, match="deactivated"):
        add(company.finance, company.otto, company.adam)
    factories.app("Salesforce", company.finance)
    monkeypatch.setattr(groups, "MEMBERS_LIMIT", 2)
    with pytest.raises(Conflict, match="is full"):
        add(company.finance, company.ana, company.adam)
    for wrong in ("", " \n", "x" * 81, "finance", "FINANCE "):
        with pytest.raises(Invalid):
            groups.create(name=wrong, actor=company.adam, now=clock.now())
    db.session.rollback()


def test_a_group_is_recorded_by_number(company: Company) -> None:
    made = groups.create(name="Security\nteam", actor=company.adam, now=clock.now())
    outbox.commit()
    assert made.name == "Security team"
    assert events("group.created")[-1]["facts"] == {"group": made.id}


def set_to(group: Group, *people: Person, actor: Person) -> tuple[list[int], list[int]]:
    choose("write")
    found = groups.set_members(group, [one.id for one in people], actor=actor, now=clock.now())
    outbox.commit()
    return found


def test_all_members_are_set_at_once_and_what_waits_follows(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    before = len(mails())
    joined, left = set_to(company.finance, company.chloe, company.otto, actor=company.adam)
    assert (joined, left) == ([company.otto.id], [company.ben.id])
    assert asked(made) == {"chloe": 1, "otto": 1}
    assert mails(before) == [("approval-asked", "approver", "otto")]
    assert [one["person"] for one in events("group.member_added")][-1:] == [company.otto.id]
    assert [one["person"] for one in events("group.member_removed")][-1:] == [company.ben.id]
    lines = len(events())
    assert set_to(company.finance, company.otto, company.chloe, actor=company.adam) == ([], [])
    assert len(events()) == lines


def test_members_that_are_set_take_the_same_statements_however_many(company: Company) -> None:
    def count(people: list[Person]) -> int:
        with statements.counting() as found:
            set_to(company.finance, *people, actor=company.adam)
        return len(found)

    many = [factories.person(f"Member {number}", email=f"m{number}@example.com") for number in range(250)]
    assert count(many[:5]) == count(many[5:100])
    # Of more than may decide it is asked whether the group decides.
    assert count(many[100:210]) == count([*many[:100], *many[210:]])


def test_a_group_that_decides_is_not_set_to_more_than_can_be_asked(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "MEMBERS_LIMIT", 2)
    monkeypatch.setattr(_deciding_groups, "MEMBERS_LIMIT", 2)
    three = (company.ben, company.chloe, company.otto)
    set_to(company.finance, *three, actor=company.adam)  # decides nothing yet
    with pytest.raises(Conflict, match="Finance has 3 members"):
        factories.app("Salesforce", company.finance)
    db.session.rollback()
    set_to(company.finance, company.ben, company.chloe, actor=company.adam)
    factories.app("Salesforce", company.finance)
    with pytest.raises(Conflict, match="Finance decides about requests"):
        set_to(company.finance, *three, actor=company.adam)
