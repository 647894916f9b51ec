"""Settings, Directory: connections, their tokens, and what came last."""

import re

import pytest

from tests.helpers import factories, pages
from tests.helpers.lookups import events
from tests.scim.conftest import Pusher
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import ApiToken, Directory, DirectoryPush
from webapp.operations import directories

LIST = "/admin/directory"


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def connect(admin, name="Entra ID") -> tuple[str, str]:
    """Its page and its token."""
    answer = admin.post(LIST, {"name": name})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    found = re.search(r'value="(csn_svc_\w+)"', answer.text)
    assert found is not None
    db.session.rollback()
    row = db.session.query(Directory).filter_by(name=name, removed_at=None).one()
    return f"{LIST}/{row.public_id}", found[1]


def test_a_directory_is_connected_and_its_token_is_shown_once(admin, app):
    assert "No connections" in admin.get(LIST).text
    page, secret = connect(admin)
    assert secret not in admin.get(page).text and "/scim/v2" in admin.get(page).text
    assert Pusher(app, secret).get("/Users").status_code == 200
    assert events("directory.created")[-1]["facts"]["after"]["invites"] is False
    assert "connected the directory Entra ID" in pages.words(admin.get("/admin/audit"))


@pytest.mark.parametrize(
    ("name", "sentence"), [("", "Enter a name"), ("x" * 81, "80 characters"), ("Entra ID", "exists")]
)
def test_a_name_that_cannot_be_is_refused_and_kept(admin, name, sentence):
    connect(admin)
    answer = admin.post(LIST, {"name": name, "invites": "1"})
    assert answer.status_code == 422 and sentence in pages.words(answer)
    assert f'value="{name}"' in answer.text and "checked" in answer.text
    db.session.rollback()
    assert db.session.query(Directory).count() == 1


def test_what_came_is_listed_with_its_reason(admin, app):
    page, secret = connect(admin)
    assert "Nothing came yet" in admin.get(page).text
    entra = Pusher(app, secret)
    entra.person("Nils Berg")
    entra.person("Svc Backup", emails=[{"value": "no address"}])
    words = pages.words(admin.get(page))
    assert "1 person, 0 groups" in words and "New person: nils@example.com" in words and "Refused" in words
    only = pages.words(admin.get(f"{page}?state=refused"))
    assert "svc@corp.example.com" in only and "Nils Berg" not in only
    assert "1 push refused in a day" in pages.words(admin.get(LIST))


def test_what_it_keeps_is_said_where_it_stands(admin, app):
    page, secret = connect(admin)
    entra = Pusher(app, secret)
    person = entra.person("Nils Berg").json["id"]
    group = entra.group("Brand", person).json["id"]
    assert "Brand" in pages.words(admin.get(page))
    there = admin.get(f"/admin/people/{person}")
    assert "Kept by Entra ID: name, email address, manager and department" in pages.words(there)
    there = admin.get(f"/admin/groups/{group}")
    assert "Kept by Entra ID: its name and members" in pages.words(there)
    assert "Rename" not in there.text and "/removal" not in there.text
    refused = admin.post(f"/admin/groups/{group}/members", {"person": person, "whole": "1"})
    assert refused.status_code == 409 and "comes from Entra ID. Change it there" in pages.words(refused)


def test_a_token_is_replaced_without_a_break(admin, app):
    page, first = connect(admin)
    answer = admin.post(f"{page}/tokens")
    second = re.search(r'value="(csn_svc_\w+)"', answer.text)[1]
    for secret in (first, second):
        assert Pusher(app, secret).get("/Users").status_code == 200
    refused = admin.post(f"{page}/tokens")
    assert refused.status_code == 303 and "has 2 tokens" in pages.words(admin.get(page))
    db.session.rollback()
    old = db.session.query(ApiToken).order_by("id").first()
    assert admin.post(f"{page}/tokens/{old.public_id}/ending").status_code == 303
    assert Pusher(app, first).get("/Users").status_code == 401
    assert Pusher(app, second).get("/Users").status_code == 200


def test_it_is_paused_changed_and_removed_and_people_stay(admin, app, adam):
    page, secret = connect(admin)
    entra = Pusher(app, secret)
    entra.person("Nils Berg")
    admin.post(f"{page}/pause")
    assert "Paused" in admin.get(page).text and entra.get("/Users").status_code == 503
    admin.post(f"{page}/resumption")
    admin.post(page, {"name": "Microsoft Entra", "invites": "1"})
    assert "Microsoft Entra" in admin.get(page).text
    assert "1 person and 0 groups stay as they are" in pages.words(admin.get(f"{page}/removal"))
    admin.post(f"{page}/removal")
    assert admin.get(page).status_code == 404 and entra.get("/Users").status_code == 401
    assert factories.rows("people", "active AND name = 'Nils Berg'") == 1
    assert factories.rows("directory_entries") == 0


def test_pushes_are_forgotten_after_30_days(admin, app):
    _, secret = connect(admin)
    Pusher(app, secret).person("Nils Berg")
    Pusher(app, secret).person("Pia Sand")
    db.session.rollback()
    choose("write")
    oldest = db.session.query(DirectoryPush).order_by("id").first()
    oldest.at -= directories.PUSHES_KEPT * 2
    db.session.commit()
    choose("write")
    assert directories.forget_pushes(now=clock.now()) == 1
    db.session.commit()
