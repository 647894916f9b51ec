"""The page behind a mail's link: who reads it, what it says, and that opening it decides nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.helpers import changes, factories, lookups, pages, rules
from tests.helpers.pages import words
from webapp import links
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.operations import groups, people
from webapp.workflow.states import Verdict


@pytest.fixture
def made(company):
    """Finance, then Ana."""
    return factories.request(company.rita, factories.app("Salesforce", company.finance, company.ana))


@pytest.fixture
def nobody(login_as):
    return login_as(None)


def hidden(answer):
    headers = answer.headers
    return (
        headers["Referrer-Policy"] == "no-referrer"
        and headers["Cache-Control"] == "no-store"
        and headers["X-Robots-Tag"] == "noindex"
    )


def test_the_link_shows_the_request_and_asks_for_the_code(nobody, ben, made):
    answer = nobody.get(lookups.link(made, ben))
    told = words(answer)
    assert answer.status_code == 200
    assert "Sent to Ben Okafor" in told
    assert "Rita Lindqvist requests Salesforce" in told
    assert "Code from the email" in told
    assert "Send the email again" in told
    assert "Do not ask for a code in this browser again" in told
    assert "Opening this page does not approve or deny anything." in told
    assert lookups.code(made, ben) not in pages.source(answer)
    remember = pages.source(answer).partition('name="remember"')[2].partition(">")[0]
    assert "checked" not in remember


def test_signed_in_as_the_same_person_there_is_no_code(login_as, ben, made):
    told = words(login_as(ben).get(lookups.link(made, ben)))
    assert "Your decision" in told
    assert "Code from the email" not in told
    assert "Do not ask for a code" not in told


def test_opening_it_changes_nothing_however_often(nobody, login_as, ben, otto, made):
    address = lookups.link(made, ben)
    readers = [nobody, login_as(ben), login_as(otto)]
    before = lookups.everything()
    for browser in readers:
        for _ in range(3):
            for htmx in (False, True):
                assert browser.get(address, htmx=htmx).status_code == 200
            head = browser.client.head(address)
            assert (head.status_code, head.data) == (200, b"")
            assert hidden(head)
    assert lookups.everything() == before


@pytest.mark.parametrize("path", ["approval", "denial", "code"])
def test_its_forms_refuse_get_and_head(nobody, ben, made, path):
    before = lookups.everything()
    pages.assert_refuses_get(nobody, f"{lookups.link(made, ben)}/{path}")
    assert nobody.client.head(f"{lookups.link(made, ben)}/{path}").status_code == 405
    assert lookups.everything() == before


def test_every_answer_at_such_an_address_is_hidden(app, nobody, login_as, ben, otto, made):
    address = lookups.link(made, ben)
    changes.shift("notices", "created_at", timedelta(minutes=-11))
    answers = [
        nobody.get(address),
        nobody.get("/decide/nonsense"),
        nobody.get(f"{address}/approval"),  # 405
        nobody.client.post(f"{address}/approval"),  # no CSRF token
        nobody.client.post(f"{address}/approval", headers={"Sec-Fetch-Site": "cross-site"}),
        nobody.post(f"{address}/approval"),  # no code
        nobody.post(f"{address}/denial", {"code": lookups.code(made, ben)}),  # no reason
        nobody.post(f"{address}/code"),
        nobody.get(address),
        login_as(otto).get(address),
        login_as(otto).post(f"{address}/approval"),
        login_as(ben).post(f"{address}/approval"),
        nobody.get(f"{address}/nothing/here"),
    ]
    assert [one.status_code for one in answers] == [200, 404, 405, 400, 403, 422, 422, 200, 200, 200, 403, 303, 404]
    assert all(hidden(one) for one in answers)


def test_one_page_for_every_link_that_is_not_ours(app, nobody, login_as, ben, otto, made):
    token = lookups.link(made, ben).removeprefix("/decide/")
    one = lookups.invitation(made, ben)
    unknown = links.approval_token("0" * 12, 1, one.key_id)
    as_code = links.code(one.public_id, one.round, one.key_id)
    password = links.password_token(one.public_id, one.round)
    browser = links.browser_token(one.public_id)
    flipped = token[:-2] + ("A" if token[-2] != "A" else "B") + token[-1]
    tokens = ["nonsense", "x" * 3000, unknown, as_code, password, browser, flipped, token[:-5], token + "A", "%FF%FE",
              "%E2%82%AC", token.split(".")[0], ".", token.upper()]  # fmt: skip
    for someone in (nobody, login_as(otto), login_as(ben)):
        answers = [someone.get(f"/decide/{bad}") for bad in tokens]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.data for answer in answers}) == 1, "the same bytes, so that nothing can be learnt"
        assert "This link does not work" in words(answers[0])
        way = 'href="/sign-in?next=/approvals">Sign in<' if someone is nobody else 'href="/approvals">Go to approvals<'
        assert way in pages.source(answers[0])
    for path in ("approval", "denial", "code"):
        answers = [nobody.post(f"/decide/{bad}/{path}", {"code": as_code}) for bad in ("nonsense", unknown, flipped)]
        assert len({(answer.status_code, answer.data) for answer in answers}) == 1
        assert answers[0].status_code == 404


def test_links_of_somebody_who_left_die_at_the_next_request(nobody, login_as, ben, adam, made):
    address, code, browser = lookups.link(made, ben), lookups.code(made, ben), login_as(ben)
    bad = nobody.get("/decide/nonsense").data
    assert nobody.get(address).status_code == 200
    changes.deactivate(ben, adam)
    before = lookups.everything()
    for answer in (nobody.get(address), browser.get(address)):
        assert (answer.status_code, answer.data) == (404, bad)
    for verdict in ("approval", "denial", "code"):
        answer = nobody.post(f"{address}/{verdict}", {"code": code, "reason": "No."})
        assert (answer.status_code, answer.data) == (404, bad)
    assert browser.get(f"/approvals/{made.public_id}").status_code == 303, "signed out"
    assert lookups.everything() == before


def test_coming_back_does_not_wake_the_old_link(nobody, ben, chloe, adam, made):
    old, code = lookups.link(made, ben), lookups.code(made, ben)
    changes.deactivate(ben, adam)
    choose("write")
    back = people.reactivate(db.session.merge(ben), actor=adam, now=factories.clock.now())
    commit()
    del back
    if lookups.invitation(made, ben).live:
        assert lookups.link(made, ben) != old
    answer = nobody.post(f"{old}/approval", {"code": code})
    assert answer.status_code == 409
    assert lookups.decisions(made) == []


# ---------- Honest states ----------


def state_of(nobody, made, person):
    before = lookups.everything()
    answer = nobody.get(lookups.link(made, person))
    assert answer.status_code == 200
    assert "Code from the email" not in words(answer)
    for verdict in ("approval", "denial"):
        refused = nobody.post(
            f"{lookups.link(made, person)}/{verdict}", {"code": lookups.code(made, person), "reason": "No."}
        )
        assert refused.status_code == 409
        title = words(answer).partition("Sign in ")[2][:30]
        assert title in words(refused)
    assert lookups.everything() == before
    return words(answer)


def test_decided_by_another_member_says_by_whom_and_who_has_it_now(nobody, ben, chloe, made):
    factories.decide(made, chloe)
    told = state_of(nobody, made, ben)
    assert "Waiting for Ana Moreau" in told
    assert "Chloe Tan already approved your step just now" in told


def test_decided_by_me_and_moved_on(nobody, ben, made):
    factories.decide(made, ben, comment="Fine.")
    told = state_of(nobody, made, ben)
    assert "You approved this, just now" in told
    assert "Waiting for Ana Moreau. You do not need to do anything." in told


def test_approved_in_the_end(nobody, ben, chloe, ana, made):
    factories.decide(made, chloe)
    factories.decide(made, ana)
    assert "Approved by Ana Moreau, just now" in state_of(nobody, made, ben)
    assert "Approved by you, just now" in state_of(nobody, made, ana)


def test_denied(nobody, ben, chloe, made):
    factories.decide(made, chloe, Verdict.DENIED, "Too dear.")
    told = state_of(nobody, made, ben)
    assert "Denied by Chloe Tan, just now" in told
    assert "for Finance" in told
    assert "Reason from Chloe Tan: “Too dear.”" in told


def test_expired_before_and_after_the_sweep(nobody, ben, made):
    factories.overdue(made)
    first = state_of(nobody, made, ben)
    assert "Expired " in first
    changes.sweep()
    assert "Expired " in state_of(nobody, made, ben)
    assert "No decision was made by the deadline. Rita can request Salesforce again;" in first


def test_withdrawn(nobody, rita, ben, made):
    changes.cancel(made, rita)
    told = state_of(nobody, made, ben)
    assert "Cancelled by Rita Lindqvist, just now" in told
    assert "Rita no longer needs Salesforce." in told


def test_withdrawn_in_their_place(nobody, ben, adam, made):
    changes.cancel(made, adam, reason="We are closing this account.")
    told = state_of(nobody, made, ben)
    assert "Cancelled by Adam Weiss, just now" in told
    assert "Rita did not get access to Salesforce." in told
    assert "Reason from Adam Weiss: “We are closing this account.”" in told


def test_no_longer_in_the_group(nobody, ben, adam, company, made):
    changes.leave(company.finance, ben, adam)
    answer = nobody.get(lookups.link(made, ben))
    assert answer.status_code == 404
    assert "You are no longer an approver for this request, so it is no longer shown to you." in words(answer)
    assert "Rita" not in words(answer) and "Benevity" not in words(answer)


def test_back_in_the_group_gets_a_new_link_and_the_old_one_only_shows(nobody, ben, adam, company, made):
    old, code = lookups.link(made, ben), lookups.code(made, ben)
    changes.leave(company.finance, ben, adam)
    choose("write")
    groups.add_member(db.session.merge(company.finance), db.session.merge(ben), actor=adam, now=factories.clock.now())
    commit()
    assert lookups.link(made, ben) != old
    answer = nobody.post(f"{old}/approval", {"code": code})
    assert answer.status_code == 409
    assert "There is a newer email" in words(nobody.get(old))
    assert nobody.post(f"{lookups.link(made, ben)}/approval", {"code": lookups.code(made, ben)}).status_code == 303


def test_what_was_set_is_told_to_those_who_may_see_it_and_who_owns_the_app(nobody, login_as, company, ben, ana, rita):
    """Finance sets the cost centre, which Ana's step does not see."""
    fields = (rules.text_field("role", requester=rules.WRITE), rules.text_field("cost"), rules.text_field("note"))
    policy = rules.rule(
        company.finance, ana, entitlements=fields, see=({"role": rules.READ, "cost": rules.WRITE}, {"role": rules.READ})
    )
    made = factories.request(rita, factories.app("Salesforce", policy=policy, owner=company.adam),
                             given={"role": ["Writer"]})  # fmt: skip
    of_ben = lookups.link(made, ben)
    factories.decide(made, ben, given={"cost": ["4711"]})
    of_ana = lookups.link(made, ana)
    assert "Role: Writer, Cost: 4711 · Request" in words(nobody.get(of_ben)), "while it is with the next"
    factories.decide(made, ana)
    page = f"/approvals/{made.public_id}"
    for told in (words(nobody.get(of_ben)), words(login_as(ben).get(of_ben)), words(login_as(ben).get(page))):
        assert "Role: Writer, Cost: 4711 · Request" in told
        assert "or contact Adam Weiss, the owner of Salesforce" in told
    for told in (words(nobody.get(of_ana)), words(login_as(ana).get(page))):
        assert "Role: Writer · Request" in told
        assert "4711" not in told
    for person in (rita, company.adam):
        told = words(login_as(person).get(page))
        assert "Writer" not in told and "4711" not in told, "who was not asked reads it on the request's page"
    assert "Adam Weiss, who owns" not in told


