"""What would happen if someone requested an app now: who would decide, what is missing, and what to look out for.

Only reads: nothing is written, no email is sent.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from webapp import wording
from webapp.models import App
from webapp.queries import directory, rules
from webapp.queries.directory import Found
from webapp.queries.principals import Principal
from webapp.workflow.approvers import Deciders, who_decides
from webapp.workflow.policy import Policy
from webapp.workflow.states import Tier


@dataclass(slots=True)
class Simulated:
    """`deciders` says for each step of the rule who would decide it. `missing` says why the person would not get the
    app, or is "". A warning is (bold beginning, the rest)."""

    person: Principal
    found: Found
    deciders: list[Deciders] = field(default_factory=list)
    missing: str = ""
    warnings: list[tuple[str, str]] = field(default_factory=list)


def simulate(app: App, policy: Policy, approvers: Sequence[Principal | None], person: Principal) -> Simulated:
    """A request of this person under this policy; `approvers` are those of its steps. Up to three statements."""
    first = first_name(person.name)
    found = directory.look_up([*(step.approver for step in policy.steps), app.owner])
    simulated = Simulated(person, found)
    if not app.requestable:
        simulated.warnings.append(
            (f"{app.name} is not in the catalog.", "Turn on Requestable so that people can request it.")
        )
        simulated.missing = "It is not in the catalog"
    elif not app.for_everyone and not rules.in_audience(app.id, person.id):
        simulated.warnings.append((f"{first} cannot see {app.name},", "because they are not in any of its groups."))
        simulated.missing = "They cannot see it in the catalog"
    if not policy.approval_required:
        return simulated
    simulated.deciders = [
        who_decides(step.approver, owner=app.owner, directory=found.directory, without=frozenset({person.id}))
        for step in policy.steps
    ]
    for number, (step, who) in enumerate(zip(approvers, simulated.deciders, strict=True), 1):
        if step is not None:
            simulated.warnings += _warnings(number, step, who, person, found)
    stuck = next((number for number, who in enumerate(simulated.deciders, 1) if who.tier is Tier.NOBODY), 0)
    if not simulated.deciders:
        simulated.missing = simulated.missing or "It has no steps yet"
        simulated.warnings.append(("No steps yet.", "Add an approver or turn off Approval required."))
        return simulated
    if stuck:
        simulated.missing = simulated.missing or f"No one can decide step {stuck}"
    if app.owner is None:
        simulated.warnings.append(("This app has no owner.", "If an approver is not available, the admins decide."))
    return simulated


def _warnings(number: int, step: Principal, who: Deciders, person: Principal, found: Found) -> list[tuple[str, str]]:
    """What an admin should know of one step."""
    first, people = first_name(person.name), found.directory.of(step.approver)
    if not people:
        why = "This group has no active members." if step.is_group else f"{step.name} is deactivated."
    elif people == (person.id,):
        why = "Requesters cannot approve their own request."
    elif person.id in people and len(people) == 2:
        return [(f"Only {names_of(who, found)} can decide,", f"because {first} is in {step.name}.")]
    else:
        return []
    if who.tier is Tier.NOBODY:
        return [(f"No one can decide step {number}.", f"{why} {first} would not be able to send the request.")]
    return [(f"Step {number} would go to {wording.holder(who.tier, step.name)}.", why)]


def names_of(who: Deciders, found: Found) -> str:
    """ "Ana Moreau", "Ben Okafor or Chloe Tan", "one of 14 people", "no one" """
    if not who.people:
        return "no one"
    if len(who.people) > 3:
        return f"one of {len(who.people)} people"
    names = [found.contacts[one].name for one in who.people]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def first_name(name: str) -> str:
    return (name.split() or [name])[0]
