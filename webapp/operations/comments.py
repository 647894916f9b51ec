"""Comments on a request."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, select

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Comment, Decision, Invitation, Step
from webapp.notices import NoticeKind, notice
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, sha256
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.policy import MESSAGE_LIMIT

from . import _repeat_limits
from .errors import Invalid, too_long

SENT_TWICE_WITHIN = timedelta(minutes=1)


def add(case: Case, *, actor: AnyActor, body: str, now: datetime) -> None:
    """Writes a comment on a request and emails it to those concerned. Raises Invalid.

    The same words of the same person within a minute are a form that was sent twice: they stand once.
    """
    person_id = require_person(actor)
    body = clean(body)
    if not body:
        raise Invalid(comment="Enter a comment.")
    if len(body) > MESSAGE_LIMIT:
        raise Invalid(comment=too_long(body, MESSAGE_LIMIT))
    # Held, so that the second of two forms that come at once sees the first one's words.
    db.session.execute(select(AccessRequest.id).where(AccessRequest.id == case.request.id).with_for_update())
    same = exists().where(
        Comment.request_id == case.request.id,
        Comment.person_id == person_id,
        Comment.body == body,
        Comment.created_at > now - SENT_TWICE_WITHIN,
    )
    counted = _repeat_limits.comments(case.request.id, person_id, now=now)
    is_same, number, first = db.session.execute(select(same, *counted)).one()
    if is_same:
        return
    _repeat_limits.check_comment(number, first, now=now)
    said = Comment(request_id=case.request.id, person_id=person_id, body=body, created_at=now)
    db.session.add(said)
    db.session.flush()
    audit.record(
        EventKind.REQUEST_COMMENTED,
        at=now,
        actor=actor,
        request=case.request.id,
        app=case.app.id,
        comment=sha256(body),
    )
    step = case.open_step
    people = dict.fromkeys((case.request.for_person_id, case.request.asked_by_id), "requester")
    for person in _who_answers(case):
        people.setdefault(person, "approver")
    outbox.post(
        [
            notice(
                NoticeKind.REQUEST_COMMENT,
                role,
                now=now,
                person_id=person,
                request_id=case.request.id,
                step_id=step.id if step is not None and role == "approver" else None,
                data_json=json.dumps({"comment": said.id}),
            )
            for person, role in people.items()
            if person != person_id
        ]
    )


def _who_answers(case: Case) -> Sequence[int]:
    """Who may decide the open step; once the request is settled, who decided it."""
    if case.open_step is not None:
        asked = select(Invitation.person_id).where(Invitation.step_id == case.open_step.id, Invitation.live)
        return db.session.scalars(asked.order_by(Invitation.id)).all()
    decided = select(Decision.person_id).join(Step, Step.id == Decision.step_id)
    return db.session.scalars(decided.where(Step.request_id == case.request.id).order_by(Decision.id)).all()
