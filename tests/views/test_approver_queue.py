"""Approvals: what waits for me, next deadline first; what I have decided and what came of it."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.pages import words
from tests.helpers.rules import HIDDEN, READ, WRITE, rule, text_field
from webapp.workflow.states import Verdict


def waiting(answer):
    """Who asks for what, in order."""
    return re.findall(r'<h3><a href="/approvals/[^"]+">([^<]+)</a></h3>', pages.source(answer))


def test_who_waits_stands_there_with_the_next_deadline_first(login_as, rita, otto, ana, adam):
    later = factories.request(rita, factories.app("Salesforce", ana), message="For the quarter.")
    factories.request(otto, factories.app("Benevity", ana))
    changes.shift("steps", "due_at", timedelta(days=2), f"request_id = {later.id}")
    factories.request(adam, factories.app("Other", otto))
    answer = login_as(ana).get("/approvals")
    assert waiting(answer) == ["Otto Brandt requests Benevity", "Rita Lindqvist requests Salesforce"]
    told = words(answer)
    assert "2 requests waiting for your decision. Next deadline:" in told
    assert "“For the quarter.”" in told
    assert "only you" not in told
    assert "4 days left" in told or "5 days left" in told


def test_only_what_is_live_and_in_time_waits(login_as, rita, ana, ben, company, adam):
    apps = {name: factories.app(name, ana) for name in ("Open", "Late", "Swept", "Gone", "Done")}
    made = {name: factories.request(rita, app) for name, app in apps.items()}
    factories.overdue(made["Swept"])
    changes.sweep()
    factories.overdue(made["Late"])
    changes.cancel(made["Gone"], rita)
    factories.decide(made["Done"], ana)
    factories.request(rita, factories.app("Left", company.finance))
    changes.leave(company.finance, ben, adam)
    assert waiting(login_as(ana).get("/approvals")) == ["Rita Lindqvist requests Open"]
    assert "1 request waiting for your decision." in words(login_as(ana).get("/approvals"))
    assert waiting(login_as(ben).get("/approvals")) == []
    assert "You are all caught up" in words(login_as(ben).get("/approvals"))


def test_a_group_member_sees_for_whom_and_which_step(login_as, rita, ana, ben, company):
    made = factories.request(rita, factories.app("Salesforce", ana, company.finance))
    assert waiting(login_as(ben).get("/approvals")) == []
    factories.decide(made, ana)
    assert "for Finance, step 2 of 2" in words(login_as(ben).get("/approvals"))


def test_a_stand_in_is_told_why(login_as, rita, ana, adam):
    factories.request(rita, factories.app("Benevity", ana, owner=adam))
    factories.request(rita, factories.app("Apptio", ana))
    changes.deactivate(ana, adam)
    told = words(login_as(adam).get("/approvals"))
    assert "as owner, instead of Ana Moreau" in told
    assert "as admin, instead of Ana Moreau" in told


def test_the_queue_shows_the_fields_of_the_step_and_not_the_requesters(login_as, rita, ana):
    fields = (text_field("wish", requester=WRITE), text_field("cost", default="4711"))
    policy = rule(ana, see=({"wish": HIDDEN, "cost": READ},), entitlements=fields)
    factories.request(rita, factories.app("Salesforce", policy=policy), given={"wish": ["a surprise"]})
    told = words(login_as(ana).get("/approvals"))
    assert "a surprise" not in told
    assert "Cost: 4711" in told


def test_the_queue_pages_by_deadline_and_step_even_when_all_are_due_at_once(login_as, ana, otto):
    people = [factories.person(f"Person{number:02d} Of Many") for number in range(35)]
    app = factories.app("Benevity", ana)
    for person in people:
        factories.request(person, app)
    due = factories.db.session.query(factories.Step).first().due_at
    factories.choose("write")
    factories.db.session.query(factories.Step).update({"due_at": due})
    factories.db.session.commit()
    browser = login_as(ana)
    first = browser.get("/approvals")
    more = re.search(r'href="(/approvals\?after=[^"]+)"', pages.source(first))
    second = browser.get(more[1])
    assert (len(waiting(first)), len(waiting(second))) == (30, 5)
    assert len(set(waiting(first) + waiting(second))) == 35
    assert "35 requests waiting for your decision." in words(first)


def test_broken_keys_are_no_error(login_as, ana):
    browser = login_as(ana)
    for after in ("x", ":", "1:x", "nan:1", "inf:1", "1e300:1", "-1e300:1", "0:" + "9" * 40, "0:²", "%00:1", "1:-1"):
        assert browser.get(f"/approvals?after={after}").status_code == 200, after
        assert browser.get(f"/approvals/decided?before={after}").status_code == 200, after
    for before in ("²", "9" * 30, "-5"):
        assert browser.get(f"/approvals/decided?before={before}").status_code == 200, before


def test_what_i_decided_says_what_came_of_it(login_as, rita, ana, ben, company):
    apps = ("Moving", "Yes", "No", "Overruled", "Gone", "Late")
    made = {name: factories.request(rita, factories.app(name, ana, company.finance)) for name in apps}
    for name, request in made.items():
        factories.decide(request, ana, Verdict.DENIED if name == "No" else Verdict.APPROVED)
    factories.decide(made["Yes"], ben)
    factories.decide(made["Overruled"], ben, Verdict.DENIED)
    changes.cancel(made["Gone"], rita)
    factories.overdue(made["Late"])
    changes.sweep()
    browser = login_as(ana)
    told = words(browser.get("/approvals/decided"))
    assert "Moving RL Rita Lindqvist Approved Waiting for Finance" in told
    assert "Yes RL Rita Lindqvist Approved Access granted" in told
    assert "No RL Rita Lindqvist Denied Denied" in told
    assert "Overruled RL Rita Lindqvist Approved Denied by Ben Okafor" in told
    assert "Gone RL Rita Lindqvist Approved Cancelled" in told
    assert "Late RL Rita Lindqvist Approved Expired at a later step" in told
    queue = words(browser.get("/approvals"))
    assert queue.count("Lindqvist Approved") + queue.count("Lindqvist Denied") == 5
    assert "View all decisions" in queue


def test_after_deciding_the_next_one_is_one_press_away(login_as, rita, otto, ana):
    for person, name in ((rita, "First"), (otto, "Second"), (rita, "Third")):
        made = factories.request(person, factories.app(name, ana))
        changes.shift("steps", "due_at", timedelta(hours=-1), f"request_id <> {made.id}")
    browser = login_as(ana)
    first = waiting_ids(browser)
    browser.post(f"/requests/{first[0]}/approval")
    page = browser.get(f"/approvals/{first[0]}")
    assert "2 more requests waiting for you" in words(page) and "Otto Brandt requests Second" in words(page)
    assert f'href="/approvals/{first[1]}" aria-describedby="next-what"' in pages.source(page)
    for one in first[1:]:
        browser.post(f"/requests/{one}/approval")
    assert "next-what" not in pages.source(browser.get(f"/approvals/{first[2]}"))


def test_the_menu_stays_for_whoever_is_signed_in_and_a_link_shows_none(login_as, rita, ana):
    made, other = (factories.request(rita, factories.app(name, ana)) for name in ("Salesforce", "Figma"))
    link = lookups.link(made, ana)
    for decided in (False, True):
        if decided:
            factories.decide(made, ana)
        for address in (f"/approvals/{made.public_id}", link):
            assert '<nav class="cs-nav" aria-label="Main">' in pages.source(login_as(ana).get(address))
        by_link = pages.source(login_as(None).get(link))
        assert "cs-nav" not in by_link and "Figma" not in by_link and other.public_id not in by_link


def waiting_ids(browser):
    return re.findall(r'<h3><a href="/approvals/(\w+)"', pages.source(browser.get("/approvals")))


def test_decisions_page_by_key(login_as, ana):
    app = factories.app("Benevity", ana)
    for number in range(32):
        factories.decide(factories.request(factories.person(f"Person{number:02d} Of Many"), app), ana)
    browser = login_as(ana)
    first = browser.get("/approvals/decided")
    older = re.search(r'href="(/approvals/decided\?before=\d+)"', pages.source(first))
    assert words(first).count("Many Approved") == 30
    assert words(browser.get(older[1])).count("Many Approved") == 2


def test_the_queue_needs_a_sign_in(login_as):
    for path in ("/approvals", "/approvals/decided", "/approvals/000000000000"):
        assert login_as(None).get(path).headers["Location"] == f"/sign-in?next={path}"
