"""Settings, Chat: add a channel for somebody, change it, and what its deliveries show."""

from __future__ import annotations

import pytest

from tests.helpers import factories, lookups, pages
from webapp.extensions import db
from webapp.models import Delivery, Endpoint

PAGE = "/admin/chat"
ADDRESS = "https://hooks.slack.com/services/T0000/B0000/secret"


@pytest.fixture
def admin(login_as, adam):
    return login_as(factories.with_password(adam))


def form(**changed):
    given = {"kind": "slack", "name": "#finance", "address": ADDRESS, "whom": "", "q": ""}
    return given | {"events": ["waiting", "results"]} | changed


def stored():
    db.session.rollback()
    return db.session.query(Endpoint).populate_existing().order_by(Endpoint.id.desc()).first()


def value(row):
    kind = {"Person": "person", "Group": "group", "App": "app"}[type(row).__name__]
    return f"{kind}:{row.public_id}"


def test_a_channel_is_added_and_gets_a_test(admin, company):
    answer = admin.post(PAGE, form(whom=value(company.finance)))
    made = stored()
    assert answer.status_code == 303 and made.public_id in answer.headers["Location"]
    assert (made.kind, made.group_id, set(made.events)) == ("slack", company.finance.id, {"waiting", "results"})
    assert [one.event for one in db.session.query(Delivery)] == ["test"]
    page = admin.get(f"/admin/endpoints/{made.public_id}")
    assert "A test message is on its way." in page.text and "Slack · for Finance" in pages.words(page)
    assert "secret" not in page.text.replace('id="secret', ""), "its address is never shown again"
    assert "Slack, for Finance" in pages.words(admin.get(PAGE))
    again = admin.post(PAGE, form(whom=value(company.finance)))
    assert again.status_code == 422 and "There is one named #finance already" in pages.markup(again)


@pytest.mark.parametrize("column", ["person_id", "app_id", ""])
def test_it_is_for_a_person_an_app_or_all_admins(admin, rita, ana, column):
    whom = {"person_id": rita, "app_id": factories.app("Figma", ana)}.get(column)
    assert admin.post(PAGE, form(kind="teams", whom=value(whom) if whom else "")).status_code == 303
    made = stored()
    given = {key: getattr(made, key) for key in ("person_id", "group_id", "app_id") if getattr(made, key) is not None}
    assert made.kind == "teams" and given == ({column: whom.id} if whom else {})


def test_for_whom_is_chosen_by_the_picker_without_a_script(admin, company):
    before = lookups.everything()
    found = pages.flat(admin.post(PAGE, form(q="fin", find="1")))
    assert f'name="take" value="{value(company.finance)}"' in found and 'value="#finance"' in found
    assert ADDRESS not in found and "Enter the address again. It is not kept." in found
    assert "Enter the address again" not in admin.post(PAGE, form(q="fin", find="1", address="")).text
    taken = pages.flat(admin.post(PAGE, form(q="fin", take=value(company.finance))))
    assert f'name="whom" value="{value(company.finance)}"' in taken and 'aria-label="Remove Finance"' in taken
    other = pages.flat(admin.post(PAGE, form(whom=value(company.finance), take=value(company.rita))))
    assert f'name="whom" value="{value(company.rita)}"' in other
    gone = pages.flat(admin.post(PAGE, form(whom=value(company.finance), drop=value(company.finance))))
    assert 'name="whom" value=""' in gone
    assert lookups.everything() == before


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": ""}, "Enter a name"),
        ({"address": "slack"}, "Enter an address such as"),
        ({"q": "Nobody"}, "“Nobody” is not chosen yet."),
        ({"whom": "group:0123456789AB"}, "Something that you chose no longer exists."),
        ({"whom": "step:1"}, "Something that you chose no longer exists."),
        ({"events": []}, "Choose at least one."),
    ],
)
def test_bad_input_is_refused_with_what_was_typed_but_the_address(admin, company, bad, sentence):
    before = lookups.everything()
    sent = form() | bad
    answer = admin.post(PAGE, sent)
    page = pages.flat(answer)
    assert answer.status_code == 422 and sentence in page and 'aria-invalid="true"' in page
    assert f'value="{sent["name"]}"' in page and f'value="{sent["q"]}"' in page and ADDRESS not in page
    assert lookups.everything() == before


