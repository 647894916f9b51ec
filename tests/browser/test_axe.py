"""Every screen in light and dark, wide and on a phone: axe finds nothing, the console says nothing, nothing sticks out.

Each screen is opened once and looked at four times. No rule is switched off, and no node is left out; in dark, where
the markup is that of light, axe looks at colours only.
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import render_template
from flask_migrate import upgrade
from playwright.sync_api import Page, expect
from werkzeug.serving import make_server

from tests import factories
from tests.chromium import close
from tests.embedded.helpers import free_port
from webapp import clock, create_app
from webapp.config import Settings
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Person
from webapp.operations import apps, people, rule_steps
from webapp.passwords import hash_password
from webapp.workflow.policy import Approver

from .cases import OLD, Cases
from .conftest import Windows
from .site import PASSWORD, PHONE, WIDE, Site, card, email, pick, sign_in

Visit = Callable[[Page, Cases], None]


@dataclass(frozen=True)
class Screen:
    """`visit`: an address, or what to do to get there. `script`: False for what only people without it see."""

    name: str
    who: str | None
    visit: str | Visit
    script: bool = True
    # Whether the console tells of a failure that we made.
    loud: bool = False
    # The browser's name, by which its session is found.
    browser: str | None = None


def at(address: Callable[[Cases], str]) -> Visit:
    return lambda page, cases: page.goto(address(cases))


def request_page(who: str, app: str) -> Visit:
    return at(lambda cases: f"/requests/{cases.request_id(who, app)}")


def decision(who: str, app: str) -> Visit:
    return at(lambda cases: f"/approvals/{cases.request_id(who, app)}")


def link(who: str, app: str, approver: str, **state) -> Visit:
    return at(lambda cases: cases.link(who, app, approver, **state))


def admin_app(name: str) -> Visit:
    return at(lambda cases: f"/admin/apps/{cases.app_id(name)}")


# What has to be done to see a screen


def app_with_everything_open(page: Page, cases: Cases) -> None:
    """Each line unfolded, what would happen drawn, and a picker with its list."""
    page.goto(f"/admin/apps/{cases.app_id('Salesforce')}")
    pick(page, "person", "Ben Okafor")
    expect(page.get_by_text("Ben requests", exact=True)).to_be_visible()
    for one in page.locator(".cs-rule details > summary").all():
        one.click()
    page.locator("#step").fill("o")
    expect(page.locator("#step-list [role=option]").first).to_be_visible()


def large_app(page: Page, cases: Cases) -> None:
    """Ten steps and ten fields, the most an app can have."""
    kinds = ("choice", "choices", "text", "number", "yes_no") * 2
    with cases.app.app_context():
        choose("write")
        actor = db.session.query(Person).filter_by(email=email("Adam")).one()
        app = apps.create(name=f"Large {secrets.token_hex(4)}", actor=actor, now=clock.now())
        groups = db.session.query(Group).filter_by(archived_at=None).limit(2)
        some = db.session.query(Person).filter_by(active=True).order_by(Person.id).limit(10 - groups.count())
        steps = [*(Approver(person=one.id) for one in some), *(Approver(group=one.id) for one in groups)]
        for step in steps:
            rule_steps.add(app, approver=step, actor=actor, now=clock.now())
        for number, kind in enumerate(kinds, 1):
            options = ("One", "Two") if kind.startswith("choice") else ()
            factories.field(app, name=f"Field {number}", kind=kind, options=options, required=number == 1,
                            writer=steps[0], actor=actor)  # fmt: skip
        public_id = app.public_id
        outbox.commit()
    page.goto(f"/admin/apps/{public_id}")
    assert page.locator("#set-matrix tbody fieldset").count() == 110


def icons_to_choose(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/apps/{cases.app_id('Figma')}")
    page.locator("#icon-set").click()
    expect(page.locator("#icon-letters")).to_be_visible()


def not_saved(page: Page, cases: Cases) -> None:
    """The server is away for a switch and for words."""
    page.goto(f"/admin/apps/{cases.app_id('Figma')}")
    for section in ("comment-required", "note"):
        page.route(f"**/{section}", lambda route: route.fulfill(status=422, headers=TOAST, body=SORRY))
    page.get_by_role("switch", name="Reason required", exact=True).click()
    page.locator("#note-fold > summary").click()
    page.get_by_label("Note to the requester", exact=True).fill("Ask your lead first.")
    page.get_by_label("Note to the requester", exact=True).press("Tab")
    expect(page.locator(".cs-failed")).to_have_count(2)


# A refusal as webapp/web/error_pages.py gives it; of 5xx Chromium would complain.
TOAST = {"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"}
SORRY = '<div data-toast data-say="Something went wrong. Your text is still here."></div>'


def wrong_sign_in(page: Page, cases: Cases) -> None:
    page.goto("/sign-in")
    page.get_by_label("Email", exact=True).fill("nobody@example.com")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("The email address or password is incorrect.")).to_be_visible()


def refused_forgot(page: Page, cases: Cases) -> None:
    page.goto("/password/forgot")
    page.get_by_label("Email", exact=True).fill("")
    page.locator("form.card").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Send link", exact=True).click()
    expect(page.locator("[aria-invalid=true]")).to_be_visible()


def refused_password(page: Page, cases: Cases) -> None:
    page.goto(cases.password_link("Tom"))
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("Confirm new password", exact=True).fill("other")
    page.get_by_role("button", name="Set password and sign in", exact=True).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def open_dialog(app: str) -> Visit:
    def visit(page: Page, cases: Cases) -> None:
        page.goto("/catalog")
        card(page, app).get_by_role("link", name="Request", exact=True).click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return visit


def refused_dialog(page: Page, cases: Cases) -> None:
    open_dialog("Snowflake")(page, cases)
    page.locator("dialog form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Request app", exact=True).click()
    expect(page.locator("dialog [aria-invalid=true]").first).to_be_visible()


def refused_dialog_page(page: Page, cases: Cases) -> None:
    page.goto(f"/catalog/{cases.app_id('Snowflake')}/request")
    page.get_by_label("Why do you need it?", exact=True).fill("  ")
    page.get_by_role("button", name="Request app", exact=True).click()
    expect(page.locator("dialog [aria-invalid=true]").first).to_be_visible()


def toast(page: Page, cases: Cases) -> None:
    page.goto("/catalog")
    page.get_by_role("button", name="Add", exact=True).first.click()
    expect(page.get_by_role("region", name="Notifications").get_by_text("added to your dashboard")).to_be_visible()


def menu(page: Page, cases: Cases) -> None:
    page.goto("/")
    page.get_by_role("button", name="Account menu").click()
    expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()


def my_app(page: Page, cases: Cases) -> None:
    """The details of an app, with the question whether to give it back."""
    page.goto("/")
    page.locator(".cs-tile-more").first.click()
    page.locator("dialog .cs-giveback > summary").click()
    expect(page.get_by_role("dialog").get_by_label("Reason", exact=True)).to_be_visible()


def cancellation(page: Page, cases: Cases) -> None:
    page.goto("/")
    page.get_by_role("link", name="Cancel request", exact=True).first.click()
    expect(page.get_by_role("dialog")).to_be_visible()


def no_code_yet(page: Page, cases: Cases) -> None:
    page.goto(cases.link("Otto", "Tableau", "Ana", wrong_codes=0))
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Enter the code to confirm your decision.")).to_be_visible()


def refused_comment(page: Page, cases: Cases) -> None:
    page.goto(f"/requests/{cases.request_id('Rita', 'Concur')}")
    page.get_by_role("button", name="Add comment", exact=True).click()
    expect(page.locator("[aria-invalid=true]")).to_be_visible()


def refused_account(page: Page, cases: Cases) -> None:
    page.goto("/account")
    page.get_by_label("Current password", exact=True).fill("wrong")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("Confirm new password", exact=True).fill("other")
    page.get_by_role("button", name="Change password", exact=True).click()
    expect(page.locator("[aria-invalid=true]").first).to_be_visible()


def wrong_code(page: Page, cases: Cases) -> None:
    page.goto(cases.link("Otto", "Tableau", "Ana", wrong_codes=2))
    page.get_by_text("Add a comment").click()
    page.get_by_label("Code from the email", exact=True).fill("000 000")
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_text("Incorrect code")).to_be_visible()


def no_reason(page: Page, cases: Cases) -> None:
    page.goto(f"/approvals/{cases.request_id('Otto', 'Tableau')}")
    page.locator("summary").filter(has_text="Deny").click()
    page.get_by_role("button", name="Deny", exact=True).click()
    expect(page.get_by_label("Reason for denying", exact=True)).to_have_attribute("aria-invalid", "true")


def conflict(page: Page, cases: Cases) -> None:
    page.goto(f"/catalog/{cases.app_id('Apptio')}/request")
    expect(page.get_by_text("does not need approval")).to_be_visible()


def without_token(page: Page, cases: Cases) -> None:
    page.goto("/sign-in")
    page.locator("[name=csrf_token]").first.evaluate("input => input.remove()")
    page.get_by_label("Email", exact=True).fill("rita@example.com")
    page.get_by_label("Password", exact=True).fill("x")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("This page has expired")).to_be_visible()


def broken(page: Page, cases: Cases) -> None:
    """The stack does not break when asked to, so its page comes from the template."""
    with cases.app.test_request_context("/"):
        body = render_template("errors/500.html", when="Today 09:41", reference="3f9c2a71", again_url="/", reads=True)
    page.route("**/breaks", lambda route: route.fulfill(status=200, content_type="text/html", body=body))
    page.goto("/breaks")
    expect(page.get_by_text("3f9c2a71")).to_be_visible()


def failed_toast(page: Page, cases: Cases) -> None:
    open_dialog("Snowflake")(page, cases)
    page.get_by_role("checkbox", name="Modelling").check()
    page.get_by_label("Why do you need it?", exact=True).fill("For the model.")
    page.route("**/request", lambda route: route.abort())
    page.get_by_role("button", name="Request app", exact=True).click()
    expect(page.get_by_role("dialog").get_by_text("Cannot reach the server.").first).to_be_visible()


def new_mail(page: Page, cases: Cases) -> None:
    if not cases.site.mails("Tom", "password"):
        page.goto("/password/forgot")
        page.get_by_label("Email", exact=True).fill("tom@example.com")
        page.get_by_role("button", name="Send link", exact=True).click()
        cases.site.mail("Tom", "password")
    page.goto("/mailbox?to=tom@example.com")
    expect(page.get_by_role("heading", level=2)).to_be_visible()


def mail_itself(page: Page, cases: Cases) -> None:
    """A mail's own HTML, out of the frame in which no check can run."""
    new_mail(page, cases)
    html = page.request.get(page.locator("iframe").get_attribute("src")).text()
    page.goto("about:blank")  # else the Mailbox's policy holds for it
    page.set_content(html)


