"""Known browsers: wrong passwords from elsewhere cannot lock a person out of a browser that they have used before.

A cookie says only that someone with this address has entered the right password here: no id, no address, and no right
but a separate count of attempts. It is valid for 90 days, and only as long as the password.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import timedelta

from flask import Response

from webapp import clock
from webapp.addresses import same
from webapp.extensions import keyring
from webapp.web import cookies

COOKIE = "countersign_device"
LASTS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that the owner of this address has signed in with; `nonce` names it."""

    nonce: str
    key_id: str
    email: str
    expires: str
    proof: str

    def still_knows(self, round: int) -> bool:
        """Whether the password is still the one that was given there."""
        return hmac.compare_digest(
            self.proof.encode(), _mac(self.key_id, self.email, self.nonce, self.expires, str(round)).encode()
        )


def known(email: str) -> Device | None:
    """The browser of this request, if known for this address; `still_knows` compares the password."""
    parts = cookies.read(COOKIE).split(".")
    if len(parts) != 4 or not parts[1].isascii() or not parts[1].isdigit() or len(parts[1]) > 12:
        return None
    nonce, expires, seal, proof = parts
    email, now = same(email), clock.now()
    if not now.timestamp() < int(expires) <= (now + LASTS + timedelta(hours=1)).timestamp():
        return None
    for key_id in keyring().ids:
        if hmac.compare_digest(seal.encode(), _mac(key_id, email, nonce, expires).encode()):
            return Device(nonce, key_id, email, expires, proof)
    return None


def remember(response: Response, email: str, round: int) -> None:
    """Remember the browser for this address after a right password."""
    email = same(email)
    nonce, expires = secrets.token_urlsafe(12), str(int((clock.now() + LASTS).timestamp()))
    key_id = keyring().current
    seals = (_mac(key_id, email, nonce, expires), _mac(key_id, email, nonce, expires, str(round)))
    cookies.put(response, COOKIE, ".".join((nonce, expires, *seals)), lasts=LASTS, path="/sign-in")


def _mac(key_id: str, *parts: str) -> str:
    # No part holds a line end.
    digest = hmac.digest(keyring().derive("known device", key_id), "\n".join(parts).encode(), "sha256")
    return urlsafe_b64encode(digest[:16]).decode().rstrip("=")
