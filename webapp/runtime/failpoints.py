"""Named points in the real code at which a test ends this process as `kill -9` does. Off, each is an empty function.

When `arm` was called, a file with the point's name in a folder arms it: "3" kills at the third passing from now on,
"3 worker" counts only workers. The process renames the file to `<name>.killed-<process>` before it ends, so that one
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
    "mail.before-mark",  # the server has answered 250
    "mail.after-mark",  # and before the job ends
    "webhook.posted",  # and before the commit of the change
    "webhook.claimed",
    "webhook.before-call",
    "webhook.before-mark",  # the receiver has answered
    "webhook.after-mark",
    "expiry.in-batch",
    "audit.in-append",
    "migration.in-upgrade",
    "person.in-deactivation",
    "policy.in-save",
)


def _nothing(name: str) -> None:
    """Does nothing: what every point does outside of tests."""


at: Callable[[str], None] = _nothing


def arm(folder: str, kind: str) -> None:
    """Makes the points look for their files in `folder`; "" turns them off. `kind`: "web" or "worker"."""
    global at
    at = _Armed(Path(folder), kind) if folder else _nothing


class _Armed:
    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind
        # (file name, modification time) → how often the point was passed since.
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
