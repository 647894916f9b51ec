"""Calls to other systems, against a server that does its worst: the call ends, is small, and goes where it may go."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.outgoing.hostile import OK, HostileServer
from webapp import networks, outgoing
from webapp.extensions import settings
from webapp.networks import Allowed
from webapp.outgoing import Answer, Failed, Forbidden


@pytest.fixture
def server() -> Iterator[HostileServer]:
    made = HostileServer()
    yield made
    made.close()


def call(server: HostileServer, *, seconds: float = 2.0, body: bytes = b"{}", host: str = "127.0.0.1",
         scheme: str = "http", **headers: str) -> Answer:  # fmt: skip
    """Posts to the server; only its own port on loopback is allowed."""
    allowed = Allowed(sockets={("127.0.0.1", server.port)})
    return outgoing.post(
        f"{scheme}://{host}:{server.port}/in", body, headers, seconds=seconds, allowed=allowed
    )  # fmt: skip


def test_the_answer_and_what_was_sent(server: HostileServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server.answer = lambda one: one.sendall(b"HTTP/1.1 503 Busy\r\nRetry-After: 9\r\ncontent-length: 3\r\n\r\nno!")
    found = call(server, body=b'{"a":1}', **{"webhook-id": "msg_1"})
    assert (found.status, found.reason, found.body, found.header("retry-after")) == (503, "Busy", b"no!", "9")
    (heard,) = server.heard
    assert heard.startswith(b"POST /in HTTP/1.1\r\n") and heard.endswith(b'\r\n\r\n{"a":1}')
    lines = heard.lower().split(b"\r\n")
    assert b"accept-encoding: identity" in lines and b"webhook-id: msg_1" in lines
    assert not any(line.startswith((b"cookie", b"authorization", b"proxy")) for line in lines)


def test_a_body_without_end_is_cut(server: HostileServer) -> None:
    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not server.stopped.is_set():
            connection.sendall(b"x" * 65536)

    server.answer = endless
    found = call(server)
    assert found.status == 200 and found.body == b"x" * outgoing.KEPT


def test_nothing_is_unpacked(server: HostileServer) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    server.answer = lambda one: one.sendall(head + bomb)
    assert call(server).body == bomb[: outgoing.KEPT]


def pieces(*parts: bytes) -> Iterator[bytes]:
    return (bytes([one]) for one in itertools.chain(*parts, itertools.repeat(ord("x"), 120)))


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nx: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_an_answer_byte_by_byte_ends_at_the_deadline(server: HostileServer, begin: bytes) -> None:
    server.answer = server.drip(itertools.chain([begin], pieces()), 0.05)
    began = time.monotonic()
    with pytest.raises(Failed, match=r"within 0\.6 seconds"):
        call(server, seconds=0.6)
    assert time.monotonic() - began < 1.2


def test_who_accepts_and_says_nothing(server: HostileServer) -> None:
    server.answer = lambda one: server.stopped.wait(5) and None
    began = time.monotonic()
    with pytest.raises(Failed, match=r"within 0\.4 seconds"):
        call(server, seconds=0.4)
    assert time.monotonic() - began < 1


def test_who_never_accepts() -> None:
    """A queue of connections that is full: the system completes no more of them."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, socket.socket() as one, socket.socket() as two:
        port = listener.getsockname()[1]
        for other in (one, two):
            other.setblocking(False)
            other.connect_ex(("127.0.0.1", port))
        began = time.monotonic()
        with pytest.raises(Failed):
            outgoing.post(
                f"http://127.0.0.1:{port}/", b"", {}, seconds=0.5, allowed=Allowed(sockets={("127.0.0.1", port)})
            )
        assert time.monotonic() - began < 1.2


def test_early_answers_without_end(server: HostileServer) -> None:
    def flood(connection: socket.socket) -> None:
        while not server.stopped.is_set():
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" * 100)

    server.answer = flood
    with pytest.raises(Failed, match=r"too long|within"):
        call(server)


def test_headers_without_end(server: HostileServer) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while not server.stopped.is_set():
            connection.sendall(b"x: " + b"y" * 1000 + b"\r\n")

    server.answer = flood
    with pytest.raises(Failed, match="could not be read"):
        call(server)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nx: a\nb: c\rd\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: a\r\n folded\r\n\r\n", b"not http\r\n\r\n",
        b"", b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", b"HTTP/1.1 999999 Hm\r\n\r\n", b"\0" * 300,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", b"HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 \xff\xfe\r\nx: \xff\r\n\r\n",
    ],
)  # fmt: skip
def test_a_broken_answer_is_no_answer_or_a_harmless_one(server: HostileServer, answer: bytes) -> None:
    server.answer = lambda one: one.sendall(answer)
    try:
        found = call(server)
    except Failed as failed:
        assert str(failed).endswith(".")
    else:
        assert not any("\n" in value or "\r" in value for _, value in found.headers)


def test_a_header_of_ours_with_a_line_end_is_not_sent(server: HostileServer) -> None:
    with pytest.raises(Failed):
        call(server, **{"webhook-id": "a\r\nx: y"})
    assert not any(b"x: y" in one for one in server.heard)


