"""Seeing follows the right: who left, or was replaced, sees and hears no more of a request, unless they decided it."""

from __future__ import annotations

import pytest

from tests.helpers import changes, factories, lookups
from tests.helpers.pages import words
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.extensions import db
from webapp.models import Invitation, Notice
from webapp.notices import why_obsolete
from webapp.operations import apps, groups, people, step_in
from webapp.queries import directory, notice_status
from webapp.workflow.states import Verdict

pytestmark = pytest.mark.both_engines


@pytest.fixture
def made(rita, ana, company):
    """Finance is asked, then Ana."""
    return factories.request(rita, factories.app("Salesforce", company.finance, ana, owner=company.otto))


def pages(made):
    return (f"/requests/{made.public_id}", f"/approvals/{made.public_id}")


def sees(login_as, person, made):
    """By every page, by writing a comment, and by the link: all the same."""
    browser = login_as(person)
    found = {browser.get(page).status_code == 200 for page in pages(made)}
    found.add(browser.post(f"/requests/{made.public_id}/comments", {"comment": "Hello."}).status_code == 303)
    invitation = db.session.query(Invitation).filter_by(request_id=made.id, person_id=person.id).first()
    if invitation is not None:
        token = links.approval_token(invitation.public_id, invitation.round, invitation.key_id)
        db.session.rollback()
        page = login_as(None).get(f"/decide/{token}")
        found.add(page.status_code == 200)
        assert ("Rita" in words(page)) is (page.status_code == 200)
    assert len(found) == 1, found
    return found.pop()


def told(made, person):
    """What of the request is still mailed to the person, once the worker looks."""
    db.session.rollback()
    choose("write")
    for claim in jobs.drop_obsolete(outbox.claim(1000)):
        now = notice_status.statuses([claim.id], claim.lease)[claim.id]
        if reason := why_obsolete(now):
            outbox.mark_obsolete({claim: reason})
        else:
            outbox.mark_sent(claim)
    sent = db.session.query(Notice).filter_by(request_id=made.id, person_id=person.id, state="sent")
    found = [one.kind for one in sent.order_by(Notice.id)]
    db.session.rollback()
    return found


def act(operation, **values):
    choose("write")
    directory.lock(exclusive=True)
    operation(**values, now=clock.now())
    outbox.commit()


@pytest.mark.parametrize("end", ["pending", "approved", "denied", "cancelled"])
def test_who_left_the_group(login_as, made, ben, chloe, ana, rita, adam, company, end):
    assert told(made, ben) == ["approval-asked"] and sees(login_as, ben, made)
    changes.leave(company.finance, ben, adam)
    before = told(made, ben)
    if end == "cancelled":
        changes.cancel(made, rita)
    elif end != "pending":
        factories.decide(made, chloe, Verdict.DENIED if end == "denied" else Verdict.APPROVED)
        if end == "approved":
            factories.decide(made, ana)
    assert not sees(login_as, ben, made)
    assert sees(login_as, chloe, made) and sees(login_as, rita, made)
    changes.comment(made, rita, "One more thing.")
    assert told(made, ben) == before
    assert "Salesforce" not in words(login_as(ben).get("/approvals"))


def test_who_decided_sees_it_still(login_as, made, ben, adam, company, ana):
    factories.decide(made, ben)
    changes.leave(company.finance, ben, adam)
    assert sees(login_as, ben, made)
    factories.decide(made, ana)
    assert sees(login_as, ben, made)


def test_who_stayed_and_did_not_decide_sees_it_still(login_as, made, ben, chloe):
    assert told(made, chloe) == ["approval-asked"]
    factories.decide(made, ben)
    assert sees(login_as, chloe, made) and told(made, chloe) == ["approval-asked", "request-settled"]


def test_a_mail_that_waits_is_not_sent_to_who_has_left_meanwhile(made, ben, chloe, adam, company, ana):
    assert told(made, ben) == ["approval-asked"]
    factories.decide(made, chloe, Verdict.DENIED)  # a word for Ben is due
    changes.leave(company.finance, ben, adam)
    assert told(made, ben) == ["approval-asked"]


def test_whoever_it_was_taken_from(login_as, made, ben, chloe, ana, adam, rita):
    choose("write")
    step_in.reassign(factories.case_of(made), to=factories.approver(ana), name="Ana", actor=adam, reason="So.",
                      now=clock.now())  # fmt: skip
    outbox.commit()
    assert not sees(login_as, ben, made) and sees(login_as, ana, made)
    before = told(made, ben)
    changes.cancel(made, rita)
    assert told(made, ben) == before


def test_who_no_longer_owns_the_app_or_is_an_admin(login_as, made, otto, adam, company):
    app = factories.case_of(made).app
    assert sees(login_as, otto, made)
    act(apps.set_owner, app=app, owner=factories.approver(company.ana), actor=adam)
    assert not sees(login_as, otto, made)
    ada = factories.person("Ada Berg", admin=True)
    assert sees(login_as, ada, made)
    act(people.set_admin, person=db.session.merge(ada), is_admin=False, actor=adam)
    assert not sees(login_as, ada, made)


def test_a_stand_in_sees_it_while_it_stands_in(login_as, rita, ana, otto, adam):
    made = factories.request(rita, factories.app("Figma", ana, owner=otto))
    act(people.deactivate, person=db.session.merge(ana), actor=adam)
    act(apps.set_owner, app=factories.case_of(made).app, owner=None, actor=adam)
    assert not sees(login_as, otto, made) and sees(login_as, adam, made)


def test_who_comes_back_sees_it_again(login_as, made, ben, adam, company):
    changes.leave(company.finance, ben, adam)
    act(groups.add_member, group=db.session.merge(company.finance), person=db.session.merge(ben), actor=adam)
    assert sees(login_as, ben, made)


@pytest.mark.parametrize("end", [False, True])
def test_links_that_went_to_a_replaced_address_show_nothing(login_as, made, ben, adam, end):
    old = lookups.link(made, ben)
    if end:
        factories.decide(made, ben, Verdict.DENIED)
    assert login_as(None).get(old).status_code == 200
    act(people.change_details, person=db.session.merge(ben), name=ben.name, email="b@example.com", about="", actor=adam)
    answer = login_as(None).get(old)
    assert answer.status_code == 404 and "Salesforce" not in words(answer)
    for action in ("approval", "denial", "code"):
        assert login_as(None).post(f"{old}/{action}", {"code": "123456"}).status_code == 404
    if not end:
        assert login_as(None).get(lookups.link(made, ben)).status_code == 200
    assert login_as(ben).get(f"/requests/{made.public_id}").status_code == 200
