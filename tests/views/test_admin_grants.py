"""An app's page of people: access granted without a request and removed, by owners too; and the table to take along."""

from __future__ import annotations

import csv
import io

import pytest

from tests.helpers import factories, pages, rules
from tests.helpers.lookups import facts
from tests.helpers.pages import is_fragment, markup
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Grant
from webapp.operations import apps, people


@pytest.fixture
def olga(company):
    return factories.with_password(factories.person("Olga Petrova"))


@pytest.fixture
def owner(login_as, olga):
    return login_as(olga)


@pytest.fixture
def hers(olga, ana):
    fields = (
        rules.text_field("seat", requester=rules.WRITE, name="Seat", required=True),
        rules.text_field("note", name="Note", default="standard"),
    )
    return factories.app("Salesforce", policy=rules.rule(ana, entitlements=fields), owner=olga)


def url(app, path="/grants"):
    return f"/admin/apps/{app.public_id}{path}"


def form(person, **more):
    return {"person": f"person:{person.public_id}", "rules": "1", "reason": "Needs it today.", "field-seat": "12",
            "field-note": "by <Olga>"} | more  # fmt: skip


def held(person):
    db.session.rollback()
    return db.session.query(Grant).filter_by(person_id=person.id, state="active").all()


# Granting


def test_an_owner_finds_a_person_and_grants_access_with_a_reason(owner, hers, rita, olga):
    page = markup(owner.get(url(hers, "/people")))
    assert f'href="{url(hers, "/grants/new")}"' in page
    assert "No matches for “zz”" in markup(owner.get(url(hers, "/grants/new?pick=person&q=zz")))
    found = markup(owner.get(url(hers, "/grants/new?pick=person&q=rita")))
    assert f'name="person"\n          value="person:{rita.public_id}"' in found
    asked = markup(owner.get(url(hers, f"/grants/new?person=person:{rita.public_id}")))
    assert 'name="field-seat"' in asked and 'value="standard"' in asked and 'name="reason"' in asked
    answer = owner.post(url(hers), form(rita))
    assert (answer.status_code, answer.headers["Location"]) == (303, url(hers, "/people"))
    page = pages.words(owner.get(url(hers, "/people")))
    assert "Rita Lindqvist has access to Salesforce and has been notified." in page
    assert "Seat 12 by Olga Petrova" in page and "Granted by Olga Petrova" in page and "“Needs it today.”" in page
    assert held(rita)[0].given_by_id == olga.id


def test_each_refusal_keeps_what_was_typed(owner, hers, rita, ben, olga, company):
    for wrong, sentence in (
        (form(rita, reason=""), "Enter a reason."),
        (form(rita, **{"field-seat": ""}), "Enter Seat."),
        (form(olga), "You cannot grant yourself access."),
        (form(rita) | {"person": "person:000000000000"}, "Choose a person."),
        (form(rita) | {"person": ""}, "Choose a person."),
    ):
        answer = owner.post(url(hers), wrong)
        assert answer.status_code == 422 and sentence in markup(answer), sentence
        assert "by <Olga>" in markup(answer) or sentence == "Choose a person."
    made = factories.request(rita, hers, given={"seat": ["1"]})
    answer = owner.post(url(hers), form(rita))
    assert answer.status_code == 422 and f'href="/requests/{made.public_id}"' in markup(answer)
    assert "It has to be approved, denied or cancelled first." in markup(answer)
    assert "pending request" in markup(owner.get(url(hers, f"/grants/new?person=person:{rita.public_id}")))
    choose("write")
    apps.change_policy(hers, comment_required=True, actor=company.adam, now=clock.now())
    outbox.commit()
    answer = owner.post(url(hers), form(ben))
    assert answer.status_code == 409 and "rules of Salesforce have just changed" in markup(answer)
    assert "by <Olga>" in markup(answer) and 'name="rules" value="2"' in markup(answer)
    assert held(rita) == held(ben) == []
    assert owner.post(url(hers), form(ben, rules="2")).status_code == 303
    again = owner.post(url(hers), form(ben, rules="2"))
    assert again.status_code == 422 and "Ben Okafor already has access to Salesforce." in markup(again)
    assert len(held(ben)) == 1


def test_outsiders_and_owners_of_other_apps_grant_and_remove_nothing(login_as, owner, hers, otto, rita):
    other = factories.app("Zoom", owner=otto)
    grant = factories.grant(rita, other)
    for browser, app in ((login_as(rita), hers), (owner, other), (login_as(otto), hers)):
        assert browser.post(url(app), form(rita)).status_code == 404
        for path in ("/grants/new", "/people", "/people.csv", f"/grants/{grant.public_id}/removal"):
            assert browser.get(url(app, path)).status_code == 404
        assert browser.post(url(app, f"/grants/{grant.public_id}/removal"), {"reason": "x"}).status_code == 404
    # A grant of another app is not reached through one's own.
    assert owner.post(url(hers, f"/grants/{grant.public_id}/removal"), {"reason": "x"}).status_code == 404
    assert owner.get(url(hers, f"/grants/{grant.public_id}/removal")).status_code == 404
    assert len(held(rita)) == 1


