"""People: invite, activate, deactivate, passwords, sessions and their settings."""

import json
import secrets
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import available_timezones

from sqlalchemy import select, update

from webapp import addresses
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Invitation, Notice, Person, PersonSession
from webapp.notices import NoticeKind, notice
from webapp.queries import directory, sessions
from webapp.queries.identities import is_linked
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import Actor, AnyActor
from webapp.workflow.states import Channel

from . import _invitations, _leaving, _repeat_limits
from ._kept import refuse_if_kept
from ._reassign import reassign_open_steps
from ._sql import changed, unless_taken
from .errors import Conflict, Invalid
from .origin import Origin

THEMES = ("", "light", "dark")


def address(given: str) -> str:
    """An email address in its one form. Raises Invalid."""
    try:
        return addresses.canonical(given)
    except addresses.BadAddress as error:
        raise Invalid(email=str(error)) from None


def _name(given: str) -> str:
    name = one_line(given)
    if not name:
        raise Invalid(name="Enter a name.")
    if len(name) > 120:
        raise Invalid(name="Use 120 characters or fewer.")
    return name


def _about(given: str) -> str:
    about = one_line(given)
    if len(about) > 120:
        raise Invalid(about=f"Use 120 characters or fewer. You entered {len(about):,}.")
    return about


def create(*, email: str, name: str, actor: AnyActor, now: datetime, is_admin: bool = False,
           about: str = "") -> Person:  # fmt: skip
    """A new person, without a password yet. Raises Invalid."""
    name, about = _name(name), _about(about)
    person = Person(email=address(email), is_admin=is_admin, about=about, created_at=now)
    person.vouched_by_id = actor.responsible_id
    person.rename(name)
    with unless_taken(Invalid(email=f"A person with the email {person.email} already exists.")):
        db.session.add(person)
    audit.record(
        EventKind.PERSON_CREATED,
        at=now,
        actor=actor,
        person=person.id,
        email=sha256(person.email),
        is_admin=is_admin,
    )
    if is_admin:
        directory.lock(exclusive=True)
        reassign_open_steps(now=now)
    return person


def invite(*, email: str, name: str, actor: AnyActor, now: datetime, about: str = "", is_admin: bool = False) -> Person:
    """A new person who gets an email with a link to set a password. Raises Invalid."""
    person = create(email=email, name=name, actor=actor, now=now, about=about, is_admin=is_admin)
    mail_invitation(person, now=now)
    return person


def mail_invitation(person: Person, *, now: datetime) -> None:
    """The email "set your password" of an invitation, once more."""
    outbox.post([notice(NoticeKind.INVITATION, "requester", now=now, person_id=person.id, round=person.password_round)])


