"""An app's page in Chromium: an app from nothing, and steps put in order by mouse, touch and keyboard."""

from __future__ import annotations

import io
import re
import secrets

import pytest
from PIL import Image
from playwright.sync_api import Page, Route, expect

from tests.helpers.processes import until

from .cases import Cases
from .site import PHONE, card, pick, tile

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
    with_steps(page, "Ana Moreau", "Finance")
    page.locator("#f-new > summary").click()
    field = page.locator("#f-new")
    field.get_by_label("Name", exact=True).fill("Plan")
    field.get_by_label("Options", exact=True).fill("Viewer\nEditor")
    field.get_by_role("button", name="Add field", exact=True).click()
    expect(page.locator("#set-fields")).to_contain_text("Viewer, Editor")
    made = page.url.partition("#")[0]
    page = window("Adam", **options)
    page.add_init_script(WATCH)
    page.goto(made)
    return page


def steps_of(page: Page) -> list[str]:
    return page.locator(STEPS).all_text_contents()


def expect_steps(page: Page, *names: str) -> None:
    expect(page.locator(STEPS)).to_have_text(names)


STEPS = "#set-steps ol > li summary b"


def step_of(page: Page, name: str):
    """The line of a step, opened."""
    line = page.locator("#set-steps details", has=page.locator("summary b", has_text=name))
    line.evaluate("line => line.open = true")
    return line


def with_steps(page: Page, *names: str) -> list[str]:
    """Adds steps until there are some to sort; returns them in order."""
    for name in names:
        pick(page, "step", name)
        expect(page.locator(STEPS).last).to_have_text(name)
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


def test_a_step_is_dragged_by_finger(window):
    page = rules_of_its_own(window, viewport=PHONE, has_touch=True, is_mobile=True)
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


def test_steps_are_sorted_by_keyboard(window):
    """Up and Down, with the focus on the step's own button all the way, and told where it is."""
    page = rules_of_its_own(window)
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


def test_nothing_can_be_dragged_without_script(window):
    page = rules_of_its_own(window, java_script_enabled=False)
    expect(page.locator(".cs-grip").first).to_be_hidden()
    order = steps_of(page)
    page.locator("#set-steps summary").first.click()
    page.get_by_role("button", name=f"Move {order[0]} down", exact=True).click()
    expect_steps(page, order[1], order[0], *order[2:])
    page.locator("#set-steps summary").last.click()
    page.get_by_role("button", name=f"Move {order[0]} up", exact=True).click()
    expect_steps(page, *order)


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


def broken(route: Route) -> None:
    route.fulfill(status=500, body="")


def our_own_failure(route: Route) -> None:
    """As webapp/web/error_pages.py answers."""
    route.fulfill(
        status=500,
        headers={"HX-Retarget": "#toasts", "HX-Reswap": "beforeend"},
        body='<div data-toast data-say="Something went wrong. Your text is still here."></div>',
    )


def unreachable(route: Route) -> None:
    route.abort()


@pytest.mark.parametrize(
    ("app", "failure", "sentence"),
    [("DeepL", broken, "Something went wrong."), ("1Password", our_own_failure, "Something went wrong."),
     ("Notion", unreachable, "Cannot reach the server.")],
)  # fmt: skip
def test_what_could_not_be_saved_says_so_beside_its_control(window, cases, app, failure, sentence):
    page = rules_of(window, cases, app)
    switch = page.get_by_role("switch", name="Reason required", exact=True)
    was = switch.is_checked()
    page.route("**/comment-required", failure)
    switch.click()
    line = page.locator("#set-comment-required .cs-failed")
    expect(line).to_contain_text(sentence)
    expect(page.locator("#say")).to_contain_text(sentence)
    expect(line.get_by_role("button")).to_have_count(0)
    expect(switch).to_be_checked(checked=was)  # it shows what is so
    page.locator("#note-fold > summary").click()
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
    switch = page.get_by_role("switch", name="Reason required", exact=True)
    other = window("Adam")
    other.goto(page.url)
    other.get_by_role("switch", name="Reason required", exact=True).click()
    expect(other.locator("#set-comment-required .cs-saved")).to_be_visible()
    now = other.get_by_role("switch", name="Reason required", exact=True).is_checked()
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
    field = page.locator("#set-fields [data-sort] > details")
    field.locator("summary").click()
    name, help = field.get_by_label("Name", exact=True), field.get_by_label("Help text", exact=True)
    held = Held(page, "**/fields/*/name")
    name.fill("n" * 80 if not refused else " ")
    help.click()
    held.one()
    page.keyboard.type("Ask again in January.")
    page.keyboard.press("Home")
    page.evaluate("document.querySelector('#set-fields').dataset.mark = 'old'")
    held.let_go()
    expect(page.locator("#set-fields[data-mark]")).to_have_count(0)
    expect(help).to_have_value("Ask again in January.")
    expect(help).to_be_focused()
    page.keyboard.type("Please! ")
    expect(help).to_have_value("Please! Ask again in January.")
    if refused:
        expect(field.get_by_text("Enter a name.")).to_be_visible()
    with page.expect_response("**/fields/*/help"):
        page.keyboard.press("Tab")
    expect(field.locator(".cs-saved")).to_be_visible()
    page.reload()
    field.locator("summary").click()
    expect(help).to_have_value("Please! Ask again in January.")
    expect(name).to_have_value("Plan" if refused else "n" * 80)
    assert page.evaluate("window.refused") == []


