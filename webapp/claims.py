"""What a provider of single sign-on says of a person, read strictly. No Flask, no database, no network."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from webapp.text import one_line, storable

GROUPS_LIMIT = 2000
# What Microsoft sends in place of a claim that would be too large.
_ELSEWHERE = "_claim_names"


@dataclass(frozen=True, slots=True)
class Claims:
    """The part of the claims that Countersign uses.

    `verified_email` is "" unless the provider has verified it. `groups` is None where none came: nothing follows from
    that. `authenticated_at` is when the person signed in there, if the provider says so.
    """

    subject: str
    email: str = ""
    verified_email: str = ""
    name: str = ""
    groups: frozenset[str] | None = None
    sid: str = ""
    authenticated_at: datetime | None = None

    @classmethod
    def of(cls, raw: Mapping[str, Any], *, groups_claim: str = "") -> Self:
        """Reads claims whose token was checked."""
        email = _text(raw, "email", 254)
        return cls(
            subject=_text(raw, "sub", 255),
            email=email,
            # A string "true" is not true: some providers let people write their own claims.
            verified_email=email if raw.get("email_verified") is True else "",
            name=_name(raw),
            groups=groups_of(raw, groups_claim),
            sid=_text(raw, "sid", 255),
            authenticated_at=instant(raw.get("auth_time")),
        )


def groups_of(raw: Mapping[str, Any], claim: str) -> frozenset[str] | None:
    """The person's groups, or None where the provider does not say them all."""
    found = raw.get(claim) if claim else None
    elsewhere = raw.get(_ELSEWHERE)
    if isinstance(elsewhere, Mapping) and claim in elsewhere:
        return None
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, list) or len(found) > GROUPS_LIMIT:
        return None
    return frozenset(one for one in found if isinstance(one, str))


def instant(value: Any) -> datetime | None:
    """Seconds since 1970 as an instant."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _name(raw: Mapping[str, Any]) -> str:
    parts = (_text(raw, "given_name", 120), _text(raw, "family_name", 120))
    return (_text(raw, "name", 120) or " ".join(part for part in parts if part))[:120].strip()


def _text(raw: Mapping[str, Any], key: str, limit: int) -> str:
    """A text of one line; "" for anything else, and for what is too long, as half of it is another text."""
    value = raw.get(key)
    if not isinstance(value, str) or len(value) > limit or storable(value) != value:
        return ""
    return value if key in ("sub", "sid") else one_line(value)
