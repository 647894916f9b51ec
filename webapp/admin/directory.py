"""Settings, Directory: people and groups from a CSV file. First it shows what the file would change."""

import base64
import zlib
from collections.abc import Iterator

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from webapp import clock
from webapp.operations import people_import
from webapp.operations.errors import Conflict, Invalid
from webapp.operations.people_import import Plan
from webapp.people_file import BYTES, LINES
from webapp.queries import people_file
from webapp.text import one_line
from webapp.web.reauth import require_recent_password
from webapp.web.signin import admins, me
from webapp.wording import count
from webapp.workflow.people_plan import What

from . import questions, tables
from .views import bp, commit, fragment, go, undo

# The page shows so many lines, those that need a look first.
SHOWN = 300
# The file goes with the page in a hidden field, packed; a form takes 256 kB.
PACKED = 240 * 1024
FIELD = "was-file"
COLUMNS = ("email", "name", "about", "department", "manager", "groups", "active")


@bp.get("/directory/csv")
@admins
def csv_import() -> Response:
    """The form for a file."""
    return _form(200)


def _form(status: int, error: str = "") -> Response:
    return fragment("admin/directory_csv.html", status, error=error, columns=COLUMNS, bytes=BYTES, lines=LINES)


@bp.post("/directory/csv")
@admins
def show_csv_import() -> AnyResponse:
    """What the file `file` would change. Nothing is written."""
    given = request.files.get("file")
    name = one_line(given.filename or "")[:80] if given else ""
    return _show(given.read(BYTES + 1) if given else b"", name or "the file", 200)


def _show(body: bytes, name: str, status: int, refused: str = "") -> Response:
    """The page with the plan, which is made outside of the write transaction."""
    undo()
    plan: Plan | None = None
    error = ""
    try:
        plan = people_import.look(body)
    except Invalid as wrong:
        error = wrong.fields["file"]
    packed = base64.b64encode(zlib.compress(body, 9)).decode()
    if plan is not None and len(packed) > PACKED:
        error = "The file is too large for one import. Divide it and import one part after the other."
    if plan is None or error:
        return _form(422, error)
    lines = plan.refused_first
    return fragment("admin/directory_plan.html", status, plan=plan, lines=lines[:SHOWN], more=len(lines) - SHOWN,
                    What=What, name=name, field=FIELD, packed=packed, asked=plan.stamp, refused=refused)  # fmt: skip


@bp.post("/directory/csv/import")
@admins
@require_recent_password
def apply_csv_import() -> AnyResponse:
    """Makes the changes that the page showed; the stamp says which these were."""
    name = one_line(request.form.get("name", ""))[:80] or "the file"
    body = _unpacked(request.form.get(FIELD, ""))
    try:
        done = people_import.apply(body, request.form.get(questions.FIELD, ""), actor=me(), now=clock.now())
    except Invalid as error:
        undo()
        return _form(422, error.fields["file"])
    except Conflict as error:
        return _show(body, name, 409, str(error))
    commit()
    left = done.count(What.REFUSED)
    message = f"{count(done.taken, 'line')} of {name} imported."
    return go(url_for("admin.people"), f"{message} {count(left, 'line')} refused." if left else message)


def _unpacked(given: str) -> bytes:
    """The file of the hidden field; empty for what is none. Never more than a file may have."""
    try:
        return zlib.decompressobj().decompress(base64.b64decode(given, validate=True), BYTES + 1)
    except (ValueError, zlib.error):
        return b""


@bp.get("/directory/people.csv")
@admins
@require_recent_password
def people_csv() -> Response:
    """Everyone in the form of a file that can be imported."""
    return tables.download("people", _table())


def _table() -> Iterator[str]:
    yield tables.head(COLUMNS)
    yield tables.written(list(people_file.as_lines()))