# Removing


def test_an_owner_removes_access_with_a_reason_and_comes_back_to_the_same_place(owner, olga, rita):
    app = factories.app("Zoom", owner=olga)
    grant = factories.grant(rita, app)
    where = url(app, f"/grants/{grant.public_id}/removal?q=rita&sort=-since")
    asked = owner.get(where, htmx=True)
    assert is_fragment(asked) and "Remove access of Rita Lindqvist?" in markup(asked) and "sort=-since" in markup(asked)
    assert "Remove access of Rita Lindqvist?" in markup(owner.get(where))
    for htmx in (False, True):
        refused = owner.post(where, {"reason": " "}, htmx=htmx)
        assert refused.status_code == 422 and is_fragment(refused) is htmx and "Enter a reason." in markup(refused)
    done = owner.post(where, {"reason": "Moved."})
    assert (done.status_code, done.headers["Location"]) == (303, url(app, "/people?q=rita&sort=-since"))
    assert held(rita) == []
    assert (facts("grant.removed")[-1]["actor"], facts("grant.removed")[-1]["app"]) == (olga.id, app.id)
    assert "Access to Zoom removed. Rita Lindqvist has been notified." in markup(owner.get(url(app, "/people")))
    again = owner.post(where, {"reason": "Moved."})
    assert again.status_code == 409 and "Olga Petrova has already removed this access." in markup(again)


# The list, and the table to take along


@pytest.mark.both_engines
def test_the_list_is_sorted_and_paged_by_name_and_by_since(owner, olga, monkeypatch):
    monkeypatch.setattr("webapp.queries.paging.PAGE", 2)
    app = factories.app("Zoom", owner=olga)
    for name in ("Cora C", "Abel A", "Dora D", "Bea B"):
        factories.grant(factories.person(name), app)

    def pages(sort):
        """The names, page by page to the end and back to the beginning."""
        order, key = [], ""
        for way in ("More", "Back"):
            while True:
                page = markup(owner.get(url(app, f"/people?sort={sort}{key}")))
                shown = [one for one in ("Abel", "Bea", "Cora", "Dora") if f">{one} " in page or f"{one} " in page]
                order.append(sorted(shown, key=lambda one: page.index(f"Remove access of {one}")))
                link = page.partition(">" + way + "</a>")[0].rpartition('href="')[2] if f">{way}</a>" in page else ""
                if not link:
                    break
                key = "&" + link.partition('"')[0].partition("?")[2].replace(f"sort={sort}&", "").replace("amp;", "")
        return order

    there_and_back = [[0, 1], [2, 3], [2, 3], [0, 1]]
    for sort, names in (("", "Abel Bea Cora Dora"), ("-name", "Dora Cora Bea Abel"), ("since", "Cora Abel Dora Bea"),
                        ("-since", "Bea Dora Abel Cora")):  # fmt: skip
        wanted = [[names.split()[at] for at in some] for some in there_and_back]
        assert pages(sort) == wanted, sort
    page = markup(owner.get(url(app, "/people?sort=-since")))
    assert page.count('aria-sort="descending"') == 1 and 'aria-sort="ascending"' not in page


def test_the_table_holds_what_the_search_finds_and_no_formula(owner, hers, rita, ben, olga, ana):
    owner.post(url(hers), form(rita, reason="=1+1", **{"field-note": "@SUM(A1)"}))
    made = factories.request(ben, hers, given={"seat": ["7"]})
    factories.decide(made, ana)
    answer = owner.get(url(hers, "/people.csv"), buffered=True)
    assert "attachment" in answer.headers["Content-Disposition"]
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).removeprefix("\ufeff"))))
    assert rows[0][:2] == ["Person", "Email"] and [row[0] for row in rows[1:]] == ["Ben Okafor", "Rita Lindqvist"]
    assert rows[1][6:8] == ["Approved by Ana Moreau", made.reference]
    assert rows[2][6:9] == ["Granted by Olga Petrova", "", "'=1+1"] and "Seat: 12" in rows[2][9]
    assert rows[2][4].endswith("Z") and "T" in rows[2][4]
    assert len(owner.get(url(hers, "/people.csv?q=ben"), buffered=True).get_data(as_text=True).splitlines()) == 2


