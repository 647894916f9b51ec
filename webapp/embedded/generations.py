"""Processes of one reload and of the next: an old one goes on until a new one is ready."""

import mmap
import struct
import time

# Seconds that a process waits for its successor before it stops taking requests.
SUCCESSOR_WITHIN = 30.0


class Generations:
    """The number of the newest reload, and of the newest one whose processes are ready, in memory that processes share.

    At SIGHUP gunicorn starts the new processes and ends the old ones in the same moment, while the new ones take a
    second to load the application. So an old one goes on until a new one is ready.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 16)
        self._since = 0.0

    def _read(self) -> tuple[int, int]:
        newest, ready = struct.unpack("qq", self._shared[:16])
        return newest, ready

    def newest(self) -> int:
        return self._read()[0]

    def begin(self) -> None:
        """A reload begins; called in gunicorn's main process."""
        newest, ready = self._read()
        self._shared[:16] = struct.pack("qq", newest + 1, ready)

    def is_ready(self, generation: int) -> None:
        if generation > self._read()[1]:
            self._shared[8:16] = struct.pack("q", generation)

    def awaited(self, mine: int) -> bool:
        """Whether a later generation has begun and none of its processes is ready; for SUCCESSOR_WITHIN at most."""
        newest, ready = self._read()
        if newest <= mine or ready > mine:
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since < SUCCESSOR_WITHIN


generations = Generations()
