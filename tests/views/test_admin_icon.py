"""An app's icon: chosen from the set, uploaded, replaced, removed; and served so that it is nothing but a picture."""

from __future__ import annotations

import hashlib
import html
import io
import re

import pytest
from PIL import Image
from werkzeug.datastructures import FileStorage
from werkzeug.test import encode_multipart

from tests.helpers import factories, lookups
from tests.helpers.lookups import facts, now
from tests.helpers.pages import flat, is_fragment, markup
from webapp.extensions import db
from webapp.models import Icon
from webapp.web import pictures

REFUSED = [
    (b"", "Choose a file."),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "This file is not a supported image."),
    (b"\x89PNG\r\n\x1a\n" + b"\0" * 600 * 1024, "A picture can have up to 512 kB."),
]


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana):
    return factories.app("Benevity", ana)


def png(colour: str = "red", size: int = 40) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (size, size), colour).save(body, "PNG")
    return body.getvalue()


def url(app):
    return f"/admin/apps/{app.public_id}"


def was(browser, app):
    page = browser.get(url(app)).get_data(as_text=True)
    section = page[page.index('id="set-icon"') :]
    return html.unescape(re.search(r'name="was" value="([^"]*)"', section)[1])


def upload(browser, app, body, *, name="logo.png", kind="image/png", htmx=False, seen=None):
    """As a browser posts the form. Werkzeug's own client would leave a large body behind in an open file."""
    form = {"csrf_token": browser.token(), "was": was(browser, app) if seen is None else seen}
    picture = FileStorage(io.BytesIO(body), filename=name, content_type=kind)
    boundary, data = encode_multipart({**form, "picture": picture})
    return browser.client.post(
        f"{url(app)}/picture",
        data=data,
        content_type=f"multipart/form-data; boundary={boundary}",
        headers={"HX-Request": "true"} if htmx else {},
    )


def choose(browser, app, icon, *, htmx=False, seen=None):
    data = {"was": was(browser, app) if seen is None else seen, "icon": icon}
    return browser.post(f"{url(app)}/icon", data, htmx=htmx)


def pictures_kept():
    db.session.rollback()
    return db.session.query(Icon).count()


def test_a_picture_is_uploaded_and_shown_wherever_the_app_is(admin, app_, login_as, rita, ana):
    answer = upload(admin, app_, png())
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{url(app_)}#set-icon")
    address = now(app_).icon_url
    made = factories.request(rita, app_)
    shown = f'<img src="{address}" alt="">'
    for person, pages in (
        (rita, ("/", "/catalog", "/requests", f"/requests/{made.public_id}")),
        (ana, ("/approvals", f"/approvals/{made.public_id}")),
        (None, (lookups.link(made, ana),)),
    ):
        for page in pages:
            assert shown in markup(login_as(person).get(page)), page
    for page in ("/admin/apps", url(app_), "/admin/requests"):
        assert shown in markup(admin.get(page)), page
    picture = login_as(rita).get(address)
    assert picture.status_code == 200 and picture.content_type == "image/webp"
    assert Image.open(io.BytesIO(picture.data)).size == (128, 128)


def test_htmx_gets_the_section_with_the_picture_and_the_heading(admin, app_):
    answer = upload(admin, app_, png(), htmx=True)
    assert answer.status_code == 200 and is_fragment(answer) and "Saved" in markup(answer)
    assert flat(answer).count(f'<img src="{now(app_).icon_url}" alt="">') >= 2
    assert 'id="head" hx-swap-oob="true"' in flat(answer) and "Remove picture" in markup(answer)


def test_a_picture_is_served_as_that_and_nothing_else(admin, app_, login_as, rita):
    upload(admin, app_, png())
    address = now(app_).icon_url
    answer = login_as(rita).get(address)
    assert answer.headers["Cache-Control"] == "private, max-age=31536000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == 'inline; filename="icon.webp"'
    assert answer.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    # A page behind a mailed link shows it to somebody who is not signed in; nobody can guess the address.
    assert login_as(None).get(address).status_code == 200
    assert login_as(None).get(address.partition("?")[0]).status_code == 404
    assert login_as(None).get(address[:-1]).status_code == 404


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("body", "said"), REFUSED)
def test_what_is_no_picture_is_refused_beside_the_control(admin, app_, body, said, htmx):
    choose(admin, app_, "rocket")
    answer = upload(admin, app_, body, name="holiday.png", htmx=htmx)
    assert answer.status_code == 422 and is_fragment(answer) is htmx
    assert said in markup(answer)
    assert re.search(
        r'<input[^>]*id="picture"[^>]*aria-describedby="picture-e picture-h" aria-invalid="true"', flat(answer)
    )
    assert now(app_).icon == "rocket" and not now(app_).icon_url and pictures_kept() == 0


