"""How many statements a page and a change take: the same with 1, 30 and 300 rows, and one commit for a change.

Counted are cursor executions, the session's own included; BEGIN and COMMIT are none.
"""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert

from tests.conftest import SQLITE, Browser
from tests.helpers import changes, factories, lookups
from tests.helpers.rules import READ, WRITE, rule, text_field
from tests.helpers.statements import Count, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db, keyring
from webapp.models import AccessRequest, App, Comment, Decision, Grant, Invitation, Person, Step
from webapp.text import public_id

ROWS = (1, 30, 300)


def statements(browser: Browser, path: str, **kwargs: Any) -> Count:
    with counting() as count:
        answer = browser.get(path, **kwargs)
    assert answer.status_code == 200
    assert count.commits == 0, "reading changes nothing"
    return count


FIELDS = (text_field("role", requester=WRITE), text_field("cost"))


def many_apps(company: Any, number: int) -> list[App]:
    """Apps with two steps and fields, as rows: made one by one they would take longer than all else here."""
    template = factories.app(
        "Template",
        policy=rule(company.ana, company.finance, see=({"role": READ, "cost": WRITE},), entitlements=FIELDS),
        owner=company.adam,
        category="Many",
    )
    choose("write")
    columns = {key.key: getattr(template, key.key) for key in App.__table__.columns if key.key != "id"}
    rows = [
        {**columns, "public_id": public_id(), "name": f"App {one:03d}", "sort_key": f"app {one:03d}"}
        for one in range(number - 1)
    ]
    if rows:
        db.session.execute(insert(App), rows)
    db.session.commit()
    return list(db.session.query(App).order_by(App.id))


def crowd(number: int) -> list[int]:
    """So many people, as rows: their ids."""
    now = clock.now()
    people = [
        {"email": f"p{one}@example.com", "name": f"Person{one:05d} Many", "sort_key": f"person{one:05d} many",
         "search_text": f"person{one:05d} many", "created_at": now, "public_id": public_id()}
        for one in range(number)
    ]  # fmt: skip
    choose("write")
    ids = list(db.session.scalars(insert(Person).returning(Person.id), people))
    db.session.commit()
    return ids


def many_requests(company: Any, number: int, *, app: App | None = None) -> list[AccessRequest]:
    """Pending requests with Ana's step open: Rita's for many apps, or many people's for one."""
    now = clock.now()
    if app is None:
        wanted = [(one, company.rita.id) for one in many_apps(company, number)]
    else:
        wanted = [(app, one) for one in crowd(number)]
    choose("write")
    requests = db.session.scalars(
        insert(AccessRequest).returning(AccessRequest),
        [
            {"public_id": public_id(), "app_id": one.id, "asked_by_id": person, "for_person_id": person,
             "policy_revision_id": one.policy_revision_id, "message": "Please", "created_at": now,
             "values_json": '{"role": {"value": "Writer", "by": null, "at": ""}}'}
            for one, person in wanted
        ],
    ).all()  # fmt: skip
    due = now + factories.timedelta(days=3)
    steps = db.session.scalars(
        insert(Step).returning(Step),
        [
            {"request_id": one.id, "position": position, "days": 3, "approver_person_id": person,
             "approver_group_id": group, "state": state, "opened_at": opened, "due_at": until}
            for one in requests
            for position, person, group, state, opened, until in (
                (0, company.ana.id, None, "open", now, due), (1, None, company.finance.id, "waiting", None, None),
            )
        ],
    ).all()  # fmt: skip
    db.session.execute(
        insert(Invitation),
        [
            {"public_id": public_id(), "step_id": one.id, "request_id": one.request_id, "requested_at": now,
             "person_id": company.ana.id, "key_id": keyring().current, "created_at": now}
            for one in steps
            if one.position == 0
        ],
    )  # fmt: skip
    db.session.commit()
    return list(requests)


def many_grants(company: Any) -> None:
    choose("write")
    now = clock.now()
    db.session.execute(
        insert(Grant),
        [
            {"app_id": one.id, "person_id": company.rita.id, "created_at": now, "state": "active", "values_json": "{}"}
            for one in db.session.query(App)
        ],
    )
    db.session.commit()


@pytest.fixture(params=ROWS)
def rows(request: pytest.FixtureRequest) -> int:
    return int(request.param)


def test_the_dashboard(login_as: Any, company: Any, rows: int) -> None:
    many_requests(company, rows)
    many_grants(company)
    assert len(statements(login_as(company.rita), "/").statements) <= 5
    assert len(statements(login_as(company.ana), "/").statements) <= 8


