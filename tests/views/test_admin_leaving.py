"""Leavers: each way to deactivate somebody has the full effect, and one page says what is left to do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.api.conftest import Program, new_token
from tests.helpers import factories, pages
from tests.helpers.lookups import now, state, steps
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import ApiToken, DeviceCode, PersonSession
from webapp.operations import groups, people, people_import, reporting, tokens
from webapp.queries import accounts

from .people_helpers import url


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def by_screen(app, admin, someone, adam):
    assert admin.post(url(someone) + "/deactivation", {}, htmx=True).status_code == 200


def by_api(app, admin, someone, adam):
    program = Program(app, new_token(adam))
    assert program.post(f"/people/{someone.public_id}/deactivation").status_code == 200


def by_file(app, admin, someone, adam):
    choose("write")
    body = f"email,name,active\n{someone.email},{someone.name},no\n".encode()
    people_import.apply(body, people_import.look(body).stamp, actor=adam, now=clock.now())
    outbox.commit()


@pytest.mark.parametrize("deactivate", [by_screen, by_api, by_file])
def test_each_way_to_deactivate_somebody_has_the_full_effect(deactivate, app, admin, company, adam, rita, ana, ben):
    own = factories.request(ana, factories.app("Figma", ben))
    waits = factories.request(rita, factories.app("Salesforce", ana, owner=ben))
    choose("write")
    for kind in ("sign_in", "decisions"):
        people.start_session(ana.id, kind=kind, browser="", address="", lasts=timedelta(days=1), now=clock.now())
    tokens.create(name="laptop", scopes=["requests:read"], days=9, actor=ana, now=clock.now(), person=ana)
    db.session.add(DeviceCode(hash="h", user_code="WDJBMJHT", name="laptop", address="", scope_list="requests:read",
                              days=9, state="approved", person_id=ana.id, created_at=clock.now(),
                              expires_at=clock.now() + timedelta(minutes=9)))  # fmt: skip
    outbox.commit()
    round = now(ana).password_round
    deactivate(app, admin, ana, adam)
    assert not now(ana).active and now(ana).deactivated_at
    assert state(own) == "cancelled" and state(waits) == "pending"
    assert [who for who, _ in steps(waits)] != ["approved"]
    db.session.rollback()
    assert db.session.scalars(select(PersonSession).filter_by(person_id=ana.id, ended_at=None)).all() == []
    assert db.session.scalars(select(ApiToken).filter_by(person_id=ana.id, revoked_at=None)).all() == []
    assert db.session.scalars(select(DeviceCode.state)).all() == ["denied"]
    choose("write")
    people.reactivate(now(ana), actor=now(adam), now=clock.now())
    outbox.commit()
    assert accounts.behind_password_link(ana.public_id, round) is None, "a link from before works again"


def test_one_page_says_what_is_left_and_leads_there(admin, rita, ana, adam, company):
    figma = factories.app("Figma", ana, owner=ana)
    factories.grant(ana, factories.app("Slack"))
    choose("write")
    hers, his, admins, of = (db.session.merge(one) for one in (ana, rita, adam, company.finance))
    groups.add_member(of, hers, actor=admins, now=clock.now())
    reporting.set_manager(his, hers, actor=admins, now=clock.now())
    people.set_admin(hers, is_admin=True, actor=admins, now=clock.now())
    tokens.create(name="HR sync", scopes=["people:read"], days=9, actor=hers, now=clock.now(), person=None)
    people.deactivate(hers, actor=admins, now=clock.now())
    outbox.commit()
    assert "View what is left to do" in pages.words(admin.get(url(ana)))
    page = admin.get(url(ana) + "/left-to-do")
    words = pages.words(page)
    for text in (
        "Remove all apps", "Apps they have 1", "Slack", "Apps they own 1", "Figma", "Approver for 1", "Step 1",
        "Groups they are in 1", "Finance", "Service tokens they made 1", "HR sync", "People who report to them 1",
        "Rita Lindqvist",
    ):  # fmt: skip
        assert text in words
    assert f"/admin/apps/{figma.public_id}#set-owner" in page.text
    assert "Nothing is left to do" not in words


def test_who_leaves_nothing_behind_has_an_empty_page(admin, otto):
    assert "Nothing is left to do" in pages.words(admin.get(url(otto) + "/left-to-do"))


def test_the_page_takes_the_same_statements_for_few_and_many(admin, ana, adam):
    counts = []
    for number in (2, 9):
        for one in range(number):
            factories.grant(ana, factories.app(f"App {number} {one}", owner=ana))
            someone = factories.person(f"P{number} {one}", email=f"p{number}x{one}@example.com")
            choose("write")
            reporting.set_manager(now(someone), now(ana), actor=adam, now=clock.now())
            outbox.commit()
        with counting() as seen:
            assert admin.get(url(ana) + "/left-to-do").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=14)


def test_programs_read_the_same(app, adam, rita, ana):
    factories.grant(ana, factories.app("Slack", owner=ana))
    choose("write")
    reporting.set_manager(now(rita), now(ana), actor=adam, now=clock.now())
    outbox.commit()
    left = Program(app, new_token(adam)).get(f"/people/{ana.public_id}/left-to-do").json
    assert [one["app"]["name"] for one in left["apps"]] == ["Slack"]
    assert [one["name"] for one in left["owned_apps"]] == ["Slack"]
    assert [one["name"] for one in left["reports"]] == ["Rita Lindqvist"]
    assert left["rules"] == left["groups"] == left["service_tokens"] == left["chat_channels"] == []