def test_a_group_that_owns_the_app_is_named_and_whoever_left_is_not(nobody, company, ana, ben, rita, adam):
    of_a_group = factories.request(rita, factories.app("Salesforce", ana, owner=company.finance))
    of_nobody = factories.request(rita, factories.app("Benevity", ana, owner=ben))
    changes.deactivate(ben, adam)
    for made in (of_a_group, of_nobody):
        factories.decide(made, ana)
    assert "or contact Finance, the owner of Salesforce." in words(nobody.get(lookups.link(of_a_group, ana)))
    assert "to add a comment." in words(nobody.get(lookups.link(of_nobody, ana)))


# ---------- Signed in as somebody else ----------


def test_the_session_wins_and_is_told_whose_link_it_is(login_as, ben, otto, made):
    address, code = lookups.link(made, ben), lookups.code(made, ben)
    browser = login_as(otto)
    before = lookups.everything()
    told = words(browser.get(address))
    assert "This link was sent to Ben Okafor" in told
    assert "You are signed in as Otto Brandt" in told
    assert "Salesforce" not in told
    for path in ("approval", "denial", "code"):
        for htmx in (False, True):
            answer = browser.post(f"{address}/{path}", {"code": code, "reason": "No."}, htmx=htmx)
            assert answer.status_code == 403
            assert "This link was sent to Ben Okafor" in words(answer)
    assert lookups.everything() == before


