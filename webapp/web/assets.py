"""Static files: hashed names, compressed once, served by WhiteNoise before Flask is asked."""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final
from wsgiref.headers import Headers

import brotli  # type: ignore[import-untyped]
from markupsafe import Markup
from whitenoise import WhiteNoise  # type: ignore[import-untyped]

from webapp.config import PROJECT

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Flask

    from webapp.config import Settings

SOURCE: Final = PROJECT / "static"
PREFIX: Final = "/static/"

# Part of the digest: raise it when the way the copies are built changes.
_BUILD: Final = b"1"
_SHIPPED: Final = frozenset({".css", ".js", ".svg", ".png", ".ico", ".woff2"})
_COMPRESSED: Final = frozenset({".css", ".js", ".svg"})
_CSS_URL: Final = re.compile(r"""url\(\s*(["']?)(?!data:|#|/)([^"')]+)\1\s*\)""")

# A script that pages load → its parts, in this order. The parts of one share their names, and nothing else sees them.
SCRIPTS: Final = {
    "app.js": (
        "js/app/common.js",
        "js/app/announce.js",
        "js/app/toasts.js",
        "js/app/failures.js",
        "js/app/dialog.js",
        "js/app/forms.js",
        "js/app/carry.js",
        "js/app/copy.js",
        "js/app/passkeys.js",
        "js/app/keys.js",
        "js/app/drafts.js",
        "js/app/htmx-rules.js",
        "js/app/start.js",
    ),
    "picker.js": ("js/picker.js",),
    "rules.js": ("js/rules.js",),
    "sort.js": ("js/sort.js",),
}
_CSS_COMMENT: Final = re.compile(r"/\*.*?\*/\s*", re.DOTALL)
_CSS_PART: Final = re.compile(r"""@import url\("(?!\.\./)([^"]+)"\)(?: layer\((\w+)\))?;""")

# The icons of sprite.svg that stand for an app; the others belong to the pages.
APP_ICONS: Final = tuple(
    """
    activity address-book apps archive bell book briefcase brush bug building-bank calendar
    calendar-event camera chart-bar chart-dots chart-line chart-pie checklist clipboard clock cloud
    code coin compass cpu credit-card database device-laptop device-mobile file-text flask folder
    gift git-branch globe headset heart-handshake home key layout-board layout-dashboard leaf
    lifebuoy lock mail map message-circle microphone music news package palette phone photo plane
    presentation printer puzzle receipt robot rocket ruler scale school search send server shield
    shield-check shopping-cart signature speakerphone stethoscope table target terminal-2 tool
    trophy truck users vector-bezier video wallet world
    """.split()  # noqa: SIM905 - a list of eighty lines reads worse
)

# Digest of the sources → folder, so that the many apps of one test run build only once.
_built: dict[str, Path] = {}


def init_assets(app: Flask, settings: Settings) -> None:
    """Serve `static/` under hashed names; give the templates `asset(name)`, a file's URL, and the icons.

    The copies live in `<settings.data>/static-<digest>/` and are made when they are missing.
    Call it last: it wraps `app.wsgi_app`, so that `/static/…` reaches neither session nor database.
    """
    sources = join(read_sources(SOURCE))
    names = hashed_names(sources)
    digest = digest_of(names)
    folder = _built.get(digest)
    if folder is None or not folder.is_dir():
        folder = build(settings.data, digest, sources, names)
        _built[digest] = folder

    urls = {name: PREFIX + hashed for name, hashed in names.items()}
    app.jinja_env.globals["asset"] = urls.__getitem__
    app.jinja_env.globals["sprite_icon"] = _icon_from(urls["sprite.svg"])

    files = WhiteNoise(
        _nothing_here,
        root=folder,
        prefix=PREFIX,
        allow_all_origins=False,
        add_headers_function=_add_headers,
        immutable_file_test=lambda _path, _url: True,
    )
    inner = app.wsgi_app

    def wsgi_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO", "").startswith(PREFIX):
            answer: Iterable[bytes] = files(environ, start_response)
            return answer
        return inner(environ, start_response)

    app.wsgi_app = wsgi_app  # type: ignore[method-assign]


