"""One email of the log, test emails, and the banner about delivery problems."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.helpers.lookups import facts, now
from tests.helpers.pages import flat, markup
from tests.helpers.statements import counting
from webapp import clock, links, notices
from webapp.database.transactions import choose
from webapp.delivery import outbox, stops
from webapp.extensions import db
from webapp.models import Invitation, Notice
from webapp.models.notices import Cause
from webapp.operations import people
from webapp.queries import mail_context, notice_status
from webapp.wiring import connect

from .mail_helpers import beat, dead, plain, put, stopped

pytestmark = pytest.mark.both_engines


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


# One email


def test_a_row_opens_with_what_it_says_its_attempts_and_the_way_to_person_and_request(admin, mail, ana, rita):
    claim = outbox.claim(1)[0]
    outbox.mark_failed(claim, "The recipient was refused: 451 4.7.1 greylisted")
    put(mail, state="sent", answer="250 2.0.0 queued as 4711", settled_at=clock.now())
    answer = admin.get(f"/admin/mail/{mail.public_id}")
    page = flat(answer)
    assert f"/admin/people/{ana.public_id}" in page and "/requests/" in page
    assert "451 4.7.1 greylisted" in page and "Accepted: 250 2.0.0 queued as 4711" in page
    assert "Rita Lindqvist requests Figma" in page and "I need it for my work." in page
    assert f'src="/admin/mail/{mail.public_id}/body"' in page and "frame-src 'self'" in answer.headers[CSP]
    frame = admin.get(f"/admin/mail/{mail.public_id}/body")
    assert "sandbox" in frame.headers[CSP] and "default-src 'none'" in frame.headers[CSP]
    assert "no-store" in frame.headers["Cache-Control"]


CSP = "Content-Security-Policy"


def test_what_an_admin_sees_of_an_email_decides_and_signs_in_nobody(admin, mail, otto, login_as):
    choose("write")
    people.mail_password_reset(otto, now=clock.now())
    outbox.commit()
    reset = db.session.scalars(select(Notice).where(Notice.kind == "password-reset")).one()
    invitation = db.session.query(Invitation).one()
    code = links.code(invitation.public_id, 1, invitation.key_id)
    token = links.approval_token(invitation.public_id, 1, invitation.key_id)
    for one, hidden in ((mail, "/decide/hidden"), (reset, "/password/hidden")):
        for path in (f"/admin/mail/{one.public_id}", f"/admin/mail/{one.public_id}/body"):
            shown = markup(admin.get(path))
            assert hidden in shown and code not in shown and token not in shown
            links_in = re.findall(r"/(?:decide|password)/([^\s\"<]+)", shown)
            assert links_in and set(links_in) == {"hidden"}
    assert login_as(None).get("/decide/hidden").status_code == login_as(None).get("/decide/nothing").status_code


def test_every_kind_of_email_opens_in_the_same_number_of_statements(admin, mail, ana, rita):
    counts = set()
    for more in (0, 40):
        for number in range(more):
            claim = outbox.Claim(mail.id, "x", 1)
            choose("write")
            outbox._note_attempt(claim, f"451 {number}")
            db.session.commit()
        with counting() as seen:
            assert admin.get(f"/admin/mail/{mail.public_id}").status_code == 200
        counts.add(len(seen))
    assert len(counts) == 1 and counts.pop() <= 14


def test_an_email_that_cannot_be_shown_says_so(admin, mail):
    put(mail, kind="request-comment", data_json='{"comment": 4711}')
    page = plain(admin.get(f"/admin/mail/{mail.public_id}"))
    assert "cannot be shown" in page
    assert admin.get(f"/admin/mail/{mail.public_id}/body").status_code == 404


def test_while_emails_are_stopped_the_list_says_what_they_wait_for(admin, mail):
    stopped(Cause.UNREACHABLE, "Connection refused")
    page = plain(admin.get("/admin/mail"))
    assert "Waiting for the mail server." in page and "Try now" in page


# A test mail


def test_an_admin_gets_a_test_mail(app, admin, adam, ana):
    answer = admin.post("/admin/mail/test")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/mail")
    assert "Test email sent to adam@example.com." in plain(admin.get("/admin/mail"))
    notice = db.session.scalars(select(Notice).where(Notice.kind == "test")).one()
    assert notice.person_id == adam.id and facts("mail.tested")[-1]["actor"] == adam.id
    from webapp.delivery import mail as letters

    message = letters.render(mail_context.load([notice.id])[notice.id])
    assert message.subject.startswith("Test email from") and "This is the test email" in message.body
    assert "because you sent a test email" in message.body and "/admin/mail" in message.html
    claim = outbox.claim(10)[0]
    assert notices.why_obsolete(notice_status.statuses([claim.id], claim.lease)[claim.id]) == ""


# The banner


def test_nothing_is_said_while_all_is_well(admin):
    beat()
    assert 'id="trouble"' not in markup(admin.get("/admin/mail"))
    assert 'id="trouble"' not in markup(admin.get("/admin/people"))


def test_admins_are_told_when_no_worker_runs(admin, login_as, rita):
    assert "The worker is not running." in plain(admin.get("/admin/people"))
    beat(seconds_ago=61 + 60)
    assert "The worker has not responded for 2 minutes." in plain(admin.get("/admin/groups"))
    assert "The worker" not in plain(login_as(rita).get("/"))


def test_admins_are_told_of_mails_that_are_late_or_dead(admin, mail):
    beat()
    put(mail, due_at=clock.now() - timedelta(minutes=12))
    assert "An email has been waiting for 12 minutes." in plain(admin.get("/admin/apps"))
    dead(mail)
    page = flat(admin.get("/admin/apps"))
    assert "1 email failed in the last 24 hours." in page and 'href="/admin/mail?state=dead"' in page
    put(mail, settled_at=clock.now() - timedelta(hours=25))
    assert 'id="trouble"' not in markup(admin.get("/admin/apps"))


def test_admins_are_told_when_the_queue_is_down(app, admin, monkeypatch):
    beat()
    monkeypatch.setitem(app.extensions, "broker", connect("redis://127.0.0.1:1/0", timeout=0.2))
    assert "The queue is not responding." in plain(admin.get("/admin/people"))


def test_admins_are_told_once_why_no_email_goes_out(admin, mail, login_as, rita):
    beat()
    put(mail, due_at=clock.now() - timedelta(minutes=12))
    stopped(Cause.SIGN_IN, "The mail server answered 535 5.7.8 no")
    page = plain(admin.get("/admin/people"))
    assert "The mail server refuses the sign-in. Emails have been waiting for less than a minute." in page
    assert "Check MAIL_USERNAME and MAIL_PASSWORD." in page and "535 5.7.8 no" in page
    assert "has been waiting" not in page, "the same fault, once"
    ready = login_as(None).get("/readyz").json
    assert (ready["mail"], ready["status"]) == ("The mail server refuses the sign-in.", "degraded")
    assert "535" not in str(ready) and ready["mail_age"] < 60
    stops.end()
    assert 'id="trouble"' in markup(admin.get("/admin/people")) and login_as(None).get("/readyz").json["mail"] == "ok"


def test_the_banner_is_one_statement_and_not_in_fragments(admin):
    with counting() as page:
        admin.get("/admin/groups")
    with counting() as fragment:
        admin.get("/admin/groups", htmx=True)
    assert len(page) == len(fragment) + 1


# Who may


def test_only_admins_see_and_send(login_as, mail, otto):
    dead(mail)
    for path in ("/admin/mail", f"/admin/mail/{mail.public_id}", f"/admin/mail/{mail.public_id}/body"):
        assert login_as(otto).get(path).status_code == 404
    assert login_as(None).get("/admin/mail").headers["Location"].startswith("/sign-in")
    for path in (
        f"/admin/mail/{mail.public_id}/sending", f"/admin/mail/{mail.public_id}/dropping", "/admin/mail/held/sending",
        "/admin/mail/held/dropping", "/admin/mail/test", "/admin/mail/attempts",
        f"/admin/mail/{mail.public_id}/attempt",
    ):  # fmt: skip
        assert login_as(otto).post(path).status_code == 404
        assert login_as(None).post(path).status_code == 303
    assert now(mail).state == "dead"


def test_what_is_not_there_is_not_found_and_looking_sends_nothing(admin):
    assert admin.post("/admin/mail/000000000000/sending").status_code == 404
    assert admin.get("/admin/mail/test").status_code == 404
