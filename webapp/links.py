"""Approval links, their codes, and set-password links. Nothing secret is stored anywhere.

A link is an itsdangerous signature over an invitation's public id and round; the six-digit code is derived
from the same key. A link alone shows the request; to decide takes a session or the code.
"""

import hmac
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from itsdangerous import BadData, Serializer, URLSafeSerializer, URLSafeTimedSerializer

from webapp.extensions import keyring, settings
from webapp.signing import Signer

PASSWORD_LINK_SECONDS = 3 * 24 * 3600
# Characters of a pasted code that are read: enough for the whole line of the email.
PASTED_LIMIT = 1000
_CODE = re.compile(r"[^0-9]*([0-9](?:[\W_]*[0-9]){5})[^0-9]*")

Maker = TypeVar("Maker", bound=Serializer[str])


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """The content of a link with a valid signature: the invitation's public id, and the round."""

    invitation: str
    round: int


def approval_token(public_id: str, round: int, key_id: str) -> str:
    """Sign a link with the key that the invitation names, so that a retried email carries the same link.
    Raises KeyError when that key was removed."""
    return str(_approval(key_id).dumps([public_id, round]))


def verify_approval_link(token: str) -> ApprovalLink | None:
    """The content of the link, or None for anything that is not signed with one of our present keys."""
    ours = _signer_of(_approval, token)
    if ours is None:
        return None
    try:
        public_id, round = ours.load_payload(_value(token))
        return ApprovalLink(str(public_id), int(round))
    except (BadData, ValueError, TypeError):
        return None  # signed with our key, but not a link


def code(public_id: str, round: int, key_id: str) -> str:
    """Six digits, e.g. "418207"; raises KeyError when the invitation's key was removed."""
    digest = hmac.digest(keyring().derive("code", key_id), f"{public_id}:{round}".encode(), "sha256")
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def code_matches(given: str, public_id: str, round: int, key_id: str) -> bool:
    """Compare the code in constant time; False also when the key was removed."""
    try:
        return hmac.compare_digest(given.encode(), code(public_id, round, key_id).encode())
    except KeyError:
        return False


def well_formed(given: str) -> str | None:
    """The six digits in what was typed or pasted ("418 207", "Code: 418-207", full-width digits), or None when there
    are fewer or more digits, or letters between them."""
    # Accept digits of every script; drop format characters, which are copied along from web pages.
    text = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in given[:PASTED_LIMIT]
        if unicodedata.category(sign) != "Cf"
    )
    found = _CODE.fullmatch(text)
    return "".join(sign for sign in found[1] if sign in "0123456789") if found else None


def password_token(public_id: str, round: int, issued: datetime | None = None) -> str:
    """Sign a link to set or reset a password. It stops working once a password is set, because the round moves. Its
    three days begin when it was `issued` (aware; else now), so that a retried email carries the same link."""
    return str(_password(keyring().current, issued).dumps([public_id, round]))


def verify_password_link(token: str) -> tuple[str, int] | None:
    """(person's public id, round), or None when forged or older than three days."""
    ours = _signer_of(_password, token)
    if ours is None:
        return None
    try:
        public_id, round = ours.loads(token, max_age=PASSWORD_LINK_SECONDS)
        return str(public_id), int(round)
    except (BadData, ValueError, TypeError):
        return None


def browser_token(session_id: str) -> str:
    """The cookie of a trusted browser."""
    return str(_browser(keyring().current).dumps(session_id))


def verify_trusted_browser(token: str) -> str | None:
    """The public id of the session row, or None for anything that we did not sign."""
    ours = _signer_of(_browser, token)
    if ours is None:
        return None
    try:
        return str(ours.load_payload(_value(token)))
    except BadData:
        return None


def url(path: str) -> str:
    """An address for emails: the host comes from BASE_URL only."""
    return f"{settings().base_url}{path}"


def _signer_of(serializer: Callable[[str], Maker], token: str) -> Maker | None:
    """Return the serializer of the present key that signed exactly this token; None when none did.

    itsdangerous decodes a signature before it compares it, and so accepts other spellings of the same bits. Every key
    is tried for every token, so that timing does not reveal forged ones.
    """
    signature = token.rpartition(".")[2].encode(errors="replace")
    ours = None
    for key_id in keyring().ids:
        maker = serializer(key_id)
        if hmac.compare_digest(maker.make_signer().get_signature(_value(token)), signature):
            ours = maker
    return ours


def _value(token: str) -> bytes:
    """The signed part: all before the last dot."""
    return token.rpartition(".")[0].encode(errors="replace")


def _approval(key_id: str) -> URLSafeSerializer:
    return URLSafeSerializer(keyring().derive("approval link", key_id), salt="approval")


def _password(key_id: str, issued: datetime | None = None) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        keyring().derive("password link", key_id),
        salt="password",
        signer=_IssuedSigner,
        signer_kwargs={"issued": int(issued.timestamp()) if issued else None},
    )


class _IssuedSigner(Signer):
    """Signs with a given instant (seconds since 1970) in place of now."""

    def __init__(self, *args: Any, issued: int | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._issued = issued

    def get_timestamp(self) -> int:
        return super().get_timestamp() if self._issued is None else self._issued


def _browser(key_id: str) -> URLSafeSerializer:
    return URLSafeSerializer(keyring().derive("remembered browser", key_id), salt="decisions")
