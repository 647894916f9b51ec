"""Signatures of the Standard Webhooks rules, made when a message is sent: receivers refuse old ones."""

import base64
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
# 240 bits, which are 40 letters without padding.
_BYTES = 30


def make_secret() -> str:
    """A new secret, as receivers' libraries take it."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_BYTES)).decode()


def headers(secrets_in_use: Sequence[str], message_id: str, body: str, *, at: datetime) -> dict[str, str]:
    """The three headers; with a signature by each secret while one replaces another."""
    at = at.astimezone(UTC)
    made = [Webhook(one).sign(message_id, at, body) for one in secrets_in_use]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(made),
    }
