"""Admins see all apps in one list, create them by name, and turn the two switches in it."""

from __future__ import annotations

import re

import pytest

from tests.helpers import factories
from tests.helpers.changes import turn_off
from tests.helpers.lookups import app_called, facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App
from webapp.operations import apps
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import Policy


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def many_apps(number, first=0):
    choose("write")
    for index in range(first, first + number):
        apps.create(
            name=f"Tool {index:04d}", actor=SYSTEM, now=clock.now(), policy=Policy(approval_required=False),
            requestable=True,
        )  # fmt: skip
    outbox.commit()


def switch(browser, app, name, *, on, was, htmx=False, row=True):
    data = {"was": "on" if was else "off"} | ({"on": "1"} if on else {}) | ({"back": "/admin/apps"} if row else {})
    return browser.post(f"/admin/apps/{app.public_id}/{name}", data, htmx=htmx)


# Who may


@pytest.mark.parametrize(
    "path", ["/admin", "/admin/apps", "/admin/apps/new", "/admin/choices?field=owner", "/admin/people",
             "/admin/people/new", "/admin/groups", "/admin/groups/new"],
)  # fmt: skip
def test_people_who_are_no_admins_find_nothing_and_others_sign_in_first(login_as, company, path):
    assert login_as(company.otto).get(path).status_code == 404
    nobody = login_as(None).get(path)
    assert nobody.status_code == 303
    assert nobody.headers["Location"].startswith("/sign-in?next=/admin")


def test_an_outsider_changes_nothing(login_as, otto, ana):
    app = factories.app("Benevity", ana)
    page = f"/admin/apps/{app.public_id}"
    outsider = login_as(otto)
    assert outsider.get(page).status_code == 404
    assert outsider.post("/admin/apps", {"name": "Mine"}).status_code == 404
    for section in ("details/name", "requestable", "approval-required", "comment-required", "assurance", "audience",
                    "note", "owner", "steps/new", "time-limit"):  # fmt: skip
        assert outsider.post(f"{page}/{section}", {"was": "on"}).status_code == 404
        assert login_as(None).post(f"{page}/{section}", {"was": "on"}).headers["Location"] == "/sign-in"
    assert app_called("Mine") is None
    assert now(app).requestable


# The list


def test_apps_are_found_by_their_owner(admin, ana, otto, company):
    for name, owner in (("Zoom", ana), ("Concur", company.finance), ("Apptio", None), ("Trello", otto)):
        factories.app(name, ana, owner=owner)
    page = flat(admin.get("/admin/apps"))
    choices = re.findall(r'<option value="(?:person|group):\w+">([^<]*)', page)
    assert choices == ["Ana Moreau", "Finance", "Otto Brandt"]
    assert ">Any owner</option>" in page
    for owner, found in ((f"person:{ana.public_id}", "Zoom"), (f"group:{company.finance.public_id}", "Concur")):
        page = flat(admin.get(f"/admin/apps?owner={owner}"))
        assert f'<option value="{owner}" selected>' in page and "1 of 1, by name" in page and f">{found}<" in page
        assert f"?state=requestable&owner={owner.replace(':', '%3A')}" in page
    none = flat(admin.get(f"/admin/apps?owner=person:{ana.public_id}&q=concur"))
    assert "No apps match your search" in none
    # Who owns nothing, or is nobody, is no choice.
    assert "4 of 4, by name" in flat(admin.get(f"/admin/apps?owner=person:{company.ben.public_id}"))


def test_an_owner_has_no_owners_to_choose_from(login_as, ana):
    factories.app("Zoom", owner=ana)
    assert "Any owner" not in markup(login_as(ana).get("/admin/apps"))


def test_the_list_shows_owner_category_pending_and_people(admin, ana, rita, otto, company):
    salesforce = factories.app("Salesforce", ana, owner=company.finance, category="Sales")
    factories.request(rita, salesforce)
    factories.request(otto, salesforce)
    factories.app("Snowflake", requestable=False, policy=Policy())
    page = markup(admin.get("/admin/apps"))
    assert "Salesforce" in page and "Sales" in page and "Finance" in page
    assert "2 pending" in page
    assert "No approver yet" in page
    assert "2 of 2, by name" in page
    assert 'aria-label="Requestable: Salesforce"' in page


