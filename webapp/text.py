"""Text as it is stored and found again."""

import hashlib
import re
import secrets
import unicodedata
from functools import lru_cache

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# Normalising sorts the marks of a run, in a time that grows with the square of its length and with the interpreter
# held. No script needs more than a few; 30 is the limit of Unicode's own Stream-Safe Text Format (UAX #15).
MARKS_LIMIT = 30

# NUL, which PostgreSQL refuses in texts, other control characters, and lone surrogates, which JSON can carry and no
# database stores. Tabs and line ends are not among them.
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_UNSTORABLE = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_LINE_END = re.compile("\r\n|[\r\x0b\x0c\x85]")


def storable(text: str) -> str:
    """Without control characters that mean nothing; lone surrogates become question marks."""
    if not _UNSTORABLE.search(text):
        return text
    return _CONTROL.sub("", text.encode("utf-8", "replace").decode())


def has_too_many_marks(text: str) -> bool:
    """Whether more than MARKS_LIMIT combining marks follow each other. Looks at each character once."""
    return _too_many(text) is not None


def thinned(text: str) -> str:
    """Without the marks beyond MARKS_LIMIT in a run, so that the text can be normalised in linear time."""
    surplus = _too_many(text)
    if surplus is None:
        return text
    gone = set(surplus)
    return "".join(sign for place, sign in enumerate(text) if place not in gone)


def _too_many(text: str) -> list[int] | None:
    """The positions of marks beyond the limit; None for a text without any, as nearly all are."""
    if text.isascii() or len(text) <= MARKS_LIMIT:
        return None
    run, found = 0, []
    for place, sign in enumerate(text):
        if sign < "\u0300":
            # The soft hyphen is a format character.
            run = run if sign == "\xad" else 0
            continue
        kind = unicodedata.category(sign)
        # The halfwidth sound marks are letters that NFKC makes marks of.
        if kind[0] == "M" or sign in "\uff9e\uff9f":
            run += 1
            if run > MARKS_LIMIT:
                found.append(place)
        elif kind != "Cf":  # format characters may be removed before normalising, so they do not end a run
            run = 0
    return found or None


def clean(text: str) -> str:
    """NFC, no control characters, LF line ends, no white space around: the form in which text is counted and stored.
    "" for a text in which there is nothing to see. Takes linear time for any text.
    """
    if text.isascii() and text.isprintable():  # as most are
        return text.strip()
    text = storable(text)
    if not text.isascii():
        # Twice: a few characters become two marks in NFC.
        text = thinned(unicodedata.normalize("NFC", thinned(text)))
        if is_blank(text):
            return ""
    return _LINE_END.sub("\n", text).strip()


# Unicode's Default_Ignorable_Code_Point, which have no look of their own, and the marks around annotations.
_INVISIBLE = re.compile(
    "[\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_JOINERS = "\u200c\u200d"
# Scripts in which a joiner between two letters makes another word, as in Persian, or another letter, as in Malayalam.
_JOINED = re.compile(
    "[\u0600-\u109f\u1780-\u18af\u1a20-\u1bff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff]"
)
_VARIATION = re.compile("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]")
_TAG = re.compile("[\U000e0020-\U000e007f]")
_FLAG = "\U0001f3f4"  # followed by tags, it is the flag of a region
# Letters and symbols that are invisible.
_BLANK = "\u115f\u1160\u2800\u3164\uffa0"


def is_blank(text: str) -> bool:
    """Whether there is nothing to see: white space, fillers, format characters, or marks on nothing."""
    return not any(unicodedata.category(sign)[0] in "LNPS" and sign not in _BLANK for sign in text)


def without_invisible(text: str) -> str:
    """Without format characters and fillers, except where they make a difference to see: joiners in scripts that need
    them, and those of emoji."""
    if text.isascii() or not _INVISIBLE.search(text):
        return text
    found = [""]
    for place, sign in enumerate(text):
        if not _INVISIBLE.match(sign) or _shows(sign, found[-1], text[place + 1 : place + 2]):
            found.append(sign)
    return "".join(found)


def _shows(sign: str, before: str, after: str) -> bool:
    if not before or before.isspace():
        return False
    if sign in _JOINERS and _JOINED.match(before) and _JOINED.match(after):
        return True
    if sign == "\u200d":
        parts = unicodedata.category(before) in ("So", "Sk") or _VARIATION.match(before) or _TAG.match(before)
        return bool(parts and after and unicodedata.category(after) in ("So", "Sm"))
    if _TAG.match(sign):
        return before == _FLAG or _TAG.match(before) is not None
    return _VARIATION.match(sign) is not None and not _INVISIBLE.match(before)


def one_line(text: str) -> str:
    """`clean`, without what is invisible, and with every run of white space made one space: the form of names, and fit
    for a mail header."""
    if not text.isascii() or not text.isprintable():
        text = clean(without_invisible(storable(text)))
    return " ".join(text.split())


def sort_key(text: str) -> str:
    """Case-folded NFKC without what is invisible: the same order and the same hits on every database engine, and the
    same for names that look the same but for case, width or spaces. Takes linear time."""
    if not text.isascii():
        text = thinned(_INVISIBLE.sub("", text).replace("\u2800", " "))
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(text.lower().split())


# Marks that people leave out when they search: accents, Hebrew points and Arabic vowel signs. The marks of other
# scripts, as of Hindi or Japanese, make another letter.
_ACCENT = re.compile(
    "[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u064b-\u065f\u0670\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff"
    "\ufe20-\ufe2f]"
)
# Letters that Unicode does not decompose, and how they are written without their mark.
_WITHOUT = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t"}
)


