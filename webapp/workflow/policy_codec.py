"""A rule as stored text: canonical JSON, so that equal rules are equal text with one hash.

Revisions are never rewritten: an old form is read by upgrading it step by step, and only the newest form is written.
A new form needs a number, a function in `_UPGRADES` that makes it of the form before, and a text in
`tests/workflow/policy_forms/`.
"""

import hashlib
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from .entitlements import Entitlement
from .errors import BadPolicy
from .policy import Approver, OutcomeRule, Policy, StepRule
from .states import Assurance, RequestState, Visibility

FORM = 2

Plain = dict[str, Any]


def dumps(policy: Policy) -> str:
    """The rule as text in the newest form: sorted keys, no spaces."""
    return json.dumps(_plain(policy), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """SHA-256 of a rule's text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=512)
def loads(text: str) -> Policy:
    """A rule from its text of any form so far. Raises BadPolicy for a form of a later version. Kept in memory: a
    revision never changes."""
    plain = json.loads(text)
    form = plain["schema"]
    if form not in range(1, FORM + 1):
        raise BadPolicy(f"This rule was written in form {form}, and this version reads forms up to {FORM}.")
    for number in range(form, FORM):
        plain = _UPGRADES[number](plain)
    return _policy(plain)


def _form_1_to_2(plain: Plain) -> Plain:
    """Steps get ids, and `see` and `words` plainer names.

    In form 1 each approver has one step, so the id is made of the approver: the same in all revisions, wherever the
    step stands. Hashed, because forms show it and keys of rows stay inside.
    """
    steps = []
    for step in plain["steps"]:
        rest = {key: value for key, value in step.items() if key != "see"}
        id = hashlib.sha256(f"{step['person']} {step['group']}".encode()).hexdigest()[:12]
        steps.append(rest | {"id": id, "visibility": step["see"]})
    outcomes = {
        state: {("message" if key == "words" else key): value for key, value in rule.items()}
        for state, rule in plain["outcomes"].items()
    }
    return plain | {"schema": 2, "steps": steps, "outcomes": outcomes}


# Form n → what makes form n + 1 of it. They build new dicts and never change what they are given.
_UPGRADES: dict[int, Callable[[Plain], Plain]] = {1: _form_1_to_2}


def _plain(policy: Policy) -> Plain:
    return {
        "schema": FORM,
        "approval_required": policy.approval_required,
        "days": policy.days,
        "assurance": policy.assurance.value,
        "comment_required": policy.comment_required,
        "steps": [
            {
                "id": step.id,
                "person": step.approver.person,
                "group": step.approver.group,
                "days": step.days,
                "visibility": {key: visibility.value for key, visibility in step.visibility.items()},
            }
            for step in policy.steps
        ],
        "entitlements": [
            {
                "id": one.id,
                "name": one.name,
                "kind": one.kind,
                "options": list(one.options),
                "required": one.required,
                "default": one.default,
                "help": one.help,
                "requester": one.requester.value,
            }
            for one in policy.entitlements
        ],
        "outcomes": {
            state.value: {
                "requester": rule.requester,
                "approvers": rule.approvers,
                "others": list(rule.others),
                "message": rule.message,
                "reasons": list(rule.reasons),
            }
            for state, rule in policy.outcomes.items()
        },
    }


def _policy(plain: Plain) -> Policy:
    return Policy(
        approval_required=plain["approval_required"],
        days=plain["days"],
        assurance=Assurance(plain["assurance"]),
        comment_required=plain["comment_required"],
        steps=tuple(
            StepRule(
                approver=Approver(step["person"], step["group"]),
                days=step["days"],
                visibility={key: Visibility(value) for key, value in step["visibility"].items()},
                id=step["id"],
            )
            for step in plain["steps"]
        ),
        entitlements=tuple(
            Entitlement(
                id=one["id"],
                name=one["name"],
                kind=one["kind"],
                options=tuple(one["options"]),
                required=one["required"],
                default=one["default"],
                help=one["help"],
                requester=Visibility(one["requester"]),
            )
            for one in plain["entitlements"]
        ),
        outcomes={
            RequestState(state): OutcomeRule(
                requester=rule["requester"],
                approvers=rule["approvers"],
                others=tuple(rule["others"]),
                message=rule["message"],
                reasons=tuple(rule["reasons"]),
            )
            for state, rule in plain["outcomes"].items()
        },
    )
