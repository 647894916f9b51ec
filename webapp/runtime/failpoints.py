"""Named points in the real code at which a test ends this process as `kill -9` does. Off, each is an empty function.

On (`arm`), a point is armed by a file of its name in a folder: "3" kills at the third passing from now on, "3 worker"
counts the passings of workers only. Whoever dies takes the file away first, as `<name>.killed-<process>`, so that one
file is one kill, however many processes there are.
"""

import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

POINTS = (
    "commit.before",
    "commit.after",  # and before the workers are woken
    "wake.after",  # and before the answer
    "mail.claimed",
    "mail.after-rcpt",
    "mail.before-mark",  # the server has said 250
    "mail.after-mark",  # and before the job ends
    "expiry.in-batch",
    "audit.in-append",
    "migration.in-upgrade",
    "person.in-deactivation",
    "policy.in-save",
)


def _nothing(name: str) -> None:
    """What a point does in every installation that is not being tested."""


at: Callable[[str], None] = _nothing


def arm(folder: str, kind: str) -> None:
    """From now on the points look for their files in `folder`; "" turns them off. `kind`: "web" or "worker"."""
    global at
    at = _Armed(Path(folder), kind) if folder else _nothing


class _Armed:
    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        # Of each arming (the file's name and when it was written), how often it was passed.
        self._passed: Counter[tuple[str, int]] = Counter()
        self._one = threading.Lock()

    def __call__(self, name: str) -> None:
        assert name in POINTS, name
        file = self._folder / name
        try:
            armed_at, words = file.stat().st_mtime_ns, file.read_text().split()
        except FileNotFoundError:
            return
        if not words or words[1:] not in ([], [self._kind]):
            return
        with self._one:
            self._passed[name, armed_at] += 1
            if self._passed[name, armed_at] < int(words[0]):
                return
            try:
                file.rename(self._folder / f"{name}.killed-{os.getpid()}")
            except FileNotFoundError:
                return  # another process was first
            os.kill(os.getpid(), signal.SIGKILL)
