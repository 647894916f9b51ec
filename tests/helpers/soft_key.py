"""A passkey made of software, which can also do what no real one does: sign for another site, or count backwards."""

from __future__ import annotations

import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.cose import ES256
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import Aaguid, AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

FLAG = AuthenticatorData.FLAG


class SoftKey:
    """`count` is what its counter says next; None for a key that does not count."""

    def __init__(self, origin: str = "http://localhost", site: str = "localhost", count: int | None = 1) -> None:
        self.origin, self.site, self.count = origin, site, count
        self.id = secrets.token_bytes(16)
        self.flags = FLAG.UP | FLAG.UV
        self._key = ec.generate_private_key(ec.SECP256R1())

    def make(self, options: dict[str, Any]) -> str:
        """The answer to the options of a new passkey."""
        known = AttestedCredentialData.create(Aaguid.NONE, self.id, ES256.from_cryptography_key(self._key.public_key()))
        data = self._data(self.flags | FLAG.AT, known)
        made = AttestationObject.create("none", data, {})
        return self._answer("webauthn.create", options, attestationObject=made, transports=["internal", "made-up"])

    def sign(self, options: dict[str, Any], handle: bytes = b"") -> str:
        """The answer to the options of a sign-in."""
        data = self._data(self.flags)
        client = self._client("webauthn.get", options)
        signature = self._key.sign(bytes(data) + client.hash, ec.ECDSA(hashes.SHA256()))
        more = {"userHandle": handle} if handle else {}
        return self._answer("webauthn.get", options, authenticatorData=data, signature=signature, **more)

    def _data(self, flags: Any, known: bytes = b"") -> AuthenticatorData:
        count = self.count or 0
        if self.count is not None:
            self.count += 1
        return AuthenticatorData.create(hashlib.sha256(self.site.encode()).digest(), flags, count, known)

    def _client(self, kind: str, options: dict[str, Any]) -> CollectedClientData:
        return CollectedClientData.create(kind, websafe_decode(options["publicKey"]["challenge"]), self.origin)

    def _answer(self, kind: str, options: dict[str, Any], **parts: Any) -> str:
        encoded = {
            name: websafe_encode(bytes(part)) if isinstance(part, bytes) else part for name, part in parts.items()
        }
        return json.dumps(
            {
                "id": websafe_encode(self.id),
                "rawId": websafe_encode(self.id),
                "type": "public-key",
                "clientExtensionResults": {},
                "response": {"clientDataJSON": websafe_encode(bytes(self._client(kind, options))), **encoded},
            }
        )
