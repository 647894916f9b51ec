"""Open steps, each with the people who may decide it now."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Step
from webapp.queries import directory
from webapp.workflow.approvers import Deciders, who_decides
from webapp.workflow.policy import Approver
from webapp.workflow.states import StepState


@dataclass(frozen=True, slots=True)
class OpenStep:
    """`tier` is the stored one, `deciders` is worked out anew."""

    id: int
    request_id: int
    position: int
    tier: str
    deciders: Deciders


def find(*conditions: Any, limit: int | None = None) -> list[OpenStep]:
    """The open steps that the conditions on steps and requests choose, by request. Never among the deciders: the
    requester, and who has decided the step already."""
    rows = db.session.execute(
        select(Step.id, Step.request_id, Step.position, Step.tier, Step.needed, Step.approver_person_id,
               Step.approver_group_id, AccessRequest.asked_by_id, AccessRequest.for_person_id, App.owner_person_id,
               App.owner_group_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .where(Step.state == StepState.OPEN.value, *conditions)
        .order_by(AccessRequest.id)
        .limit(limit)
    ).all()  # fmt: skip
    found = directory.look_up([*(_approver(row) for row in rows), *(_owner(row) for row in rows)])
    decided = _decided_by([row.id for row in rows if row.needed > 1])
    return [
        OpenStep(
            row.id, row.request_id, row.position, row.tier,
            who_decides(
                _approver(row), owner=_owner(row), directory=found.directory,
                without=frozenset({row.asked_by_id, row.for_person_id, *decided.get(row.id, ())}),
            ),
        )
        for row in rows
    ]  # fmt: skip


def _decided_by(step_ids: list[int]) -> dict[int, list[int]]:
    """step id → who has decided it. A step that needs one approval has no decision while it is open."""
    found: dict[int, list[int]] = {}
    if step_ids:
        rows = db.session.execute(select(Decision.step_id, Decision.person_id).where(Decision.step_id.in_(step_ids)))
        for step, person in rows:
            found.setdefault(step, []).append(person)
    return found


def _approver(row: Any) -> Approver:
    return Approver(row.approver_person_id, row.approver_group_id)


def _owner(row: Any) -> Approver | None:
    return Approver.if_any(row.owner_person_id, row.owner_group_id)
