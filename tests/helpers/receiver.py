"""A receiver of webhooks and chat messages on loopback: it keeps what came, and answers as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What is answered: status, headers, body.
Reply = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Received:
    """One call: `at` is when it had come (monotonic)."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers 200 unless `reply` says otherwise."""

    reply: Callable[[Received], Reply] = lambda call: (200, {}, b"ok")
    calls: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                call = Received(self.path, headers, body, time.monotonic())
                receiver.calls.append(call)
                status, more, answer = receiver.reply(call)
                self.send_response(status)
                for name, value in {**more, "content-length": str(len(answer))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *args: Any) -> None:
                pass

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:
                    self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str = "/in") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def events(self) -> list[str]:
        return [call.json["type"] for call in self.calls]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
