"""Finds pending requests whose invited people differ from the people who may decide. There should be none."""

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
class WrongInvitations:
    """`wrong` are the ids of requests whose approvers were not invited, or that others than their approvers could
    decide; `last` is the last id that was checked, None at the end."""

    wrong: list[int]
    last: int | None


def find_wrong(*, after: int = 0, only: Collection[int] | None = None) -> WrongInvitations:
    """Check the next page of requests after the id `after`, or only those of `only`; in three statements.

    Takes no lock, so a request that is decided at this moment may be reported as wrong: check those again.
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
    return WrongInvitations(wrong, rows[-1].request_id if len(rows) == PAGE else None)
