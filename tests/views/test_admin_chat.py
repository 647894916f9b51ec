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
    given = {"kind": "slack", "name": "#finance", "address": ADDRESS, "audience": "group", "whom": "Finance"}
    return given | {"events": ["waiting", "results"]} | changed


def stored():
    db.session.rollback()
    return db.session.query(Endpoint).populate_existing().order_by(Endpoint.id.desc()).first()


def test_a_channel_is_added_and_gets_a_test(admin, company):
    answer = admin.post(PAGE, form())
    made = stored()
    assert answer.status_code == 303 and made.public_id in answer.headers["Location"]
    assert (made.kind, made.group_id, set(made.events)) == ("slack", company.finance.id, {"waiting", "results"})
    assert [one.event for one in db.session.query(Delivery)] == ["test"]
    page = admin.get(f"/admin/endpoints/{made.public_id}")
    assert "A test message is on its way." in page.text and "Slack · for Finance" in pages.words(page)
    assert "secret" not in page.text.replace('id="secret', ""), "its address is never shown again"
    assert "Slack, for Finance" in pages.words(admin.get(PAGE))
    again = admin.post(PAGE, form())
    assert again.status_code == 422 and "There is one named #finance already" in pages.markup(again)


@pytest.mark.parametrize(
    ("audience", "whom", "column"),
    [("person", "rita@example.com", "person_id"), ("app", "figma", "app_id"), ("admins", "", "")],
)
def test_it_is_for_a_person_an_app_or_all_admins(admin, rita, ana, audience, whom, column):
    figma = factories.app("Figma", ana)
    assert admin.post(PAGE, form(kind="teams", audience=audience, whom=whom)).status_code == 303
    made = stored()
    expected = {"person_id": rita.id, "app_id": figma.id}
    given = {key: getattr(made, key) for key in ("person_id", "group_id", "app_id") if getattr(made, key) is not None}
    assert made.kind == "teams" and given == ({column: expected[column]} if column else {})


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": ""}, "Enter a name"),
        ({"address": "slack"}, "Enter an address such as"),
        ({"whom": "Nobody"}, "There is no group of this name."),
        ({"whom": ""}, "Enter the name of the group or app"),
        ({"audience": "person", "whom": "nobody@example.com"}, "No active person has this email address."),
        ({"audience": "app", "whom": "Nothing"}, "There is no app of this name."),
        ({"events": []}, "Choose at least one."),
    ],
)
def test_bad_input_is_refused_with_what_was_typed_but_the_address(admin, company, bad, sentence):
    before = lookups.everything()
    sent = form() | bad
    answer = admin.post(PAGE, sent)
    page = pages.flat(answer)
    assert answer.status_code == 422 and sentence in page and 'aria-invalid="true"' in page
    assert f'value="{sent["name"]}"' in page and f'value="{sent["whom"]}"' in page and ADDRESS not in page
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


def test_where_there_is_none_the_page_says_so(admin):
    assert "No channels" in admin.get(PAGE).text
