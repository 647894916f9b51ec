"""An app's page in Chromium: an app from nothing, and steps put in order by mouse, touch and keyboard."""

from __future__ import annotations

import io
import re
import secrets

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.embedded.helpers import until

from .cases import Cases
from .site import PHONE, card, tile

# Asked for before any script of the page runs: what the policy refused, if anything.
WATCH = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", event =>
        window.refused.push(`${event.violatedDirective} ${event.sourceFile} ${event.sample}`));
"""


@pytest.fixture(scope="session")
def cases(site):
    return Cases(site)


def picture() -> bytes:
    body = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(body, "PNG")
    return body.getvalue()


def rules_of(window, cases: Cases, app: str, **options) -> Page:
    """The app's page as Adam sees it, watched for what its policy refuses."""
    page = window("Adam", **options)
    page.add_init_script(WATCH)
    page.goto(f"/admin/apps/{cases.app_id(app)}")
    return page


def rules_of_its_own(window, **options) -> Page:
    """The same for a new app with a field, which Ana and then Finance decide: no other test uses it."""
    page = window("Adam")
    page.goto("/admin/apps/new")
    page.get_by_label("Name", exact=True).fill(f"Sorting {secrets.token_hex(4)}")
    page.get_by_role("button", name="Create app", exact=True).click()
    page.wait_for_url(re.compile(r"/admin/apps/[0-9A-Z]{12}"))
    page.locator("#approver").select_option(label="Ana Moreau")
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    with_steps(page, "Finance")
    page.locator("#f-new > summary").click()
    field = page.locator("#f-new")
    field.get_by_label("Name", exact=True).fill("Plan")
    field.get_by_label("Choices", exact=True).fill("Viewer\nEditor")
    field.get_by_role("button", name="Add field", exact=True).click()
    expect(page.locator("#set-fields")).to_contain_text("Choice of 2")
    made = page.url.partition("#")[0]
    page = window("Adam", **options)
    page.add_init_script(WATCH)
    page.goto(made)
    return page


def steps_of(page: Page) -> list[str]:
    return page.locator("#set-steps ol > li b").all_text_contents()


def with_steps(page: Page, *names: str) -> list[str]:
    """Adds steps until there are some to sort; returns them in order."""
    for name in names:
        page.locator("#step").select_option(
            label=page.locator("#step option", has_text=name).first.text_content().strip()
        )
        page.get_by_role("button", name="Add step", exact=True).click()
        expect(page.locator("#set-steps ol > li b").last).to_have_text(name)
    return steps_of(page)


def drag(page: Page, grip, onto) -> None:
    """By mouse, in steps, as hands do, which let go when the line has followed."""
    grip.scroll_into_view_if_needed()
    start, end = grip.bounding_box(), onto.bounding_box()
    page.mouse.move(start["x"] + 5, start["y"] + 5)
    page.mouse.down()
    page.mouse.move(start["x"] + 8, start["y"] + 12, steps=3)
    x, y = end["x"] + 8, end["y"] + end["height"] * 0.75
    page.mouse.move(x, y, steps=10)
    page.wait_for_function("([x, y]) => document.elementFromPoint(x, y).closest('.is-ghost')", arg=[x, y])
    page.mouse.up()


def test_a_step_is_dragged_to_its_place_and_saves_itself(window):
    page = rules_of_its_own(window)
    first, *rest = steps_of(page)
    lines = page.locator("#set-steps ol > li")
    drag(page, lines.first.locator(".cs-grip"), lines.last)
    expect(lines.last.locator("b")).to_have_text(first)
    expect(lines.last.locator(".cs-saved")).to_be_visible()
    expect(page.locator("#say")).to_contain_text(f"{first} is number {len(rest) + 1} of {len(rest) + 1} now.")
    expect(page.get_by_role("button", name=f"Move {first} up", exact=True)).to_be_focused()
    expect(page.locator("#set-matrix th[scope=col]").last).to_contain_text(first)
    page.reload()
    assert steps_of(page) == [*rest, first]
    page.get_by_role("button", name=f"Move {first} up", exact=True).click()
    expect(lines.first.locator("b")).to_have_text(first)
    assert page.evaluate("window.refused") == []


