"""An HTTP client that costs next to nothing, so that what is measured is the server."""

import re
import socket
import time
from dataclasses import dataclass

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_LOCATION = re.compile(rb"\r\nlocation: *([^\r]+)", re.IGNORECASE)
_TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')


@dataclass(slots=True)
class Answer:
    """`seconds` run from before the request is sent, and a connection made if need be, to the last byte."""

    status: int
    head: bytes
    body: bytes
    seconds: float

    @property
    def location(self) -> str:
        found = _LOCATION.search(self.head)
        return found[1].decode() if found else ""


class Client:
    """One keep-alive connection, made anew when the server closes it."""

    def __init__(self, port: int, cookie: str = "", *, token: str = "") -> None:
        self._port = port
        self._cookie = cookie
        self._token = token
        self._socket: socket.socket | None = None

    def get(self, path: str, headers: str = "") -> Answer:
        return self._send(f"GET {path} HTTP/1.1\r\n{self._headers()}{headers}\r\n".encode())

    def post(self, path: str, form: str) -> Answer:
        body = form.encode()
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers()}Sec-Fetch-Site: same-origin\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return self._send(head.encode() + body)

    def post_json(self, path: str, body: str) -> Answer:
        sent = body.encode()
        head = (
            f"POST {path} HTTP/1.1\r\n{self._headers()}Content-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n"
        )
        return self._send(head.encode() + sent)

    def csrf_token(self, path: str) -> str:
        """The token that the forms of a page carry."""
        found = _TOKEN.search(self.get(path).body)
        assert found is not None, path
        return found[1].decode()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _headers(self) -> str:
        cookie = f"Cookie: {self._cookie}\r\n" if self._cookie else ""
        token = f"Authorization: Bearer {self._token}\r\n" if self._token else ""
        return f"Host: 127.0.0.1:{self._port}\r\n{cookie}{token}"

    def _send(self, request: bytes) -> Answer:
        began = time.perf_counter()
        try:
            answer = self._exchange(request)
        except (ConnectionError, EOFError):
            # The server may close an idle connection; once is its right.
            self.close()
            began = time.perf_counter()
            answer = self._exchange(request)
        answer.seconds = time.perf_counter() - began
        return answer

    def _exchange(self, request: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        got = b""
        while (end := got.find(b"\r\n\r\n")) < 0:
            got += self._receive()
        head, body = got[:end], got[end + 4 :]
        length = _LENGTH.search(head)
        parts, missing = [body], (int(length[1]) if length else 0) - len(body)
        while missing > 0:
            parts.append(self._receive())
            missing -= len(parts[-1])
        if _CLOSE.search(head):
            self.close()
        return Answer(int(head[9:12]), head, b"".join(parts), 0.0)

    def _receive(self) -> bytes:
        assert self._socket is not None
        got = self._socket.recv(262144)
        if not got:
            raise EOFError
        return got
