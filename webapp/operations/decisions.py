"""Decisions: one person's verdict on the open step, and what it does."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import insert

from webapp.delivery import outbox
from webapp.models import Decision, Step
from webapp.notices import NoticeKind, notice
from webapp.queries import cases, directory, domains
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, sha256
from webapp.workflow import state_machine
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.approvers import Deciders, who_decides
from webapp.workflow.entitlements import Given, SetValue, Sheet, fill, shown
from webapp.workflow.entitlements import missing as missing_words
from webapp.workflow.errors import BadValues, NotYourTurn
from webapp.workflow.policy import MESSAGE_LIMIT
from webapp.workflow.states import Channel, RequestState, StepState, Verdict

from . import _invitations, _vouched, grants, proofs
from ._outcome_notices import outcome_notices
from ._sql import run
from ._transition import transition
from ._values import cleaned, for_the_record, taken
from .errors import Conflict, Invalid, Outrun, too_long
from .proofs import Proof

# The version of a request also moves when people are reminded or asked anew: then the same verdict is applied again.
TRIES = 3


def decide(
    case: Case,
    *,
    actor: AnyActor,
    proof: Proof,
    verdict: Verdict,
    comment: str = "",
    given: Given | None = None,
    step_id: int | None = None,
    now: datetime,
) -> None:
    """Applies one person's verdict to the open step, with the entitlements that the step may write.

    `step_id` is the step the person was looking at, else the open one of `case`. Raises the workflow's errors,
    BadValues, Invalid, what `proofs.check` raises, or Conflict when somebody else was faster.
    """
    directory.lock()
    proofs.check(proof, case, now=now)
    comment = clean(comment)
    if len(comment) > MESSAGE_LIMIT:
        field = "reason" if verdict is Verdict.DENIED else "comment"
        raise Invalid(**{field: too_long(comment, MESSAGE_LIMIT)})
    if step_id is None and case.open_step is not None:
        step_id = case.open_step.id
    for _ in range(TRIES):
        try:
            _decide(case, actor=actor, proof=proof, verdict=verdict, comment=comment, given=given, step_id=step_id,
                    now=now)  # fmt: skip
            return
        except Outrun:
            case = cases.reload(case)
            if case.open_step is None or case.open_step.id != step_id or case.is_overdue:
                raise
    raise Conflict("This request was being changed. Try again.")


def _decide(
    case: Case,
    *,
    actor: AnyActor,
    proof: Proof,
    verdict: Verdict,
    comment: str,
    given: Given | None,
    step_id: int | None,
    now: datetime,
) -> None:
    person_id, channel = require_person(actor), proofs.channel_of(proof, actor)
    step = case.open_step
    following = next((one for one in case.steps if one.state == StepState.WAITING.value), None)
    found = directory.look_up([one.approver for one in (step, following) if one is not None] + [case.app.owner])

    def deciders_of(one: Step, without: frozenset[int] = case.request.requesters) -> Deciders:
        return who_decides(one.approver, owner=case.app.owner, directory=found.directory, without=without)

    outcome = state_machine.decide(
        case.snapshot(),
        actor=person_id,
        verdict=verdict,
        deciders=deciders_of(step, case.excluded).people if step else (),
        step_id=step_id,
        reason=comment,
        channel=channel,
    )
    assert step is not None  # state_machine.decide refuses a request without an open step
    if channel is Channel.ADMIN and person_id not in found.directory.admins:
        raise NotYourTurn("Only an admin can decide for the approvers.")
    values = case.request.values
    if verdict is Verdict.APPROVED:
        sheet = case.policy.sheet_for_step(step.position, values)
        if given is None:
            _require_complete(sheet)
        else:
            filled = fill(sheet.fields, cleaned(given), by=person_id, at=now.isoformat(timespec="seconds"))
            values = taken(sheet, values, filled)
    _apply_outcome(case, outcome, step, actor=actor, proof=proof, verdict=verdict, comment=comment, values=values,
                   now=now)  # fmt: skip
    if following is not None and outcome.opened == following.id:
        _invitations.open_step(case.request.id, following, deciders_of(following), now=now)


def approve_remaining_steps(case: Case, *, actor: AnyActor, reason: str, now: datetime) -> None:
    """An admin approves the request in place of everybody who has not decided yet. Raises the workflow's errors, or
    Conflict when somebody else was faster."""
    directory.lock()
    outcome = state_machine.approve_remaining_steps(case.snapshot(), actor=require_person(actor), reason=reason)
    step = case.open_step
    assert step is not None  # the state machine refuses a request without an open step
    _apply_outcome(case, outcome, step, actor=actor, proof=proofs.STEP_IN, verdict=Verdict.APPROVED, comment=reason,
                   values=case.request.values, now=now)  # fmt: skip


def _apply_outcome(
    case: Case,
    outcome: state_machine.Outcome,
    step: Step,
    *,
    actor: AnyActor,
    verdict: Verdict,
    comment: str,
    proof: Proof,
    values: dict[str, SetValue],
    now: datetime,
) -> None:
    """Applies what the workflow made of one verdict: moves request and steps, records it, gives the app, and tells
    people. Raises Outrun when somebody else was faster."""
    transition(case, outcome, actor=actor.id, now=now, values=values, step=step)
    proofs.hold(proof)
    _record_decision(case, step, outcome, actor=actor, verdict=verdict, comment=comment, values=values,
                     channel=proofs.channel_of(proof, actor), now=now)  # fmt: skip
    asked = _invitations.asked_people([case.request.id]).get(case.request.id, []) if outcome.state.is_final else []
    freed = _invitations.close_invitations([step.id])
    notices: list[dict[str, Any]] = []
    if outcome.state is RequestState.APPROVED:
        grants.grant_from_request(case, values, actor=actor, now=now)
        outbox.post(_vouched.notices(case, actor=actor, now=now))
    if outcome.state.is_final:
        notices = outcome_notices(
            outcome.state,
            case.policy.outcomes[outcome.state],
            case.request.id,
            requesters=(case.request.for_person_id, case.request.asked_by_id),
            approvers=(person for person, _, _ in asked if person != actor.id),
            outside=domains.outside(case.policy.outcomes[outcome.state].others),
            now=now,
        )
    told = {actor.id, *(one["person_id"] for one in notices)}
    notices += [
        notice(NoticeKind.REQUEST_SETTLED, "approver", now=now, person_id=person, request_id=case.request.id,
                            step_id=step.id)
        for person in freed
        if person not in told
    ]  # fmt: skip
    outbox.post(notices)


def _require_complete(sheet: Sheet) -> None:
    """For a verdict without a form: what this step has to set must be set already. Raises BadValues."""
    missing = [one.entitlement for one in sheet.writable if one.entitlement.required and one.current is None]
    if missing:
        raise BadValues({one.id: missing_words(one) for one in missing})


_DECISION = insert(Decision.metadata.tables["decisions"])


def _record_decision(
    case: Case,
    step: Step,
    outcome: state_machine.Outcome,
    *,
    actor: AnyActor,
    verdict: Verdict,
    comment: str,
    channel: Channel,
    values: dict[str, SetValue],
    now: datetime,
) -> None:
    names = {one.id: one.name for one in case.policy.entitlements}
    before = case.request.values
    differs = [key for key in names if before.get(key) != values.get(key)]
    was_set = {names[key]: shown(values[key].value) if key in values else "" for key in differs}
    decision = {
        "step_id": step.id,
        "person_id": actor.id,
        "verdict": verdict.value,
        "channel": channel.value,
        "comment": comment,
        "set_json": json.dumps(was_set, ensure_ascii=False),
        "created_at": now,
    }
    run(_DECISION, decision)
    audit.record(
        EventKind.STEP_APPROVED if verdict is Verdict.APPROVED else EventKind.STEP_DENIED,
        at=now,
        actor=actor,
        request=case.request.id,
        app=case.app.id,
        person=case.request.for_person_id,
        step=step.position,
        channel=channel.value,
        comment=sha256(comment) if comment else None,
        before=for_the_record(case.policy, {key: before[key] for key in differs if key in before}),
        after=for_the_record(case.policy, {key: values[key] for key in differs if key in values}),
        state=outcome.state.value,
        **({"vouched": True} if _vouched.is_vouched(case, actor) else {}),
    )
