"""Pending requests of which others are asked than those who can decide them now. There should be none."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, Step, db_now
from webapp.queries import directory
from webapp.workflow.approvers import who_decides
from webapp.workflow.policy import Approver
from webapp.workflow.states import RequestState, StepState

PAGE = 500


@dataclass(frozen=True, slots=True)
class Looked:
    """Of a page of pending requests: `wrong` are the ids of those whose approvers were not asked, or whom others than
    their approvers could decide; `last` is the last id that was looked at, None at the end."""

    wrong: list[int]
    last: int | None


def look(*, after: int = 0, only: Collection[int] | None = None) -> Looked:
    """The next requests behind the id `after`, or of those only `only`; in three statements.

    Without a lock, so what is decided at this moment may be among the wrong ones: look at those once more.
    """
    query = (
        select(Step.id, Step.request_id, Step.tier, Step.approver_person_id, Step.approver_group_id,
               AccessRequest.asked_by_id, AccessRequest.for_person_id, App.owner_person_id, App.owner_group_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .where(
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
            AccessRequest.state == RequestState.PENDING.value,
            AccessRequest.id > after,
        )
        .order_by(AccessRequest.id)
        .limit(PAGE)
    )  # fmt: skip
    rows = db.session.execute(query if only is None else query.where(AccessRequest.id.in_(only))).all()
    asked: dict[int, set[int]] = {}
    for step, person in db.session.execute(
        select(Invitation.step_id, Invitation.person_id).where(
            Invitation.step_id.in_([row.id for row in rows]), Invitation.live
        )
    ):
        asked.setdefault(step, set()).add(person)
    owners = {
        row.id: Approver(row.owner_person_id, row.owner_group_id)
        for row in rows
        if row.owner_person_id is not None or row.owner_group_id is not None
    }
    approvers = {row.id: Approver(row.approver_person_id, row.approver_group_id) for row in rows}
    found = directory.look_up([*approvers.values(), *owners.values()])
    wrong = []
    for row in rows:
        deciders = who_decides(approvers[row.id], owner=owners.get(row.id), directory=found.directory,
                               without=frozenset({row.asked_by_id, row.for_person_id}))  # fmt: skip
        if set(deciders.people) != asked.get(row.id, set()) or deciders.tier.value != row.tier:
            wrong.append(row.request_id)
    return Looked(wrong, rows[-1].request_id if len(rows) == PAGE else None)
