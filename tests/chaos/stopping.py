"""A command that is told to end cleans up."""

from __future__ import annotations

import signal
import threading


def stop_on_sigterm() -> None:
    """SIGTERM is like Ctrl-C: the `with` blocks end, and all processes with them."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    assert threading.current_thread() is threading.main_thread()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