def test_another_approver_has_the_way_to_their_own(login_as, ben, chloe, adam, made):
    for person in (chloe, adam):
        answer = login_as(person).get(lookups.link(made, ben))
        assert f'href="/requests/{made.public_id}"' in pages.source(answer)
        assert "This link was sent to Ben Okafor" in words(answer)


def test_the_new_code_of_a_settled_request_refused_to_somebody_else_is_no_failure(login_as, rita, ben, otto, made):
    address = lookups.link(made, ben)
    changes.cancel(made, rita)
    assert login_as(otto).post(f"{address}/code").status_code == 403


def test_a_forwarded_mail_decides_without_a_session_and_not_with_the_requesters(nobody, login_as, rita, ben, made):
    """What SECURITY.md says: link and code together decide for the person they were mailed to. Where that is too
    little, the app asks for a sign-in. Signed in, the requester can do nothing with them."""
    address, code = lookups.link(made, ben), lookups.code(made, ben)
    before = lookups.everything()
    browser = login_as(rita)
    before = lookups.everything()
    for verdict in ("approval", "denial"):
        assert browser.post(f"{address}/{verdict}", {"code": code, "reason": "No."}).status_code == 403
    assert lookups.everything() == before
    assert nobody.post(f"{address}/approval", {"code": code}).status_code == 303
    assert lookups.decisions(made) == [("Ben", "approved", "code")]


def test_a_link_and_code_of_the_first_step_decide_nothing_in_the_second(nobody, company, ana):
    """Ana is asked in both steps, as herself and then in a group; each step has its own link."""
    platform = factories.group("Platform", ana, company.otto)
    made = factories.request(company.rita, factories.app("Salesforce", ana, platform))
    first, code = lookups.link(made, ana), lookups.code(made, ana)
    factories.decide(made, ana)
    second = lookups.link(made, ana)
    assert second != first
    step = db.session.execute(text("SELECT id FROM steps WHERE state = 'open'")).scalar_one()
    db.session.rollback()
    for form in ({"code": code}, {"code": code, "step": str(step)}):
        answer = nobody.post(f"{first}/approval", form)
        assert answer.status_code == 409
        assert nobody.post(f"{first}/denial", form | {"reason": "No."}).status_code == 409
    assert (lookups.state(made), len(lookups.decisions(made))) == ("pending", 1)
    assert nobody.post(f"{second}/approval", {"code": lookups.code(made, ana)}).status_code == 303
    assert lookups.state(made) == "approved"
