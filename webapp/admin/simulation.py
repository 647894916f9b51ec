"""What would happen if someone requested the app now: who decides, in which order, by when, and what to look out for.

Only reads: nothing is written, no email is sent.
"""

from dataclasses import dataclass, field
from datetime import timedelta

from flask import Response, request

from webapp import wording
from webapp.approval_chain import ChainNode
from webapp.models import App
from webapp.queries import domains, principals, simulation
from webapp.queries.directory import Found
from webapp.queries.principals import Principal
from webapp.queries.simulation import first_name, names_of
from webapp.text import capital, hue, initials
from webapp.web import htmx
from webapp.web.presentation import times
from webapp.web.signin import owners_of_app
from webapp.wording import count
from webapp.workflow.approvers import Deciders
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
    drawn = _simulate(page, person) if person is not None and not person.is_group else None
    if htmx.is_fragment():
        quiet = "quiet" in request.args
        return fragment(
            "admin/_simulation_form.html", app=page.row.app, simulation=drawn, pick=picker.Pick(), quiet=quiet
        )
    return apps.whole_page(page, {}, simulation=drawn)


def _simulate(page: AppPage, person: Principal) -> Simulation:
    app, policy = page.row.app, page.row.policy
    simulated = simulation.simulate(app, policy, page.steps, person)
    first, missing, deciders, found = first_name(person.name), simulated.missing, simulated.deciders, simulated.found
    drawn = Simulation(person, [], simulated.warnings)
    if not policy.approval_required:
        drawn.nodes = [
            _face(person.name, person.public_id, f"{first} adds the app", ("No approval needed",)),
            _app(app, f"{first} does not get access", (missing,))
            if missing
            else _app(app, f"{first} has access", ("Straight away, with an email",)),
        ]
        return drawn
    asked = f"Now. Email to {names_of(deciders[0], found)}" if deciders else "Now, but there is no approver"
    drawn.nodes.append(_face(person.name, person.public_id, f"{first} requests", (asked,)))
    for at, (step, who) in enumerate(zip(page.steps, deciders, strict=True)):
        if step is not None:
            drawn.nodes.append(_step(policy, at, step, who, found))
    if missing:
        drawn.nodes.append(_app(app, f"{first} does not get access", (missing,)))
    else:
        drawn.nodes.append(_app(app, f"{first} gets access", (_mails(policy, person, deciders, found),)))
    return drawn


def _step(policy: Policy, at: int, step: Principal, who: Deciders, found: Found) -> ChainNode:
    days = policy.days_for(at)
    until = times().due_short(times().now + timedelta(days=days))
    lines = [f"Due {until}" if at == 0 else f"{count(days, 'day')} more"]
    sets = [one.name for one in policy.entitlements if policy.steps[at].visibility.get(one.id) is Visibility.WRITE]
    if sets:
        lines.append(f"Sets {', '.join(sets)}")
    names = names_of(who, found)
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


def _mails(policy: Policy, person: Principal, deciders: list[Deciders], found: Found) -> str:
    rule = policy.outcomes.get(RequestState.APPROVED)
    if rule is None:
        return "No emails"
    names = [first_name(person.name)] if rule.requester else []
    if rule.approvers:
        people = dict.fromkeys(one for who in deciders for one in who.people)
        names += [first_name(found.contacts[one].name) for one in people][:4] + (["others"] if len(people) > 4 else [])
    outside = domains.outside(rule.others)
    names += [one for one in rule.others if one not in outside]
    return f"Emails to {', '.join(names)}" if names else "No emails"


def _face(name: str, public_id: str, title: str, lines: tuple[str, ...]) -> ChainNode:
    return ChainNode("is-plan", "face", title, lines, initials=initials(name), hue=hue(public_id))


def _app(app: App, title: str, lines: tuple[str, ...]) -> ChainNode:
    return ChainNode(
        "is-plan", "app", title, lines, initials=app.name[:2], hue=app.hue, icon=app.icon, icon_url=app.icon_url
    )  # fmt: skip