def admin_dialog(address: str, opener: str, refused: str = "") -> Visit:
    def visit(page: Page, cases: Cases) -> None:
        page.goto(address)
        page.locator(opener).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        if refused:
            dialog.locator("form").evaluate("form => form.noValidate = true")
            dialog.get_by_role("button", name=refused, exact=True).click()
            expect(dialog.locator("[aria-invalid=true]").first).to_be_visible()

    return visit


def deactivation(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/people/{cases.person_id('Ana')}")
    page.locator("#deactivate").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def group_dialog(opener: str, refused: str = "") -> Visit:
    def visit(page: Page, cases: Cases) -> None:
        page.goto(f"/admin/groups/{cases.group_id('Finance')}")
        page.locator(opener).click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        if refused:
            dialog.get_by_role("button", name=refused, exact=True).click()
            expect(dialog.get_by_role("alert")).to_be_visible()

    return visit


def overview_tables(page: Page, cases: Cases) -> None:
    page.goto("/admin/overview")
    for summary in page.locator(".cs-fig summary").all():
        summary.click()


def removal(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/people/{cases.person_id('Rita')}")
    page.get_by_role("link", name="Remove", exact=True).first.click()
    expect(page.get_by_label("Reason for removing")).to_be_focused()


def removal_refused(page: Page, cases: Cases) -> None:
    removal(page, cases)
    page.locator(".cs-remove").evaluate("form => form.noValidate = true")
    page.locator(".cs-remove").get_by_role("button").click()
    expect(page.locator(".cs-remove [aria-invalid=true]")).to_be_visible()


def person_details(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/people/{cases.person_id('Ana')}")
    page.locator("#details").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def refused_days(page: Page, cases: Cases) -> None:
    page.goto(f"/admin/apps/{cases.app_id('Figma')}")
    page.locator("#days").fill("1000")
    page.locator("#days").press("Tab")
    expect(page.locator("#days[aria-invalid=true]")).to_be_visible()


def own_request(page: Page, cases: Cases) -> None:
    """Adam has asked for it, so its rules are shut for him."""
    page.goto(f"/catalog/{cases.app_id('HubSpot')}/request")
    page.get_by_label("Why do you need it?", exact=True).fill("For the newsletter.")
    page.get_by_role("button", name="Request app", exact=True).click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.goto(f"/admin/apps/{cases.app_id('HubSpot')}")
    expect(page.get_by_text("You have a pending request for HubSpot, so you cannot change its rules.")).to_be_visible()
    expect(page.get_by_role("switch", name="Requestable", exact=True)).to_be_disabled()


def password_again(page: Page, cases: Cases) -> None:
    """As after 15 minutes, and wrong once."""
    sign_in(page, "Adam")
    cases.change(OLD, "Again")
    page.goto(f"/admin/apps/{cases.app_id('Figma')}")
    page.get_by_role("switch", name="Reason required", exact=True).press("Space")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_label("Password", exact=True).fill("wrong")
    page.keyboard.press("Enter")
    expect(page.locator("dialog [aria-invalid=true]")).to_be_visible()


def password_again_on_a_page(page: Page, cases: Cases) -> None:
    sign_in(page, "Adam")
    cases.change(OLD, "Without script")
    page.goto("/admin/apps/new")
    page.get_by_label("Name", exact=True).fill("Asana")
    page.get_by_role("button", name="Create app", exact=True).click()
    expect(page.get_by_role("heading", name="Confirm your password", exact=True)).to_be_visible()


def held_mails(page: Page, cases: Cases) -> None:
    """As after a restore."""
    cases.change("UPDATE notices SET state = 'held' WHERE id IN (SELECT id FROM notices ORDER BY id DESC LIMIT 2)")
    page.goto("/admin/mail?state=held")
    expect(page.get_by_role("button", name="Send", exact=True)).to_have_count(2)


SCREENS = [
    Screen("sign-in", None, "/sign-in"),
    Screen("sign-in-refused", None, wrong_sign_in),
    Screen("form-expired", None, without_token),
    Screen("forgot", None, "/password/forgot"),
    Screen("forgot-refused", None, refused_forgot),
    Screen("forgot-sent", None, "/password/forgot?sent=1"),
    Screen("set-password", None, at(lambda cases: cases.password_link("Tom"))),
    Screen("set-password-as-another", "Rita", at(lambda cases: cases.password_link("Tom"))),
    Screen("set-password-refused", None, refused_password),
    Screen("set-password-dead", None, "/password/forged"),
    Screen("not-found-signed-out", None, "/nowhere"),
    Screen("broken", None, broken),
    Screen("dashboard", "Rita", "/"),
    Screen("dashboard-of-an-approver", "Ana", "/"),
    Screen("menu", "Rita", menu),
    Screen("requests", "Rita", "/requests"),
    Screen("requests-end", "Rita", "/requests?before=1"),
    Screen("request-pending", "Rita", request_page("Rita", "Figma")),
    Screen("request-denied", "Rita", request_page("Rita", "Concur")),
    Screen("request-expired", "Rita", request_page("Rita", "NetSuite")),
    Screen("request-cancelled", "Rita", request_page("Rita", "Adobe Creative Cloud")),
    Screen("request-approved", "Rita", request_page("Rita", "GitHub")),
    Screen("request-seen-by-approver", "Ben", request_page("Ines", "Salesforce")),
    Screen("request-seen-by-admin", "Adam", request_page("Ben", "Tableau")),
    Screen("comment-refused", "Rita", refused_comment),
    Screen("catalog", "Rita", "/catalog"),
    Screen("catalog-category", "Rita", "/catalog?category=Design"),
    Screen("catalog-found", "Rita", "/catalog?q=sales"),
    Screen("catalog-nothing-found", "Rita", "/catalog?q=zebra"),
    Screen("catalog-toast", "Ben", toast),
    Screen("dialog", "Ines", open_dialog("Benevity")),
    Screen("dialog-two-steps", "Rita", open_dialog("Snowflake")),
    Screen("dialog-refused", "Rita", refused_dialog),
    Screen("dialog-nobody-decides", "Adam", open_dialog("DocuSign")),
    Screen("dialog-unreachable", "Rita", failed_toast, loud=True),
    Screen("dialog-on-its-page", "Lena", at(lambda cases: f"/catalog/{cases.app_id('Snowflake')}/request")),
    Screen("dialog-no-script", "Lena", at(lambda cases: f"/catalog/{cases.app_id('Snowflake')}/request"), script=False),
    Screen("dialog-no-script-refused", "Lena", refused_dialog_page, script=False),
    Screen("conflict", "Rita", conflict),
    Screen("not-found", "Rita", "/nowhere"),
    Screen("account", "Rita", "/account"),
    Screen("account-refused", "Lena", refused_account),
    Screen("approvals", "Ana", "/approvals"),
    Screen("approvals-of-a-group", "Ben", "/approvals"),
    Screen("decided", "Ana", "/approvals/decided"),
    Screen("decided-end", "Ana", "/approvals/decided?before=1"),
    Screen("decide", "Ana", decision("Noah", "Benevity")),
    Screen("decide-second-step", "Chloe", decision("Ines", "Salesforce")),
    Screen("decide-several-choices", "Noah", decision("Tom", "GitHub")),
    Screen("decide-no-reason", "Ana", no_reason),
    Screen("decide-own", "Rita", decision("Rita", "Figma")),
    Screen("link-code", None, link("Noah", "Benevity", "Ana")),
    Screen("link-wrong-code", None, wrong_code),
    Screen("link-code-closed", None, link("Marta", "NetSuite", "Ana", wrong_codes=5)),
    Screen("link-sign-in", None, link("Ben", "DocuSign", "Adam")),
    Screen("link-signed-in", "Noah", link("Tom", "GitHub", "Noah")),
    Screen("link-of-another", "Rita", link("Noah", "Benevity", "Ana")),
    Screen("link-older", None, link("Tom", "GitHub", "Noah", older=True)),
    Screen("link-invalid", None, "/decide/forged"),
    Screen("settled-approved", None, link("Otto", "Benevity", "Ana")),
    Screen("settled-denied", None, link("Tom", "Benevity", "Ana")),
    Screen("settled-by-another", None, link("Rita", "Concur", "Chloe")),
    Screen("settled-expired", None, link("Ines", "DocuSign", "Adam")),
    Screen("settled-cancelled", None, link("Lena", "Figma", "Marta")),
    Screen("settled-now-with-others", None, link("Ines", "Salesforce", "Ana")),
    Screen("settled-signed-in", "Ana", link("Otto", "Benevity", "Ana")),
    Screen("mailbox", None, new_mail),
    Screen("mail-reset", None, mail_itself),
    Screen("mailbox-nothing-found", None, "/mailbox?q=zebra"),
    Screen("admin-first-steps", "Adam", "/admin/first-steps"),
    Screen("admin-overview", "Adam", "/admin/overview"),
    Screen("admin-overview-tables", "Adam", overview_tables),
    Screen("admin-apps", "Adam", "/admin/apps"),
    Screen("admin-apps-nothing-found", "Adam", "/admin/apps?q=zebra"),
    Screen("admin-apps-filtered", "Adam", "/admin/apps?state=requestable&category=Finance"),
    Screen("admin-app", "Adam", admin_app("Figma")),
    Screen("admin-app-two-steps", "Adam", admin_app("Salesforce")),
    Screen("admin-app-some-groups", "Adam", admin_app("PagerDuty")),
    Screen("admin-app-everything-open", "Adam", app_with_everything_open),
    Screen("admin-app-large", "Adam", large_app),
    Screen("admin-app-icons", "Adam", icons_to_choose),
    Screen("admin-app-not-saved", "Adam", not_saved),
    Screen("admin-mail-preview", "Adam", at(lambda cases: f"/admin/apps/{cases.app_id('Figma')}/mails/denied")),
    Screen("admin-app-archive", "Adam", at(lambda cases: f"/admin/apps/{cases.app_id('Salesforce')}/archive")),
    Screen("my-app", "Rita", my_app),
    Screen("my-app-no-script", "Rita", at(lambda cases: f"/apps/{cases.app_id('GitHub')}"), script=False),
    Screen("cancellation", "Rita", cancellation),
    Screen(
        "cancellation-no-script",
        "Rita",
        at(lambda cases: f"/requests/{cases.request_id('Rita', 'Figma')}/cancellation"),
        script=False,
    ),
    Screen("no-code-yet", None, no_code_yet),
    Screen("admin-apps-archived", "Adam", "/admin/apps?state=archived"),
    Screen("admin-app-refused", "Adam", refused_days),
    Screen("admin-new-app", "Adam", admin_dialog("/admin/apps", "#new-app")),
    Screen("admin-new-app-refused", "Adam", admin_dialog("/admin/apps", "#new-app", "Create app")),
    Screen("admin-new-app-no-script", "Adam", "/admin/apps/new", script=False),
    Screen("admin-apps-no-script", "Adam", "/admin/apps", script=False),
    Screen("admin-app-no-script", "Adam", admin_app("Figma"), script=False),
    Screen("admin-people", "Adam", "/admin/people"),
    Screen("admin-person", "Adam", at(lambda cases: f"/admin/people/{cases.person_id('Ana')}")),
    Screen("admin-person-removal", "Adam", removal),
    Screen("admin-person-removal-refused", "Adam", removal_refused),
    Screen(
        "admin-person-no-script", "Adam", at(lambda cases: f"/admin/people/{cases.person_id('Rita')}"), script=False
    ),
    Screen("admin-person-details", "Adam", person_details),
    Screen("admin-person-deactivated", "Adam", at(lambda cases: f"/admin/people/{cases.person_id('Paul')}")),
    Screen("admin-deactivation", "Adam", deactivation),
    Screen("admin-invite", "Adam", admin_dialog("/admin/people", "#new-person")),
    Screen("admin-requests", "Adam", "/admin/requests"),
    Screen("admin-requests-nothing-found", "Adam", "/admin/requests?q=zebra"),
    Screen("admin-request-step-in", "Adam", at(lambda cases: f"/admin/requests/{cases.request_id('Rita', 'Figma')}")),
    Screen("admin-mail", "Adam", "/admin/mail"),
    Screen("admin-mail-nothing-found", "Adam", "/admin/mail?q=zebra"),
    Screen("admin-mail-held", "Adam", held_mails),
    Screen("admin-organisation", "Adam", "/admin/organisation"),
    Screen("admin-audit", "Adam", "/admin/audit"),
    Screen("admin-audit-nothing-found", "Adam", "/admin/audit?who=zebra"),
    Screen("admin-groups", "Adam", "/admin/groups"),
    Screen("admin-group", "Adam", at(lambda cases: f"/admin/groups/{cases.group_id('Finance')}")),
    Screen("owned-apps", "Marta", "/admin/apps"),
    Screen("owned-app", "Marta", admin_app("Figma")),
    Screen("owned-app-requests", "Marta", at(lambda cases: f"/admin/apps/{cases.app_id('Figma')}/requests")),
    Screen("owned-app-people", "Marta", at(lambda cases: f"/admin/apps/{cases.app_id('Figma')}/people")),
    Screen(
        "owned-app-without-requests", "Marta", at(lambda cases: f"/admin/apps/{cases.app_id('Figma')}/requests?q=zebra")
    ),
    Screen("owned-app-own-request", "Adam", own_request),
    Screen("password-again", None, password_again, browser="Again"),
    Screen("password-again-no-script", None, password_again_on_a_page, script=False, browser="Without script"),
    Screen("admin-group-name", "Adam", group_dialog("#rename")),
    Screen("admin-group-archive-refused", "Adam", group_dialog("#archive", "Archive")),
    Screen("admin-people-nobody", "Adam", "/admin/people?state=deactivated&q=zebra"),
    Screen("admin-new-group", "Adam", admin_dialog("/admin/groups", "#new-group")),
]


@pytest.fixture(scope="session")
def cases(site):
    return Cases(site)


@pytest.mark.parametrize("screen", SCREENS, ids=lambda screen: screen.name)
def test_nothing_is_found(window, cases, screen):
    page = window(screen.who, java_script_enabled=screen.script, user_agent=screen.browser)
    if callable(screen.visit):
        screen.visit(page, cases)
    else:
        page.goto(screen.visit)
    assert screen.loud or window.complaints == []
    assert look(page if screen.script else as_without_script(page, window())) == []
    # axe copies imported style sheets into elements of its own, which the page's policy refuses.
    window.complaints.clear()


@pytest.mark.parametrize("address", ["/", "/catalog", "/approvals"])
def test_nothing_is_found_with_every_style_sheet_read(window, address):
    """The one check that looks into style sheets needs a page without its policy."""
    page = window("Noah", bypass_csp=True)
    page.goto(address)
    assert look(page) == []


@pytest.fixture(scope="module")
def empty(tmp_path_factory) -> Iterator[Site]:
    """A company on its first day (COUNTERSIGN_DEMO=0): Adam, the admin, and Rita, who has nothing yet."""
    port = free_port()
    data = tmp_path_factory.mktemp("empty")
    environment = {"COUNTERSIGN_EMBEDDED": "1", "COUNTERSIGN_DATA": str(data), "PORT": str(port)}
    app = create_app(Settings.from_env(environment | {"COUNTERSIGN_DEMO": "0"}))
    with app.app_context():
        choose("write")
        upgrade()
        admin = None
        for name, address in (("Adam Weiss", "adam@example.com"), ("Rita Lindqvist", "rita@example.com")):
            now = clock.now()
            person = people.create(email=address, name=name, actor=admin, now=now, is_admin=admin is None)
            people.set_password(person.id, hash=hash_password(PASSWORD), round=0, now=now)
            admin = admin or person
        outbox.commit()
        db.engine.dispose()
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(f"http://127.0.0.1:{port}", data, data / "log")
    server.shutdown()
    thread.join()
    server.server_close()


EMPTY = [
    ("Rita", "/"),
    ("Rita", "/catalog"),
    ("Rita", "/requests"),
    ("Rita", "/approvals"),
    ("Rita", "/approvals/decided"),
    ("Adam", "/catalog"),
    ("Adam", "/admin/overview"),
    ("Adam", "/admin/first-steps"),
    ("Adam", "/admin/apps"),
    ("Adam", "/admin/people"),
    ("Adam", "/admin/groups"),
    (None, "/mailbox"),
]


@pytest.mark.parametrize(("who", "address"), EMPTY)
def test_nothing_is_found_where_nothing_is(empty, chromium, who, address):
    windows = Windows(chromium, empty)
    page = windows(who)
    page.goto(address)
    assert windows.complaints == []
    assert look(page) == []
    for context in windows.contexts:
        close(context)


def as_without_script(page: Page, other: Page) -> Page:
    """The same page where axe can run, which is a script: without ours, and with what stands in <noscript>."""
    html = re.sub(r"</?noscript>|<script[^>]*></script>", "", page.content())
    other.route(page.url, lambda route: route.fulfill(content_type="text/html", body=html))
    other.goto(page.url)
    return other


EVERY_RULE = {"resultTypes": ["violations"]}
COLOURS = EVERY_RULE | {"runOnly": {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}}


def look(page: Page) -> list[str]:
    """What axe and a ruler find, in light and dark, wide and on a phone."""
    found = []
    axe = Axe()
    for width, size in ((1280, WIDE), (390, PHONE)):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            for one in axe.run(page, options=EVERY_RULE if scheme == "light" else COLOURS).response["violations"]:
                for node in one["nodes"]:
                    found.append(f"{width} {scheme}: {one['id']}: {node['html'][:200]} {node.get('failureSummary')}")
            axe.axe_script = "0"  # the page has it by now
        if page.evaluate("document.scrollingElement.scrollWidth > innerWidth"):
            found.append(f"{width}: the page is {page.evaluate('document.scrollingElement.scrollWidth')} px wide")
    return found
