"""Where the command is signed in: the environment, else a file that only its owner reads."""

import json
import os
import tempfile
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from countersign_cli.failures import Exit, Failure

ADDRESS, TOKEN = "COUNTERSIGN_ADDRESS", "COUNTERSIGN_TOKEN"  # nosec
# Where bin/run answers.
LOCAL = "http://127.0.0.1:8000"


def path() -> Path:
    """tokens.json in the XDG config folder."""
    home = os.environ.get("XDG_CONFIG_HOME", "")
    # The standard says to ignore a relative one.
    folder = Path(home) if home.startswith("/") else Path.home() / ".config"
    return folder / "countersign" / "tokens.json"


@dataclass
class Saved:
    """What the file holds: address → {"token", "name"}, and the address that was signed in to last."""

    current: str = ""
    addresses: dict[str, dict[str, str]] = field(default_factory=dict)


def load() -> Saved:
    try:
        given: Any = json.loads(path().read_text(encoding="utf-8"))
        addresses = {str(one): {str(k): str(v) for k, v in of.items()} for one, of in given["addresses"].items()}
        return Saved(str(given["current"]), addresses)
    except FileNotFoundError:
        return Saved()
    except OSError as error:
        raise Failure(Exit.USAGE, f"{path()} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, AttributeError, TypeError):
        raise Failure(Exit.USAGE, f"{path()} is not what this command wrote. Remove it and sign in again.") from None


def save(saved: Saved) -> None:
    """Writes the file whole or not at all; only its owner reads it from its first byte on."""
    file = path()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".tokens-")  # mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump({"current": saved.current, "addresses": saved.addresses}, stream, indent=2)
        os.replace(temporary, file)
    except OSError as error:
        raise Failure(Exit.USAGE, f"{file} cannot be written: {error.strerror}.") from None


def address_of(given: str | None) -> str:
    """The installation to talk to: the option, else the environment, else where the person signed in last."""
    named = given or os.environ.get(ADDRESS) or load().current or LOCAL
    return checked(named)


def token_of(address: str) -> str:
    """The token for this address; "" for none. The environment's wins."""
    return os.environ.get(TOKEN, "").strip() or load().addresses.get(address, {}).get("token", "")


def checked(given: str) -> str:
    """The address without a path. Raises Failure for one that would send the token in the clear."""
    given = given.strip() if "://" in given else f"https://{given.strip()}"
    try:
        parts = urlsplit(given)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise Failure(Exit.USAGE, f"“{given[:80]}” is not an address. Example: https://apps.example.com")
    if parts.scheme == "http" and not is_this_machine(host):
        raise Failure(Exit.USAGE, f"{given[:80]} would send your token unencrypted. Use https://.")
    name = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{name}{f':{port}' if port else ''}"


def is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
