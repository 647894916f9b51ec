"""The catalog: which apps one finds, by which words, and what their button says."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import update

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.pages import words
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import Step

pytestmark = pytest.mark.both_engines


def names(answer):
    """The apps on the page, in order."""
    return re.findall(r'<h2 id="name-[^"]+">([^<]*)</h2>', pages.source(answer))


def archive(app):
    choose("write")
    db.session.merge(app).archived_at = clock.now()
    db.session.commit()


def test_one_finds_what_is_open_to_one_and_nothing_else(login_as, rita, ben, company):
    factories.app("For all")
    changes.only_for(factories.app("For Finance"), company.finance)
    factories.app("Not requestable", requestable=False)
    archive(factories.app("Gone"))
    assert names(login_as(rita).get("/catalog")) == ["For all"]
    assert names(login_as(ben).get("/catalog")) == ["For all", "For Finance"]
    page = words(login_as(rita).get("/catalog"))
    assert "1 app available to you." in page
    assert "For Finance" not in page


def test_an_app_outside_of_my_audience_is_found_by_no_path(login_as, rita, ana, company):
    hidden = changes.only_for(factories.app("For Finance", ana), company.finance)
    free = changes.only_for(factories.app("Free for Finance"), company.finance)
    browser = login_as(rita)
    assert names(browser.get("/catalog?q=finance")) == []
    assert browser.get(f"/catalog/{hidden.public_id}/request").status_code == 404
    assert browser.post(f"/catalog/{hidden.public_id}/request", {"message": "Please"}).status_code == 404
    assert browser.post(f"/catalog/{free.public_id}/grant").status_code == 404
    assert factories.rows("requests") == factories.rows("grants") == 0


@pytest.mark.parametrize("close", [archive, lambda app: shut(app)])
def test_an_app_that_was_closed_cannot_be_asked_for(login_as, rita, ana, close):
    wanted, free = factories.app("Wanted", ana), factories.app("Free")
    close(wanted), close(free)
    browser = login_as(rita)
    assert browser.get(f"/catalog/{wanted.public_id}/request").status_code == 404
    assert browser.post(f"/catalog/{wanted.public_id}/request", {"message": "Please"}).status_code == 404
    assert browser.post(f"/catalog/{free.public_id}/grant").status_code == 404


def shut(app):
    choose("write")
    db.session.merge(app).requestable = False
    db.session.commit()


def test_nothing_to_add_says_what_to_do(login_as, rita, adam):
    assert "No apps available yet" in words(login_as(rita).get("/catalog"))
    assert "turn on Requestable" in words(login_as(adam).get("/catalog"))


SEARCHES = {
    "salesforce": ["Salesforce"],
    "SALES": ["Salesforce"],
    "  crm   deals ": ["Salesforce"],
    "éco": ["École Ärzte"],
    "ÉCOLE": ["École Ärzte"],
    "e\u0301cole": ["École Ärzte"],  # typed in two signs
    "ärzte": ["École Ärzte"],
    "STRASSE": ["Straße 100%"],
    "100%": ["Straße 100%"],
    "%": ["Straße 100%"],
    "_": ["snake_case"],
    "!": [],
    "ﬁle": ["Straße 100%"],  # a ligature
    "design": ["snake_case", "École Ärzte"],  # the category
    "nothing like it": [],
    "'; DROP TABLE apps; --": [],
    "\\": [],
}


def test_search_goes_through_name_description_and_category(login_as, rita):
    factories.app("Salesforce", description="Customers and deals in one CRM", category="Sales")
    factories.app("École Ärzte", category="Design")
    factories.app("Straße 100%", description="file things")
    factories.app("snake_case", category="Design")
    browser = login_as(rita)
    for typed, found in SEARCHES.items():
        page = browser.get("/catalog", query_string={"q": typed})
        fragment = browser.get("/catalog", query_string={"q": typed}, htmx=True)
        assert names(page) == names(fragment) == found, typed
        assert pages.source(fragment).startswith('<div id="results">')
        assert "HX-Request" in fragment.headers["Vary"]
        if not found:
            assert f"No apps match “{typed}”" in words(page)


def test_a_category_narrows_and_counts(login_as, rita):
    for name, category in (("A", "Sales"), ("B", "Sales"), ("C", "R&D <b>"), ("D", "")):
        factories.app(name, category=category)
    browser = login_as(rita)
    page = browser.get("/catalog")
    assert "All apps 4" in words(page)
    assert "Sales 2" in words(page)
    assert "R&D <b> 1" in words(page)
    assert names(browser.get("/catalog", query_string={"category": "Sales"})) == ["A", "B"]
    assert names(browser.get("/catalog", query_string={"category": "R&D <b>"})) == ["C"]
    assert names(browser.get("/catalog", query_string={"category": "Sales", "q": "b"})) == ["B"]
    assert "No apps in this category" in words(browser.get("/catalog?category=None"))


def test_thirty_cards_a_page_and_every_app_once(login_as, rita):
    for number in range(65):
        factories.app(f"App {number:03d}", category="Many")
    browser = login_as(rita)
    for htmx in (False, True):
        seen, answer = [], browser.get("/catalog?category=Many&q=app")
        while True:
            seen.append(names(answer))
            more = re.search(r'hx-get="(/catalog\?[^"]+)"[^>]*>Show more apps', pages.source(answer))
            if more is None:
                break
            answer = browser.get(more[1].replace("&amp;", "&"), htmx=htmx)
        assert [len(page) for page in seen] == [30, 30, 5]
        assert [name for page in seen for name in page] == [f"App {number:03d}" for number in range(65)]


def test_broken_addresses_are_no_error(login_as, rita):
    factories.app("Apptio")
    browser = login_as(rita)
    after = ("²:x", "%00", "1:%00", "9999999999999999999999:x", ":", "x", "1:" + "z" * 5000)
    others = ("category=%00", "category=%FF%FE", "q=%00", "q=%ED%A0%80", "q=" + "x" * 5000)
    for query in (*(f"after={one}" for one in after), *others):
        for htmx in (False, True):
            assert browser.get(f"/catalog?{query}", htmx=htmx).status_code == 200, query


def test_the_button_says_how_it_stands_with_me(login_as, rita, otto, ana, company):
    factories.app("Free")
    factories.app("Single", ana)
    factories.app("Double", ana, company.finance)
    asked = factories.app("Asked", ana)
    made = factories.request(rita, asked)
    have = factories.app("Have")
    browser = login_as(rita)
    browser.post(f"/catalog/{have.public_id}/grant")
    page = browser.get("/catalog")
    told = words(page)
    assert "No approval needed Add" in told
    assert "Approval by Ana Request" in told
    assert "Ana, then Finance Request" in told
    assert re.search(r"Waiting for Ana, due \w{3} \d+ \w{3}(?: \d{4})?, \d\d:\d\d Requested", told)
    assert f'href="/requests/{made.public_id}"' in pages.source(page)
    assert "Added just now Added" in told
    other = words(login_as(otto).get("/catalog"))
    assert "Requested" not in other
    assert "Added" not in other


def test_a_request_that_waits_says_with_whom_and_until_when(login_as, rita, ana, adam, company):
    factories.request(rita, factories.app("Grouped", company.finance))
    owned = factories.request(rita, factories.app("Owned", ana, owner=adam))
    ours = factories.request(rita, factories.app("Ours", ana))
    changes.shift("steps", "due_at", timedelta(days=60), f"request_id = {ours.id}")
    page = words(login_as(rita).get("/catalog"))
    assert re.search(r"Waiting for Finance, due \w{3} \d+ \w{3}(?: \d{4})?, \d\d:\d\d Requested", page)
    assert re.search(r"Waiting for Ana, due \w{3} \d+ \w{3}(?: \d{4})?, \d\d:\d\d Requested", page)
    changes.deactivate(ana, adam)
    page = words(login_as(rita).get("/catalog"))
    assert re.search(r"Waiting for the app owner, due \w{3} \d+ [\w ,:]+ Requested", page)
    assert re.search(r"Waiting for the admins, due \w{3} \d+ [\w ,:]+ Requested", page)
    choose("write")
    db.session.execute(update(Step).where(Step.request_id == owned.id).values(tier="nobody"))
    db.session.commit()
    assert "No approver available Requested" in words(login_as(rita).get("/catalog"))


def test_what_is_overdue_can_be_asked_for_again_before_any_sweep(login_as, rita, ana):
    made = factories.request(rita, factories.app("Late", ana))
    factories.overdue(made)
    page = words(login_as(rita).get("/catalog"))
    assert "Approval by Ana Request" in page
    assert "Requested" not in page


def test_three_steps_are_counted(login_as, rita, ana, ben, otto):
    factories.app("Long", ana, ben, otto)
    assert "Approval by Ana and 2 others" in words(login_as(rita).get("/catalog"))


# ---------- Add ----------


def test_an_app_without_approval_is_mine_at_once(login_as, rita):
    app = factories.app("Apptio")
    answer = login_as(rita).post(f"/catalog/{app.public_id}/grant")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/catalog#app-{app.public_id}")
    assert lookups.mailed() == [("app-added", "Rita")]
    assert "Apptio" in words(login_as(rita).get("/"))


def test_the_fragment_is_the_card_and_a_toast(login_as, rita):
    app = factories.app("Apptio")
    answer = login_as(rita).post(f"/catalog/{app.public_id}/grant", htmx=True)
    assert answer.status_code == 200
    assert pages.source(answer).startswith(f'<li class="cs-card" id="app-{app.public_id}">')
    assert "Added" in words(answer)
    assert "Apptio added to your dashboard." in words(answer)


def test_adding_refuses_get_and_a_second_time(login_as, rita, ana):
    app = factories.app("Apptio")
    browser = login_as(rita)
    pages.assert_refuses_get(browser, f"/catalog/{app.public_id}/grant")
    browser.post(f"/catalog/{app.public_id}/grant")
    before = lookups.everything()
    for htmx in (False, True):
        answer = browser.post(f"/catalog/{app.public_id}/grant", htmx=htmx)
        assert answer.status_code == 409
        assert "You already have Apptio." in words(answer)
        if htmx:
            assert f'id="app-{app.public_id}" hx-swap-oob="true"' in pages.source(answer)
            assert "Added just now" in words(answer), "the card as it is now"
    assert lookups.everything() == before


def test_an_app_that_needs_approval_cannot_be_just_added(login_as, rita, ana):
    app = factories.app("Benevity", ana)
    answer = login_as(rita).post(f"/catalog/{app.public_id}/grant")
    assert answer.status_code == 409
    assert "Benevity now needs approval. Select Request instead." in words(answer)
    assert factories.rows("grants") == 0


def test_the_icon_of_an_app_without_a_picture_is_not_there(login_as, rita):
    app = factories.app("Apptio")
    for version in ("", "?v=", "?v=0000000000000000"):
        assert login_as(rita).get(f"/apps/{app.public_id}/icon{version}").status_code == 404


def test_who_opened_an_app_is_told_whom_to_ask_and_the_only_admin_that_it_is_marked(login_as, adam, otto, ana):
    app = factories.app("Figma", ana, owner=otto)
    changes.turn_approval_off(app, otto)
    browser = login_as(otto)
    for htmx in (False, True):
        answer = browser.post(f"/catalog/{app.public_id}/grant", htmx=htmx)
        assert answer.status_code == 409
        assert "You turned off approval for Figma, so someone else has to give you access. Ask Adam Weiss." in words(
            answer
        )
    own = factories.app("Zoom", ana)
    changes.turn_approval_off(own, adam)
    answer = login_as(adam).post(f"/catalog/{own.public_id}/grant", htmx=True)
    assert answer.status_code == 200
    assert "there is no other owner or admin, so this is marked in the audit log." in words(answer)
