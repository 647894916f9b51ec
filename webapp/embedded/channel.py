"""One connection: reads requests, buffers bodies and responses, and is cut when it takes too long."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.task import ErrorTask, WSGITask

if TYPE_CHECKING:
    from webapp.embedded.server import Server

# Bytes of a request's body that are kept; the application refuses larger ones with a page.
KEPT = 1024 * 1024 + 1
# Bytes of a body or a response in memory; the rest is in a temporary file.
IN_MEMORY = 64 * 1024
# Bytes in a second; a client that reads its response more slowly is cut.
SLOWEST = 2_000
_SENTENCE = b"The request took too long to arrive. Send it again.\n"
TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_SENTENCE), _SENTENCE)
)

access = logging.getLogger("countersign.access")


@dataclass(frozen=True)
class Limits:
    """What one connection may take, in seconds, and how many there may be in one process."""

    headers: float = 20.0
    body: float = 60.0
    idle: float = 5.0
    connections: int = 1000


class _Body(OverflowableBuffer):  # type: ignore[misc]  # waitress comes without types
    """A request body of which only the first KEPT bytes are stored; its length is that of the whole body."""

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
        # Two lengths for one body: a proxy may use the other one and treat the rest as another request (smuggling).
        if self.headers.get("TRANSFER_ENCODING") or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("Content-Length and Transfer-Encoding cannot be combined")
        if self.body_rcv is not None:
            self.body_rcv.buf = _Body()


class _Logged:
    """Adds to both kinds of response: a line in the access log, and "Connection: close" while the process stops."""

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
        """Parse one request only. waitress would parse all pipelined requests, and then hold a thread until the client
        has read all responses."""
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
        """The present phase of this connection, and the request that it is about."""
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
        """Seconds spent in the present phase; 0 while the application works on the request."""
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
            # Cut when nothing moves, or too little: the kernel buffers some megabytes before the client has read any.
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
            return  # waitress may call this twice
        # Read what the client sent: unread input makes the kernel reset the connection, and the response would be lost.
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)
            for _ in range(16):
                if not self.socket.recv(65536):
                    break
        super().handle_close()
        if self.request is not None:
            self.request.close()  # a body in a temporary file
