"""What admins may do to a pending request that is not theirs: cancel it, give it to somebody else, give it time.

Never past the chain: who decides it still has to decide it. Each needs a reason, which everybody on the request reads.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from webapp.extensions import db, keyring
from webapp.models import Comment, Invitation, Step, db_now
from webapp.queries import directory
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, sha256
from webapp.workflow import state_machine
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.approvers import who_decides
from webapp.workflow.errors import NotYourTurn, SelfApproval, Settled
from webapp.workflow.policy import Approver
from webapp.workflow.states import Tier

from . import _invitations, requests
from ._deciding_groups import refuse_too_large
from ._sql import changed
from ._transition import hold
from .errors import Invalid

REASON_LIMIT = 500
DAYS_LIMIT = 90
DAY = 24 * 3600


def cancel(case: Case, *, actor: AnyActor, reason: str, now: datetime) -> None:
    """Ends the request; the requester and everybody who was asked are told why. Raises Invalid, Conflict or the
    workflow's errors."""
    _check(case, actor)
    reason = _reason(reason)
    requests.cancel(case, actor=actor, reason=reason, now=now)


def reassign(case: Case, *, to: Approver, name: str, actor: AnyActor, reason: str, now: datetime) -> None:
    """The open step is decided by `to` (called `name`) from now on. Everybody who can decide it gets a new email;
    all links that were sent for it are dead. The deadline stays.

    Raises Invalid, Conflict or the workflow's errors.
    """
    directory.lock()
    _check(case, actor)
    step = _open_step(case)
    reason = _reason(reason)
    if to == step.approver and step.tier == Tier.APPROVER.value:
        raise Invalid(approver=f"{name} is already the approver.")
    refuse_too_large([to])
    found = directory.look_up([to])
    deciders = who_decides(to, owner=None, directory=found.directory, without=case.excluded)
    if deciders.tier is not Tier.APPROVER:
        raise Invalid(approver=f"{name} cannot decide this: it has no active member other than the requester.")
    hold(case, step)
    before: dict[str, Any] = {"approver": _plain(step.approver), "tier": step.tier, "asked": _asked(step)}
    changed(
        update(Step)
        .where(Step.id == step.id)
        .values(approver_person_id=to.person, approver_group_id=to.group, tier=deciders.tier.value)
    )
    _invite_all(case.request.id, step.id, deciders.people, now=now)
    after = {"approver": _plain(to), "tier": deciders.tier.value, "asked": sorted(deciders.people)}
    audit.record(EventKind.STEP_REASSIGNED, at=now, actor=actor, request=case.request.id, app=case.app.id,
                 person=case.request.for_person_id, step=step.position, reason=sha256(reason),
                 before=before, after=after)  # fmt: skip
    _tell(case, actor, f"Reassigned to {name}. Reason: {reason}", now=now)


def extend(case: Case, *, days: str, actor: AnyActor, reason: str, now: datetime) -> None:
    """The open step is due in so many times 24 hours from now, by the database's clock; never earlier than before.
    Raises Invalid, Conflict or the workflow's errors."""
    _check(case, actor)
    step = _open_step(case)
    number = int(days) if days.strip().isdecimal() and len(days.strip()) < 4 else 0
    wrong = {}
    if not 1 <= number <= DAYS_LIMIT:
        wrong["days"] = f"Enter a number of days from 1 to {DAYS_LIMIT}."
    try:
        reason = _reason(reason)
    except Invalid as error:
        wrong |= error.fields
    if wrong:
        raise Invalid(**wrong)
    hold(case, step)
    due = db.session.scalar(
        update(Step)
        .where(Step.id == step.id, Step.due_at < db_now(number * DAY))
        .values(due_at=db_now(number * DAY))
        .returning(Step.due_at),
        execution_options={"synchronize_session": False},
    )
    if due is None:
        raise Invalid(days="The current deadline is later. Enter more days.")
    before = step.due_at.isoformat(timespec="seconds") if step.due_at else None
    audit.record(EventKind.STEP_EXTENDED, at=now, actor=actor, request=case.request.id, app=case.app.id,
                 person=case.request.for_person_id, step=step.position, days=number, reason=sha256(reason),
                 before={"due_at": before}, after={"due_at": due.isoformat(timespec="seconds")})  # fmt: skip
    words = "1 day" if number == 1 else f"{number} days"
    _tell(case, actor, f"Deadline extended to {words} from this comment. Reason: {reason}", now=now)


def _check(case: Case, actor: AnyActor) -> None:
    if require_person(actor) in case.request.requesters:
        raise SelfApproval("You cannot change your own request. Ask another admin.")
    if not actor.is_admin:
        raise NotYourTurn("Only an admin can do that.")


def _open_step(case: Case) -> Step:
    """Raises Settled when the request is not pending or its time is over."""
    if state_machine.require_open(case.snapshot()).overdue or case.open_step is None:
        raise Settled("The deadline for this decision has passed.")
    return case.open_step


def _reason(given: str) -> str:
    reason = clean(given)
    if not reason:
        raise Invalid(reason="Enter a reason. Everyone on this request will see it.")
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=f"Use {REASON_LIMIT} characters or fewer. You entered {len(reason):,}.")
    return reason


def _asked(step: Step) -> list[int]:
    rows = db.session.scalars(select(Invitation.person_id).where(Invitation.step_id == step.id, Invitation.live))
    return sorted(rows)


def _invite_all(request_id: int, step_id: int, people: tuple[int, ...], *, now: datetime) -> None:
    """Every invitation so far goes into a new round, live for these people alone, and each of them gets a mail."""
    changed(
        update(Invitation)
        .where(Invitation.step_id == step_id)
        .values(
            round=Invitation.round + 1,
            live=Invitation.person_id.in_(people),
            key_id=keyring().current,
            wrong_codes=0,
        )
    )
    known = db.session.execute(
        select(Invitation.id, Invitation.person_id, Invitation.round).where(
            Invitation.step_id == step_id, Invitation.person_id.in_(people)
        )
    ).all()
    _invitations.ask([(one.id, one.person_id, one.round) for one in known], request_id, step_id, now=now)
    seen = {one.person_id for one in known}
    _invitations.invite(request_id, step_id, [one for one in people if one not in seen], now=now)


def _tell(case: Case, actor: AnyActor, words: str, *, now: datetime) -> None:
    """In the request's story, where everybody on it reads it."""
    db.session.add(Comment(request_id=case.request.id, person_id=actor.id, body=words, created_at=now))


def _plain(approver: Approver) -> dict[str, int | None]:
    return {"person": approver.person, "group": approver.group}
