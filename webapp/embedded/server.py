"""The web's processes: gunicorn starts and watches them, waitress reads and writes inside each.

gunicorn's own threads read and write the sockets themselves, so that as many slow connections as there are threads hold
all of them. Here one thread does all of the reading and writing. Another one gets a request only when the whole of it
has arrived, and is free again as soon as its answer is in a buffer. What takes too long is cut (`Limits`), and when
there is no room for one more connection, those that have kept us waiting longest are closed.
"""

from __future__ import annotations

import contextlib
import logging
import mmap
import os
import resource
import socket
import struct
import time
from dataclasses import dataclass
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import BaseWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask

# Bytes of a request's body that are kept; the application refuses larger ones with a page. Up to MOST is read, and
# thrown away, so that the browser gets to see that page instead of a connection that broke.
KEPT = 1024 * 1024 + 1
MOST = 16 * 1024 * 1024
LONGEST_HEADERS = 32 * 1024
# Bytes of a body or an answer in memory; the rest is in a temporary file.
IN_MEMORY = 64 * 1024
# An answer that is taken more slowly than this is cut; bytes in a second.
SLOWEST = 2_000
# Seconds that connections without a request stay open when we stop, for one that is already on its way.
LINGER = 1.0
# Seconds that a process waits for its successor before it stops taking requests.
SUCCESSOR_WITHIN = 30.0
_SENTENCE = b"The request took too long to arrive. Send it again.\n"
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SENTENCE), _SENTENCE)
)

log = logging.getLogger("countersign.server")
access = logging.getLogger("countersign.access")


@dataclass(frozen=True)
class Limits:
    """What one connection may take, in seconds, and how many there may be in one process."""

    headers: float = 20.0
    body: float = 60.0
    idle: float = 5.0
    connections: int = 1000


class _Body(OverflowableBuffer):  # type: ignore[misc]  # waitress comes without types
    """A body of which only the beginning is kept; its length is the whole one's."""

    def __init__(self) -> None:
        super().__init__(IN_MEMORY)
        self._dropped = 0

    def __len__(self) -> int:
        return int(super().__len__()) + self._dropped

    def append(self, data: bytes) -> None:
        room = max(KEPT - int(super().__len__()), 0)
        self._dropped += max(len(data) - room, 0)
        if room:
            super().append(data[:room])


class _Parser(HTTPRequestParser):  # type: ignore[misc]
    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        # Two lengths of one body: a proxy may go by the other one, and take the rest for a request of its own.
        if self.headers.get("TRANSFER_ENCODING") or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Content-Length and Transfer-Encoding cannot be combined")
        if self.body_rcv is not None:
            self.body_rcv.buf = _Body()


class _Logged:
    """What both kinds of answer do besides: a line in the access log, and a goodbye when we stop."""

    channel: Channel
    request: HTTPRequestParser
    status: str
    content_bytes_written: int

    def service(self) -> None:
        began = time.monotonic()
        super().service()  # type: ignore[misc]
        if not self.channel.server.worker.cfg.accesslog:
            return
        headers = self.request.headers
        access.info(
            "access",
            extra={
                "address": self.channel.addr[0],
                "method": getattr(self.request, "command", ""),
                # Decoded: as it was sent, it may spell a link's token in another way. And without the query.
                "path": getattr(self.request, "path", ""),
                "status": int(self.status[:3]),
                "bytes": self.content_bytes_written,
                "ms": round((time.monotonic() - began) * 1000, 1),
                "user_agent": headers.get("USER_AGENT", ""),
                "referer": headers.get("REFERER", "").partition("?")[0],
            },
        )

    def build_response_header(self) -> bytes:
        if self.channel.server.worker.is_stopping:
            self.set_close_on_finish()  # type: ignore[attr-defined]
        return bytes(super().build_response_header())  # type: ignore[misc]


class _Answer(_Logged, WSGITask):  # type: ignore[misc]
    pass


