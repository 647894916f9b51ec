"""Static files: named by their content, compressed, served without asking Flask; vendored files as they came."""

import gzip
import hashlib
import re
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import brotli
import pytest
from flask import Flask
from flask.testing import FlaskClient

from webapp.config import Settings
from webapp.record.sentences import ENTRY_KINDS
from webapp.web import assets

VENDOR = assets.SOURCE / "vendor"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """An app that falls over when anything reaches Flask."""
    app = Flask(__name__, static_folder=None)

    @app.before_request
    def nobody_comes_here() -> None:
        raise AssertionError("a static file reached the application")

    settings = cast(Settings, SimpleNamespace(data=tmp_path_factory.mktemp("data")))
    assets.init_assets(app, settings)
    app.testing = True
    return app


class Browser(FlaskClient):
    """Reads each answer to its end, so that the file behind it is closed."""

    def open(self, *args, **kwargs):
        return super().open(*args, buffered=True, **kwargs)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    app.test_client_class = Browser
    return app.test_client()


def url_of(app: Flask, name: str) -> str:
    return app.jinja_env.from_string("{{ asset(name) }}").render(name=name)


def test_each_vendored_file_is_the_one_that_was_written_down():
    rows = re.findall(r"^\| `([^`]+)` \| .* \| `([0-9a-f]{64})` \|$", (VENDOR / "VENDOR.md").read_text(), re.M)
    assert dict(rows) == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.is_file() and path.name != "VENDOR.md"
    }


def test_each_vendored_file_comes_with_its_licence():
    for licence in re.findall(r"\]\((licenses/[^)]+)\)", (VENDOR / "VENDOR.md").read_text()):
        assert len((VENDOR / licence).read_text()) > 300, licence


def test_a_file_is_named_by_its_content_and_kept_for_ever(app, client):
    url = url_of(app, "app.css")
    answer = client.get(url)
    digest = hashlib.sha256(answer.data).hexdigest()[:12]
    assert url == f"/static/app.{digest}.css"
    assert answer.status_code == 200
    assert answer.mimetype == "text/css"
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(("encoding", "unpack"), [("br", brotli.decompress), ("gzip", gzip.decompress)])
def test_text_is_sent_compressed(app, client, encoding, unpack):
    url = url_of(app, "vendor/tabler-1.6.1.min.css")
    answer = client.get(url, headers={"Accept-Encoding": encoding})
    assert answer.headers["Content-Encoding"] == encoding
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert unpack(answer.data) == client.get(url).data


def test_what_a_style_sheet_names_is_there_under_the_same_address_as_in_the_pages(app, client):
    css = client.get(url_of(app, "app.css")).text
    named = [target for target in re.findall(r'url\("([^"]+)"\)', css) if not target.startswith("data:")]
    assert named
    for target in named:
        assert client.get(f"/static/{target}").status_code == 200, target
    assert url_of(app, "vendor/tabler-1.6.1.min.css").removeprefix("/static/") in named
    assert url_of(app, "vendor/inter-latin-wght-normal-5.3.0.woff2").removeprefix("/static/") in named


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/vendor/",
        "/static/app.css",
        "/static/../webapp/web/assets.py",
        "/static/%2e%2e/wsgi.py",
        "/static/vendor/VENDOR.md",
        "/static/app.css.br",
    ],
)
def test_nothing_else_is_to_be_had(client, path):
    assert client.get(path).status_code == 404


def test_a_static_file_cannot_be_posted_to(app, client):
    assert client.post(url_of(app, "app.js")).status_code == 405


def test_everything_else_goes_to_the_application(client):
    with pytest.raises(AssertionError, match="reached the application"):
        client.get("/staticky")


def test_an_unknown_name_is_an_error_of_the_template(app):
    with pytest.raises(KeyError, match="nowhere"):
        url_of(app, "nowhere.css")


def test_a_style_sheet_that_names_a_missing_file_is_refused():
    with pytest.raises(KeyError, match="gone"):
        assets.hashed_names({"app.css": b"a { background: url(img/gone.png) }"})


def test_the_name_of_a_style_sheet_moves_with_what_it_names():
    before = assets.hashed_names({"app.css": b"a { background: url('a.png') }", "a.png": b"1"})
    after = assets.hashed_names({"app.css": b"a { background: url('a.png') }", "a.png": b"2"})
    assert before["app.css"] != after["app.css"]


def test_several_processes_may_start_at_once(tmp_path):
    sources = {"app.js": b"let a = 1;" * 500, "vendor/b.css": b"b { color: red }" * 500}
    names = assets.hashed_names(sources)
    folders: list[Path] = []
    starts = [
        threading.Thread(target=lambda: folders.append(assets.build(tmp_path, "d1", sources, names))) for _ in range(8)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert set(folders) == {tmp_path / "static-d1"} and len(folders) == 8
    assert [path.name for path in tmp_path.iterdir()] == ["static-d1"], "a draft was left behind"
    assert (tmp_path / "static-d1" / names["vendor/b.css"]).read_bytes() == sources["vendor/b.css"]


def test_what_is_there_is_not_built_again(tmp_path, monkeypatch):
    sources = {"app.js": b"let a = 1;"}
    names = assets.hashed_names(sources)
    assets.build(tmp_path, "d1", sources, names)
    monkeypatch.setattr(assets.tempfile, "mkdtemp", lambda **_: pytest.fail("it was built again"))
    assets.build(tmp_path, "d1", sources, names)


def test_every_icon_that_is_named_is_in_the_sprite():
    sprite = (assets.SOURCE / "sprite.svg").read_text()
    there = re.findall(r'<symbol id="([^"]+)"', sprite)
    assert len(there) == len(set(there))
    assert set(assets.APP_ICONS) <= set(there)
    assert {row.icon for row in ENTRY_KINDS.values()} <= set(there)
    templates = assets.SOURCE.parent / "templates"
    for template in templates.rglob("*.html"):
        named = set(re.findall(r"""\bicon\(\s*["']([a-z0-9-]+)["']""", template.read_text()))
        assert named <= set(there), f"{template.name}: {named - set(there)}"


def test_a_first_visit_weighs_at_most_150_kilobytes_before_the_page_itself(app, client):
    """The page comes on top; together they stay below 170 kB."""
    first_visit = [
        "vendor/tabler-1.6.1.min.css",
        "app.css",
        "vendor/htmx-4.0.1.min.js",
        "app.js",
        "sprite.svg",
        "logo-mark.svg",
        "vendor/inter-latin-wght-normal-5.3.0.woff2",
    ]
    weight = sum(len(client.get(url_of(app, name), headers={"Accept-Encoding": "br"}).data) for name in first_visit)
    assert weight < 150_000


def test_the_tiles_of_empty_lists_are_drawn_as_outlines():
    """Filled as an app without a colour they are nearly black."""
    for template in sorted((assets.SOURCE.parent / "templates").rglob("*.html")):
        for tiles in re.findall(r'class="cs-ghosts".*?</div>', template.read_text(), re.S):
            assert "cs-app" not in tiles, template
