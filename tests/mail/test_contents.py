"""What each mail says to whom, and what it must not say."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import text, update

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.contents import Drain, link_in, never_says, says, two_steps
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Invitation, Notice, Organisation, Person
from webapp.operations import approval_codes, comments, grants, people, requests
from webapp.workflow.policy import Policy
from webapp.workflow.states import Assurance


def test_the_approver_reads_who_asks_for_what_why_and_until_when(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    app = factories.app("Salesforce", policy=two_steps(company), owner=company.adam)
    made = factories.request(company.rita, app, message="To see the accounts.", given={"role": ["Sales user"]})
    drain()
    mail = smtp.one_to("ana@example.com")
    assert mail.subject == f"Rita Lindqvist requests Salesforce ({made.reference})"
    assert mail.sender == "countersign@example.com"
    assert str(mail.message["To"]) == "Ana Moreau <ana@example.com>"
    due = db.session.execute(text("SELECT due_at FROM steps ORDER BY position")).scalars().first()
    due = due if isinstance(due, datetime) else datetime.fromisoformat(str(due)).replace(tzinfo=UTC)
    says(
        mail,
        "Rita Lindqvist requests Salesforce",
        f"Approve or deny this request by {due.astimezone(UTC):%A} {due.astimezone(UTC).day} ",
        "“To see the accounts.”",
        "Sales user, chosen by Rita",
        "to be set by you",
        "Waiting for you",
        "Review request",
        "You received this email because you are an approver for Salesforce. Questions? Contact Adam Weiss, the owner",
    )
    never_says(mail, "Cost centre")
    never_says(mail, "No reason given")
    invitation = db.session.query(Invitation).one()
    code = links.code(invitation.public_id, 1, invitation.key_id)
    assert code in mail.text
    assert f'{code[:3]}<span style="padding-left:12px;">{code[3:]}</span>' in mail.html
    token = link_in(mail, "decide/").rpartition("/")[2]
    read = links.verify_approval_link(token)
    assert read is not None and (read.invitation, read.round) == (invitation.public_id, 1)


def test_without_words_the_mail_says_so_as_the_page_does(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("Zoom", company.ana), message="")
    drain()
    says(smtp.one_to("ana@example.com"), "No reason given.")


def test_code_and_link_are_never_in_subject_or_preheader(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    drain()
    mail = smtp.one_to("ana@example.com")
    code = re.search(r"\b\d{6}$", mail.text, re.M)
    assert code
    preheader = re.search(r'<div aria-hidden="true"[^>]*>(.*?)</div>', mail.html, re.S)
    assert preheader and "Decide by" in preheader.group(1)
    for place in (mail.subject, preheader.group(1), mail.html.partition("</title>")[0]):
        assert code.group() not in place
        assert "/decide/" not in place


def test_the_second_step_reads_what_was_decided_before(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    app = factories.app("Salesforce", policy=two_steps(company))
    made = factories.request(company.rita, app, given={"role": ["Sales user"]})
    factories.decide(made, company.ana, comment="Right for her new job.", given={"region": ["EMEA"]})
    drain()
    for who, other in (("ben", "Chloe Tan"), ("chloe", "Ben Okafor")):
        mail = smtp.one_to(f"{who}@example.com")
        says(
            mail,
            f"You can decide for Finance; {other} can, too.",
            "Sales user, chosen by Rita",
            "EMEA, set by Ana",
            "Ana Moreau approved",
            "Right for her new job.",
            "because you are in Finance, which approves requests for Salesforce",
        )
        assert "Cost centre" in mail.text
    assert link_in(smtp.one_to("ben@example.com"), "decide/") != link_in(smtp.one_to("chloe@example.com"), "decide/")


def test_a_large_group_is_a_number(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    many = factories.group("Everybody", *(factories.person(f"P{number} Q") for number in range(5)))
    factories.request(company.rita, factories.app("Salesforce", many))
    drain()
    says(smtp.one_to("p3@example.com"), "You can decide for Everybody; any of 4 others can, too.")


def test_with_sign_in_there_is_no_code(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("Salesforce", policy=two_steps(company, assurance=Assurance.SIGN_IN)))
    drain()
    mail = smtp.one_to("ana@example.com")
    invitation = db.session.query(Invitation).one()
    code = links.code(invitation.public_id, 1, invitation.key_id)
    never_says(mail, code, code[:3] + "<", "approval code")
    says(mail, "You need to sign in before you can approve or deny this request.")
    assert link_in(mail, "decide/")


def test_whoever_stands_in_reads_for_whom_and_why(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    unowned = factories.app("Benevity", company.ana)
    choose("write")
    people.deactivate(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    factories.request(company.rita, app)
    factories.request(company.rita, unowned)
    drain()
    says(
        smtp.one_to("otto@example.com"),
        "You can decide instead of Ana Moreau, as the owner of the app.",
        "because you own Salesforce",
    )
    says(
        smtp.one_to("adam@example.com"),
        "You can decide instead of Ana Moreau, as an admin.",
        "because you are an admin",
    )


def test_asked_again_and_a_new_code_say_so(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    drain()
    choose("write")
    case = factories.case_of(made)
    case.request.created_at -= timedelta(days=2)
    db.session.flush()
    requests.remind(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    choose("write")
    approval_codes.mail_new_code(factories.case_of(made), db.session.query(Invitation).one(), now=clock.now())
    outbox.commit()
    drain()
    first, again, renewed = smtp.to("ana@example.com")
    says(again, "This is a reminder from Rita.")
    says(renewed, "Here is your new code. Earlier links and codes no longer work.")
    assert link_in(again, "decide/") == link_in(first, "decide/") != link_in(renewed, "decide/")
    assert first.subject == renewed.subject and again.subject == f"Reminder: {first.subject}"


def test_the_same_mail_once_more_says_so_and_has_the_same_link(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    drain()
    choose("write")
    later = clock.now() + timedelta(minutes=11)
    approval_codes.mail_same_code(factories.case_of(made), db.session.query(Invitation).one(), now=later)
    outbox.commit()
    drain()
    first, same = smtp.to("ana@example.com")
    says(same, "You asked us to send this email again. The link and code have not changed.")
    assert link_in(same, "decide/") == link_in(first, "decide/")
    assert re.findall(r"\b\d{6}\b", same.text) == re.findall(r"\b\d{6}\b", first.text) != []
    assert same.message["Message-ID"] != first.message["Message-ID"]


def test_closed_by_wrong_codes_the_mail_says_what_to_do_and_holds_no_code(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    drain()
    choose("write")
    for _ in range(5):
        approval_codes.count_wrong_code(factories.case_of(made), db.session.query(Invitation).one(), now=clock.now())
    outbox.commit()
    drain()
    first, closed = smtp.to("ana@example.com")
    says(
        closed,
        "Your approval code for Rita Lindqvist’s request is locked",
        "Nothing has been approved or denied.",
        "If this was you, open the page and select “Email me a new code”, or sign in.",
        "If this was not you, someone else has your link.",
    )
    assert link_in(closed, "decide/") == link_in(first, "decide/")
    assert closed.subject == f"Code locked: Salesforce for Rita Lindqvist ({made.reference})"
    assert not re.search(r"\b\d{3} ?\d{3}\b", closed.text)


def test_invitation_and_reset_carry_a_link_that_sets_the_password(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    choose("write")
    people.mail_invitation(company.otto, now=clock.now())
    people.mail_password_reset(company.ana, now=clock.now())
    outbox.commit()
    drain()
    for address, person, subject in (
        ("otto@example.com", company.otto, "You are invited to Countersign"),
        ("ana@example.com", company.ana, "Reset your Countersign password"),
    ):
        mail = smtp.one_to(address)
        assert mail.subject == subject
        token = link_in(mail, "password/").rpartition("/")[2]
        assert links.verify_password_link(token) == (person.public_id, 0)
        says(mail, "You can use the link once, within 3 days.", address)


def test_a_reset_that_an_admin_sent_says_so(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    choose("write")
    db.session.execute(update(Person).values(password_hash="x"))
    people.reset_password(db.session.merge(company.ana), actor=company.adam, now=clock.now())
    people.reset_password(db.session.merge(company.adam), actor=company.adam, now=clock.now())
    people.mail_password_reset(company.otto, now=clock.now())
    outbox.commit()
    drain()
    says(smtp.one_to("ana@example.com"), "Adam Weiss sent you this link.", "because Adam Weiss requested a password")
    for address in ("adam@example.com", "otto@example.com"):
        says(smtp.one_to(address), "because someone requested a password reset")
        never_says(smtp.one_to(address), "sent you this link")


def test_dates_are_in_the_readers_zone(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    choose("write")
    db.session.execute(update(Organisation).values(time_zone="Asia/Tokyo", sender="Example Apps"))
    db.session.execute(update(Person).where(Person.id == company.ben.id).values(time_zone="America/New_York"))
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    due = datetime(2031, 5, 5, 18, 30, tzinfo=UTC)
    db.session.execute(text("UPDATE steps SET due_at = :due"), {"due": due.strftime("%Y-%m-%d %H:%M:%S.%f+00")})
    db.session.commit()
    drain()
    assert made.id
    says(smtp.one_to("ben@example.com"), "Monday 5 May 2031, 14:30 EDT")
    chloes = smtp.one_to("chloe@example.com")
    says(chloes, "Tuesday 6 May 2031, 03:30 JST")
    assert str(chloes.message["From"]) == "Example Apps <countersign@example.com>"


def test_all_mails_of_a_request_are_one_thread(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    other = factories.request(company.otto, factories.app("Benevity", company.finance))
    drain()
    factories.decide(made, company.ben)
    drain()
    by_request: dict[str, set[str]] = {}
    for mail in smtp.mails:
        assert mail.message["In-Reply-To"] == mail.message["References"]
        by_request.setdefault(str(mail.message["References"]), set()).add(mail.subject)
        assert mail.message["Auto-Submitted"] == "auto-generated"
        assert mail.message["X-Auto-Response-Suppress"] == "All"
    assert by_request == {
        f"<request.{made.public_id}@localhost>": {
            f"Rita Lindqvist requests Salesforce ({made.reference})",
            f"Approved by Ben Okafor: Salesforce for Rita Lindqvist ({made.reference})",
            "Approved: your request for Salesforce",
        },
        f"<request.{other.public_id}@localhost>": {f"Otto Brandt requests Benevity ({other.reference})"},
    }  # fmt: skip
    notices = {row.public_id: row.created_at for row in db.session.query(Notice)}
    assert {str(mail.message["Message-ID"]) for mail in smtp.mails} == {f"<{one}@localhost>" for one in notices}
    for mail in smtp.mails:
        assert mail.message["Date"].datetime >= notices[str(mail.message["Message-ID"])[1:13]].replace(microsecond=0)


def test_a_mail_is_whole_without_pictures_and_for_a_phone(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    drain()
    html = smtp.one_to("ana@example.com").html
    for needed in ('name="viewport"', "prefers-color-scheme: dark", "max-width: 480px", 'lang="en"', 'class="page"'):
        assert needed in html
    for unwanted in ("<img", "<script", "http-equiv", "@import", "url("):
        assert unwanted not in html


@pytest.mark.parametrize("launch", ["javascript:alert(1)", "data:text/html,x", "ftp://x"])
def test_only_a_web_address_becomes_a_button(
    app: Flask, company: Company, smtp: SmtpServer, drain: Drain, launch: str
) -> None:
    made = factories.app("Apptio", policy=Policy(approval_required=False), launch_url="https://ok.example.com")
    choose("write")
    db.session.execute(text("UPDATE apps SET launch_url = :url"), {"url": launch})
    grants.add_directly(made, factories.revision_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    never_says(smtp.one_to("rita@example.com"), launch)


def test_a_comment_says_who_wrote_what_and_stays_in_the_thread(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    for who, words in ((company.rita, "By <Friday>,\nplease."), (company.ana, "I look at it.")):
        choose("write")
        comments.add(factories.case_of(made), actor=who, body=words, now=clock.now())
        outbox.commit()
    drain()
    asked, to_ana = smtp.to("ana@example.com")
    assert to_ana.subject == f"New comment: Salesforce for Rita Lindqvist ({made.reference})"
    assert to_ana.message["References"] == asked.message["References"]
    says(to_ana, "Rita Lindqvist commented on the request for Salesforce", "By <Friday>,")
    assert f"/requests/{made.public_id}" in to_ana.text
    to_rita = smtp.one_to("rita@example.com")
    assert to_rita.subject == f"New comment: your request for Salesforce ({made.reference})"
    says(to_rita, "I look at it.", "you requested Salesforce")
    never_says(to_rita, "By <Friday>")
