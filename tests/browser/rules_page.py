"""An app's page as the tests use it: opened, its steps read and added, lines dragged, answers held up."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.helpers.processes import until

from .cases import Cases
from .site import pick

# Asked for before any script of the page runs: what the policy refused, if anything.
WATCH = """
    window.refused = [];
    document.addEventListener("securitypolicyviolation", event =>
        window.refused.push(`${event.violatedDirective} ${event.sourceFile} ${event.sample}`));
"""


def rules_of(window, cases: Cases, app: str, **options) -> Page:
    """The app's page as Adam sees it, watched for what its policy refuses."""
    page = window("Adam", **options)
    page.add_init_script(WATCH)
    page.goto(f"/admin/apps/{cases.app_id(app)}")
    return page


def rules_of_its_own(window, cases: Cases, **options) -> Page:
    """The same for a new app with a field, which Ana and then Finance decide: no other test uses it."""
    page = window("Adam", **options)
    page.add_init_script(WATCH)
    page.goto(cases.rules_of_a_new_app())
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


def days_of(page: Page, step: str):
    return step_of(page, step).get_by_label("Days for this step", exact=True)
