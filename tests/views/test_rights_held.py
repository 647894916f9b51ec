"""Whether somebody may do a thing is asked in the transaction that does it: who loses the right while their password is
looked at, or between two transactions of one request, does nothing any more."""

from __future__ import annotations

import contextvars
import io
import threading

import pytest
from PIL import Image
from sqlalchemy import select, text, update
from werkzeug.datastructures import FileStorage

from tests.helpers import factories, lookups
from tests.helpers.route_table import TABLE, UNSAFE
from tests.test_routes import Screens, asks_for_password
from webapp import clock, passwords
from webapp.admin import icons
from webapp.database.transactions import autocommit, choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Membership, Person, PersonSession
from webapp.operations import people
from webapp.record import audit

pytestmark = pytest.mark.both_engines

LOST = 404
SIGN_IN = 303


@pytest.fixture
def world(app, tmp_path):
    return Screens(app, tmp_path)


def rows_with_password(world, role):
    """Those that ask for the password and that this role may use."""
    at = -1 if role == "admin" else -2
    return [
        row
        for row in TABLE
        if row.method in UNSAFE and asks_for_password(world.view(row)) and row.statuses.split()[at] != "404"
    ]


# What takes the right away, what gives it back, and what the request then gets.
def demoted(world):
    mine = update(Person).where(Person.name.startswith("Adam"))
    return mine.values(is_admin=False), mine.values(is_admin=True), LOST


def deactivated(world):
    mine = update(Person).where(Person.name.startswith("Adam") | Person.name.startswith("Olga"))
    return mine.values(active=False), mine.values(active=True), SIGN_IN


def signed_out(world):
    every = update(PersonSession)
    return every.values(ended_at=clock.now()), every.values(ended_at=None), SIGN_IN


def lost_the_app(world):
    db.session.rollback()
    olga = db.session.query(Person.id).filter(Person.name.startswith("Olga")).scalar()
    hers = list(db.session.scalars(select(App.id).where(App.owner_person_id == olga)))
    db.session.rollback()
    mine = update(App).where(App.id.in_(hers))
    return mine.values(owner_person_id=None), mine.values(owner_person_id=olga), LOST


def left_the_group(world):
    db.session.rollback()
    choose("write")
    olga = db.session.query(Person.id).filter(Person.name.startswith("Olga")).scalar()
    group = db.session.execute(text(f"SELECT id FROM groups WHERE public_id = '{world.ids['group']}'")).scalar()
    db.session.execute(update(App).values(owner_person_id=None, owner_group_id=group))
    db.session.add(Membership(group_id=group, person_id=olga))
    db.session.commit()
    table = Membership.__table__
    mine = (table.c.group_id == group) & (table.c.person_id == olga)
    return table.delete().where(mine), table.insert().values(group_id=group, person_id=olga), LOST


def runs(statement):
    with autocommit("write") as connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    ("role", "loss"),
    [
        ("admin", demoted),
        ("admin", deactivated),
        ("admin", signed_out),
        ("owner", lost_the_app),
        ("owner", left_the_group),
        ("owner", deactivated),
    ],
    ids=lambda one: one if isinstance(one, str) else one.__name__,
)
def test_who_loses_the_right_while_the_password_is_hashed_changes_nothing(world, monkeypatch, role, loss):
    takes, gives, status = loss(world)
    monkeypatch.setattr(passwords, "fits", lambda *_: runs(takes) or True)
    rows = rows_with_password(world, role)
    assert len(rows) > 15
    if status == LOST:
        # What every person may do, an admin and an owner may still do afterwards.
        rows = [row for row in rows if world.view(row).audience != "people"]
    if loss not in (demoted, lost_the_app):
        rows = rows[::6]  # each route once for the two roles; of the other ways a few will do
    before = lookups.everything()
    for row in rows:
        right = type(row)(row.method, row.rule, "", row.at, {**row.form, "your_password": factories.PASSWORD})
        answer = world.ask(right, f"stale {role}")
        assert answer.status_code == status, (row.name, answer.status_code, answer.text)
        assert status == LOST or answer.headers["Location"].startswith("/sign-in"), row.name
        runs(gives)
    assert lookups.everything() == before


