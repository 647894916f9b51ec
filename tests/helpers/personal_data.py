"""Whether the audit record holds what it must not: names, addresses, free text."""

from __future__ import annotations

import json
import re

from sqlalchemy import text

from webapp.database.transactions import choose
from webapp.extensions import db

_FREE_TEXT = (
    "SELECT name FROM people", "SELECT email FROM people", "SELECT about FROM people",
    "SELECT name FROM apps", "SELECT description FROM apps", "SELECT note FROM apps", "SELECT launch_url FROM apps",
    "SELECT name FROM groups", "SELECT message FROM requests", "SELECT settled_note FROM requests",
    "SELECT comment FROM decisions", "SELECT body FROM comments", "SELECT address FROM notices",
    "SELECT browser FROM sessions", "SELECT address FROM sessions",
)  # fmt: skip  # fmt: skip


def leaked_personal_data() -> list[str]:
    """Names, addresses or free text that stand in the record and must not."""
    db.session.rollback()
    choose("read")
    bodies = [row.body for row in db.session.execute(text("SELECT body FROM events"))]
    known: set[str] = set()
    for query in _FREE_TEXT:
        known |= {row[0] for row in db.session.execute(text(query)) if row[0]}
    # A field of kind "text" holds what somebody typed.
    for row in db.session.execute(text("SELECT values_json FROM requests UNION SELECT values_json FROM grants")):
        stored = json.loads(row[0])
        known |= {str(one["value"]) for key, one in stored.items() if key in ("seat", "notes")}
    db.session.rollback()
    for name in [row for row in known if re.fullmatch(r"[A-Z]\w+( [A-Z]\w+)+", row)]:
        known |= set(name.split())
    return [f"{word!r} in {body}" for word in known if len(word) > 2 for body in bodies if word in body]
