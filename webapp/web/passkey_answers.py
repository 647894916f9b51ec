"""Passkeys in a browser: what it is asked to sign, which is stored once, and its answer, which is accepted once."""

import logging
from typing import Any

from flask import session

from webapp import clock, passkeys
from webapp.models import Passkey, Person
from webapp.operations import factors as operations
from webapp.operations import passkeys as passkey_operations
from webapp.queries import factors as queries

# Where the cookie has the id of what this browser is asked to sign.
STATE = "passkey_state"
REFUSED = "The passkey was not accepted. Try again, or use your password."

log = logging.getLogger("countersign.passkeys")


def ask(kind: str, person_id: int | None, made: tuple[dict[str, Any], str]) -> dict[str, Any]:
    """Stores the challenge of `made` (options, challenge) for this browser, and returns the options. The caller
    commits."""
    options, challenge = made
    if STATE in session:
        operations.end_state(session[STATE], kind=kind, now=clock.now())
    session[STATE] = operations.begin_state(kind, person_id=person_id, challenge=challenge, now=clock.now())
    return options


def take_challenge(kind: str, person_id: int | None) -> str:
    """What this browser was asked to sign, once; "" for nothing. The caller commits."""
    public_id, now = session.pop(STATE, ""), clock.now()
    challenge = queries.challenge(public_id, kind, person_id, now=now)
    return challenge if challenge and operations.end_state(public_id, kind=kind, now=now) else ""


def signed_by(answer: str, kind: str, person_id: int | None) -> tuple[Passkey, Person] | None:
    """The passkey that gave this answer, and its person; None if it proves nothing. The caller commits in any case."""
    challenge = take_challenge(kind, person_id)
    if not challenge:
        return None
    try:
        found = queries.passkey(passkeys.credential_of(answer))
        if found is None or person_id not in (None, found[1].id):
            return None
        passkey = found[0]
        signed = passkeys.verify(
            answer, challenge, credential_id=passkey.credential_id, public_key=passkey.public_key
        )  # fmt: skip
    except passkeys.Refused as error:
        log.info("A passkey was refused.", extra={"error": str(error)})
        return None
    return found if passkey_operations.use(passkey, signed, now=clock.now()) else None