class _Refusal(_Logged, ErrorTask):  # type: ignore[misc]
    pass


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    request: Any
    sent_continue: bool
    task_class = _Answer
    error_task_class = _Refusal
    parser_class = _Parser

    def __init__(self, server: Server, sock: Any, addr: Any, adj: Any, map: Any = None) -> None:
        self.sent = 0
        self._rest = b""
        self._seen: tuple[str, object] = ("headers", None)
        self._since, self._sent_before = time.monotonic(), 0
        self._moved = 0, self._since
        super().__init__(server, sock, addr, adj, map=map)

    def readable(self) -> bool:
        if self._rest and super().readable():
            self.received(self._rest)
        return bool(super().readable())

    def received(self, data: bytes) -> bool:
        """Takes one request. waitress would take all that were sent in a row, and then hold a thread until their
        answers are read."""
        with self.requests_lock:
            if self.will_close or self.close_when_flushed:
                return False
            while data and not self.requests:
                if self.request is None:
                    self.request = self.parser_class(self.adj)
                data = data[self.request.received(data) :]
                if self.request.expect_continue and self.request.headers_finished and not self.sent_continue:
                    self.send_continue()
                if self.request.completed:
                    self.sent_continue = False
                    if not self.request.empty:
                        self.requests.append(self.request)
                        self.server.add_task(self)
                    self.request = None
            self._rest = data
        return True

    def send(self, data: bytes, do_close: bool = True) -> int:
        number = int(super().send(data, do_close=do_close))
        self.sent += number
        return number

    def doing(self) -> tuple[str, object]:
        """What this connection is at, and for which request."""
        request = self.request
        if self.total_outbufs_len:
            return "sending", None
        if self.requests:
            return "working", None
        if request is not None and request.headers_finished:
            return "body", request
        if request is not None or not self.sent:  # a new connection that has sent nothing is late with its headers
            return "headers", request
        return "idle", self.sent

    def waited(self, now: float) -> float:
        """Seconds for which it has been at the same thing, which is not our work."""
        doing = self.doing()
        if doing[0] == self._seen[0] and self._seen[1] in (None, doing[1]):
            self._seen = doing
        else:
            self._seen, self._since, self._sent_before, self._moved = doing, now, self.sent, (self.sent, now)
        return 0.0 if doing[0] == "working" else now - self._since

    def cut_if_slow(self, now: float, limits: Limits) -> None:
        waited, doing = self.waited(now), self._seen[0]
        if doing == "sending":
            if self._moved[0] != self.sent:
                self._moved = self.sent, now
            # Nothing at all, or too little: the system takes some megabytes before the other side has read any.
            waited = max(now - self._moved[1], waited - (self.sent - self._sent_before) / SLOWEST)
        longest = {"headers": limits.headers, "idle": limits.idle}.get(doing, limits.body)
        if waited > longest:
            self.cut()

    def cut(self) -> None:
        if self.doing()[0] in ("headers", "body") and self.request is not None:
            with contextlib.suppress(OSError):
                self.socket.send(TOO_SLOW)
        self.handle_close()

    def handle_close(self) -> None:
        if self.socket is None:
            return  # waitress may say it twice
        # What was sent and is not read makes the system break the connection, and our last answer is lost with it.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not self.socket.recv(65536):
                    break
        super().handle_close()
        if self.request is not None:
            self.request.close()  # a body in a temporary file


