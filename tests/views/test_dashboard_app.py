"""The details of an app I have, and giving it back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.lookups import events
from tests.helpers.pages import words
from tests.helpers.rules import READ, WRITE, rule, text_field
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Grant
from webapp.operations import grants
from webapp.text import sha256

FIELDS = (
    text_field("wish", requester=WRITE),
    text_field("role", requester=READ, default="Reader"),
    text_field("secret", name="Inner code", default="4711"),
)


@pytest.fixture
def salesforce(company, ana, ben, otto):
    """Rita has it, by the word of Ana and Ben; Otto owns it."""
    policy = rule(ana, ben, entitlements=FIELDS)
    app = factories.app("Salesforce", policy=policy, owner=otto, launch_url="https://salesforce.example/")
    made = factories.request(company.rita, app, given={"wish": ["a red one"]})
    factories.decide(made, ana)
    factories.decide(made, ben)
    return app


def grant_of(person, app):
    db.session.rollback()
    return db.session.query(Grant).filter_by(person_id=person.id, app_id=app.id).order_by(Grant.id.desc()).first()


def test_the_details_say_what_i_have_since_when_and_who_approved_it(login_as, rita, salesforce):
    answer = login_as(rita).get(f"/apps/{salesforce.public_id}")
    told = words(answer)
    assert "Wish a red one set by you" in told and "Role Reader" in told
    assert "Inner code" not in told and "4711" not in told
    assert "Access since " in told
    assert "Approved by Ana Moreau, then Ben Okafor View request" in told
    assert "Contact Otto Brandt, the owner of Salesforce otto@example.com" in told
    assert 'href="https://salesforce.example/"' in pages.source(answer)
    assert '<dialog class="cs-dialog" aria-labelledby="d-title" open' in pages.source(answer)
    fragment = pages.source(login_as(rita).get(f"/apps/{salesforce.public_id}", htmx=True))
    assert fragment.lstrip().startswith("<dialog") and " open" not in fragment
    tile = pages.source(login_as(rita).get("/"))
    assert f'href="/apps/{salesforce.public_id}"' in tile and 'href="https://salesforce.example/"' in tile


def test_of_an_app_that_was_added_it_says_that_nobody_had_to_approve(login_as, rita):
    app = factories.app("Apptio")
    factories.grant(rita, app)
    browser = login_as(rita)
    told = words(browser.get(f"/apps/{app.public_id}"))
    assert "Approval Not needed. You added it yourself." in told and "Contact The admins" in told
    # Without an address of its own its name leads to the details.
    assert f'id="open-{app.public_id}" href="/apps/{app.public_id}"' in pages.source(browser.get("/"))


def test_of_an_app_that_somebody_granted_it_says_who_and_why(login_as, rita, otto, ana):
    app = factories.app("Salesforce", ana, owner=otto)
    choose("write")
    rule_now = factories.revision_of(app)
    grants.give(app, rule_now, person=rita, actor=otto, given={}, reason="New in the team.", now=clock.now())
    outbox.commit()
    told = words(login_as(rita).get(f"/apps/{app.public_id}"))
    assert "Approval Granted by Otto Brandt: “New in the team.”" in told and "View request" not in told


def test_nobody_sees_what_others_have(login_as, otto, adam, salesforce):
    for person in (otto, adam):
        browser = login_as(person)
        assert browser.get(f"/apps/{salesforce.public_id}").status_code == 404
        before = lookups.everything()
        assert browser.post(f"/apps/{salesforce.public_id}/return").status_code == 404
        assert lookups.everything() == before
    assert login_as(None).get(f"/apps/{salesforce.public_id}").headers["Location"].startswith("/sign-in")


@pytest.mark.both_engines
@pytest.mark.parametrize("htmx", [False, True])
def test_giving_back_ends_the_access_and_the_owner_is_told(login_as, rita, otto, adam, salesforce, htmx):
    browser, before = login_as(rita), lookups.mailed()
    answer = browser.post(f"/apps/{salesforce.public_id}/return", {"reason": " To\r\n<b>HubSpot</b>. "}, htmx=htmx)
    assert answer.headers.get("HX-Redirect" if htmx else "Location") == "/"
    kept = grant_of(rita, salesforce)
    assert (kept.state, kept.removed_by_id, kept.removed_reason) == ("removed", rita.id, "To\n<b>HubSpot</b>.")
    assert lookups.mailed()[len(before) :] == [("grant-returned", "Otto")]
    line = events()[-1]
    assert (line["kind"], line["actor"], line["person"], line["app"], line["facts"]["reason"]) == (
        "grant.removed", rita.id, rita.id, salesforce.id, sha256(kept.removed_reason),
    )  # fmt: skip
    home = browser.get("/")
    assert "Salesforce given back. The owner has been notified." in words(home)
    assert f"/apps/{salesforce.public_id}" not in pages.source(home)
    admin = login_as(adam)
    assert "gave <b>Salesforce</b> back" in pages.source(admin.get("/admin/audit"))
    assert "Given back" in words(admin.get(f"/admin/people/{rita.public_id}"))
    # And it can be had again.
    again = browser.post(f"/catalog/{salesforce.public_id}/request", {"message": "Again.", "field-wish": "blue"})
    assert again.headers["Location"].startswith("/requests/")


def test_get_is_refused_and_a_second_press_hears_that_it_is_gone(login_as, rita, salesforce):
    browser, path = login_as(rita), f"/apps/{salesforce.public_id}/return"
    pages.assert_refuses_get(browser, path)
    assert browser.post(path).status_code == 303
    before = lookups.everything()
    answer = browser.post(path)
    assert answer.status_code == 409 and "You no longer have Salesforce." in words(answer)
    assert browser.get(f"/apps/{salesforce.public_id}").status_code == 404
    assert lookups.everything() == before


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reason_that_is_too_long_comes_back_as_typed(login_as, rita, salesforce, htmx):
    long = "Ä" + "x" * 500
    answer = login_as(rita).post(f"/apps/{salesforce.public_id}/return", {"reason": long}, htmx=htmx)
    assert answer.status_code == 422
    assert "Use 500 characters or fewer. You entered 501." in words(answer)
    assert pages.typed(answer, long) and '<details class="cs-giveback" id="give-back" open>' in pages.source(answer)
    assert grant_of(rita, salesforce).state == "active"


def test_where_the_owner_gives_it_back_or_is_gone_the_admins_are_told(login_as, rita, otto, adam, company):
    own = factories.app("Own", owner=rita)
    shared = factories.app("Shared", owner=factories.group("Leads", rita, otto))
    nobodys = factories.app("Nobodys")
    for app in (own, shared, nobodys):
        factories.grant(rita, app)
    before = len(lookups.mailed())
    browser = login_as(rita)
    for app in (own, shared, nobodys):
        browser.post(f"/apps/{app.public_id}/return")
    told = [("grant-returned", who) for who in ("Adam", "Otto", "Adam")]
    assert lookups.mailed()[before:] == told
    assert "The admins have been notified." in words(browser.get("/"))


def test_adding_and_giving_back_in_turn_mails_the_owner_three_times_a_day(login_as, rita, otto):
    app = factories.app("Apptio", owner=otto)
    browser, path = login_as(rita), f"/apps/{app.public_id}/return"
    for status in (303, 303, 303, 409):
        browser.post(f"/catalog/{app.public_id}/grant")
        answer = browser.post(path)
        assert answer.status_code == status
    assert "Try again tomorrow or ask an admin to remove it." in words(answer)
    assert lookups.mailed().count(("grant-returned", "Otto")) == 3
    assert grant_of(rita, app).state == "active"
    changes.shift("grants", "removed_at", timedelta(days=-1), "removed_at IS NOT NULL")
    assert browser.post(path).status_code == 303
