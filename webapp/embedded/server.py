"""The web's processes: gunicorn starts and watches them, waitress reads and writes inside each.

With gunicorn's own threads, as many slow clients as there are threads block all of them. Here one thread does all
reading and writing (`channel.py`). A worker thread gets a request only when the whole of it has arrived, and is free
again as soon as its response is in a buffer. What takes too long is cut (`Limits`), and when there is no room for one
more connection, those that have waited longest are closed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import socket
import time
from typing import Any

from gunicorn.workers.base import Worker
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import BaseWSGIServer
from waitress.task import ThreadedTaskDispatcher

from webapp.embedded.channel import IN_MEMORY, Channel, Limits
from webapp.embedded.generations import generations

# Up to so many bytes of a body are read; beyond channel.KEPT they are thrown away, so that the browser shows the
# application's page about it instead of a broken connection.
MOST = 16 * 1024 * 1024
LONGEST_HEADERS = 32 * 1024
# Seconds that connections without a request stay open when we stop, for one that is already on its way.
LINGER = 1.0


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
            server.handle_accept()  # accept what is queued: no other process may be left to do it
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


def _raise_open_files(connections: int) -> None:
    """Each connection takes one open file, and up to two temporary ones."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections * 3 + 200
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
