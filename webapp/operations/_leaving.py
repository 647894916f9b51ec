"""What a deactivation ends, and a reactivation brings back: any number of people in the same number of statements."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import or_, select, update

from webapp.extensions import db
from webapp.models import AccessRequest, ApiToken, DeviceCode, Membership, Person, PersonSession
from webapp.queries import sessions
from webapp.queries.columns import pad_in_list
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.runtime import failpoints
from webapp.workflow.actor import AnyActor
from webapp.workflow.states import RequestState

from . import requests
from ._reassign import reassign_open_steps
from ._sql import changed


def leave(people: Collection[int], *, actor: AnyActor, now: datetime) -> list[int]:
    """Deactivates these people: their sessions, tokens and waiting terminals end, their requests are cancelled, and
    what waits for them moves on. Returns who was active. The caller has locked the directory and looked whether they
    may be deactivated."""
    ids = pad_in_list(sorted(people))
    if not ids:
        return []
    left = sorted(
        db.session.scalars(
            update(Person)
            .where(Person.id.in_(ids), Person.active)
            # With another round, links to set a password and browsers that know the account are of no use any more,
            # also when the person comes back.
            .values(active=False, deactivated_at=now, password_round=Person.password_round + 1)
            .returning(Person.id)
        )
    )
    if not left:
        return []
    sessions.lock_people(left)
    tokens = _end(
        update(ApiToken)
        .where(ApiToken.person_id.in_(pad_in_list(left)), ApiToken.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by_id=actor.responsible_id)
        .returning(ApiToken.person_id)
    )
    # A terminal that was allowed a token, but has not fetched it yet.
    changed(update(DeviceCode).where(DeviceCode.person_id.in_(pad_in_list(left)), DeviceCode.state == "approved")
            .values(state="denied"))  # fmt: skip
    browsers = _end(
        update(PersonSession)
        .where(PersonSession.person_id.in_(pad_in_list(left)), PersonSession.ended_at.is_(None))
        .values(ended_at=now)
        .returning(PersonSession.person_id)
    )
    for id in left:
        audit.record(EventKind.PERSON_DEACTIVATED, at=now, actor=actor, person=id,
                     **({"tokens": tokens.count(id)} if id in tokens else {}))  # fmt: skip
        audit.record(EventKind.SESSION_ENDED, at=now, actor=actor, person=id, sessions=browsers.count(id))
    failpoints.at("person.in-deactivation")
    asked = db.session.scalars(
        select(AccessRequest.id).where(
            or_(AccessRequest.for_person_id.in_(pad_in_list(left)), AccessRequest.asked_by_id.in_(pad_in_list(left))),
            AccessRequest.state == RequestState.PENDING.value,
        )
    ).all()
    requests.cancel_all(asked, actor=actor, reason=_reason(left), now=now)
    reassign_open_steps(people=left, groups=groups_of(left), now=now)
    return left


def _end(statement: object) -> list[int]:
    return list(db.session.scalars(statement))  # type: ignore[call-overload]


def _reason(left: Sequence[int]) -> str:
    if len(left) == 1:
        return f"{db.session.scalar(select(Person.name).where(Person.id == left[0]))} was deactivated."
    return "The person who requested it was deactivated."


def come_back(people: Collection[int], *, actor: AnyActor, now: datetime) -> list[int]:
    """Reactivates these people; returns who was deactivated. The caller has locked the directory."""
    if not people:
        return []
    back = sorted(
        db.session.scalars(
            update(Person)
            .where(Person.id.in_(pad_in_list(sorted(people))), Person.active.is_(False))
            .values(active=True, deactivated_at=None)
            .returning(Person.id)
        )
    )
    for id in back:
        audit.record(EventKind.PERSON_REACTIVATED, at=now, actor=actor, person=id)
    if back:
        reassign_open_steps(people=back, groups=groups_of(back), now=now)
    return back


def groups_of(people: Collection[int]) -> list[int]:
    """The groups that these people are in."""
    if not people:
        return []
    ids = pad_in_list(sorted(people))
    return list(db.session.scalars(select(Membership.group_id).where(Membership.person_id.in_(ids)).distinct()))
