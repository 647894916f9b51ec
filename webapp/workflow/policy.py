"""An app's rule as a value: who approves, in which order, within which time, and what happens then.

A saved rule is canonical JSON text, so the same rule always has the same hash.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from .entitlements import Entitlement, Field, SetValue, Sheet
from .errors import BadPolicy
from .states import Assurance, RequestState, Visibility

SCHEMA = 1
DAYS_DEFAULT = 3
DAYS_LIMIT = 90
STEPS_LIMIT = 10
MESSAGE_LIMIT = 1000
WORDS_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Approver:
    """Exactly one of: a person's key, a group's key."""

    person: int | None = None
    group: int | None = None

    def __post_init__(self) -> None:
        if (self.person is None) == (self.group is None):
            raise BadPolicy("A step needs exactly one approver: a person or a group.")


@dataclass(frozen=True, slots=True)
class StepRule:
    """One step: its approver, its own time limit in days (None: the policy's), and who sees which field."""

    approver: Approver
    days: int | None = None
    see: Mapping[str, Visibility] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class OutcomeRule:
    """Whom to mail when a request ends this way, and with which words of the admin's."""

    requester: bool = True
    approvers: bool = False
    others: tuple[str, ...] = ()
    words: str = ""
    reasons: tuple[str, ...] = ()


def _outcomes() -> dict[RequestState, OutcomeRule]:
    return {
        RequestState.APPROVED: OutcomeRule(),
        RequestState.DENIED: OutcomeRule(),
        RequestState.EXPIRED: OutcomeRule(approvers=True),
    }


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole rule of an app at one moment."""

    approval_required: bool = True
    steps: tuple[StepRule, ...] = ()
    days: int = DAYS_DEFAULT
    assurance: Assurance = Assurance.CODE
    comment_required: bool = False
    entitlements: tuple[Entitlement, ...] = ()
    outcomes: Mapping[RequestState, OutcomeRule] = field(default_factory=_outcomes)

    def days_for(self, position: int) -> int:
        """The time limit of the step at `position` (from 0), in days of 24 hours."""
        return self.steps[position].days or self.days

    def check(self) -> None:
        """Raises BadPolicy with a sentence if the rule cannot be saved."""
        if len(self.steps) > STEPS_LIMIT:
            raise BadPolicy(f"An app can have up to {STEPS_LIMIT} steps.")
        limits = [self.days, *(step.days for step in self.steps if step.days is not None)]
        if any(not 1 <= days <= DAYS_LIMIT for days in limits):
            raise BadPolicy(f"The time limit can be 1 to {DAYS_LIMIT} days.")
        approvers = [step.approver for step in self.steps]
        if len(set(approvers)) != len(approvers):
            raise BadPolicy("This approver is already in another step.")
        for entitlement in self.missing(self.defaults()):
            if not self.approval_required:
                raise BadPolicy(
                    f"{entitlement.name} is required but has no default. Without approval, no one can set it. "
                    "Add a default or make it optional."
                )
            writers = [entitlement.requester, *(step.see.get(entitlement.id) for step in self.steps)]
            if Visibility.WRITE not in writers:
                raise BadPolicy(
                    f"{entitlement.name} is required but no one can edit it. Give the requester or a step Edit access."
                )

    def sheet_for_requester(self, values: Mapping[str, SetValue]) -> Sheet:
        """The fields as the one who asks sees them."""
        return self._sheet(values, {one.id: one.requester for one in self.entitlements})

    def sheet_for_step(self, position: int, values: Mapping[str, SetValue]) -> Sheet:
        """The fields as the approver of the step at `position` sees them."""
        return self._sheet(values, self.steps[position].see)

    def sheet_for_steps(self, positions: Collection[int], values: Mapping[str, SetValue]) -> Sheet:
        """What the approvers of any of these steps see, to read."""
        seen = {one.entitlement.id for at in positions for one in self.sheet_for_step(at, values).visible}
        return self._sheet(values, dict.fromkeys(seen, Visibility.READ))

    def sheet_for_grant(self, values: Mapping[str, SetValue]) -> Sheet:
        """Every field, to fill in: for who grants access without a request."""
        return self._sheet(values, {one.id: Visibility.WRITE for one in self.entitlements})

    def sheet_for_owner(self, values: Mapping[str, SetValue]) -> Sheet:
        """Every field, read-only: for owners and admins."""
        return self._sheet(values, {one.id: Visibility.READ for one in self.entitlements})

    def _sheet(self, values: Mapping[str, SetValue], see: Mapping[str, Visibility]) -> Sheet:
        return Sheet(
            tuple(Field(one, see.get(one.id, Visibility.HIDDEN), values.get(one.id)) for one in self.entitlements)
        )

    def defaults(self) -> dict[str, SetValue]:
        """The values that nobody has to set."""
        return {one.id: SetValue(one.default) for one in self.entitlements if one.default is not None}

    def missing(self, values: Mapping[str, SetValue]) -> tuple[Entitlement, ...]:
        """What is required and not set."""
        return tuple(one for one in self.entitlements if one.required and one.id not in values)

    def dumps(self) -> str:
        """Canonical JSON text: sorted keys, no spaces, so equal rules are equal text."""
        return json.dumps(_plain(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def with_steps(self, *steps: StepRule) -> "Policy":
        return replace(self, steps=steps)


def digest(text: str) -> str:
    """SHA-256 of a rule's canonical text, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(policy: Policy) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "approval_required": policy.approval_required,
        "days": policy.days,
        "assurance": policy.assurance.value,
        "comment_required": policy.comment_required,
        "steps": [
            {
                "person": step.approver.person,
                "group": step.approver.group,
                "days": step.days,
                "see": {key: visibility.value for key, visibility in step.see.items()},
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
                "words": rule.words,
                "reasons": list(rule.reasons),
            }
            for state, rule in policy.outcomes.items()
        },
    }


@lru_cache(maxsize=512)
def loads(text: str) -> Policy:
    """A rule from its stored text. Kept in memory: a revision never changes."""
    plain = json.loads(text)
    if plain["schema"] != SCHEMA:
        raise BadPolicy(f"This rule was written in form {plain['schema']}, and this version reads form {SCHEMA}.")
    return Policy(
        approval_required=plain["approval_required"],
        days=plain["days"],
        assurance=Assurance(plain["assurance"]),
        comment_required=plain["comment_required"],
        steps=tuple(
            StepRule(
                Approver(step["person"], step["group"]),
                step["days"],
                {key: Visibility(value) for key, value in step["see"].items()},
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
                words=rule["words"],
                reasons=tuple(rule["reasons"]),
            )
            for state, rule in plain["outcomes"].items()
        },
    )
