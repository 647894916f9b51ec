"""What a dialog was confirmed for is what is done: when something has changed meanwhile, it asks again."""

from __future__ import annotations

import pytest

from tests.helpers import factories, lookups
from tests.helpers.lookups import now
from tests.helpers.pages import flat, markup, question
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import groups, step_in

CHANGED = "This has changed since you opened the page. Nothing was saved. Check it and confirm again."


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_deactivation_that_would_do_more_than_it_said(admin, ana, rita, htmx):
    url = f"/admin/people/{ana.public_id}/deactivation"
    asked = question(admin.get(url, htmx=htmx))
    factories.request(rita, factories.app("Figma", ana))
    answer = admin.post(url, {"asked": asked}, htmx=htmx)
    assert answer.status_code == 409 and CHANGED in markup(answer)
    assert "1 request" in markup(answer) and now(ana).active
    assert admin.post(url, {"asked": question(answer)}, htmx=htmx).status_code == (200 if htmx else 303)
    assert not now(ana).active


@pytest.mark.parametrize("htmx", [False, True])
def test_a_group_that_has_another_member_now(admin, adam, otto, company, htmx):
    url = f"/admin/groups/{company.finance.public_id}/archive"
    asked = question(admin.get(url, htmx=htmx))
    choose("write")
    groups.add_member(db.session.merge(company.finance), db.session.merge(otto), actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.post(url, {"asked": asked}, htmx=htmx)
    assert answer.status_code == 409 and CHANGED in markup(answer) and "3 members will be removed." in flat(answer)
    assert now(company.finance).archived_at is None
    assert admin.post(url, {"asked": question(answer)}, htmx=htmx).status_code == (200 if htmx else 303)
    assert now(company.finance).archived_at is not None


@pytest.mark.parametrize("action", ["reassignment", "extension", "cancellation"])
@pytest.mark.parametrize("change", ["the next step", "another approver"])
def test_what_is_done_to_a_request_is_done_to_the_step_that_was_shown(admin, adam, ana, ben, rita, otto, company,
                                                                      action, change):  # fmt: skip
    made = factories.request(rita, factories.app("Figma", ana, company.finance))
    page = f"/admin/requests/{made.public_id}"
    asked = question(admin.get(page))
    if change == "the next step":
        factories.decide(made, ana)
    else:
        choose("write")
        step_in.reassign(factories.case_of(made), to=factories.approver(ben), name="Ben", actor=adam, reason="So.",
                          now=clock.now())  # fmt: skip
        outbox.commit()
    form = {"asked": asked, "decider": f"person:{otto.public_id}", "days": "30", "reason": "She is away."}
    before = lookups.everything()
    answer = admin.post(f"{page}/{action}", form)
    assert answer.status_code == 409 and CHANGED in markup(answer)
    assert "She is away." in markup(answer) and lookups.everything() == before
    assert admin.post(f"{page}/{action}", form | {"asked": question(answer)}).status_code == 303