def test_a_redirect_is_not_followed(server: HostileServer) -> None:
    to = b"http://169.254.169.254/latest/meta-data/"
    server.answer = lambda one: one.sendall(b"HTTP/1.1 302 Found\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % to)
    assert call(server).status == 302
    assert server.connections == 1


# Certificates


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", folder / "key", "-out",
         folder / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


@pytest.fixture
def at_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    resolves(monkeypatch, {"hooks.example": ["127.0.0.1"], "other.example": ["127.0.0.1"]})


def test_a_certificate_that_nobody_signed_or_of_another_name(
    tmp_path: Path, at_loopback: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = HostileServer(certificate(tmp_path, "hooks.example"))
    try:
        with pytest.raises(Failed, match="certificate is not valid"):
            call(server, host="hooks.example", scheme="https")
        known = ssl.create_default_context(cafile=str(tmp_path / "cert"))
        monkeypatch.setattr(outgoing, "_tls", lambda: known)
        with pytest.raises(Failed, match="certificate is not valid"):
            call(server, host="other.example", scheme="https")
        assert server.heard == []
        assert call(server, host="hooks.example", scheme="https").status == 200
        assert b"Host: hooks.example:%d" % server.port in server.heard[-1]
    finally:
        server.close()


def test_no_tls_where_it_is_expected(server: HostileServer, at_loopback: None) -> None:
    server.answer = lambda one: one.sendall(OK)
    with pytest.raises(Failed):
        call(server, host="hooks.example", scheme="https", seconds=1)


# Addresses


def resolves(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]]) -> list[str]:
    """getaddrinfo answers these lists; the names that were asked for are noted."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def answer(host: Any, port: Any, *args: Any, **more: Any) -> list[Any]:
        if host not in names:
            return real(host, port, *args, **more)
        asked.append(host)
        return [
            (socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port))
            for one in names[host]
        ]  # fmt: skip

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.8.8.8", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
    "203.0.113.5", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1",
    "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "2606:4700::5efe:a00:1",
    "2606:4700::200:5efe:7f00:1",
]  # fmt: skip
TAKEN = ["1.1.1.1", "172.32.0.1", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_on_the_internet(app: Flask, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert networks.is_refused(ip_address(address))
    resolves(monkeypatch, {"hooks.example": ["1.1.1.1", address]})
    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(Forbidden):
        outgoing.post("https://hooks.example/", b"", {})
    written = f"[{address}]" if ":" in address else address
    assert networks.fault_of(f"https://{written}/")


def never(*args: Any, **more: Any) -> Any:
    raise AssertionError("connected")


@pytest.mark.parametrize("address", TAKEN)
def test_addresses_that_are(address: str) -> None:
    assert not networks.is_refused(ip_address(address))


@pytest.mark.parametrize("host", ["0x7f.1", "2130706433", "127.1", "localhost", "017700000001", "LOCALHOST."])
def test_other_ways_to_write_this_machine(app: Flask, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", never)
    with pytest.raises(Failed):
        outgoing.post(f"https://{host}/", b"", {}, seconds=2)


def test_a_name_is_looked_up_once_and_that_address_is_called(
    server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = resolves(monkeypatch, {"hooks.example": ["127.0.0.1"]})
    assert call(server, host="hooks.example").status == 200
    assert asked == ["hooks.example"]


def test_networks_of_the_installation() -> None:
    allowed = Allowed((ip_network("10.2.0.0/16"), ip_network("fd12::/32")))
    for address, refused in (
        ("10.2.9.9", False), ("::ffff:10.2.9.9", False), ("64:ff9b::a02:909", False), ("fd12::1", False),
        ("10.3.0.1", True), ("127.0.0.1", True), ("fd13::1", True),
    ):  # fmt: skip
        assert allowed.refuses(address, 443, plain=False) is refused, address
        assert allowed.refuses(address, 80, plain=True) is refused, address
    # Without TLS only within them.
    assert not allowed.refuses("1.1.1.1", 443, plain=False) and allowed.refuses("1.1.1.1", 80, plain=True)
    assert allowed.refuses("fe80::1%eth0", 443, plain=False)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Enter an address"), ("ftp://a.example/", "Enter an address"), ("https://", "Enter an address"),
        ("https://a b.example/", "without spaces"), ("https://a.example/\n", "plain letters"),
        ("https://a.example:0/", "Enter"),
        ("https://user:pw@a.example/", "Leave out the name"), ("https://a.example/#x", "after #"),
        ("http://a.example/", "Use https"), ("https://" + "a" * 600, "500 characters"),
        ("https://a.example:99999/", "Enter"),
        ("https://10.0.0.1/", "OUTGOING_NETWORKS"), ("https://[::1]/", "OUTGOING_NETWORKS"),
        ("javascript:alert(1)", "Enter"),
        ("https://[::1", "Enter"), ("https://ä.example/", "plain letters"),
    ],
)  # fmt: skip
def test_addresses_that_cannot_be_saved(app: Flask, url: str, words: str) -> None:
    assert words in networks.fault_of(url)


@pytest.mark.parametrize(
    "url", ["https://hooks.example.com/in?x=1", "https://hooks.example.com:8443", "https://1.1.1.1/"]
)
def test_addresses_that_can(app: Flask, url: str) -> None:
    assert networks.fault_of(url) == ""


def test_only_the_viewer_of_a_demo_is_on_this_machine(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = replace(settings(), mailbox=True, base_url="http://127.0.0.1:8000", port=8000)
    monkeypatch.setitem(app.extensions, "settings", demo)
    assert networks.fault_of("http://127.0.0.1:8000/webhook-viewer/in") == ""
    assert networks.fault_of("http://127.0.0.1:8000/people")
    monkeypatch.setitem(app.extensions, "settings", replace(demo, mailbox=False))
    assert networks.fault_of("http://127.0.0.1:8000/webhook-viewer/in")
