"""Approval links, their codes, and set-password links. Nothing secret is stored anywhere.

A link is an itsdangerous signature over an invitation's public id and round; the six-digit code is derived
from the same key. The link shows; a session or the code decides.
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
# Of what is pasted as a code: the line of the email that it stands in, with room to spare.
PASTED_LIMIT = 1000
_CODE = re.compile(r"[^0-9]*([0-9](?:[\W_]*[0-9]){5})[^0-9]*")

Maker = TypeVar("Maker", bound=Serializer[str])


@dataclass(frozen=True, slots=True)
class ApprovalLink:
    """What a rightly signed link says: whose invitation, and of which round."""

    invitation: str
    round: int


def approval_token(public_id: str, round: int, key_id: str) -> str:
    """Signed with exactly the key that the invitation remembers, so that a retried mail carries the same link.
    Raises KeyError when that key was removed."""
    return str(_approval(key_id).dumps([public_id, round]))


def read_approval(token: str) -> ApprovalLink | None:
    """The link's content, or None for anything that we did not sign with a key we still have."""
    ours = _made_by(_approval, token)
    if ours is None:
        return None
    try:
        public_id, round = ours.load_payload(_value(token))
        return ApprovalLink(str(public_id), int(round))
    except (BadData, ValueError, TypeError):
        return None  # our key's, but no link


def code(public_id: str, round: int, key_id: str) -> str:
    """Six digits, e.g. "418207"; raises KeyError when the invitation's key was removed."""
    digest = hmac.digest(keyring().derive("code", key_id), f"{public_id}:{round}".encode(), "sha256")
    return f"{int.from_bytes(digest[:8]) % 1_000_000:06d}"


def code_fits(given: str, public_id: str, round: int, key_id: str) -> bool:
    """Compares in constant time; False, too, when the key was removed."""
    try:
        return hmac.compare_digest(given.encode(), code(public_id, round, key_id).encode())
    except KeyError:
        return False


def well_formed(given: str) -> str | None:
    """The six digits in what was typed or pasted ("418 207", "Code: 418-207", full-width digits), or None when there
    are fewer or more digits, or letters between them."""
    # Digits of every script; format characters, which come along from a web page, stand nowhere.
    text = "".join(
        str(unicodedata.decimal(sign)) if sign.isdecimal() else sign
        for sign in given[:PASTED_LIMIT]
        if unicodedata.category(sign) != "Cf"
    )
    found = _CODE.fullmatch(text)
    return "".join(sign for sign in found[1] if sign in "0123456789") if found else None


def password_token(public_id: str, round: int, issued: datetime | None = None) -> str:
    """For "set your password" and "reset your password"; dead once the password is set (the round moves).
    Its three days begin when it was `issued` (aware; else now), so that a retried mail carries the same link."""
    return str(_password(keyring().current, issued).dumps([public_id, round]))


def read_password(token: str) -> tuple[str, int] | None:
    """(person's public id, round), or None when forged or older than three days."""
    ours = _made_by(_password, token)
    if ours is None:
        return None
    try:
        public_id, round = ours.loads(token, max_age=PASSWORD_LINK_SECONDS)
        return str(public_id), int(round)
    except (BadData, ValueError, TypeError):
        return None


def browser_token(session_id: str) -> str:
    """The cookie of a browser that is remembered for its person's decisions."""
    return str(_browser(keyring().current).dumps(session_id))


def read_browser(token: str) -> str | None:
    """The session row's public id, or None for anything that we did not sign."""
    ours = _made_by(_browser, token)
    if ours is None:
        return None
    try:
        return str(ours.load_payload(_value(token)))
    except BadData:
        return None


def url(path: str) -> str:
    """An address for a mail: BASE_URL and nothing else decides the host."""
    return f"{settings().base_url}{path}"


def _made_by(serializer: Callable[[str], Maker], token: str) -> Maker | None:
    """Which serializer, of a key that we still have, made exactly this token; None when none did.

    itsdangerous decodes a signature before it compares, and so takes other letters for the spare bits at its end,
    and signs that base64 does not know. Each key is tried whatever the token: a forged one costs what a real one does.
    """
    signature = token.rpartition(".")[2].encode(errors="replace")
    ours = None
    for key_id in keyring().ids:
        maker = serializer(key_id)
        if hmac.compare_digest(maker.make_signer().get_signature(_value(token)), signature):
            ours = maker
    return ours


def _value(token: str) -> bytes:
    """What is signed: all before the last dot."""
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