def fold(text: str) -> str:
    """The form for searching: the sort key without accents. "istanbul" for "İstanbul", "strasse" for "Straße"."""
    key = sort_key(text)
    if key.isascii():
        return key
    plain = _ACCENT.sub("", unicodedata.normalize("NFD", key))
    return " ".join(unicodedata.normalize("NFC", plain).translate(_WITHOUT).split())


def search_text(name: str, *more: str) -> str:
    """The text of a search index: the name on the first line, everything else on the second."""
    return f"{fold(name)}\n{fold(' '.join(part for part in more if part))}"


# Chinese and Japanese put no spaces between words, so each of their signs is one.
_SIGN = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD = re.compile(rf"[{_SIGN}]|[^\W_{_SIGN}]+")
WORD_LIMIT = 40


def words(text: str) -> list[str]:
    """The words in a text as they are searched for: letters and digits, folded, each once, in order."""
    return list(dict.fromkeys(word[:WORD_LIMIT] for word in _WORD.findall(fold(text))))


def word_list(text: str) -> str:
    """The words as one string with a space before each, in which LIKE '% begin%' finds how a word begins."""
    return "".join(f" {word}" for word in words(text))


def public_id() -> str:
    """12 random Crockford characters (60 bits): the id in URLs, emails and the API."""
    # Five bits of each random byte: 32 divides 256, so every character is as likely as any other.
    return "".join(CROCKFORD[byte & 31] for byte in secrets.token_bytes(12))


def reference(public: str) -> str:
    """The short reference for people: R- and the first six characters."""
    return f"R-{public[:6]}"


@lru_cache(maxsize=4096)
def initials(name: str) -> str:
    """One or two letters of a name."""
    words = [word for word in name.split() if word[:1].isalnum()]
    if not words:
        return "?"
    return (words[0][:1] + (words[-1][:1] if len(words) > 1 else words[0][1:2])).upper()


@lru_cache(maxsize=4096)
def hue(public: str) -> int:
    """A hue from 1 to 12, always the same for the same id."""
    return hashlib.sha256(public.encode()).digest()[0] % 12 + 1


def whole_number(text: str) -> int | None:
    """A key as addresses and forms carry it, up to 18 digits (what a database takes); None for anything else."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def sha256(text: str) -> str:
    """SHA-256 in hex: what the audit record keeps of free text."""
    return hashlib.sha256(text.encode()).hexdigest()


def like(term: str) -> str:
    """A LIKE pattern (escape character `!`) that finds the term anywhere in a `search_text`."""
    return f"%{_escaped(fold(term))}%"


def like_name(term: str) -> str:
    """A pattern for a `search_text` whose name has the term; begins with it, for a single letter."""
    key = fold(term)
    return f"{'%' if len(key) > 1 else ''}{_escaped(key)}%\n%"


def like_exactly(term: str) -> str:
    """A pattern for a sort key, accents and all."""
    return f"%{_escaped(sort_key(term))}%"


def _escaped(key: str) -> str:
    return key.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def capital(words: str) -> str:
    """The first letter large, the others as they are."""
    return words[:1].upper() + words[1:]


def ended(words: str) -> str:
    """A sentence of what a server or library answered: with a full stop unless it has an end."""
    return words if words.endswith((".", "!", "?", "…")) else f"{words}."
