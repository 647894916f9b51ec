"""An empty installation says in four steps what to do, until they are done or hidden."""

from __future__ import annotations

import pytest

from tests.helpers import factories, pages
from tests.helpers.lookups import facts
from tests.helpers.statements import assert_constant, counting
from webapp.database.transactions import choose
from webapp.delivery import stops
from webapp.extensions import db
from webapp.models import Notice
from webapp.models.notices import Cause

PAGE = "/admin/first-steps"


@pytest.fixture
def admin(app, login_as):
    """Adam, alone on the first day."""
    return login_as(factories.person("Adam Weiss", admin=True))


def sent(kind="test", error="", state="sent"):
    choose("write")
    db.session.query(Notice).filter_by(kind=kind).update({"state": state, "error": error})
    db.session.commit()


def test_an_empty_installation_begins_with_mail(admin):
    assert admin.get("/admin").headers["Location"] == PAGE
    page = pages.words(admin.get(PAGE))
    assert "Set up Countersign in 4 steps" in page and "Email , to do now" in page and "First request , later" in page
    assert "Send test email" in page and "You are the only person so far." in page and "Add an app first." in page


def test_each_step_says_how_it_stands(admin, login_as):
    admin.post("/admin/mail/test")
    assert "A test email has been queued." in pages.words(admin.get(PAGE))
    stops.begin(Cause.UNREACHABLE, "Connection refused")
    assert "The test email could not be sent yet." in pages.words(admin.get(PAGE))
    stops.end()
    sent(error="Connection refused", state="due")
    page = pages.words(admin.get(PAGE))
    assert "The test email could not be sent yet." in page and "View email log" in page
    sent()
    page = pages.words(admin.get(PAGE))
    assert "Email , done" in page and "Test again" in page and "People , to do now" in page
    rita, ana = factories.person("Rita Lindqvist"), factories.with_password(factories.person("Ana Moreau"))
    page = pages.words(admin.get(PAGE))
    assert "People , done" in page and "2 people invited, 1 active" in page
    hidden = factories.app("Draft", requestable=False)
    page = pages.words(admin.get(PAGE))
    assert "First app , to do now" in page and "Your app is not in the catalog yet." in page and "New app" not in page
    app = factories.app("Figma", ana)
    page = pages.words(admin.get(PAGE))
    assert "First app , done" in page and "No requests yet." in page and "Request it" in page
    made = factories.request(rita, app)
    assert "The first request is waiting for a decision." in pages.words(admin.get(PAGE))
    assert admin.get("/admin").headers["Location"] == PAGE
    factories.decide(made, ana)
    page = pages.words(admin.get(PAGE))
    assert "Setup is complete" in page and "Hide setup" not in page
    assert admin.get("/admin").headers["Location"] == "/admin/overview"
    assert "Setup:" not in pages.words(admin.get("/admin/overview")) and hidden.name == "Draft"


def test_a_mail_of_another_kind_is_as_good(admin):
    admin.post("/admin/people", {"name": "Kim Park", "email": "kim@example.com"})
    sent("invitation")
    assert "Email , done" in pages.words(admin.get(PAGE))


def test_the_steps_are_hidden_and_found_again(admin):
    answer = admin.post(f"{PAGE}/hiding")
    assert answer.headers["Location"] == "/admin/overview"
    assert admin.get("/admin").headers["Location"] == "/admin/overview"
    page = pages.words(admin.get("/admin/overview"))
    assert "Setup: 0 of 4 steps done. Continue" in page
    assert "Hide setup" not in pages.words(admin.get(PAGE))
    assert admin.post(f"{PAGE}/hiding").status_code == 303
    assert len(facts("organisation.changed")) == 1
    assert "Setup guide shown" in pages.words(admin.get("/admin/audit"))


def test_nobody_else_sees_or_hides_them(admin, login_as):
    rita = login_as(factories.person("Rita Lindqvist"))
    assert rita.get(PAGE).status_code == 404 and rita.post(f"{PAGE}/hiding").status_code == 404
    assert admin.get(f"{PAGE}/hiding").status_code == 405
    assert admin.get("/admin").headers["Location"] == PAGE


def test_the_page_takes_the_same_statements_with_few_and_many(admin):
    counts = []
    for number in (0, 5):
        for one in range(number):
            factories.app(f"App {one}")
        with counting() as seen:
            admin.get(PAGE)
        counts.append(len(seen))
    assert_constant(counts, at_most=3)