def test_an_empty_list_says_what_to_do(admin):
    page = markup(admin.get("/admin/apps"))
    assert "No apps yet" in page
    assert "New app" in page


def test_the_search_looks_at_name_category_and_description(admin):
    factories.app("Zoom", category="Teamwork", description="Video calls")
    factories.app("Concur", category="Finance")
    for typed in ("zoo", "teamW", "calls video"):
        answer = admin.get("/admin/apps", query_string={"q": typed}, htmx=True)
        assert is_fragment(answer)
        assert "Zoom" in markup(answer) and "Concur" not in markup(answer)
    nothing = markup(admin.get("/admin/apps", query_string={"q": "100%"}))
    assert "No apps match your search" in nothing


def test_apps_are_found_by_state_and_category_and_each_state_has_its_number(admin, ana):
    factories.app("Zoom", category="Teamwork", owner=ana)
    factories.app("Concur", category="Finance", owner=ana, requestable=False)
    factories.app("Apptio", category="Finance")
    choose("write")
    apps.archive(factories.app("Dropbox", category="Teamwork", owner=ana), actor=ana, now=clock.now())
    outbox.commit()
    names = ("Zoom", "Concur", "Apptio", "Dropbox")
    for query, found in (
        ("", {"Zoom", "Concur", "Apptio"}),
        ("?state=requestable", {"Zoom", "Apptio"}),
        ("?state=not+requestable", {"Concur"}),
        ("?state=no+owner", {"Apptio"}),
        ("?state=archived", {"Dropbox"}),
        ("?category=Finance", {"Concur", "Apptio"}),
        ("?category=Finance&state=requestable&q=app", {"Apptio"}),
        ("?state=nonsense", {"Zoom", "Concur", "Apptio"}),
    ):
        page = markup(admin.get(f"/admin/apps{query}"))
        assert {name for name in names if f"<span>{name}" in page} == found, query
    tabs = flat(admin.get("/admin/apps?category=Finance"))
    for state, number in (("Active", 2), ("Requestable", 1), ("Not requestable", 1), ("No owner", 1), ("Archived", 0)):
        assert f">{state} <span>{number}</span></a>" in tabs
    assert "?state=no+owner&category=Finance" in tabs
    assert '<option value="Finance" selected>' in tabs


def test_who_owns_apps_is_told_of_those_only(login_as, ana):
    factories.app("Zoom", category="Teamwork", owner=ana)
    factories.app("Concur", category="Finance")
    page = flat(login_as(ana).get("/admin/apps"))
    assert ">Active <span>1</span>" in page and ">Requestable <span>1</span>" in page
    assert "Archived" not in page and "No owner" not in page
    assert "Teamwork" in page and "Finance" not in page
    assert "Zoom" in markup(login_as(ana).get("/admin/apps?state=archived"))  # no state of theirs


def test_an_archived_app_has_no_switches_but_can_be_restored(admin, ana):
    choose("write")
    apps.archive(factories.app("Dropbox", ana), actor=ana, now=clock.now())
    outbox.commit()
    page = markup(admin.get("/admin/apps?state=archived"))
    assert 'aria-label="Restore Dropbox"' in page and 'role="switch"' not in page
    assert "All apps are archived" in markup(admin.get("/admin/apps"))


@pytest.mark.parametrize(
    "query, sentence",
    [("?state=not+requestable", "All apps are requestable"), ("?state=no+owner", "All apps have an owner"),
     ("?state=archived", "No archived apps"), ("?category=Sales", "No apps match your search")],
)  # fmt: skip
def test_a_filter_that_finds_nothing_says_so_and_leads_back(admin, ana, query, sentence):
    factories.app("Zoom", owner=ana)
    page = markup(admin.get(f"/admin/apps{query}"))
    assert sentence in page and "Show all apps" in page
    assert "No apps yet" not in page


