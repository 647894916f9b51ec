"""Secret keys: one ring from SECRET_KEY and its fallbacks, and a derived key for each purpose.

A key is named by a non-secret id, so that what was signed or chained with it can say which one it needs.
"""

import hashlib
import hmac
from collections.abc import Sequence
from functools import cache


class KeyRing:
    """The keys of one installation, newest first."""

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = {key_id(secret): secret for secret in secrets}
        self.current = next(iter(self._secrets))

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._secrets)

    def derive(self, purpose: str, key: str) -> bytes:
        """32 bytes for one purpose; raises KeyError when the key `key` is no longer in the ring."""
        return derive(self._secrets[key], purpose)


@cache
def derive(secret: str, purpose: str) -> bytes:
    """HKDF-like: HMAC-SHA256 of the purpose under the secret (the secret is uniformly random)."""
    return hmac.digest(secret.encode(), f"countersign {purpose}".encode(), "sha256")


@cache
def key_id(secret: str) -> str:
    """8 hex characters that name a key and tell nothing about it."""
    return hashlib.sha256(derive(secret, "key id")).hexdigest()[:8]
