"""Who owns an app and is no admin: they edit its rules and see its requests and people, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.helpers import changes, factories, lookups, pages, rules
from tests.helpers.changes import turn_off
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, markup
from tests.helpers.statements import counting
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import AccessRequest, App
from webapp.workflow.states import RequestState

YOURS = "You have a pending request for Salesforce, so you cannot change its rules."


@pytest.fixture
def olga(company):
    return factories.person("Olga Petrova")


@pytest.fixture
def hers(olga, ana):
    return factories.app("Salesforce", ana, owner=olga)


@pytest.fixture
def owner(login_as, olga, hers):
    return login_as(olga)


def url(app, path=""):
    return f"/admin/apps/{app.public_id}{path}"


def test_the_navigation_leads_an_owner_to_their_apps_and_nobody_else(owner, login_as, rita, adam):
    assert '<a href="/admin/apps">' in flat(owner.get("/")) and "Apps you own" in markup(owner.get("/"))
    for person in (rita, adam):
        assert "Apps you own" not in markup(login_as(person).get("/"))


def test_the_list_holds_only_what_is_theirs(owner, hers, ana, company, olga):
    factories.app("Zoom", ana, owner=company.adam)
    theirs = factories.app("Figma", ana, owner=factories.group("Design", olga))
    page = owner.get("/admin/apps")
    assert "Apps you own" in markup(page) and "Zoom" not in markup(page)
    assert url(hers) in markup(page) and url(theirs) in markup(page)
    for absent in ("New app", "/admin/people", "/admin/groups", "/admin/audit", "/admin/mail"):
        assert absent not in markup(page)


def test_a_member_of_the_owning_group_is_an_owner_until_they_leave_it(login_as, ben, chloe, otto, ana, company):
    app = factories.app("NetSuite", ana, owner=company.finance)
    assert [login_as(one).get(url(app)).status_code for one in (ben, chloe, otto)] == [200, 200, 404]
    browser = login_as(ben)
    changes.leave(company.finance, ben, company.adam)
    assert browser.get(url(app)).status_code == 404
    assert browser.get("/admin/apps").status_code == 404


def test_an_owner_edits_the_rules_and_the_record_says_who(owner, hers, olga, ben):
    answer = owner.post(url(hers, "/steps/new"), {"step": f"person:{ben.public_id}"}, htmx=True)
    assert answer.status_code == 200 and "Saved" in markup(answer)
    assert len(policy_of(hers).steps) == 2
    assert facts("policy.saved")[-1]["actor"] == olga.id
    assert owner.post(url(hers, "/comment-required"), {"was": "off", "on": "1"}, htmx=True).status_code == 200
    assert "Ben decides" not in markup(owner.get(url(hers)))
    assert owner.get(url(hers, "/mails/approved")).status_code == 200


def test_another_owners_app_is_not_there(owner, ana, company):
    other = factories.app("Zoom", ana, owner=company.adam)
    for path in ("", "/requests", "/people", "/what-would-happen", "/mails/denied"):
        assert owner.get(url(other, path)).status_code == 404
    before = lookups.everything()
    assert owner.post(url(other, "/note"), {"note": "Mine."}).status_code == 404
    assert lookups.everything() == before


def test_owner_and_archive_are_an_admins_and_say_so(owner, hers, olga):
    page = markup(owner.get(url(hers)))
    assert "An admin can change this." in page and "An admin can archive this app or choose another owner." in page
    assert 'id="set-owner"' in page and 'name="owner"' not in page and 'id="archive"' not in page
    assert owner.post(url(hers, "/owner"), {"owner": "", "was": "{}"}).status_code == 404
    assert owner.get(url(hers, "/archive")).status_code == 404
    assert owner.post(url(hers, "/archive"), {"pending": "finish"}).status_code == 404
    assert now(hers).owner_person_id == olga.id and now(hers).archived_at is None


def test_an_archived_app_is_nobodys_but_the_admins(owner, hers):
    choose("write")
    db.session.get(App, hers.id).archived_at = factories.clock.now()
    db.session.commit()
    assert owner.get(url(hers)).status_code == 404
    assert owner.get("/admin/apps").status_code == 404


def test_an_owner_describes_the_app_and_an_admin_sets_where_it_leads(owner, hers, adam, login_as):
    def details(browser, **values):
        row = now(hers)
        ((key, text),) = values.items()
        was = json.dumps({key: getattr(row, key)}, ensure_ascii=False)
        return browser.post(url(hers, f"/details/{key}"), {"was": was, key: text}, htmx=True)

    page = markup(owner.get(url(hers)))
    assert "An admin sets it." in page and 'name="launch_url"' not in page
    admin = login_as(adam)
    assert 'name="launch_url"' in markup(admin.get(url(hers)))
    assert details(admin, launch_url="https://crm.example/").status_code == 200
    assert details(owner, description="Customers.").status_code == 200
    assert (now(hers).description, now(hers).launch_url) == ("Customers.", "https://crm.example/")
    for link in ("https://evil.example/", ""):
        answer = details(owner, launch_url=link)
        assert answer.status_code == 422 and "Only an admin can change the app URL." in markup(answer)
    assert (now(hers).description, now(hers).launch_url) == ("Customers.", "https://crm.example/")


def test_rules_are_copied_from_their_own_apps_only(owner, hers, olga, ana, ben, company):
    mine = factories.app("Figma", ben, owner=olga)
    other = factories.app("Zoom", ben, owner=company.adam)
    page = markup(owner.get(url(hers)))
    assert f'<option value="{mine.public_id}"' in page and f'<option value="{other.public_id}"' not in page
    answer = owner.post(url(hers, "/rules"), {"source": other.public_id})
    assert answer.status_code == 422 and "Choose an app from the list." in markup(answer)
    assert owner.post(url(hers, "/rules"), {"source": mine.public_id}).status_code == 303
    assert policy_of(hers).steps[0].approver.person == ben.id


@pytest.mark.parametrize("way", ["approve", "cancel"])
def test_an_owner_lets_pending_requests_finish_and_no_more(owner, hers, rita, way):
    made = factories.request(rita, hers)
    asked = owner.post(url(hers, "/approval-required"), {"was": "on"}, htmx=True)
    assert "To approve or cancel them all, ask an admin." in markup(asked)
    assert 'value="finish"' in markup(asked) and 'value="approve"' not in markup(asked)
    refused = turn_off(owner, hers, pending=way, why="Now.")
    assert refused.status_code == 409 and "Only an admin can approve or cancel them all." in markup(refused)
    assert lookups.state(made) == "pending" and policy_of(hers).approval_required
    assert turn_off(owner, hers, pending="finish").status_code == 303
    assert lookups.state(made) == "pending" and not policy_of(hers).approval_required


def test_the_apps_requests_with_each_ones_page(owner, hers, rita, otto, ana):
    made, other = factories.request(rita, hers), factories.request(otto, factories.app("Zoom", ana))
    page = markup(owner.get(url(hers, "/requests")))
    assert f'href="/requests/{made.public_id}"' in page and other.public_id not in page
    assert owner.get(f"/requests/{made.public_id}").status_code == 200
    assert owner.get(f"/requests/{other.public_id}").status_code == 404
    # No stepping in.
    for path in ("cancellation", "reassignment", "extension"):
        assert owner.post(f"/admin/requests/{made.public_id}/{path}", {"reason": "x"}).status_code == 404
    assert owner.get("/admin/requests").status_code == 404
    assert "Rita Lindqvist" not in markup(owner.get(url(hers, "/requests?state=denied")))
    found = owner.get(url(hers, "/requests?q=work"), htmx=True)
    assert "<html" not in markup(found) and made.public_id in markup(found)


def test_the_requests_page_without_any_says_what_will_come(owner, hers):
    assert "No requests for Salesforce yet" in markup(owner.get(url(hers, "/requests")))


def test_who_has_it_with_fields_since_when_and_why(owner, hers, login_as, olga, rita, otto, ana, adam):
    fields = (rules.text_field("role", requester=rules.WRITE, name="Role"),)
    app = factories.app("Figma", policy=rules.rule(ana, entitlements=fields), owner=olga)
    made = factories.request(rita, app, given={"role": ["Editor"]})
    factories.decide(made, ana)
    page = pages.words(owner.get(url(app, "/people")))
    assert "Rita Lindqvist" in page and "Role Editor by Rita Lindqvist" in page and "Approved by Ana Moreau" in page
    assert "Otto" not in page and "1 of 1, by name" in page
    assert f"/admin/people/{rita.public_id}" not in markup(owner.get(url(app, "/people")))
    assert f"/admin/people/{rita.public_id}" in markup(login_as(adam).get(url(app, "/people")))
    assert "No people match “otto”" in markup(owner.get(url(app, "/people?q=otto")))
    assert "No one has access to Salesforce yet" in markup(owner.get(url(hers, "/people")))


def test_who_has_it_is_paged_by_name(owner, olga):
    app = factories.app("Apptio", owner=olga)
    people = [factories.person(f"Person{number:02d} Many", email=f"p{number}@example.com") for number in range(51)]
    for one in people:
        factories.grant(one, app)
    first = markup(owner.get(url(app, "/people")))
    assert "50 of 51, by name" in first and "Person50 Many" not in first
    rest = markup(owner.get(url(app, f"/people?after={people[49].public_id}")))
    assert "Person50 Many" in rest and "Person49 Many" not in rest


def test_the_lists_take_the_same_statements_with_one_and_with_many(owner, olga):
    app = factories.app("Apptio", owner=olga)
    counts = []
    for number in (1, 30):
        for index in range(number):
            someone = factories.person(f"P{number}x{index} Q", email=f"p{number}-{index}@example.com")
            factories.grant(someone, app)
        with counting() as seen:
            assert owner.get(url(app, "/people")).status_code == 200
        with counting() as more:
            assert owner.get("/admin/apps").status_code == 200
        counts.append((len(seen), len(more)))
    assert counts[0] == counts[1]
    assert counts[0][0] <= 8 and counts[0][1] <= 6, counts


@pytest.mark.parametrize("who", ["owner", "admin"])
def test_nobody_changes_the_rules_of_an_app_they_have_asked_for(owner, hers, olga, login_as, adam, ana, who):
    person, browser = (olga, owner) if who == "owner" else (adam, login_as(adam))
    made = factories.request(person, hers)
    page = markup(browser.get(url(hers)))
    assert YOURS in page and '<fieldset class="cs-rules" disabled>' in page
    before = lookups.everything()
    rule = now(hers)
    tries = {
        "/requestable": {"was": "on"},
        "/approval-required": {"was": "on", "pending": "finish"},
        "/comment-required": {"was": "off", "on": "1"},
        "/assurance": {"assurance": "sign_in", "was": '{"assurance": "code"}'},
        "/audience": {"audience": f"group:{factories.group('Legal').public_id}", "was": '{"audience": []}'},
        "/note": {"note": "For us.", "was": '{"note": ""}'},
        "/steps/new": {"step": f"person:{adam.public_id}"},
        f"/steps/{factories.step_id(hers, ana)}/time-limit": {"days": "9"},
        "/time-limit": {"days": "9", "was": '{"days": "3"}'},
        "/fields": {"name": "Role", "kind": "text"},
    }
    before = lookups.everything()
    for path, form in tries.items():
        answer = browser.post(url(hers, path), form)
        assert answer.status_code == 409 and YOURS in markup(answer), path
    assert lookups.everything() == before and now(hers).policy_revision_id == rule.policy_revision_id
    # What it is called is no rule.
    was = {"was": json.dumps({"description": rule.description}, ensure_ascii=False)}
    answer = browser.post(url(hers, "/details/description"), {"description": "Customers."} | was)
    assert answer.status_code == 303
    # And nobody decides it themselves.
    for path in ("approval", "denial"):
        assert browser.post(f"/requests/{made.public_id}/{path}", {"reason": "x"}).status_code == 403
    assert lookups.state(made) == RequestState.PENDING.value
    factories.decide(db.session.get(AccessRequest, made.id), ana)
    assert YOURS not in markup(browser.get(url(hers)))
    assert browser.post(url(hers, "/note"), {"note": "For us.", "was": '{"note": ""}'}).status_code == 303
