"""A server on loopback that answers as it is told: byte by byte if need be, over TLS if need be."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class HostileServer:
    """`answer` writes what it wants to a connection; `heard` is what came, one text for each connection."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.heard: list[bytes] = []
        self.connections = 0
        self.answer: Callable[[socket.socket], None] = lambda connection: connection.sendall(OK)
        self.context = context
        self.stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self.stopped.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), contextlib.closing(connection):
            if self.context:
                connection = self.context.wrap_socket(connection, server_side=True)
            with contextlib.closing(connection):
                connection.settimeout(5)
                self.heard.append(self._request(connection))
                self.answer(connection)

    @staticmethod
    def _request(connection: socket.socket) -> bytes:
        found = b""
        while b"\r\n\r\n" not in found:
            part = connection.recv(65536)
            if not part:
                return found
            found += part
        head, _, body = found.partition(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            body += connection.recv(65536)
        return head + b"\r\n\r\n" + body

    def drip(self, what: Iterator[bytes], pause: float) -> Callable[[socket.socket], None]:
        """An answer that comes piece by piece, until this server is closed."""

        def answer(connection: socket.socket) -> None:
            for piece in what:
                if self.stopped.is_set():
                    return
                connection.sendall(piece)
                time.sleep(pause)

        return answer

    def close(self) -> None:
        self.stopped.set()
        self._listener.close()
