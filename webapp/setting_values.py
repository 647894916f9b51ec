"""Values of settings, one function for each kind: it answers the value in its one form, or raises SettingsError with a
sentence that says what to set. No sentence holds a password.
"""

import os
import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from webapp import addresses, hosts

_ENCODED = "A password in it has to be percent-encoded: @ is %40, / is %2F, # is %23."
_SENDER = re.compile(r"[^<>,;:]*<([^<>]+)>")
# Whose values may be anything, even what looks like a slip.
SECRETS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS", "MAIL_PASSWORD")
LONGEST = 4000
Network = IPv4Network | IPv6Network
# Networks that no installation can allow: this machine, its neighbours (and the metadata of a cloud), many at once.
NEVER = tuple(
    ip_network(one)
    for one in ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/96", "fe80::/10", "ff00::/8")
)


class SettingsError(Exception):
    """The environment does not make sense; `str(error)` says what to change."""


def check_form(env: Mapping[str, str], names: tuple[str, ...]) -> None:
    """Quotation marks that a file of settings keeps as a part of the value, line breaks, and values without end."""
    for name in names:
        value = env.get(name, "").strip()
        if len(value) > LONGEST:
            raise SettingsError(f"{name} has {len(value):,} characters. Use {LONGEST:,} or fewer.")
        if any(ord(sign) < 32 or ord(sign) == 127 for sign in value):
            raise SettingsError(f"{name} has a line break or another control character in it. Set it to one line.")
        if name not in SECRETS and len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            raise SettingsError(f"{name} is in quotation marks. Set it without them.")


