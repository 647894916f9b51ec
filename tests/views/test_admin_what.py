"""What would happen if somebody asked now, and taking over the rules of another app."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import EntitlementField
from webapp.operations import apps, people
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def ask(browser, app, person, htmx=True):
    url = f"/admin/apps/{app.public_id}/what-would-happen?person=person:{person.public_id}"
    return browser.get(url, htmx=htmx)


@pytest.fixture
def app_(ana, company):
    return factories.app("Salesforce", ana, company.finance, owner=company.adam)


@pytest.mark.parametrize("htmx", [True, False])
def test_the_chain_is_drawn_for_the_one_who_would_ask(admin, app_, rita, htmx):
    before = factories.rows("events"), factories.rows("notices"), factories.rows("requests")
    answer = ask(admin, app_, rita, htmx)
    page = flat(answer)
    assert answer.status_code == 200 and is_fragment(answer) is htmx
    drawn = page[page.index('id="what-drawn"') :]
    assert "Preview for Rita Lindqvist is shown below." in drawn
    order = ["Rita requests", "Email to Ana Moreau", "Ana Moreau", "Due", "Ben Okafor or Chloe Tan, for Finance",
             "3 days more", "Rita gets access", "Emails to Rita"]  # fmt: skip
    places = [drawn.index(one) for one in order]
    assert places == sorted(places)
    assert "cs-note is-wait" not in drawn
    # Asked for again after a rule was saved, it is drawn and not told.
    again = flat(admin.get(f"/admin/apps/{app_.public_id}/what-would-happen?person=person:{rita.public_id}&quiet=1",
                           htmx=True))  # fmt: skip
    assert "Rita requests" in again and "is shown below" not in again
    assert before == (factories.rows("events"), factories.rows("notices"), factories.rows("requests"))


def test_a_member_of_the_group_would_not_decide_for_themselves(admin, app_, ben):
    page = flat(ask(admin, app_, ben))
    assert "Chloe Tan, for Finance" in page
    assert "Only Chloe Tan can decide,</b> because Ben is in Finance." in page


def test_the_owner_stands_in_for_an_approver_who_asks_or_is_gone(admin, app_, ana, adam, rita):
    page = flat(ask(admin, app_, ana))
    assert "instead of Ana Moreau" in page
    assert "Step 1 would go to the app owner." in page and "Requesters cannot approve their own request." in page
    choose("write")
    people.deactivate(db.session.merge(ana), actor=adam, now=clock.now())
    outbox.commit()
    assert "Ana Moreau is deactivated." in flat(ask(admin, app_, rita))


def test_an_empty_group_and_an_app_without_owner_are_told(admin, rita, adam):
    app = factories.app("Zoom", factories.group("Legal"))
    page = flat(ask(admin, app, rita))
    assert "Step 1 would go to the admins." in page and "This group has no active members." in page
    assert "This app has no owner." in page
    page = flat(ask(admin, app, adam))
    assert "No one can decide step 1." in page and "Adam would not be able to send the request." in page
    assert "Adam does not get access" in page and "Adam gets access" not in page


def test_an_app_that_cannot_be_asked_for_says_so(admin, ana, rita, company):
    hidden = factories.app("Zoom", ana, requestable=False)
    page = flat(ask(admin, hidden, rita))
    assert "Zoom is not in the catalog." in page
    assert "Rita does not get access" in page and "Rita gets access" not in page
    free = factories.app("Slack")
    assert "Rita adds the app" in flat(ask(admin, free, rita))
    choose("write")
    apps.set_audience(db.session.merge(free), groups=[company.finance.id], actor=SYSTEM, now=clock.now())
    outbox.commit()
    page = flat(ask(admin, free, rita))
    assert "Rita cannot see Slack,</b> because they are not in any of its groups." in page
    assert "Rita has access" not in page and "Ben has access" in flat(ask(admin, free, company.ben))
    assert "cannot see" not in flat(ask(admin, free, company.ben))


def test_without_a_step_nobody_is_asked_and_nobody_gets_it(admin, rita, adam):
    app = factories.app("Zoom", policy=Policy(), owner=adam)
    page = flat(ask(admin, app, rita))
    assert "Now, but there is no approver" in page and "It has no steps yet" in page
    assert "Rita does not get access" in page and "Email to no one" not in page


def test_nobody_chosen_draws_nothing(admin, app_, company):
    for person in ("", "person:000000000000", f"group:{company.finance.public_id}"):
        answer = admin.get(f"/admin/apps/{app_.public_id}/what-would-happen?person={person}", htmx=True)
        assert answer.status_code == 200 and "what-drawn" not in markup(answer)
    assert admin.get("/admin/apps/000000000000/what-would-happen").status_code == 404


def test_the_rules_of_another_app_are_taken_over(admin, app_, ana, ben, adam, company):
    outcome = OutcomeRule(message="Welcome.", others=("crm@example.com",))
    policy = Policy(steps=(StepRule(Approver(ben.id), days=7), StepRule(Approver(ana.id))), days=9,
                    assurance=Assurance.SIGN_IN, comment_required=True)  # fmt: skip
    policy = replace(policy, outcomes={**policy.outcomes, RequestState.APPROVED: outcome})
    source = factories.app("Jira", policy=policy)
    kept = made(app_, adam, writer=ana)
    answer = admin.post(f"/admin/apps/{app_.public_id}/rules", {"source": source.public_id})
    assert answer.status_code == 303
    after = policy_of(app_)
    assert [(step.approver, step.days) for step in after.steps] == [(Approver(ben.id), 7), (Approver(ana.id), None)]
    assert (after.days, after.assurance, after.comment_required) == (9, Assurance.SIGN_IN, True)
    assert after.outcomes[RequestState.APPROVED] == outcome
    # The app keeps its own fields, and Ana what she could set.
    assert [one.id for one in after.entitlements] == [kept] and after.steps[1].visibility == {kept: Visibility.WRITE}
    assert facts("policy.copied")[-1]["source"] == source.id


def test_copied_steps_that_ask_somebody_twice_are_in_the_record(admin, app_, ben, company):
    policy = Policy(steps=(StepRule(Approver(ben.id)), StepRule(Approver(group=company.finance.id))))
    source = factories.app("Jira", policy=policy)
    assert admin.post(f"/admin/apps/{app_.public_id}/rules", {"source": source.public_id}).status_code == 303
    assert facts("policy.saved")[-1]["asked_twice"] == [ben.id]


def made(app, actor, name="Licence", writer=None):
    choose("write")
    row = factories.field(db.session.merge(app), name=name, writer=writer, actor=actor)
    outbox.commit()
    return row.public_id


def test_fields_are_copied_only_when_asked_for(admin, app_, ana, adam):
    source = factories.app("Jira", ana)
    theirs, own = made(source, adam, "Seat", Approver(ana.id)), made(app_, adam)
    data = {"source": source.public_id, "fields": "1"}
    answer = admin.post(f"/admin/apps/{app_.public_id}/rules", data, htmx=True)
    assert answer.status_code == 200 and "HX-Redirect" in answer.headers
    (one,) = policy_of(app_).entitlements
    assert one.name == "Seat" and one.id not in (theirs, own)
    assert policy_of(app_).steps[0].visibility == {one.id: Visibility.WRITE}
    rows = db.session.scalars(select(EntitlementField).where(EntitlementField.app_id == app_.id)).all()
    assert {row.name: row.archived_at is None for row in rows} == {"Licence": False, "Seat": True}
    assert policy_of(source).entitlements[0].id == theirs


@pytest.mark.parametrize("source", ["", "000000000000", "self"])
def test_rules_come_from_another_app_that_is_there(admin, app_, source):
    before = policy_of(app_)
    key = app_.public_id if source == "self" else source
    answer = admin.post(f"/admin/apps/{app_.public_id}/rules", {"source": key}, htmx=True)
    assert answer.status_code == 422 and "Choose an app from the list." in markup(answer)
    assert policy_of(app_) == before


def test_a_requestable_app_does_not_take_over_rules_without_steps(admin, app_):
    free = factories.app("Slack")
    answer = admin.post(f"/admin/apps/{app_.public_id}/rules", {"source": free.public_id}, htmx=True)
    assert answer.status_code == 409 and "Slack has no steps" in markup(answer)
    assert now(app_).requestable and len(policy_of(app_).steps) == 2
