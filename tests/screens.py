"""Pictures of every screen, and what has changed between two sets of them.

python -m tests.screens --out FOLDER [--only NAME ...]
python -m tests.screens --compare BEFORE AFTER [--differences FOLDER]

The demo company is served at a fixed time, with ids that come out the same each time, so that two runs of the same
code give the same pixels. Each screen is taken wide and on a phone, in light and dark. Screens change what the next
ones see: compare only sets with the same names.
"""

from __future__ import annotations

import argparse
import io
import random
import re
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy.ext.compiler import compiles

from tests.browser.cases import Cases
from tests.browser.in_process import first_day, served
from tests.browser.screens import EMPTY, SCREENS, Screen
from tests.browser.site import PHONE, WIDE, Site
from tests.helpers.chromium import close, launch
from webapp import clock, demo
from webapp.models import db_now

NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
# Emails name the address of the installation.
PORT = 47113
# Chromium draws everything anew and in one order.
STEADY = (
    "--disable-gpu",
    "--disable-partial-raster",
    "--disable-skia-runtime-opts",
    "--disable-checker-imaging",
    "--disable-lcd-text",
    "--force-color-profile=srgb",
    "--num-raster-threads=1",
)
# These wait for an email that a worker sends, and there is none.
SENT_BY_A_WORKER = {"mailbox", "mail-reset"}
LETTERS = [
    Screen("mailbox-letters", None, "/mailbox"),
    Screen("mailbox-letters-of-ana", None, "/mailbox?to=ana@example.com"),
]


def uploaded(page: Page, address: str) -> None:
    """The page after a picture was uploaded on it."""
    content = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").save(content, "PNG")
    page.goto(address)
    for fold in page.locator("#icon-set").all():
        fold.click()
    page.locator("#picture").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": content.getvalue()})
    page.get_by_role("button", name="Upload", exact=True).click()
    expect(page.locator("img").first).to_be_visible()


def app_with_a_picture(page: Page, cases: Cases) -> None:
    uploaded(page, f"/admin/apps/{cases.app_id('Miro')}")


def own_logo(page: Page, cases: Cases) -> None:
    uploaded(page, "/admin/organisation")


# Last, because every later page would show them; without script, as a picture is sent by its button then.
PICTURES = [
    Screen("admin-app-picture", "Adam", app_with_a_picture, script=False),
    Screen("own-logo", "Adam", own_logo, script=False),
]
PAGES = [*LETTERS, *(screen for screen in SCREENS if screen.name not in SENT_BY_A_WORKER), *PICTURES]
EMPTY_PAGES = [Screen(f"empty{address.replace('/', '-')}-{who}", who, address) for who, address in EMPTY]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--out", type=Path, metavar="FOLDER", help="take the pictures into this folder")
    action.add_argument("--compare", type=Path, nargs=2, metavar=("BEFORE", "AFTER"), help="compare two folders")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="take only the screens with these names")
    parser.add_argument("--differences", type=Path, metavar="FOLDER", help="write a picture of each difference")
    options = parser.parse_args()
    if options.out:
        return take_all(options.out, set(options.only))
    return compare(*options.compare, options.differences)


@contextmanager
def frozen() -> Iterator[None]:
    """The wall clock and the database's stand still; what is drawn by lot is drawn from a fixed seed."""
    draw = random.Random(13)

    @compiles(db_now, "sqlite")
    def now_as_sql(element, compiler, **kw):
        seconds = compiler.process(element.clauses, **kw)
        later = f", ({seconds}) || ' seconds'" if seconds else ""
        return f"strftime('%Y-%m-%d %H:%M:%f000', '{NOW:%Y-%m-%d %H:%M:%S}'{later})"

    with (
        mock.patch.object(clock, "now", lambda: NOW),
        mock.patch.object(secrets, "token_bytes", lambda n=32: draw.randbytes(n)),
        mock.patch.object(secrets, "token_hex", lambda n=32: draw.randbytes(n).hex()),
    ):
        yield


def take_all(folder: Path, only: set[str]) -> int:
    folder.mkdir(parents=True, exist_ok=True)
    failed = []
    with frozen(), sync_playwright() as playwright, tempfile.TemporaryDirectory() as scratch:
        expect.set_options(timeout=15_000)
        chromium = launch(playwright, *STEADY)
        with served(Path(scratch) / "demo", lambda: demo.seed(now=NOW), PORT) as site:
            failed += [take(chromium, site, screen, folder) for screen in PAGES if not only or screen.name in only]
        with served(Path(scratch) / "empty", first_day, PORT) as site:
            failed += [take(chromium, site, one, folder) for one in EMPTY_PAGES if not only or one.name in only]
        chromium.close()
    failed = [name for name in failed if name]
    if failed:
        print(f"Could not be taken: {', '.join(failed)}")
    return 1 if failed else 0


