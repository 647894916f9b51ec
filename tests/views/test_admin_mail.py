"""The email log: the list, sending again, and emails on hold."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from rq import Queue
from sqlalchemy import select, update

from tests.helpers import factories
from tests.helpers.lookups import facts, now
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import assert_constant, counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox, stops
from webapp.extensions import broker, db
from webapp.models import Notice
from webapp.models.notices import Cause
from webapp.notices import NOTICE_KINDS
from webapp.operations import people

from .mail_helpers import beat, dead, plain, put, stopped

pytestmark = pytest.mark.both_engines


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def many(number, person):
    choose("write")
    moment = clock.now()
    outbox.post(
        [{"kind": "test", "role": "requester", "person_id": person.id, "created_at": moment} for _ in range(number)]
    )
    db.session.commit()


# The list


def test_each_state_has_its_words_and_its_tab(admin, mail, ana):
    page = plain(admin.get("/admin/mail"))
    assert "Rita Lindqvist requests Figma (R-" in page and "to Ana Moreau, ana@example.com" in page
    assert "Will be sent shortly." in page

    put(mail, error="451 mailbox busy", tries=2, due_at=clock.now() + timedelta(minutes=5))
    page = plain(admin.get("/admin/mail?state=trying"))
    assert "Retrying" in page and "451 mailbox busy. Attempt 2 of 8." in page and "next attempt" in page
    assert "No emails here" in plain(admin.get("/admin/mail?state=due"))

    dead(mail)
    page = plain(admin.get("/admin/mail?state=dead"))
    assert "550 no such mailbox. Failed after 8 attempts." in page and "Send again" in page

    put(mail, state="sent", error="", tries=1)
    page = plain(admin.get("/admin/mail?state=sent"))
    assert "The mail server accepted it." in page and "Send again" not in page

    put(mail, state="obsolete", error="The request was cancelled in the meantime.")
    assert "The request was cancelled in the meantime." in plain(admin.get("/admin/mail?state=obsolete"))


def test_the_search_looks_at_recipients(admin, mail, ana, rita):
    many(1, rita)
    choose("write")
    outbox.post([{"kind": "request-approved", "role": "other", "address": "crm@partner.example",
                  "request_id": mail.request_id, "created_at": clock.now()}])  # fmt: skip
    db.session.commit()
    assert "ana@" in plain(admin.get("/admin/mail?q=MOREAU")) and "rita@" not in plain(
        admin.get("/admin/mail?q=moreau")
    )
    partner = admin.get("/admin/mail?q=partner", htmx=True)
    assert (
        is_fragment(partner)
        and "Approved: Figma for Rita Lindqvist" in plain(partner)
        and "to crm@partner.example" in plain(partner)
    )
    assert "No emails match" in plain(admin.get("/admin/mail?q=zebra"))
    assert "No emails match" in plain(admin.get("/admin/mail?q=%25"))


def test_mails_are_found_by_kind_and_days(admin, mail, adam, rita):
    from datetime import UTC, datetime

    choose("write")
    people.change_settings(db.session.merge(adam), time_zone="Pacific/Auckland", now=clock.now())
    outbox.commit()
    many(2, rita)
    put(mail, created_at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC))  # 2 March, 01:30 there

    def found(query):
        return plain(admin.get(f"/admin/mail?{query}", htmx=True))

    assert "2 of 2, newest first" in found("kind=test") and "Figma" not in found("kind=test")
    assert "1 of 1" in found("kind=approval-asked") and "3 of 3" in found("kind=nonsense")
    assert "Figma" in found("since=2026-03-02&until=2026-03-02")
    nothing = found("since=2026-03-01&until=2026-03-01")
    assert "No emails match" in nothing and "Choose another kind or other days." in nothing
    assert "No emails match" in found("kind=test&until=2026-03-02")
    assert "3 of 3" in found("since=2026-02-30&until=nonsense")
    page = markup(admin.get("/admin/mail?kind=test&since=2026-03-02"))
    assert '<option value="test" selected>Test email</option>' in page and 'value="2026-03-02"' in page
    assert "?state=sent&kind=test&since=2026-03-02" in page


def test_every_kind_of_mail_can_be_chosen_and_is_named(admin):
    page = markup(admin.get("/admin/mail"))
    for kind, row in NOTICE_KINDS.items():
        assert re.search(rf'<option value="{kind}"[^>]*>{re.escape(row.title)}</option>', page), kind


def test_pages_follow_each_other(admin, rita):
    many(60, rita)
    first = admin.get("/admin/mail")
    assert "50 of 60, newest first" in plain(first)
    older = re.search(r"\?[^\"]*before=\d+", markup(first)).group()
    second = admin.get(f"/admin/mail{older}")
    assert "10 of 60" in plain(second)
    newer = re.search(r"\?[^\"]*after=\d+", markup(second)).group()
    assert "50 of 60" in plain(admin.get(f"/admin/mail{newer}"))


def test_beyond_a_thousand_the_count_is_round(admin, rita):
    many(1001, rita)
    assert "50 of 1,000+" in plain(admin.get("/admin/mail"))


def test_an_empty_outbox_says_what_to_do(app, login_as):
    alone = login_as(factories.person("Adam Weiss", admin=True))
    assert "Send a test email to try it." in plain(alone.get("/admin/mail"))


def test_the_list_takes_the_same_statements_with_1_30_and_300_mails(admin, rita):
    counts = []
    for more in (1, 29, 270):
        many(more, rita)
        with counting() as seen:
            assert admin.get("/admin/mail?q=rita").status_code == 200
        counts.append(len(seen))
    assert_constant(counts, at_most=6)  # the session, who is called that, the counts, the page, the stop, the banner


# Send again


def test_a_mail_that_was_given_up_is_sent_again(admin, mail, adam):
    dead(mail)
    queue = Queue(outbox.QUEUE, connection=broker())
    rung = queue.count
    answer = admin.post(f"/admin/mail/{mail.public_id}/sending")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/mail")
    again = now(mail)
    assert (again.state, again.tries, again.error, again.settled_at) == ("due", 0, "", None)
    assert again.due_at <= clock.now()
    last = facts("mail.sent_again")[-1]
    assert (last["actor"], last["mail"], last["person"]) == (adam.id, mail.id, mail.person_id)
    assert "Email queued again." in plain(admin.get("/admin/mail"))
    assert queue.count == rung + 1
    assert outbox.claim(10)[0].id == mail.id


def test_htmx_goes_back_to_the_list(admin, mail):
    dead(mail)
    answer = admin.post(f"/admin/mail/{mail.public_id}/sending", htmx=True)
    assert answer.headers["HX-Redirect"] == "/admin/mail"


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("due", "This email is already queued."),
        ("leased", "This email is being sent."),
        ("sent", "This email has already been sent."),
        ("obsolete", "This email is outdated and will not be sent."),
    ],
)
def test_any_other_mail_is_not_sent_again(admin, mail, state, sentence, htmx):
    put(mail, state=state)
    answer = admin.post(f"/admin/mail/{mail.public_id}/sending", htmx=htmx)
    assert answer.status_code == 409 and sentence in plain(answer) and is_fragment(answer) is htmx
    assert now(mail).state == state and facts("mail.sent_again") == []


def test_pressing_twice_sends_once(admin, mail):
    dead(mail)
    admin.post(f"/admin/mail/{mail.public_id}/sending")
    assert admin.post(f"/admin/mail/{mail.public_id}/sending").status_code == 409
    assert len(facts("mail.sent_again")) == 1


# Held after a restore


def held(mail):
    put(mail, state="held", error="The database was restored.", settled_at=clock.now())


def test_held_mails_have_a_tab_a_banner_and_two_ways_out(admin, mail):
    beat()
    held(mail)
    page = flat(admin.get("/admin/apps"))
    assert "1 email is on hold since the database was restored." in page and 'href="/admin/mail?state=held"' in page
    page = plain(admin.get("/admin/mail?state=held"))
    assert "may already have been sent" in page and "Send all" in page and "Discard all" in page
    assert "The database was restored." in page


@pytest.mark.parametrize("htmx", [False, True])
def test_one_held_mail_is_sent_or_dropped(admin, mail, htmx):
    held(mail)
    admin.post(f"/admin/mail/{mail.public_id}/sending", htmx=htmx)
    assert now(mail).state == "due" and len(facts("mail.sent_again")) == 1
    answer = admin.post(f"/admin/mail/{mail.public_id}/dropping", htmx=htmx)
    assert answer.status_code == 409 and "no longer on hold" in plain(answer)
    held(mail)
    answer = admin.post(f"/admin/mail/{mail.public_id}/dropping", htmx=htmx)
    assert now(mail).state == "obsolete" and facts("mail.dropped")[-1]["mails"] == 1
    assert (answer.headers.get("HX-Redirect") or answer.headers["Location"]) == "/admin/mail?state=held"


@pytest.mark.parametrize(("what", "state"), [("sending", "due"), ("dropping", "obsolete")])
def test_all_held_mails_are_sent_or_dropped(admin, mail, rita, what, state):
    held(mail)
    many(1, rita)
    answer = admin.post(f"/admin/mail/held/{what}")
    assert answer.status_code == 303 and now(mail).state == state
    assert admin.get(f"/admin/mail/held/{what}").status_code == 405
    assert admin.post(f"/admin/mail/held/{what}").status_code == 303  # nothing left to do
    assert len(facts("mail.let_go") + facts("mail.dropped")) == 1


# Try now, and all again


def test_a_mail_that_waits_is_tried_now(admin, mail, adam):
    put(mail, error="451 busy", tries=2, due_at=clock.now() + timedelta(hours=2))
    stopped(Cause.BUSY, "451 busy")
    answer = admin.post(f"/admin/mail/{mail.public_id}/attempt")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/admin/mail/{mail.public_id}")
    again = now(mail)
    assert (again.state, again.tries) == ("due", 2) and again.due_at <= clock.now()
    db.session.rollback()
    assert stops.take_turn(), "the pause is over, too"
    assert facts("mail.tried_now")[-1]["mail"] == mail.id
    db.session.rollback()
    stops.end()
    refused = admin.post(f"/admin/mail/{mail.public_id}/attempt")
    assert refused.status_code == 409 and "already queued" in plain(refused)
    dead(mail)
    assert "Select “Send again”" in plain(admin.post(f"/admin/mail/{mail.public_id}/attempt"))


def test_all_that_failed_of_a_list_are_tried_again(admin, mail, rita):
    many(3, rita)
    choose("write")
    db.session.execute(update(Notice).values(state="dead", error="550 5.4.5 quota", tries=8, settled_at=clock.now()))
    db.session.commit()
    page = flat(admin.get("/admin/mail?state=dead&kind=test"))
    assert "Try all again" in page and "/admin/mail/attempts?state=dead&kind=test" in page
    assert admin.post("/admin/mail/attempts?state=dead&kind=test").status_code == 303
    states = [(one.kind, one.state, one.tries) for one in db.session.scalars(select(Notice).order_by(Notice.id))]
    assert states == [("approval-asked", "dead", 8), *[("test", "due", 0)] * 3]
    assert facts("mail.all_tried_again")[-1]["mails"] == 3
    assert "3 emails queued." in plain(admin.get("/admin/mail"))
    assert "Try all again" not in plain(admin.get("/admin/mail?state=sent"))


def test_while_something_moves_the_list_looks_again_and_then_stops(admin, mail):
    first = flat(admin.get("/admin/mail"))
    assert 'hx-get="/admin/mail?look=1"' in first
    second = flat(admin.get("/admin/mail?look=1", htmx=True))
    assert 'hx-get="/admin/mail?look=2"' in second and "data-say" not in second
    assert "look=" not in flat(admin.get("/admin/mail?look=60", htmx=True))
    assert f"/admin/mail/{mail.public_id}?look=1" in flat(admin.get(f"/admin/mail/{mail.public_id}"))
    put(mail, state="sent", settled_at=clock.now())
    assert "look=" not in flat(admin.get("/admin/mail?look=1", htmx=True))
    assert "look=" not in flat(admin.get(f"/admin/mail/{mail.public_id}", htmx=True))
