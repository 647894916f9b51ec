"""Short ways to say who was mailed what, and what the record says."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, event, text

from tests.factories import approver
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import AccessRequest, Grant, Group, Person, Step
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import RequestState, Visibility

ROLE = Entitlement("role", "Role", "choice", ("Reader", "Writer"), required=True)
SEAT = Entitlement("seat", "Seat", "text", requester=Visibility.WRITE)
NOTES = Entitlement("notes", "Notes", "text", default="standard")
WRITE, READ, HIDDEN = Visibility.WRITE, Visibility.READ, Visibility.HIDDEN


def policy(*approvers: Person | Group, see: dict[int, dict[str, Visibility]] | None = None, **changes: Any) -> Policy:
    """A rule with these approvers; `see` maps a step's position to what it may do with which field."""
    steps = tuple(
        StepRule(approver(one), visibility=(see or {}).get(position, {})) for position, one in enumerate(approvers)
    )
    return Policy(steps=steps, **changes)


def outcomes(**rules: OutcomeRule) -> dict[RequestState, OutcomeRule]:
    return {RequestState(name): rule for name, rule in rules.items()}


def names() -> dict[int, str]:
    return {row.id: row.name.split()[0].lower() for row in db.session.execute(text("SELECT id, name FROM people"))}


def mails(after: int = 0) -> list[tuple[str, str, str]]:
    """Every notice beyond the first `after`, sorted: (kind, role, first name or address)."""
    who = names()
    rows = db.session.execute(text("SELECT kind, role, person_id, address FROM notices ORDER BY id")).all()
    found = sorted((row.kind, row.role, who.get(row.person_id) or row.address) for row in rows[after:])
    db.session.rollback()
    return found


def count_mails() -> int:
    return len(mails())


def events(kind: str = "") -> list[dict[str, Any]]:
    """The record's lines, as plain values; only those of one kind if given."""
    found = [json.loads(row.body) for row in db.session.execute(text("SELECT body FROM events ORDER BY seq"))]
    db.session.rollback()
    return [one for one in found if not kind or one["kind"] == kind]


def kinds(after: int = 0) -> list[str]:
    found = db.session.scalars(text("SELECT kind FROM events WHERE seq > :after ORDER BY seq"), {"after": after}).all()
    db.session.rollback()
    return list(found)


def state(made: AccessRequest) -> str:
    found = db.session.execute(text(f"SELECT state FROM requests WHERE id = {made.id}")).scalar_one()
    db.session.rollback()
    return str(found)


def steps(made: AccessRequest) -> list[tuple[str, str]]:
    """(state, tier) of each step."""
    found = db.session.execute(
        text(f"SELECT state, tier FROM steps WHERE request_id = {made.id} ORDER BY position")
    ).all()
    db.session.rollback()
    return [(row.state, row.tier) for row in found]


def asked(made: AccessRequest) -> dict[str, int]:
    """first name → round, of everybody who may decide now."""
    who = names()
    rows = db.session.execute(
        text(
            "SELECT i.person_id, i.round FROM invitations i JOIN steps s ON s.id = i.step_id "
            f"WHERE s.request_id = {made.id} AND i.live"
        )
    ).all()
    db.session.rollback()
    return {who[row.person_id]: row.round for row in rows}


def open_step(made: AccessRequest) -> Step:
    return db.session.query(Step).filter_by(request_id=made.id, state="open").populate_existing().one()


def grants() -> list[Grant]:
    return db.session.query(Grant).populate_existing().order_by(Grant.id).all()


def values(row: Any) -> dict[str, Any]:
    db.session.refresh(row)
    return {key: one.value for key, one in row.values.items()}


@contextmanager
def statements() -> Iterator[Counter[str]]:
    """Counts cursor executions by their first word; BEGIN, COMMIT and PRAGMA are none of them."""
    counted: Counter[str] = Counter()

    def count(conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, executemany: bool) -> None:
        counted[statement.split()[0].upper()] += 1

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield counted
    finally:
        event.remove(Engine, "before_cursor_execute", count)


_FREE_TEXT = (
    "SELECT name FROM people", "SELECT email FROM people", "SELECT about FROM people",
    "SELECT name FROM apps", "SELECT description FROM apps", "SELECT note FROM apps", "SELECT launch_url FROM apps",
    "SELECT name FROM groups", "SELECT message FROM requests", "SELECT settled_note FROM requests",
    "SELECT comment FROM decisions", "SELECT body FROM comments", "SELECT address FROM notices",
    "SELECT browser FROM sessions", "SELECT address FROM sessions",
)  # fmt: skip


def telltales() -> list[str]:
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
