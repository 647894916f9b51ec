"""Every way in which a mail server cannot be reached or signed in to is told with its cause."""

from __future__ import annotations

import base64
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from webapp.delivery.mail import smtp as connections


class Rude(socketserver.StreamRequestHandler):
    """Says its lines, one for each that it hears, and hangs up."""

    lines: tuple[bytes, ...] = ()
    heard: list[bytes]

    def handle(self) -> None:
        for line in self.lines:
            self.wfile.write(line)
            said = self.rfile.readline()
            if not said:
                return
            self.heard.append(said)


@contextmanager
def server(*lines: bytes, heard: list[bytes] | None = None) -> Iterator[int]:
    kind = type("Server", (Rude,), {"lines": lines, "heard": [] if heard is None else heard})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), kind) as listening:
        listening.daemon_threads, listening.block_on_close = True, False
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield listening.server_address[1]
        listening.shutdown()


HELLO = b"220 here\r\n"
EHLO = b"250-here\r\n250 AUTH PLAIN LOGIN\r\n"


@pytest.mark.parametrize(
    ("lines", "changes", "cause", "words"),
    [
        ((b"554 5.7.1 you are listed\r\n",), {}, "policy", "554 5.7.1 you are listed"),
        ((b"421 too many\r\n",), {}, "busy", "421 too many"),
        ((HELLO,), {}, "unreachable", "Connection unexpectedly closed"),
        ((HELLO, b"502 what\r\n", b"502 what\r\n"), {}, "policy", "502 what"),
        ((b"what\r\n",), {}, "unreachable", "not SMTP"),
        ((HELLO, b"250 here\r\n"), {"use_tls": True}, "encryption", "STARTTLS"),
        ((HELLO, b"250-here\r\n250 STARTTLS\r\n", b"454 not now\r\n"), {"use_tls": True}, "busy", "454 not now"),
        ((b"220 plain\r\n",), {"use_ssl": True}, "encryption", "TLS"),
        ((HELLO, b"250 here\r\n"), {"username": "u", "password": "p"}, "sign-in", "AUTH"),
        ((HELLO, b"250-here\r\n250 AUTH GSSAPI\r\n"), {"username": "u", "password": "p"}, "sign-in", "suitable"),
        ((HELLO, EHLO, b"535 5.7.8 no\r\n", b"535 5.7.8 no\r\n"), {"username": "u", "password": "p"},
         "sign-in", "535 5.7.8 no"),
        ((HELLO, EHLO, b"334 $$$\r\n"), {"username": "ü", "password": "pä"}, "unreachable", "closed"),
        ((), {"server": "x" * 70 + ".example"}, "unreachable", "Cannot connect"),
        ((), {"server": "no such host"}, "unreachable", "Cannot connect"),
    ],
)  # fmt: skip
def test_every_way_of_failing_to_connect_is_told_with_its_cause(
    lines: tuple[bytes, ...], changes: dict[str, Any], cause: str, words: str
) -> None:
    with server(*lines) as port, pytest.raises(connections.Unusable) as told:
        connection(port=port, **changes).open()
    assert told.value.cause == cause and words in str(told.value)


def connection(**changes: Any) -> connections.Connection:
    given = {"server": "127.0.0.1", "use_tls": False, "use_ssl": False, "username": "", "password": ""} | changes
    return connections.Connection(SimpleNamespace(**given), timeout=2, name="localhost")


def test_a_certificate_that_is_not_trusted_is_told_with_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **named: Any) -> Any:
        raise ssl.SSLCertVerificationError("self-signed certificate")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(connections.Unusable) as told:
        connection(port=465, use_ssl=True).open()
    assert told.value.cause == "encryption" and "self-signed" in str(told.value)


@pytest.mark.parametrize(
    ("mechanism", "replies"),
    [
        (b"PLAIN", [b"235 ok"]),
        (b"LOGIN", [b"334 UGFzc3dvcmQ6", b"235 ok"]),
        (b"CRAM-MD5", [b"334 PDE+", b"235 ok"]),
    ],
)
def test_a_password_with_any_letters_signs_in(mechanism: bytes, replies: list[bytes]) -> None:
    """In UTF-8 (RFC 4616)."""
    heard: list[bytes] = []
    lines = [HELLO, b"250-here\r\n250 AUTH " + mechanism + b"\r\n", *(one + b"\r\n" for one in replies)]
    with server(*lines, heard=heard) as port, connection(port=port, username="appß", password="geheim€ä") as ours:
        ours.open()
    said = b"".join(base64.b64decode(line.split()[-1]) for line in heard[1:] if line.split()[-1] != mechanism)
    assert "appß".encode() in said
    assert mechanism == b"CRAM-MD5" or "geheim€ä".encode() in said
