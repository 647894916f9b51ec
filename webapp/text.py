"""Text as it is stored and found again."""

import hashlib
import re
import secrets
import unicodedata
from functools import lru_cache

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def clean(text: str) -> str:
    """NFC, no NUL, LF line ends, no white space around: the form in which text is counted and stored.

    Lone surrogates, which JSON can carry and no database stores, become question marks.
    """
    whole = text.replace("\0", "").encode("utf-8", "replace").decode()
    return unicodedata.normalize("NFC", whole).replace("\r\n", "\n").replace("\r", "\n").strip()


def one_line(text: str) -> str:
    """`clean`, with every run of white space and control characters made one space: fit for a mail header."""
    plain = "".join(" " if unicodedata.category(sign) in ("Cc", "Zl", "Zp") else sign for sign in clean(text))
    return " ".join(plain.split())


def sort_key(text: str) -> str:
    """Case-folded NFKC: the same order and the same hits on every database engine."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip()


def search_text(*parts: str) -> str:
    """What a search looks through, one string."""
    return sort_key(" ".join(part for part in parts if part))


# Chinese and Japanese put no spaces between words, so each of their signs is one.
_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+")
WORD_LIMIT = 40


def words(text: str) -> list[str]:
    """The words in a text as they are searched for: letters and digits, case-folded, each once, in order."""
    return list(dict.fromkeys(word[:WORD_LIMIT] for word in _WORD.findall(sort_key(text))))


def word_list(text: str) -> str:
    """The words as one string with a space before each, in which LIKE '% begin%' finds how a word begins."""
    return "".join(f" {word}" for word in words(text))


def public_id() -> str:
    """12 random Crockford characters (60 bits): the id in URLs, mails and the API."""
    # Five bits of each random byte: 32 divides 256, so every character is as likely as any other.
    return "".join(CROCKFORD[byte & 31] for byte in secrets.token_bytes(12))


def reference(public: str) -> str:
    """The name people can say: R- and the first six letters."""
    return f"R-{public[:6]}"


@lru_cache(maxsize=4096)
def initials(name: str) -> str:
    """One or two letters for a face."""
    words = [word for word in name.split() if word[:1].isalnum()]
    if not words:
        return "?"
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])).upper()


@lru_cache(maxsize=4096)
def hue(public: str) -> int:
    """1 to 12, always the same for the same id."""
    return hashlib.sha256(public.encode()).digest()[0] % 12 + 1


def whole_number(text: str) -> int | None:
    """A key as addresses and forms carry it, up to 18 digits (what a database takes); None for anything else."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def sha256(text: str) -> str:
    """SHA-256 in hex: what the audit record keeps of free text."""
    return hashlib.sha256(text.encode()).hexdigest()


def like(term: str) -> str:
    """A LIKE pattern (escape character `!`) that finds the term anywhere."""
    escaped = sort_key(term).replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


def capital(words: str) -> str:
    """The first letter large, the others as they are."""
    return words[:1].upper() + words[1:]
