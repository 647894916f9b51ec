"""Which addresses other systems may have that Countersign calls: the internet, and what the installation allows."""

import ipaddress
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from urllib.parse import urlsplit

from webapp import hosts
from webapp.extensions import settings

ADDRESS_LIMIT = 500
# Where the demo delivers to itself: the one address on loopback that is allowed, and only there.
VIEWER_PATH = "/webhook-viewer/in"
FORBIDDEN = (
    "This address is not on the internet. To allow a network of your own, set OUTGOING_NETWORKS, "
    "for example to 10.2.0.0/16."
)

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
    if ours.mailbox and url.partition("?")[0] == viewer(ours.base_url):
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
            return FORBIDDEN
    return ""
