"""The append-only record: each event is canonical text, chained to its predecessor by an HMAC.

Operations `record` what changed; `seal` writes the lines as the last statements before the commit, so the
head row, the one lock that everybody needs, is held for as short as can be.
Events hold ids, settings and SHA-256 of free text, never names, addresses or the text itself.
"""

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update

from webapp import failpoints, uncommitted
from webapp.extensions import db, keyring
from webapp.models import Event, EventHead

PURPOSE = "audit"
GENESIS = "0" * 64
# The table, not the class: the session would make one INSERT of each run of rows that lack the same columns.
_EVENTS = Event.metadata.tables["events"]


@dataclass(slots=True)
class Draft:
    """A line that has no number yet."""

    kind: str
    at: datetime
    actor: int | None
    request: int | None
    app: int | None
    person: int | None
    facts: dict[str, Any]


def record(
    kind: str,
    *,
    at: datetime,
    actor: int | None,
    request: int | None = None,
    app: int | None = None,
    person: int | None = None,
    **facts: Any,
) -> None:
    """Notes one change, for the transaction at hand. `actor` None is Countersign itself; `facts` is plain JSON,
    with `before` and `after` where a setting changed."""
    uncommitted.keep(Draft(kind, at, actor, request, app, person, facts))


# Built once, and run past the session: every change pays for these three.
_READ_HEAD = select(EventHead.seq, EventHead.mac).where(EventHead.id == 1)
_HEAD = _READ_HEAD.with_for_update()
_LINES = insert(_EVENTS)
_NEW_HEAD = update(EventHead).where(EventHead.id == 1).values(seq=bindparam("last"), mac=bindparam("last_mac"))


def seal(drafts: Sequence[Draft]) -> None:
    """Writes what was recorded. Call it only right before the commit."""
    if not drafts:
        return
    connection = db.session.connection()
    head = connection.execute(_HEAD).one()
    ring = keyring()
    key_id = ring.current
    key = ring.derive(PURPOSE, key_id)
    seq, mac = head.seq, head.mac
    rows = []
    for draft in drafts:
        seq += 1
        body = canonical(seq, draft)
        mac = chain(key, mac, body)
        rows.append(
            {
                "seq": seq,
                "at": draft.at,
                "kind": draft.kind,
                "actor_id": draft.actor,
                "request_id": draft.request,
                "app_id": draft.app,
                "person_id": draft.person,
                "body": body,
                "key_id": key_id,
                "mac": mac,
            }
        )
    connection.execute(_LINES, rows)
    failpoints.at("audit.in-append")
    connection.execute(_NEW_HEAD, {"last": seq, "last_mac": mac})


def canonical(seq: int, draft: Draft) -> str:
    return json.dumps(
        {
            "seq": seq,
            "at": draft.at.isoformat(),
            "kind": draft.kind,
            "actor": draft.actor,
            "request": draft.request,
            "app": draft.app,
            "person": draft.person,
            "facts": draft.facts,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )


def chain(key: bytes, previous: str, body: str) -> str:
    return hmac.digest(key, f"{previous}\n{body}".encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Break:
    """Where the record does not hold, and in which way."""

    seq: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What somebody outside of the database remembers of one line: its HMAC, and when (ISO 8601) it was the last."""

    mac: str
    at: str


def verify(seen: Mapping[int, Seen] | None = None, *, newest: int | None = None) -> tuple[int, Break | None]:
    """(number of lines that hold, the first break or None). Reads the whole record in pages, or, where it is longer,
    only its `newest` lines: the HMAC of the line before them is then taken as it stands.

    `seen`: line number → what `webapp.anchors` remembers of it. Without, a record that was cut off at its end, head
    and all, holds.
    """
    ring, seen = keyring(), seen or {}
    head = db.session.execute(_READ_HEAD).one()
    after = max(head.seq - newest, 0) if newest is not None else 0
    previous = (db.session.scalar(select(Event.mac).where(Event.seq == after)) or "") if after else GENESIS
    expected = after + 1
    for line in _all_events(after):
        if line.seq != expected:
            return expected - 1 - after, Break(expected, f"Line {expected} is missing: the next one is {line.seq}.")
        try:
            key = ring.derive(PURPOSE, line.key_id)
        except KeyError:
            return expected - 1 - after, Break(
                line.seq, f"Line {line.seq} was written with key {line.key_id}, which is not set any more."
            )
        if not hmac.compare_digest(chain(key, previous, line.body), line.mac):
            return expected - 1 - after, Break(line.seq, f"Line {line.seq} was changed, or a line before it was.")
        if not _columns_agree(line):
            return expected - 1 - after, Break(line.seq, f"The look-up columns of line {line.seq} were changed.")
        anchor = seen.get(line.seq)
        if anchor is not None and anchor.mac != line.mac:
            return expected - 1 - after, Break(
                line.seq, f"Line {line.seq} is not the one that was there at {anchor.at}."
            )
        expected, previous = expected + 1, line.mac
    last = max(seen, default=0)
    if last >= expected:
        return expected - 1 - after, Break(
            expected, f"The record ends at line {expected - 1}, but at {seen[last].at} there was line {last}."
        )
    head = db.session.execute(_READ_HEAD).one()
    if (head.seq, head.mac) != (expected - 1, previous):
        return expected - 1 - after, Break(
            expected, f"The record ends at line {expected - 1}, but its head says {head.seq}."
        )
    return expected - 1 - after, None


def _columns_agree(line: Any) -> bool:
    plain = json.loads(line.body)
    return (line.seq, line.kind, line.actor_id, line.request_id, line.app_id, line.person_id) == (
        plain["seq"], plain["kind"], plain["actor"], plain["request"], plain["app"], plain["person"],
    ) and line.at == datetime.fromisoformat(plain["at"])  # fmt: skip


def _all_events(after: int, page: int = 1000) -> Iterator[Any]:
    columns = (
        Event.seq, Event.at, Event.kind, Event.actor_id, Event.request_id, Event.app_id, Event.person_id,
        Event.body, Event.key_id, Event.mac,
    )  # fmt: skip
    while True:
        rows = db.session.execute(select(*columns).where(Event.seq > after).order_by(Event.seq).limit(page)).all()
        yield from rows
        if len(rows) < page:
            return
        after = rows[-1].seq
