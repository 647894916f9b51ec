"""Starts the processes of the stack in order, restarts one that ends, and stops them in order of `stop_by`."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from webapp.embedded.process import die_with_parent

# Seconds. A process that ran for less than SHORT_LIFE is restarted after a wait that doubles each time.
SHORT_LIFE = 5.0
LONGEST_WAIT = 15.0
START_WITHIN = 20.0
_TICK = 0.05


class StartError(Exception):
    """A part did not start; the message is a sentence for people."""


class Stopped(Exception):
    """A signal asked to stop while the stack was still starting."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the stack.

    The next part starts when `ready()` returns True; `complaint()` explains why it did not.
    `stop_by` is when the part is killed at the latest, in seconds after the stop of the whole began.
    `descriptors` are inherited.
    """

    name: str
    command: Sequence[str]
    stop_by: float
    ready: Callable[[], bool] | None = None
    complaint: Callable[[], str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()


@dataclass(slots=True)
class _Life:
    process: subprocess.Popen[bytes] | None
    started: float
    short_lives: int = 0
    start_at: float = 0.0


class Supervisor:
    """Runs parts in `folder` until it is told to stop; each inherits `descriptors`. Use it from the main thread
    only: a child is tied to the thread that started it."""

    def __init__(
        self,
        parts: Sequence[Part],
        *,
        folder: Path,
        environment: Mapping[str, str],
        say: Callable[[str], None],
        descriptors: tuple[int, ...] = (),
    ) -> None:
        self.parts = parts
        self.folder = folder
        # glibc gives each thread a heap of its own, and what its largest page once took stays with each.
        self.environment = {"MALLOC_ARENA_MAX": "2", **environment}
        self.say = say
        self.descriptors = descriptors
        self.stopping = False
        self._lives: dict[str, _Life] = {}

    def catch_signals(self) -> None:
        """Ctrl-C, SIGTERM and a closed terminal ask for an orderly stop."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)

    def start(self, names: Sequence[str] | None = None) -> None:
        """Start the parts (or those with these names) in order. Raises StartError or Stopped."""
        for part in self.parts:
            if names is not None and part.name not in names:
                continue
            self._lives[part.name] = _Life(self._spawn(part), time.monotonic())
            self._wait_until_ready(part)

    def run_once(self, command: Sequence[str]) -> int:
        """Run a command and return its exit code. Raises Stopped, after ending the command."""
        process = self._popen(command)
        while process.poll() is None:
            if self.stopping:
                _end(process, within=2)
                raise Stopped
            time.sleep(_TICK)
        return process.returncode

    def watch(self, meanwhile: Callable[[], None] | None = None) -> None:
        """Restart parts that end, until asked to stop. `meanwhile` is called in every round."""
        while not self.stopping:
            self.check()
            if meanwhile:
                meanwhile()
            time.sleep(_TICK)

    def check(self) -> None:
        """Restart each part that has ended."""
        now = time.monotonic()
        for part in self.parts:
            life = self._lives.get(part.name)
            if life is None:
                continue
            if life.process is None:
                if now >= life.start_at:
                    life.process, life.started = self._spawn(part), now
                continue
            code = life.process.poll()
            if code is None:
                continue
            # End its children too; the kernel does that on Linux only.
            _signal_group(life.process, signal.SIGTERM)
            life.process = None
            life.short_lives = life.short_lives + 1 if now - life.started < SHORT_LIFE else 0
            # The first restart is immediate.
            wait = min(0.5 * 2 ** (life.short_lives - 2), LONGEST_WAIT) if life.short_lives > 1 else 0.0
            life.start_at = now + wait
            again = f"in {wait:g} s" if wait else "now"
            self.say(f"The {part.name} ended ({_how(code)}); starting it again {again}.")

    def pids(self) -> dict[str, int]:
        """The process of each part that runs."""
        return {name: life.process.pid for name, life in self._lives.items() if life.process is not None}

    def stop(self) -> None:
        """Stop what runs, the last started first; what does not end in time is killed."""
        began = time.monotonic()
        for part in sorted(self.parts, key=lambda part: part.stop_by):
            life = self._lives.pop(part.name, None)
            if life is not None and life.process is not None:
                _end(life.process, within=began + part.stop_by - time.monotonic())

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stopping = True

    def _wait_until_ready(self, part: Part) -> None:
        give_up = time.monotonic() + START_WITHIN
        while part.ready and not part.ready():
            if self.stopping:
                raise Stopped
            process = self._lives[part.name].process
            if process is None or process.poll() is not None or time.monotonic() > give_up:
                why = part.complaint() if part.complaint else ""
                raise StartError(f"The {part.name} did not start. {why}".rstrip())
            time.sleep(_TICK)

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        return self._popen(part.command, part.environment, part.descriptors)

    def _popen(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        descriptors: tuple[int, ...] = (),
    ) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            pass_fds=(*self.descriptors, *descriptors),
            # Its own session: Ctrl-C comes to us alone, and we stop the parts in order.
            start_new_session=True,
            preexec_fn=functools.partial(die_with_parent, parent=os.getpid()),
        )


def _end(process: subprocess.Popen[bytes], *, within: float) -> None:
    """SIGTERM, and SIGKILL for the whole group after `within` seconds. Answers when it has ended."""
    process.terminate()
    try:
        process.wait(max(within, 0.05))
    except subprocess.TimeoutExpired:
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit {code}"