class Server(BaseWSGIServer):  # type: ignore[misc]
    """One listening socket."""

    channel_class = Channel

    def __init__(self, worker: WebWorker, listener: socket.socket, *args: Any, **kwargs: Any) -> None:
        self.worker = worker
        self.next_look = 0.0
        sockinfo = (listener.family, listener.type, listener.proto, listener.getsockname())
        super().__init__(*args, _sock=listener, sockinfo=sockinfo, bind_socket=False, **kwargs)

    def getsockname(self) -> tuple[str, Any]:
        name = self.socket.getsockname()
        return ("unix", name) if isinstance(name, str) else (name[0], name[1])

    def set_socket_options(self, conn: socket.socket) -> None:
        if conn.family != socket.AF_UNIX:
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fix_addr(self, addr: Any) -> Any:
        return addr if isinstance(addr, tuple) else ("localhost", None)

    def readable(self) -> bool:
        return bool(self.accepting)

    def handle_accept(self) -> None:
        # One at a time, so that the processes share the work; more where there are many, which makes each turn slow.
        for _ in range(1 + len(self.active_channels) // 50):
            self.worker.make_room()
            before = len(self.active_channels)
            super().handle_accept()
            if len(self.active_channels) == before:
                return

    def look(self, now: float) -> None:
        """Cuts what takes too long."""
        for channel in list(self.active_channels.values()):
            channel.cut_if_slow(now, self.worker.limits)

    def stop_accepting(self) -> None:
        self.accepting = False
        self.del_channel()
        self.socket.close()


class WebWorker(Worker):  # type: ignore[misc]  # gunicorn comes without types
    """One process: `threads` of them run the application, the main one reads and writes."""

    limits = Limits()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        if cfg.is_ssl:
            raise SystemExit("Countersign does not speak TLS itself: put a proxy in front that does.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_stopping = False
        self.generation = generations.newest()
        self.servers: list[Server] = []
        self.map: dict[int, Any] = {}

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.alive = False
        if self.servers:
            self.servers[0].pull_trigger()

    def run(self) -> None:
        _raise_open_files(self.limits.connections)
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.queue_logger.setLevel(logging.ERROR)
        dispatcher.set_thread_count(self.cfg.threads)
        adjustments = Adjustments(
            threads=self.cfg.threads,
            backlog=self.cfg.backlog,
            ident=None,
            log_socket_errors=False,
            clear_untrusted_proxy_headers=False,  # the application's ProxyFix knows how many to believe
            max_request_header_size=LONGEST_HEADERS,
            max_request_body_size=MOST,
            inbuf_overflow=IN_MEMORY,
            outbuf_overflow=IN_MEMORY * 4,
            outbuf_high_watermark=IN_MEMORY * 16,
        )
        for listener in self.sockets:
            self.servers.append(
                Server(self, listener.sock, self.wsgi, self.map, dispatcher=dispatcher, adj=adjustments)
            )
        generations.is_ready(self.generation)
        while self.alive or generations.awaited(self.generation):
            self._turn()
            if self.ppid != os.getppid():
                return
        self._finish()
        dispatcher.shutdown(timeout=0.1)

    def _turn(self) -> None:
        """One look at all sockets; waits for at most half a second."""
        self.notify()
        wasyncore.loop(0.5, True, self.map, 1)
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + min(1.0, self.limits.headers / 4)
            for server in self.servers:
                server.look(now)

    _next_look = 0.0

    def _finish(self) -> None:
        """No new connections; those that are at something end it, as far as there is time."""
        began = time.monotonic()
        self.is_stopping = True
        for server in self.servers:
            server.handle_accept()  # those that wait in the queue, which nobody may be left to take
            server.stop_accepting()
        while channels := [one for server in self.servers for one in list(server.active_channels.values())]:
            passed = time.monotonic() - began
            if passed > max(self.cfg.graceful_timeout - 0.5, 0.5):
                return
            for channel in channels:
                if passed > LINGER and channel.doing()[0] in ("idle", "headers"):
                    channel.handle_close()
            self.notify()
            wasyncore.loop(0.1, True, self.map, 1)

    def make_room(self) -> None:
        """Closes connections that have kept us waiting longest, where there is no room for one more."""
        if sum(len(one.active_channels) for one in self.servers) < self.limits.connections:
            return
        now = time.monotonic()
        waiting = [channel for one in self.servers for channel in one.active_channels.values()]
        waiting = [channel for channel in waiting if channel.doing()[0] != "working"]
        waiting.sort(key=lambda channel: channel.waited(now), reverse=True)
        for channel in waiting[: max(self.limits.connections // 20, 1)]:
            channel.cut()


class _Generations:
    """What the processes know of each other at a reload: its number, and the newest one whose processes answer.

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
        """Whether there is a later generation of which no process answers yet; not for longer than it may take."""
        newest, ready = self._read()
        if newest <= mine or ready > mine:
            return False
        self._since = self._since or time.monotonic()
        return time.monotonic() - self._since < SUCCESSOR_WITHIN


generations = _Generations()


def _raise_open_files(connections: int) -> None:
    """Each connection takes one open file, and up to two temporary ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 3 + 200
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
