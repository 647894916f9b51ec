"""By keyboard alone, and on a phone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .site import PASSWORD, PHONE, card, email

# A link that fills its row or tile leaves the ring to that.
RING = """element => {
    for (let one = element; one && one !== document.body; one = one.parentElement) {
        const style = getComputedStyle(one);
        if (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) return true;
    }
    return getComputedStyle(element).boxShadow !== 'none';
}"""


def tab_to(page: Page, name: str, role: str = "link", most: int = 80):
    """Press Tab until the control is reached; it shows that it has the focus."""
    wanted = page.get_by_role(role, name=name, exact=True)
    for _ in range(most):
        page.keyboard.press("Tab")
        for one in wanted.all():
            if one.evaluate("element => element === document.activeElement"):
                assert one.evaluate(RING), f"{name} does not show that it has the focus"
                return one
    raise AssertionError(f"Tab does not reach {name}")


def test_sign_in_and_ask_by_keyboard(window, site):
    page = window()
    page.goto("/sign-in")
    expect(page.get_by_label("Email", exact=True)).to_be_focused()
    page.keyboard.type(email("Otto"))
    page.keyboard.press("Tab")
    if not page.get_by_label("Password", exact=True).evaluate("field => field === document.activeElement"):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Password", exact=True)).to_be_focused()
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site.address}/")

    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to main content", exact=True)
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()

    tab_to(page, "Add apps")
    page.keyboard.press("Enter")
    page.wait_for_url("**/catalog")

    ask = card(page, "Figma").get_by_role("link", name="Request", exact=True)
    ask.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Request Figma", exact=True)
    expect(dialog).to_be_visible()
    inside = "document.activeElement === document.body || document.activeElement.closest('dialog') !== null"
    for _ in range(14):
        page.keyboard.press("Tab")
        assert page.evaluate(inside), "Tab leads behind the dialog"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(ask).to_be_focused()

    page.keyboard.press("Enter")
    expect(dialog).to_be_visible()
    dialog.get_by_label("Why do you need it?", exact=True).focus()
    page.keyboard.type("Screens for the help pages.")
    expect(dialog.get_by_text("27 of 1,000")).to_be_visible()
    tab_to(page, "Request app", role="button")
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()
    expect(card(page, "Figma").get_by_role("link", name="Requested", exact=True)).to_be_focused()


def test_enter_in_the_code_field_decides_nothing_and_mails_nothing(window, cases, site):
    page = window()
    address = cases.link("Noah", "Benevity", "Ana")
    page.goto(address)
    mails = len(site.mails("Ana", ""))
    code = page.get_by_label("Code from the email", exact=True)
    asked = []
    page.on("request", lambda request: asked.append(request.method))
    code.fill("123 456")
    code.press("Enter")
    # What Enter would have sent comes before this.
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    expect(code).to_have_value("123 456")
    expect(code).not_to_have_attribute("aria-invalid", "true")
    assert "POST" not in asked
    assert len(site.mails("Ana", "")) == mails


def test_deny_is_unfolded_and_sent_by_keyboard(window, cases):
    page = window("Ana")
    page.goto(f"/approvals/{cases.request_id('Otto', 'Tableau')}")
    page.locator("summary").filter(has_text="Deny").focus()
    page.keyboard.press("Enter")
    reason = page.get_by_label("Reason for denying", exact=True)
    expect(reason).to_be_visible()
    tab_to(page, "Deny", role="button")
    page.keyboard.press("Enter")
    expect(reason).to_be_focused()
    expect(reason).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("heading", level=1)).to_have_text("Otto Brandt requests Tableau")


@pytest.mark.parametrize("address", ["/", "/catalog", "/approvals", "/account", "/admin/apps", "/mailbox"])
def test_whatever_tab_reaches_shows_it(window, address):
    page = window("Adam")
    page.goto(address)
    page.evaluate("document.activeElement.blur()")
    for _ in range(25):
        page.keyboard.press("Tab")
        if page.evaluate("document.querySelector(':focus') === null"):  # past the last one, or in a frame
            break
        focused = page.locator(":focus")
        assert focused.evaluate(RING), focused.evaluate("element => element.outerHTML.slice(0, 200)")


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_on_a_phone_who_what_why_and_both_buttons_are_in_sight(window, cases, script):
    page = window(viewport=PHONE, has_touch=True, is_mobile=True, java_script_enabled=script)
    page.goto(cases.link("Noah", "Benevity", "Ana"))
    page.wait_for_load_state("load")
    seen = [
        page.get_by_role("heading", name="Noah Fischer requests Benevity"),
        page.get_by_text(re.compile("I run the food bank drive in Berlin")),
        page.get_by_role("button", name="Approve", exact=True),
        page.locator("summary").filter(has_text="Deny"),
    ]
    for one in seen:
        expect(one).to_be_in_viewport(ratio=1)
    # The bar does not hide the last field when it is scrolled to.
    page.get_by_label("Code from the email", exact=True).focus()
    field = page.get_by_label("Code from the email", exact=True).bounding_box()
    bar = page.get_by_role("button", name="Approve", exact=True).bounding_box()
    assert field["y"] + field["height"] <= bar["y"]


def test_control_k_searches_from_anywhere_and_escape_goes_back(window):
    page = window("Rita")
    # Before htmx has taken over the link, it leads to the page of the search.
    page.goto("/requests", wait_until="networkidle")
    page.keyboard.press("Control+k")
    field = page.get_by_role("searchbox", name="Search apps and requests")
    expect(field).to_be_focused()
    field.press_sequentially("figma")
    expect(page.get_by_role("dialog").get_by_role("link").filter(has_text="Figma").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("Meta+k")
    expect(page.get_by_role("dialog")).to_be_visible()
