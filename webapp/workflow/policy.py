"""An app's rule as a value: who approves, in which order, within which time, and what happens then."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import count

from .entitlements import Entitlement, Field, SetValue, Sheet
from .errors import BadPolicy
from .states import Assurance, RequestState, Visibility

DAYS_DEFAULT = 3
DAYS_LIMIT = 90
STEPS_LIMIT = 10
MESSAGE_LIMIT = 1000
OUTCOME_MESSAGE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Approver:
    """Exactly one of: a person's key, a group's key."""

    person: int | None = None
    group: int | None = None

    def __post_init__(self) -> None:
        if (self.person is None) == (self.group is None):
            raise BadPolicy("A step needs exactly one approver: a person or a group.")

    @classmethod
    def if_any(cls, person: int | None, group: int | None) -> "Approver | None":
        """None where neither is set, as for an app without an owner."""
        return None if person is None and group is None else cls(person, group)


@dataclass(frozen=True, slots=True)
class StepRule:
    """One step: its approver, its own time limit in days (None: the policy's), and what the approver may do with each
    field. `id` names it for as long as the rule has it, whoever approves; the policy fills in one that is missing."""

    approver: Approver
    days: int | None = None
    visibility: Mapping[str, Visibility] = field(default_factory=dict)
    id: str = ""


@dataclass(frozen=True, slots=True)
class OutcomeRule:
    """Whom to email when a request ends this way, with which message, and the reasons to choose from."""

    requester: bool = True
    approvers: bool = False
    others: tuple[str, ...] = ()
    message: str = ""
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

    def __post_init__(self) -> None:
        if not all(step.id for step in self.steps):
            taken = {step.id for step in self.steps}
            free = (str(number) for number in count(1) if str(number) not in taken)
            steps = tuple(step if step.id else replace(step, id=next(free)) for step in self.steps)
            object.__setattr__(self, "steps", steps)

    def days_for(self, position: int) -> int:
        """The time limit of the step at `position` (from 0), in days of 24 hours."""
        return self.steps[position].days or self.days

    def step(self, id: str) -> StepRule | None:
        """The step with this id."""
        return next((step for step in self.steps if step.id == id), None)

    def check(self) -> None:
        """Raises BadPolicy with a sentence if the rule cannot be saved."""
        for sentence in self.faults().values():
            raise BadPolicy(sentence)

    def faults(self) -> dict[str, str]:
        """Why the rule cannot be saved: a place in it, as "steps.1.days", → a sentence. Empty when it can."""
        found: dict[str, str] = {}
        if len(self.steps) > STEPS_LIMIT:
            found["steps"] = f"An app can have up to {STEPS_LIMIT} steps."
        limits = {"days": self.days} | {f"steps.{at}.days": step.days for at, step in enumerate(self.steps)}
        for place, days in limits.items():
            if days is not None and not 1 <= days <= DAYS_LIMIT:
                found[place] = f"The time limit can be 1 to {DAYS_LIMIT} days."
        approvers = [step.approver for step in self.steps]
        for at, approver in enumerate(approvers):
            if approver in approvers[:at]:
                found[f"steps.{at}.approver"] = "This approver is already in another step."
        for entitlement in self.missing(self.defaults()):
            if not self.approval_required:
                found.setdefault(
                    "approval_required",
                    f"{entitlement.name} is required but has no default. Without approval, no one can set it. "
                    "Add a default or make it optional.",
                )
                continue
            writers = [entitlement.requester, *(step.visibility.get(entitlement.id) for step in self.steps)]
            if Visibility.WRITE not in writers:
                found.setdefault(
                    "steps",
                    f"{entitlement.name} is required but no one can edit it. Give the requester or a step Edit access.",
                )
        return found

    def sheet_for_requester(self, values: Mapping[str, SetValue]) -> Sheet:
        """The fields as the one who asks sees them."""
        return self._sheet(values, {one.id: one.requester for one in self.entitlements})

    def sheet_for_step(self, position: int, values: Mapping[str, SetValue]) -> Sheet:
        """The fields as the approver of the step at `position` sees them."""
        return self._sheet(values, self.steps[position].visibility)

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

    def _sheet(self, values: Mapping[str, SetValue], visibility: Mapping[str, Visibility]) -> Sheet:
        return Sheet(
            tuple(
                Field(one, visibility.get(one.id, Visibility.HIDDEN), values.get(one.id)) for one in self.entitlements
            )
        )

    def defaults(self) -> dict[str, SetValue]:
        """The values that nobody has to set."""
        return {one.id: SetValue(one.default) for one in self.entitlements if one.default is not None}

    def missing(self, values: Mapping[str, SetValue]) -> tuple[Entitlement, ...]:
        """What is required and not set."""
        return tuple(one for one in self.entitlements if one.required and one.id not in values)

    def with_steps(self, *steps: StepRule) -> "Policy":
        return replace(self, steps=steps)