def test_pages_and_switches_keep_the_filters(admin):
    many_apps(60)
    page = flat(admin.get("/admin/apps?state=requestable&q=tool"))
    last = app_called("Tool 0049").public_id
    assert f"/admin/apps?q=tool&state=requestable&after={last}" in page
    assert 'name="back" value="/admin/apps?q=tool&state=requestable"' in page
    assert '<input type="hidden" name="state" value="requestable">' in page


def test_pages_follow_each_other_by_name(admin):
    many_apps(120)
    first = markup(admin.get("/admin/apps"))
    assert "Tool 0049" in first and "Tool 0050" not in first
    assert "50 of 120" in first
    key = lambda name: app_called(name).public_id  # noqa: E731
    second = markup(admin.get(f"/admin/apps?after={key('Tool 0049')}"))
    assert "Tool 0050" in second and "Tool 0049" not in second and "Tool 0099" in second
    third = markup(admin.get(f"/admin/apps?after={key('Tool 0099')}"))
    assert "Tool 0119" in third and "20 of 120" in third
    back = markup(admin.get(f"/admin/apps?before={key('Tool 0100')}"))
    assert "Tool 0050" in back and "Tool 0099" in back and "Tool 0100" not in back
    assert "Tool 0000" in markup(admin.get("/admin/apps?after=0000NOTTHERE"))


def test_beyond_a_thousand_the_count_is_round(admin, monkeypatch):
    monkeypatch.setattr("webapp.queries.app_list.COUNTED", 1000)
    many_apps(1001)
    assert "50 of 1,000+, by name" in markup(admin.get("/admin/apps"))


def test_the_list_takes_the_same_statements_with_1_30_and_300_apps(admin, ana, rita):
    factories.request(rita, factories.app("Benevity", ana, owner=ana))
    counts = []
    for more in (0, 29, 270):
        many_apps(more, first=more)
        with counting() as seen:
            assert admin.get("/admin/apps").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=7)


# A new app


def test_a_name_is_enough(admin, adam):
    answer = admin.post("/admin/apps", {"name": "  Salesforce "})
    app = app_called("Salesforce")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/apps/{app.public_id}")
    assert not app.requestable and policy_of(app).approval_required
    assert app.owner_person_id == adam.id
    assert facts("app.created")[-1]["actor"] == adam.id
    assert "Salesforce created." in markup(admin.get(answer.headers["Location"]))


def test_htmx_is_sent_to_the_new_app(admin):
    answer = admin.post("/admin/apps", {"name": "Zoom"}, htmx=True)
    assert answer.headers["HX-Redirect"] == f"/admin/apps/{app_called('Zoom').public_id}"


@pytest.mark.parametrize("htmx", [False, True])
def test_a_name_that_cannot_be_taken_stays_in_the_dialog(admin, htmx):
    factories.app("Zoom")
    for name, sentence in (
        ("zoom", "An app with the name zoom already exists."),
        ("", "Enter a name."),
        ("x" * 81, "An app name can have up to 80 characters."),
    ):
        answer = admin.post("/admin/apps", {"name": name}, htmx=htmx)
        assert answer.status_code == 422
        assert is_fragment(answer) is htmx
        assert sentence in markup(answer) and f'value="{name}"' in markup(answer)
    assert factories.rows("apps") == 1


def test_the_dialog_is_a_page_without_script_and_a_fragment_with_it(admin):
    assert "aria-modal" in markup(admin.get("/admin/apps/new"))
    fragment = admin.get("/admin/apps/new", htmx=True)
    assert is_fragment(fragment) and "<dialog" in markup(fragment)


# The switches


def test_requestable_is_turned_off_and_on_in_the_list(admin, ana, adam):
    app = factories.app("Benevity", ana)
    answer = switch(admin, app, "requestable", on=False, was=True)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/apps#app-{app.public_id}")
    assert not now(app).requestable
    assert switch(admin, app, "requestable", on=True, was=False).status_code == 303
    assert now(app).requestable
    last = facts("app.changed")[-1]
    assert (last["actor"], last["before"], last["after"]) == (adam.id, {"requestable": False}, {"requestable": True})


