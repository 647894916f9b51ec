"""Second factors: set up, used and removed. Each change is recorded, and mailed to its person."""

import hmac
import json
import secrets
from datetime import datetime, timedelta

from sqlalchemy import delete, or_, select, update

from webapp import encryption, totp
from webapp.delivery import outbox
from webapp.extensions import db, keyring
from webapp.models import Authenticator, Passkey, Person, RecoveryCode, SignInState
from webapp.notices import NoticeKind, notice
from webapp.queries import factors as queries
from webapp.queries.sessions import lock_person
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow.actor import AnyActor

from ._sql import changed
from .errors import Conflict, Invalid

CODES = 10
# Without what looks alike: 10 of 31 signs are 49 bits.
_SIGNS, _LENGTH = "23456789abcdefghjkmnpqrstuvwxyz", 10
SETUP_LASTS = timedelta(minutes=30)
STATE_LASTS, STATE_TRIES = timedelta(minutes=10), 5
UNREADABLE = (
    "The codes of your app cannot be checked, because a secret key was removed. Ask an admin to reset your second step."
)
WRONG_CODE = "This code is not right. Enter the code that your app shows now."


# ---------- The authenticator app ----------


def begin_setup(person: Person, *, now: datetime) -> str:
    """A new secret, encrypted: the form carries it until a code proves that the app has it. Nothing is stored."""
    made = {"for": "authenticator", "person": person.id, "at": now.timestamp(), "secret": totp.new_secret()}
    return encryption.encrypt(json.dumps(made))


def secret_of(setup: str, person: Person, *, now: datetime) -> str:
    """The secret of a setup that this person began. Raises Conflict."""
    over = Conflict("This page was open for too long. Scan the new QR code.")
    try:
        made = json.loads(encryption.decrypt(setup))
        fits = made["for"] == "authenticator" and made["person"] == person.id
    except (encryption.Unreadable, ValueError, KeyError, TypeError):
        raise over from None
    if not fits or now.timestamp() - made["at"] > SETUP_LASTS.total_seconds():
        raise over
    return str(made["secret"])


def set_authenticator(person: Person, *, secret: str, code: str, actor: AnyActor, now: datetime) -> list[str]:
    """The app with this secret becomes the person's, in place of the one before. Returns new recovery codes if the
    person has none left. Raises Invalid for a wrong code."""
    step = totp.step_of(secret, code, now)
    if step is None:
        raise Invalid(code=WRONG_CODE)
    lock_person(person.id)
    replaced = changed(delete(Authenticator).where(Authenticator.person_id == person.id))
    db.session.add(
        Authenticator(person_id=person.id, secret=encryption.encrypt(secret), last_step=step, confirmed_at=now)
    )
    audit.record(EventKind.FACTOR_ADDED, at=now, actor=actor, person=person.id, factor="authenticator")
    tell(person.id, "authenticator-replaced" if replaced else "authenticator-added", now=now)
    return codes_for_first(person, now=now)


def codes_for_first(person: Person, *, now: datetime) -> list[str]:
    """New recovery codes for somebody who has none left, with their first second factor."""
    return [] if queries.of(person.id).codes_left else _make_codes(person, now=now)