def send_invitation_again(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """One more email "set your password", for somebody who has none yet. Raises Conflict."""
    if not person.active:
        raise Conflict(f"{person.name} is deactivated. Reactivate the account first.")
    if person.password_hash is not None:
        raise Conflict(f"{person.name} already has a password. They can reset it on the sign-in page.")
    _refuse_more_links(person, NoticeKind.INVITATION, now=now)
    person.vouched_by_id = actor.responsible_id
    audit.record(EventKind.PERSON_INVITED, at=now, actor=actor, person=person.id)
    mail_invitation(person, now=now)


def mail_password_reset(person: Person, *, now: datetime, by: int | None = None) -> None:
    """The email "reset your password"; it says who sent it when that was an admin."""
    data = json.dumps({"by": by}) if by is not None and by != person.id else "{}"
    outbox.post(
        [
            notice(
                NoticeKind.PASSWORD_RESET, "requester", now=now, person_id=person.id, round=person.password_round,
                data_json=data,
            )
        ]
    )  # fmt: skip


def mail_forgotten_password(person: Person, *, now: datetime) -> None:
    """The same for anybody who asked on the sign-in page: not too often, and without any answer,
    so that the page tells nobody whether there is such a person."""
    if not _repeat_limits.links_wait(person, NoticeKind.PASSWORD_RESET, now=now):
        mail_password_reset(person, now=now)


def _refuse_more_links(person: Person, kind: str, *, now: datetime) -> None:
    if wait := _repeat_limits.links_wait(person, kind, now=now):
        raise Conflict(
            f"{_repeat_limits.LINKS_AN_HOUR} emails with a link were sent to {person.name} in the last hour. "
            f"You can send the next one {wait}."
        )


def reset_password(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """Mails somebody a link to set a new password; the one they have stays until then. Raises Conflict."""
    if not person.active:
        raise Conflict(f"{person.name} is deactivated. Reactivate the account first.")
    if person.password_hash is None:
        raise Conflict(f"{person.name} has no password yet. Send the invitation again.")
    if db.session.scalar(
        select(Notice.id)
        .where(
            Notice.kind == NoticeKind.PASSWORD_RESET, Notice.person_id == person.id, Notice.state.in_(("due", "leased"))
        )
        .limit(1)
    ):
        raise Conflict(f"An email with a link is already on its way to {person.name}.")
    _refuse_more_links(person, NoticeKind.PASSWORD_RESET, now=now)
    person.vouched_by_id = actor.responsible_id
    audit.record(EventKind.PASSWORD_LINK_MAILED, at=now, actor=actor, person=person.id)
    mail_password_reset(person, now=now, by=actor.responsible_id)


def change_details(person: Person, *, name: str, email: str, about: str, actor: AnyActor, now: datetime) -> None:
    """Another name, address or description. Raises Invalid, or Conflict for
    what a directory keeps.

    With another address every link that went to the old one dies: those to set a password, and those to decide,
    which are emailed anew. The record has hashes only.
    """
    # Kept as it is: it may be one from before there was one form, which somebody else's address has as well.
    email = person.email if addresses.plain(email) == person.email else address(email)
    name, about = _name(name), _about(about)
    wanted = {"name": name, "email": email, "about": about}
    before = {key: getattr(person, key) for key in wanted}
    if before == wanted:
        return
    moved = person.email != email
    if moved or person.name != name:
        refuse_if_kept(actor, what=f"{'The email address' if moved else 'The name'} of {person.name}", person=person.id)
    with unless_taken(Invalid(email=f"A person with the email {email} already exists.")):
        person.email, person.about = email, about
        person.rename(name)
        if moved:
            person.password_round += 1
            person.vouched_by_id = actor.responsible_id
    audit.record(
        EventKind.PERSON_CHANGED,
        at=now,
        actor=actor,
        person=person.id,
        before={key: sha256(before[key]) for key in wanted if before[key] != wanted[key]},
        after={key: sha256(wanted[key]) for key in wanted if before[key] != wanted[key]},
    )
    if moved:
        # The old address may belong to somebody else now, so the links that went there have to stop working.
        changed(update(Invitation).where(Invitation.person_id == person.id).values(shows_from=Invitation.round + 1))
    if moved and person.active:
        _invitations.renew([Invitation.person_id == person.id], now=now)
        if person.password_hash is None and not is_linked(person.id):
            mail_invitation(person, now=now)


def _themselves(person_id: int) -> Actor:
    """The person as the actor of what only a browser does: passwords and sessions."""
    return Actor(person_id, channel=Channel.BROWSER)


def set_password(person_id: int, *, hash: str, round: int, now: datetime) -> None:
    """Stores the hash if `round` is still the person's; ends all their sessions. Raises Conflict.

    Hashing is slow, so it is done before, outside of the transaction.
    """
    if changed(
        update(Person)
        .where(Person.id == person_id, Person.password_round == round, Person.active)
        .values(password_hash=hash, password_round=Person.password_round + 1)
    ) != 1:  # fmt: skip
        raise Conflict("This link has already been used. Request a new one.")
    audit.record(EventKind.PASSWORD_SET, at=now, actor=_themselves(person_id), person=person_id)
    end_sessions(person_id, actor=_themselves(person_id), now=now)


def confirm_password(person_id: int, *, round: int, hash: str) -> None:
    """Holds the person until the commit, if the password that was just checked is still theirs and they are
    active; `hash` is the one they have, or the same password hashed with today's parameters. Raises Conflict.

    Without it, a password that is being reset could begin one more session, which the reset would not end.
    """
    if changed(
        update(Person)
        .where(Person.id == person_id, Person.password_round == round, Person.active)
        .values(password_hash=hash)
    ) != 1:  # fmt: skip
        raise Conflict("Your password was changed. Sign in with the new password.")


def start_session(
    person_id: int, *, kind: str, browser: str, address: str, lasts: timedelta, now: datetime, method: str = "",
    origin: Origin | None = None,
) -> PersonSession:  # fmt: skip
    """A new session row; its public id is what the browser's signed cookie carries. `method`: a SignInMethod; `origin`:
    the provider that the person comes from."""
    session = PersonSession(
        public_id=secrets.token_hex(16),
        person_id=person_id,
        kind=kind,
        method=method,
        browser=one_line(browser)[:200],
        address=address[:45],
        created_at=now,
        seen_at=now,
        expires_at=now + lasts,
        reauthenticated_at=now if kind == "sign_in" else None,
    )
    if origin is not None:
        session.provider_id, session.provider_sid = origin.provider_id, origin.sid or None
        session.id_token, session.authenticated_at = origin.id_token or None, origin.authenticated_at
        # They may have signed in there this morning. Where the provider does not say when, it counts as now.
        session.reauthenticated_at = min(origin.authenticated_at or now, now)
    elif kind == "sign_in":
        session.authenticated_at = now
    db.session.add(session)
    more: dict[str, Any] = {"method": method} if method else {}
    if origin is not None:
        more["provider"] = origin.provider_id
    audit.record(EventKind.SESSION_STARTED, at=now, actor=_themselves(person_id), person=person_id, session_kind=kind,
                 **more)  # fmt: skip
    return session


def reauthenticate(public_id: str, *, person_id: int, now: datetime, provider: int | None = None) -> None:
    """The person has given their password once more in this session, or signed in again at this provider. Raises
    Conflict."""
    if changed(
        update(PersonSession)
        .where(
            PersonSession.public_id == public_id,
            PersonSession.person_id == person_id,
            PersonSession.ended_at.is_(None),
        )
        .values(reauthenticated_at=now, authenticated_at=now)
    ) != 1:  # fmt: skip
        raise Conflict("You were signed out. Sign in again.")
    more = {} if provider is None else {"provider": provider}
    audit.record(EventKind.SESSION_PROVED, at=now, actor=_themselves(person_id), person=person_id, **more)


def end_session(public_id: str, *, person_id: int, now: datetime) -> bool:
    """Ends one of the person's own sessions; False when there is none of that id."""
    sessions.lock_person(person_id)
    ended = changed(
        update(PersonSession)
        .where(
            PersonSession.public_id == public_id,
            PersonSession.person_id == person_id,
            PersonSession.ended_at.is_(None),
        )
        .values(ended_at=now, id_token=None)
    )
    if ended:
        audit.record(
            EventKind.SESSION_ENDED,
            at=now,
            actor=_themselves(person_id),
            person=person_id,
            sessions=1,
        )
    return bool(ended)


def end_sessions(person_id: int, *, actor: AnyActor, now: datetime) -> int:
    """Signs a person out everywhere, remembered browsers included; returns how many sessions ended."""
    sessions.lock_person(person_id)
    ended = changed(
        update(PersonSession)
        .where(PersonSession.person_id == person_id, PersonSession.ended_at.is_(None))
        .values(ended_at=now, id_token=None)
    )
    audit.record(EventKind.SESSION_ENDED, at=now, actor=actor, person=person_id, sessions=ended)
    return ended


def sign_out(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """Ends all sessions of somebody, remembered browsers included. Raises Conflict when there is none."""
    if not end_sessions(person.id, actor=actor, now=now):
        raise Conflict(f"{person.name} has no active sessions.")


def deactivate(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """Sessions and tokens end, their requests are cancelled, their open steps move on. Raises Conflict."""
    if person.id == actor.id:
        raise Conflict("You cannot deactivate yourself. Ask another admin.")
    directory.lock(exclusive=True)
    _refuse_if_only_admin(person)
    if not _leaving.leave([person.id], actor=actor, now=now):
        raise Conflict(f"{person.name} is already deactivated.")


def set_admin(person: Person, *, is_admin: bool, actor: AnyActor, now: datetime) -> None:
    """Makes a person an admin, or no longer one; the last admin stays. Raises Conflict."""
    directory.lock(exclusive=True)
    if is_admin and not person.active:
        raise Conflict(f"{person.name} is deactivated. Reactivate the account first.")
    if not is_admin:
        _refuse_if_only_admin(person)
    if changed(
        update(Person).where(Person.id == person.id, Person.is_admin.is_(not is_admin)).values(is_admin=is_admin)
    ) != 1:  # fmt: skip
        raise Conflict(f"{person.name} is {'already' if is_admin else 'no longer'} an admin.")
    audit.record(EventKind.PERSON_CHANGED, at=now, actor=actor, person=person.id,
                 before={"is_admin": not is_admin}, after={"is_admin": is_admin})  # fmt: skip
    reassign_open_steps(people=[person.id], now=now)


def _refuse_if_only_admin(person: Person) -> None:
    """The caller holds the directory still."""
    admins = select(Person.id).where(Person.is_admin, Person.active)
    if db.session.scalar(admins.where(Person.id == person.id)) and not db.session.scalar(
        admins.where(Person.id != person.id).limit(1)
    ):
        raise Conflict(f"{person.name} is the only admin. Make another person an admin first.")


def reactivate(person: Person, *, actor: AnyActor, now: datetime) -> None:
    """The person may sign in again and is a member of the same groups as before. Raises Conflict."""
    directory.lock(exclusive=True)
    if not _leaving.come_back([person.id], actor=actor, now=now):
        raise Conflict(f"{person.name} is already active.")


def change_settings(person: Person, *, time_zone: str, now: datetime) -> None:
    """The person's time zone ("" for the organisation's). Raises Invalid."""
    if time_zone and time_zone not in available_timezones():
        raise Invalid(time_zone=f"“{one_line(time_zone)}” is not a known time zone. Example: Europe/Berlin.")
    before, person.time_zone = person.time_zone, time_zone or None
    audit.record(EventKind.PERSON_CHANGED, at=now, actor=person, person=person.id,
                 before={"time_zone": before}, after={"time_zone": person.time_zone})  # fmt: skip


def change_theme(person: Person, *, theme: str, now: datetime) -> None:
    """Light, dark or "" for as the system says. Raises Invalid."""
    if theme not in THEMES:
        raise Invalid(theme="Choose System, Light or Dark.")
    before, person.theme = person.theme, theme
    audit.record(EventKind.PERSON_CHANGED, at=now, actor=person, person=person.id,
                 before={"theme": before}, after={"theme": theme})  # fmt: skip