def test_a_body_beyond_all_bounds_is_refused_with_a_sentence(admin, app_):
    seen = was(admin, app_)
    answer = upload(admin, app_, b"\0" * 1100 * 1024, seen=seen, htmx=True)
    assert answer.status_code == 413 and "The upload is too large (limit 1 MB)." in markup(answer)


def test_the_name_and_the_type_that_the_browser_says_do_not_matter(admin, app_):
    assert upload(admin, app_, png(), name="../../evil.html").status_code == 303
    assert upload(admin, app_, png("blue"), name="x.svg", kind="image/svg+xml").status_code == 303
    assert admin.get(now(app_).icon_url).content_type == "image/webp"
    assert upload(admin, app_, b"<svg/>", name="x.png", kind="image/png").status_code == 422


def test_a_picture_is_replaced_at_another_address_and_the_old_one_is_gone(admin, app_):
    upload(admin, app_, png("red"))
    first = now(app_).icon_url
    upload(admin, app_, png("blue"))
    second = now(app_).icon_url
    assert first != second and pictures_kept() == 1
    assert admin.get(first).status_code == 404 and admin.get(second).status_code == 200


def test_a_picture_is_removed_and_the_choice_from_the_set_is_back(admin, app_):
    choose(admin, app_, "rocket")
    upload(admin, app_, png())
    page = flat(admin.get(url(app_)))
    assert '<input type="hidden" name="icon" value="rocket">' in page
    answer = choose(admin, app_, "rocket", htmx=True)
    assert answer.status_code == 200 and "Saved" in markup(answer) and "Remove the picture" not in markup(answer)
    assert (now(app_).icon, now(app_).icon_url) == ("rocket", "") and pictures_kept() == 0


def test_two_apps_with_one_picture_share_it_until_the_last_one_lets_it_go(admin, app_, ana):
    other = factories.app("Zoom", ana)
    for app in (app_, other):
        upload(admin, app, png())
    assert pictures_kept() == 1
    choose(admin, app_, "")
    assert pictures_kept() == 1 and admin.get(now(other).icon_url).status_code == 200
    choose(admin, other, "")
    assert pictures_kept() == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_only_what_is_in_the_set_can_be_chosen(admin, app_, htmx):
    assert choose(admin, app_, "rocket", htmx=htmx).status_code == (200 if htmx else 303)
    answer = choose(admin, app_, "../../etc", htmx=htmx)
    assert answer.status_code == 422 and "Choose one of these pictures." in markup(answer)
    assert now(app_).icon == "rocket"


def test_who_saw_another_icon_overwrites_nothing_unseen(admin, app_):
    seen = was(admin, app_)
    choose(admin, app_, "rocket")
    for answer in (upload(admin, app_, png(), seen=seen, htmx=True), choose(admin, app_, "apps", seen=seen, htmx=True)):
        assert answer.status_code == 409 and "Someone else changed" in markup(answer)
    assert now(app_).icon == "rocket" and not now(app_).icon_url


def test_the_record_says_what_the_icon_was_and_is(admin, app_, adam):
    upload(admin, app_, png("red"))
    red = now(app_).icon_hash
    upload(admin, app_, png("blue"))
    blue = now(app_).icon_hash
    choose(admin, app_, "rocket")
    changes = [(line["before"], line["after"]) for line in facts("app.changed")]
    assert changes[-3:] == [
        ({"picture": ""}, {"picture": red}),
        ({"picture": red}, {"picture": blue}),
        ({"icon": "", "picture": blue}, {"icon": "rocket", "picture": ""}),
    ]
    assert facts("app.changed")[-1]["actor"] == adam.id
    assert red == hashlib.sha256(pictures.square(png("red"))).hexdigest()
    told = flat(admin.get("/admin/audit"))
    assert "changed the icon of <b>Benevity</b>." in told
    assert f"picture {red[:8]}" in told and f"picture {blue[:8]}" in told


def test_the_same_again_records_nothing(admin, app_):
    upload(admin, app_, png())
    lines = len(facts("app.changed"))
    assert upload(admin, app_, png()).status_code == 303
    assert len(facts("app.changed")) == lines


def test_the_picture_is_decoded_while_others_may_write(admin, app_, monkeypatch):
    """On SQLite one writer holds up all the others."""
    square = pictures.square

    def in_the_middle(body):
        assert not db.session().in_transaction()
        return square(body)

    seen = was(admin, app_)
    monkeypatch.setattr(pictures, "square", in_the_middle)
    assert upload(admin, app_, png(), seen=seen).status_code == 303


@pytest.mark.parametrize("part", ["icon", "picture"])
def test_only_admins_change_it_and_only_by_a_form(admin, app_, login_as, rita, part):
    assert login_as(rita).post(f"{url(app_)}/{part}").status_code == 404
    assert admin.get(f"{url(app_)}/{part}").status_code == 405
    assert admin.post(f"/admin/apps/000000000000/{part}", {"icon": ""}).status_code == 404
