"""Anchors: signed copies of the audit record's head, kept outside of the database.

The chain shows that nothing was changed in the middle. That nothing was cut off its end, and that no older copy of
the whole was put back, shows only somebody who remembers the end: a file that is appended to, one line for an anchor.
"""

import fcntl
import hmac
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select

from webapp import audit
from webapp.extensions import db, keyring, settings
from webapp.models import Event, EventHead

PURPOSE = "audit anchor"
EVERY_SECONDS = 600


class Bad(Exception):
    """The file or the record is not as it should be; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What the record's head said `at` an instant (ISO 8601), signed with the key `key_id`."""

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
    """An anchor of the record as it is; None while it is empty."""
    head = db.session.execute(select(EventHead.seq, EventHead.mac).where(EventHead.id == 1)).one()
    if not head.seq:
        return None
    at, key_id = now.isoformat(timespec="seconds"), keyring().current
    return Anchor(head.seq, head.mac, at, key_id, _sign(head.seq, head.mac, at, key_id))


def _sign(seq: int, mac: str, at: str, key_id: str) -> str:
    """Raises KeyError when that key was removed."""
    return hmac.digest(keyring().derive(PURPOSE, key_id), f"{seq}\n{mac}\n{at}".encode(), "sha256").hex()


def is_due(file: Path) -> bool:
    """Whether the file has not been written for a while (or has a date of the future: a clock was set back)."""
    try:
        age = time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return True
    return not 0 <= age < EVERY_SECONDS


def keep(file: Path, *, now: datetime) -> Anchor | None:
    """Appends an anchor and waits until the disk has it; None when nothing was added to the record since the last.

    Raises Bad, and appends nothing, when the record does not go on from the last anchor; OSError.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "r+", encoding="utf-8") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)  # several workers may share the file
        text = opened.read()
        anchors = _parse(text)
        anchor = take(now=now)
        if anchors:
            last = max(anchors, key=lambda one: one.seq)
            _check_it_goes_on(last)
            if anchor is None or anchor.seq == last.seq:
                os.utime(opened.fileno())  # it was looked at, so that it is not due at once again
                return None
        if anchor is None:
            return None
        # After a line that was torn by a crash, a new one.
        opened.write(f"{'' if not text or text.endswith(chr(10)) else chr(10)}{anchor.line()}\n")
        opened.flush()
        os.fsync(opened.fileno())
    return anchor


def _check_it_goes_on(last: Anchor) -> None:
    mac = db.session.scalar(select(Event.mac).where(Event.seq == last.seq))
    if mac != last.mac:
        raise Bad(
            f"At {last.at} the audit record had line {last.seq:,}; "
            + ("that line is another one now." if mac else "it does not have it any more.")
        )


def read(file: Path) -> list[Anchor]:
    """The anchors of a file, oldest first. Raises Bad for one that was not written with our key; OSError."""
    anchors = _parse(file.read_text(encoding="utf-8"))
    for number, anchor in enumerate(anchors, 1):
        try:
            right = hmac.compare_digest(_sign(anchor.seq, anchor.mac, anchor.at, anchor.key_id), anchor.sign)
        except KeyError:
            raise Bad(f"Anchor {number} was signed with key {anchor.key_id}, which is not set any more.") from None
        if not right:
            raise Bad(f"Anchor {number} was changed, or another installation wrote it.")
    return anchors


def _parse(text: str) -> list[Anchor]:
    """The lines that are whole. One that a crash cut short says nothing, and its successor says more."""
    anchors = []
    for line in text.splitlines():
        try:
            plain = json.loads(line)
            anchors.append(Anchor(int(plain["seq"]), str(plain["mac"]), str(plain["at"]), str(plain["key_id"]),
                                  str(plain["sign"])))  # fmt: skip
        except (ValueError, KeyError, TypeError):
            continue
    return anchors


def compared(anchors: Sequence[Anchor]) -> str:
    """What a check that held was compared with, in a sentence."""
    if not anchors:
        return "There was no anchor to compare it with, so lines that were cut off its end would not be missed."
    last = max(anchors, key=lambda one: one.seq)
    found = "1 anchor agrees" if len(anchors) == 1 else f"{len(anchors):,} anchors agree"
    return f"{found}; the newest saw line {last.seq:,} at {last.at}."


def compare(anchors: Iterable[Anchor]) -> dict[int, audit.Seen]:
    """The anchors as `audit.verify` takes them."""
    return {anchor.seq: audit.Seen(anchor.mac, anchor.at) for anchor in anchors}
