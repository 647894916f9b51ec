"""An app's page in Chromium: an app from nothing, its switches in the list, and how much there is to see at once."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image
from playwright.sync_api import expect

from .rules_page import STEPS, rules_of, rules_of_its_own, steps_of, with_steps
from .site import PHONE, card, pick, tile


def picture() -> bytes:
    body = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(body, "PNG")
    return body.getvalue()


def test_an_app_is_set_up_from_nothing_asked_for_and_approved_by_both_steps(window, cases, site):
    """The promise of five minutes: name, icon, two steps, a field, words; then Lena asks, Ana and Finance decide."""
    page = window("Adam")
    page.goto("/admin/apps")
    page.get_by_role("link", name="New app", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name", exact=True).fill("Figjam Boards")
    dialog.get_by_role("button", name="Create app", exact=True).click()
    page.wait_for_url("**/admin/apps/*")
    expect(page.get_by_role("heading", name="Figjam Boards", level=1)).to_be_visible()

    page.locator("#icon-set").click()
    page.locator("#picture").set_input_files({"name": "logo.png", "mimeType": "image/png", "buffer": picture()})
    expect(page.locator("#head .is-picture img")).to_be_visible()
    assert (
        page.locator("#head .is-picture img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    )

    with_steps(page, "Ana Moreau", "Finance")
    expect(page.locator(STEPS)).to_have_text(["Ana Moreau", "Finance"])

    page.locator("#f-new > summary").click()
    new = page.locator("#f-new")
    new.get_by_label("Name", exact=True).fill("Plan")
    new.get_by_label("Options", exact=True).fill("Viewer\nEditor")
    new.get_by_role("button", name="Add field", exact=True).click()
    plan = page.locator("#set-fields [data-sort] > details")
    plan.get_by_label("Required for approval", exact=True).check()
    expect(plan.locator("summary")).to_contain_text("Viewer, Editor · required")
    for who, word in (("Finance", "Edit"), ("the requester", "Hidden")):
        cell = page.get_by_role("group", name=f"Plan for {who}", exact=True)
        expect(cell.get_by_label("Edit", exact=True)).to_be_checked(checked=word == "Hidden")
        cell.get_by_label(word, exact=True).check()
        expect(page.locator("#set-matrix .cs-saved")).to_be_visible()
        page.evaluate("document.querySelector('#set-matrix .cs-saved').remove()")

    page.locator("#approved-words-fold > summary").click()
    words = page.locator("#approved-words")
    words.fill("Your first board is waiting for you.")
    words.press("Tab")
    expect(page.locator("#set-approved-words .cs-saved")).to_be_visible()
    switch = page.get_by_role("switch", name="Requestable", exact=True)
    switch.check()
    expect(page.locator("#set-requestable .cs-saved")).to_be_visible()

    lena = window("Lena")
    lena.goto("/catalog")
    card(lena, "Figjam Boards").get_by_role("link", name="Request", exact=True).click()
    ask = lena.get_by_role("dialog", name="Request Figjam Boards", exact=True)
    ask.get_by_label("Why do you need it?", exact=True).fill("Workshops with customers.")
    ask.get_by_role("button", name="Request app", exact=True).click()
    expect(ask).to_be_hidden()

    anyone = window()
    anyone.goto(cases.link("Lena", "Figjam Boards", "Ana"))
    expect(anyone.locator(".cs-ask-top .is-picture img")).to_be_attached()
    anyone.get_by_label("Code from the email", exact=True).fill(cases.code("Lena", "Figjam Boards", "Ana"))
    anyone.get_by_role("button", name="Approve", exact=True).click()
    expect(anyone.get_by_text("approved")).not_to_have_count(0)

    ben = window("Ben")
    ben.goto(f"/approvals/{cases.request_id('Lena', 'Figjam Boards')}")
    ben.get_by_label("Editor", exact=True).check()
    ben.get_by_role("button", name="Approve", exact=True).click()
    site.mail("Lena", "You now have access to Figjam Boards")
    lena.goto("/")
    expect(tile(lena, "Figjam Boards")).to_be_visible()
    assert "Your first board is waiting for you." in site.text_of(
        site.mail("Lena", "You now have access to Figjam Boards")
    )


def test_turning_approval_off_in_the_list_asks_first_and_is_done(window, cases):
    """By keyboard: who thinks better of it is back at the switch, and who means it stays in the list."""
    page = rules_of_its_own(window, cases)
    name = page.get_by_role("heading", level=1).text_content().strip()
    page.get_by_role("switch", name="Requestable", exact=True).check()
    expect(page.locator("#set-requestable .cs-saved")).to_be_visible()
    lena = window("Lena")
    lena.goto("/catalog")
    card(lena, name).get_by_role("link", name="Request", exact=True).click()
    ask = lena.get_by_role("dialog")
    ask.get_by_label("Why do you need it?", exact=True).fill("Seating plans.")
    ask.get_by_role("button", name="Request app", exact=True).click()
    expect(ask).to_be_hidden()

    of_the_app = page.get_by_role("switch", name="Approval required", exact=True)
    page.goto(f"/admin/apps?q={name.replace(' ', '+')}")
    of_the_list = page.get_by_role("switch", name=f"Approval required: {name}", exact=True)
    question = page.get_by_role("dialog", name=re.compile("1 request for .* is pending"))
    for switch in (of_the_list, of_the_app):
        switch.focus()
        page.keyboard.press("Space")
        expect(question.locator(":focus")).to_be_visible()
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        expect(switch).to_be_checked()
        expect(switch).to_be_focused()
        if switch is of_the_list:
            page.get_by_role("link", name=name, exact=True).click()
    page.go_back()
    of_the_list.press("Space")
    question.get_by_role("button", name="Turn approval off", exact=True).press("Enter")
    toast = page.get_by_role("region", name="Notifications")
    expect(toast).to_contain_text(f"{name} no longer needs approval.")
    expect(page).to_have_url(re.compile(r"/admin/apps\?q="))
    expect(of_the_list).not_to_be_checked()
    assert page.evaluate("window.refused") == []


def test_a_refused_switch_of_the_list_says_so_beside_itself(window, cases):
    """Somebody else was quicker: it shows how it is now, and why."""
    page = rules_of_its_own(window, cases)
    key, name = page.url.rpartition("/")[2], page.get_by_role("heading", level=1).text_content().strip()
    listed = window("Adam", viewport=PHONE)
    listed.goto(f"/admin/apps?q={name.replace(' ', '+')}")
    switch = listed.get_by_role("switch", name=f"Requestable: {name}", exact=True)
    expect(switch).not_to_be_checked()
    page.get_by_role("switch", name="Requestable", exact=True).check()
    expect(page.locator("#set-requestable .cs-saved")).to_be_visible()
    switch.press("Space")
    expect(listed.locator(f"#r-{key}-e")).to_contain_text("Someone else changed")
    expect(switch).to_be_checked()
    expect(switch).to_have_attribute("aria-invalid", "true")
    expect(switch).to_be_focused()
    assert listed.locator("[data-toast]").count() == 0
    assert listed.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("scripted", [True, False])
def test_options_are_asked_for_only_where_the_type_has_some(window, cases, scripted):
    """By style sheet alone, so without JavaScript, too."""
    page = rules_of(window, cases, "Salesforce", java_script_enabled=scripted)
    page.locator("#f-new > summary").click()
    new = page.locator("#f-new")
    options = new.get_by_label("Options", exact=True)
    options.fill("Viewer\nEditor")
    for kind, shown in (("Text", False), ("Several choices", True), ("Number", False), ("Yes or no", False)):
        new.get_by_label("Type", exact=True).select_option(label=kind)
        expect(options).to_be_visible(visible=shown)
    new.get_by_label("Name", exact=True).fill("Zone")
    new.get_by_role("button", name="Add field", exact=True).click()
    expect(new).to_contain_text("Only the types Choice and Several choices have options.")
    expect(options).to_have_value("Viewer\nEditor")


def test_links_of_their_own_are_as_high_as_a_finger(window, cases):
    page = rules_of(window, cases, "Salesforce", viewport=PHONE)
    for part, name in (("Steps", "Preview the email to approvers"), ("When denied", "Preview the “When denied” email")):
        page.get_by_role("navigation", name="Parts of the rules").get_by_role("link", name=part).click()
        box = page.get_by_role("link", name=name, exact=True).bounding_box()
        assert box is not None and box["height"] >= 44


def test_what_would_happen_is_drawn_and_follows_the_rules(window, cases):
    page = rules_of_its_own(window, cases)
    pick(page, "person", "Rita Lindqvist")
    drawn = page.locator("#what-drawn")
    expect(drawn).to_contain_text("Email to Ana Moreau")
    expect(page.locator("#say")).to_contain_text("Preview for Rita Lindqvist is shown below.")
    with_steps(page, "Otto Brandt")
    expect(drawn).to_contain_text("Otto Brandt")
    page.get_by_role("switch", name="Approval required", exact=True).uncheck()
    expect(drawn).to_contain_text("Rita adds the app")


def test_the_page_of_a_typical_app_is_no_longer_than_three_screens_and_a_half(window, cases):
    """Two steps and four fields at 1280: whoever looks for a setting finds it, closed lines tell what is set."""
    page = rules_of(window, cases, "Salesforce", viewport={"width": 1280, "height": 860})
    assert page.locator("#set-fields [data-sort] > details").count() == 4 and len(steps_of(page)) >= 2
    assert page.evaluate("document.documentElement.scrollHeight") <= 3000
    jump = page.get_by_role("navigation", name="Parts of the rules")
    expect(jump.get_by_role("link", name="Fields")).to_contain_text("4 fields")
    jump.get_by_role("link", name="When expired").click()
    expect(jump.locator("[aria-current]")).to_contain_text("When expired")
    page.get_by_role("region", name="When expired").get_by_role("link", name="time limit").click()
    expect(page.locator("#time-limit")).to_be_in_viewport()
    expect(page.locator("#days")).to_have_count(1)


@pytest.mark.parametrize("scripted", [True, False])
def test_on_a_phone_one_part_is_shown_at_a_time(window, cases, scripted):
    page = rules_of(window, cases, "Salesforce", viewport=PHONE, java_script_enabled=scripted)
    parts = page.locator(".cs-rulepart")
    expect(parts.and_(page.locator(":visible"))).to_have_count(1)
    expect(page.get_by_role("heading", name="Approval", exact=True)).to_be_visible()
    page.get_by_role("navigation", name="Parts of the rules").get_by_role("link", name="When denied").click()
    expect(parts.and_(page.locator(":visible"))).to_have_count(1)
    expect(page.get_by_role("heading", name="When denied", exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    # What is saved or refused without JavaScript leads back to the same part.
    reason = page.get_by_label("Suggested reasons", exact=True)
    reason.fill("r" * 200)
    reason.press("Enter")
    expect(page.get_by_role("button", name=f"Remove {'r' * 200}", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="When denied", exact=True)).to_be_visible()
    page.get_by_role("button", name=f"Remove {'r' * 200}", exact=True).click()
    expect(page.get_by_role("button", name=f"Remove {'r' * 200}", exact=True)).to_have_count(0)
