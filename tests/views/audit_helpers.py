"""What the tests of the audit log share."""

from __future__ import annotations

import csv
import io
import re

from tests.helpers.pages import markup
from webapp.admin.audit import COLUMNS


def plain(answer):
    """The page's words without its tags."""
    return " ".join(re.sub(r"<[^>]+>", "", markup(answer)).split())


def table(answer):
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert tuple(rows[0]) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]
