"""Reads a CSV file of people: its encoding, its separator, its columns by their names, and each line as it is meant.

Excel in Europe writes semicolons and Windows-1252; others write UTF-8, with or without a byte order mark.
"""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from webapp.text import has_too_many_marks, one_line, sort_key

BYTES = 900 * 1024
LINES = 5000
GROUPS = 50
# So many characters of a cell are looked at; the longest that is kept is an address.
CELL = 2000

_ALIASES = {
    "email": ("email", "mail", "emailaddress", "workemail", "userprincipalname", "upn"),
    "name": ("name", "displayname", "fullname"),
    "first": ("firstname", "givenname", "vorname", "prénom"),
    "last": ("lastname", "surname", "familyname", "nachname", "nom"),
    "about": ("about", "title", "jobtitle", "position"),
    "department": ("department", "dept", "abteilung", "service"),
    "manager": ("manager", "manageremail", "reportsto", "supervisor", "vorgesetzter"),
    "groups": ("groups", "group", "memberof", "gruppen", "groupes"),
    "active": ("active", "enabled", "isactive", "aktiv", "actif"),
}
_COLUMNS = {alias: column for column, aliases in _ALIASES.items() for alias in aliases}
_YES = {"yes", "y", "true", "1", "active", "enabled", "ja", "wahr", "oui", "vrai"}
_NO = {"no", "n", "false", "0", "inactive", "disabled", "deactivated", "nein", "falsch", "non", "faux"}
# An apostrophe that our own export, or another one, put in front of a formula.
_DEFUSED = re.compile(r"'(?=\s*[=+\-@＝＋－＠])")


class BadFile(Exception):
    """A file that is not read at all; `str(error)` is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the file. None: the file has no such column, so that nothing changes. `fault`: why it is refused."""

    number: int
    email: str
    name: str
    about: str | None = None
    department: str | None = None
    manager: str | None = None
    groups: tuple[str, ...] = ()
    active: bool | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """The lines, and the names of columns that are not read."""

    rows: list[Row]
    ignored: list[str] = field(default_factory=list)


def read(body: bytes) -> PeopleFile:
    """Raises BadFile."""
    if not body.strip():
        raise BadFile("The file is empty. Choose a CSV file whose first line names the columns.")
    if len(body) > BYTES:
        raise BadFile(f"A file can have up to {BYTES // 1024} kB. Divide it and import one part after the other.")
    text = _decoded(body)
    head, _, rest = text.partition("\n")
    if head.strip().lower().startswith("sep="):  # a line that Excel writes for itself
        skipped, text = 1, rest
    else:
        skipped = 0
    lines = _records(text, skipped)
    _, names = next(lines, (0, []))
    columns, ignored = _columns(names)
    rows = [_row(number, cells, columns) for number, cells in lines if any(one.strip() for one in cells)]
    if not rows:
        raise BadFile("The file has no lines below the names of the columns.")
    if len(rows) > LINES:
        raise BadFile(f"A file can have up to {LINES:,} lines. This one has {len(rows):,}: divide it.")
    return PeopleFile(rows, ignored)


def _decoded(body: bytes) -> str:
    is_wide = body.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ["utf-16"] if is_wide else ["utf-8-sig", "cp1252"]:
        try:
            text = body.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\x00" not in text:
            return text
    raise BadFile("This is not a text file that can be read. Save it as CSV in UTF-8.")


def _records(text: str, skipped: int) -> Iterator[tuple[int, list[str]]]:
    """(number of its first line, cells) of each record."""
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1 + skipped
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            raise BadFile(f"Line {number} cannot be read. Is a quotation mark missing at the end of a value?") from None
        yield number, cells


def _columns(names: list[str]) -> tuple[dict[str, int], list[str]]:
    found: dict[str, int] = {}
    ignored = []
    for place, given in enumerate(names):
        name = one_line(given[:CELL])
        column = _COLUMNS.get(re.sub(r"[\s_.\-]", "", sort_key(name)))
        if column is None:
            ignored += [name[:40]] if name else []
        elif column in found:
            raise BadFile(f"The columns “{one_line(names[found[column]])[:40]}” and “{name[:40]}” mean the same. "
                          "Remove one of them.")  # fmt: skip
        else:
            found[column] = place
    has_name = "name" in found or {"first", "last"} <= found.keys()
    missing = [one for one, is_there in (("email", "email" in found), ("name", has_name)) if not is_there]
    if missing:
        raise BadFile(
            f"The first line names no column “{missing[0]}”. It has to be like: "
            "email, name, department, manager, groups, active."
        )
    return found, ignored


def _row(number: int, cells: list[str], columns: dict[str, int]) -> Row:
    def cell(column: str) -> str | None:
        place = columns.get(column)
        if place is None:
            return None
        return _DEFUSED.sub("", one_line(cells[place][:CELL]), count=1) if place < len(cells) else ""

    fault = ""
    for one in cells:
        if len(one) > CELL:
            fault = f"A value has {len(one):,} characters. Use {CELL:,} or fewer."
        elif has_too_many_marks(one):
            fault = "One letter has too many accents or other combining marks."
    if fault:
        return Row(number, "", "", fault=fault)
    name = cell("name") or " ".join(part for part in (cell("first"), cell("last")) if part)
    groups = tuple(dict.fromkeys(one for part in re.split(r"[,;|]", cell("groups") or "") if (one := one_line(part))))
    if len(groups) > GROUPS:
        fault = f"A line can name up to {GROUPS} groups. This one names {len(groups)}."
    active, word = None, sort_key(cell("active") or "")
    if word in _YES or word in _NO:
        active = word in _YES
    elif word:
        fault = f"“{word[:40]}” does not say whether the person is active. Write yes or no."
    return Row(number, cell("email") or "", name, cell("about"), cell("department"), cell("manager"), groups, active,
               fault)  # fmt: skip
