"""The steps of an app's rule: each is named by its id, whoever approves it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from webapp.models import App
from webapp.text import public_id
from webapp.workflow.actor import AnyActor
from webapp.workflow.policy import Approver, Policy, StepRule

from .apps import rule_to_change, save_policy
from .errors import Conflict, Invalid


def add(app: App, *, approver: Approver, actor: AnyActor, now: datetime) -> str:
    """Adds a step at the end of the chain; returns its id. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    if any(step.approver == approver for step in policy.steps):
        raise Invalid(step="This approver is already in another step.")
    step = StepRule(approver, id=public_id())
    _save(app, policy, (*policy.steps, step), actor=actor, now=now)
    return step.id


def change_approver(app: App, step_id: str, *, to: Approver, actor: AnyActor, now: datetime) -> None:
    """Sets another approver for a step, which keeps its time limit and its visibility. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    step = _find(policy, step_id)
    if any(one.approver == to for one in policy.steps if one is not step):
        raise Invalid(approver="This approver is already in another step.")
    _save(app, policy, _with(policy, replace(step, approver=to)), actor=actor, now=now)


def set_days(app: App, step_id: str, *, days: int | None, actor: AnyActor, now: datetime) -> None:
    """Sets the time limit of one step in days of 24 hours; None: the app's. Raises Invalid or Conflict."""
    policy = rule_to_change(app)
    _save(app, policy, _with(policy, replace(_find(policy, step_id), days=days)), actor=actor, now=now)


def remove(app: App, step_id: str, *, actor: AnyActor, now: datetime) -> None:
    """Raises Invalid, or Conflict when it is gone already or the last of a requestable app."""
    policy = rule_to_change(app)
    step = _find(policy, step_id)
    left = tuple(one for one in policy.steps if one is not step)
    if not left and app.requestable and policy.approval_required:
        raise Conflict(f"{app.name} is requestable and needs an approver. Turn off Requestable first.")
    _save(app, policy, left, actor=actor, now=now)


def order(app: App, step_ids: Sequence[str], *, actor: AnyActor, now: datetime) -> None:
    """Sets who decides first, and so on. Raises Conflict unless `step_ids` names each step once."""
    policy = rule_to_change(app)
    steps = {step.id: step for step in policy.steps}
    if len(step_ids) != len(steps) or set(step_ids) != set(steps):
        raise Conflict("Someone else changed the steps. Check them and try again.")
    _save(app, policy, tuple(steps[one] for one in step_ids), actor=actor, now=now)


def _find(policy: Policy, step_id: str) -> StepRule:
    step = policy.step(step_id)
    if step is None:
        raise Conflict("Someone else has removed this step. Reload the page.")
    return step


def _with(policy: Policy, changed: StepRule) -> tuple[StepRule, ...]:
    return tuple(changed if one.id == changed.id else one for one in policy.steps)


def _save(app: App, policy: Policy, steps: tuple[StepRule, ...], *, actor: AnyActor, now: datetime) -> None:
    if steps != policy.steps:
        save_policy(app, replace(policy, steps=steps), actor=actor, now=now)
