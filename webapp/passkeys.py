"""Passkeys (WebAuthn): what a browser is asked to sign, and whether its answer is right. Stores nothing.

The site is the host of BASE_URL, and only pages of that address are believed. Each answer has to prove that the person
was there and was verified (fingerprint, face or PIN), so that a passkey stands for password and second step at once.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from webapp.extensions import settings

if TYPE_CHECKING:
    from fido2.server import Fido2Server

# Longer than any browser's answer.
LONGEST = 15_000


class Refused(Exception):
    """The answer of the browser proves nothing; the message is for the log only."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: str
    backed_up: bool


@dataclass(frozen=True, slots=True)
class Signed:
    """What a passkey has signed: the new value of its counter, and whether it is kept in more than one place."""

    sign_count: int
    backed_up: bool


def are_available() -> bool:
    """Browsers make passkeys for names only, not for addresses of the form 127.0.0.1."""
    with suppress(ValueError):
        ip_address(_host().strip("[]"))
        return False
    return True


def creation_options(*, name: str, email: str, handle: str, known: Sequence[tuple[bytes, str]],
                     organisation: str) -> tuple[dict[str, Any], str]:  # fmt: skip
    """What the browser needs to make a passkey, and the challenge. `known`: those that the person has, which are not
    made again on the same device."""
    from fido2.webauthn import (
        AuthenticatorTransport,
        PublicKeyCredentialDescriptor,
        PublicKeyCredentialType,
        PublicKeyCredentialUserEntity,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options, state = _server(organisation).register_begin(
        PublicKeyCredentialUserEntity(id=handle.encode(), name=email, display_name=name),
        credentials=[
            PublicKeyCredentialDescriptor(
                type=PublicKeyCredentialType.PUBLIC_KEY, id=id,
                transports=[AuthenticatorTransport(one) for one in transports.split()] or None,
            )
            for id, transports in known
        ],
        resident_key_requirement=ResidentKeyRequirement.REQUIRED,
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return dict(options), str(state["challenge"])


def request_options() -> tuple[dict[str, Any], str]:
    """What the browser needs to let the person choose a passkey, and the challenge."""
    from fido2.webauthn import UserVerificationRequirement

    options, state = _server().authenticate_begin(user_verification=UserVerificationRequirement.REQUIRED)
    return dict(options), str(state["challenge"])


def register(answer: str, challenge: str) -> Registered:
    """The new passkey. Raises Refused."""
    given = _parsed(answer)
    try:
        found = _server().register_complete(_state(challenge), given)
        made = found.credential_data
        if made is None:
            raise Refused("No credential.")
        from fido2 import cbor

        return Registered(
            bytes(made.credential_id), cbor.encode(dict(made.public_key)), found.counter, _transports(given),
            bool(found.flags & found.FLAG.BS),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refused(str(error)) from error


def credential_of(answer: str) -> bytes:
    """Which passkey the answer says it is from. Raises Refused."""
    from fido2.utils import websafe_decode

    try:
        return bytes(websafe_decode(_parsed(answer)["id"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(str(error)) from error


def verify(answer: str, challenge: str, *, credential_id: bytes, public_key: bytes) -> Signed:
    """What this passkey has signed. Raises Refused."""
    from fido2 import cbor
    from fido2.cose import CoseKey
    from fido2.webauthn import Aaguid, AttestedCredentialData, AuthenticationResponse

    given = _parsed(answer)
    try:
        key = CoseKey.parse(cast("dict[int, Any]", cbor.decode(public_key)))
        known = AttestedCredentialData.create(Aaguid.NONE, credential_id, key)
        _server().authenticate_complete(_state(challenge), [known], given)
        data = AuthenticationResponse.from_dict(given).response.authenticator_data
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise Refused(str(error)) from error
    return Signed(data.counter, bool(data.flags & data.FLAG.BS))


def _host() -> str:
    return urlsplit(settings().base_url).hostname or ""


def _server(name: str = "Countersign") -> Fido2Server:
    # Loaded where it is needed: most processes never see a passkey.
    from fido2.server import Fido2Server
    from fido2.webauthn import PublicKeyCredentialRpEntity

    own = settings().base_url
    return Fido2Server(PublicKeyCredentialRpEntity(id=_host(), name=name), verify_origin=lambda origin: origin == own)


def _state(challenge: str) -> dict[str, str]:
    return {"challenge": challenge, "user_verification": "required"}


def _parsed(answer: str) -> dict[str, Any]:
    try:
        found = json.loads(answer[: LONGEST + 1]) if len(answer) <= LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Refused("No answer of a browser.")
    return found


def _transports(given: dict[str, Any]) -> str:
    known = ("usb", "nfc", "ble", "hybrid", "internal", "smart-card")
    response = given.get("response")
    said = response.get("transports") if isinstance(response, dict) else None
    return " ".join(one for one in known if isinstance(said, list) and one in said)
