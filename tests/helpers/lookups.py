"""What is in the database now: requests, mails, the record, rows by their names."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import select, text

from tests.helpers import factories
from webapp import links
from webapp.extensions import db
from webapp.models import AccessRequest, App, Event, Grant, Group, Invitation, Person, Step
from webapp.workflow.policy import Policy


def names() -> dict[int, str]:
    return {row.id: row.name.split()[0].lower() for row in db.session.execute(text("SELECT id, name FROM people"))}


def mails(after: int = 0) -> list[tuple[str, str, str]]:
    """Every notice beyond the first `after`, sorted: (kind, role, first name or address)."""
    who = names()
    rows = db.session.execute(text("SELECT kind, role, person_id, address FROM notices ORDER BY id")).all()
    found = sorted((row.kind, row.role, who.get(row.person_id) or row.address) for row in rows[after:])
    db.session.rollback()
    return found


def mailed() -> list[tuple[str, str]]:
    """(kind, first name or address) of every notice, in order."""
    db.session.rollback()
    rows = db.session.execute(
        text("SELECT n.kind, n.address, p.name FROM notices n LEFT JOIN people p ON p.id = n.person_id ORDER BY n.id")
    ).all()
    db.session.rollback()
    return [(row.kind, row.address or row.name.split()[0]) for row in rows]


def count_mails() -> int:
    return len(mails())


def events(kind: str = "") -> list[dict[str, Any]]:
    """The record's lines, as plain values; only those of one kind if given."""
    found = [json.loads(row.body) for row in db.session.execute(text("SELECT body FROM events ORDER BY seq"))]
    db.session.rollback()
    return [one for one in found if not kind or one["kind"] == kind]


def facts(kind: str) -> list[dict[str, Any]]:
    """The record's lines of that kind, oldest first."""
    db.session.rollback()
    bodies = db.session.scalars(select(Event.body).where(Event.kind == kind).order_by(Event.seq))
    lines = [json.loads(body) for body in bodies]
    return [line | line.pop("facts") for line in lines]


def kinds(after: int = 0) -> list[str]:
    found = db.session.scalars(text("SELECT kind FROM events WHERE seq > :after ORDER BY seq"), {"after": after}).all()
    db.session.rollback()
    return list(found)


def state(made: AccessRequest) -> str:
    db.session.rollback()
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


def decisions(made: AccessRequest) -> list[tuple[str, str, str]]:
    """(first name, verdict, channel) in order."""
    db.session.rollback()
    rows = db.session.execute(
        text(
            "SELECT p.name, d.verdict, d.channel FROM decisions d JOIN steps s ON s.id = d.step_id "
            f"JOIN people p ON p.id = d.person_id WHERE s.request_id = {made.id} ORDER BY d.id"
        )
    ).all()
    db.session.rollback()
    return [(row.name.split()[0], row.verdict, row.channel) for row in rows]


def grants() -> list[Grant]:
    return db.session.query(Grant).populate_existing().order_by(Grant.id).all()


def values(row: Any) -> dict[str, Any]:
    db.session.refresh(row)
    return {key: one.value for key, one in row.values.items()}


def invitation(made: AccessRequest, person: Person) -> Invitation:
    """The newest one of that person on that request."""
    db.session.rollback()
    found = (
        db.session.query(Invitation).join(Step, Step.id == Invitation.step_id).filter(
            Step.request_id == made.id, Invitation.person_id == person.id
        ).order_by(Invitation.id.desc()).populate_existing().first()
    )  # fmt: skip
    assert found is not None
    return found


def link(made: AccessRequest, person: Person) -> str:
    """The address in that person's newest mail about that request."""
    one = invitation(made, person)
    address = f"/decide/{links.approval_token(one.public_id, one.round, one.key_id)}"
    db.session.rollback()
    return address


def code(made: AccessRequest, person: Person) -> str:
    one = invitation(made, person)
    found = links.code(one.public_id, one.round, one.key_id)
    db.session.rollback()
    return found


def wrong_code(made: AccessRequest, person: Person) -> str:
    return f"{(int(code(made, person)) + 1) % 1_000_000:06d}"


def now(row: Any) -> Any:
    """The row as it is in the database now."""
    db.session.rollback()
    return db.session.get(type(row), row.id, populate_existing=True)


def policy_of(app: App) -> Policy:
    return factories.revision_of(now(app)).snapshot()


def app_called(name: str) -> App | None:
    db.session.rollback()
    return db.session.scalar(select(App).where(App.name == name))


def person_called(name: str) -> Person | None:
    db.session.rollback()
    return db.session.scalar(select(Person).where(Person.name == name))


def group_called(name: str) -> Group | None:
    db.session.rollback()
    return db.session.scalar(select(Group).where(Group.name == name))


def everything() -> dict[str, list[Any]]:
    """All rows of all tables: for "nothing was changed"."""
    db.session.rollback()
    tables = db.metadata.sorted_tables
    found = {
        table.name: sorted(map(repr, db.session.execute(text(f'SELECT * FROM "{table.name}"')).all()))
        for table in tables
    }
    db.session.rollback()
    return found
