"""A real SMTP server for the tests: it keeps what it was told, and can refuse, hang and drop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Accepted:
    """One mail that the server took, with the envelope."""

    sender: str
    recipients: list[str]
    content: bytes
    peer: tuple[str, int]
    at: float

    # Once: the big attacks look through thousands of mails for each of thousands.
    @cached_property
    def message(self) -> EmailMessage:
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[return-value]

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        assert part is not None
        return str(part.get_content()).replace("\r\n", "\n")

    @cached_property
    def subject(self) -> str:
        return str(self.message["Subject"])


# What a hook may answer: an SMTP reply in place of "250 OK", or None to go on.
Hook = Callable[[Envelope], str | None]


@dataclass
class SmtpServer:
    """`mails` are those accepted, `connections` the number of conversations, `hosts` what clients called themselves.

    Hooks by command (MAIL, RCPT, DATA) answer a reply or None. `hang` seconds before the answer to DATA; `drop`
    closes the conversation at DATA, that many times.
    """

    port: int = 0
    mails: list[Accepted] = field(default_factory=list)
    hooks: dict[str, Hook] = field(default_factory=dict)
    connections: int = 0
    hosts: list[str] = field(default_factory=list)
    hang: float = 0.0
    drop: int = 0
    # What it says when it has taken a mail.
    taken: str = "250 OK"
    # Called when a mail has been taken and before the client is told.
    after_accepting: Callable[[], object] | None = None

    def start(self) -> SmtpServer:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()

        def run() -> None:
            asyncio.set_event_loop(self._loop)
            self._server = self._loop.run_until_complete(
                self._loop.create_server(self._protocol, "127.0.0.1", self.port)
            )
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()
            self._loop.run_forever()
            pending = asyncio.all_tasks(self._loop)
            for task in pending:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
            self._loop.run_until_complete(asyncio.sleep(0))
            self._loop.close()

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()
        assert ready.wait(5)
        return self

    def stop(self) -> None:
        """Nobody listens any more; the port stays the same for a later `start`."""

        def end() -> None:
            self._server.close()
            for transport in list(self._transports):
                transport.abort()
            self._loop.call_later(0.05, self._loop.stop)

        self._loop.call_soon_threadsafe(end)
        self._thread.join(5)

    def _protocol(self) -> SMTP:
        server = self

        class Protocol(SMTP):
            def connection_made(self, transport: Any) -> None:
                server.connections += 1
                server._transports.add(transport)
                super().connection_made(transport)

            def connection_lost(self, error: Exception | None) -> None:
                server._transports.discard(self.transport)
                super().connection_lost(error)

        return Protocol(self, hostname="localhost", loop=self._loop, enable_SMTPUTF8=True)

    def __post_init__(self) -> None:
        self._transports: set[Any] = set()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: Any
    ) -> Any:
        self.hosts.append(hostname)
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.mail_from = address
        return self._ask("MAIL", envelope) or "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        envelope.rcpt_tos.append(address)
        answer = self._ask("RCPT", envelope)
        if answer:
            envelope.rcpt_tos.remove(address)
        return answer or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        answer = self._ask("DATA", envelope)
        if self.drop:
            self.drop -= 1
            server.transport.abort()
            return "421 gone"
        if self.hang:
            await asyncio.sleep(self.hang)
        if answer:
            return answer
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(
            Accepted(envelope.mail_from or "", list(envelope.rcpt_tos), content, session.peer, time.time())
        )
        if self.after_accepting:
            self.after_accepting()
        return self.taken

    def _ask(self, command: str, envelope: Envelope) -> str | None:
        hook = self.hooks.get(command)
        return hook(envelope) if hook else None

    def to(self, address: str) -> list[Accepted]:
        """The mails for one address, in the order they came."""
        return [mail for mail in self.mails if address in mail.recipients]

    def one_to(self, address: str) -> Accepted:
        found = self.to(address)
        assert len(found) == 1, [mail.subject for mail in found]
        return found[0]
