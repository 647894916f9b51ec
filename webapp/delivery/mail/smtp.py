"""Flask-Mail's connection with what it lacks: time limits, verified TLS, reconnecting, and errors that say whether the
recipient, the email or the server is at fault."""

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

# Seconds for the whole conversation about one message: less than half of the lease, so that no other worker sends it.
MESSAGE_SECONDS = LEASE_SECONDS * 5 / 12
QUIT_SECONDS = 2.0


class MailError(Exception):
    """An email was not sent; `str(error)` is a sentence with the server's answer."""


class Unusable(MailError):
    """The server cannot be reached, refuses the sign-in or takes nothing: no email can be sent now. `answered`: it
    answered so to one email."""

    def __init__(self, words: str, cause: Cause, *, answered: bool = False) -> None:
        super().__init__(words)
        self.cause = cause
        self.answered = answered


class Refused(MailError):
    """The server refused this message; `answer` says what is at fault."""

    def __init__(self, words: str, answer: Answer) -> None:
        super().__init__(words)
        self.answer = answer


class _Utf8(str):
    """A text that smtplib sends in UTF-8 (RFC 4616) when it means to send ASCII."""

    def encode(self, *encoding: str) -> bytes:
        return super().encode()


class _Conversation(smtplib.SMTP):
    """An SMTP conversation that remembers its stage, and the server's answer when it accepted a message."""

    stage = Stage.CONNECT
    accepted = ""

    def auth(self, mechanism: str, authobject: Any, **how: Any) -> Any:
        def encoded(challenge: bytes | None = None) -> Any:
            words = authobject(challenge)
            return None if words is None else _Utf8(words)

        return super().auth(mechanism, encoded, **how)

    def mail(self, *arguments: Any) -> tuple[int, bytes]:
        self.stage = Stage.MAIL
        return super().mail(*arguments)

    def rcpt(self, *arguments: Any) -> tuple[int, bytes]:
        self.stage = Stage.RCPT
        return super().rcpt(*arguments)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.stage = Stage.DATA
        # Between recipient and content, where a test may end this process.
        failpoints.at("mail.after-rcpt")
        try:
            code, words = super().data(msg)
        except smtplib.SMTPDataError:
            self.rset()  # otherwise the server takes the next MAIL for a second sender of this message
            raise
        self.accepted = f"{code} {_line(words)}"
        return code, words


class _TlsConversation(_Conversation, smtplib.SMTP_SSL):
    """The same with TLS from the first byte."""


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
            # Nothing is lost if the server does not answer QUIT.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self.host.sock.settimeout(QUIT_SECONDS)
                self.host.quit()
        self._close()
        self._done.set()

    def open(self) -> None:
        """Connects unless connected; raises Unusable for any error."""
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

    def configure_host(self) -> _Conversation:
        """A connection that is greeted, encrypted as set, its certificate verified, and signed in."""
        mail = self.mail
        host: _Conversation
        # The name is given because looking it up may take seconds.
        if mail.use_ssl:
            context = ssl.create_default_context()
            host = _TlsConversation(mail.server, mail.port, self._name, timeout=self._timeout, context=context)
        else:
            host = _Conversation(mail.server, mail.port, self._name, timeout=self._timeout)
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
        assert isinstance(host, _Conversation)
        host.stage = Stage.MAIL
        try:
            with self._limit(host):
                super().send(message, envelope_from)
        except (OSError, smtplib.SMTPException) as error:
            raise self._refusal(error, host) from error
        except Exception as error:
            # A server that was told a sender or recipient would wait for the rest of the message.
            self._close()
            if self._cut:
                raise self._refusal(error, host) from error
            raise

    @property
    def accepted(self) -> str:
        """The server's answer when it accepted the last message."""
        return self.host.accepted if isinstance(self.host, _Conversation) else ""

    def _refusal(self, error: Exception, host: _Conversation) -> MailError:
        if self._cut or not isinstance(error, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
            self._close()
            words: Exception = self._too_long() if self._cut else error
            if host.stage is Stage.MAIL:
                return self._unusable(words, Cause.UNREACHABLE)
            return Refused(_words(words), Answer(Fault.MAIL))
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = next(iter(error.recipients.values()))
            answer = classify(host.stage, code, _line(text))
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
            # One thread for the whole batch: a timer for each message would cost more than its SMTP conversation.
            self._watch = threading.Thread(target=self._check_time_limit, daemon=True)
            self._watch.start()
        _talking.add(host)
        try:
            yield
        finally:
            _talking.discard(host)
            self._watched = None

    def _check_time_limit(self) -> None:
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
    """The connection of the current app, not opened yet."""
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


def close_sockets() -> None:
    """Closes the sockets of all conversations; for a process that has to end now."""
    for host in list(_talking):
        _shut(host)


def _shut(host: smtplib.SMTP) -> None:
    if host.sock is not None:
        with contextlib.suppress(OSError):
            # The plain socket's shutdown: that of an SSL socket would break the thread that reads from it.
            socket.socket.shutdown(host.sock, socket.SHUT_RDWR)


def _cause_before(error: Exception, stage: Stage) -> Cause:
    """The cause of an error before the first message."""
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
