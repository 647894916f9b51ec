"""An account whose sign-in link was sent by the requester: its approval may be the requester's own.

Nobody is stopped: in a small company one admin has invited everyone. It stands in the audit log, and the other admins
are told when no one else approved.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import Decision, Person, Step
from webapp.notices import NoticeKind, notice
from webapp.queries.cases import Case
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.states import Verdict

KIND = NoticeKind.ACCESS_TO_CHECK
_DECIDER = aliased(Person)


def is_vouched(case: Case, actor: AnyActor) -> bool:
    """The requester had the link sent with which this person's password is set."""
    return actor.vouched_by_id in case.request.requesters


def notices(case: Case, *, actor: AnyActor, now: datetime) -> list[dict[str, Any]]:
    """To the other admins, when every approval of this request came from such accounts; `actor` gave the last one."""
    requesters = case.request.requesters
    if not is_vouched(case, actor):
        return []
    by_another = exists().where(
        Step.request_id == case.request.id,
        Decision.step_id == Step.id,
        Decision.verdict == Verdict.APPROVED.value,
        _DECIDER.id == Decision.person_id,
        or_(_DECIDER.vouched_by_id.is_(None), _DECIDER.vouched_by_id.not_in(requesters)),
    )
    if db.session.scalar(select(by_another)):
        return []
    return [
        notice(KIND, "other", now=now, person_id=person, request_id=case.request.id)
        for person in other_admins({*requesters, require_person(actor)})
    ]


def other_admins(but: Collection[int]) -> Sequence[int]:
    """The active admins without these people."""
    admins = select(Person.id).where(Person.is_admin, Person.active, Person.id.not_in(but))
    return db.session.scalars(admins.order_by(Person.id)).all()