@pytest.mark.parametrize(("loss", "status"), [(signed_out, SIGN_IN), (deactivated, SIGN_IN)])
def test_who_is_signed_out_while_a_new_password_is_hashed_keeps_the_old_one(world, monkeypatch, login_as, loss, status):
    takes, gives, _ = loss(world)
    real = passwords.hash_password
    monkeypatch.setattr(passwords, "hash_password", lambda given: runs(takes) or real(given))
    browser = login_as(db.session.query(Person).filter(Person.name.startswith("Adam")).one())
    before = lookups.everything()
    given = {"current": factories.PASSWORD} | dict.fromkeys(("password", "again"), "three words in a row")
    assert browser.post("/account/password", given).status_code == status
    runs(gives)
    assert lookups.everything() == before


def upload(browser, wanted):
    body = io.BytesIO()
    Image.new("RGB", (40, 40), "red").save(body, "PNG")
    body.seek(0)
    file = FileStorage(body, filename="logo.png", content_type="image/png")
    was = browser.get(f"/admin/apps/{wanted}").text.partition('id="set-icon"')[2]
    seen = was.partition('name="was" value="')[2].partition('"')[0].replace("&#34;", '"').replace("&quot;", '"')
    return browser.post(f"/admin/apps/{wanted}/picture", {"picture": file, "was": seen}, buffered=True)


def test_who_loses_the_app_while_their_picture_is_decoded_uploads_none(world, monkeypatch, login_as):
    takes, gives, _ = lost_the_app(world)
    olga = db.session.query(Person).filter(Person.name.startswith("Olga")).one()
    browser = login_as(olga)
    real = icons.pictures.square
    monkeypatch.setattr(icons.pictures, "square", lambda given: runs(takes) or real(given))
    before = lookups.everything()
    assert upload(browser, world.ids["wanted"]).status_code == LOST
    runs(gives)
    assert lookups.everything() == before
    monkeypatch.setattr(icons.pictures, "square", real)
    assert upload(browser, world.ids["wanted"]).status_code == 303


def test_a_view_that_forgets_to_check_the_right_again_commits_nothing(world, monkeypatch, login_as):
    monkeypatch.setattr(icons.pictures, "recheck_right", lambda: None)
    browser = login_as(db.session.query(Person).filter(Person.name.startswith("Adam")).one())
    before = lookups.everything()
    assert upload(browser, world.ids["wanted"]).status_code == 500
    assert lookups.everything() == before


@pytest.mark.parametrize("way", ["demotes", "signs out"])
def test_who_takes_the_right_away_during_the_change_comes_after_it(app, login_as, adam, monkeypatch, way):
    """The change has asked and not committed yet: the other one has to wait."""
    second = factories.person("Second Admin", admin=True)
    browser, adam_id, second_id = login_as(adam), adam.id, second.id
    done = threading.Event()

    def other():
        with app.app_context():
            choose("write")
            someone, actor = db.session.get_one(Person, adam_id), db.session.get_one(Person, second_id)
            if way == "demotes":
                people.set_admin(someone, is_admin=False, actor=actor, now=clock.now())
            else:
                people.sign_out(someone, actor=actor, now=clock.now())
            outbox.commit()
            done.set()

    thread = threading.Thread(target=lambda: contextvars.Context().run(other))
    real, order = audit.seal, []

    def seal(drafts):
        if not thread.ident:
            thread.start()
            order.append(done.wait(0.5))
        return real(drafts)

    monkeypatch.setattr(audit, "seal", seal)
    db.session.rollback()
    assert browser.post("/admin/groups", {"name": "Legal"}).status_code == 303
    thread.join(10)
    assert order == [False] and done.is_set()
    assert browser.get("/admin/groups").status_code == (404 if way == "demotes" else 303)
