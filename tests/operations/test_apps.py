"""Apps and their rules: each save is a new revision, and what is on cannot be broken by accident."""

import json

import pytest
from sqlalchemy.orm.attributes import set_committed_value

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import asked, events, kinds, mails, steps
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, PolicyRevision
from webapp.operations import apps, rule_steps
from webapp.operations.errors import Conflict, Invalid
from webapp.workflow.policy import Approver, Policy, StepRule
from webapp.workflow.policy_codec import digest


def revisions(app: App) -> list[PolicyRevision]:
    return db.session.query(PolicyRevision).filter_by(app_id=app.id).order_by(PolicyRevision.number).all()


def test_a_new_app_is_not_requestable_and_needs_approval(company: Company) -> None:
    lines = len(events())
    made = apps.create(name="  Sales\tforce ", actor=company.adam, now=clock.now())
    outbox.commit()
    assert (made.name, made.requestable, made.for_everyone) == ("Sales force", False, True)
    assert made.owner == Approver(person=company.adam.id)
    assert factories.revision_of(made).snapshot() == Policy()
    assert kinds(lines) == ["app.created", "policy.saved"]
    assert events("app.created")[0]["facts"] == {
        "requestable": False, "owner": {"person": company.adam.id, "group": None},
    }  # fmt: skip