def take(chromium: Browser, site: Site, screen: Screen, folder: Path) -> str:
    """Its markup and four pictures; answers the screen's name if it could not be reached."""
    began = time.monotonic()
    context = site.context_of(
        chromium, screen.who, java_script_enabled=screen.script, user_agent=screen.browser, locale="en-GB"
    )
    context.set_default_timeout(15_000)
    page = context.new_page()
    try:
        if callable(screen.visit):
            screen.visit(page, Cases(site))
        else:
            page.goto(screen.visit)
        page.wait_for_load_state("networkidle")
        (folder / f"{screen.name}.html").write_text(plain_markup(page.content()))
        for width, size in (("wide", WIDE), ("phone", PHONE)):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                settle(page, screen)
                (folder / f"{screen.name}.{width}.{scheme}.png").write_bytes(picture(page))
    except Exception as error:
        print(f"{screen.name}: {error}", file=sys.stderr)
        return screen.name
    finally:
        close(context)
    print(f"{screen.name}  {time.monotonic() - began:.1f} s", flush=True)
    return ""


def settle(page: Page, screen: Screen) -> None:
    """Fonts are there, the page is at its top, and no toast goes away while its pictures are taken."""
    # Of a page that is scrolled Chromium may draw what is fixed in either of two places.
    page.evaluate("scrollTo(0, 0)")
    if screen.script:
        page.evaluate("document.fonts.ready.then(() => { for (let i = setTimeout(() => {}); i; i--) clearTimeout(i) })")
    else:
        page.wait_for_timeout(100)


def picture(page: Page) -> bytes:
    """The whole page, as soon as it looks the same twice: Chromium may not have drawn all of it the first time."""
    last = b""
    for _ in range(6):
        taken = page.screenshot(full_page=True, animations="disabled", caret="hide")
        if taken == last:
            break
        last = taken
    return last


def plain_markup(html: str) -> str:
    """One tag a line, without what is another in each run: tokens, and the hashes in the names of static files."""
    html = re.sub(r'(name="csrf_token"[^>]*value=)"[^"]*"', r'\1""', html)
    html = re.sub(r"(/static/[^\"'.]+(?:[-.\d]+[^\"'.]+)*)\.[0-9a-f]{12}\.", r"\1.", html)
    html = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", html)
    return re.sub(r"\s*(<[^>]*>)\s*", r"\n\1\n", re.sub(r"\s+", " ", html)).replace("\n\n", "\n")


def compare(before: Path, after: Path, differences: Path | None) -> int:
    """Prints each page whose markup differs but for white space, and each picture that differs, and by how many
    pixels. 1 if any does, 0 if none."""
    names = sorted({path.name for folder in (before, after) for path in folder.iterdir()})
    found = 0
    for name in names:
        missing = [folder for folder in (before, after) if not (folder / name).exists()]
        if missing:
            print(f"{name}: not in {missing[0]}")
            found += 1
            continue
        if not name.endswith(".png"):
            if (before / name).read_text() != (after / name).read_text():
                print(f"{name}: the markup differs")
                found += 1
            continue
        with Image.open(before / name) as one, Image.open(after / name) as other:
            pixels = difference(one.convert("RGB"), other.convert("RGB"), differences and differences / name)
        if pixels:
            sizes = "" if one.size == other.size else f", {one.size} became {other.size}"
            print(f"{name}: {pixels} pixels{sizes}")
            found += 1
    print(f"{found} of {len(names)} files differ.")
    return 1 if found else 0


def difference(one: Image.Image, other: Image.Image, path: Path | None) -> int:
    """How many pixels differ; what only one of the two covers differs. With a path: both, with the difference between
    them in red."""
    size = (max(one.width, other.width), max(one.height, other.height))
    first, second = Image.new("RGB", size, "magenta"), Image.new("RGB", size, "cyan")
    first.paste(one)
    second.paste(other)
    bands = ImageChops.difference(first, second).split()
    mask = ImageChops.lighter(ImageChops.lighter(bands[0], bands[1]), bands[2]).point(lambda value: 255 if value else 0)
    pixels = mask.histogram()[255]
    if pixels and path:
        path.parent.mkdir(parents=True, exist_ok=True)
        marked = Image.blend(second, Image.new("RGB", size, "white"), 0.7)
        marked.paste("red", mask=mask)
        sheet = Image.new("RGB", (size[0] * 3, size[1]))
        for place, picture in enumerate((first, marked, second)):
            sheet.paste(picture, (place * size[0], 0))
        sheet.save(path)
    return pixels


if __name__ == "__main__":
    sys.exit(main())
