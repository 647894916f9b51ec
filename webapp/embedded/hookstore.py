"""What came to the webhook viewer of a demo: one file each, named by the time it came. Knows no Flask."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from webapp.text import fold

# Older ones are removed when new ones arrive, so that a forgotten demo does not fill the disk.
KEPT = 1_000

_ID = re.compile(r"[0-9]{19}-[0-9a-f]{12}\Z")


@dataclass(frozen=True, slots=True)
class StoredHook:
    """A call. `event` is "chat" for a chat message. `seen_before`: a call with the same webhook-id had come; `seconds`
    between its timestamp and its arrival; `secret` is the ending of the secret that its signature fits."""

    id: str
    at: datetime  # aware UTC
    endpoint: str
    event: str
    message_id: str
    headers: Mapping[str, str]
    body: str
    seen_before: bool
    seconds: float | None
    secret: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class HookPage:
    """Some of the calls, newest first. `older` and `newer`: whether there are more on either side."""

    hooks: Sequence[StoredHook]
    older: bool
    newer: bool


def store(
    folder: Path, *, endpoint: str, event: str, message_id: str, headers: Mapping[str, str], body: str,
    seconds: float | None, secret: str, at: datetime | None = None,
) -> StoredHook:  # fmt: skip
    """Keeps one call, whole or not at all. Ids sort by the time of arrival: `at` (aware), else now."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    arrived = time.time_ns() if at is None else int(at.timestamp() * 1e9)
    seen = bool(message_id) and any(one.message_id == message_id for one in _all(folder))
    made = StoredHook(
        f"{arrived:019d}-{secrets.token_hex(6)}", datetime.fromtimestamp(arrived / 1e9, tz=UTC), endpoint, event,
        message_id, dict(headers), body, seen, seconds, secret,
    )  # fmt: skip
    unfinished = folder / f".{made.id}.tmp"
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump({**asdict(made), "at": made.at.isoformat()}, file)
    unfinished.rename(folder / f"{made.id}.json")
    for old in _ids(folder)[KEPT:]:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{old}.json").unlink()
    return made


def page(
    folder: Path, *, words: str = "", event: str = "", before: str = "", after: str = "", size: int = 30
) -> HookPage:  # fmt: skip
    """Newest first: `size` of those older than the id `before`, or the nearest ones newer than `after`. `words` must
    all occur in the body."""
    wanted = [fold(word) for word in words.split()]
    found = [
        one
        for one in _all(folder)
        if (not event or one.event == event) and all(word in fold(one.body) for word in wanted)
    ]
    if after:
        newer = [one for one in found if one.id > after]
        return HookPage(newer[-size:], older=len(newer) < len(found), newer=len(newer) > size)
    older = [one for one in found if not before or one.id < before]
    return HookPage(older[:size], older=len(older) > size, newer=len(older) < len(found))


def events(folder: Path) -> list[str]:
    """The events that came, each once, by name."""
    return sorted({one.event for one in _all(folder)})


def find(folder: Path, hook_id: str) -> StoredHook | None:
    """The call with this id, or None; any text may be asked for."""
    return _read(folder, hook_id) if _ID.match(hook_id) else None


def empty(folder: Path) -> int:
    """Removes every call; answers how many there were."""
    ids = _ids(folder)
    for hook_id in ids:
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{hook_id}.json").unlink()
    return len(ids)


def _ids(folder: Path) -> list[str]:
    """Newest first."""
    with contextlib.suppress(FileNotFoundError):
        names = (entry.name.removesuffix(".json") for entry in os.scandir(folder) if entry.name.endswith(".json"))
        return sorted((name for name in names if _ID.match(name)), reverse=True)
    return []


def _all(folder: Path) -> list[StoredHook]:
    return [one for hook_id in _ids(folder) if (one := _read(folder, hook_id)) is not None]


def _read(folder: Path, hook_id: str) -> StoredHook | None:
    try:
        plain = json.loads((folder / f"{hook_id}.json").read_text())
        return StoredHook(**{**plain, "at": datetime.fromisoformat(plain["at"])})
    except (OSError, ValueError, TypeError):
        return None
