"""Opening steps and inviting those who may decide them: shared by submitting, approving and rearranging."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Integer, bindparam, case, insert, or_, select, update

from webapp.delivery import outbox
from webapp.extensions import db, keyring
from webapp.models import AccessRequest, Invitation, Step, db_now
from webapp.models.base import Id
from webapp.notices import NoticeKind, notice
from webapp.queries import visibility
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import public_id
from webapp.workflow.actor import SYSTEM, AnyActor
from webapp.workflow.approvers import Deciders
from webapp.workflow.policy import Policy
from webapp.workflow.states import StepState, Tier

from ._sql import changed, run

DAY = 24 * 3600

# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_OPENS = bindparam("opens", type_=Boolean)
_NEW_STEPS = (
    insert(Step.metadata.tables["steps"])
    .values(
        opened_at=case((_OPENS, db_now())),
        due_at=case((_OPENS, db_now(bindparam("seconds", type_=Integer)))),
    )
    .returning(Step.id, Step.position)
)
_OPEN = (
    update(Step)
    .where(Step.id == bindparam("step_id"), Step.state == StepState.WAITING.value)
    .values(
        state=StepState.OPEN.value,
        opened_at=db_now(),
        due_at=db_now(bindparam("seconds", type_=Integer)),
        tier=bindparam("new_tier"),
    )
)
_INVITE = (
    insert(Invitation.metadata.tables["invitations"])
    .values(
        {
            name: select(column).where(AccessRequest.id == bindparam("of_request", type_=Id)).scalar_subquery()
            for name, column in (("requested_at", AccessRequest.created_at), ("app_id", AccessRequest.app_id))
        }
    )
    .returning(Invitation.id, Invitation.person_id, Invitation.round)
)
_CLOSE = (
    update(Invitation)
    .where(Invitation.step_id.in_(bindparam("steps", expanding=True)), Invitation.live)
    .values(live=False)
    .returning(Invitation.id, Invitation.person_id)
)
_ASKED = (
    select(Step.request_id, Invitation.person_id, Invitation.step_id, Invitation.live)
    .join(Step, Step.id == Invitation.step_id)
    .where(
        Step.request_id.in_(bindparam("requests", expanding=True)),
        or_(
            visibility.may_still_see(Invitation, Step),
            visibility.manages(Invitation.app_id, Invitation.person_id),
        ),
    )
    .order_by(Invitation.id)
)


def create_steps(request_id: int, policy: Policy, first: Deciders, *, now: datetime) -> None:
    """The steps of a new request, of which the first is open, in one statement."""
    rows = [
        {
            "request_id": request_id,
            "position": position,
            "approver_person_id": rule.approver.person,
            "approver_group_id": rule.approver.group,
            "days": policy.days_for(position),
            "seconds": policy.days_for(position) * DAY,
            "opens": position == 0,
            "state": StepState.OPEN.value if position == 0 else StepState.WAITING.value,
            "tier": first.tier.value if position == 0 else Tier.APPROVER.value,
        }
        for position, rule in enumerate(policy.steps)
    ]
    ids = {row.position: row.id for row in run(_NEW_STEPS, rows)}
    _invite_deciders(request_id, ids[0], 0, first, now=now)


def open_step(request_id: int, step: Step, deciders: Deciders, *, now: datetime) -> None:
    """The step opens: its clock starts on the database's clock, and everybody who may decide is asked."""
    changed(_OPEN, step_id=step.id, seconds=step.days * DAY, new_tier=deciders.tier.value)
    _invite_deciders(request_id, step.id, step.position, deciders, now=now)


def _invite_deciders(request_id: int, step_id: int, position: int, deciders: Deciders, *, now: datetime) -> None:
    audit.record(
        EventKind.STEP_OPENED,
        at=now,
        actor=SYSTEM,
        request=request_id,
        step=position,
        tier=deciders.tier.value,
        asked=list(deciders.people),
    )
    invite(request_id, step_id, deciders.people, now=now)


def invite(request_id: int, step_id: int, people: Iterable[int], *, now: datetime) -> None:
    """An invitation and an email for each person, who must not have one for this step yet."""
    key_id = keyring().current
    rows = [
        {"public_id": public_id(), "request_id": request_id, "of_request": request_id, "step_id": step_id,
         "person_id": person, "key_id": key_id, "created_at": now}
        for person in people
    ]  # fmt: skip
    if not rows:
        return
    invited = run(_INVITE, rows).all()
    ask([(one.id, one.person_id, one.round) for one in invited], request_id, step_id, now=now)


def ask(
    invitations: Iterable[tuple[int, int, int]],
    request_id: int,
    step_id: int,
    *,
    now: datetime,
    **data: Any,
) -> None:
    """The email "approval asked" for each (invitation id, person id, round)."""
    outbox.post(
        [
            notice(
                NoticeKind.APPROVAL_ASKED,
                "approver",
                now=now,
                person_id=person_id,
                request_id=request_id,
                step_id=step_id,
                invitation_id=invitation_id,
                round=round,
                **data,
            )
            for invitation_id, person_id, round in invitations
        ]
    )


def renew(
    conditions: Iterable[Any], *, now: datetime, limit: int | None = None, asked_by: AnyActor = SYSTEM, **counted: Any
) -> int:
    """A new round, with the present key, for the open invitations that these conditions choose: their link and code
    are dead, and an email with new ones follows. `asked_by`: who asked for it; `counted`: further columns
    to set. Returns how many were renewed."""
    conditions = list(conditions)
    chosen = db.session.execute(
        select(Invitation.id, Step.request_id)
        .join(Step, Step.id == Invitation.step_id)
        .where(Invitation.live, *conditions, Step.state == StepState.OPEN.value, Step.due_at > db_now())
        .order_by(Invitation.id)
        .limit(limit)
    ).all()
    if not chosen:
        return 0
    requests = {row.id: row.request_id for row in chosen}
    renewed = db.session.execute(
        update(Invitation)
        .where(Invitation.id.in_(requests), Invitation.live, *conditions)
        .values(round=Invitation.round + 1, key_id=keyring().current, wrong_codes=0, **counted)
        .returning(Invitation.id, Invitation.person_id, Invitation.step_id, Invitation.round),
        execution_options={"synchronize_session": False},
    ).all()
    for row in renewed:
        audit.record(
            EventKind.CODE_RENEWED,
            at=now,
            actor=asked_by,
            request=requests[row.id],
            person=row.person_id,
            round=row.round,
        )
    outbox.post(
        [
            notice(
                NoticeKind.APPROVAL_ASKED,
                "approver",
                now=now,
                person_id=row.person_id,
                request_id=requests[row.id],
                step_id=row.step_id,
                invitation_id=row.id,
                round=row.round,
                data_json='{"new_code": true}',
            )
            for row in renewed
        ]
    )
    return len(renewed)


def close_invitations(step_ids: Iterable[int]) -> list[int]:
    """Nobody decides these steps any more. The people who could until now, in the order they were asked."""
    return [row.person_id for row in sorted(run(_CLOSE, {"steps": list(step_ids)}))]


def asked_people(request_ids: Iterable[int]) -> dict[int, list[tuple[int, int, bool]]]:
    """request id → (person id, step id, live) of everyone who was ever asked on it and may see it still. Asked before
    the invitations are closed: who stands in for an approver may see it as long as they may decide it."""
    found: dict[int, list[tuple[int, int, bool]]] = {}
    for row in run(_ASKED, {"requests": list(request_ids)}):
        found.setdefault(row.request_id, []).append((row.person_id, row.step_id, row.live))
    return found
