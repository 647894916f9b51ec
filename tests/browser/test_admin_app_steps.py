"""Steps and fields of an app put in order in Chromium: by mouse, touch, keyboard and without JavaScript."""

from __future__ import annotations

import pytest
from playwright.sync_api import Route, expect

from .rules_page import STEPS, drag, expect_steps, rules_of, rules_of_its_own, step_of, steps_of, with_steps
from .site import PHONE


def test_a_step_is_dragged_to_its_place_and_saves_itself(window, cases):
    page = rules_of_its_own(window, cases)
    first, *rest = steps_of(page)
    lines = page.locator("#set-steps ol > li")
    drag(page, lines.first.locator(".cs-grip"), lines.last)
    expect(lines.last.locator("summary b")).to_have_text(first)
    expect(lines.last.locator(".cs-saved")).to_be_visible()
    expect(page.locator("#say")).to_contain_text(f"{first} is number {len(rest) + 1} of {len(rest) + 1} now.")
    expect(lines.last.locator("summary")).to_be_focused()
    assert page.locator("#set-steps details[open]").count() == 0
    expect(page.locator("#set-matrix th[scope=col]").last).to_contain_text(first)
    page.reload()
    expect_steps(page, *rest, first)
    step_of(page, first).get_by_role("button", name=f"Move {first} up", exact=True).click()
    expect(lines.first.locator("summary b")).to_have_text(first)
    assert page.evaluate("window.refused") == []


def test_a_step_is_dragged_by_finger(window, cases):
    page = rules_of_its_own(window, cases, viewport=PHONE, has_touch=True, is_mobile=True)
    page.get_by_role("navigation", name="Parts of the rules").get_by_role("link", name="Steps").tap()
    expect(page.locator(STEPS)).to_have_count(2)
    order = steps_of(page)
    lines = page.locator("#set-steps ol > li")
    grip = lines.first.locator(".cs-grip")
    grip.scroll_into_view_if_needed()
    start, end = grip.bounding_box(), lines.last.bounding_box()
    x, above, below = start["x"] + 10, start["y"] + 10, end["y"] + end["height"] * 0.8
    finger = page.context.new_cdp_session(page)
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": above}]})
    for part in range(1, 11):
        at = {"x": x, "y": above + (below - above) * part / 10}
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [at]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    expect(lines.last.locator("summary b")).to_have_text(order[0])
    expect(lines.last.locator(".cs-saved")).to_be_visible()
    # Less than a third of a second after another touch the browser may take a tap for the second half of a double tap.
    page.wait_for_timeout(500)
    step_of(page, order[0]).get_by_role("button", name=f"Move {order[0]} up", exact=True).tap()
    expect(lines.first.locator("summary b")).to_have_text(order[0])
    assert page.evaluate("window.refused") == []


def test_steps_are_sorted_by_keyboard(window, cases):
    """Up and Down, with the focus on the step's own button all the way, and told where it is."""
    page = rules_of_its_own(window, cases)
    first, *_ = with_steps(page, "Otto Brandt", "Platform")
    count = len(steps_of(page))
    assert count >= 3
    step_of(page, first).get_by_role("button", name=f"Move {first} down", exact=True).focus()
    for place in range(2, count + 1):
        page.keyboard.press("Enter")
        expect(page.locator(STEPS).nth(place - 1)).to_have_text(first)
        expect(page.locator("#say")).to_contain_text(f"{first} is number {place} of {count} now.")
        way = "down" if place < count else "up"  # at the end there is no further down
        expect(page.get_by_role("button", name=f"Move {first} {way}", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(STEPS).nth(count - 2)).to_have_text(first)
    expect(page.get_by_role("button", name=f"Move {first} up", exact=True)).to_be_focused()
    page.reload()
    expect(page.locator(STEPS).nth(count - 2)).to_have_text(first)


def test_steps_that_somebody_else_changed_show_how_they_are_now(window, cases):
    page = rules_of(window, cases, "NetSuite")
    mine = with_steps(page, "Otto Brandt")
    other = rules_of(window, cases, "NetSuite")
    with_steps(other, "Lena Novak")
    lines = page.locator("#set-steps ol > li")
    drag(page, lines.first.locator(".cs-grip"), lines.last)
    expect(page.locator("#set-steps .invalid-feedback")).to_contain_text("Someone else changed the steps.")
    expect_steps(page, *mine, "Lena Novak")


@pytest.mark.parametrize("status", [None, 502])
def test_steps_that_could_not_be_saved_go_back_to_where_they_were(window, cases, status):
    def fail(route: Route) -> None:
        route.fulfill(status=status, body="<html>Bad gateway</html>") if status else route.abort()

    page = rules_of(window, cases, "Salesforce")
    order = steps_of(page)
    page.route("**/steps/order", fail)
    lines = page.locator("#set-steps ol > li")
    drag(page, lines.first.locator(".cs-grip"), lines.last)
    expect(page.locator("[data-toast].is-no")).to_contain_text("still here")
    expect(lines.first.locator("summary b")).to_have_text(order[0])
    expect_steps(page, *order)
    window.complaints.clear()  # Chromium tells of the failure that we made


def test_fields_are_dragged_without_being_opened(window, cases):
    page = rules_of(window, cases, "Salesforce", viewport={"width": 1280, "height": 1100})
    fields = page.locator("#set-fields [data-sort] > details")
    first = fields.first.locator("summary b").text_content()
    drag(page, fields.first.locator(".cs-grip"), fields.last)
    expect(fields.last.locator("summary b")).to_have_text(first)
    expect(fields.last.locator(".cs-saved")).to_be_visible()
    expect(fields.last.locator("summary")).to_be_focused()
    assert page.locator("#set-fields details[open]").count() == 0
    assert page.evaluate("window.refused") == []


def test_nothing_can_be_dragged_without_script(window, cases):
    page = rules_of_its_own(window, cases, java_script_enabled=False)
    expect(page.locator(".cs-grip").first).to_be_hidden()
    order = steps_of(page)
    page.locator("#set-steps summary").first.click()
    page.get_by_role("button", name=f"Move {order[0]} down", exact=True).click()
    expect_steps(page, order[1], order[0], *order[2:])
    page.locator("#set-steps summary").last.click()
    page.get_by_role("button", name=f"Move {order[0]} up", exact=True).click()
    expect_steps(page, *order)
