"""Email addresses in one form, so that two spellings of one mailbox are one person, and email goes where it was meant.

The form is: lower case, the domain as IDNA 2008 with UTS 46 has it, in letters ("max@straße.example"). Mail carries the
same domain in ASCII. Python's own codec is IDNA 2003, which makes another domain of some ("strasse.example").
"""

import re
import unicodedata

import idna

from webapp.text import one_line

LONGEST = 254  # of the whole, in ASCII; RFC 5321 as corrected
_LOOKED_AT = 4 * LONGEST
LONGEST_LOCAL = 64
LONGEST_LABEL = 63
# Narrower than the standard: no quotes, comments or folding, so that an address is one word in every header.
_LOCAL = re.compile(r"[^\s@<>()\[\],;:\\\"]+")
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_PUBLIC_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?!\d+$)[a-z0-9][a-z0-9-]*[a-z0-9]")
# An organisation's own mail server may know names without a dot, and with a line below.
_ANY_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")


class BadAddress(ValueError):
    """`str(error)` says to people why this address cannot be used."""


def canonical(given: str) -> str:
    """The one form of an address. Raises BadAddress, also for an address that no email can be sent to from here.

    Mail servers need not accept other letters than ASCII before the @ (SMTPUTF8), and many do not.
    """
    local, domain = _parts(given)
    if not _PUBLIC_DOMAIN.fullmatch(domain):
        raise BadAddress(_not_a_domain(given, domain))
    return f"{local}@{idna.decode(domain)}"


def in_ascii(given: str) -> str:
    """The address as email carries it. Raises BadAddress."""
    local, domain = _parts(given)
    return f"{local}@{domain}"


def plain(given: str) -> str:
    """What was typed, in lower case and on one line, of what is much too long the beginning; for what may be no address
    at all."""
    return one_line(given[:_LOOKED_AT]).lower()


def same(given: str) -> str:
    """`canonical`, or `plain` where there is no such form: equal for what is meant to be equal."""
    try:
        return canonical(given)
    except BadAddress:
        return plain(given)


def _parts(given: str) -> tuple[str, str]:
    """(local part, domain in ASCII)."""
    typed = plain(given)
    shown = _shown(typed)
    if len(typed) > 2 * LONGEST or len(given) > _LOOKED_AT:
        raise BadAddress(f"An email address can have up to {LONGEST} characters. This one has {len(given):,}.")
    # A keyboard for Chinese or Japanese writes wide letters, and a wide @.
    local, _, domain = unicodedata.normalize("NFKC", typed).rpartition("@")
    if not _LOCAL.fullmatch(local) or not domain:
        raise BadAddress(f"{shown} is not an email address. Enter one like name@example.com.")
    if not local.isascii():
        odd = next(sign for sign in local if not sign.isascii())
        raise BadAddress(
            f"{shown} has “{odd}” before the @. Email cannot be sent to it from here: use an address with the letters "
            "a to z."
        )
    if len(local) > LONGEST_LOCAL:
        raise BadAddress(
            f"An address can have up to {LONGEST_LOCAL} characters before the @. This one has {len(local)}."
        )
    domain = _domain(given, domain)
    if len(local) + 1 + len(domain) > LONGEST:
        raise BadAddress(f"{shown} is too long: mail carries up to {LONGEST} characters.")
    return local, domain


def _domain(given: str, domain: str) -> str:
    """In ASCII. Raises BadAddress."""
    if domain.isascii() and "xn--" not in domain:
        labels = domain.split(".")
    else:
        try:
            labels = idna.uts46_remap(domain, std3_rules=True, transitional=False).split(".")
            labels = [label if label.isascii() else f"xn--{label.encode('punycode').decode()}" for label in labels]
        except (idna.IDNAError, UnicodeError):
            raise BadAddress(_not_a_domain(given, domain)) from None
    for label in labels:
        if len(label) > LONGEST_LABEL:
            raise BadAddress(
                f"A part of the domain between two dots can have up to {LONGEST_LABEL} characters. “{label[:80]}” has "
                f"{len(label)}."
            )
    found = ".".join(labels)
    try:
        if "xn--" in found:
            found = idna.encode(found).decode()
    except (idna.IDNAError, UnicodeError):
        raise BadAddress(_not_a_domain(given, domain)) from None
    if not _ANY_DOMAIN.fullmatch(found) or ".." in found:
        raise BadAddress(_not_a_domain(given, domain))
    return found


def _shown(given: str) -> str:
    return f"“{plain(given)[:80]}”"


def _not_a_domain(given: str, domain: str) -> str:
    return (
        f"{_shown(given)} is not an email address: “{domain[:80]}” is not the name of a mail domain, like example.com."
    )
