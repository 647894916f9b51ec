"""The append-only record: each event is canonical text, chained to its predecessor by an HMAC.

Operations `record` what changed; `seal` writes the entries as the last statements before the commit, so that the
head row, which every change locks, is locked for as short a time as possible.
Events hold ids, settings and SHA-256 of free text, never names, addresses or the text itself.
"""

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, insert, select, update

from webapp.database import uncommitted
from webapp.extensions import db, keyring
from webapp.models import Endpoint, Event, EventHead
from webapp.record.events import EventKind
from webapp.runtime import failpoints
from webapp.workflow.actor import AnyActor

PURPOSE = "audit"
GENESIS = "0" * 64
# What `flask restored` leaves in the log.
RESTORED = EventKind.MAIL_HELD
RUNS_SHOWN = 5
# The table, not the class: the session would make one INSERT of each run of rows that lack the same columns.
_EVENTS = Event.metadata.tables["events"]


@dataclass(slots=True)
class Draft:
    """An entry that has no number yet."""

    kind: str
    at: datetime
    actor: int | None
    request: int | None
    app: int | None
    person: int | None
    facts: dict[str, Any]
    token: int | None = None


def record(
    kind: EventKind,
    *,
    at: datetime,
    actor: AnyActor,
    request: int | None = None,
    app: int | None = None,
    person: int | None = None,
    **facts: Any,
) -> None:
    """Records one change in the current transaction. `facts` is plain JSON, with `before` and `after` where a
    setting changed."""
    uncommitted.add(Draft(str(kind), at, actor.id, request, app, person, facts, actor.token))


# Built once and run without the session: they are part of every change.
_READ_HEAD = select(EventHead.seq, EventHead.mac).where(EventHead.id == 1)
_TELLS = exists(select(Endpoint.id).where(Endpoint.removed_at.is_(None))).label("tells")
_HEAD = _READ_HEAD.add_columns(_TELLS).with_for_update()
_LINES = insert(_EVENTS)
_NEW_HEAD = update(EventHead).where(EventHead.id == 1).values(seq=bindparam("last"), mac=bindparam("last_mac"))


@dataclass(frozen=True, slots=True)
class Sealed:
    """The number of the first entry that was written, and whether there are endpoints to be told of them."""

    first: int = 0
    tells: bool = False


def seal(drafts: Sequence[Draft]) -> Sealed:
    """Writes the recorded entries. Call it only right before the commit."""
    if not drafts:
        return Sealed()
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
                "token_id": draft.token,
                "body": body,
                "key_id": key_id,
                "mac": mac,
            }
        )
    connection.execute(_LINES, rows)
    failpoints.at("audit.in-append")
    connection.execute(_NEW_HEAD, {"last": seq, "last_mac": mac})
    return Sealed(head.seq + 1, bool(head.tells))


