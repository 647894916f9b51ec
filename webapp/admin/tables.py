"""CSV exports, streamed as the rows are read."""

import csv
import io
from collections.abc import Iterator, Sequence

from flask import Response, stream_with_context

from webapp import clock

# Characters that begin a formula, full-width ones included.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def download(name: str, parts: Iterator[str]) -> Response:
    """The response: a file with the date in its name."""
    response = Response(stream_with_context(parts), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}-{clock.now():%Y-%m-%d}.csv"'
    return response


def head(columns: Sequence[str]) -> str:
    return "\ufeff" + written([columns])  # without the mark, Excel takes UTF-8 for Latin-1


def written(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([defused(cell) for cell in row] for row in rows)
    return text.getvalue()


def defused(cell: str) -> str:
    """Escape a cell so that no spreadsheet runs it as a formula (OWASP, "CSV injection")."""
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(FORMULA) else cell