def test_a_step_is_dragged_by_finger(window):
    page = rules_of_its_own(window, viewport=PHONE, has_touch=True, is_mobile=True)
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
    expect(lines.last.locator("b")).to_have_text(order[0])
    expect(lines.last.locator(".cs-saved")).to_be_visible()
    # Less than a third of a second after another touch the browser may take a tap for the second half of a double tap.
    page.wait_for_timeout(500)
    page.get_by_role("button", name=f"Move {order[0]} up", exact=True).tap()
    expect(lines.first.locator("b")).to_have_text(order[0])
    assert page.evaluate("window.refused") == []


def test_steps_are_sorted_by_keyboard(window):
    """Up and Down, with the focus on the step's own button all the way, and told where it is."""
    page = rules_of_its_own(window)
    first, *_ = with_steps(page, "Otto Brandt", "Platform")
    count = len(steps_of(page))
    assert count >= 3
    page.get_by_role("button", name=f"Move {first} down", exact=True).focus()
    for place in range(2, count + 1):
        page.keyboard.press("Enter")
        expect(page.locator("#set-steps ol > li b").nth(place - 1)).to_have_text(first)
        expect(page.locator("#say")).to_contain_text(f"{first} is number {place} of {count} now.")
        way = "down" if place < count else "up"  # at the end there is no further down
        expect(page.get_by_role("button", name=f"Move {first} {way}", exact=True)).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator("#set-steps ol > li b").nth(count - 2)).to_have_text(first)
    expect(page.get_by_role("button", name=f"Move {first} up", exact=True)).to_be_focused()
    page.reload()
    assert steps_of(page)[count - 2] == first


def test_steps_that_somebody_else_changed_show_how_they_are_now(window, cases):
    page = rules_of(window, cases, "NetSuite")
    mine = with_steps(page, "Otto Brandt")
    other = rules_of(window, cases, "NetSuite")
    with_steps(other, "Lena Novak")
    lines = page.locator("#set-steps ol > li")
    drag(page, lines.first.locator(".cs-grip"), lines.last)
    expect(page.locator("#set-steps .invalid-feedback")).to_contain_text("Somebody else changed the steps meanwhile.")
    assert steps_of(page) == [*mine, "Lena Novak"]


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
    expect(lines.first.locator("b")).to_have_text(order[0])
    assert steps_of(page) == order
    window.complaints.clear()  # Chromium tells of the failure that we made


def test_fields_are_dragged_without_being_opened(window, cases):
    page = rules_of(window, cases, "Salesforce")
    fields = page.locator("#set-fields [data-sort] > details")
    first = fields.first.locator("summary b").text_content()
    drag(page, fields.first.locator(".cs-grip"), fields.last)
    expect(fields.last.locator("summary b")).to_have_text(first)
    expect(fields.last.locator(".cs-saved")).to_be_visible()
    expect(fields.last.locator("summary")).to_be_focused()
    assert page.locator("#set-fields details[open]").count() == 0
    assert page.evaluate("window.refused") == []