def test_its_address_stays_unless_a_new_one_is_given(admin, company):
    admin.post(PAGE, form())
    made = stored()
    at = f"/admin/endpoints/{made.public_id}"
    page = admin.get(at)
    was = pages.markup(page).split('name="was" value="')[1].split('">')[0]
    changed = {"name": "#money", "address": "", "events": ["waiting"], "was": was}
    assert admin.post(at, changed).status_code == 303
    assert (stored().name, stored().address) == ("#money", made.address)
    assert admin.post(f"{at}/secrets").status_code == 409


# ---------- Preview ----------


def test_messages_are_previewed_before_there_is_a_channel(admin, adam, ana):
    factories.app("Figma", ana)
    before = lookups.everything()
    page = pages.words(admin.get(f"{PAGE}/preview"))
    assert "Adam Weiss requests Figma" in page and "Waiting for the admins until" in page and "Read and decide" in page
    assert '"unfurl_links": false' in pages.markup(admin.get(f"{PAGE}/preview")) and "(example reason)" not in page
    assert "(example reason)" in admin.get(f"{PAGE}/preview?texts=1").text
    assert "Reminder: Adam Weiss requests Figma" in pages.words(admin.get(f"{PAGE}/preview?topic=reminders"))
    assert "Approved: Figma for Adam Weiss" in pages.words(admin.get(f"{PAGE}/preview?topic=results"))
    assert "has access to Figma now" in pages.words(admin.get(f"{PAGE}/preview?topic=access"))
    assert "AdaptiveCard" in pages.markup(admin.get(f"{PAGE}/preview?kind=teams"))
    for wrong in ("kind=webhook", "topic=nothing", "channel=0123456789AB"):
        assert admin.get(f"{PAGE}/preview?{wrong}").status_code == 404
    assert lookups.everything() == before and db.session.query(Delivery).count() == 0


def test_a_channel_has_a_preview_with_its_audience_and_settings(admin, company, ana):
    figma = factories.app("Figma", ana)
    admin.post(PAGE, form(whom=value(company.finance), with_texts="1"))
    mine = f"{PAGE}/preview?channel={stored().public_id}"
    assert f'href="{mine}"' in admin.get(f"/admin/endpoints/{stored().public_id}").text
    page = pages.words(admin.get(mine))
    assert "Waiting for Finance until" in page and "(example reason)" in page and "to #finance" in page
    assert "#finance does not get these messages." in pages.words(admin.get(f"{mine}&topic=access"))
    admin.post(PAGE, form(kind="teams", name="Figma", whom=value(figma)))
    page = pages.markup(admin.get(f"{PAGE}/preview?channel={stored().public_id}"))
    assert "requests Figma" in page and "AdaptiveCard" in page


def test_the_preview_is_what_is_sent(admin, company, ana):
    """Title and lines of the example are those of a real message, but for names and times."""
    factories.webhook(
        company.adam, kind="slack", address=ADDRESS, name="#it", app=(figma := factories.app("Figma", ana))
    )
    factories.request(company.rita, figma)
    sent = db.session.query(Delivery).filter_by(event="waiting").one().body
    page = pages.markup(admin.get(f"{PAGE}/preview?channel={stored().public_id}"))
    assert "Rita Lindqvist requests Figma" in sent and "Adam Weiss requests Figma" in page
    assert "Read and decide" in sent and "Read and decide" in page


def test_it_is_not_for_whom_is_deactivated(admin, rita):
    rita.active = False
    db.session.commit()
    answer = admin.post(PAGE, form(whom=value(rita)))
    assert answer.status_code == 422 and "is deactivated. Choose somebody else." in answer.text


def test_where_there_is_none_the_page_says_so(admin):
    assert "No channels" in admin.get(PAGE).text
