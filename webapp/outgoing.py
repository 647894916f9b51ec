"""Calls to other systems: webhooks and chat. The one module that may import an HTTP client.

The receiver's address is typed in by an admin and its answers are not ours, so neither is trusted. A name is resolved
once and every address that it has must be allowed, then one of them is connected to: another look-up could answer
something else. One deadline covers the whole call, so that an answer that comes byte by byte ends, too. Redirects are
not followed, an answer is cut, nothing is unpacked, and proxies of the environment are not used.
"""

import functools
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpcore2
import httpx2

from webapp import hosts
from webapp.extensions import settings

SECONDS = 10.0
# Bytes of an answer that are kept, and bytes that are read at most, headers included.
KEPT = 2048
READ = 128 * 1024
ADDRESS_LIMIT = 500
# Bytes that are sent at once: whoever reads them one by one holds us up for one piece longer at most.
_PIECE = 4096
# Where the demo delivers to itself: the one address on loopback that is allowed, and only there.
VIEWER_PATH = "/webhook-viewer/in"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# Not reachable from the internet, or not one machine. Of our own: Python's `is_global` is true for some of them.
_REFUSED_4 = tuple(
    IPv4Network(one)
    for one in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
# Of IPv6 only 2000::/3 is the internet. Within it: Teredo and other protocols, examples, 6to4, which holds an IPv4.
_INTERNET_6 = IPv6Network("2000::/3")
_REFUSED_6 = [IPv6Network(one) for one in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
# Those whose last 32 bits are an IPv4 address that the packet goes to.
_HOLD_IPV4 = [IPv6Network(one) for one in ("::ffff:0:0/96", "64:ff9b::/96")]
_ISATAP = (0x00005EFE, 0x02005EFE)


class Failed(Exception):
    """There was no answer; `str(error)` says why in a sentence."""


class Forbidden(Failed):
    """The receiver's address is not one that Countersign calls."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the receiver answered; `body` is cut after KEPT bytes."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    ms: int

    def header(self, name: str) -> str:
        """The first header of this name, given in lower case; "" for none."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What is allowed besides the internet: networks of the installation, and single (address, port) pairs."""

    networks: tuple[Network, ...] = ()
    sockets: Collection[tuple[str, int]] = ()

    def refuses(self, text: str, port: int, *, plain: bool) -> bool:
        """Whether this address (as text) may not be called. `plain`: without TLS, which the internet is never."""
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return True  # with a zone, fe80::1%eth0
        if (text, port) in self.sockets:
            return False
        address = _packet_goes_to(address)
        if any(address in one for one in self.networks):
            return False
        return plain or is_refused(address)


def viewer(base_url: str) -> str:
    """The address of the webhook viewer of a demo at this address."""
    return f"{base_url}{VIEWER_PATH}"


def allowed_for(url: str) -> Allowed:
    """What this installation allows for a call to this address."""
    ours = settings()
    if ours.mailbox and url == viewer(ours.base_url):
        return Allowed(ours.outgoing_networks, {("127.0.0.1", ours.port), ("::1", ours.port)})
    return Allowed(ours.outgoing_networks)


def is_refused(address: Address) -> bool:
    """Whether an address is not on the internet."""
    address = _packet_goes_to(address)
    if isinstance(address, IPv4Address):
        return any(address in one for one in _REFUSED_4)
    if address not in _INTERNET_6 or any(address in one for one in _REFUSED_6):
        return True
    low = int(address) & 0xFFFFFFFFFFFFFFFF
    return low >> 32 in _ISATAP and is_refused(IPv4Address(low & 0xFFFFFFFF))


def _packet_goes_to(address: Address) -> Address:
    if isinstance(address, IPv6Address) and any(address in one for one in _HOLD_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def fault_of(url: str, allowed: Allowed | None = None) -> str:
    """What is wrong with an address that is to be called, in a sentence; "" for nothing. Asks no name server."""
    if len(url) > ADDRESS_LIMIT:
        return f"Use {ADDRESS_LIMIT} characters or fewer. You entered {len(url):,}."
    if not url.isascii() or not url.isprintable() or " " in url:
        return "Enter an address in plain letters, without spaces."
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "Enter an address such as https://hooks.example.com/countersign."
    host = hosts.canonical(f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or "")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        return "Enter an address such as https://hooks.example.com/countersign."
    if parts.username is not None or parts.password is not None:
        return "Leave out the name and password. Every event is signed instead."
    if parts.fragment:
        return "Leave out the part after #."
    allowed = allowed or allowed_for(url)
    if parts.scheme == "http" and not (allowed.networks or allowed.sockets):
        return "Use https://, so that nobody can read or change what is sent."
    with suppress(ValueError):
        if allowed.refuses(str(ipaddress.ip_address(host.strip("[]"))), port or 443, plain=parts.scheme == "http"):
            return _FORBIDDEN
    return ""


_FORBIDDEN = (
    "This address is not on the internet. To allow a network of your own, set OUTGOING_NETWORKS, "
    "for example to 10.2.0.0/16."
)


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS, allowed: Allowed | None = None,
) -> Answer:  # fmt: skip
    """Posts the body and returns the answer, whatever its status. Raises Failed. No transaction may be open."""
    allowed = allowed or allowed_for(url)
    if fault := fault_of(url, allowed):
        raise Forbidden(fault)
    plain = url.lower().startswith("http:")
    backend = _Backend(allowed, time.monotonic() + seconds, plain=plain)
    began = time.monotonic()
    try:
        with httpx2.Client(transport=_transport(backend), trust_env=False, timeout=seconds) as client:
            # Not packed: an answer of 48 kB could become 50 MB.
            sent = {"accept-encoding": "identity", "connection": "close", **headers}
            with client.stream("POST", url, content=body, headers=sent) as response:
                return Answer(
                    response.status_code, response.reason_phrase[:100],
                    tuple((name.lower(), value[:300]) for name, value in response.headers.multi_items()[:40]),
                    _beginning(response.iter_raw(KEPT)), round((time.monotonic() - began) * 1000),
                )  # fmt: skip
    except Failed:
        raise
    except httpx2.TimeoutException:
        raise Failed(f"No answer within {seconds:g} seconds.") from None
    except httpx2.ConnectError as error:
        raise Failed(_why_not_connected(error)) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise Failed(f"The answer could not be read: {str(error)[:200] or type(error).__name__}.") from None


def _beginning(parts: Iterable[bytes]) -> bytes:
    found = b""
    for part in parts:
        found += part
        if len(found) >= KEPT:
            break
    return found[:KEPT]


def _why_not_connected(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"Its certificate is not valid: {cause.verify_message[:200]}."
        if isinstance(cause, ssl.SSLError):
            return "It does not speak TLS."
        if isinstance(cause, OSError) and cause.strerror:
            return f"No connection: {cause.strerror[:100].lower()}."
        cause = cause.__cause__ or cause.__context__
    return "No connection."


def _transport(backend: "_Backend") -> httpx2.HTTPTransport:
    transport = httpx2.HTTPTransport(verify=_tls(), trust_env=False)
    transport._pool.close()
    transport._pool = httpcore2.ConnectionPool(ssl_context=_tls(), network_backend=backend)
    return transport


@functools.cache
def _tls() -> ssl.SSLContext:
    """Made once: reading the certificates takes long. Those of the system count, so that a company's own do, too."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class _Backend(httpcore2.NetworkBackend):
    """Connects for one call: only to what is allowed, and everything until one deadline."""

    def __init__(self, allowed: Allowed, deadline: float, *, plain: bool) -> None:
        self._allowed, self._deadline, self._plain = allowed, deadline, plain

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:  # fmt: skip
        addresses = _resolve(host, port, self._left())
        if not addresses or any(self._allowed.refuses(one, port, plain=self._plain) for one in addresses):
            raise Forbidden(_FORBIDDEN)
        for number, address in enumerate(addresses):
            try:
                # The others get their part of the time, if this one swallows packets.
                part = self._left() / (len(addresses) - number)
                stream = httpcore2.SyncBackend().connect_tcp(address, port, part, None, socket_options or [])
                return _Stream(stream, self._deadline, [READ])
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == len(addresses) - 1:
                    raise
        raise httpcore2.ConnectError("No address.")

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ConnectTimeout
        return left


class _Stream(httpcore2.NetworkStream):
    """A connection whose every wait ends at the deadline, and that reads so many bytes at most: `left`, which the
    connection shares with the one that it becomes by TLS."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: float, left: list[int]) -> None:
        self._stream, self._deadline, self._bytes = stream, deadline, left

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if self._bytes[0] <= 0:
            raise httpcore2.ReadError("it is too long")
        found = self._stream.read(min(max_bytes, self._bytes[0]), self._left(httpcore2.ReadTimeout))
        self._bytes[0] -= len(found)
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[begin : begin + _PIECE], self._left(httpcore2.WriteTimeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._left(httpcore2.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._deadline, self._bytes)

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, late: type[Exception]) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise late()
        return left


def _resolve(host: str, port: int, seconds: float) -> list[str]:
    """Every address of a host, each once. In a thread of its own, as the system's resolver takes no time limit."""
    found: queue.SimpleQueue[list[Any] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found.put(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.put(error if isinstance(error, OSError) else OSError(str(error)))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = found.get(timeout=seconds)
    except queue.Empty:
        raise Failed("Its name could not be looked up in time.") from None
    if isinstance(answer, OSError):
        raise Failed("Its name is not known. Check how it is written.")
    return list(dict.fromkeys(str(one[4][0]) for one in answer))
