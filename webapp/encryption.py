"""Secrets that have to be read again, as the address of a chat channel: stored encrypted by a key of the ring."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from webapp.extensions import keyring

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

PURPOSE = "stored secrets"


class Unreadable(Exception):
    """It was encrypted by a key that is no longer configured, or was changed."""


def encrypt(text: str) -> str:
    """What is stored of it: the id of the key, and the encrypted text."""
    key_id = keyring().current
    return f"{key_id}.{_by(key_id).encrypt(text.encode()).decode()}"


def decrypt(stored: str) -> str:
    """The text. Raises Unreadable."""
    from cryptography.fernet import InvalidToken

    key_id, _, token = stored.partition(".")
    try:
        return _by(key_id).decrypt(token).decode()
    except (KeyError, InvalidToken):
        raise Unreadable(
            "It was encrypted with a secret key that is no longer configured. Add that key to SECRET_KEY_FALLBACKS, "
            "or enter it again."
        ) from None


def is_current(stored: str) -> bool:
    """Whether it was encrypted by the newest key."""
    return stored.startswith(f"{keyring().current}.")


def _by(key_id: str) -> Fernet:
    # Loaded where it is needed: it takes 8 MB, and most processes never read a stored secret.
    from cryptography.fernet import Fernet

    return Fernet(base64.urlsafe_b64encode(keyring().derive(PURPOSE, key_id)))