def test_each_saved_rule_is_a_new_revision_and_the_old_ones_stay(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    first = factories.revision_of(app)
    lines = len(events())
    choose("write")
    apps.change_policy(app, actor=company.adam, now=clock.now(), days=5)
    apps.change_policy(app, steps=(StepRule(Approver(group=company.finance.id)),), actor=company.adam, now=clock.now())
    outbox.commit()
    found = revisions(app)
    assert [one.number for one in found] == [1, 2, 3]
    assert found[0].body == first.body
    assert [json.loads(one.body)["days"] for one in found] == [3, 5, 5]
    assert all(one.hash == digest(one.body) for one in found)
    assert app.policy_revision_id == found[2].id
    assert kinds(lines) == ["policy.saved", "policy.saved"]
    facts = events("policy.saved")[-1]["facts"]
    assert facts["before"] == {"number": 2, "hash": found[1].hash}
    assert facts["after"] == {"number": 3, "hash": found[2].hash}
    assert facts["steps"] == [{"person": None, "group": company.finance.id}]


def test_a_rule_that_cannot_work_is_not_saved(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    with pytest.raises(Invalid) as refusal:
        apps.change_policy(app, actor=company.adam, now=clock.now(), days=0)
    assert "policy" in refusal.value.fields
    db.session.rollback()
    assert len(revisions(app)) == 1


def test_a_change_is_made_to_the_rule_in_force_not_to_the_one_that_was_read(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    stale = app.policy_revision_id
    apps.change_policy(app, actor=company.adam, now=clock.now(), days=9)
    outbox.commit()
    set_committed_value(app, "policy_revision_id", stale)
    apps.change_policy(app, actor=company.adam, now=clock.now(), comment_required=True)
    outbox.commit()
    rule = factories.revision_of(app).snapshot()
    assert (rule.days, rule.comment_required) == (9, True)


def test_who_has_asked_for_an_app_neither_gives_it_away_nor_archives_or_restores_it(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    factories.request(company.adam, app)
    eve = factories.person("Eve", admin=True)
    lines, yours = len(events()), "a pending request for Salesforce"
    with pytest.raises(Conflict, match=yours):
        apps.set_owner(app, owner=Approver(person=company.ben.id), actor=company.adam, now=clock.now())
    with pytest.raises(Conflict, match=yours):
        apps.archive(app, actor=company.adam, now=clock.now())
    apps.archive(app, actor=eve, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match=yours):
        apps.restore(app, actor=company.adam, now=clock.now())
    outbox.commit()
    assert kinds(lines) == ["app.archived"]


def test_an_app_that_needs_approval_is_requestable_only_with_a_step(company: Company) -> None:
    app = factories.app("Salesforce", policy=Policy(), requestable=False)
    with pytest.raises(Conflict, match="Choose an approver"):
        apps.set_requestable(app, requestable=True, actor=company.adam, now=clock.now())
    apps.set_approval_required(app, required=False, actor=company.adam, now=clock.now())
    apps.set_requestable(app, requestable=True, actor=company.adam, now=clock.now())
    outbox.commit()
    assert app.requestable
    # On again without a step: it leaves the catalog instead of being given away.
    apps.set_approval_required(app, required=True, actor=company.adam, now=clock.now())
    outbox.commit()
    assert not app.requestable
    assert [one["facts"]["after"] for one in events("app.changed")] == [{"requestable": True}, {"requestable": False}]


def test_a_toggle_that_changes_nothing_records_nothing(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    lines = len(events())
    apps.set_requestable(app, requestable=True, actor=company.adam, now=clock.now())
    apps.set_approval_required(app, required=True, actor=company.adam, now=clock.now())
    outbox.commit()
    assert len(events()) == lines


def test_the_last_step_of_a_requestable_app_stays(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    with pytest.raises(Conflict, match="Turn off Requestable"):
        rule_steps.remove(app, factories.step_id(app, company.ana), actor=company.adam, now=clock.now())
    db.session.rollback()


def test_turning_approval_off_leaves_pending_requests_with_their_approver(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    made = factories.request(company.rita, app)
    choose("write")
    apps.set_approval_required(app, required=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert steps(made) == [("open", "approver")]
    factories.decide(made, company.ana)


def test_a_new_owner_takes_over_what_fell_to_the_old_one(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    made = factories.request(company.ana, app)
    assert asked(made) == {"otto": 1}
    before, lines = len(mails()), len(events())
    choose("write")
    apps.set_owner(app, owner=Approver(group=company.finance.id), actor=company.adam, now=clock.now())
    outbox.commit()
    assert asked(made) == {"ben": 1, "chloe": 1}
    assert mails(before) == [("approval-asked", "approver", "ben"), ("approval-asked", "approver", "chloe")]
    assert kinds(lines) == ["app.changed", "step.reassigned"]
    assert events("app.changed")[0]["facts"] == {
        "before": {"owner": {"person": company.otto.id, "group": None}},
        "after": {"owner": {"person": None, "group": company.finance.id}},
    }
    apps.set_owner(app, owner=None, actor=company.adam, now=clock.now())
    outbox.commit()
    assert steps(made) == [("open", "admins")]
    db.session.refresh(app)
    assert app.owner is None


def test_a_new_owner_is_nothing_to_a_step_that_its_approver_has(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    made = factories.request(company.rita, app)
    choose("write")
    apps.set_owner(app, owner=Approver(person=company.ben.id), actor=company.adam, now=clock.now())
    outbox.commit()
    assert asked(made) == {"ana": 1}


def test_the_audience_is_recorded_before_and_after(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    sales = factories.group("Sales", company.rita)
    choose("write")
    for audience in ([company.finance.id], [sales.id, company.finance.id, sales.id], []):
        apps.set_audience(app, groups=audience, actor=company.adam, now=clock.now())
        outbox.commit()
        assert app.for_everyone is (not audience)
        assert rows("audiences") == len(set(audience))
    both = sorted([company.finance.id, sales.id])
    assert [one["facts"] for one in events("app.changed")] == [
        {"before": {"audience": []}, "after": {"audience": [company.finance.id]}},
        {"before": {"audience": [company.finance.id]}, "after": {"audience": both}},
        {"before": {"audience": both}, "after": {"audience": []}},
    ]


@pytest.mark.parametrize("name", ["", " \n", "x" * 81, "salesforce", "ＳＡＬＥＳＦＯＲＣＥ"])
def test_a_name_that_is_empty_too_long_or_taken_is_refused(company: Company, name: str) -> None:
    factories.app("Salesforce", company.ana)
    with pytest.raises(Invalid) as refusal:
        apps.create(name=name, actor=company.adam, now=clock.now())
    assert set(refusal.value.fields) == {"name"}
    db.session.rollback()
    assert rows("apps") == 1


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example",
        "https://", "http://[", "http://[::1", "https:x", "x", "https://" + "x" * 500, "java\nscript:alert(1)",
    ],
)  # fmt: skip
def test_a_launch_link_that_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(Invalid) as refusal:
        apps.web_address(address)
    assert "launch_url" in refusal.value.fields


@pytest.mark.parametrize("address", ["", "https://x.example/a?b=c#d", "http://127.0.0.1:8000", "HTTPS://X.example"])
def test_a_web_address_is_taken_as_it_is(address: str) -> None:
    assert apps.web_address(f" {address} ") == address
