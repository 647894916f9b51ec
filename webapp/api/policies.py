"""The approval rules of an app, as a whole; and what they would do for a person."""

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.operations import entitlements
from webapp.operations import policies as operations
from webapp.queries import app_list, principals, simulation
from webapp.queries.app_list import AppRow
from webapp.queries.tokens import Caller
from webapp.web import access
from webapp.web.problems import Problem
from webapp.workflow import policy as rules
from webapp.workflow.approvers import Deciders
from webapp.workflow.policy import Approver, OutcomeRule, StepRule
from webapp.workflow.scopes import Scope
from webapp.workflow.states import Assurance, RequestState, Tier, Visibility

from . import _pending
from ._answers import ApproverRef, GivenApprover, PersonRef
from ._operation import must_match, operation
from ._pending import Pending
from ._types import Body, Flag, GivenKey, Key, Number, Query, Text, one_of

_ADDRESSES, _WORDS = ["it-desk@nordlicht.example"], "The licence is ready within a day."
_ACCESS = {"Role": "write", "Region": "read"}
_STATES = (RequestState.APPROVED, RequestState.DENIED, RequestState.EXPIRED)
PEOPLE = 50


@dataclass(frozen=True, slots=True)
class PolicyStep:
    """One step: who approves, within how many days, and what they may do with each field."""

    id: Annotated[Key, Field(description="Names the step for as long as the policy has it, whoever approves.")]
    approver: ApproverRef
    days: Annotated[int | None, Field(description="Null: the days of the policy.", examples=[2])]
    fields: Annotated[
        dict[str, one_of(Visibility)],  # type: ignore[valid-type]
        Field(description="Each field in use by its name.", examples=[_ACCESS]),
    ]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who is told by email when a request ends this way."""

    requester: Flag
    approvers: Flag
    others: Annotated[list[str], Field(description="Further addresses.", examples=[_ADDRESSES])]
    words: Annotated[str, Field(description="A text for the email.", examples=[_WORDS])]

    @classmethod
    def of(cls, rule: OutcomeRule) -> Self:
        return cls(rule.requester, rule.approvers, list(rule.others), rule.message)


@dataclass(frozen=True, slots=True)
class DeniedOutcome:
    """Who is told by email when a request is denied, and the reasons to choose from."""

    requester: Flag
    approvers: Flag
    others: Annotated[list[str], Field(description="Further addresses.", examples=[_ADDRESSES])]
    words: Annotated[str, Field(description="A text for the email.", examples=[_WORDS])]
    reasons: Annotated[list[str], Field(examples=[["Use the shared licence."]])]

    @classmethod
    def of(cls, rule: OutcomeRule) -> Self:
        return cls(rule.requester, rule.approvers, list(rule.others), rule.message, list(rule.reasons))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What happens when a request is approved, denied or expired."""

    approved: Outcome
    denied: DeniedOutcome
    expired: Outcome


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of an app. Requests that are pending keep those under which they were submitted."""

    approval_required: Flag
    comment_required: Annotated[bool, Field(description="Whether a request needs a message.", examples=[False])]
    days: Annotated[int, Field(description="The time limit of each step that has none of its own.", examples=[3])]
    assurance: one_of(Assurance, "What a decision from an email needs: the code in it, or a sign-in.")  # type: ignore[valid-type]
    steps: Annotated[list[PolicyStep], Field(description="Who approves, in order.")]
    outcomes: Outcomes


def _answer(row: AppRow) -> Policy:
    policy = row.policy
    names = principals.of_approvers([step.approver for step in policy.steps])
    steps = [
        PolicyStep(
            step.id, ApproverRef.of(names[step.approver]), step.days,
            {str(one.name): step.visibility.get(one.id, Visibility.HIDDEN) for one in policy.entitlements},
        )
        for step in policy.steps
    ]  # fmt: skip
    approved, denied, expired = (policy.outcomes.get(state, OutcomeRule()) for state in _STATES)
    outcomes = Outcomes(Outcome.of(approved), DeniedOutcome.of(denied), Outcome.of(expired))
    return Policy(
        policy.approval_required, policy.comment_required, policy.days, policy.assurance, steps, outcomes
    )  # fmt: skip


def _load(app: str) -> AppRow:
    return app_list.row(app) or abort(404)


@operation("GET", "/apps/{app}/policy", scope=Scope.APPS_READ, audience="owners_of_app", answer=Policy)
def read(caller: Caller, *, app: str) -> Policy:
    """Read the policy of an app."""
    return _answer(_load(app))


class GivenStep(Body):
    """One step."""

    id: Annotated[
        GivenKey | None,
        Field(description="Of the step as it was read. Left out: the step of the same approver, or a new one."),
    ] = None
    approver: GivenApprover
    days: Annotated[int | None, Field(description="Null: the days of the policy.", examples=[2])] = None
    fields: Annotated[
        dict[Text, Literal["hidden", "read", "write"]],
        Field(description="What its approver may do with each field, by name; hidden where it is left out.",
              examples=[_ACCESS]),
    ] = Field(default_factory=dict)  # fmt: skip


class GivenOutcome(Body):
    """Who is told by email when a request ends this way."""

    requester: bool
    approvers: bool
    others: Annotated[list[Text], Field(max_length=100, description="Further addresses.", examples=[_ADDRESSES])]
    words: Annotated[Text, Field(description="A text for the email.", examples=[_WORDS])]

    @property
    def rule(self) -> OutcomeRule:
        return OutcomeRule(self.requester, self.approvers, tuple(self.others), self.words)


class GivenDeniedOutcome(GivenOutcome):
    """Who is told by email when a request is denied, and the reasons to choose from."""

    reasons: Annotated[list[Text], Field(max_length=100, examples=[["Use the shared licence."]])]

    @property
    def rule(self) -> OutcomeRule:
        return OutcomeRule(self.requester, self.approvers, tuple(self.others), self.words, tuple(self.reasons))


class GivenOutcomes(Body):
    """What happens when a request is approved, denied or expired."""

    approved: GivenOutcome
    denied: GivenDeniedOutcome
    expired: GivenOutcome


class NewPolicy(Body):
    """The whole policy: nothing is left out, so that nothing is lost by accident."""

    approval_required: bool
    comment_required: bool
    days: Annotated[int, Field(description=f"1 to {rules.DAYS_LIMIT}.", examples=[3])]
    assurance: Literal["code", "sign_in"]
    steps: Annotated[list[GivenStep], Field(max_length=50, description=f"Up to {rules.STEPS_LIMIT}.")]
    outcomes: GivenOutcomes
    pending: Annotated[
        Pending | None,
        Field(description="Needed where approval is turned off and requests are pending; else they stay as they are."),
    ] = None


@operation("PUT", "/apps/{app}/policy", scope=Scope.APPS_ADMIN, audience="owners_of_app", body=NewPolicy,
           answer=Policy, needs_match=True)  # fmt: skip
def replace(caller: Caller, *, app: str, body: NewPolicy) -> Policy:
    """Replace the policy of an app.

    As a whole, but for its fields. Requests that are pending keep the policy under which they were submitted. What was
    read can be changed and sent back."""
    row = access.app_to_change(app)
    before = _load(app)
    must_match(Policy, _answer(before))
    turned_off = before.policy.approval_required and not body.approval_required
    if turned_off:
        _pending.require_answer(row, body.pending)
    elif body.pending is not None and body.pending.action != "finish":
        words = "Leave this out: approval is not turned off, so pending requests stay as they are."
        raise Problem(422, "invalid", words, {"pending": words})
    steps, wrong = _steps(body, before)
    operations.replace_policy(
        row, approval_required=body.approval_required, comment_required=body.comment_required, days=body.days,
        assurance=Assurance(body.assurance), steps=steps,
        outcomes={state: getattr(body.outcomes, state.value).rule for state in _STATES}, wrong=wrong,
        actor=caller, now=clock.now(),
    )  # fmt: skip
    if turned_off:
        _pending.resolve(row, body.pending, caller)
    return _answer(_load(app))


def _steps(body: NewPolicy, before: AppRow) -> tuple[list[StepRule], dict[str, str]]:
    """The steps as the policy holds them, and what is wrong: approvers and fields that are not there."""
    fields = {str(one.name): one.id for one in before.policy.entitlements}
    # An approver who is in the policy already may stay, as on the page of the app, also when deactivated.
    present = principals.of_approvers([step.approver for step in before.policy.steps])
    there = {one.value: one.approver for one in present.values()}
    chosen = principals.chosen_all(step.approver.value for step in body.steps)
    there |= {value: one.approver for value, one in chosen.items()}
    wrong: dict[str, str] = {}
    steps = []
    for at, step in enumerate(body.steps):
        if step.approver.value not in there:
            wrong[f"steps.{at}.approver"] = access.NOT_AVAILABLE
        for name in step.fields:
            if name not in fields:
                wrong[f"steps.{at}.fields.{name[:80]}"] = f"There is no field {name[:80]}."
        visibility = {fields[name]: Visibility(word) for name, word in step.fields.items() if name in fields}
        # Nobody has a number below zero: it stands for an approver who is refused, so that the rest is still checked.
        approver = there.get(step.approver.value, Approver(person=-1 - at))
        steps.append(StepRule(approver, step.days, visibility, step.id or ""))
    return steps, wrong


class Copy(Body):
    """Whose rules are copied."""

    source: Annotated[GivenKey, Field(description="The id of an app that you own; of any app for admins.")]
    fields: Annotated[
        bool, Field(description="Its fields, too: they take the place of those that the app has, which are archived.")
    ] = False


@operation("POST", "/apps/{app}/policy/copy", scope=Scope.APPS_ADMIN, audience="owners_of_app", body=Copy,
           answer=Policy)  # fmt: skip
def copy(caller: Caller, *, app: str, body: Copy) -> Policy:
    """Copy the rules of another app.

    Its steps, time limits and outcomes, whether a comment is required, and how approvers sign in. Whether approval is
    required stays as it is."""
    row = access.app_to_change(app)
    entitlements.copy_rules(row, *access.rule_to_copy(body.source, row, caller), with_fields=body.fields, actor=caller,
                            now=clock.now())  # fmt: skip
    return _answer(_load(app))


class SimulationQuery(Query):
    """For whom."""

    person: Annotated[GivenKey, Field(description="The id of a person.")]


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """Who would decide one step. `people` names up to 50 of them, `people_count` says how many there are."""

    id: Key
    position: Number
    approver: ApproverRef
    decided_by: one_of(Tier, "Who may decide: its approver, or who takes the approver’s place.")  # type: ignore[valid-type]
    people: list[PersonRef]
    people_count: Number
    days: Annotated[int, Field(description="The time limit.", examples=[3])]


@dataclass(frozen=True, slots=True)
class Simulation:
    """What would happen if the person requested the app now."""

    person: PersonRef
    approval_required: Flag
    gets_access: Annotated[bool, Field(description="Once every step is approved.", examples=[True])]
    missing: Annotated[str, Field(description="Why not; else empty.", examples=["No one can decide step 2"])]
    steps: list[SimulatedStep]
    warnings: Annotated[list[str], Field(examples=[["Only Chloe Tan can decide, because Ben is in Finance."]])]


@operation("GET", "/apps/{app}/policy/simulation", scope=Scope.APPS_READ, audience="owners_of_app",
           query=SimulationQuery, answer=Simulation)  # fmt: skip
def simulate(caller: Caller, *, app: str, query: SimulationQuery) -> Simulation:
    """Simulate a request.

    Who would decide each step if this person requested the app now. Nothing is saved or sent."""
    row = _load(app)
    policy = row.policy
    person = principals.chosen(f"person:{query.person}")
    if person is None:
        raise Problem(422, "invalid", "Choose a person.", {"person": "Choose a person."})
    names = principals.of_approvers([step.approver for step in policy.steps])
    done = simulation.simulate(row.app, policy, [names.get(step.approver) for step in policy.steps], person)

    def step_of(at: int, step: StepRule, who: Deciders) -> SimulatedStep:
        people = [done.found.contacts[one] for one in who.people[:PEOPLE]]
        return SimulatedStep(
            step.id, at + 1, ApproverRef.of(names[step.approver]), who.tier,
            [PersonRef(one.public_id, str(one.name)) for one in people], len(who.people), policy.days_for(at),
        )  # fmt: skip

    pairs = zip(policy.steps, done.deciders, strict=False)  # none are asked where no approval is needed
    return Simulation(
        PersonRef(person.public_id, str(person.name)), policy.approval_required, not done.missing, done.missing,
        [step_of(at, step, who) for at, (step, who) in enumerate(pairs)],
        [f"{beginning} {rest}" for beginning, rest in done.warnings],
    )  # fmt: skip
