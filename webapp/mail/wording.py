"""What the mails have in common in words: who decided, why the reader gets this, values, comments and dates."""

import textwrap
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from webapp import chain
from webapp.bidi import named
from webapp.queries.chains import ChainStep, Who
from webapp.queries.mails import Facts
from webapp.text import one_line
from webapp.times import Times, zone
from webapp.workflow.entitlements import Sheet, shown
from webapp.workflow.states import Tier, Verdict, Visibility

TEXT_WIDTH = 72
LABEL_WIDTH = 17
NAME = "Countersign"
# Characters that turn the reading direction of what comes after them: no name may do that to our words.
_TURNING = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"))
_OVERRIDES = dict.fromkeys(map(ord, "\u202a\u202b\u202c\u202d\u202e\u2066\u2067"))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the small table: "Role", "Sales user, chosen by Rita"; `said` are a person's own words."""

    label: str
    value: str
    said: bool = False


def times_of(facts: Facts) -> Times:
    """The recipient's zone, and the moment of the cause as "now", so that a retry says the same."""
    own = facts.person.time_zone if facts.person else None
    return Times(zone(own or facts.organisation.time_zone), facts.notice.created_at, mailed=True)


def why(facts: Facts) -> str:
    """Why the reader gets the mail, and who looks after the app."""
    notice, step, organisation = facts.notice, facts.step, line(facts.organisation.name)
    if notice.kind == "invitation":
        return f"You get this mail because an admin of {organisation} added {recipient(facts)} to {NAME}."
    if notice.kind == "password-reset":
        return (
            f"You get this mail because somebody asked to set a new password for {recipient(facts)}. "
            "If that was not you, there is nothing you need to do: your password stays as it is."
        )
    if notice.kind == "test":
        return "You get this mail because you asked for it on the page Admin, Mail."
    if notice.kind == "access-to-check":
        return f"You received this email because you are an admin of {organisation}."
    assert facts.app
    app = line(facts.app.name)
    if notice.kind in ("grant-added", "grant-removed", "grants-removed"):
        several = notice.kind == "grants-removed"
        if notice.role == "other" and notice.kind == "grant-added":
            return f"You received this email because you own {app} or approve requests for it."
        if notice.role == "other":
            return f"You received this email because you own {'these apps' if several else app}."
        if several:
            return "You received this email because you had access to these apps."
        why = f"you {'have' if notice.kind == 'grant-added' else 'had'} access to {app}"
    elif notice.role == "other":
        why = f"this address is set to be told how requests for {app} end"
    elif notice.kind == "app-added":
        why = f"you added {app}"
    elif notice.role == "requester":
        asked = facts.request is not None and facts.person is not None and facts.request.asked_by_id == facts.person.id
        why = f"you asked for {app}" if asked else f"{app} was asked for in your name"
    elif step is not None and step.tier == Tier.OWNER:
        why = f"you look after {app}"
    elif step is not None and step.tier == Tier.ADMINS:
        why = "you are an admin"
    elif step is not None and step.group_name:
        why = f"you are in the group {line(step.group_name)}, which decides on {app}"
    else:
        why = f"you were asked to decide on {app}" if notice.kind != "approval-asked" else f"you decide on {app}"
    owner = f"{line(facts.owner)} looks" if facts.owner else "The admins look"
    return f"You get this mail because {why}. {owner} after {app}."


def recipient(facts: Facts) -> str:
    return facts.person.email if facts.person else facts.notice.address or ""


def chain_of(facts: Facts) -> list[chain.Link]:
    request, app, requester = facts.request, facts.app, facts.for_person
    assert request and app and requester
    found = chain.links(
        app=app,
        requester=Who(requester.id, requester.public_id, requester.name),
        asked_at=request.created_at,
        state=request.state,
        settled_at=request.settled_at,
        steps=facts.steps,
        times=times_of(facts),
        reader=facts.person.id if facts.person else None,
    )
    # The names in them are set apart already.
    return [
        replace(
            one, title=one.title.translate(_OVERRIDES), lines=tuple(text.translate(_OVERRIDES) for text in one.lines)
        )
        for one in found
    ]