def test_nothing_can_be_dragged_without_script(window):
    page = rules_of_its_own(window, java_script_enabled=False)
    expect(page.locator(".cs-grip").first).to_be_hidden()
    order = steps_of(page)
    page.get_by_role("button", name=f"Move {order[0]} down", exact=True).click()
    assert steps_of(page) == [order[1], order[0], *order[2:]]
    page.get_by_role("button", name=f"Move {order[0]} up", exact=True).click()
    assert steps_of(page) == order


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

    page.locator("#picture").set_input_files({"name": "logo.png", "mimeType": "image/png", "buffer": picture()})
    expect(page.locator("#head .is-picture img")).to_be_visible()
    assert (
        page.locator("#head .is-picture img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    )

    page.locator("#approver").select_option(label="Ana Moreau")
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    page.locator("#step").select_option(label="Finance")
    page.get_by_role("button", name="Add step", exact=True).click()
    expect(page.locator("#set-steps ol > li b")).to_have_text(["Ana Moreau", "Finance"])

    page.locator("#f-new > summary").click()
    new = page.locator("#f-new")
    new.get_by_label("Name", exact=True).fill("Plan")
    new.get_by_label("Choices", exact=True).fill("Viewer\nEditor")
    new.get_by_label("Who sets it", exact=True).select_option(label="Step 2: Finance")
    new.get_by_label("Required before the last yes", exact=True).check()
    new.get_by_role("button", name="Add field", exact=True).click()
    expect(page.locator("#set-fields")).to_contain_text("Choice of 2, required · Finance sets it")

    words = page.locator("#approved-words")
    words.fill("Your first board is waiting for you.")
    words.press("Tab")
    expect(page.locator("#set-approved .cs-saved")).to_be_visible()
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


def broken(route: Route) -> None:
    route.fulfill(status=500, body="")


def our_own_failure(route: Route) -> None:
    """As webapp/errors.py answers."""
    route.fulfill(
        status=500,
        headers={"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"},
        body='<div data-toast data-say="Something broke on our side; what you typed is still here."></div>',
    )


def unreachable(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize(
    ("app", "failure", "sentence"),
    [("DeepL", broken, "Something broke on the way."), ("1Password", our_own_failure, "Something broke on our side;"),
     ("Notion", unreachable, "The server cannot be reached.")],
)  # fmt: skip
def test_what_could_not_be_saved_says_so_beside_its_control(window, cases, app, failure, sentence):
    page = rules_of(window, cases, app)
    switch = page.get_by_role("switch", name="Comment required", exact=True)
    was = switch.is_checked()
    page.route("**/comment-required", failure)
    switch.click()
    line = page.locator("#set-comment-required .cs-failed")
    expect(line).to_contain_text(sentence)
    expect(page.locator("#say")).to_contain_text(sentence)
    expect(line.get_by_role("button")).to_have_count(0)
    expect(switch).to_be_checked(checked=was)  # it shows what is so
    note = page.get_by_label("Note to the requester", exact=True)
    page.route("**/note", failure)
    note.fill("Ask your lead first.")
    note.press("Tab")
    line = page.locator("#set-note .cs-failed")
    expect(line).to_contain_text("still here")
    expect(note).to_have_value("Ask your lead first.")
    assert page.locator("[data-toast]").count() == 0
    page.unroute("**/note")
    line.get_by_role("button", name="Try again", exact=True).click()
    expect(page.locator("#set-note .cs-saved")).to_be_visible()
    expect(line).to_have_count(0)
    assert page.evaluate("window.refused") == []
    window.complaints.clear()  # Chromium tells of the failures that we made


def test_what_the_server_refuses_stands_beside_its_control(window):
    """422 keeps what was typed; 409, as somebody else was quicker, shows how it is."""
    page = rules_of_its_own(window)
    days = page.locator("#days")
    days.fill("1000")
    days.press("Tab")
    expect(page.locator("#days-e")).to_be_visible()
    expect(days).to_have_value("1000")
    expect(days).to_have_attribute("aria-invalid", "true")
    page.reload()
    switch = page.get_by_role("switch", name="Comment required", exact=True)
    other = window("Adam")
    other.goto(page.url)
    other.get_by_role("switch", name="Comment required", exact=True).click()
    expect(other.locator("#set-comment-required .cs-saved")).to_be_visible()
    now = other.get_by_role("switch", name="Comment required", exact=True).is_checked()
    switch.click()
    expect(page.locator("#comment-required-s-e")).to_be_visible()
    expect(switch).to_be_checked(checked=now)
    expect(switch).to_have_attribute("aria-invalid", "true")


def test_turning_approval_off_in_the_list_asks_first_and_is_done(window):
    """By keyboard: who thinks better of it is back at the switch, and who means it stays in the list."""
    page = rules_of_its_own(window)
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
        expect(question).to_be_visible()
        page.keyboard.press("Escape")
        expect(question).to_be_hidden()
        expect(switch).to_be_checked()
        expect(switch).to_be_focused()
        if switch is of_the_list:
            page.get_by_role("link", name=name, exact=True).click()
    page.go_back()
    of_the_list.press("Space")
    question.get_by_role("button", name="Turn approval off", exact=True).press("Enter")
    toast = page.get_by_role("region", name="Messages")
    expect(toast).to_contain_text(f"Nobody has to approve {name} any more.")
    expect(page).to_have_url(re.compile(r"/admin/apps\?q="))
    expect(of_the_list).not_to_be_checked()
    assert page.evaluate("window.refused") == []


class Held:
    """Requests to these addresses wait until `let_go` is called; those that come later do not."""

    def __init__(self, page: Page, addresses: str) -> None:
        self.page, self.addresses, self.routes = page, addresses, []
        page.route(addresses, lambda route: self.routes.append(route))

    def one(self) -> Held:
        """As soon as there is one."""
        until(lambda: self.page.evaluate("1") and self.routes, 10)
        return self

    def let_go(self) -> None:
        for route in self.routes:
            route.continue_()
        self.page.unroute(self.addresses)


@pytest.mark.parametrize("refused", [False, True])
def test_what_is_typed_while_a_save_is_on_its_way_stays_and_is_saved(window, refused):
    page = rules_of_its_own(window)
    others, words = page.locator("#denied-others"), page.locator("#denied-words")
    held = Held(page, "**/outcomes/denied")
    others.fill("nobody" if refused else "desk@example.com")
    words.click()
    held.one()
    page.keyboard.type("Ask again in January.")
    page.keyboard.press("Home")
    page.evaluate("document.querySelector('#set-denied').dataset.mark = 'old'")
    held.let_go()
    expect(page.locator("#set-denied[data-mark]")).to_have_count(0)
    expect(words).to_have_value("Ask again in January.")
    expect(words).to_be_focused()
    expect(page.locator("#denied-words-n")).to_contain_text("21 of")
    page.keyboard.type("Please! ")
    expect(words).to_have_value("Please! Ask again in January.")
    if refused:
        expect(page.locator("#denied-others-e")).to_be_visible()
        others.fill("desk@example.com")
    page.keyboard.press("Tab")
    saved = re.compile(r"desk@example\.com.*Please! Ask again in January\.")
    expect(page.locator("#set-denied [name=was]")).to_have_value(saved)
    page.reload()
    expect(words).to_have_value("Please! Ask again in January.")
    expect(others).to_have_value("desk@example.com")
    assert page.evaluate("window.refused") == []


def days_of(page: Page, step: str):
    return page.get_by_label(f"Days for {step}", exact=True)


def test_what_was_typed_to_its_end_while_a_save_was_on_its_way_is_saved_by_leaving_it(window):
    """Nothing more is typed after the answer, so that the browser itself sees no change."""
    page = rules_of_its_own(window)
    first, second = days_of(page, "Ana Moreau"), days_of(page, "Finance")
    held = Held(page, "**/time-limit")
    first.fill("5")
    second.focus()
    held.one()
    second.fill("7")
    held.let_go()
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    expect(second).to_have_value("7")
    expect(second).to_be_focused()
    with page.expect_response("**/time-limit"):
        page.keyboard.press("Tab")
    expect(page.locator("#set-steps li", has_text="Finance").locator(".cs-saved")).to_be_visible()
    page.reload()
    expect(first).to_have_value("5")
    expect(second).to_have_value("7")


def test_two_saves_at_once_are_both_shown_and_sent_once(window):
    page = rules_of_its_own(window)
    first, second = days_of(page, "Ana Moreau"), days_of(page, "Finance")
    sent = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    held = Held(page, "**/time-limit")
    first.fill("5")
    second.focus()
    held.one()
    second.fill("7")
    page.keyboard.press("Tab")
    until(lambda: page.evaluate("1") and len(held.routes) == 2, 10)
    with page.expect_response("**/time-limit"):
        held.routes.pop(0).continue_()
    expect(page.locator("#set-steps .cs-saved")).to_be_visible()
    expect(second).to_have_value("7")
    held.let_go()
    expect(page.locator("#set-steps li", has_text="Finance").locator(".cs-saved")).to_be_visible()
    expect(first).to_have_value("5")
    expect(second).to_have_value("7")
    assert len(sent) == 2


def test_half_written_fields_stay_while_another_is_moved_or_saved(window):
    page = rules_of_its_own(window)
    new, fields = page.locator("#f-new"), page.locator("#set-fields [data-sort] > details")
    new.locator("summary").click()
    new.get_by_label("Name", exact=True).fill("Region")
    new.get_by_label("Choices", exact=True).fill("North\nSouth")
    new.get_by_role("button", name="Add field", exact=True).press("Enter")
    expect(fields).to_have_count(2)
    # The form is empty and closed, and whoever works by keyboard is at its head.
    expect(new.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    new.get_by_label("Name", exact=True).fill("Seat")
    new.get_by_label("Who sets it", exact=True).select_option(label="Step 2: Finance")
    new.get_by_label("Required before the last yes", exact=True).check()
    plan, region = fields.nth(0), fields.nth(1)
    plan.locator("summary").click()
    plan.get_by_label("Help", exact=True).fill("As in the contract.")
    region.locator("summary").click()
    region.get_by_label("Help", exact=True).fill("Where you work.")
    region.get_by_role("button", name="Save Region", exact=True).click()
    expect(region.locator(".cs-saved")).to_be_visible()
    expect(plan).to_have_attribute("open", "")
    expect(plan.get_by_label("Help", exact=True)).to_have_value("As in the contract.")
    region.get_by_role("button", name="Move Region up", exact=True).click()
    expect(fields.first).to_contain_text("Region")
    expect(region.get_by_label("Help", exact=True)).to_have_value("As in the contract.")  # it is Plan now
    page.get_by_role("button", name="Move Finance up", exact=True).click()
    expect(page.locator("#set-steps ol > li b").first).to_have_text("Finance")
    expect(new).to_have_attribute("open", "")
    expect(new.get_by_label("Name", exact=True)).to_have_value("Seat")
    expect(new.get_by_label("Required before the last yes", exact=True)).to_be_checked()
    expect(new.locator("#f-new-s option:checked")).to_have_text("Step 1: Finance")
    # After Archive, too, the focus is on something that can be seen.
    page.get_by_role("button", name="Archive Region", exact=True).press("Enter")
    expect(fields).to_have_count(1)
    expect(fields.first.locator("summary")).to_be_focused()
    expect(new.get_by_label("Name", exact=True)).to_have_value("Seat")
    assert page.evaluate("window.refused") == []


def test_a_refused_switch_of_the_list_says_so_beside_itself(window):
    """Somebody else was quicker: it shows how it is now, and why."""
    page = rules_of_its_own(window)
    key, name = page.url.rpartition("/")[2], page.get_by_role("heading", level=1).text_content().strip()
    listed = window("Adam", viewport=PHONE)
    listed.goto(f"/admin/apps?q={name.replace(' ', '+')}")
    switch = listed.get_by_role("switch", name=f"Requestable: {name}", exact=True)
    expect(switch).not_to_be_checked()
    page.get_by_role("switch", name="Requestable", exact=True).check()
    expect(page.locator("#set-requestable .cs-saved")).to_be_visible()
    switch.press("Space")
    expect(listed.locator(f"#r-{key}-e")).to_contain_text("was changed by somebody else")
    expect(switch).to_be_checked()
    expect(switch).to_have_attribute("aria-invalid", "true")
    expect(switch).to_be_focused()
    assert listed.locator("[data-toast]").count() == 0
    assert listed.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


@pytest.mark.parametrize("scripted", [True, False])
def test_only_what_counts_is_asked_for_and_what_is_not_saved_says_so(window, cases, scripted):
    """By style sheet alone, so without JavaScript, too."""
    page = rules_of(window, cases, "Salesforce", java_script_enabled=scripted)
    audience = page.locator("#set-audience")
    button, unsaved = audience.get_by_role("button", name="Save who sees it"), audience.get_by_text("Not saved yet.")
    boxes = audience.get_by_role("group", name="The groups that see it")
    for one in (button, unsaved, boxes):
        expect(one).to_be_hidden()
    audience.get_by_role("radio", name="Some groups").check()
    for one in (button, unsaved, boxes):
        expect(one).to_be_visible()
    audience.get_by_role("checkbox", name="Finance").check()
    audience.get_by_role("radio", name="Everyone").check()
    for one in (button, unsaved, boxes):
        expect(one).to_be_hidden()

    page.locator("#f-new > summary").click()
    new = page.locator("#f-new")
    choices = new.get_by_label("Choices", exact=True)
    choices.fill("Viewer\nEditor")
    for kind, shown in (("Text", False), ("Several choices", True), ("Number", False), ("Yes or no", False)):
        new.get_by_label("Kind", exact=True).select_option(label=kind)
        expect(choices).to_be_visible(visible=shown)
    new.get_by_label("Name", exact=True).fill("Zone")
    new.get_by_role("button", name="Add field", exact=True).click()
    expect(new).to_contain_text("Only a choice and several choices have these.")
    expect(choices).to_have_value("Viewer\nEditor")


def test_links_of_their_own_are_as_high_as_a_finger(window, cases):
    page = rules_of(window, cases, "Salesforce", viewport=PHONE)
    for name in ("See the mail to who decides", "See the mail when denied"):
        box = page.get_by_role("link", name=name, exact=True).bounding_box()
        assert box is not None and box["height"] >= 44
