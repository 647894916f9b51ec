"""What each mail says to whom, and what it must not say."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest
from flask import Flask
from sqlalchemy import text, update

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import Accepted, SmtpServer
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Invitation, Notice, Organisation, Person
from webapp.operations import approval_codes, comments, decisions, grants, people, requests
from webapp.operations.proofs import STEP_IN
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Verdict, Visibility

Drain = Callable[[], None]
READ, WRITE = Visibility.READ, Visibility.WRITE

ROLE = Entitlement("role", "Role", "choice", ("Sales user", "Sales admin"), requester=WRITE)
REGION = Entitlement("region", "Region", "choice", ("EMEA", "APAC"), requester=READ)
COST = Entitlement("cost", "Cost centre", "text")


def link_in(mail: Accepted, path: str) -> str:
    """The one address of that kind, the same in the text and in the HTML."""
    found = set(re.findall(rf"http://localhost/{path}[^\s\"<]*", mail.text + mail.html))
    assert len(found) == 1, found
    return str(found.pop())


def says(mail: Accepted, *sentences: str) -> None:
    """Each sentence stands in the text and in the HTML, whatever the line breaks."""
    plain = re.sub(r"\s+", " ", mail.text)
    html = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", mail.html.replace("<br>", " "))))
    for sentence in sentences:
        assert sentence in plain, mail.text
        assert sentence in html, mail.html


def never_says(mail: Accepted, *words: str) -> None:
    for word in words:
        assert word not in mail.text
        assert word not in mail.html
        assert word not in mail.subject


def two_steps(company: Company, **changes: object) -> Policy:
    """Ana sets the region, then Finance; the cost centre is Finance's alone."""
    rule = Policy(
        steps=(
            StepRule(factories.approver(company.ana), visibility={"role": READ, "region": WRITE}),
            StepRule(factories.approver(company.finance), visibility={"role": READ, "region": READ, "cost": WRITE}),
        ),
        entitlements=(ROLE, REGION, COST),
    )
    return replace(rule, **changes)  # type: ignore[arg-type]


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


