"""The main job in a real browser, on the stack as bin/run starts it: ask, countersign, add."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .site import Site, card, code_in, follow_link, open_mail, request_of, sign_in, sign_out, tile

WHY = "I run the spring campaign, and people give through it."
NO = "No licences are left this quarter. Use Tableau for reports."


@pytest.fixture(params=[("Rita", True), ("Marta", False)], ids=["script", "no script"])
def newcomer(request, window):
    """Who asks, and a window in which nobody is signed in; each has none of these apps."""
    name, script = request.param
    return name, window(java_script_enabled=script)


def test_ask_countersign_add(newcomer, site):
    name, page = newcomer
    page.goto("/")
    sign_in(page, name)

    # The third request is left alone: it expires while the others go their way.
    ask(page, "Tableau", "The numbers of the campaign.")
    asked = site.mail("Ana", f"{name} requests Tableau")
    let_time_run_out(site, page, "Tableau")

    # Added at once.
    page.goto("/")
    page.get_by_role("link", name="Add apps", exact=True).click()
    card(page, "Apptio").get_by_role("button", name="Add", exact=True).click()
    expect(card(page, "Apptio").get_by_text("Added", exact=True)).to_be_visible()
    page.get_by_role("link", name="Dashboard", exact=True).click()
    expect(tile(page, "Apptio")).to_be_visible()

    # Asked for, countersigned by Ana behind her mail's link, had.
    ask(page, "Benevity", WHY, chosen="Campaign owner")
    page.goto("/")
    expect(request_of(page, "Benevity")).to_contain_text("Pending")
    sign_out(page)
    open_mail(page, site, "Ana", f"{name} requests Benevity")
    code = code_in(page)
    follow_link(page)
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(f"{name} .* requests Benevity"))
    expect(page.get_by_text(WHY)).to_be_visible()
    page.get_by_role("radio", name="With matched giving").check()
    page.get_by_label("Code from the email", exact=True).fill(code)
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Approved by you"))
    yes = site.mail(name, "Approved: your request for Benevity")
    assert "With matched giving" in site.text_of(yes)

    page.goto("/")
    sign_in(page, name)
    expect(tile(page, "Benevity")).to_contain_text("Campaign owner, With matched giving")
    expect(request_of(page, "Benevity")).to_contain_text("Approved")

    # Two steps: Ana says yes, then Ben says no for Finance, and Chloe is told that it is settled.
    ask(page, "Salesforce", "I look after the accounts in Sweden.", chosen="Sales manager")
    sign_out(page)
    decide_by_mail(page, site, "Ana", f"{name} requests Salesforce", region="EMEA")
    site.mail("Chloe", f"{name} requests Salesforce")
    decide_by_mail(page, site, "Ben", f"{name} requests Salesforce", reason=NO)
    assert "Ben Okafor denied" in site.text_of(site.mail("Chloe", f"{name} Salesforce denied"))
    assert NO in site.text_of(site.mail(name, "Salesforce denied quarter"))
    page.goto("/")
    sign_in(page, name)
    denied = request_of(page, "Salesforce")
    expect(denied).to_contain_text("Denied")
    expect(denied).to_contain_text(NO)

    # Meanwhile the first one has expired, and those were told who had to be.
    over = site.mail(name, "Tableau expired", within=45)
    assert over.at > asked.at
    assert "did not decide by" in site.text_of(over)
    page.goto("/")
    expect(request_of(page, "Tableau")).to_contain_text("Expired")
    expect(request_of(page, "Tableau").get_by_role("link", name="Request again", exact=True)).to_be_visible()


def ask(page: Page, app: str, why: str, chosen: str = "") -> None:
    page.goto("/catalog")
    ask = card(page, app).get_by_role("link", name="Request", exact=True)
    expect(ask).to_have_accessible_description(app)
    ask.click()
    dialog = page.get_by_role("dialog", name=f"Request {app}", exact=True)
    if chosen:
        dialog.get_by_role("radio", name=chosen).check()
    dialog.get_by_label("Why do you need it?", exact=True).fill(why)
    dialog.get_by_role("button", name="Request app", exact=True).click()
    expect(dialog).to_be_hidden()
    page.goto("/catalog")
    expect(card(page, app).get_by_role("link", name="Requested", exact=True)).to_be_visible()


def decide_by_mail(page: Page, site: Site, who: str, words: str, *, region: str = "", reason: str = "") -> None:
    """Approve, with the region when there is one to set; deny when there is a reason."""
    open_mail(page, site, who, words)
    code = code_in(page)
    follow_link(page)
    page.get_by_label("Code from the email", exact=True).fill(code)
    if reason:
        page.locator("summary").filter(has_text="Deny").click()
        page.get_by_label("Reason for denying", exact=True).fill(reason)
        page.get_by_role("button", name="Deny", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^Denied by you"))
    else:
        page.get_by_role("radio", name=region).check()
        page.get_by_role("button", name="Approve", exact=True).click()
        expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^You approved this"))


def let_time_run_out(site: Site, page: Page, app: str) -> None:
    page.goto("/requests")
    link = request_of(page, app).get_by_role("link", name=app, exact=True).get_attribute("href")
    with site.database() as database:
        moved = database.execute(
            "UPDATE steps SET due_at = '2026-01-01 00:00:00.000000' WHERE state = 'open' AND request_id = "
            "(SELECT id FROM requests WHERE public_id = ?)",
            [link.rpartition("/")[2]],
        )
        assert moved.rowcount == 1
