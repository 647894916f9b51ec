"""The organisation's settings: its name, time zone, sender name, domains and logo."""

from __future__ import annotations

import html
import io
import re
from datetime import timedelta

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage

from tests.helpers import changes, factories, lookups, pages
from tests.helpers.lookups import facts
from tests.helpers.pages import flat
from tests.helpers.pages import markup as words
from webapp.extensions import db
from webapp.models import Organisation

from .test_auth_sign_in import sign_in

PAGE = "/admin/organisation"


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def ours():
    db.session.rollback()
    return db.session.get_one(Organisation, 1, populate_existing=True)


def was(browser):
    found = re.search(r'name="was" value="([^"]*)"', browser.get(PAGE).text)
    return html.unescape(found[1])


def form(browser, **changes):
    values = {"name": "Example AG", "time_zone": "Europe/Berlin", "sender": "IT", "outcome_domains": "partner.example"}
    return {"was": was(browser), **values, **changes}


def picture(colour="red"):
    body = io.BytesIO()
    Image.new("RGB", (60, 30), colour).save(body, "PNG")
    body.seek(0)
    return FileStorage(body, filename="logo.png", content_type="image/png")


@pytest.mark.parametrize("htmx", [False, True])
def test_all_settings_are_saved_and_recorded_without_the_words(admin, adam, htmx):
    answer = admin.post(PAGE, form(admin), htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    found = ours()
    assert (found.name, found.time_zone, found.sender) == ("Example AG", "Europe/Berlin", "IT")
    assert found.outcome_domains == "partner.example"
    (line,) = facts("organisation.changed")
    assert line["actor"] == adam.id and line["after"]["time_zone"] == "Europe/Berlin"
    assert set(line["before"]) == {"name", "sender", "time_zone", "outcome_domains"} and "Example" not in str(line)
    page = flat(admin.get(PAGE))
    assert "Settings saved." in page or htmx
    assert 'value="Example AG"' in page and '<option value="Europe/Berlin" selected>' in page
    assert "MAIL_DEFAULT_SENDER" in page
    told = words(admin.get("/admin/audit"))
    assert "changed the organisation settings" in told and "Europe/Berlin" in told
    # The same once more is no change.
    admin.post(PAGE, form(admin))
    assert len(facts("organisation.changed")) == 1


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 121}, "120"),
        ({"time_zone": "Mars/Olympus"}, "is not a known time zone"),
        ({"sender": "x" * 121}, "120"),
        ({"outcome_domains": "partner"}, "is not a domain"),
    ],
)
def test_bad_input_is_refused_at_its_field_with_what_was_typed(admin, bad, sentence):
    before = lookups.everything()
    answer = admin.post(PAGE, form(admin) | bad)
    assert answer.status_code == 422 and sentence in words(answer) and 'aria-invalid="true"' in words(answer)
    (key,) = bad
    assert key == "time_zone" or f'name="{key}"' in words(answer)
    assert "IT" in words(answer) or key == "sender"
    assert lookups.everything() == before


def test_of_two_who_change_it_at_once_the_second_is_asked(admin, login_as):
    second = login_as(factories.person("Second Admin", admin=True))
    old = form(second, name="Second GmbH")
    admin.post(PAGE, form(admin))
    answer = second.post(PAGE, old)
    assert answer.status_code == 409 and "Save again to overwrite" in words(answer) and "Second GmbH" in words(answer)
    again = html.unescape(re.search(r'name="was" value="([^"]*)"', answer.text)[1])
    assert second.post(PAGE, old | {"was": again}).status_code == 303
    assert ours().name == "Second GmbH"


def test_a_logo_stands_at_the_head_of_every_page_until_it_is_removed(admin, login_as, rita):
    hers = login_as(rita)
    assert "cs-own-logo" not in hers.get("/").text
    answer = admin.post(f"{PAGE}/logo", {"picture": picture(), "was": ""}, buffered=True)
    assert answer.status_code == 303
    address = ours().logo_url
    assert f'<img class="cs-own-logo" src="{address}" alt="">' in flat(hers.get("/"))
    served = hers.get(address)
    assert served.status_code == 200 and served.content_type == "image/webp"
    assert served.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert Image.open(io.BytesIO(served.data)).size == (128, 128)
    assert hers.get("/logo?v=0").status_code == 404
    assert login_as(None).get(address).status_code == 303
    assert facts("organisation.changed")[-1]["after"] == {"logo": ours().logo_hash}
    # Somebody else's newer one is not replaced unseen.
    stale = admin.post(f"{PAGE}/logo", {"picture": picture("blue"), "was": ""}, buffered=True)
    assert stale.status_code == 409 and "Someone else changed the logo" in words(stale)
    assert admin.post(f"{PAGE}/logo/removal", {"was": ours().logo_hash}).status_code == 303
    assert "cs-own-logo" not in hers.get("/").text and hers.get(address).status_code == 404


def test_what_is_no_picture_is_refused(admin):
    before = lookups.everything()
    file = FileStorage(io.BytesIO(b"<svg/>"), filename="logo.svg", content_type="image/svg+xml")
    answer = admin.post(f"{PAGE}/logo", {"picture": file, "was": ""}, buffered=True)
    assert answer.status_code == 422 and "Upload a PNG, JPEG, WebP or GIF" in words(answer)
    assert admin.post(f"{PAGE}/logo", {"was": ""}).status_code == 422
    assert lookups.everything() == before


def test_get_is_refused_and_it_asks_for_the_password(admin, login_as, rita):
    pages.assert_refuses_get(admin, f"{PAGE}/logo/removal")
    for address in (PAGE, f"{PAGE}/logo", f"{PAGE}/logo/removal"):
        assert login_as(rita).post(address).status_code == 404
    changes.shift("sessions", "proved_at", -16 * timedelta(minutes=1))
    assert admin.post(PAGE, form(admin)).status_code == 401


@pytest.mark.parametrize("way", ["password", "link"])
def test_the_admin_of_a_new_installation_begins_with_the_first_steps(app, login_as, way):
    adam = factories.with_password(factories.person("Adam Weiss", admin=True))
    browser = login_as(None)
    if way == "link":
        from webapp import links

        token = links.password_token(adam.public_id, adam.password_round)
        words = dict.fromkeys(("password", "again"), "three words in a row")
        assert browser.post(f"/password/{token}", words).headers["Location"] == "/admin/first-steps"
        return
    assert sign_in(browser, "adam@example.com").headers["Location"] == "/admin/first-steps"
    assert sign_in(browser, "adam@example.com", next="/catalog").headers["Location"] == "/catalog"
    browser.post("/admin/first-steps/hiding")
    assert sign_in(browser, "adam@example.com").headers["Location"] == "/"


def test_nobody_else_begins_there(app, login_as):
    factories.with_password(factories.person("Rita Lindqvist"))
    assert sign_in(login_as(None), "rita@example.com").headers["Location"] == "/"
