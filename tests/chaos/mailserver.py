"""An SMTP server in a process of its own, with a record on the disk and faults on demand.

`python -m tests.chaos.mailserver FOLDER DESCRIPTOR SEED`. Each mail is a line of FOLDER/record.jsonl, written before
the server says 250. FOLDER/faults.json says how likely each fault is right now, from 0 to 1:

    rcpt4, rcpt5    the recipient is refused, for now or for good
    data4, data5    the mail is refused, for now or for good
    hang            no answer to DATA until the client gives up; nothing is recorded
    drop            the mail is recorded and the connection cut before the 250: the answer is lost
    cut             the connection is cut at DATA; nothing is recorded

Recipients refused-…, later-… and cut-… are always met with rcpt5, rcpt4 and cut.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import re
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from webapp.embedded.process import die_with_parent

HANG_SECONDS = 60.0
POISON = {"refused-": "rcpt5", "later-": "rcpt4", "cut-": "cut"}
_ID = re.compile(rb"^message-id:\s*<([^@>]+)@", re.IGNORECASE | re.MULTILINE)
# What a retry has to carry as the first try did: boundary and link. The rest tells how it stands by then.
_SAME = re.compile(rb"boundary=[^\r\n]+|/(?:decide|password)/[\w.~-]+", re.IGNORECASE | re.MULTILINE)


class Keeper:
    """What aiosmtpd asks at each command."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._faults_file = folder / "faults.json"
        self._record = os.open(folder / "record.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._random = random.Random(seed)
        self._read_at = 0
        self._faults: dict[str, float] = {}

    def _hit(self, name: str, recipients: list[str]) -> bool:
        if any(POISON[word] == name for one in recipients for word in POISON if one.startswith(word)):
            return True
        with contextlib.suppress(FileNotFoundError, ValueError):
            written = self._faults_file.stat().st_mtime_ns
            if written != self._read_at:
                self._faults, self._read_at = json.loads(self._faults_file.read_text()), written
        return self._random.random() < self._faults.get(name, 0)

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: Any
    ) -> Any:
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if self._hit("rcpt4", [address]):
            return "451 4.3.0 not now"
        if self._hit("rcpt5", [address]):
            return "550 5.1.1 there is nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        to = envelope.rcpt_tos
        for name, answer in (("data4", "451 4.3.0 not now"), ("data5", "554 5.6.0 not this one")):
            if self._hit(name, to):
                return answer
        if self._hit("hang", to):
            await asyncio.sleep(HANG_SECONDS)
            return "451 4.3.0 that took too long"
        if self._hit("cut", to):
            server.transport.abort()
            return "421 gone"
        lost = self._hit("drop", to)
        self._keep(envelope, answered=not lost)
        if lost:
            server.transport.abort()
            return "421 gone"
        return "250 OK"

    def _keep(self, envelope: Envelope, *, answered: bool) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        found = _ID.search(content)
        line = {
            "id": found[1].decode() if found else "",
            "to": envelope.rcpt_tos,
            "at": time.time(),
            "answered": answered,
            "same": hashlib.sha256(b"\n".join(_SAME.findall(content.replace(b"=\r\n", b"")))).hexdigest(),
        }
        os.write(self._record, json.dumps(line).encode() + b"\n")


async def serve(folder: Path, listener: socket.socket, seed: int) -> None:
    """Until SIGTERM."""
    loop, stop, keeper = asyncio.get_running_loop(), asyncio.Event(), Keeper(folder, seed)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await loop.create_server(
        # The host name is given because looking it up may take seconds.
        lambda: SMTP(keeper, hostname="localhost", enable_SMTPUTF8=True, loop=loop),
        sock=listener,
    )
    await stop.wait()
    server.close()


if __name__ == "__main__":
    die_with_parent()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2])), int(sys.argv[3])))
