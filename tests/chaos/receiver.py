"""A receiver of webhooks in a process of its own, with a record on the disk and faults on demand.

`python -m tests.chaos.receiver FOLDER DESCRIPTOR SEED`. Each call is a line of FOLDER/record.jsonl, written before
it is answered. FOLDER/faults.json says how likely each fault is right now, from 0 to 1:

    busy    503; nothing is recorded, since nothing was taken
    hang    no answer until the sender gives up; nothing is recorded
    drop    the call is recorded and the connection closed before the answer: the answer is lost
    cut     the connection is closed; nothing is recorded
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from webapp.embedded.process import die_with_parent

HANG_SECONDS = 15.0
FAULTS = ("busy", "hang", "drop", "cut")


class Keeper:
    """What is kept, and which fault comes next."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._faults_file = folder / "faults.json"
        self._record = os.open(folder / "record.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._random = random.Random(seed)
        self._one = threading.Lock()

    def fault(self) -> str:
        """The fault of this call; "" for none."""
        with self._one:
            try:
                likely: dict[str, float] = json.loads(self._faults_file.read_text())
            except FileNotFoundError:
                return ""
            return next((name for name in FAULTS if self._random.random() < likely.get(name, 0)), "")

    def keep(self, **line: Any) -> None:
        os.write(self._record, json.dumps(line).encode() + b"\n")


class Handler(BaseHTTPRequestHandler):
    """The query says which endpoint it is."""

    keeper: Keeper

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        fault = self.keeper.fault()
        if fault == "hang":
            time.sleep(HANG_SECONDS)
        if fault in ("", "drop"):
            self.keeper.keep(
                to=urlsplit(self.path).query,
                at=time.time(),
                answered=not fault,
                headers={name.lower(): value for name, value in self.headers.items()},
                body=body.decode(),
            )
        if fault in ("hang", "drop", "cut"):
            self.close_connection = True
            return
        self.send_response(503 if fault else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        """The record is the log."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the sender was killed
            super().handle()


def serve(folder: Path, listener: socket.socket, seed: int) -> None:
    """Until SIGTERM."""
    Handler.keeper = Keeper(folder, seed)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    server.serve_forever()


if __name__ == "__main__":
    die_with_parent()
    with contextlib.suppress(KeyboardInterrupt):
        serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3]))
