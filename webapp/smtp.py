"""Flask-Mail's connection with what it lacks: time limits, verified TLS, reconnecting, and errors that say whose
fault it was."""

import contextlib
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import flask_mail
from flask import current_app

from webapp import failpoints
from webapp.extensions import settings
from webapp.outbox import LEASE_SECONDS
from webapp.text import one_line

# Seconds for the whole conversation about one message: under half of the lease, so that nobody else sends it too.
MESSAGE_SECONDS = LEASE_SECONDS * 5 / 12
QUIT_SECONDS = 2.0


class MailError(Exception):
    """A mail did not go out; `str(error)` is a sentence with the server's answer."""


class Unreachable(MailError):
    """The server could not be reached or does not let us in: no mail at all will get through now."""


class Refused(MailError):
    """The server did not take this message. `for_good`: trying again is of no use."""

    def __init__(self, words: str, *, for_good: bool = False) -> None:
        super().__init__(words)
        self.for_good = for_good


class _Talk(smtplib.SMTP):
    """A conversation with the point between recipient and content named, where a test may end us."""

    def data(self, msg: Any) -> tuple[int, bytes]:
        failpoints.at("mail.after-rcpt")
        return super().data(msg)


class _TlsTalk(_Talk, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class Connection(flask_mail.Connection):
    """One SMTP connection for a batch, opened when it is first needed and again after it broke."""

    def __init__(self, mail: Any, *, timeout: float, message_seconds: float = MESSAGE_SECONDS, name: str) -> None:
        super().__init__(mail)
        self._timeout = timeout
        self._message_seconds = message_seconds
        self._name = name
        self._watch: threading.Thread | None = None
        self._watched: smtplib.SMTP | None = None
        self._deadline = 0.0
        self._cut = False
        self._done = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.host is not None and self.host.sock is not None:
            # All that matters has been said; a server that does not answer goodbye is left.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self.host.sock.settimeout(QUIT_SECONDS)
                self.host.quit()
        self._close()
        self._done.set()

    def open(self) -> None:
        """Connects unless connected; raises Unreachable."""
        if self.host is not None and self.host.sock is not None:
            return
        self._close()
        try:
            self.host = self.configure_host()
        except (OSError, smtplib.SMTPException) as error:
            where = f"{self.mail.server}:{self.mail.port}"
            raise Unreachable(f"The mail server {where} could not be used: {_words(error)}") from error

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        """A connection that is greeted, encrypted as set, its certificate verified, and signed in."""
        mail = self.mail
        host: smtplib.SMTP | smtplib.SMTP_SSL
        # The name is given because looking it up may take seconds.
        if mail.use_ssl:
            context = ssl.create_default_context()
            host = _TlsTalk(mail.server, mail.port, self._name, timeout=self._timeout, context=context)
        else:
            host = _Talk(mail.server, mail.port, self._name, timeout=self._timeout)
        try:
            with self._limit(host):
                if mail.use_tls:
                    host.starttls(context=ssl.create_default_context())
                if mail.username and mail.password:
                    host.login(mail.username, mail.password)
        except BaseException:
            host.close()
            raise
        return host

    def send(self, message: flask_mail.Message, envelope_from: str | tuple[str, str] | None = None) -> None:
        """Hands one message over; raises Refused, or whatever is wrong with the message itself."""
        self.open()
        assert self.host is not None
        try:
            with self._limit(self.host):
                super().send(message, envelope_from)
        except (OSError, smtplib.SMTPException, ValueError) as error:
            if isinstance(error, ValueError) and not self._cut:
                raise
            if self._cut or not isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
                self._close()
            if self._cut:
                words = f"The mail server did not finish within {self._message_seconds:g} seconds."
                raise Refused(words) from error
            raise Refused(_words(error), for_good=_for_good(error)) from error

    @contextlib.contextmanager
    def _limit(self, host: smtplib.SMTP) -> Iterator[None]:
        """Ends the conversation when it has taken too long in all: the socket's own time-out starts anew with
        each byte that comes."""
        self._cut = False
        self._watched, self._deadline = host, time.monotonic() + self._message_seconds
        if self._watch is None:
            # One for the whole batch, which only looks at the clock: a timer for each message costs more than its SMTP.
            self._watch = threading.Thread(target=self._look_at_the_clock, daemon=True)
            self._watch.start()
        _talking.add(host)
        try:
            yield
        finally:
            _talking.discard(host)
            self._watched = None

    def _look_at_the_clock(self) -> None:
        while not self._done.wait(min(1.0, self._message_seconds / 10)):
            host = self._watched
            if host is not None and time.monotonic() > self._deadline and host is self._watched:
                self._cut = True
                _shut(host)

    def _close(self) -> None:
        if self.host is not None:
            self.host.close()
        self.host = None


def connect(**limits: float) -> Connection:
    """The connection of the app at hand; nothing is opened yet."""
    own = settings()
    name = urlsplit(own.base_url).hostname or "localhost"
    if re.fullmatch(r"[0-9.]+", name):
        name = f"[{name}]"
    elif ":" in name:
        name = f"[IPv6:{name}]"
    return Connection(
        current_app.extensions["mail"], timeout=limits.pop("timeout", own.mail_timeout), name=name, **limits
    )


_talking: set[smtplib.SMTP] = set()


def hang_up() -> None:
    """Cuts every conversation that is under way; for a process that has to end now."""
    for host in list(_talking):
        _shut(host)


def _shut(host: smtplib.SMTP) -> None:
    if host.sock is not None:
        with contextlib.suppress(OSError):
            # The plain socket's: an SSL socket's own would pull the ground from under the thread that reads.
            socket.socket.shutdown(host.sock, socket.SHUT_RDWR)


def _for_good(error: Exception) -> bool:
    """A recipient or a message refused with 5xx. The sender or the sign-in refused is the installation's fault,
    and so is what the enhanced status calls policy (5.7.x): those are tried again."""
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return True
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(_final(code, words) for code, words in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return _final(error.smtp_code, error.smtp_error)
    return False


def _final(code: int, words: bytes | str) -> bool:
    text = words.decode(errors="replace") if isinstance(words, bytes) else words
    return 500 <= code < 600 and code not in (530, 534, 535, 538) and not text.startswith("5.7.")


def _words(error: Exception) -> str:
    """The error in one line, as the server put it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return f"The recipient was refused: {code} {_line(words)}"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"The sender {error.sender} was refused: {error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"The mail server answered {error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, ssl.SSLError):
        return f"its TLS certificate or encryption was not accepted ({_line(str(error))})"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _line(str(error)) or type(error).__name__


def _line(words: bytes | str) -> str:
    return one_line(words.decode(errors="replace") if isinstance(words, bytes) else words)[:300]
