"""API tokens: how they are made, and what is stored of them.

A token is "csn_" (of a service "csn_svc_"), 32 random bytes and a checksum of both, in letters and digits. By its
beginning secret scanners find it; by the checksum they, and we, tell a token from a word that looks like one. Only its
SHA-256 is stored: nothing can be guessed of 32 random bytes, so a slow hash would add nothing.
"""

import hashlib
import re
import secrets
import zlib
from ipaddress import ip_address, ip_network

PREFIX, SERVICE_PREFIX = "csn_", "csn_svc_"
# Characters of a token that are stored and shown, so that people can tell theirs apart.
SHOWN = 5
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET, _CHECK = 43, 6
_ANY = re.compile(rf"{PREFIX}[0-9A-Za-z_]*")
_FORM = re.compile(rf"({PREFIX}(?:svc_)?[0-9A-Za-z]{{{_SECRET}}})([0-9A-Za-z]{{{_CHECK}}})")


def make(*, service: bool = False) -> str:
    """A new token."""
    body = (SERVICE_PREFIX if service else PREFIX) + _letters(int.from_bytes(secrets.token_bytes(32)), _SECRET)
    return body + _check(body)


def is_well_formed(text: str) -> bool:
    """Whether the text can be a token of ours at all."""
    found = _FORM.fullmatch(text)
    return found is not None and _check(found[1]) == found[2]


def found_in(text: str) -> str:
    """The token, or the beginning of one, in a text that somebody copied: a line of a log, a header; "" for none."""
    found = _ANY.search(text)
    return found[0] if found is not None else ""


def digest(token: str) -> str:
    """What is stored of it: hexadecimal SHA-256."""
    return hashlib.sha256(token.encode()).hexdigest()


def beginning(token: str) -> str:
    """The characters that are stored and shown, "csn_7Qd4k" say."""
    return token[: len(prefix_of(token)) + SHOWN]


def prefix_of(token: str) -> str:
    return SERVICE_PREFIX if token.startswith(SERVICE_PREFIX) else PREFIX


def is_allowed_from(networks: str, address: str) -> bool:
    """Whether a token for these networks, which are parted by spaces ("" for any), may be used from this address."""
    if not networks:
        return True
    try:
        given = ip_address(address)
    except ValueError:
        return False
    given = getattr(given, "ipv4_mapped", None) or given
    return any(given in ip_network(one) for one in networks.split())


def _check(body: str) -> str:
    return _letters(zlib.crc32(body.encode()), _CHECK)


def _letters(number: int, length: int) -> str:
    """The number in base 62, with leading zeros."""
    found = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        found = _LETTERS[digit] + found
    return found
