"""How to get to a screen: an address that has to be found, or what has to be done first."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from flask import render_template
from playwright.sync_api import Page, expect

from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Group, Person
from webapp.operations import apps, rule_steps
from webapp.workflow.policy import Approver

from .cases import OLD, Cases
from .site import card, email, pick, sign_in

Visit = Callable[[Page, Cases], None]


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
    page.goto("/account/security")
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


def search_dialog(page: Page, cases: Cases) -> None:
    page.goto("/")
    page.locator("#search-all").click()
    page.get_by_role("searchbox").fill("sal")
    expect(page.locator("#found a").first).to_be_visible()


def direct_grant(page: Page, cases: Cases) -> None:
    """The form with the person chosen, and what was wrong with it."""
    page.goto(f"/admin/apps/{cases.app_id('Figma')}/grants/new?person=person:{cases.person_id('Tom')}")
    page.locator("#give form").evaluate("form => form.noValidate = true")
    page.get_by_role("button", name="Grant access", exact=True).click()
    expect(page.locator("#give [aria-invalid=true]").first).to_be_visible()
