"""Whoever goes by the keyboard sees one ring, and what it is around keeps its shape."""

from __future__ import annotations

from playwright.sync_api import Page

from .cases import Cases

# How each thing looks that nobody has gone to yet.
BEFORE = """() => {
    window.before = new Map();
    for (const one of document.querySelectorAll("a, button, input, select, textarea, summary, [tabindex]"))
        window.before.set(one, getComputedStyle(one).borderRadius);
}"""
# What is wrong with the one that has the focus: its corners, and the rings on it and around it.
LOOK = """() => {
    const one = document.activeElement;
    if (!one || one === document.body || !window.before.has(one)) return null;
    const name = `${one.tagName}.${one.className} ${one.type || ""} ${one.name || one.textContent.trim().slice(0, 30)}`;
    const before = window.before.get(one), after = getComputedStyle(one).borderRadius;
    const found = [];
    if (before !== after && before !== "0px") found.push(`${name}: ${before} becomes ${after}`);
    const rings = [];
    for (let up = one; up && up !== document.body; up = up.parentElement) {
        const style = getComputedStyle(up);
        const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 && style.opacity !== "0";
        if (seen && !/, 0\\)$/.test(style.outlineColor)) rings.push(up.className || up.tagName);
    }
    for (const beside of one.parentElement.children)
        if (beside !== one && getComputedStyle(beside).outlineStyle !== "none") rings.push(beside.tagName);
    if (rings.length > 1) found.push(`${name}: ${rings.length} rings, ${rings.join(" and ")}`);
    return {found, key: name};
}"""


def walk(page: Page, stops: int = 60) -> tuple[list[str], set[str]]:
    """What is wrong, and the kinds of things that had the focus."""
    page.evaluate(BEFORE)
    found, kinds = [], set()
    for _ in range(stops):
        page.keyboard.press("Tab")
        seen = page.evaluate(LOOK)
        if seen:
            found += seen["found"]
            kinds.add(seen["key"].split(" ")[1])
    return found, kinds


def test_what_has_the_focus_keeps_its_shape_and_has_one_ring(site, window):
    cases = Cases(site)
    kinds: set[str] = set()
    for who, address in (
        ("Rita", "/account"),
        ("Otto", f"/catalog/{cases.app_id('Salesforce')}/request"),
        ("Adam", f"/admin/apps/{cases.app_id('Salesforce')}"),
        ("Adam", "/admin/people/new"),
        ("Adam", "/admin/requests"),
    ):
        page = window(who)
        page.goto(address)
        found, there = walk(page)
        assert found == [], address
        kinds |= there
    assert {"radio", "checkbox", "submit", "search"} <= kinds
