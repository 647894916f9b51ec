"""All rules of an app at once, as a program writes them; people change them one by one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from webapp.models import App
from webapp.text import public_id
from webapp.workflow.actor import AnyActor
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

from ._outcome_rules import changed_outcome
from .apps import rule_to_change, save_policy
from .errors import Conflict, Invalid


def replace_policy(
    app: App, *, approval_required: bool, comment_required: bool, days: int, assurance: Assurance,
    steps: Sequence[StepRule], outcomes: Mapping[RequestState, OutcomeRule],
    wrong: Mapping[str, str] = MappingProxyType({}), actor: AnyActor, now: datetime,
) -> None:  # fmt: skip
    """Sets everything but the fields. A step with an id keeps it; one without ("") gets that of the step with the same
    approver, or a new one. Nothing is saved when nothing differs.

    Raises Invalid with all that is wrong, by its place as "steps.1.days", together with what the caller has found
    `wrong` before; and Conflict.
    """
    policy = rule_to_change(app)
    found = dict(wrong)
    wanted = replace(
        policy, approval_required=approval_required, comment_required=comment_required, days=days, assurance=assurance,
        steps=_identified(policy, steps, found),
        outcomes={**policy.outcomes, **_checked(policy, outcomes, found)},
    )  # fmt: skip
    if found := wanted.faults() | found:
        raise Invalid(**found)
    if wanted == policy:
        return
    if app.requestable and approval_required and not steps:
        raise Conflict(f"{app.name} is requestable and needs an approver. Turn off Requestable first.")
    save_policy(app, wanted, actor=actor, now=now)


def _identified(policy: Policy, steps: Sequence[StepRule], wrong: dict[str, str]) -> tuple[StepRule, ...]:
    """The steps, each with an id."""
    known = {step.id for step in policy.steps}
    named = [step.id for step in steps if step.id]
    free = {step.approver: step.id for step in policy.steps if step.id not in named}
    found = []
    for at, step in enumerate(steps):
        if step.id and step.id not in known:
            wrong[f"steps.{at}.id"] = "There is no step with this id. Leave it out for a new step."
        elif step.id and step.id in (one.id for one in steps[:at]):
            wrong[f"steps.{at}.id"] = "Another step has this id, too. Leave it out for a new step."
        step = step if step.id else replace(step, id=free.pop(step.approver, "") or public_id())
        present = policy.step(step.id)
        if present is not None and _seen(policy, present) == _seen(policy, step):
            step = replace(step, visibility=present.visibility)  # hidden may be said, or left out
        found.append(step)
    return tuple(found)


def _seen(policy: Policy, step: StepRule) -> list[Visibility]:
    return [step.visibility.get(one.id, Visibility.HIDDEN) for one in policy.entitlements]


def _checked(
    policy: Policy, outcomes: Mapping[RequestState, OutcomeRule], wrong: dict[str, str]
) -> dict[RequestState, OutcomeRule]:
    """The rules of the outcomes that differ, cleaned."""
    found = {}
    for state, rule in outcomes.items():
        before = policy.outcomes.get(state, OutcomeRule())
        try:
            checked = changed_outcome(
                before, requester=rule.requester, approvers=rule.approvers, others=rule.others, message=rule.message,
                reasons=rule.reasons,
            )  # fmt: skip
        except Invalid as error:
            wrong |= {f"outcomes.{state.value}.{name}": words for name, words in error.fields.items()}
            continue
        if checked != before:
            found[state] = checked
    return found