def test_the_details_of_an_app_i_have(login_as: Any, company: Any, rows: int) -> None:
    many_apps(company, rows)
    many_grants(company)
    held = factories.app("Held", policy=rule(company.ana, entitlements=FIELDS), owner=company.adam)
    factories.decide(factories.request(company.rita, held, given={"role": ["Writer"]}), company.ana)
    assert len(statements(login_as(company.rita), f"/apps/{held.public_id}").statements) <= 4


def test_the_list_of_my_requests(login_as: Any, company: Any, rows: int) -> None:
    many_requests(company, rows)
    assert len(statements(login_as(company.rita), "/requests").statements) <= 8


def test_a_page_of_the_catalog(login_as: Any, company: Any, rows: int) -> None:
    many_apps(company, rows)
    browser = login_as(company.rita)
    assert len(statements(browser, "/catalog").statements) <= 4
    assert len(statements(browser, "/catalog?q=app&category=Many", htmx=True).statements) <= 4


def test_the_queue_of_approvals(login_as: Any, company: Any, rows: int) -> None:
    app = many_apps(company, 1)[0]
    many_requests(company, rows, app=app)
    browser = login_as(company.ana)
    assert len(statements(browser, "/approvals").statements) <= 3
    choose("write")
    now = clock.now()
    db.session.execute(
        insert(Decision),
        [
            {"step_id": one.id, "person_id": company.ana.id, "verdict": "approved", "channel": "browser",
             "created_at": now}
            for one in db.session.query(Step).filter_by(position=0)
        ],
    )  # fmt: skip
    db.session.commit()
    assert len(statements(browser, "/approvals").statements) <= 3
    assert len(statements(browser, "/approvals/decided").statements) <= 3


def test_the_decision_page(login_as: Any, company: Any, rows: int) -> None:
    many_apps(company, rows)
    asked = factories.app(
        "Asked", policy=rule(company.ana, company.finance, see=({"cost": WRITE},), entitlements=FIELDS)
    )
    for _ in range(2 if rows > 1 else 0):
        made = factories.request(company.rita, asked)
        factories.decide(made, company.ana, factories.Verdict.DENIED)
    made = factories.request(company.rita, asked)
    many_grants_except(company, asked)
    by_session = statements(login_as(company.ana), f"/approvals/{made.public_id}")
    by_link = statements(login_as(None), lookups.link(made, company.ana))
    assert len(by_session.statements) <= 10, by_session
    assert len(by_link.statements) <= 10, by_link


def test_how_it_stands_once_it_is_settled(login_as: Any, company: Any, rows: int) -> None:
    """The longest way: a field to show, and an owner to name."""
    many_apps(company, rows)
    people = [factories.person(f"Member{one:02d} Of") for one in range(min(rows, 30))]
    policy = rule(factories.group("Crowd", company.ana, *people), see=({"cost": WRITE},), entitlements=FIELDS)
    made = factories.request(company.rita, factories.app("Asked", policy=policy, owner=company.adam))
    link = lookups.link(made, company.ana)
    factories.decide(made, company.ana, given={"cost": ["4711"]})
    assert len(statements(login_as(company.ana), f"/approvals/{made.public_id}").statements) <= 7
    assert len(statements(login_as(None), link).statements) <= 5


def many_grants_except(company: Any, app: App) -> None:
    many_grants(company)
    choose("write")
    db.session.query(Grant).filter_by(app_id=app.id).delete()
    db.session.commit()


def test_a_requests_own_page(login_as: Any, company: Any, rows: int) -> None:
    made = factories.request(company.rita, factories.app("Benevity", company.finance, owner=company.adam))
    choose("write")
    for number in range(rows):
        db.session.add(
            Comment(request_id=made.id, person_id=company.rita.id, body=f"Word {number}", created_at=clock.now())
        )
    db.session.commit()
    count = statements(login_as(company.rita), f"/requests/{made.public_id}")
    assert len(count.statements) <= 14, count


def test_an_apps_rules_in_a_company_of_twenty_thousand(login_as: Any, company: Any) -> None:
    """The same with two steps and one field as with ten and ten; a lone person as its step needs no look at groups."""
    crowd(20_000)
    people = [factories.person(f"Approver{one} Of") for one in range(5)]
    teams = [factories.group(f"Team {one}", company.ana, company.ben) for one in range(5)]
    ten = [one for pair in zip(people, teams, strict=True) for one in pair]
    browser, counts = login_as(company.adam), []
    for approvers, number in (((company.ana,), 1), (ten[:2], 1), (ten, 10)):
        names = [f"field{one}" for one in range(number)]
        see = tuple(dict.fromkeys(names, WRITE) for _ in approvers)
        fields = tuple(text_field(name) for name in names)
        app = factories.app(f"With {len(approvers)}", policy=rule(*approvers, see=see, entitlements=fields))
        counts.append(statements(browser, f"/admin/apps/{app.public_id}"))
    assert len(counts[0].statements) <= len(counts[1].statements) == len(counts[2].statements) <= 12, counts[2]


