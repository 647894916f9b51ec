"""Finds pending requests whose invited people differ from the people who may decide. There should be none."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import AccessRequest, Invitation, Step, db_now
from webapp.queries import open_steps
from webapp.workflow.states import RequestState

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
    steps = open_steps.find(
        Step.due_at > db_now(),
        AccessRequest.state == RequestState.PENDING.value,
        AccessRequest.id > after,
        *(() if only is None else (AccessRequest.id.in_(only),)),
        limit=PAGE,
    )
    asked: dict[int, set[int]] = {}
    for step_id, person in db.session.execute(
        select(Invitation.step_id, Invitation.person_id).where(
            Invitation.step_id.in_([step.id for step in steps]), Invitation.live
        )
    ):
        asked.setdefault(step_id, set()).add(person)
    wrong = [
        step.request_id
        for step in steps
        if set(step.deciders.people) != asked.get(step.id, set()) or step.deciders.tier.value != step.tier
    ]
    return WrongInvitations(wrong, steps[-1].request_id if len(steps) == PAGE else None)
