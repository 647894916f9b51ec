"""People and groups of an app's page are chosen by one picker, by keyboard, by mouse and without JavaScript."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from .rules_page import STEPS, expect_steps, rules_of_its_own, step_of
from .site import pick


def test_a_picker_is_used_by_keyboard(window, cases):
    """Type, the list opens; arrow keys choose; Enter takes; Escape closes; what was taken is a step at once."""
    page = rules_of_its_own(window, cases)
    field, options = page.locator("#step"), page.locator("#step-list [role=option]")
    field.focus()
    page.keyboard.press("ArrowDown")
    expect(options).to_have_count(8)
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(options.first).to_be_hidden()
    expect(field).to_have_attribute("aria-expanded", "false")
    page.keyboard.type("ma")
    expect(page.locator("#step-list b", has_text="Marta Silva")).to_be_visible()
    names = page.locator("#step-list b").all_text_contents()
    for name in [*names[1:], names[0]]:
        page.keyboard.press("ArrowDown")
        expect(page.locator("#step-list [aria-selected=true] b")).to_have_text(name)
        marked = page.locator(f"[id='{field.get_attribute('aria-activedescendant')}']")
        expect(marked).to_contain_text(name)
    # Enter right after the last letter takes the one that is found for all of them.
    field.fill("")
    page.keyboard.type("otto")
    page.keyboard.press("Enter")
    expect(page.locator(STEPS).last).to_have_text("Otto Brandt")
    expect(page.locator("#say")).to_contain_text("Saved")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    # The same by mouse, and nothing happens to whom nobody took.
    page.keyboard.type("lena")
    page.locator("#step-list [role=option]", has_text="Lena Novak").click()
    expect(page.locator(STEPS).last).to_have_text("Lena Novak")
    expect(field).to_have_value("")
    field.click()  # the part was drawn anew: what is typed has to go into the new field
    page.keyboard.type("zebra")
    expect(page.locator("#step-list")).to_contain_text("No matches for “zebra”.")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect_steps(page, "Ana Moreau", "Finance", "Otto Brandt", "Lena Novak")
    assert page.evaluate("window.refused") == []


def test_groups_and_the_owner_are_chips(window, cases):
    page = rules_of_its_own(window, cases)
    audience, owner = page.locator("#set-audience"), page.locator("#set-owner")
    pick(page, "audience", "Finance")
    expect(audience.get_by_role("button", name="Remove Finance", exact=True)).to_be_visible()
    pick(page, "audience", "Platform")
    expect(audience.locator(".cs-chips > span")).to_have_text(["Finance", "Platform"])
    expect(page.locator(".cs-jump a").first).to_contain_text("Not in the catalog")
    audience.get_by_role("button", name="Remove Finance", exact=True).click()
    expect(audience.locator(".cs-chips > span")).to_have_text(["Platform"])
    expect(page.locator("#audience")).to_be_focused()
    pick(page, "owner", "Marta Silva")
    expect(owner.locator(".cs-chips > span")).to_have_text([re.compile("Marta Silva")])
    expect(page.locator("#head")).to_contain_text("owned by Marta Silva")
    owner.get_by_role("button", name="Remove Marta Silva", exact=True).click()
    expect(page.locator("#head")).to_contain_text("no owner")
    page.reload()
    expect(audience.locator(".cs-chips > span")).to_have_text(["Platform"])
    step = step_of(page, "Ana Moreau")
    pick(page, step.get_by_role("combobox").get_attribute("id"), "Otto Brandt")
    expect(page.locator(STEPS)).to_have_text(["Otto Brandt", "Finance"])


def test_a_picker_without_script_is_a_search_and_buttons(window, cases):
    page = rules_of_its_own(window, cases, java_script_enabled=False)
    page.locator("#step").fill("otto")
    page.locator("#step").press("Enter")
    page.locator("#step-list").get_by_role("button", name="Otto Brandt").click()
    expect_steps(page, "Ana Moreau", "Finance", "Otto Brandt")
    page.locator("#audience").fill("plat")
    page.locator("#set-audience").get_by_role("button", name="Search", exact=True).click()
    page.locator("#audience-list").get_by_role("button", name="Platform").click()
    page.get_by_role("button", name="Remove Platform", exact=True).click()
    expect(page.locator("#set-audience .cs-chips > span")).to_have_count(0)
    page.locator("#person").fill("rita")
    page.locator("#person").press("Enter")
    page.locator("#person-list").get_by_role("button", name="Rita").click()
    expect(page.locator("#what-drawn")).to_contain_text("Rita requests")


@pytest.mark.parametrize("scripted", [True, False])
def test_people_of_a_group_and_who_is_granted_access_are_picked_the_same_way(window, cases, scripted):
    page = window("Adam", java_script_enabled=scripted)
    group = f"/admin/groups/{cases.group_id('Platform')}"

    def take(id: str, name: str) -> None:
        if scripted:
            return pick(page, id, name)
        page.locator(f"#{id}").fill(name)
        page.locator(f"#{id}").press("Enter")
        page.locator(f"#{id}-list").get_by_role("button", name=name).click()

    page.goto(group)
    take(f"who-{cases.group_id('Platform')}", "Lena Novak")
    out = page.get_by_role("button", name="Remove Lena Novak from Platform", exact=True)
    out.click()
    expect(out).to_have_count(0)
    page.goto(f"/admin/apps/{cases.app_id('Salesforce')}/grants/new")
    take("person", "Lena Novak")
    page.wait_for_url("**/grants/new?person=person*")
    expect(page.get_by_label("Reason", exact=True)).to_be_visible()