def _icon_from(sprite: str) -> Callable[..., Markup]:
    """A function that draws an icon. A page has a hundred of them, and a Jinja macro takes six times as long."""

    @cache
    def icon(name: str, more: str = "") -> Markup:
        words = f"icon {more}" if more else "icon"
        return Markup('<svg class="{}" aria-hidden="true"><use href="{}#{}"></use></svg>').format(words, sprite, name)

    return icon


def read_sources(root: Path) -> dict[str, bytes]:
    """Every file that is sent to browsers, by its path below `root` with forward slashes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in _SHIPPED and path.is_file()
    }


def join(sources: dict[str, bytes]) -> dict[str, bytes]:
    """The sources with what stands in `css/` and `js/` joined to the few files that pages load.

    `css/app.css` names the parts of the style sheet; each comes in place of its `@import`, in its layer and without its
    comments. A part that is not there raises KeyError.
    """
    joined = {name: content for name, content in sources.items() if not name.startswith(("css/", "js/"))}

    def part(match: re.Match[str]) -> str:
        css = sources[f"css/{match[1]}"].decode()
        return f"@layer {match[2]} {{\n{css}}}" if match[2] else css

    style_sheet = _CSS_PART.sub(part, sources["css/app.css"].decode()).replace('url("../', 'url("')
    joined["app.css"] = _CSS_COMMENT.sub("", style_sheet).encode()
    for name, parts in SCRIPTS.items():
        joined[name] = b'(() => {\n"use strict";\n' + b"".join(sources[part] for part in parts) + b"})();\n"
    return joined


def hashed_names(sources: dict[str, bytes]) -> dict[str, str]:
    """The name of each file with a hash of what is sent: `app.css` → `app.3f2a9c1b4d5e.css`.

    Rewrites in place the `url()`s of our own style sheets, which makes their hashes depend on the
    files they name. A `url()` to a missing file raises KeyError. Vendored files stay as they are.
    """
    names: dict[str, str] = {}

    def name_of(name: str) -> str:
        if name not in names:
            if name.endswith(".css") and not name.startswith("vendor/"):
                sources[name] = _rewrite(name, sources[name].decode(), name_of)
            stem, suffix = os.path.splitext(name)
            names[name] = f"{stem}.{hashlib.sha256(sources[name]).hexdigest()[:12]}{suffix}"
        return names[name]

    for name in sources:
        name_of(name)
    return names


def _rewrite(name: str, css: str, name_of: Callable[[str], str]) -> bytes:
    folder = os.path.dirname(name)

    def replace(match: re.Match[str]) -> str:
        target = os.path.normpath(os.path.join(folder, match[2]))
        return f'url("{os.path.relpath(name_of(target), folder or ".")}")'

    return _CSS_URL.sub(replace, css).encode()


def digest_of(names: dict[str, str]) -> str:
    """One short name for all of the files together: the names carry the hashes of the contents."""
    return hashlib.sha256(_BUILD + "\n".join(names.values()).encode()).hexdigest()[:12]


def build(data: Path, digest: str, sources: dict[str, bytes], names: dict[str, str]) -> Path:
    """Make `data/static-<digest>/` with each file, its .br and its .gz, unless it is there.

    Several processes may do this at once: each writes a folder of its own and renames it; the first
    rename wins and the others throw theirs away, so a folder of that name is always whole.
    """
    folder = data / f"static-{digest}"
    if folder.is_dir():
        return folder
    data.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f"static-{digest}-draft-", dir=data))
    try:
        for name, content in sources.items():
            path = draft / names[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            if path.suffix in _COMPRESSED:
                path.with_name(path.name + ".br").write_bytes(brotli.compress(content, quality=11))
                path.with_name(path.name + ".gz").write_bytes(gzip.compress(content, 9, mtime=0))
        try:
            draft.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _add_headers(headers: Headers, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"


def _nothing_here(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    body = b"There is no such file.\n"
    status = HTTPStatus.NOT_FOUND
    start_response(
        f"{status.value} {status.phrase}",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [body]
