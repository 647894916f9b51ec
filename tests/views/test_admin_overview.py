"""Admins see how requests fare: what is open, what was decided, how long it took, and what expires."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert, select, text

from bench.lists import explained, names
from tests.helpers import changes, factories, pages
from tests.helpers.pages import markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.admin.overview import told, told_in_full
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import AccessRequest, Decision, Step
from webapp.queries import overview as queries
from webapp.text import public_id

HOUR = timedelta(hours=1)


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def scope(app):
    return queries.Scope(None, clock.now() - timedelta(days=84), clock.now())


def settled(app, person, approver, hours, state="approved"):
    """Requests that were decided an hour ago, so many hours after the ask, with a step and a decision each."""
    made = factories.request(person, app)
    factories.decide(made, approver)
    if not hours:
        return
    choose("write")
    done = clock.now() - HOUR
    merged, keys = db.session.merge(made), AccessRequest.__mapper__
    columns = {
        one.key: getattr(merged, keys.get_property_by_column(one).key) for one in AccessRequest.__table__.columns
    }
    del columns["id"]
    rows = [
        columns | {"public_id": public_id(), "state": state, "created_at": done - one * HOUR, "settled_at": done}
        for one in hours
    ]
    ids = db.session.scalars(insert(AccessRequest).returning(AccessRequest.id), rows).all()
    steps = db.session.scalars(
        insert(Step).returning(Step.id),
        [
            {"request_id": id, "position": 0, "state": state, "approver_person_id": approver.id, "days": 3,
             "opened_at": done - one * HOUR, "settled_at": done}
            for id, one in zip(ids, hours, strict=True)
        ],
    ).all()  # fmt: skip
    if state in ("approved", "denied"):
        db.session.execute(
            insert(Decision),
            [
                {"step_id": id, "person_id": approver.id, "verdict": state, "channel": "browser", "created_at": done}
                for id in steps
            ],
        )
    db.session.commit()


def test_an_empty_installation_says_what_will_be_here(admin):
    page = pages.words(admin.get("/admin/overview"))
    assert (
        "Pending requests 0" in page
        and "No decisions in the last 12 weeks" in page
        and "No requests are due in the next 7 days." in page
    )


def test_percentiles_are_interpolated_alike_on_both_engines(app, scope, company):
    salesforce = factories.app("Salesforce", company.ana)
    settled(salesforce, company.rita, company.ana, [1, 2, 3, 4, 10])
    settled(factories.app("Zoom", company.ben), company.rita, company.ben, [])
    by_app = {one.name: one for one in queries.pace_by_app(scope)}
    # With the request made just now, which took no time: 0, 1, 2, 3, 4, 10 hours.
    found = by_app["Salesforce"]
    assert found.count == 6
    assert found.median / 3600 == pytest.approx(2.5, abs=0.01)
    assert found.p90 / 3600 == pytest.approx(7.0, abs=0.01)
    assert by_app["Zoom"].count == 1 and by_app["Zoom"].median == pytest.approx(0, abs=60)
    by_approver = {one.name: one for one in queries.pace_by_approver(scope)}
    assert by_approver["Ana Moreau"].p90 / 3600 == pytest.approx(7.0, abs=0.01)
    whole = queries.pace(scope)
    assert whole.count == 7 and whole.median / 3600 == pytest.approx(2.0, abs=0.01)


def test_only_these_apps_are_looked_at_when_asked(app, scope, company):
    ours, theirs = factories.app("Salesforce", company.ana), factories.app("Zoom", company.ben)
    settled(ours, company.rita, company.ana, [1, 2])
    settled(theirs, company.rita, company.ben, [5])
    factories.request(company.otto, theirs)
    mine = queries.Scope({ours.id}, scope.since, clock.now())
    assert [one.name for one in queries.pace_by_app(mine)] == ["Salesforce"]
    assert [one.name for one in queries.pace_by_approver(mine)] == ["Ana Moreau"]
    assert sum(queries.ages(mine)) == 0 and sum(queries.ages(scope)) == 1
    nothing = queries.Scope(set(), scope.since, clock.now())
    assert queries.pace(nothing) is None and queries.pace_by_approver(nothing) == []
    assert queries.requested_and_settled(nothing, scope.since) == (0, 0)


def test_what_an_admin_decided_past_the_steps_is_nobodys_time(app, scope, company):
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    choose("write")
    factories.decisions.decide(
        factories.case_of(made), actor=company.adam, verdict=factories.Verdict.APPROVED, comment="Now.",
        proof=factories.STEP_IN, now=clock.now(),
    )  # fmt: skip
    db.session.commit()
    assert queries.pace_by_approver(scope) == [] and len(queries.pace_by_app(scope)) == 1


def test_the_page_shows_ages_outcomes_and_what_expires(admin, company):
    app = factories.app("Salesforce", company.ana)
    settled(app, company.rita, company.ana, [1, 30], "denied")
    settled(factories.app("Zoom", company.ana), company.otto, company.ana, [80], "expired")
    made = factories.request(company.otto, app)
    changes.shift("requests", "created_at", timedelta(hours=-50), f"id = {made.id}")
    page = pages.words(admin.get("/admin/overview"))
    assert "Pending requests 1" in page and "2 to 3 days 1" in page
    assert "Median time to decision" in page and "4 decided requests" in page
    assert "Salesforce for Otto Brandt Waiting for Ana Moreau, due" in page
    source = markup(admin.get("/admin/overview"))
    assert 'role="img"' in source and "style=" not in source
    assert source.count('<svg class="cs-plot cs-wide-only"') == source.count('<svg class="cs-plot cs-phone-only"')
    last = source[source.index("Week of") :].split("</tr>")[12]
    assert [one.partition("<")[0] for one in last.split('cs-num">')[1:]] == ["2", "2", "1"]


def test_one_app_is_chosen_by_its_address(admin, company):
    app = factories.app("Salesforce", company.ana)
    factories.request(company.rita, factories.app("Zoom", company.ana))
    page = pages.words(admin.get(f"/admin/overview?app={app.public_id}"))
    assert "Last 12 weeks · Salesforce" in page and "Pending requests 0" in page
    assert admin.get("/admin/overview?app=000000000000").status_code == 404


def test_admin_leads_to_the_overview_and_others_find_nothing(admin, login_as, otto):
    assert login_as(otto).get("/admin/overview").status_code == 404
    assert login_as(None).get("/admin/overview").headers["Location"].startswith("/sign-in?next=")
    assert admin.post("/admin/overview").status_code == 405


def test_the_page_takes_the_same_statements_with_few_and_many_requests(admin, company):
    app = factories.app("Salesforce", company.ana)
    settled(app, company.rita, company.ana, [1])
    factories.request(company.otto, app)
    counts = []
    for more in (0, 30, 300):
        if more:
            settled(factories.app(f"App {more}", company.ben), company.rita, company.ben, [1] * more)
        with counting() as seen:
            assert admin.get("/admin/overview").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=15)
    assert db.session.scalars(select(AccessRequest.id)).first()


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_what_all_decisions_are_read_for_is_in_indices(app, company):
    settled(factories.app("Salesforce", company.ana), company.rita, company.ana, [1] * 300)
    scope = queries.Scope(None, clock.now() - HOUR / 2, clock.now())
    choose("write")
    db.session.execute(text("ANALYZE"))
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    db.session.execute(text("SET LOCAL enable_bitmapscan = off"))
    for read, expected in (
        (lambda: queries.pace(scope), {"ix_requests_settled"}),
        (lambda: queries.pace_by_app(scope), {"ix_requests_settled"}),
        (lambda: queries.outcomes(scope, [scope.since, scope.now]), {"ix_requests_settled"}),
        (lambda: queries.pace_by_approver(scope), {"ix_decisions_created"}),
    ):
        assert expected <= set(names(explained(read), of="Index Only Scan"))


def test_times_are_told_in_the_unit_that_fits():
    assert [told(one) for one in (0, 20, 90, 3600, 27000, 86400, 112320, 172800)] == [
        "0", "1 min", "2 min", "1 h", "7.5 h", "1 day", "1.3 days", "2 days",
    ]  # fmt: skip
    assert [" ".join(told_in_full(one)) for one in (0, 20, 90, 3600, 27000, 86400, 172800)] == [
        "0 minutes", "1 minute", "2 minutes", "1 hour", "7.5 hours", "1 day", "2 days",
    ]  # fmt: skip


def test_an_owner_sees_their_apps_only(login_as, company):
    mine = factories.app("Salesforce", company.ana, owner=company.finance)
    theirs = factories.app("Zoom", company.ana, owner=company.otto)
    settled(mine, company.rita, company.ana, [1])
    factories.request(company.rita, theirs)
    browser = login_as(company.ben)
    page = pages.words(browser.get("/admin/overview"))
    assert "Last 12 weeks · your apps" in page and "Pending requests 0" in page and "2 decided requests" in page
    assert "Zoom" not in page and "Setup" not in page
    assert browser.get(f"/admin/overview?app={theirs.public_id}").status_code == 404
    assert browser.get(f"/admin/overview?app={mine.public_id}").status_code == 200
