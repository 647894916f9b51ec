"""The conditional UPDATE that every change of a pending request begins with.

It moves the request's version, and its row count tells who was faster. Nothing else changes the state or the version
of a request.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, select, tuple_, update

from webapp.extensions import db
from webapp.models import AccessRequest, Step, db_now
from webapp.models.requests import dump_values
from webapp.queries.cases import Case
from webapp.workflow import state_machine
from webapp.workflow.entitlements import SetValue
from webapp.workflow.states import RequestState, StepState

from ._sql import changed
from .errors import Outrun

_PENDING = (
    update(AccessRequest)
    .where(AccessRequest.state == RequestState.PENDING.value)
    .values(version=AccessRequest.version + 1)
)
# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_SEEN = _PENDING.where(AccessRequest.id == bindparam("request"), AccessRequest.version == bindparam("seen"))
# The due instant decides, sweeper or no sweeper, on the database's clock.
_IN_TIME = exists().where(Step.id == bindparam("step"), Step.state == StepState.OPEN.value, Step.due_at > db_now())
_SEEN_IN_TIME = _SEEN.where(_IN_TIME)
_NEXT: dict[str, Any] = {
    "state": bindparam("new_state"),
    "values_json": bindparam("new_values"),
    "settled_at": bindparam("at"),
    "settled_by_id": bindparam("actor"),
    "settled_note": bindparam("note"),
}
_MOVE = _SEEN.values(_NEXT)
_MOVE_IN_TIME = _SEEN_IN_TIME.values(_NEXT)
_SETTLE_STEPS = (
    update(Step)
    .where(Step.id.in_(bindparam("steps", expanding=True)))
    .values(state=bindparam("new_state"), settled_at=bindparam("at"))
)
_RETURNING: dict[str, Any] = {"synchronize_session": False}


def transition(
    case: Case,
    outcome: state_machine.Outcome,
    *,
    actor: int | None,
    now: datetime,
    values: dict[str, SetValue] | None = None,
    note: str = "",
    step: Step | None,
) -> None:
    """Applies the outcome to the request and its steps. Raises Outrun when somebody else was faster."""
    final = outcome.state.is_final
    move = {
        "request": case.request.id,
        "seen": case.request.version,
        "new_state": outcome.state.value,
        "new_values": case.request.values_json if values is None else dump_values(values),
        "at": now if final else None,
        "actor": actor if final else None,
        "note": note if final else "",
    }
    if step is None or outcome.state is RequestState.CANCELLED:
        moved = changed(_MOVE, **move)
    else:
        moved = changed(_MOVE_IN_TIME, step=step.id, **move)
    if moved != 1:
        raise Outrun
    _settle_steps([outcome], now=now)


def transition_all(
    seen: Mapping[int, int],
    outcomes: Mapping[int, state_machine.Outcome],
    state: RequestState,
    *,
    now: datetime,
    **values: Any,
) -> set[int]:
    """`transition` of many requests to one final state, in as many statements as for one; `seen`: id → version.

    Returns the ids of those that moved: another transaction was faster with the others.
    """
    moved = set(
        db.session.scalars(
            _PENDING.where(tuple_(AccessRequest.id, AccessRequest.version).in_([(id, seen[id]) for id in outcomes]))
            .values(state=state.value, settled_at=now, **values)
            .returning(AccessRequest.id),
            execution_options=_RETURNING,
        )
    )
    _settle_steps((outcomes[id] for id in seen if id in moved), now=now)
    return moved


def hold(case: Case, step: Step, **values: Any) -> None:
    """Locks the request until the commit, with its open step in time; sets `values` on it. Raises
    Outrun when somebody else was faster or the deadline has passed."""
    statement = _SEEN_IN_TIME.values(**values) if values else _SEEN_IN_TIME
    if changed(statement, request=case.request.id, seen=case.request.version, step=step.id) != 1:
        raise Outrun


def hold_all(requests: Collection[int]) -> set[int]:
    """Locks those of the requests that are pending: a decision that is under way comes first, and one that comes later
    sees what this transaction changes."""
    return set(
        db.session.scalars(
            _PENDING.where(AccessRequest.id.in_(requests)).returning(AccessRequest.id), execution_options=_RETURNING
        )
    )


def _settle_steps(outcomes: Iterable[state_machine.Outcome], *, now: datetime) -> None:
    closing: dict[StepState, list[int]] = {}
    for outcome in outcomes:
        for step_id, state in outcome.moves:
            if state is not StepState.OPEN:
                closing.setdefault(state, []).append(step_id)
    for state, ids in closing.items():
        changed(_SETTLE_STEPS, steps=ids, new_state=state.value, at=now)


def pending_snapshots(rows: Iterable[Any]) -> dict[int, state_machine.Request]:
    """request id → the pending request, whose row is locked, with its open and waiting steps in order as they are now.

    The join that found them may have seen a step that an approval settled just before their rows were locked.
    """
    locked = {row.id: row for row in rows}
    steps: dict[int, list[state_machine.Step]] = {id: [] for id in locked}
    for row in db.session.execute(
        select(Step.id, Step.request_id, Step.position, Step.state, (Step.due_at <= db_now()).label("overdue"))
        .where(Step.request_id.in_(locked), Step.state.in_((StepState.OPEN.value, StepState.WAITING.value)))
        .order_by(Step.position, Step.id)
    ):
        steps[row.request_id].append(state_machine.Step(row.id, row.position, StepState(row.state), bool(row.overdue)))
    return {
        id: state_machine.Request(
            id, row.version, RequestState.PENDING, row.asked_by_id, row.for_person_id, tuple(steps[id])
        )
        for id, row in locked.items()
    }
