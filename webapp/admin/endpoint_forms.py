"""The forms of webhooks and chat channels: as typed, as stored, and what they mean."""

from dataclasses import dataclass
from typing import Any

from flask import request

from webapp.events_out import EVENTS, GROUPS, TOPICS
from webapp.models import App, Endpoint, Group, Person
from webapp.operations import endpoints as operations
from webapp.operations.errors import Invalid
from webapp.queries import picker as choices_of
from webapp.queries.endpoints import EndpointLine
from webapp.text import one_line

from . import picker
from .picker import KINDS, Pick

# Buttons of the picker, which choose and save nothing.
CHOOSING = ("find", "take", "drop")


@dataclass(frozen=True, slots=True)
class EndpointForm:
    """What a form shows. `every`: all events, also those of later versions; `apps`: those of a webhook, `whom`: for
    whom a chat channel is, none for all admins. `unknown`: something was chosen that is no longer there; `searched`:
    what stands in the search of the picker."""

    kind: str = "webhook"
    name: str = ""
    address: str = ""
    every: bool = False
    events: frozenset[str] = frozenset()
    apps: tuple[App, ...] = ()
    category: str = ""
    with_texts: bool = False
    whom: Person | Group | App | None = None
    unknown: bool = False
    searched: str = ""

    @property
    def is_chat(self) -> bool:
        return self.kind != "webhook"

    @property
    def chips(self) -> list[Any]:
        """What is chosen, as the picker shows it."""
        chosen = [self.whom] if self.whom is not None else []
        return [choices_of.chip(one) for one in (chosen if self.is_chat else self.apps)]

    @property
    def pick(self) -> Pick:
        """What is found for the search of the picker, to choose from without JavaScript."""
        return picker.searched("whom" if self.is_chat else "apps", self.searched) if self.searched else Pick()


def blank(kind: str) -> EndpointForm:
    """A new one."""
    if kind == "webhook":
        return EndpointForm(every=True)
    return EndpointForm(kind, events=frozenset(TOPICS) - {"access"})


def stored(line: EndpointLine) -> EndpointForm:
    """As it is. The address of a chat channel is a secret, and never shown again."""
    endpoint = line.endpoint
    return EndpointForm(
        endpoint.kind,
        endpoint.name,
        "" if endpoint.is_chat else _address(endpoint),
        not endpoint.events,
        frozenset(endpoint.events),
        tuple(line.apps),
        endpoint.category,
        endpoint.with_texts,
        line.person or line.group or line.app,
    )


def _address(endpoint: Endpoint) -> str:
    """ "" where its key is gone: then it has to be entered again."""
    try:
        return operations.address_of(endpoint)
    except Invalid:
        return ""


def is_choosing() -> bool:
    """Whether a button of the picker was pressed: then nothing is saved."""
    return any(name in request.form for name in CHOOSING)


def typed(kind: str) -> EndpointForm:
    """As it was submitted."""
    form = request.form
    field = "apps" if kind == "webhook" else "whom"
    values = [one for one in form.getlist(field) if one and one != form.get("drop")]
    if take := form.get("take"):
        values = [*values, take] if field == "apps" else [take]
    values = list(dict.fromkeys(values))[: operations.APPS_LIMIT + 1]
    rows = choices_of.rows_of(values, KINDS[field])
    found: list[Any] = [rows[value] for value in values if value in rows]
    return EndpointForm(
        kind,
        one_line(form.get("name", "")),
        one_line(form.get("address", "")),
        form.get("every") == "1",
        frozenset(form.getlist("events")),
        tuple(found) if field == "apps" else (),
        one_line(form.get("category", "")),
        form.get("with_texts") == "1",
        found[0] if field == "whom" and found else None,
        len(found) < len(values),
        "" if take or "drop" in form else one_line(form.get("q", "")),
    )


def meant(form: EndpointForm, *, new: bool) -> dict[str, Any]:
    """The arguments of `operations.create` or `change`. Raises Invalid with all that is wrong."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {"name": form.name, "events": () if form.every else sorted(form.events)}
    if not form.every and not form.events:
        errors["events"] = "Choose at least one."
    field = "for" if form.is_chat else "apps"
    if form.unknown:
        errors[field] = "Something that you chose no longer exists. It was removed here. Check the rest and save again."
    elif form.searched:
        # What was typed and not chosen would be left out, and a channel for nobody is one for all admins.
        errors[field] = f"“{form.searched[:60]}” is not chosen yet. Choose it from the list, or empty the field."
    if form.is_chat:
        values["with_texts"] = form.with_texts
        if new:
            values |= _audience(form)
        elif form.address:
            values["address"] = form.address
    else:
        values |= {"category": form.category, "with_texts": form.with_texts, "address": form.address}
        values["apps"] = list(form.apps)
    if new:
        values |= {"kind": form.kind, "address": form.address}
    if errors:
        raise Invalid(**errors)
    return values


def _audience(form: EndpointForm) -> dict[str, Any]:
    whom = form.whom
    if whom is None:
        return {}
    return {"person" if isinstance(whom, Person) else "group" if isinstance(whom, Group) else "app": whom}


def choices(kind: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """The events by group, or the topics of a chat channel: (group, [(name, words)])."""
    if kind != "webhook":
        return [("", list(TOPICS.items()))]
    return [
        (words, [(name, one.sentence) for name, one in EVENTS.items() if one.group == group])
        for group, words in GROUPS.items()
    ]
