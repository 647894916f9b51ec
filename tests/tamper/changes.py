"""What the database's owner can do to the record, drawn at random: edits, deletions, reorderings and truncations."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from webapp.extensions import db

# The columns that say what happened, and what each is set to when it is edited.
COLUMNS = ("body", "mac", "key_id", "kind", "actor_id", "request_id", "app_id", "person_id", "at")


def run(sql: str, **values: Any) -> None:
    db.session.execute(text(sql), values)


def triggers_off(engine: str) -> None:
    """For this transaction."""
    if engine == "postgresql":
        run("SET LOCAL session_replication_role = replica")
        return
    for name in db.session.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'")).all():
        run(f"DROP TRIGGER {name}")


def dump() -> tuple[Any, ...]:
    """Everything of the record, to see whether a change was one."""
    events = db.session.execute(text("SELECT * FROM events ORDER BY seq")).all()
    return (*map(tuple, events), tuple(db.session.execute(text("SELECT * FROM event_head")).one()))


def edit(rng: random.Random, lines: int) -> str:
    """One column of one line: another line's value, or one made up."""
    column, seq, other = rng.choice(COLUMNS), rng.randint(1, lines), rng.randint(1, lines)
    if rng.random() < 0.5 or column == "at":
        run(f"UPDATE events SET {column} = (SELECT {column} FROM events WHERE seq = :other) WHERE seq = :seq",
            seq=seq, other=other)  # fmt: skip
        return f"{column} of line {other} put into line {seq}"
    if column.endswith("_id") and column != "key_id":
        run(f"UPDATE events SET {column} = :value WHERE seq = :seq", seq=seq, value=rng.choice((None, 1, 2, 77_777)))
        return f"{column} of line {seq} changed"
    value = str(db.session.scalar(text(f"SELECT {column} FROM events WHERE seq = :seq"), {"seq": seq}))
    place = rng.randrange(len(value))
    changed = rng.choice((value[:place] + value[place + 1 :], value[:place] + rng.choice("0aZ ") + value[place + 1 :]))
    run(f"UPDATE events SET {column} = :value WHERE seq = :seq", seq=seq, value=changed)
    return f"one character of {column} of line {seq} changed"


def delete(rng: random.Random, lines: int) -> str:
    """A run of lines anywhere."""
    first = rng.randint(1, lines)
    last = min(lines, first + rng.choice((0, 0, 1, 5, lines)))
    run("DELETE FROM events WHERE seq BETWEEN :first AND :last", first=first, last=last)
    return f"lines {first} to {last} deleted"


def close_the_gap(rng: random.Random, lines: int) -> str:
    """A line taken out and all that follow moved up, the head too."""
    seq = rng.randint(1, lines)
    run("DELETE FROM events WHERE seq = :seq", seq=seq)
    for one in range(seq + 1, lines + 1):
        run("UPDATE events SET seq = seq - 1 WHERE seq = :one", one=one)
    run("UPDATE event_head SET seq = seq - 1")
    return f"line {seq} taken out, the numbers closed up"


def reorder(rng: random.Random, lines: int) -> str:
    """Two lines change places."""
    one, other = rng.sample(range(1, lines + 1), 2)
    for old, new in ((one, 1_000_000), (other, one), (1_000_000, other)):
        run("UPDATE events SET seq = :new WHERE seq = :old", old=old, new=new)
    return f"lines {one} and {other} changed places"


def insert(rng: random.Random, lines: int) -> str:
    """A copy of a line at the end, and the head moved on to it."""
    seq = rng.randint(1, lines)
    run("INSERT INTO events (seq, at, kind, actor_id, request_id, app_id, person_id, body, key_id, mac) "
        "SELECT :new, at, kind, actor_id, request_id, app_id, person_id, body, key_id, mac FROM events "
        "WHERE seq = :seq", new=lines + 1, seq=seq)  # fmt: skip
    run("UPDATE event_head SET seq = seq + 1, mac = (SELECT mac FROM events WHERE seq = :seq)", seq=seq)
    return f"line {seq} told once more at the end"


def truncate(rng: random.Random, lines: int) -> str:
    """The end cut off. Only the head tells."""
    left = rng.randint(0, lines - 1)
    run("DELETE FROM events WHERE seq > :left", left=left)
    return f"cut off after line {left}"


def roll_back(rng: random.Random, lines: int) -> str:
    """The end cut off and the head put back as it was then: exactly an older copy of the record."""
    left = rng.randint(0, lines - 1)
    run("DELETE FROM events WHERE seq > :left", left=left)
    run("UPDATE event_head SET seq = :left, mac = coalesce((SELECT mac FROM events WHERE seq = :left), :none)",
        left=left, none="0" * 64)  # fmt: skip
    return f"an older copy of {left} lines put back"


def change_head(rng: random.Random, lines: int) -> str:
    if rng.random() < 0.5:
        run("UPDATE event_head SET seq = seq + :by", by=rng.choice((-2, -1, 1, 2)))
        return "the head's number changed"
    run("UPDATE event_head SET mac = (SELECT mac FROM events WHERE seq = :seq)", seq=rng.randint(1, lines - 1))
    return "the head's HMAC changed"


CHANGES: tuple[Callable[[random.Random, int], str], ...] = (
    edit, edit, edit, delete, close_the_gap, reorder, insert, truncate, roll_back, roll_back, change_head,
)  # fmt: skip
