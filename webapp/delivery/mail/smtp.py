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

from webapp.delivery.lease import LEASE_SECONDS
from webapp.delivery.mail.answers import Answer, Fault, Stage, classify
from webapp.extensions import settings
from webapp.models.notices import Cause
from webapp.runtime import failpoints
from webapp.text import one_line

# Seconds for the whole conversation about one message: under half of the lease, so that nobody else sends it too.
MESSAGE_SECONDS = LEASE_SECONDS * 5 / 12
QUIT_SECONDS = 2.0


class MailError(Exception):
    """A mail did not go out; `str(error)` is a sentence with the server's answer."""


class Unusable(MailError):
    """The server cannot be reached, does not let us in or takes nothing: no email at all will get through now.
    `answered`: it said so of one email."""

    def __init__(self, words: str, cause: Cause, *, answered: bool = False) -> None:
        super().__init__(words)
        self.cause = cause
        self.answered = answered


class Refused(MailError):
    """The server did not take this message; `answer` says whose fault that is."""

    def __init__(self, words: str, answer: Answer) -> None:
        super().__init__(words)
        self.answer = answer


class _Utf8(str):
    """A text that smtplib sends in UTF-8 (RFC 4616) when it means to send ASCII."""

    def encode(self, *encoding: str) -> bytes:
        return super().encode()


class _Talk(smtplib.SMTP):
    """A conversation that knows how far it got (`stage`), and what the server said when it took a message."""

    stage = Stage.CONNECT
    accepted = ""

    def auth(self, mechanism: str, authobject: Any, **how: Any) -> Any:
        def said(challenge: bytes | None = None) -> Any:
            words = authobject(challenge)
            return None if words is None else _Utf8(words)

        return super().auth(mechanism, said, **how)

    def mail(self, *said: Any) -> tuple[int, bytes]:
        self.stage = Stage.MAIL
        return super().mail(*said)

    def rcpt(self, *said: Any) -> tuple[int, bytes]:
        self.stage = Stage.RCPT
        return super().rcpt(*said)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.stage = Stage.DATA
        # The point between recipient and content, where a test may end us.
        failpoints.at("mail.after-rcpt")
        try:
            code, words = super().data(msg)
        except smtplib.SMTPDataError:
            self.rset()  # else the server would take the next sender for a second one of this message
            raise
        self.accepted = f"{code} {_line(words)}"
        return code, words


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
        """Connects unless connected; raises Unusable, whatever is wrong."""
        if self.host is not None and self.host.sock is not None:
            return
        self._close()
        try:
            self.host = self.configure_host()
        except Unusable:
            raise
        except Exception as error:
            raise self._unusable(error, _cause_before(error, Stage.CONNECT)) from error

    def _unusable(self, error: Exception, cause: Cause) -> Unusable:
        where = f"{self.mail.server}:{self.mail.port}"
        if cause in (Cause.UNREACHABLE, Cause.ENCRYPTION):
            return Unusable(f"Cannot connect to the mail server {where}: {_words(error)}", cause)
        return Unusable(_words(error), cause)

    def configure_host(self) -> _Talk:
        """A connection that is greeted, encrypted as set, its certificate verified, and signed in."""
        mail = self.mail
        host: _Talk
        # The name is given because looking it up may take seconds.
        if mail.use_ssl:
            context = ssl.create_default_context()
            host = _TlsTalk(mail.server, mail.port, self._name, timeout=self._timeout, context=context)
        else:
            host = _Talk(mail.server, mail.port, self._name, timeout=self._timeout)
        try:
            with self._limit(host):
                host.ehlo_or_helo_if_needed()
                if mail.use_tls:
                    host.stage = Stage.ENCRYPT
                    host.starttls(context=ssl.create_default_context())
                if mail.username and mail.password:
                    host.stage = Stage.SIGN_IN
                    host.login(mail.username, _Utf8(mail.password))
        except Exception as error:
            host.close()
            if self._cut:
                raise self._unusable(self._too_long(), Cause.UNREACHABLE) from error
            raise self._unusable(error, _cause_before(error, host.stage)) from error
        except BaseException:
            host.close()
            raise
        return host

    def send(self, message: flask_mail.Message, envelope_from: str | tuple[str, str] | None = None) -> None:
        """Hands one message over; raises Unusable, Refused, or whatever is wrong with the message itself."""
        self.open()
        host = self.host
        assert isinstance(host, _Talk)
        host.stage = Stage.MAIL
        try:
            with self._limit(host):
                super().send(message, envelope_from)
        except (OSError, smtplib.SMTPException) as error:
            raise self._refusal(error, host) from error
        except Exception as error:
            # Of whom the server was told something, it would wait for the rest.
            self._close()
            if self._cut:
                raise self._refusal(error, host) from error
            raise

    @property
    def accepted(self) -> str:
        """What the server said when it took the last message."""
        return self.host.accepted if isinstance(self.host, _Talk) else ""

    def _refusal(self, error: Exception, host: _Talk) -> MailError:
        if self._cut or not isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
            self._close()
            words: Exception = self._too_long() if self._cut else error
            if host.stage is Stage.MAIL:
                return self._unusable(words, Cause.UNREACHABLE)
            return Refused(_words(words), Answer(Fault.MAIL))
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, said = next(iter(error.recipients.values()))
            answer = classify(host.stage, code, _line(said))
        else:
            answer = classify(host.stage, error.smtp_code, _line(error.smtp_error))
        if host.stage is Stage.MAIL and answer.cause is not None:
            return Unusable(_words(error), answer.cause)
        return Refused(_words(error), answer)

    def _too_long(self) -> MailError:
        return MailError(f"The mail server did not respond within {self._message_seconds:g} seconds.")

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


def _cause_before(error: Exception, stage: Stage) -> Cause:
    """Why we did not get as far as a message."""
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return Cause.UNREACHABLE
    if isinstance(error, smtplib.SMTPResponseException):
        cause = classify(stage, error.smtp_code, _line(error.smtp_error)).cause
        return cause if cause and error.smtp_code > 0 else Cause.UNREACHABLE
    # Every SMTPException is an OSError, too.
    is_smtp = isinstance(error, smtplib.SMTPException)
    if isinstance(error, ssl.SSLError) or (stage is Stage.ENCRYPT and is_smtp):
        return Cause.ENCRYPTION
    if stage is Stage.SIGN_IN and (is_smtp or not isinstance(error, OSError)):
        return Cause.SIGN_IN
    return Cause.UNREACHABLE


def _words(error: Exception) -> str:
    """The error in one line, as the server put it."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()))
        return f"The recipient was refused: {code} {_line(words)}"
    if isinstance(error, smtplib.SMTPSenderRefused):
        return f"The sender {error.sender} was refused: {error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        if error.smtp_code < 0:
            return "what it says is not SMTP"
        return f"The mail server answered {error.smtp_code} {_line(error.smtp_error)}"
    if isinstance(error, ssl.SSLError):
        return f"its TLS certificate is not trusted or encryption failed ({_line(str(error))})"
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return _line(str(error)) or type(error).__name__


def _line(words: bytes | str) -> str:
    return one_line(words.decode(errors="replace") if isinstance(words, bytes) else words)[:300]
