"""Anchors: signed copies of the audit record's head, kept outside of the database.

The chain shows that nothing was changed in the middle. It cannot show that entries were removed from the end, or that
an older copy of the whole was restored. For that we remember the end in a file: each anchor is a line appended to it.
"""

import fcntl
import hmac
import json
import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from webapp.extensions import db, keyring, settings
from webapp.models import Event, EventHead
from webapp.record import audit
from webapp.times import Times, zone

PURPOSE = "audit anchor"
EVERY_SECONDS = 600
AFTER_A_RESTORE = (
    "If an older backup was restored, the entries that are missing were made after it. Once you have checked that this "
    "is the reason, move the anchor file aside; the worker begins a new one."
)


class BadAnchor(Exception):
    """The file or the record was changed; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """The record's head `at` an instant (ISO 8601), signed with the key `key_id`."""

    seq: int
    mac: str
    at: str
    key_id: str
    sign: str

    def line(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


def path() -> Path:
    """The file of this installation: AUDIT_ANCHOR, else one in the data folder."""
    return settings().audit_anchor or settings().data / "audit-anchor.jsonl"


def take(*, now: datetime) -> Anchor | None:
    """Returns an anchor of the record's present head; None while the record is empty."""
    head = db.session.execute(select(EventHead.seq, EventHead.mac).where(EventHead.id == 1)).one()
    if not head.seq:
        return None
    at, key_id = now.isoformat(timespec="seconds"), keyring().current
    return Anchor(head.seq, head.mac, at, key_id, _sign(head.seq, head.mac, at, key_id))


def _sign(seq: int, mac: str, at: str, key_id: str) -> str:
    """Raises KeyError when that key was removed."""
    return hmac.digest(keyring().derive(PURPOSE, key_id), f"{seq}\n{mac}\n{at}".encode(), "sha256").hex()


def is_due(file: Path) -> bool:
    """Whether the file is older than EVERY_SECONDS, or has a date in the future because a clock was set back."""
    try:
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return True
    return not 0 <= age < EVERY_SECONDS


def keep(file: Path, *, now: datetime) -> Anchor | None:
    """Appends an anchor and syncs it to disk; returns None when the record has no new entry since the last anchor.

    Raises BadAnchor, and appends nothing, when the record does not go on from the last anchor; OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+", encoding="utf-8") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)  # several workers may share the file
        text = opened.read()
        anchors = _parse(text)
        anchor = take(now=now)
        if anchors:
            last = max(anchors, key=lambda one: one.seq)
            _check_continues(last)
            if anchor is None or anchor.seq == last.seq:
                os.utime(opened.fileno())  # so that it is not due again at once
                return None
        if anchor is None:
            return None
        # A crash may have left the last line incomplete; begin a new one.
        opened.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{anchor.line()}\n")
        opened.flush()
        os.fsync(opened.fileno())
    return anchor


def _check_continues(last: Anchor) -> None:
    mac = db.session.scalar(select(Event.mac).where(Event.seq == last.seq))
    if mac != last.mac:
        at = in_utc(_instant(last.at))
        raise BadAnchor(
            f"Entry {last.seq:,} is different from the one recorded at {at}."
            if mac
            else f"Entry {last.seq:,}, present at {at}, is missing."
        )


def read(file: Path) -> list[Anchor]:
    """The anchors of a file, oldest first. Raises BadAnchor for one that was not written with our key; OSError."""
    anchors, removed = usable(file)
    if removed:
        raise BadAnchor(f"{len(removed):,} of its anchors were signed with a key that is no longer configured.")
    return anchors


def usable(file: Path) -> tuple[list[Anchor], list[Anchor]]:
    """(the anchors of a file that were written with our keys, those whose key was removed), oldest first. Raises
    BadAnchor for one that was changed; OSError."""
    ours: list[Anchor] = []
    removed: list[Anchor] = []
    for number, anchor in enumerate(_parse(file.read_text(encoding="utf-8")), 1):
        try:
            right = hmac.compare_digest(_sign(anchor.seq, anchor.mac, anchor.at, anchor.key_id), anchor.sign)
        except KeyError:
            removed.append(anchor)
            continue
        if not right:
            raise BadAnchor(f"Anchor {number} was changed, or another installation wrote it.")
        ours.append(anchor)
    return ours, removed


def _parse(text: str) -> list[Anchor]:
    """The complete lines; one that a crash cut short is skipped, as a later anchor covers more."""
    anchors = []
    for line in text.splitlines():
        try:
            plain = json.loads(line)
            anchors.append(Anchor(int(plain["seq"]), str(plain["mac"]), str(plain["at"]), str(plain["key_id"]),
                                  str(plain["sign"])))  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue
    return anchors


def in_utc(instant: datetime) -> str:
    """For a terminal and a log: "Tuesday 24 November 2026, 13:12 UTC"."""
    return f"{Times(zone('UTC'), instant).full(instant)} UTC"


def compared(
    anchors: Sequence[Anchor], removed: Sequence[Anchor], report: audit.Report,
    when: Callable[[datetime], str] = in_utc,
) -> str:  # fmt: skip
    """What a check that found no change was compared with, and what it cannot tell, in sentences. `when` formats a time
    for the reader."""
    sentences = []
    if anchors:
        last = max(anchors, key=lambda one: one.seq)
        found = "1 anchor matches, made" if len(anchors) == 1 else f"{len(anchors):,} anchors match, the newest made"
        sentences.append(f"{found} on {when(_instant(last.at))} (entry {last.seq:,}).")
    else:
        last = None
        sentences.append("No anchor found, so entries removed from the end would not be noticed.")
    if removed:
        number = "1 anchor was" if len(removed) == 1 else f"{len(removed):,} anchors were"
        sentences.append(f"{number} not used: the key that signed it is no longer configured.")
    restored = report.restored
    if restored is not None and (last is None or last.seq < restored[0]):
        sentences.append(
            f"The database was restored from a backup on {when(restored[1])} (entry {restored[0]:,}), and no anchor is "
            "newer than that backup: this check cannot tell whether entries from before the restore are missing."
        )
    elif last is not None:
        sentences.append(
            "This check cannot tell whether entries after that were removed, for example by restoring a backup."
        )
    return " ".join(sentences)


def _instant(at: str) -> datetime:
    return datetime.fromisoformat(at)


def compare(anchors: Iterable[Anchor], when: Callable[[datetime], str] = in_utc) -> dict[int, audit.AnchoredEntry]:
    """The anchors as `audit.examine` takes them; `when` as in `compared`."""
    return {anchor.seq: audit.AnchoredEntry(anchor.mac, when(_instant(anchor.at))) for anchor in anchors}
