"""The lists of apps, people and requests are sorted by the heads of their columns, and paged in each order."""

from __future__ import annotations

import html
import re
from functools import partial

import pytest

from tests.helpers import factories
from tests.helpers.pages import markup
from tests.helpers.statements import counting
from webapp.queries import request_lines

pytestmark = pytest.mark.both_engines


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def page(browser, url, kind):
    """(names of its rows, heads that sort with what they lead to, links to the neighbouring pages)"""
    text = markup(browser.get(url))
    rows = re.findall(rf'<tr id="{kind}-(\w+)"', text)
    heads = {
        label: (re.search(r'aria-sort="(\w+)"', sort)[1] if "aria-sort" in sort else "", html.unescape(link))
        for sort, link, label in re.findall(r'<th scope="col"([^>]*)>\s*<a href="([^"]*)">(\w+)', text)
    }
    ways = {
        label: html.unescape(link) for link, label in re.findall(r'href="([^"]*)">(Back|More|Newer|Older)</a>', text)
    }
    return rows, heads, ways


def walk(browser, url, kind, onward, back):
    """All rows, page by page; on the way back the same pages have to come again."""
    rows, _, ways = page(browser, url, kind)
    seen = [rows]
    while onward in ways:
        rows, _, ways = page(browser, ways[onward], kind)
        seen.append(rows)
    for wanted in reversed(seen[:-1]):
        rows, _, ways = page(browser, ways[back], kind)
        assert rows == wanted
    assert back not in ways and all(len(rows) == 2 for rows in seen[:-1])
    return [row for rows in seen for row in rows]


def number_of_statements(browser, url):
    with counting() as seen:
        browser.get(url)
    return len(seen)


def heads_of(browser, url, kind):
    return {label: sort for label, (sort, _) in page(browser, url, kind)[1].items()}


@pytest.mark.parametrize("what", ["apps", "people"])
def test_apps_and_people_are_sorted_by_two_columns_in_both_directions(admin, adam, what, monkeypatch):
    monkeypatch.setattr("webapp.queries.paging.PAGE", 2)
    if what == "apps":
        kind, label, second, column, search = "app", "App", "Category", "category", ""
        made = [factories.app(name, owner=adam, category=category)
                for name, category in (("Asana", "Work"), ("Box", "Files"), ("Canva", "Design"), ("Drive", "Files"),
                                       ("Excel", ""))]  # fmt: skip
        by_name, by_column = made, [made[at] for at in (4, 2, 1, 3, 0)]
    else:
        kind, label, second, column, search = "person", "Name", "Email", "email", "park"
        made = [factories.person(f"{name} Park", email=f"{email}@example.com")
                for name, email in (("Bea", "y"), ("Cora", "x"), ("Dora", "z"), ("Eva", "w"), ("Fe", "v"))]  # fmt: skip
        by_name, by_column = made, [made[at] for at in (4, 3, 1, 0, 2)]
    url = f"/admin/{what}"
    for sort, wanted in (("", by_name), ("-name", by_name[::-1]), (column, by_column), (f"-{column}", by_column[::-1]),
                         ("password_hash", by_name), (f"--{column}", by_name)):  # fmt: skip
        found = walk(admin, f"{url}?q={search}&sort={sort}", kind, "More", "Back")
        assert found == [one.public_id for one in wanted], sort
    others = {"Department": ""} if what == "people" else {}
    by_label = {label: "ascending", second: "", **others}
    assert heads_of(admin, url, kind) == heads_of(admin, f"{url}?sort=id", kind) == by_label
    # A head sorts by its column, and once more the other way round; the search stays.
    searched = page(admin, f"{url}?q=a", kind)[1]
    link = searched[second][1]
    assert link.startswith(url) and "q=a" in link
    heads = page(admin, link, kind)[1]
    assert (heads[label][0], heads[second][0]) == ("", "ascending")
    assert heads_of(admin, heads[second][1], kind) == {label: "", second: "descending", **others}
    assert heads_of(admin, heads[label][1], kind)[label] == "ascending"
    # A search keeps the order.
    assert f'<input type="hidden" name="sort" value="-{column}">' in markup(admin.get(f"{url}?sort=-{column}"))
    counts = {number_of_statements(admin, f"{url}?sort={sort}") for sort in ("", "-name", column, f"-{column}")}
    assert len(counts) == 1


@pytest.mark.parametrize("filters", ["", "q=design", "q=design+site", "approver=ana", "approver=ana&q=site"])
def test_requests_are_sorted_by_when_they_were_made(admin, ana, filters, monkeypatch):
    monkeypatch.setattr("webapp.admin.requests.queries.page", partial(request_lines.page, limit=2))
    app = factories.app("Figma", ana, owner=ana)
    made = [factories.request(factories.person(f"P{at} Park"), app, message="Design of the site.") for at in range(5)]
    oldest = [one.public_id for one in made]
    for where in ("/admin/requests", f"/admin/apps/{app.public_id}/requests"):
        for sort, wanted, ways in (("", oldest[::-1], ("Older", "Newer")), ("asked", oldest, ("Newer", "Older")),
                                   ("-id", oldest[::-1], ("Older", "Newer"))):  # fmt: skip
            assert walk(admin, f"{where}?{filters}&sort={sort}", "request", *ways) == wanted, (where, sort)
        rows, heads, _ = page(admin, f"{where}?{filters}", "request")
        assert heads["Requested"][0] == "descending"
        _, heads, _ = page(admin, heads["Requested"][1], "request")
        assert heads["Requested"][0] == "ascending"
        assert page(admin, heads["Requested"][1], "request")[0] == rows
        assert '<input type="hidden" name="sort" value="asked">' in markup(admin.get(f"{where}?sort=asked"))
    newest, first = (number_of_statements(admin, f"/admin/requests?{filters}&sort={sort}") for sort in ("", "asked"))
    # The page of the newest may come out of what was counted.
    assert first - newest in (0, 1)


def test_the_filters_beside_the_search_are_folded_until_one_is_set(admin, ana):
    factories.app("Figma", ana, owner=ana, category="Design")

    def fold(url):
        opened, said = re.search(r'<details class="cs-more-filters"( open)?>.*?data-filters-set>([^<]*)<',
                                 markup(admin.get(url)), re.DOTALL).groups()  # fmt: skip
        return bool(opened), said

    for url, one, two in (("requests", "person=rita", "since=2026-01-01"), ("audit", "person=rita", "until=2026-01-01"),
                          ("mail", "since=2026-01-01", "until=2026-01-02"),
                          ("apps", "category=Design", f"owner=person:{ana.public_id}")):  # fmt: skip
        assert fold(f"/admin/{url}") == fold(f"/admin/{url}?q=design&sort=x") == (False, ""), url
        assert fold(f"/admin/{url}?{one}") == (True, "1 set"), url
        assert fold(f"/admin/{url}?{one}&{two}") == (True, "2 set"), url
