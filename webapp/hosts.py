"""Names of hosts in one form: as browsers send them, whatever was typed into a setting or an address bar."""

import re
from ipaddress import IPv6Address, ip_address

import idna

_NETLOC = re.compile(r"(\[[^\[\]@/]*\]|[^:\[\]@/]*)(:[0-9]{0,5})?")
_NAME = re.compile(r"[^\s.:/@?#\[\]]+(\.[^\s.:/@?#\[\]]+)*")


def canonical(host: str) -> str:
    """Lower case, in ASCII, without the dot at the end; IPv6 in brackets, in its shortest form. "" for no host."""
    text = host.strip()
    try:
        address = ip_address(text[1:-1] if text.startswith("[") and text.endswith("]") else text)
    except ValueError:
        pass
    else:
        return f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    name = text.removesuffix(".").lower()
    if len(name) > 253 or not _NAME.fullmatch(name):
        return ""
    try:
        return name if name.isascii() else idna.encode(name, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        return ""


def canonical_netloc(netloc: str) -> tuple[str, str]:
    """(host, ":port" or ""); ("", "") when it cannot be one."""
    found = _NETLOC.fullmatch(netloc.strip())
    host = canonical(found[1]) if found else ""
    if not found or not host or (found[2] and not 1 <= int(found[2][1:] or "1") <= 65535):
        return "", ""
    return host, found[2] if found[2] and found[2] != ":" else ""


def is_trusted(host: str, trusted: tuple[str, ...]) -> bool:
    """Whether a host in its one form is among these; one that begins with a dot stands for all below it."""
    return any(host == one or (one.startswith(".") and f".{host}".endswith(one)) for one in trusted)


def trusted(given: str) -> str:
    """One host of TRUSTED_HOSTS in the form that `is_trusted` compares; "" for no host."""
    below = given.strip().startswith(".")
    # A bare IPv6 address has no port.
    text = given.strip()[below:]
    host = canonical(text) if text.count(":") > 1 and not text.startswith("[") else canonical_netloc(text)[0]
    return f".{host}" if below and host else host


def is_loopback(host: str) -> bool:
    """Whether a host in its one form is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
