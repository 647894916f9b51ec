"""What changed between two rules of an app, setting by setting."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from webapp.wording import count
from webapp.workflow.entitlements import Entitlement, shown
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

_SEES = {"hidden": "hidden", "read": "view", "write": "edit"}

# {"person", "group"} → the name.
Namer = Callable[[dict[str, int | None]], str]


@dataclass(frozen=True, slots=True)
class Change:
    """One setting. `before` "": there was nothing to compare with, so this is simply what it is."""

    label: str
    before: str
    after: str


def rule_changes(before: Policy, after: Policy, name: Namer) -> list[Change]:
    pairs = [
        ("Approval", _approval(before), _approval(after)),
        ("Time limit", count(before.days, "day"), count(after.days, "day")),
        ("To approve from the email", _assurance(before), _assurance(after)),
        ("Reason", _comment(before), _comment(after)),
    ]
    found = [Change(*one) for one in pairs if one[1] != one[2]]
    found += _steps(before, after, name)
    found += [Change(label, _SEES[was], _SEES[now]) for label, was, now in seen(before, after, name) if was != now]
    found += _fields(before, after)
    for state in (RequestState.APPROVED, RequestState.DENIED, RequestState.EXPIRED):
        old, new = before.outcomes.get(state, OutcomeRule()), after.outcomes.get(state, OutcomeRule())
        pairs = [
            (f"When {state.value}, email to", _recipients(old), _recipients(new)),
            (f"Text when {state.value}", old.message or "nothing", new.message or "nothing"),
            (f"Reasons when {state.value}", _list(old.reasons), _list(new.reasons)),
        ]
        found += [Change(*one) for one in pairs if one[1] != one[2]]
    return found


def seen(before: Policy, after: Policy, name: Namer) -> list[tuple[str, str, str]]:
    """What the approver of each step may do with each field, wherever in the order it stands."""
    by_id = {step.id: step.visibility for step in before.steps}
    # Rules that were copied from another app have its ids.
    by_approver = {step.approver: step.visibility for step in before.steps}
    return [
        (
            f"{one.name} for {name(_plain_approver(step.approver))}",
            by_id.get(step.id, by_approver.get(step.approver, {})).get(one.id, Visibility.HIDDEN).value,
            step.visibility.get(one.id, Visibility.HIDDEN).value,
        )
        for step in after.steps
        for one in after.entitlements
    ]


def _steps(before: Policy, after: Policy, name: Namer) -> list[Change]:
    found = []
    for at in range(max(len(before.steps), len(after.steps))):
        was, now = (_step(rule.steps[at : at + 1], name) for rule in (before, after))
        if was and now and was != now:
            found.append(Change(f"Step {at + 1}", was, now))
        elif was != now:
            found.append(Change(f"Step {at + 1} {'added' if now else 'removed'}", "", now or was))
    return found


def _step(steps: tuple[StepRule, ...], name: Namer) -> str:
    if not steps:
        return ""
    who = name(_plain_approver(steps[0].approver))
    return f"{who} ({count(steps[0].days, 'day')})" if steps[0].days else who


def _plain_approver(approver: Approver) -> dict[str, int | None]:
    return {"person": approver.person, "group": approver.group}


def _approval(policy: Policy) -> str:
    return "required" if policy.approval_required else "not required"


def _assurance(policy: Policy) -> str:
    return "the code is enough" if policy.assurance is Assurance.CODE else "sign in first"


def _comment(policy: Policy) -> str:
    return "required" if policy.comment_required else "optional"


def _recipients(rule: OutcomeRule) -> str:
    recipients = [words for words, on in (("the requester", rule.requester), ("the approvers", rule.approvers)) if on]
    return ", ".join([*recipients, *rule.others]) or "no one"


def _list(texts: tuple[str, ...]) -> str:
    return ", ".join(f"“{text}”" for text in texts) or "none"


def _fields(before: Policy, after: Policy) -> list[Change]:
    was, now = ({one.id: one for one in rule.entitlements} for rule in (before, after))
    found = []
    for id in dict.fromkeys([*was, *now]):
        old, new = was.get(id), now.get(id)
        if old is not None and new is not None:
            found += _field(old, new)
        elif new is not None:
            found.append(Change("Field added", "", new.name))
        elif old is not None:
            found.append(Change("Field archived", "", old.name))
    return found


def _field(old: Entitlement, new: Entitlement) -> list[Change]:
    found = []
    for label, key in (
        ("name", "name"), ("kind", "kind"), ("choices", "options"), ("required", "required"),
        ("default", "default"), ("help", "help"), ("for the requester", "requester"),
    ):  # fmt: skip
        left, right = getattr(old, key), getattr(new, key)
        if left != right:
            found.append(Change(f"Field {new.name}, {label}", _plain(left), _plain(right)))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value) or "nothing"
    if isinstance(value, Visibility):
        return _SEES[value.value]
    return shown(value) if value not in (None, "") else "nothing"
