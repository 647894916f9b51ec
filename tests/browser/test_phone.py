"""On a phone, what belongs into one line stays in it, and what is pressed has its shape."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import FloatRect, Locator, Page, expect

from .cases import Cases
from .site import PHONE, Site

Window = Callable[..., Page]


def box(locator: Locator) -> FloatRect:
    expect(locator).to_be_visible()
    found = locator.bounding_box()
    assert found is not None
    return found


def test_the_buttons_of_a_group_stand_below_its_name_and_side_by_side(window: Window, site: Site) -> None:
    page = window("Adam", viewport=PHONE)
    page.goto(f"/admin/groups/{Cases(site).group_id('Finance')}")
    name, rename, archive = (box(page.locator(one)) for one in (".cs-group h1", "#rename", "#archive"))
    assert rename["y"] >= name["y"] + name["height"]
    assert archive["y"] == rename["y"] and archive["width"] == rename["width"] > 100


def test_an_email_in_the_history_stands_beside_its_picture(window: Window, site: Site) -> None:
    page = window("Rita", viewport=PHONE)
    page.goto(f"/requests/{Cases(site).request_id('Rita', 'Concur')}")
    rows = page.locator(".cs-mails > div:has(.icon)")
    expect(rows.first).to_be_visible()
    for row in rows.all():
        picture, words = box(row.locator(".icon")), box(row.locator("span").first)
        assert words["y"] <= picture["y"] <= words["y"] + words["height"] and words["x"] > picture["x"]


def test_times_in_the_list_of_requests_say_what_they_are(window: Window) -> None:
    page = window("Adam", viewport=PHONE)
    page.goto("/admin/requests?state=pending")
    for number, label in ((5, "Due"), (6, "Requested")):
        time = page.locator(f"tbody tr:first-child td:nth-child({number}) time").first
        expect(time).to_have_attribute("data-label", label)
        assert time.evaluate("one => getComputedStyle(one, '::before').content") != "none"


def test_the_words_of_a_breadcrumb_are_not_broken(window: Window) -> None:
    page = window("Adam", viewport=PHONE)
    page.goto("/admin/webhooks")
    page.get_by_role("link", name="Add webhook").click()
    crumbs = page.locator(".cs-crumb")
    expect(crumbs).to_be_visible()
    crumbs.evaluate("one => one.querySelector('a').textContent = 'Webhooks of the whole organisation and its parts'")
    page.locator(".cs-crumb > :last-child").evaluate("one => one.textContent = 'msg_TDASGVQ90TT7'")
    last = page.locator(".cs-crumb > :last-child")
    # Of one line.
    assert box(last)["height"] < 30


def test_the_way_to_sign_in_is_a_button_and_not_a_circle(window: Window) -> None:
    page = window(viewport=PHONE)
    page.goto("/api/docs")
    link = page.locator(".cs-me a.btn")
    size = box(link)
    assert size["width"] > 1.6 * size["height"]


def test_a_toast_leaves_the_buttons_of_a_dialog_free(window: Window) -> None:
    page = window("Ines", viewport=PHONE)
    page.goto("/catalog")
    page.get_by_role("link", name="Request").first.click()
    button = page.locator("#dialog footer .btn-primary")
    expect(button).to_be_visible()
    page.evaluate("""() => {
        const host = document.createElement("div");
        host.className = "cs-toasts";
        host.append(document.getElementById("broken").content.cloneNode(true));
        host.querySelector("span").textContent = "Cannot reach the server. Check your connection and try again.";
        document.querySelector("#dialog dialog, #dialog .cs-dialog").append(host);
    }""")
    toast, press = box(page.locator("#dialog .cs-toast")), box(button)
    assert toast["y"] >= 0 and toast["y"] + toast["height"] <= press["y"]