def remove_authenticator(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """The person is no longer asked for its codes. Raises Conflict."""
    lock_person(person.id)
    if not changed(delete(Authenticator).where(Authenticator.person_id == person.id)):
        raise Conflict("The authenticator app is already turned off.")
    audit.record(EventKind.FACTOR_REMOVED, at=now, actor=actor, person=person.id, factor="authenticator")
    tell(person.id, "authenticator-removed", now=now)
    forget_codes_without_factor(person.id)


def use_authenticator(person_id: int, code: str, *, now: datetime) -> bool:
    """Whether this is a code of the person's app that was not used before. Uses it."""
    found = db.session.get(Authenticator, person_id, populate_existing=True)
    if found is None:
        return False
    try:
        step = totp.step_of(encryption.decrypt(found.secret), code, now)
    except encryption.Unreadable:
        raise Conflict(UNREADABLE) from None
    if step is None:
        return False
    # Of two who send the same code at the same moment, one wins.
    return bool(
        changed(
            update(Authenticator)
            .where(Authenticator.person_id == person_id, Authenticator.last_step < step)
            .values(last_step=step, last_used_at=now)
        )
    )


def renew_secrets() -> int:
    """Encrypts what an older key has encrypted by the newest one, so that the older can be taken out of use; returns
    how many. A secret whose key is gone already stays as it is: an admin has to reset that person's second step."""
    number = 0
    for found in db.session.scalars(
        select(Authenticator).where(Authenticator.secret.not_like(f"{keyring().current}.%")).limit(500)
    ).all():
        try:
            anew = encryption.encrypt(encryption.decrypt(found.secret))
        except encryption.Unreadable:
            continue
        number += changed(
            update(Authenticator)
            .where(Authenticator.person_id == found.person_id, Authenticator.secret == found.secret)
            .values(secret=anew)
        )
    return number


# ---------- Recovery codes ----------


def renew_codes(person: Person, *, stamp: str, actor: AnyActor, now: datetime) -> list[str]:
    """Ten new codes in place of the old ones. `stamp` is what the page was drawn with. Raises Conflict."""
    lock_person(person.id)
    have = queries.of(person.id)
    if not have.any:
        raise Conflict(
            "Set up an authenticator app or a passkey first. Recovery codes are for the day you lose your device."
        )
    if have.codes_stamp != stamp:
        raise Conflict("Your recovery codes have already been renewed. If you do not have them, make new ones.")
    audit.record(EventKind.RECOVERY_CODES_MADE, at=now, actor=actor, person=person.id)
    tell(person.id, "codes-renewed", now=now)
    return _make_codes(person, now=now)


def use_recovery_code(person_id: int, given: str, *, actor: AnyActor, now: datetime) -> bool:
    """Whether this is one of the person's recovery codes that was not used before. Uses it, and mails the person."""
    code = _one_form(given)
    if len(code) != _LENGTH:
        return False
    hashes = [_hash(person_id, code, key_id) for key_id in keyring().ids]
    if not changed(
        update(RecoveryCode)
        .where(RecoveryCode.person_id == person_id, RecoveryCode.hash.in_(hashes), RecoveryCode.used_at.is_(None))
        .values(used_at=now)
    ):
        return False
    audit.record(EventKind.RECOVERY_CODE_USED, at=now, actor=actor, person=person_id)
    tell(person_id, "code-used", left=queries.of(person_id).codes_left, now=now)
    return True


def _make_codes(person: Person, *, now: datetime) -> list[str]:
    changed(delete(RecoveryCode).where(RecoveryCode.person_id == person.id))
    codes = ["".join(secrets.choice(_SIGNS) for _ in range(_LENGTH)) for _ in range(CODES)]
    key_id = keyring().current
    db.session.add_all(
        RecoveryCode(person_id=person.id, hash=_hash(person.id, code, key_id), created_at=now) for code in codes
    )
    return [f"{code[:5]}-{code[5:]}" for code in codes]


def _one_form(given: str) -> str:
    return "".join(sign for sign in given[:100].casefold() if sign in _SIGNS)


def _hash(person_id: int, code: str, key_id: str) -> str:
    # With a key, so that who has read the database alone can try nothing.
    digest = hmac.digest(keyring().derive("recovery code", key_id), f"{person_id}:{code}".encode(), "sha256")
    return f"{key_id}.{digest.hex()}"


def forget_codes_without_factor(person_id: int) -> None:
    if not queries.is_asked(person_id):
        changed(delete(RecoveryCode).where(RecoveryCode.person_id == person_id))


def tell(person_id: int, what: str, *, now: datetime, **more: object) -> None:
    """Mails the person that how they sign in was changed."""
    data = json.dumps({"what": what, **more})
    outbox.post([notice(NoticeKind.SECURITY_CHANGED, "requester", now=now, person_id=person_id, data_json=data)])


def reset(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """For somebody who lost their devices: from now on the password alone signs them in. Raises Conflict."""
    if person.id == actor.id:
        raise Conflict("You cannot reset your own second step here. Use Your account, or ask another admin.")
    lock_person(person.id)
    ended = sum(changed(delete(table).where(table.person_id == person.id)) for table in (Authenticator, Passkey))
    if not ended:
        raise Conflict(f"{person.name} has no second step.")
    for table in (RecoveryCode, SignInState):
        changed(delete(table).where(table.person_id == person.id))
    audit.record(EventKind.FACTOR_RESET, at=now, actor=actor, person=person.id)
    tell(person.id, "reset", by=actor.responsible_id, now=now)


# ---------- Sign-ins that wait for a second factor ----------


def begin_state(kind: str, *, person_id: int | None, now: datetime, round: int = 0, remember: bool = False,
                challenge: str = "") -> str:  # fmt: skip
    """Returns the id that the browser's cookie carries."""
    state = SignInState(
        public_id=secrets.token_hex(16), kind=kind, person_id=person_id, password_round=round, remember=remember,
        challenge=challenge, created_at=now, expires_at=now + STATE_LASTS,
    )  # fmt: skip
    db.session.add(state)
    return state.public_id


def take_try(public_id: str, *, now: datetime) -> bool:
    """Counts a code that is about to be compared; False when there were five. The caller commits in any case."""
    return bool(
        changed(
            update(SignInState)
            .where(
                SignInState.public_id == public_id, SignInState.expires_at > now, SignInState.tries < STATE_TRIES
            )
            .values(tries=SignInState.tries + 1)
        )
    )  # fmt: skip


def end_state(public_id: str, *, kind: str, now: datetime) -> bool:
    """Whether it was still there: of two who end it, one wins."""
    return bool(
        changed(
            delete(SignInState).where(
                SignInState.public_id == public_id, SignInState.kind == kind, SignInState.expires_at > now
            )
        )
    )


def forget_states(*, now: datetime) -> int:
    """Deletes those that are over; returns how many."""
    return changed(
        delete(SignInState).where(or_(SignInState.expires_at <= now, SignInState.tries >= STATE_TRIES))
    )  # fmt: skip