def canonical(seq: int, draft: Draft) -> str:
    entry = {
        "seq": seq,
        "at": draft.at.isoformat(),
        "kind": draft.kind,
        "actor": draft.actor,
        "request": draft.request,
        "app": draft.app,
        "person": draft.person,
        "facts": draft.facts,
    }
    if draft.token is not None:
        entry["token"] = draft.token
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def chain(key: bytes, previous: str, body: str) -> str:
    return hmac.digest(key, f"{previous}\n{body}".encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Break:
    """The first entry that is not intact, and why. `by_anchor`: only the anchors show it."""

    seq: int
    sentence: str
    by_anchor: bool = False


@dataclass(slots=True)
class Unchecked:
    """A run of entries whose key is no longer configured: their HMACs cannot be computed."""

    key_id: str
    first: int
    last: int

    @property
    def count(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found: how many entries are intact, which could not be checked, the first break or None, and
    (number, instant) of the last restore that it came across."""

    intact: int
    unchecked: tuple[Unchecked, ...]
    broken: Break | None
    restored: tuple[int, datetime] | None

    @property
    def not_checked(self) -> int:
        return sum(run.count for run in self.unchecked)

    @property
    def removed_keys(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.key_id for run in self.unchecked))

    def about_removed_keys(self) -> str:
        """Which entries cannot be checked and what to do, in sentences; "" when all can."""
        if not self.unchecked:
            return ""
        runs = [
            f"{f'Entry {one.first:,} was' if one.count == 1 else f'Entries {one.first:,} to {one.last:,} were'} signed "
            f"with key {one.key_id}, which is no longer configured."
            for one in self.unchecked[:RUNS_SHOWN]
        ]
        if len(self.unchecked) > RUNS_SHOWN:
            runs.append(f"So were entries in {len(self.unchecked) - RUNS_SHOWN:,} more places.")
        return (
            f"{' '.join(runs)} Such entries cannot be checked, only that none is missing. To check them, put the old "
            "key last into SECRET_KEY_FALLBACKS for the check. If no one removed this key, treat the log as altered."
        )


@dataclass(frozen=True, slots=True)
class AnchoredEntry:
    """What an anchor says of one entry: its HMAC, and when it was the last one, in words."""

    mac: str
    at: str


def verify(seen: Mapping[int, AnchoredEntry] | None = None, *, newest: int | None = None) -> tuple[int, Break | None]:
    """Returns (number of entries before the first that is not known to be intact, what is wrong with it or None): like
    `examine`, but an entry that cannot be checked counts as a changed one."""
    report = examine(seen, newest=newest)
    if report.unchecked:
        run = report.unchecked[0]
        if report.broken is None or run.first < report.broken.seq:
            return run.first - 1 - _begin(newest), Break(
                run.first, f"Entry {run.first} was signed with key {run.key_id}, which is no longer configured."
            )
    return report.intact, report.broken


def examine(seen: Mapping[int, AnchoredEntry] | None = None, *, newest: int | None = None) -> Report:
    """Checks the whole log in pages, or only its `newest` entries; the HMAC of the entry before those is then trusted.

    An entry whose key was removed cannot be checked, but its number, its columns and its anchor can, and the entry
    after it is chained to the stored HMAC. `seen`: entry number → its anchor. Without anchors, removing entries from
    the end together with the head goes unnoticed.
    """
    seen = seen or {}
    after = _begin(newest)
    previous = (db.session.scalar(select(Event.mac).where(Event.seq == after)) or "") if after else GENESIS
    expected = after + 1
    unchecked: list[Unchecked] = []
    broken, restored = None, None
    for line in _all_events(after):
        key = _key(line.key_id)
        broken = _check(line, key, expected, previous, seen.get(line.seq))
        if broken is not None:
            break
        if key is None:
            if unchecked and unchecked[-1].last == line.seq - 1 and unchecked[-1].key_id == line.key_id:
                unchecked[-1].last = line.seq
            else:
                unchecked.append(Unchecked(line.key_id, line.seq, line.seq))
        if line.kind == RESTORED:
            restored = (line.seq, line.at)
        expected, previous = expected + 1, line.mac
    if broken is None:
        broken = _check_end(expected - 1, previous, seen)
    intact = expected - 1 - after - sum(run.count for run in unchecked)
    return Report(intact, tuple(unchecked), broken, restored)


def _begin(newest: int | None) -> int:
    """The number of the entry before the `newest` ones."""
    return max(db.session.execute(_READ_HEAD).one().seq - newest, 0) if newest is not None else 0


def _key(key_id: str) -> bytes | None:
    try:
        return keyring().derive(PURPOSE, key_id)
    except KeyError:
        return None


def _check(line: Any, key: bytes | None, expected: int, previous: str, anchor: AnchoredEntry | None) -> Break | None:
    if line.seq != expected:
        return Break(expected, f"Entry {expected} is missing. The next entry is {line.seq}.")
    if key is not None and not hmac.compare_digest(chain(key, previous, line.body), line.mac):
        return Break(line.seq, f"Entry {line.seq} was changed, or an entry before it was.")
    if not _columns_agree(line):
        return Break(line.seq, f"The look-up columns of entry {line.seq} were changed.")
    if anchor is not None and anchor.mac != line.mac:
        return Break(line.seq, f"Entry {line.seq} is different from the one recorded at {anchor.at}.", by_anchor=True)
    return None


def _check_end(last: int, mac: str, seen: Mapping[int, AnchoredEntry]) -> Break | None:
    furthest = max(seen, default=0)
    if furthest > last:
        return Break(
            last + 1, f"The log ends at entry {last}, but at {seen[furthest].at} it had entry {furthest}.",
            by_anchor=True,
        )  # fmt: skip
    head = db.session.execute(_READ_HEAD).one()
    if (head.seq, head.mac) != (last, mac):
        return Break(last + 1, f"The log ends at entry {last}, but its head says {head.seq}.")
    return None


def _columns_agree(line: Any) -> bool:
    try:
        plain = json.loads(line.body)
    except ValueError:  # only where its HMAC cannot be checked
        return False
    return (line.seq, line.kind, line.actor_id, line.request_id, line.app_id, line.person_id, line.token_id) == (
        plain["seq"], plain["kind"], plain["actor"], plain["request"], plain["app"], plain["person"],
        plain.get("token"),
    ) and line.at == datetime.fromisoformat(plain["at"])  # fmt: skip


def _all_events(after: int, page: int = 1000) -> Iterator[Any]:
    columns = (
        Event.seq, Event.at, Event.kind, Event.actor_id, Event.request_id, Event.app_id, Event.person_id,
        Event.token_id, Event.body, Event.key_id, Event.mac,
    )  # fmt: skip
    while True:
        rows = db.session.execute(select(*columns).where(Event.seq > after).order_by(Event.seq).limit(page)).all()
        yield from rows
        if len(rows) < page:
            return
        after = rows[-1].seq
