"""Set-up of each of our processes: end with the parent, and tune the garbage collector."""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

# Loaded before any fork: a child between fork and exec should do as little as it can.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


def die_with_parent(send: signal.Signals = signal.SIGTERM, *, parent: int | None = None) -> None:
    """Have the kernel send us `send` when our parent dies, however it dies. Linux only, elsewhere nothing.

    Call it in the child. The setting survives exec and is not inherited by the child's own children. It is
    tied to the *thread* that started us, so a parent starts its children from its main thread (prctl(2)).
    With `parent`, a child whose parent is gone already leaves at once.
    """
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(send), 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def tune_garbage_collection() -> None:
    """Call it once the application is loaded. Freezes what is loaded, so that the garbage collector does not scan it
    again and again, which takes a tenth of a page's time. Collects new objects in lots of 5,000: larger lots take
    more memory and are no quicker."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 50)
