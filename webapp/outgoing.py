"""Calls to other systems: webhooks, chat, providers of single sign-on. The one module that may import an HTTP client.

The receiver's address is typed in by an admin and its answers are not ours, so neither is trusted. A name is resolved
once and every address that it has must be allowed, then one of them is connected to: another look-up could answer
something else. One deadline covers the whole call, so that an answer that comes byte by byte ends, too. Redirects are
not followed, an answer is cut, nothing is unpacked, and proxies of the environment are not used.
"""

import functools
import queue
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import certifi
import httpcore2
import httpx2

from webapp.networks import FORBIDDEN, Allowed, allowed_for, fault_of

SECONDS = 10.0
# Bytes of an answer that are kept, and bytes that are read at most, headers included.
KEPT = 2048
READ = 128 * 1024
# Bytes that are sent at once: whoever reads them one by one holds us up for one piece longer at most.
_PIECE = 4096


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


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = SECONDS, allowed: Allowed | None = None,
    kept: int = KEPT,
) -> Answer:  # fmt: skip
    """Posts the body and returns the answer, whatever its status, with `kept` bytes of it at most. Raises Failed. No
    transaction may be open."""
    return _call("POST", url, body, headers, seconds=seconds, allowed=allowed, kept=kept)


def get(
    url: str, headers: Mapping[str, str], *, seconds: float = SECONDS, allowed: Allowed | None = None,
    kept: int = KEPT,
) -> Answer:  # fmt: skip
    """As `post`, for what is read."""
    return _call("GET", url, b"", headers, seconds=seconds, allowed=allowed, kept=kept)


def _call(
    method: str, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float, allowed: Allowed | None,
    kept: int,
) -> Answer:  # fmt: skip
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
            with client.stream(method, url, content=body or None, headers=sent) as response:
                return Answer(
                    response.status_code, response.reason_phrase[:100],
                    tuple((name.lower(), value[:300]) for name, value in response.headers.multi_items()[:40]),
                    _beginning(response.iter_raw(KEPT), kept), round((time.monotonic() - began) * 1000),
                )  # fmt: skip
    except Failed:
        raise
    except httpx2.TimeoutException:
        raise Failed(f"No answer within {seconds:g} seconds.") from None
    except httpx2.ConnectError as error:
        raise Failed(_why_not_connected(error)) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
        raise Failed(f"The answer could not be read: {str(error)[:200] or type(error).__name__}.") from None


def _beginning(parts: Iterable[bytes], kept: int) -> bytes:
    found = b""
    for part in parts:
        found += part
        if len(found) >= kept:
            break
    return found[:kept]


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
            raise Forbidden(FORBIDDEN)
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
