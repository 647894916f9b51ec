"""The forms of webhooks and chat channels: as typed, as stored, and what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from webapp.events_out import EVENTS, GROUPS, TOPICS
from webapp.models import App, Endpoint
from webapp.operations import endpoints as operations
from webapp.operations.errors import Invalid
from webapp.queries import accounts
from webapp.queries import endpoints as queries
from webapp.queries.endpoints import EndpointLine
from webapp.text import clean, one_line

# For whom a chat channel is, with the words for it.
AUDIENCES = {"admins": "All admins", "group": "A group", "person": "A person", "app": "An app"}


@dataclass(frozen=True, slots=True)
class EndpointForm:
    """What a form shows. `every`: all events, also those of later versions; `apps`: names, one a line."""

    kind: str = "webhook"
    name: str = ""
    address: str = ""
    every: bool = False
    events: frozenset[str] = frozenset()
    apps: str = ""
    category: str = ""
    with_texts: bool = False
    audience: str = "admins"
    whom: str = ""

    @property
    def is_chat(self) -> bool:
        return self.kind != "webhook"


def blank(kind: str) -> EndpointForm:
    """A new one."""
    if kind == "webhook":
        return EndpointForm(every=True)
    return EndpointForm(kind, events=frozenset(TOPICS) - {"access"})


def stored(line: EndpointLine) -> EndpointForm:
    """As it is. The address of a chat channel is a secret, and never shown again."""
    endpoint = line.endpoint
    apps = "\n".join(f"{one.name}" for one in line.apps)
    return EndpointForm(
        endpoint.kind,
        endpoint.name,
        "" if endpoint.is_chat else _address(endpoint),
        not endpoint.events,
        frozenset(endpoint.events),
        apps,
        endpoint.category,
        endpoint.with_texts,
    )


def _address(endpoint: Endpoint) -> str:
    """ "" where its key is gone: then it has to be entered again."""
    try:
        return operations.address_of(endpoint)
    except Invalid:
        return ""


def typed(kind: str) -> EndpointForm:
    """As it was submitted."""
    form = request.form
    chosen = form.get("audience", "admins")
    return EndpointForm(
        kind,
        one_line(form.get("name", "")),
        one_line(form.get("address", "")),
        form.get("every") == "1",
        frozenset(form.getlist("events")),
        clean(form.get("apps", "")),
        one_line(form.get("category", "")),
        form.get("with_texts") == "1",
        chosen if chosen in AUDIENCES else "admins",
        one_line(form.get("whom", "")),
    )


def meant(form: EndpointForm, *, new: bool) -> dict[str, Any]:
    """The arguments of `operations.create` or `change`. Raises Invalid with all that is wrong."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {"name": form.name, "events": () if form.every else sorted(form.events)}
    if not form.every and not form.events:
        errors["events"] = "Choose at least one."
    if form.is_chat:
        values["with_texts"] = form.with_texts
        if new:
            values |= _audience(form, errors)
        elif form.address:
            values["address"] = form.address
    else:
        values |= {"category": form.category, "with_texts": form.with_texts, "address": form.address}
        values["apps"] = _apps(form.apps.splitlines(), errors)
    if new:
        values |= {"kind": form.kind, "address": form.address}
    if errors:
        raise Invalid(**errors)
    return values


def _apps(typed: Sequence[str], errors: dict[str, str]) -> list[App]:
    names = [name for line in typed if (name := one_line(line))]
    if len(names) > operations.APPS_LIMIT:
        errors["apps"] = f"Enter {operations.APPS_LIMIT} apps or fewer, or choose a category."
        return []
    found = queries.apps_called(names) if names else {}
    missing = [name for name in names if name not in found]
    if missing:
        errors["apps"] = (
            f"There is no app named {missing[0][:80]}. Enter the names as in the list of apps, one per line."
        )
    return list(found.values())


def _audience(form: EndpointForm, errors: dict[str, str]) -> dict[str, Any]:
    if form.audience == "admins":
        return {}
    found: Any = None
    if form.audience == "group":
        found, missing = queries.group_called(form.whom), "There is no group of this name."
    elif form.audience == "person":
        found, missing = accounts.by_email(form.whom), "No active person has this email address."
    else:
        found, missing = queries.apps_called([form.whom]).get(form.whom), "There is no app of this name."
    if found is None:
        errors["for"] = (
            missing if form.whom else "Enter the name of the group or app, or the email address of the person."
        )
    return {form.audience: found}


def choices(kind: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The events by group, or the topics of a chat channel: (group, [(name, words)])."""
    if kind != "webhook":
        return [("", list(TOPICS.items()))]
    return [
        (words, [(name, one.sentence) for name, one in EVENTS.items() if one.group == group])
        for group, words in GROUPS.items()
    ]
