"""Passwords: argon2id. Slow on purpose, so never inside a write transaction."""

import unicodedata
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

SHORTEST = 12
LONGEST = 200
# What a keyboard composes may arrive in up to four characters for one.
_LONGEST_TYPED = 4 * LONGEST

# OWASP's second choice (19 MiB, 2 passes, 1 lane): about 20 ms, and bounded memory under a burst of sign-ins.
_hasher = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)


def hash_password(password: str) -> str:
    """The argon2id hash, as one string with its parameters and salt."""
    return _hasher.hash(_one_form(password))


def fits(hash: str | None, password: str) -> bool:
    """Whether the password is the one. Takes as long for somebody who is not there (hash None)."""
    nobody = _nobody()  # made by the first caller, whoever is asked for
    if len(password) > _LONGEST_TYPED:  # nobody's: refused before it is normalised and hashed
        hash, password = None, ""
    try:
        _hasher.verify(hash or nobody, _one_form(password))
    except (VerificationError, InvalidHashError):
        return False
    return hash is not None


def outdated(hash: str) -> bool:
    """Whether the hash was made with other parameters than today's."""
    return _hasher.check_needs_rehash(hash)


def _one_form(password: str) -> str:
    """Keyboards compose accents differently; NFC makes one password of them. The length is bounded before."""
    return unicodedata.normalize("NFC", password)


@cache
def _nobody() -> str:
    return _hasher.hash("nobody has this password")


def too_weak(password: str) -> str:
    """A sentence about what is wrong with a new password, or ""."""
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters. Several random words are easy to remember."
    if len(password) > LONGEST:
        return f"Use {LONGEST} characters or fewer."
    if len(set(password)) < 5:
        return "This password is too easy to guess. Use more different characters."
    return ""
