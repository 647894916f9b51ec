"""The embedded mail server: takes every email by real SMTP and keeps it in a folder. Sends nothing on.

python -m webapp.embedded.sink FOLDER FD: FD is a socket that listens already.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from webapp.embedded import mailstore

# Bytes of one email; ours are a few kB.
LARGEST = 5 * 1024 * 1024


class Keep:
    """aiosmtpd's handler: one email, one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stored = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mailstore.store(
            self.folder,
            sender=envelope.mail_from or "",
            recipients=envelope.rcpt_tos,
            content=content,
        )
        self._stored += 1
        if self._stored % 100 == 0:
            mailstore.forget_old(self.folder)
        return "250 OK"


async def serve(folder: Path, listener: socket.socket) -> None:
    """Take emails on `listener` until SIGTERM."""
    mailstore.forget_old(folder)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, stop.set)
    keep = Keep(folder)
    server = await loop.create_server(
        # The host name is given because looking it up may take seconds.
        lambda: SMTP(keep, hostname="localhost", enable_SMTPUTF8=True, data_size_limit=LARGEST, loop=loop),
        sock=listener,
    )
    await stop.wait()
    server.close()


def main(folder: str, descriptor: str) -> None:
    listener = socket.socket(fileno=int(descriptor))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(Path(folder), listener))


if __name__ == "__main__":
    main(*sys.argv[1:])