def test_an_approval_comes_with_the_admins_words(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = two_steps(
        company,
        outcomes={
            RequestState.APPROVED: OutcomeRule(
                approvers=True, others=("it-desk@example.com",), message="Welcome.\nTraining is every Tuesday."
            )
        },
    )
    app = factories.app("Salesforce", policy=rule, owner=company.adam, launch_url="https://sales.example.com/")
    made = factories.request(company.rita, app, given={"role": ["Sales user"]})
    factories.decide(made, company.ana, given={"region": ["EMEA"]})
    drain()
    factories.decide(made, company.ben, comment="Standard is fine.", given={"cost": ["4711"], "region": ["EMEA"]})
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Approved: your request for Salesforce"
    says(
        hers,
        "You now have access to Salesforce",
        "Ben Okafor approved it for Finance on",
        "Welcome.",
        "Training is every Tuesday.",
        "Sales user, chosen by you",
        "EMEA, set by Ana",
        "Ben wrote",
        "Standard is fine.",
        "Open Salesforce",
        "https://sales.example.com/",
        "You can open it from your dashboard.",
        "because you requested Salesforce.",
    )
    never_says(hers, "4711", "Cost centre")
    chloes = smtp.to("chloe@example.com")[-1]
    assert chloes.subject == f"Approved: Salesforce for Rita Lindqvist ({made.reference})"
    says(chloes, "Rita Lindqvist now has access to Salesforce", "You do not need to do anything.", "Welcome.")
    assert link_in(chloes, "requests/").endswith(made.public_id)
    desk = smtp.one_to("it-desk@example.com")
    assert str(desk.message["To"]) == "it-desk@example.com"
    says(desk, "Rita Lindqvist now has access to Salesforce", "Welcome.", "EMEA, set by Ana", "4711, set by Ben",
         "this address receives the results of requests for Salesforce")  # fmt: skip
    never_says(desk, "http://localhost", "Standard is fine.", "I need it for my work.")


def test_a_denial_gives_the_reason(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = two_steps(
        company, outcomes={RequestState.DENIED: OutcomeRule(others=("it@example.com",), message="See hr.")}
    )
    made = factories.request(company.rita, factories.app("Concur", policy=rule), message="Two visits in Lyon.")
    factories.decide(made, company.ana, Verdict.DENIED, "Travel is booked by the office.\nAsk Chloe.")
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "Denied: your request for Concur"
    says(
        mail, "Your request for Concur was denied", "Ana Moreau denied it on", "Reason:",
        "Travel is booked by the office.", "Ask Chloe.", "See hr.", "Your reason", "Two visits in Lyon.",
        "Ana Moreau denied", "View request",
    )  # fmt: skip
    assert mail.text.count("Travel is booked") == 1
    assert link_in(mail, "requests/").endswith(made.public_id)
    other = smtp.one_to("it@example.com")
    says(other, "Rita Lindqvist’s request for Concur was denied")
    never_says(other, "Travel is booked", "Lyon", "http://localhost")


def test_an_expiry_is_nobodys_no(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("NetSuite", company.finance))
    drain()
    factories.overdue(made)
    changes.sweep()
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Expired: your request for NetSuite"
    says(hers, "Your request for NetSuite expired", "Finance did not decide by", "You can request it again.")
    bens = smtp.to("ben@example.com")[-1]
    assert bens.subject == f"Expired: NetSuite for Rita Lindqvist ({made.reference})"
    says(bens, "Rita Lindqvist’s request for NetSuite expired", "You do not need to do anything.")


@pytest.mark.parametrize("ending", ["denied", "expired"])
def test_an_end_at_a_later_step_tells_nobody_more_than_they_may_see(
    company: Company, smtp: SmtpServer, drain: Drain, ending: str
) -> None:
    told = OutcomeRule(others=("it-desk@example.com",))
    rule = two_steps(company, outcomes={RequestState.DENIED: told, RequestState.EXPIRED: told})
    first, second = rule.steps
    rule = rule.with_steps(replace(first, visibility={**first.visibility, "cost": WRITE}), second)
    made = factories.request(company.rita, factories.app("Concur", policy=rule), given={"role": ["Sales user"]})
    given = {"region": ["EMEA"], "cost": ["4711"]}
    factories.decide(made, company.ana, comment="Her manager agrees.", given=given)
    drain()
    if ending == "denied":
        factories.decide(made, company.ben, Verdict.DENIED, "No seat is free.")
    else:
        factories.overdue(made)
        changes.sweep()
    drain()
    hers = smtp.one_to("rita@example.com")
    says(hers, "Ana wrote", "Her manager agrees.", "Sales user, chosen by you", "EMEA, set by Ana")
    never_says(hers, "4711", "Cost centre")
    desk = smtp.one_to("it-desk@example.com")
    never_says(desk, "Her manager agrees.", "No seat is free.", "I need it for my work.", "4711", "http://localhost")


def test_a_withdrawal_is_told_to_those_who_were_asked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    choose("write")
    requests.cancel(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    for who in ("ben", "chloe"):
        mail = smtp.to(f"{who}@example.com")[-1]
        assert mail.subject == f"Cancelled: Salesforce for Rita Lindqvist ({made.reference})"
        says(mail, "Rita Lindqvist cancelled the request for Salesforce", "You do not need to do anything.")
    assert not smtp.to("rita@example.com")


def test_the_requester_is_told_when_somebody_else_withdraws(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    choose("write")
    requests.cancel(factories.case_of(made), actor=company.adam, reason="Salesforce is going away.", now=clock.now())
    outbox.commit()
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "Cancelled: your request for Salesforce"
    says(mail, "Adam Weiss cancelled it on", "Salesforce is going away.", "You can request it again at any time.")


def test_the_others_of_a_group_read_that_it_is_settled(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    factories.decide(made, company.ben, Verdict.DENIED, "No licences left.")
    drain()
    mail = smtp.to("chloe@example.com")[-1]
    says(mail, "Ben Okafor denied Rita Lindqvist’s request for Salesforce", "Ben decided for Finance on",
         "No licences left.", "you do not need to do anything")  # fmt: skip
    assert len(smtp.to("ben@example.com")) == 1
    assert mail.subject == f"Denied by Ben Okafor: Salesforce for Rita Lindqvist ({made.reference})"


def test_an_admins_override_is_called_that(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    drain()
    choose("write")
    decisions.decide(
        factories.case_of(made), actor=company.adam, verdict=Verdict.APPROVED, comment="Both are away.",
        proof=STEP_IN, now=clock.now(),
    )  # fmt: skip
    outbox.commit()
    drain()
    says(smtp.one_to("rita@example.com"), "Adam Weiss approved it as an admin on", "Both are away.")
    says(smtp.to("ben@example.com")[-1], "Adam decided as an admin on")


def test_an_added_app_comes_with_its_words(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    rule = Policy(
        approval_required=False,
        entitlements=(replace(ROLE, default="Sales user"), replace(COST, default="4711")),
        outcomes={RequestState.APPROVED: OutcomeRule(message="Sign in with your e-mail.")},
    )
    app = factories.app("Apptio", policy=rule, launch_url="https://apptio.example.com/")
    choose("write")
    grants.add_directly(app, factories.revision_of(app), actor=company.rita, now=clock.now())
    outbox.commit()
    drain()
    mail = smtp.one_to("rita@example.com")
    assert mail.subject == "You now have access to Apptio"
    says(mail, "You added Apptio on", "Sign in with your e-mail.", "Sales user", "Open Apptio",
         "https://apptio.example.com/", "because you added Apptio")  # fmt: skip
    never_says(mail, "4711", "Cost centre")


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


def test_who_loses_an_app_and_who_looks_after_it_read_why(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    app = factories.app("Miro", owner=company.finance)
    grant = factories.grant(company.rita, app)
    drain()
    choose("write")
    grants.remove(db.session.merge(grant), actor=company.adam, reason="Moved to\nFigma boards.", now=clock.now())
    outbox.commit()
    drain()
    hers = smtp.to("rita@example.com")[-1]
    assert hers.subject == "Removed: your access to Miro"
    says(hers, "Your access to Miro was removed", "Adam Weiss removed it on", "“Moved to Figma boards.”",
         "request it again in the catalog", "because you had access to Miro. Questions? Contact Finance")  # fmt: skip
    assert link_in(hers, "catalog") == "http://localhost/catalog"
    for address in ("ben@example.com", "chloe@example.com"):
        theirs = smtp.one_to(address)
        assert theirs.subject == "Removed: access to Miro for Rita Lindqvist"
        says(theirs, "Rita Lindqvist’s access to Miro was removed", "Adam Weiss removed it on", "remove it there",
             "because you own Miro.")  # fmt: skip
        never_says(theirs, "http://localhost/catalog")
    assert not smtp.to("adam@example.com")


def test_who_is_granted_access_and_who_was_left_out_read_why(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    fields = (Entitlement("role", "Role", "text", default="Reader"),
              Entitlement("seat", "Seat", "text", requester=Visibility.WRITE))  # fmt: skip
    rule = Policy(steps=(StepRule(factories.approver(company.ana)),), entitlements=fields)
    app = factories.app("Miro", policy=rule, owner=company.otto, launch_url="https://miro.example.com")
    choose("write")
    grants.give(app, factories.revision_of(app), person=company.rita, actor=company.adam, given={"seat": ["12"]},
                reason="Replaces\nBen.", now=clock.now())  # fmt: skip
    outbox.commit()
    drain()
    hers = smtp.one_to("rita@example.com")
    assert hers.subject == "Access granted: Miro"
    says(hers, "You have access to Miro", "Adam Weiss granted it without a request", "“Replaces Ben.”", "Seat",
         "12", "Open Miro", "because you have access to Miro.")  # fmt: skip
    never_says(hers, "Reader")
    assert "https://miro.example.com" in hers.text
    for address in ("ana@example.com", "otto@example.com"):
        theirs = smtp.one_to(address)
        assert theirs.subject == "Access granted: Miro for Rita Lindqvist"
        says(theirs, "Rita Lindqvist has access to Miro", "“Replaces Ben.”",
             "because you own Miro or approve requests for it.")  # fmt: skip
        never_says(theirs, "https://miro.example.com")
        never_says(theirs, "Seat")
    assert not smtp.to("adam@example.com")


def test_who_loses_several_apps_reads_it_in_one_email(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    made = [factories.grant(company.rita, factories.app(name, owner=company.otto)) for name in ("Zoom", "Miro")]
    drain()
    choose("write")
    grants.remove_all(company.rita, shown=[one.public_id for one in made], actor=company.adam, reason="Rita moves.",
                      now=clock.now())  # fmt: skip
    outbox.commit()
    drain()
    hers = smtp.to("rita@example.com")[-1]
    assert hers.subject == "Removed: your access to 2 apps"
    says(hers, "You no longer have access to 2 apps", "“Rita moves.”", "Miro", "Zoom",
         "because you had access to these apps.")  # fmt: skip
    theirs = smtp.one_to("otto@example.com")
    assert theirs.subject == "Removed: Rita Lindqvist’s access to 2 apps"
    says(theirs, "Miro", "Zoom", "because you own these apps.")


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


def test_other_admins_read_why_an_access_is_to_be_checked(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    factories.person("Ada Berg", admin=True)
    choose("write")
    people.send_invitation_again(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    made = factories.request(company.adam, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana)
    drain()
    mail = smtp.one_to("ada@example.com")
    assert mail.subject == f"Check: Adam Weiss has access to Salesforce ({made.reference})"
    says(mail, "approved the request of", "had the sign-in link of Ana Moreau sent", "no one else approved",
         "remove the access and check the account of Ana Moreau", f"/requests/{made.public_id}",
         "because you are an admin")  # fmt: skip
