"""An email as MIME: its headers, its addresses in ASCII, and its two parts."""

from datetime import UTC, datetime
from email import policy
from email.charset import QP, Charset
from email.header import Header
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.nonmultipart import MIMENonMultipart
from email.utils import format_datetime, parseaddr, quote
from typing import Any
from urllib.parse import urlsplit

import flask_mail

from webapp.addresses import BadAddress, in_ascii
from webapp.extensions import settings
from webapp.models import Notice


class Unmailable(Exception):
    """This email can never be sent; `str(error)` says why."""


class BadSender(Exception):
    """MAIL_DEFAULT_SENDER is not a valid sender address, so no email can be sent."""


class Mail(flask_mail.Message):
    """Flask-Mail's message, built so that the same notice gives the same bytes but for its date: Flask-Mail draws a
    random boundary, uses the host's name and time zone, and does not quote a comma in a display name."""

    def __init__(
        self,
        notice: Notice,
        *,
        sender: tuple[str, str],
        to: tuple[str, str],
        subject: str,
        body: str,
        html: str,
        thread: str,
    ) -> None:
        # Not Flask-Mail's own __init__: it makes a message id, for which it looks up this machine's name in the DNS.
        self.subject, self.body = subject, body
        self.alts = {"html": html}
        self.recipients = [ascii_address(to[1])]
        try:
            self.sender = ascii_address(sender[1])
        except Unmailable as error:
            raise BadSender(f"MAIL_DEFAULT_SENDER cannot be used. {error}") from None
        self.reply_to, self.charset = None, None
        self.cc, self.bcc, self.attachments, self.mail_options, self.rcpt_options = [], [], [], [], []
        self._names = {"From": sender[0], "To": to[0]}
        self._boundary = f"=_{notice.public_id}"
        self.msgId = message_id(notice.public_id)
        self._headers = {
            "Message-ID": self.msgId,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        }
        if thread:
            # Synthetic root Message-ID, so that mail clients thread all emails of a request.
            root = message_id(f"request.{thread}")
            self._headers |= {"In-Reply-To": root, "References": root}
        self.set_date(notice.created_at)

    def set_date(self, sent_at: datetime) -> None:
        """Sets the time of sending: mail clients sort by it, so an older date would put the email far down the list."""
        self.date = sent_at.timestamp()
        self.extra_headers = {"Date": format_datetime(sent_at.astimezone(UTC)), **self._headers}

    def _message(self) -> MIMEBase:
        message = MIMEMultipart("alternative", boundary=self._boundary)
        message.policy = policy.compat32.clone(linesep="\r\n")
        headers: dict[str, Any] = {
            "Subject": _header("Subject", self.subject),
            "From": _mailbox("From", self._names["From"], str(self.sender)),
            "To": _mailbox("To", self._names["To"], str(self.recipients[0])),
            **(self.extra_headers or {}),
        }
        for name, value in headers.items():
            message[name] = value
        message.attach(_text(self.body or "", "plain"))
        message.attach(_text(self.html or "", "html"))
        return message


def _text(content: str, subtype: str) -> MIMEBase:
    # Quoted-printable: no server rewrites it, and "=_" of the boundary cannot occur in it.
    charset = Charset("utf-8")
    charset.body_encoding = QP
    part = MIMENonMultipart("text", subtype, charset="utf-8")
    part.set_payload(content, charset)
    return part


def _header(name: str, text: str) -> Header:
    return Header(text, "us-ascii" if _is_plain(text) else "utf-8", header_name=name)


def _is_plain(text: str) -> bool:
    # A text that looks like an encoded word has to be encoded itself, and so has a word too long to be folded.
    return text.isascii() and "=?" not in text and all(len(word) <= 50 for word in text.split())


def _mailbox(header: str, name: str, address: str) -> Header:
    if not name:
        return Header(address, "us-ascii", header_name=header)
    if _is_plain(name):
        return Header(f'"{quote(name)}" <{address}>', "us-ascii", header_name=header)
    encoded = Header(name, "utf-8", header_name=header)
    encoded.append(f"<{address}>", "us-ascii")
    return encoded


def ascii_address(given: str) -> str:
    """The address in ASCII, its domain in IDNA 2008. Raises Unmailable."""
    try:
        return in_ascii(given)
    except BadAddress as error:
        raise Unmailable(str(error)) from None


def sender_address() -> str:
    return parseaddr(settings().mail_default_sender)[1]


def message_id(name: str) -> str:
    host = urlsplit(settings().base_url).hostname or "localhost"
    if not host.isascii():
        host = host.encode("punycode").decode()  # only has to be unique and stable
    return f"<{name}@{f'[IPv6:{host}]' if ':' in host else host}>"