def deciders(step: ChainStep, reader: int) -> str:
    """ "you", "you or Chloe Tan", "you or one of 13 others" """
    if step.asked_count > len(step.asked):
        return f"you or one of {step.asked_count - 1} others"
    return line(chain.names(step, reader, first=False)) or "you"


def silence(step: ChainStep) -> str:
    """ "Nobody in Finance answered", "Ana Moreau did not answer" """
    if step.tier != Tier.APPROVER:
        return "Nobody answered"
    return f"{line(step.person.name)} did not answer" if step.person else f"Nobody in {line(step.group_name)} answered"


def deciding_step(facts: Facts) -> ChainStep | None:
    """The step whose decision ended the request."""
    return max(
        (one for one in facts.steps if one.decided_by is not None and one.decided_at is not None),
        key=lambda one: one.position,
        default=None,
    )


def who_decided(facts: Facts, step: ChainStep) -> dict[str, Any]:
    assert step.decided_by and step.decided_at
    override = step.channel == "admin"
    return {
        "decider": line(step.decided_by.name),
        "decider_first": first_name(step.decided_by.name),
        "denied": step.verdict == Verdict.DENIED,
        "when": times_of(facts).due(step.decided_at),
        "comment": step.comment,
        "override": override,
        "yes": "approved it as an admin"
        if override
        else "gave the last yes"
        if len(facts.steps) > 1
        else "approved it",
        "for_group": line(step.group_name) if step.tier == Tier.APPROVER and not override else "",
    }


def values(facts: Facts, sheet: Sheet) -> list[Row]:
    rows = []
    for one in sheet.visible:
        if one.current is None:
            value = "for you to set" if _sets(facts) and one.visibility is Visibility.WRITE else "not set"
        else:
            value = line(shown(one.current.value)) + _by(facts, one.current.by)
            if _sets(facts) and one.visibility is Visibility.WRITE:
                value += "; you can change it"
        rows.append(Row(line(one.entitlement.name), value))
    return rows


def _sets(facts: Facts) -> bool:
    return facts.notice.kind == "approval-asked"


def _by(facts: Facts, by: int | None) -> str:
    if by is None:
        return ""
    asked = facts.request is None or by in (facts.request.asked_by_id, facts.request.for_person_id)
    you = facts.person is not None and by == facts.person.id
    return f", {'chosen' if asked else 'set'} by {'you' if you else first_name(facts.names.get(by, ''))}"


def comments(facts: Facts, label: str, *, but: ChainStep | None = None) -> list[Row]:
    """What was said with each decision; `label` takes the first name and the verdict."""
    return [
        Row(label.format(first_name(one.decided_by.name), one.verdict), lines(one.comment), said=True)
        for one in facts.steps
        if one.decided_by is not None and one.comment and one is not but
    ]


def own_words(facts: Facts) -> list[Row]:
    assert facts.request
    return [Row("You wrote", lines(facts.request.message), said=True)] if facts.request.message else []


def line(text: str) -> str:
    """One line that cannot turn the words around it."""
    return named(one_line(text))


def first_name(name: str) -> str:
    return (line(name).split() or [""])[0]


def wrap(text: str, indent: str = "", first: str | None = None) -> str:
    """Text of a mail, its own line breaks kept, with no line longer than a mail program shows well."""
    lines: list[str] = []
    for line in text.splitlines() or [""]:
        start = first if first is not None and not lines else indent
        # Long words are addresses, which break when they are cut.
        lines += textwrap.wrap(
            line, TEXT_WIDTH, initial_indent=start, subsequent_indent=indent,
            break_long_words=False, break_on_hyphens=False,
        ) or [""]  # fmt: skip
    return "\n".join(lines)


def lines(text: str) -> str:
    """Somebody's own words with their line breaks, and nothing else that moves or turns text."""
    return "".join(sign for sign in text.translate(_TURNING) if sign in "\t\n" or unicodedata.category(sign) != "Cc")


def row(row: Row) -> str:
    label = f"{row.label}: ".ljust(LABEL_WIDTH)
    words = f"“{row.value}”" if row.said else row.value
    return wrap(words, " " * LABEL_WIDTH, label)