def flag(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    value = env.get(name, "").strip().lower()
    if not value:
        return default
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off"):
        return False
    raise SettingsError(f"{name} is {value!r}. Set it to 1 or 0.")


def number(env: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    value = env.get(name, "").strip()
    if not value:
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10) or not low <= int(value) <= high:
        raise SettingsError(f"{name} is {value[:40]!r}. Set it to a number from {low} to {high}.")
    return int(value)


def _host_and_port(name: str, url: str) -> tuple[str, int | None]:
    """Of an address with a scheme, ("", None) for none. Its words are not repeated: they may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(f"{name} has an invalid host or port. {_ENCODED}") from None
    if port == 0 or parts.fragment or any(one.isspace() for one in parts.netloc):
        raise SettingsError(f"{name} has an invalid host or port. {_ENCODED}")
    return parts.hostname or "", port


def database_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise SettingsError("DATABASE_URL is not an address, for example postgresql://user:password@host/name.")
    if scheme in ("sqlite", "sqlite+pysqlite"):
        return _sqlite_url(url, rest)
    if scheme not in ("postgres", "postgresql", "postgresql+psycopg"):
        raise SettingsError(
            f"DATABASE_URL begins with {scheme[:40]}://. Countersign runs on postgresql:// and sqlite://."
        )
    _host_and_port("DATABASE_URL", url)
    if not urlsplit(url).path.strip("/"):
        raise SettingsError(
            "DATABASE_URL names no database. Set it to an address such as postgresql://user:password@host/name."
        )
    return f"postgresql+psycopg://{rest}"


def _sqlite_url(url: str, rest: str) -> str:
    path = rest.partition("?")[0].removeprefix("/")
    if not path or path == ":memory:":
        raise SettingsError(
            "DATABASE_URL names no file. Set it to an address such as sqlite:////var/lib/countersign.db."
        )
    if rest.partition("?")[0].startswith("/") is False:
        raise SettingsError("DATABASE_URL names a host, which SQLite has not. A path begins after sqlite:///.")
    folder = Path(path).parent
    if folder.is_absolute() and not folder.is_dir():
        raise SettingsError(f"DATABASE_URL names a file in the folder {folder}, which does not exist. Create it first.")
    if Path(path).is_dir():
        raise SettingsError(f"DATABASE_URL names the folder {path}. Set it to a file in it.")
    return url


def redis_url(url: str) -> str:
    if not url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError(
            "REDIS_URL has to begin with redis://, rediss:// or unix://, for example redis://127.0.0.1:6379/0."
        )
    parts = urlsplit(url)
    if url.startswith("unix://"):
        if not parts.path.strip("/"):
            raise SettingsError("REDIS_URL names no socket. Set it to unix:// and a path.")
        return url
    host, _ = _host_and_port("REDIS_URL", url)
    if not host:
        raise SettingsError("REDIS_URL has no host, for example redis://127.0.0.1:6379/0.")
    if not re.fullmatch(r"/?|/[0-9]{1,5}", parts.path):
        raise SettingsError(f"REDIS_URL ends with {parts.path!r}. A number of a database belongs there, as in /0.")
    return url


def base_url(url: str) -> tuple[str, str]:
    """(the address with its host in its one form, the host)."""
    if not url:
        raise SettingsError("BASE_URL is not set. Set it to the address that people open: https://apps.example.com.")
    try:
        parts = urlsplit(url)
        given = parts.port
    except ValueError:
        raise SettingsError(f"BASE_URL ({url}) has an invalid host or port.") from None
    host, port = hosts.canonical_netloc(parts.netloc)
    extra = parts.path or parts.query or parts.fragment or parts.username is not None or given == 0
    if parts.scheme not in ("http", "https") or not host or extra or any(one.isspace() for one in url):
        raise SettingsError(f"BASE_URL ({url}) must be http:// or https:// and a host, without a path.")
    if parts.scheme == "http" and not hosts.is_loopback(host):
        raise SettingsError("BASE_URL must start with https:// unless it is this machine.")
    if port == {"http": ":80", "https": ":443"}[parts.scheme]:
        port = ""  # browsers leave it out
    return f"{parts.scheme}://{host}{port}", host


def trusted_hosts(given: str, host: str) -> tuple[str, ...]:
    """The hosts of TRUSTED_HOSTS; with nothing set, `host`, that of BASE_URL, and this machine's names if it is one."""
    names = [one.strip() for one in given.split(",") if one.strip()]
    found = tuple(hosts.trusted(one) for one in names)
    for name, form in zip(names, found, strict=True):
        if not form or "*" in form:
            raise SettingsError(
                f"TRUSTED_HOSTS has {name[:80]!r} in it. Set it to names of hosts with commas, such as "
                "apps.example.com, or .example.com for all below it."
            )
    if found and not hosts.is_trusted(host, found):
        raise SettingsError(f"TRUSTED_HOSTS does not have {host} in it, the host of BASE_URL. Add it.")
    return found or ((host, "127.0.0.1", "localhost", "[::1]") if hosts.is_loopback(host) else (host,))


def mail_server(given: str) -> str:
    """A host's name or address."""
    if "://" in given or "/" in given:
        raise SettingsError(
            f"MAIL_SERVER is {given[:80]!r}. Set it to the name of the host only, such as smtp.example.com; "
            "for TLS set MAIL_USE_TLS=1 or MAIL_USE_SSL=1."
        )
    if "@" in given:
        raise SettingsError("MAIL_SERVER has an @ in it. Set MAIL_USERNAME and MAIL_PASSWORD for signing in.")
    host = hosts.canonical(given)
    if host:
        return host.strip("[]")
    if hosts.canonical_netloc(given)[1]:
        raise SettingsError(
            f"MAIL_SERVER is {given[:80]!r}. Set it to the name of the host, and MAIL_PORT to its port."
        )
    raise SettingsError(f"MAIL_SERVER is {given[:80]!r}, which is not the name of a host.")


def mail_sign_in(username: str, password: str) -> None:
    if bool(username) != bool(password):
        missing, present = ("MAIL_PASSWORD", "MAIL_USERNAME") if username else ("MAIL_USERNAME", "MAIL_PASSWORD")
        raise SettingsError(f"{missing} is not set, but {present} is. Set both to sign in to the mail server, or none.")


def sender(given: str) -> str:
    """The address of MAIL_DEFAULT_SENDER; a name before it is allowed, and left out."""
    named = _SENDER.fullmatch(given)
    try:
        addresses.in_ascii(named[1] if named else given)
    except addresses.BadAddress:
        raise SettingsError(
            f"MAIL_DEFAULT_SENDER is {given[:80]!r}. Set it to an address only, such as it@example.com. "
            "The name is set with: countersign organisation --sender NAME"
        ) from None
    return named[1].strip() if named else given


def data_folder(given: str, otherwise: Path) -> Path:
    """Made if need be."""
    try:
        folder = Path(given.strip() or otherwise).expanduser().resolve()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SettingsError(
            f"The data folder {given.strip() or otherwise} cannot be made: {reason}. "
            "Set COUNTERSIGN_DATA to another one."
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise SettingsError(
            f"The data folder {folder} cannot be written to. Make it writable, or set COUNTERSIGN_DATA to another one."
        )
    return folder


def anchor_file(given: str) -> Path | None:
    if not given.strip():
        return None
    try:
        path = Path(given.strip()).expanduser().resolve()
    except (OSError, RuntimeError):
        raise SettingsError(f"AUDIT_ANCHOR is {given[:80]!r}, which is not a path.") from None
    if path.is_dir():
        raise SettingsError(f"AUDIT_ANCHOR is the folder {path}. Set it to a file in it.")
    if not path.parent.is_dir():
        raise SettingsError(
            f"AUDIT_ANCHOR is a file in the folder {path.parent}, which does not exist. Create it, or set another one."
        )
    return path


def networks(text: str) -> tuple[Network, ...]:
    """Networks of the installation that it may call: addresses or networks, parted by commas."""
    found = []
    for one in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ip_network(one)
        except ValueError:
            raise SettingsError(
                f"OUTGOING_NETWORKS has {one[:60]!r} in it, which is no network. Example: 10.2.0.0/16,192.168.7.9"
            ) from None
        if any(network.version == never.version and network.overlaps(never) for never in NEVER):
            raise SettingsError(
                f"OUTGOING_NETWORKS has {one[:60]!r} in it. Loopback, link-local and multicast addresses cannot be "
                "allowed, because what listens there is this machine or its cloud."
            )
        found.append(network)
    return tuple(found)