# ---------- Changes: how many statements at most, and one commit ----------


def change(browser: Browser, path: str, form: dict[str, Any], **kwargs: Any) -> Count:
    browser.token()
    form = {"csrf_token": browser.token(), **form}
    with counting() as count:
        answer = browser.client.post(path, data=form, **kwargs)
    assert answer.status_code in (200, 303)
    assert count.commits == 1, count
    return count


HTMX = {"headers": {"HX-Request": "true"}}


@pytest.mark.parametrize("size", [1, 30])
def test_asking(login_as: Any, company: Any, engine: str, size: int) -> None:
    """Two statements more on PostgreSQL, which lock the directory and the person."""
    locks = 0 if engine == SQLITE else 1
    crowd = factories.group("Crowd", *[factories.person(f"Member{one:02d} Of") for one in range(size)])
    app = factories.app("Benevity", policy=rule(crowd, company.ana, entitlements=FIELDS))
    path = f"/catalog/{app.public_id}/request"
    page = change(login_as(company.rita), path, {"message": "Please", "field-role": "Writer"})
    assert len(page.statements) <= 16 + locks, page
    fragment = change(login_as(company.otto), path, {"message": "Please", "field-role": "Writer"}, **HTMX)
    assert len(fragment.statements) <= 16 + locks, fragment


def test_adding(login_as: Any, company: Any, engine: str) -> None:
    locks = 0 if engine == SQLITE else 1
    app = factories.app("Apptio")
    count = change(login_as(company.rita), f"/catalog/{app.public_id}/grant", {}, **HTMX)
    assert len(count.statements) <= 12 + locks, count


@pytest.mark.parametrize("verdict", ["approval", "denial"])
@pytest.mark.parametrize("last", [False, True])
def test_deciding(login_as: Any, company: Any, engine: str, verdict: str, last: bool) -> None:
    """The longest ways: to a next step with a group, and to a grant with everybody told. One statement more on
    PostgreSQL for who is signed in: the row of the person is locked."""
    locks = 0 if engine == SQLITE else 1
    others = () if last else (company.finance,)
    see = ({"role": READ, "cost": WRITE},)
    policy = rule(factories.group("Leads", company.ana, company.ben), *others, see=see, entitlements=FIELDS)
    app = factories.app("Salesforce", policy=policy, owner=company.adam)
    form = {"field-cost": "4711", "reason": "No.", "comment": "Yes."}
    made = factories.request(company.rita, app)
    count = change(login_as(company.ana), f"/requests/{made.public_id}/{verdict}", form)
    assert len(count.statements) <= 18 + locks, count
    again = factories.request(company.otto, app)
    code = lookups.code(again, company.ana)
    count = change(login_as(None), f"{lookups.link(again, company.ana)}/{verdict}", {**form, "code": code})
    assert len(count.statements) <= 18, count


def test_cancelling_reminding_and_commenting(login_as: Any, company: Any, engine: str) -> None:
    """Two statements more on PostgreSQL, which lock the directory and the person."""
    locks = 0 if engine == SQLITE else 2
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    changes.shift("requests", "created_at", factories.timedelta(hours=-25))
    browser = login_as(company.rita)
    for path, limit in (("comments", 12), ("reminder", 12), ("cancellation", 14)):
        count = change(browser, f"/requests/{made.public_id}/{path}", {"comment": "Hm."})
        assert len(count.statements) <= limit + locks, count


def test_a_new_code_and_a_wrong_one_are_one_commit_each(login_as: Any, company: Any) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    browser = login_as(None)
    token = browser.token()
    with counting() as count:
        form = {"csrf_token": token, "code": lookups.wrong_code(made, company.ana)}
        answer = browser.client.post(f"{lookups.link(made, company.ana)}/approval", data=form)
    assert answer.status_code == 422
    assert count.commits == 1, count
    for ready in (lambda: changes.shift("notices", "created_at", factories.timedelta(minutes=-11)),
                  lambda: changes.close_code(made, company.ana)):  # fmt: skip
        ready()
        assert len(change(browser, f"{lookups.link(made, company.ana)}/code", {}).statements) <= 14


def test_a_refusal_commits_nothing(login_as: Any, company: Any, engine: str) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    for person, path, form in (
        (company.otto, "approval", {}),
        (company.ana, "denial", {"reason": ""}),
        (company.rita, "comments", {"comment": ""}),
        (company.rita, "reminder", {}),
    ):
        browser = login_as(person)
        token = browser.token()
        with counting() as count:
            answer = browser.client.post(f"/requests/{made.public_id}/{path}", data={"csrf_token": token, **form})
        assert answer.status_code >= 400
        assert count.commits == 0, count
    assert engine in (SQLITE, "postgresql")