@pytest.mark.parametrize("scripted", [True, False])
def test_a_bad_address_stops_nothing_beside_it_and_both_stay(window, scripted):
    page = rules_of_its_own(window, java_script_enabled=scripted)
    address, words = page.locator("#denied-others"), page.locator("#denied-words")
    page.locator("#denied-words-fold > summary").click()
    address.fill("nobody")
    if not scripted:
        address.press("Enter")
    else:
        words.click()
    expect(page.locator("#denied-others-e")).to_contain_text("“nobody” is not an e")
    expect(address).to_have_value("nobody")
    if not scripted:
        page.locator("#denied-words-fold > summary").click()
    words.fill("Ask again in January.")
    if scripted:
        words.press("Tab")
        expect(page.locator("#set-denied-words .cs-saved")).to_be_visible()
        expect(address).to_have_value("nobody")
    else:
        page.get_by_role("button", name="Save message", exact=True).click()
    address.fill("desk@example.com")
    address.press("Enter")
    expect(page.get_by_role("button", name="Remove desk@example.com", exact=True)).to_be_visible()
    expect(address).to_have_value("")
    page.reload()
    expect(words).to_have_value("Ask again in January.")
    page.get_by_role("button", name="Remove desk@example.com", exact=True).click()
    expect(page.get_by_role("button", name="Remove desk@example.com", exact=True)).to_have_count(0)


def days_of(page: Page, step: str):
    return step_of(page, step).get_by_label("Days for this step", exact=True)


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
    new.get_by_label("Options", exact=True).fill("North\nSouth")
    new.get_by_role("button", name="Add field", exact=True).press("Enter")
    expect(fields).to_have_count(2)
    # The form is empty and closed, and whoever works by keyboard is at its head.
    expect(new.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    new.get_by_label("Name", exact=True).fill("Seat")
    new.get_by_label("Type", exact=True).select_option(label="Number")
    plan, region = fields.nth(0), fields.nth(1)
    expect(region).to_have_attribute("open", "")  # to go on with what there is to it
    plan.locator("summary").click()
    plan.get_by_label("Help text", exact=True).fill("As in the contract.")
    region.get_by_label("Default value", exact=True).select_option(label="South")
    expect(region.locator("summary")).to_contain_text("default South")
    expect(plan).to_have_attribute("open", "")
    expect(plan.get_by_label("Help text", exact=True)).to_have_value("As in the contract.")
    region.get_by_role("button", name="Move Region up", exact=True).click()
    expect(fields.first).to_contain_text("Region")
    expect(region.get_by_label("Help text", exact=True)).to_have_value("As in the contract.")  # it is Plan now
    expect(new).to_have_attribute("open", "")
    expect(new.get_by_label("Name", exact=True)).to_have_value("Seat")
    expect(new.locator("#f-new-k option:checked")).to_have_text("Number")
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


def test_a_picker_is_used_by_keyboard(window):
    """Type, the list opens; arrow keys choose; Enter takes; Escape closes; what was taken is a step at once."""
    page = rules_of_its_own(window)
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


def test_groups_and_the_owner_are_chips(window):
    page = rules_of_its_own(window)
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


def test_a_picker_without_script_is_a_search_and_buttons(window):
    page = rules_of_its_own(window, java_script_enabled=False)
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


def test_what_would_happen_is_drawn_and_follows_the_rules(window, cases):
    page = rules_of_its_own(window)
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


def test_what_is_typed_is_saved_by_leaving_the_page(window):
    """By a link, or as the window goes to another address while the cursor is still in the field."""
    page = rules_of_its_own(window)
    here = page.url
    page.locator("#note-fold > summary").click()
    page.locator("#note").fill("Ask your lead first.")
    page.get_by_role("link", name="Dashboard", exact=True).click()
    page.wait_for_url("**/")
    page.goto(here)
    page.locator("#note-fold > summary").click()
    expect(page.locator("#note")).to_have_value("Ask your lead first.")
    page.locator("#note").fill("Ask your lead second.")
    page.goto("/catalog")
    page.goto(here)
    page.locator("#note-fold > summary").click()
    expect(page.locator("#note")).to_have_value("Ask your lead second.")
    # What could not be saved is not left without a question.
    asked = []
    page.on("dialog", lambda dialog: [asked.append(dialog.type), dialog.accept()])
    page.goto(here)
    assert asked == []
    page.locator("#denied-others").press_sequentially("nobody")
    page.keyboard.press("Enter")
    expect(page.locator("#denied-others-e")).to_be_visible()
    page.goto("/catalog")
    assert asked == ["beforeunload"]
    page.goto(here)
    page.locator("#f-new > summary").click()
    page.locator("#f-new-n").press_sequentially("Region")
    page.goto("/catalog")
    assert asked == ["beforeunload", "beforeunload"]
    window.complaints.clear()  # Chromium may tell of an answer that nobody waited for


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
