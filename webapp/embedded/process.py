"""What a child process does so that it never outlives its parent."""

from __future__ import annotations

import ctypes
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
