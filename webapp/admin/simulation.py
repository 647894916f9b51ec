"""What would happen if someone requested the app now: who decides, in which order, by when, and what to look out for.

Only reads: nothing is written, no email is sent.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from flask import Response, request

from webapp import wording
from webapp.approval_chain import ChainNode
from webapp.models import App
from webapp.queries import directory, domains, principals, rules
from webapp.queries.directory import Found
from webapp.queries.principals import Principal
from webapp.text import capital, hue, initials
from webapp.web import htmx
from webapp.web.presentation import times
from webapp.web.signin import owners_of_app
from webapp.wording import count
from webapp.workflow.approvers import Deciders, who_decides
from webapp.workflow.policy import Policy
from webapp.workflow.states import RequestState, Tier, Visibility

from . import apps, picker
from .forms import AppPage
from .views import bp, fragment


@dataclass(slots=True)
class Simulation:
    """The chain as it would go, and warnings as (bold beginning, the rest).

    The last node says that the person gets the app, or what is missing for that.
    """

    person: Principal
    nodes: list[ChainNode]
    warnings: list[tuple[str, str]] = field(default_factory=list)


@bp.get("/apps/<public_id>/what-would-happen")
@owners_of_app
def what_would_happen(public_id: str) -> Response:
    """Simulate for `person` ("person:4K7W9Q2M3XTA"); without one, only the form. `quiet`: no announcement."""
    page = apps.load(public_id)
    person = principals.chosen(request.args.get("person", ""))
    simulation = _simulate(page, person) if person is not None and not person.is_group else None
    if htmx.is_fragment():
        quiet = "quiet" in request.args
        return fragment(
            "admin/_simulation_form.html", app=page.row.app, simulation=simulation, pick=picker.Pick(), quiet=quiet
        )
    return apps.whole_page(page, {}, simulation=simulation)


def _simulate(page: AppPage, person: Principal) -> Simulation:
    app, policy = page.row.app, page.row.policy
    first = _first(person.name)
    simulation, missing = Simulation(person, []), ""
    if not app.requestable:
        simulation.warnings.append(
            (f"{app.name} is not in the catalog.", "Turn on Requestable so that people can request it.")
        )
        missing = "It is not in the catalog"
    elif not app.for_everyone and not rules.in_audience(app.id, person.id):
        simulation.warnings.append((f"{first} cannot see {app.name},", "because they are not in any of its groups."))
        missing = "They cannot see it in the catalog"
    if not policy.approval_required:
        simulation.nodes = [
            _face(person.name, person.public_id, f"{first} adds the app", ("No approval needed",)),
            _app(app, f"{first} does not get access", (missing,))
            if missing
            else _app(app, f"{first} has access", ("Straight away, with an email",)),
        ]
        return simulation
    found = directory.look_up([*(step.approver for step in policy.steps), app.owner])
    deciders = [
        who_decides(step.approver, owner=app.owner, directory=found.directory, without=frozenset({person.id}))
        for step in policy.steps
    ]
    asked = f"Now. Email to {_names(deciders[0], found)}" if deciders else "Now, but there is no approver"
    simulation.nodes.append(_face(person.name, person.public_id, f"{first} requests", (asked,)))
    for at, (step, who) in enumerate(zip(page.steps, deciders, strict=True)):
        if step is not None:
            simulation.nodes.append(_step(policy, at, step, who, found))
            simulation.warnings += _warnings(at + 1, step, who, person, found, page)
    stuck = next((at for at, who in enumerate(deciders, 1) if who.tier is Tier.NOBODY), 0)
    if not deciders:
        missing = missing or "It has no steps yet"
    elif stuck:
        missing = missing or f"No one can decide step {stuck}"
    if missing:
        simulation.nodes.append(_app(app, f"{first} does not get access", (missing,)))
    else:
        simulation.nodes.append(_app(app, f"{first} gets access", (_mails(policy, person, deciders, found),)))
    if not deciders:
        simulation.warnings.append(("No steps yet.", "Add an approver or turn off Approval required."))
    elif app.owner is None:
        simulation.warnings.append(("This app has no owner.", "If an approver is not available, the admins decide."))
    return simulation


def _step(policy: Policy, at: int, step: Principal, who: Deciders, found: Found) -> ChainNode:
    days = policy.days_for(at)
    until = times().due_short(times().now + timedelta(days=days))
    lines = [f"Due {until}" if at == 0 else f"{count(days, 'day')} more"]
    sets = [one.name for one in policy.entitlements if policy.steps[at].visibility.get(one.id) is Visibility.WRITE]
    if sets:
        lines.append(f"Sets {', '.join(sets)}")
    names = _names(who, found)
    if who.tier is Tier.APPROVER:
        title = f"{capital(names)}, for {step.name}" if step.is_group else step.name
    elif who.tier is Tier.NOBODY:
        title = "No one can decide"
    else:
        title, lines = capital(names), [wording.instead_of(step.name), *lines]
    alone = found.contacts[who.people[0]] if len(who.people) == 1 else None
    if alone is not None:
        return _face(alone.name, alone.public_id, title, tuple(lines))
    return ChainNode("is-plan", "group", title, tuple(lines), hue=hue(step.public_id))


def _warnings(
    number: int, step: Principal, who: Deciders, person: Principal, found: Found, page: AppPage
) -> list[tuple[str, str]]:
    """Simulation an admin should know of one step."""
    first, people = _first(person.name), found.directory.of(step.approver)
    if not people:
        why = "This group has no active members." if step.is_group else f"{step.name} is deactivated."
    elif people == (person.id,):
        why = "Requesters cannot approve their own request."
    elif person.id in people and len(people) == 2:
        return [(f"Only {_names(who, found)} can decide,", f"because {first} is in {step.name}.")]
    else:
        return []
    if who.tier is Tier.NOBODY:
        return [(f"No one can decide step {number}.", f"{why} {first} would not be able to send the request.")]
    return [(f"Step {number} would go to {wording.holder(who.tier, step.name)}.", why)]


def _mails(policy: Policy, person: Principal, deciders: list[Deciders], found: Found) -> str:
    rule = policy.outcomes.get(RequestState.APPROVED)
    if rule is None:
        return "No emails"
    names = [_first(person.name)] if rule.requester else []
    if rule.approvers:
        people = dict.fromkeys(one for who in deciders for one in who.people)
        names += [_first(found.contacts[one].name) for one in people][:4] + (["others"] if len(people) > 4 else [])
    outside = domains.outside(rule.others)
    names += [one for one in rule.others if one not in outside]
    return f"Emails to {', '.join(names)}" if names else "No emails"


def _names(who: Deciders, found: Found) -> str:
    """ "Ana Moreau", "Ben Okafor or Chloe Tan", "one of 14 people", "no one" """
    if not who.people:
        return "no one"
    if len(who.people) > 3:
        return f"one of {len(who.people)} people"
    names = [found.contacts[one].name for one in who.people]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _first(name: str) -> str:
    return (name.split() or [name])[0]


def _face(name: str, public_id: str, title: str, lines: tuple[str, ...]) -> ChainNode:
    return ChainNode("is-plan", "face", title, lines, initials=initials(name), hue=hue(public_id))


def _app(app: App, title: str, lines: tuple[str, ...]) -> ChainNode:
    return ChainNode(
        "is-plan", "app", title, lines, initials=app.name[:2], hue=app.hue, icon=app.icon, icon_url=app.icon_url
    )  # fmt: skip
