"""Icons and the logo through the API: uploaded as on the screens, and removed."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from PIL import Image

from tests.api.conftest import Program
from tests.api.helpers import problem
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp.extensions import db
from webapp.models import App, Icon, Organisation
from webapp.web.assets import APP_ICONS
from webapp.web.pictures import BYTES, SIZE

Make = Callable[..., Program]


def png(size: int = 40) -> bytes:
    body = io.BytesIO()
    Image.new("RGB", (size, size), "red").save(body, "PNG")
    return body.getvalue()


def put(program: Program, path: str, body: bytes, kind: str = "image/png", *, read: str):  # type: ignore[no-untyped-def]
    return program.upload(path, body, kind, If_Match=program.get(read).headers["ETag"])


@pytest.fixture
def figma(company: Company) -> App:
    return factories.app("Figma", company.ana, owner=company.ana)


def test_an_owner_uploads_the_icon_and_removes_it(program: Make, company: Company, figma: App) -> None:
    path, ana = f"/apps/{figma.public_id}", program("ana")
    assert ana.change("PATCH", path, {"icon": APP_ICONS[0]}).json["icon"] == APP_ICONS[0]
    answer = put(ana, f"{path}/picture", png(), read=path)
    assert answer.status_code == 200, answer.text
    assert (answer.json["icon"], answer.json["has_picture"]) == (APP_ICONS[0], True)
    db.session.rollback()
    (kept,) = db.session.query(Icon).all()
    assert Image.open(io.BytesIO(kept.body)).size == (SIZE, SIZE)
    removed = ana.change("DELETE", f"{path}/picture", None, read=path)
    assert (removed.json["icon"], removed.json["has_picture"]) == (APP_ICONS[0], False)
    db.session.rollback()
    assert db.session.query(Icon).count() == 0


def test_an_icon_of_the_set_takes_the_place_of_a_picture(program: Make, company: Company, figma: App) -> None:
    path, ana = f"/apps/{figma.public_id}", program("ana")
    put(ana, f"{path}/picture", png(), read=path)
    changed = ana.change("PATCH", path, {"icon": APP_ICONS[1]}).json
    assert (changed["icon"], changed["has_picture"]) == (APP_ICONS[1], False)
    assert ana.change("PATCH", path, {"icon": ""}).json["icon"] == ""
    problem(ana.change("PATCH", path, {"icon": "dragon"}), 422, "Choose one of these pictures.", "icon")


@pytest.mark.parametrize(
    ("body", "kind", "status", "sentence"),
    [
        (b"", "image/png", 422, "Choose a file."),
        (b"GIF89a", "image/gif", 422, "This file is not a supported image. Upload a PNG, JPEG, WebP or GIF."),
        (png()[:50], "image/png", 422, "This image is damaged or incomplete. Export it again and upload the new file."),
        (png() + b"\0" * BYTES, "image/png", 422,
         "A picture can have up to 512 kB. Make it smaller and upload it again."),
        (png(), "text/html", 415, "Send a file of one of these types: image/png, image/jpeg, image/webp, image/gif."),
    ],
    ids=["empty", "no-picture", "cut-off", "too-large", "another-type"],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused_as_on_the_screen(
    program: Make, company: Company, figma: App, body: bytes, kind: str, status: int, sentence: str
) -> None:
    path = f"/apps/{figma.public_id}"
    refused = put(program("ana"), f"{path}/picture", body, kind, read=path)
    problem(refused, status, sentence, *(["picture"] if status == 422 else []))
    db.session.rollback()
    assert db.session.query(Icon).count() == 0


def test_what_somebody_else_changed_is_not_overwritten(program: Make, company: Company, figma: App) -> None:
    path, ana = f"/apps/{figma.public_id}", program("ana")
    assert ana.upload(f"{path}/picture", png(), "image/png").status_code == 428
    seen = ana.get(path).headers["ETag"]
    ana.change("PATCH", path, {"note": "Ask first."})
    assert ana.upload(f"{path}/picture", png(), "image/png", If_Match=seen).status_code == 412


def test_an_admin_uploads_the_logo_and_removes_it(program: Make, company: Company) -> None:
    adam = program("adam")
    assert put(adam, "/organisation/logo", png(), read="/organisation").json["has_logo"] is True
    db.session.rollback()
    assert db.session.get_one(Organisation, 1).logo
    assert adam.change("DELETE", "/organisation/logo", None, read="/organisation").json["has_logo"] is False
