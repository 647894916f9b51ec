"""Rules of apps, as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.helpers import factories
from webapp.models import Group, Person
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

ROLE = Entitlement("role", "Role", "choice", ("Reader", "Writer"), required=True)
SEAT = Entitlement("seat", "Seat", "text", requester=Visibility.WRITE)
NOTES = Entitlement("notes", "Notes", "text", default="standard")
HIDDEN, READ, WRITE = Visibility.HIDDEN, Visibility.READ, Visibility.WRITE


def rule(
    *approvers: Person | Group,
    see: Sequence[dict[str, Visibility]] | Mapping[int, dict[str, Visibility]] = (),
    **changes: Any,
) -> Policy:
    """A rule with these approvers; `see` says for each step, in order or by its position, what it may do with which
    field."""
    of_step = see if isinstance(see, Mapping) else dict(enumerate(see))
    steps = tuple(
        StepRule(factories.approver(one), visibility=of_step.get(position, {}))
        for position, one in enumerate(approvers)
    )
    return Policy(steps=steps, **changes)


def signed_in_only(*approvers: Person | Group) -> Policy:
    return rule(*approvers, assurance=Assurance.SIGN_IN)


def outcomes(**rules: OutcomeRule) -> dict[RequestState, OutcomeRule]:
    return {state: rules.get(state.value, OutcomeRule()) for state in RequestState if state.is_final} | {
        RequestState(name): one for name, one in rules.items()
    }


def text_field(id: str, **changes: Any) -> Entitlement:
    return Entitlement(id, changes.pop("name", id.capitalize()), "text", **changes)