@pytest.mark.both_engines
def test_the_table_takes_batches(owner, olga, monkeypatch):
    monkeypatch.setattr("webapp.queries.holders.BATCH", 2)
    app = factories.app("Zoom", owner=olga)
    for name in ("Cora C", "Abel A", "Dora D", "Bea B"):
        factories.grant(factories.person(name), app)
    for sort, first in (("", "Abel"), ("-name", "Dora"), ("-since", "Bea")):
        rows = owner.get(url(app, f"/people.csv?sort={sort}"), buffered=True).get_data(as_text=True).splitlines()
        assert len(rows) == 5 and rows[1].startswith(first), sort


# All apps of a person


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def test_all_apps_are_removed_for_one_reason(admin, login_as, rita, adam, olga, company):
    home = f"/admin/people/{rita.public_id}"
    mine = [factories.grant(rita, factories.app(name, owner=olga)) for name in ("Zoom", "Miro")]
    assert f'href="{home}/grants/removal"' in markup(admin.get(home))
    asked = admin.get(f"{home}/grants/removal", htmx=True)
    assert is_fragment(asked) and "Remove access to 2 apps?" in markup(asked)
    assert all(f'name="shown" value="{one.public_id}"' in markup(asked) for one in mine)
    assert "Remove access to 2 apps?" in markup(admin.get(f"{home}/grants/removal"))
    both = [one.public_id for one in mine]
    for htmx in (False, True):
        refused = admin.post(f"{home}/grants/removal", {"shown": both, "reason": ""}, htmx=htmx)
        assert refused.status_code == 422 and "Enter a reason." in markup(refused)
        stale = admin.post(f"{home}/grants/removal", {"shown": both[:1], "reason": "Rita <left>"}, htmx=htmx)
        assert stale.status_code == 409 and "apps of Rita Lindqvist have just changed" in markup(stale)
        assert "Rita <left>" in markup(stale) and len(held(rita)) == 2
    done = admin.post(f"{home}/grants/removal", {"shown": both, "reason": "Rita left."})
    assert done.status_code == 303 and held(rita) == []
    assert "Access to 2 apps removed. Rita Lindqvist has been notified." in markup(admin.get(home))
    assert login_as(company.otto).post(f"{home}/grants/removal", {"shown": both, "reason": "x"}).status_code == 404


def test_deactivating_can_remove_all_apps_in_the_same_step(admin, rita, otto, adam, olga):
    home = f"/admin/people/{rita.public_id}/deactivation"
    grant = factories.grant(rita, factories.app("Zoom", owner=olga))
    page = markup(admin.get(home, htmx=True))
    assert "Also remove access to the 1 app they have" in page and grant.public_id in page
    refused = admin.post(home, {"remove": "1", "shown": grant.public_id, "reason": ""}, htmx=True)
    assert refused.status_code == 422 and "Enter a reason." in markup(refused)
    stale = admin.post(home, {"remove": "1", "shown": "", "reason": "Gone."})
    assert stale.status_code == 409 and "Gone." in markup(stale)
    db.session.rollback()
    assert db.session.get(type(rita), rita.id, populate_existing=True).active and len(held(rita)) == 1
    assert admin.post(home, {"remove": "1", "shown": grant.public_id, "reason": "Gone."}).status_code == 303
    assert held(rita) == []
    kinds = [one for one in ("person.deactivated", "grant.removed") if facts(one)]
    assert kinds == ["person.deactivated", "grant.removed"]
    # Without the box the apps stay, whatever stands in the reason.
    kept = factories.grant(otto, factories.app("Miro"))
    away = f"/admin/people/{otto.public_id}/deactivation"
    assert admin.post(away, {"shown": kept.public_id, "reason": "Gone."}).status_code == 303
    assert len(held(otto)) == 1
    choose("write")
    people.reactivate(otto, actor=adam, now=clock.now())
    outbox.commit()


def test_the_pages_take_the_same_statements_with_few_and_with_many(owner, hers, rita, olga, admin):
    counts = []
    for number in (2, 30):
        app = factories.app(f"App {number}", owner=olga)
        someone = factories.person(f"Person {number}", email=f"n{number}@example.com")
        for index in range(number):
            factories.grant(someone, factories.app(f"Other {number} {index}"))
            factories.grant(factories.person(f"P{index} Q{number}", email=f"p{number}-{index}@example.com"), app)
        seen = []
        for browser, path in (
            (owner, url(app, "/people?sort=-since")),
            (owner, url(app, "/grants/new?pick=person&q=p")),
            (owner, url(app, f"/grants/new?person=person:{rita.public_id}")),
            (admin, f"/admin/people/{someone.public_id}/grants/removal"),
            (admin, f"/admin/people/{someone.public_id}/deactivation"),
        ):
            with counting() as counted:
                assert browser.get(path).status_code == 200
            seen.append(len(counted))
        counts.append(seen)
    assert counts[0] == counts[1]
