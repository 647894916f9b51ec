"""The emails of the embedded sink: one file each, named by the time it came. Knows no Flask.

A file holds two header lines of our own (who the SMTP conversation named) and then the email as it came.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import getaddresses
from pathlib import Path

from webapp.text import fold

# Older emails are removed when new ones arrive, so that a forgotten demo does not fill the disk.
KEPT = 5_000

_ID = re.compile(r"[0-9]{19}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class StoredMail:
    """One line of the list. `people` are the names of the recipients (the address where there is none)."""

    id: str
    at: datetime  # aware UTC
    subject: str
    sender: str
    people: str
    addresses: tuple[str, ...]  # of the envelope, lower case


@dataclass(frozen=True, slots=True)
class MailboxPage:
    """Some of the emails, newest first. `older` and `newer`: whether there are more on either side."""

    mails: Sequence[StoredMail]
    older: bool
    newer: bool


def store(folder: Path, *, sender: str, recipients: Sequence[str], content: bytes, at: datetime | None = None) -> str:
    """Keep one email, whole or not at all; answers its id. Ids sort by the time of arrival: `at` (aware), else now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    arrived = time.time_ns() if at is None else int(at.timestamp() * 1e9)
    mail_id = f"{arrived:019d}-{secrets.token_hex(6)}"
    envelope = f"X-Envelope-From: {sender}\r\nX-Envelope-To: {', '.join(recipients)}\r\n"
    unfinished = folder / f".{mail_id}.tmp"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(envelope.encode() + content)
    unfinished.rename(folder / f"{mail_id}.eml")
    return mail_id


def forget_old(folder: Path, *, keep: int = KEPT) -> None:
    """Remove all but the newest `keep` mails."""
    for mail_id in _ids(folder)[keep:]:
        with contextlib.suppress(FileNotFoundError):
            _path(folder, mail_id).unlink()


def empty(folder: Path) -> int:
    """Remove every email; answers how many there were."""
    ids = _ids(folder)
    for mail_id in ids:
        with contextlib.suppress(FileNotFoundError):
            _path(folder, mail_id).unlink()
    return len(ids)


def page(
    folder: Path,
    *,
    words: str = "",
    to: str = "",
    before: str = "",
    after: str = "",
    size: int = 30,
) -> MailboxPage:
    """Mails newest first: `size` of them older than the id `before`, or the nearest ones newer than `after`.

    `words` must all occur in names, addresses, subject or text; `to` is one recipient's address.
    """
    wanted = [fold(word) for word in words.split()]

    def found(ids: Sequence[str]) -> Iterator[StoredMail]:
        for mail_id in ids:
            mail = _summary(folder, mail_id)
            if mail is None or (to and to.lower() not in mail.addresses):
                continue
            if wanted:
                text = _search_text(folder, mail_id)
                if not all(word in text for word in wanted):
                    continue
            yield mail

    ids = _ids(folder)
    if after:
        newer = [mail_id for mail_id in reversed(ids) if mail_id > after]
        mails = _take(found(newer), size + 1)
        rest = [mail_id for mail_id in ids if mail_id <= after]
        return MailboxPage(mails[:size][::-1], older=bool(_take(found(rest), 1)), newer=len(mails) > size)
    older = [mail_id for mail_id in ids if not before or mail_id < before]
    mails = _take(found(older), size + 1)
    rest = [mail_id for mail_id in reversed(ids) if before and mail_id >= before]
    return MailboxPage(mails[:size], older=len(mails) > size, newer=bool(_take(found(rest), 1)))


def recipients(folder: Path) -> list[tuple[str, str]]:
    """Who got email: (address, name) by name, each address once."""
    names: dict[str, str] = {}
    for mail_id in _ids(folder):
        mail = _summary(folder, mail_id)
        if mail is None:
            continue
        for address in mail.addresses:
            names.setdefault(address, mail.people if len(mail.addresses) == 1 else address)
    return sorted(names.items(), key=lambda pair: (fold(pair[1]), pair[0]))


def find(folder: Path, mail_id: str) -> StoredMail | None:
    """The email with this id, or None; any text may be asked for."""
    return _summary(folder, mail_id) if _ID.match(mail_id) else None


def bodies(folder: Path, mail_id: str) -> tuple[str, str] | None:
    """The email's text and its HTML, each "" when it has none; None when there is no such mail."""
    message = _message(folder, mail_id) if _ID.match(mail_id) else None
    if message is None:
        return None
    return _content(message, "plain"), _content(message, "html")


def _ids(folder: Path) -> list[str]:
    """Every email's id, newest first."""
    with contextlib.suppress(FileNotFoundError):
        names = (entry.name.removesuffix(".eml") for entry in os.scandir(folder) if entry.name.endswith(".eml"))
        return sorted((name for name in names if _ID.match(name)), reverse=True)
    return []


def _path(folder: Path, mail_id: str) -> Path:
    return folder / f"{mail_id}.eml"


def _message(folder: Path, mail_id: str) -> EmailMessage | None:
    try:
        raw = _path(folder, mail_id).read_bytes()
    except FileNotFoundError:
        return None
    return message_from_bytes(raw, policy=policy.default)


def _header(message: EmailMessage, name: str) -> str:
    # Emails that were not made by us may be broken in any way; the list is shown all the same.
    try:
        for key, value in message.raw_items():
            if key.lower() == name.lower():
                # Headers in plain UTF-8 (RFC 6532) come as surrogates.
                words = str(value).encode(errors="surrogateescape").decode(errors="replace")
                return str(policy.default.header_factory(name, words))
    except Exception:
        return ""
    return ""


# A stored email never changes, so it can be cached for good.
@functools.lru_cache(maxsize=KEPT)
def _summary(folder: Path, mail_id: str) -> StoredMail | None:
    message = _message(folder, mail_id)
    if message is None:
        return None
    addresses = tuple(
        address.strip().lower() for address in _header(message, "X-Envelope-To").split(",") if address.strip()
    )
    named = {
        address.lower(): name
        for name, address in getaddresses([_header(message, "To"), _header(message, "Cc")])
        if name
    }
    return StoredMail(
        id=mail_id,
        at=datetime.fromtimestamp(int(mail_id[:19]) / 1e9, tz=UTC),
        subject=_header(message, "Subject") or "No subject",
        sender=_header(message, "X-Envelope-From"),
        people=", ".join(named.get(address, address) for address in addresses),
        addresses=addresses,
    )


@functools.lru_cache(maxsize=KEPT)
def _search_text(folder: Path, mail_id: str) -> str:
    message = _message(folder, mail_id)
    if message is None:
        return ""
    text = _content(message, "plain") or re.sub(r"<[^>]*>", " ", _content(message, "html"))
    names = ("From", "To", "Cc", "Subject", "X-Envelope-From", "X-Envelope-To")
    return fold("\n".join([*(_header(message, name) for name in names), text]))


def _content(message: EmailMessage, kind: str) -> str:
    try:
        part = message.get_body(preferencelist=(kind,))
        return str(part.get_content()) if part else ""
    except Exception:
        # An unknown charset, or a part whose content does not match its type.
        return ""


def _take(mails: Iterator[StoredMail], count: int) -> list[StoredMail]:
    return [mail for _, mail in zip(range(count), mails, strict=False)]
