"""One search for apps, people and requests: each reader finds what they may see, and no more."""

from __future__ import annotations

import pytest

from tests.helpers import factories, pages
from tests.helpers.pages import is_fragment, markup
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import groups


def found(browser, q):
    return pages.words(browser.get("/search", query_string={"q": q}))


@pytest.mark.both_engines
def test_each_reader_finds_what_they_may_see(login_as, company, rita, ana, ben, otto, adam):
    app = factories.app("Salesforce", ana, company.finance, owner=otto)
    made = factories.request(rita, app)
    reference = made.reference
    for reader in (rita, ana, otto, adam):
        page = found(login_as(reader), reference)
        assert f"Salesforce for Rita Lindqvist {reference}" in page, reader.name
    # Ben is asked at the second step, and not yet.
    for reader in (ben, company.chloe):
        assert reference not in found(login_as(reader), reference).replace(f"“{reference}”", "")
    factories.decide(made, ana)
    assert f"Salesforce for Rita Lindqvist {reference}" in found(login_as(ben), "lindqvist")
    choose("write")
    groups.remove_member(company.finance, ben, actor=adam, now=clock.now())
    outbox.commit()
    assert "for Rita Lindqvist" not in found(login_as(ben), "lindqvist")
    # People are for admins.
    assert "Rita Lindqvist" in found(login_as(adam), "rita")
    assert "Chloe Tan" in found(login_as(adam), "chloe") and "Chloe Tan" not in found(login_as(ana), "chloe")


def test_apps_lead_to_where_the_reader_can_do_something(login_as, company, rita, otto, adam):
    app = factories.app("Salesforce", company.ana, owner=otto)
    hidden = factories.app("Secret Salesforce", company.ana, owner=otto, requestable=False)
    mine = factories.app("Salesloft")
    factories.grant(rita, mine)
    page = markup(login_as(rita).get("/search?q=sales"))
    assert 'href="/catalog?q=Salesforce"' in page and f'href="/apps/{mine.public_id}"' in page
    assert "Secret" not in page
    for reader in (otto, adam):
        page = markup(login_as(reader).get("/search?q=sales"))
        assert all(f'href="/admin/apps/{one.public_id}"' in page for one in (app, hidden))


def test_the_dialog_its_list_and_the_page_without_script(login_as, rita):
    factories.app("Salesforce", rita)
    hers = login_as(rita)
    dialog = hers.get("/search", htmx=True)
    assert is_fragment(dialog) and "<dialog" in markup(dialog) and "autofocus" in markup(dialog)
    some = hers.get("/search?q=sales", htmx=True)
    assert is_fragment(some) and "<dialog" not in markup(some) and "Salesforce" in markup(some)
    assert "Nothing matches “zebra”" in markup(hers.get("/search?q=zebra"))
    page = hers.get("/search?q=sales")
    assert not is_fragment(page) and "Salesforce" in markup(page) and 'value="sales"' in markup(page)
    assert 'aria-keyshortcuts="Control+K Meta+K"' in markup(hers.get("/"))
    assert login_as(None).get("/search").headers["Location"].startswith("/sign-in")
    assert hers.post("/search").status_code == 405


def test_it_takes_the_same_statements_with_few_and_with_many(login_as, company, rita, adam):
    counts = []
    for number in (1, 12):
        for index in range(number):
            factories.request(rita, factories.app(f"App {number} {index}", company.ana))
            factories.person(f"App Person {number} {index}", email=f"s{number}-{index}@example.com")
        seen = []
        for reader in (rita, adam):
            browser = login_as(reader)
            with counting() as counted:
                assert browser.get("/search?q=app").status_code == 200
            seen.append(len(counted))
        counts.append(seen)
    assert counts[0] == counts[1], counts
