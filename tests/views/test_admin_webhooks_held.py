"""Settings, Webhooks: what is on hold after a restore, and the banner when no worker of webhooks runs."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import insert

from tests.helpers import factories, lookups, pages
from tests.views.test_admin_webhooks import LIST, admin, hook, message, page_of
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Delivery, Heartbeat
from webapp.operations import endpoints as operations

__all__ = ["admin", "hook"]


def held(endpoint, event="request.approved", **more):
    return message(endpoint, event, state="held", error="This was due when the database was restored.", **more)


def test_what_is_on_hold_has_a_banner_a_tab_and_two_ways_out(admin, adam, hook):
    assert "On hold" not in admin.get(page_of(hook)).text
    first = held(hook, ordered_by="1")
    message(hook, ordered_by="1")
    held(factories.webhook(adam, name="Other"))
    assert "2 deliveries of webhooks and chat are on hold since the database was restored." in pages.words(
        admin.get("/admin/people")
    )
    assert "1 on hold" in pages.words(admin.get(LIST))
    page = pages.words(admin.get(page_of(hook)))
    assert "1 delivery is on hold since the database was restored." in page and "Waits its turn" in page
    page = pages.words(admin.get(f"{page_of(hook)}?state=held"))
    assert "This may already have been sent." in page and "Send all" in page and "Discard all" in page
    one = pages.words(admin.get(f"{page_of(hook)}/deliveries/{first.public_id}"))
    assert f"Look for {first.message_id} in the receiver’s log" in one and "When you send it" in one
    assert "Discard" in one and "Waiting behind it" in one


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("what", "state", "kind"), [
    ("sending", "due", "delivery.let_go"), ("dropping", "obsolete", "delivery.dropped"),
])  # fmt: skip
def test_all_on_hold_are_sent_or_discarded(admin, adam, hook, what, state, kind, htmx):
    mine, theirs = held(hook), held(factories.webhook(adam, name="Other"))
    at = f"{page_of(hook)}/held/{what}"
    assert admin.post(at, htmx=htmx).status_code == (200 if htmx else 303)
    db.session.rollback()
    found = {one.id: one.state for one in db.session.query(Delivery).populate_existing()}
    assert found == {mine.id: state, theirs.id: "held"}
    pages.assert_refuses_get(admin, at)
    assert admin.post(at).status_code == 303  # nothing is left to do
    assert [one["deliveries"] for one in lookups.facts(kind)] == [1]
    assert "1 delivery" in pages.words(admin.get("/admin/audit"))


def test_one_on_hold_is_sent_or_discarded(admin, hook):
    for what, state in (("sending", "due"), ("dropping", "obsolete")):
        one = held(hook)
        at = f"{page_of(hook)}/deliveries/{one.public_id}"
        assert admin.post(f"{at}/{what}").headers["Location"] == at
        db.session.rollback()
        assert db.session.get_one(Delivery, one.id, populate_existing=True).state == state
    pages.assert_refuses_get(admin, f"{at}/dropping")
    admin.post(f"{at}/dropping")
    assert "no longer on hold" in admin.get(at).text and len(lookups.facts("delivery.dropped")) == 1


# ---------- Nobody sends ----------


def beats(name, seconds_ago=0):
    choose("write")
    db.session.execute(insert(Heartbeat).values(name=name, at=clock.now() - timedelta(seconds=seconds_ago)))
    db.session.commit()


def test_admins_are_told_when_something_is_due_and_no_worker_of_webhooks_runs(admin, login_as, hook):
    beats("a worker")
    sentence = "The worker of webhooks is not running."
    ready = login_as(None).get("/readyz").json
    assert sentence not in pages.words(admin.get(LIST))
    assert (ready["webhook_worker"], ready["webhook_worker_age"], ready["oldest_delivery_age"]) == (
        "not needed", None, None)  # fmt: skip
    message(hook)
    for path in (LIST, "/admin/overview", page_of(hook), "/admin/chat"):
        page = pages.words(admin.get(path))
        assert sentence in page and "Start countersign-webhooks" in page, path
    ready = login_as(None).get("/readyz")
    assert (ready.json["webhook_worker"], ready.json["status"], ready.status_code) == ("missing", "degraded", 200)
    assert 50 < ready.json["oldest_delivery_age"] < 120
    # A worker of emails does not send them.
    beats("webhooks@a:1", seconds_ago=90)
    assert "The worker of webhooks has not responded for 1 minute" in pages.words(admin.get(LIST))
    beats("webhooks@b:1")
    assert "worker of webhooks" not in pages.words(admin.get(LIST))
    assert login_as(None).get("/readyz").json["webhook_worker"] == "ok"


def test_what_waits_for_an_attempt_or_for_a_paused_one_is_no_trouble(admin, adam, hook):
    message(hook, tries=1)
    paused = factories.webhook(adam, name="Other")
    message(paused)
    choose("write")
    operations.pause(paused, actor=adam, now=clock.now())
    outbox.commit()
    assert "worker of webhooks" not in pages.words(admin.get(LIST))