def test_htmx_gets_the_row_back_and_saved(admin, ana):
    app = factories.app("Benevity", ana)
    answer = switch(admin, app, "requestable", on=False, was=True, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer)
    assert markup(answer).lstrip().startswith(f'<tr id="app-{app.public_id}"')
    assert "Saved" in markup(answer) and "Not in the catalog" in markup(answer)


def test_an_app_that_needs_approval_and_has_no_approver_cannot_be_requestable(admin):
    app = factories.app("Snowflake", policy=Policy(), requestable=False)
    for htmx in (False, True):
        answer = switch(admin, app, "requestable", on=True, was=False, htmx=htmx)
        assert answer.status_code == 409
        assert "Choose an approver for Snowflake first or turn off Approval required." in markup(answer)
    assert not now(app).requestable
    section = switch(admin, app, "requestable", on=True, was=False, htmx=True, row=False)
    assert section.status_code == 409
    assert 'aria-invalid="true"' in markup(section) and "Choose an approver" in markup(section)


def test_approval_turned_on_without_an_approver_takes_the_app_out_of_the_catalog_and_says_so(admin):
    app = factories.app("Zoom")
    answer = switch(admin, app, "approval-required", on=True, was=False, htmx=True)
    assert answer.status_code == 200
    assert "Zoom was removed from the catalog. Choose an approver to make it requestable again." in markup(answer)
    assert policy_of(app).approval_required and not now(app).requestable


def test_approval_is_turned_off_for_the_next_request_only(admin, ana, rita):
    app = factories.app("Benevity", ana)
    pending = factories.request(rita, app)
    assert "1 request for Benevity is pending" in markup(switch(admin, app, "approval-required", on=False, was=True))
    assert policy_of(app).approval_required
    answer = turn_off(admin, app, pending="finish")
    assert answer.status_code == 303
    assert not policy_of(app).approval_required
    assert now(pending).state == "pending"
    assert facts("policy.saved")[-1]["approval_required"] is False


@pytest.mark.parametrize("name", ["requestable", "approval-required"])
def test_a_switch_that_somebody_else_turned_meanwhile_is_a_conflict_and_shows_how_it_is(admin, ana, name):
    app = factories.app("Benevity", ana)
    assert switch(admin, app, name, on=False, was=True).status_code == 303
    before = factories.rows("events")
    for htmx in (False, True):
        answer = switch(admin, app, name, on=False, was=True, htmx=htmx)
        assert answer.status_code == 409
        assert "Someone else changed" in markup(answer)
    assert markup(answer).lstrip().startswith("<tr") and "Saved" not in markup(answer)
    assert factories.rows("events") == before


def test_one_switch_is_no_conflict_for_the_other(admin, ana):
    app = factories.app("Benevity", ana)
    switch(admin, app, "requestable", on=False, was=True)
    assert switch(admin, app, "approval-required", on=False, was=True).status_code == 303


def test_the_switches_are_not_turned_by_looking(admin, ana):
    app = factories.app("Benevity", ana)
    for name in ("requestable", "approval-required"):
        assert admin.get(f"/admin/apps/{app.public_id}/{name}").status_code == 405


def test_the_way_back_leads_nowhere_else(admin, ana):
    app = factories.app("Benevity", ana)
    answer = admin.post(f"/admin/apps/{app.public_id}/requestable", {"was": "on", "back": "https://evil.example/"})
    assert answer.headers["Location"].startswith(f"/admin/apps/{app.public_id}")


def test_an_app_that_is_not_there_is_not_found(admin, ana):
    assert admin.get("/admin/apps/000000000000").status_code == 404
    assert admin.post("/admin/apps/000000000000/requestable", {"was": "on"}).status_code == 404
    app = factories.app("Trello", ana)
    choose("write")
    db.session.get(App, app.id).archived_at = clock.now()
    db.session.commit()
    assert admin.get(f"/admin/apps/{app.public_id}").status_code == 404
    assert "Trello" not in markup(admin.get("/admin/apps"))
