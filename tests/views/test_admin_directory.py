"""Settings, Directory: a CSV file is shown first and imported then."""

from __future__ import annotations

import io
import re

import pytest

from tests.helpers import pages
from tests.helpers.lookups import now, person_called
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.operations import reporting

PAGE = "/admin/directory/csv"
FILE = (
    b"email,name,department,manager\n"
    b"kim@example.com,Kim <b>Park</b>,IT,rita@example.com\n"
    b"nobody,Ann,,\n"
    b"rita@example.com,Rita Lindqvist,Sales,\n"
    b"adam@example.com,Adam Weiss,,\n"
)


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def show(admin, body=FILE, name="people.csv"):
    return admin.post(PAGE, {"file": (io.BytesIO(body), name)})


def confirmed(page):
    """The hidden fields of the form that imports."""
    form = page.text[page.text.index('action="/admin/directory/csv/import"') :].partition("</form>")[0]
    return {name: value for name, value in re.findall(r'name="([\w-]+)" value="([^"]*)"', form) if name != "csrf_token"}


def test_a_file_is_shown_line_by_line_and_nothing_is_written(admin, rita):
    page = show(admin)
    words = pages.words(page)
    assert page.status_code == 200 and "What people.csv would change" in words
    assert "New 1" in words and "Changed 1" in words and "As they are 1" in words and "Refused 1" in words
    assert words.index("“nobody” is not an email address") < words.index("Invited by email")
    assert "Import 2 lines" in words and "<b>Park</b>" not in page.text
    assert person_called("Kim <b>Park</b>") is None and now(rita).department == ""


def test_what_was_shown_is_imported_once(admin, rita):
    form = confirmed(show(admin))
    done = admin.post(f"{PAGE}/import", form)
    assert done.status_code == 303
    assert "2 lines of people.csv imported. 1 line refused." in pages.words(admin.get("/admin/people"))
    assert now(rita).department == "Sales" and person_called("Kim <b>Park</b>").manager_id == rita.id
    again = admin.post(f"{PAGE}/import", form)
    assert again.status_code == 409 and "Nothing was imported." in pages.words(again)
    assert "Import" not in pages.words(show(admin)).partition("Choose another file")[2][:12]


def test_people_who_changed_since_are_shown_anew(admin, rita, adam):
    form = confirmed(show(admin))
    choose("write")
    reporting.set_department(now(rita), "Legal", actor=adam, now=clock.now())
    outbox.commit()
    refused = admin.post(f"{PAGE}/import", form)
    assert refused.status_code == 409
    assert "People or groups have changed since you looked at this file." in pages.words(refused)
    assert "Department: Legal" in pages.words(refused)
    assert now(rita).department == "Legal"
    assert admin.post(f"{PAGE}/import", confirmed(refused)).status_code == 303


@pytest.mark.parametrize("body", [b"", b"email\n", b"\x00\x01\x02" * 20])
def test_what_is_no_file_of_people_is_refused_with_a_sentence(admin, body):
    refused = show(admin, body)
    assert refused.status_code == 422 and 'id="file-e"' in refused.text
    assert admin.post(f"{PAGE}/import", {"was-file": "%%%", "asked": ""}).status_code == 422


def test_the_people_of_today_can_be_downloaded_and_imported_again(admin, rita):
    file = admin.get("/admin/directory/people.csv", buffered=True)
    assert file.status_code == 200 and file.data.startswith(b"\xef\xbb\xbfemail,name")
    page = show(admin, file.data)
    assert "New 0" in pages.words(page) and "Changed 0" in pages.words(page) and "Refused 0" in pages.words(page)


def test_outsiders_find_nothing(login_as, otto):
    outsider = login_as(otto)
    assert outsider.get(PAGE).status_code == 404
    assert outsider.post(PAGE).status_code == 404
    assert outsider.post(f"{PAGE}/import").status_code == 404
    assert outsider.get("/admin/directory/people.csv").status_code == 404
