"""The approval steps of a request as display items, rendered by one macro file for pages and emails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from webapp import wording
from webapp.bidi import listed
from webapp.queries.chains import ChainStep, Who
from webapp.text import capital, hue, initials
from webapp.times import Times
from webapp.wording import either


@dataclass(frozen=True, slots=True)
class ChainNode:
    """One node of the chain: see templates/_macros/chain.html."""

    state: str
    mark: str
    title: str
    lines: tuple[str, ...] = ()
    left: str = ""
    initials: str = ""
    hue: int = 0
    icon: str = ""
    icon_url: str = ""
    pip: str = ""


class AppLike(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def icon(self) -> str: ...
    @property
    def icon_url(self) -> str: ...
    @property
    def hue(self) -> int: ...


def chain_nodes(
    *,
    app: AppLike,
    requester: Who,
    asked_at: datetime,
    state: str,
    settled_at: datetime | None,
    steps: Sequence[ChainStep],
    times: Times,
    reader: int | None,
) -> list[ChainNode]:
    """The chain of one request for one reader (a person's id: they are told "you"; None for a stranger)."""
    yours = reader == requester.id
    first = "You" if yours else _first(requester.name)
    chain = [_face("is-done", requester, f"{first} requested", (capital(times.ago(asked_at)),), pip="check")]
    chain += [_step(step, state, settled_at, times, reader) for step in steps]
    chain.append(_end(app, first, yours, state, settled_at, times))
    return chain


def planned(
    *, app: AppLike, requester: Who, steps: Sequence[tuple[str, str, str, str]], times: Times
) -> list[ChainNode]:
    """What would happen: steps as (mark, name, public id, line)."""
    chain = [_face("is-plan", requester, "You send the request", ("Now",))]
    chain += [
        ChainNode("is-plan", mark, name, (line,) if line else (), initials=initials(name), hue=hue(public_id))
        for mark, name, public_id, line in steps
    ]
    chain.append(_app("is-plan", app, "You get access", ("Straight away",)))
    return chain


def names(step: ChainStep, reader: int | None = None, *, first: bool = True) -> str:
    """ "Ben or Chloe", "you or Ben", "one of 14 people" """
    if not step.asked:
        return ""
    if step.asked_count > len(step.asked):
        return f"one of {step.asked_count} people"
    people = sorted(step.asked, key=lambda who: who.id != reader)
    words = ["you" if who.id == reader else _first(who.name) if first else who.name for who in people]
    return either(words)


def holder(step: ChainStep) -> str:
    """Who has the step: its person or group by name, or who decides instead."""
    return wording.holder(step.tier, _approver(step))


def waiting(step: ChainStep) -> str:
    """Whom an open step waits for, as a title."""
    return wording.waiting_for(step.tier, _approver(step))


def _approver(step: ChainStep) -> str:
    return step.person.name if step.person else step.group_name


def _step(step: ChainStep, state: str, settled_at: datetime | None, times: Times, reader: int | None) -> ChainNode:
    mine = any(who.id == reader for who in step.asked)
    if (closing := step.closing_decision) is not None:
        # A denial is one person's; what is approved was approved by each of them.
        deciders = [one.by for one in step.decisions if one.verdict == closing.verdict == "approved"] or [closing.by]
        who = listed(["You" if one.id == reader else one.name for one in deciders], " and ")
        when = capital(times.ago(closing.at))
        override = f", {wording.OVERRIDE}" if closing.channel == "admin" else ""
        place = f"{when}, for {step.group_name}" if step.group_name and not override else f"{when}{override}"
        if closing.verdict == "approved":
            return _face("is-done", closing.by, f"{who} approved", (place,), pip="check")
        return _face("is-denied", closing.by, f"{who} denied", (place,), pip="x")
    if step.state == "expired" or (step.state == "open" and step.overdue):
        who = "You" if mine and step.asked_count == 1 else capital(holder(step))
        line = (capital(names(step, reader)),) if step.group_name or step.tier != "approver" else ()
        return _who("is-expired", step, f"{who}: no decision", line, pip="hourglass-empty")
    if step.state == "open" and step.due_at is not None:
        deadline = times.due_short(step.due_at)
        due = wording.due(deadline)
        if step.tier == "nobody":
            return _who("is-now", step, waiting(step), (f"An admin must reassign it by {deadline}",),
                        left=times.left(step.due_at), pip="clock")  # fmt: skip
        title = "Waiting for you" if mine and step.asked_count == 1 else waiting(step)
        alone = step.person is not None and step.tier == "approver"
        lines: tuple[str, ...] = (capital(due),) if alone else (capital(f"{names(step, reader)}, {due}"),)
        if step.tier != "approver":
            lines += (wording.instead_of(_approver(step)),)
        return _who("is-now", step, title, lines, left=times.left(step.due_at), pip="clock")
    if step.state == "skipped" or state == "expired":
        return _who("is-skipped", step, holder(step), ("Not needed",))
    return _who("is-next", step, holder(step), ("Next",))


def _end(app: AppLike, first: str, yours: bool, state: str, settled_at: datetime | None, times: Times) -> ChainNode:
    when = (capital(times.ago(settled_at)),) if settled_at else ()
    if state == "approved":
        return _app("is-done", app, f"You have {app.name}" if yours else f"{first} has access", when, pip="check")
    if state == "pending":
        return _app(
            "is-next", app, f"Access to {app.name}" if yours else f"Access for {first}", ("After final approval",)
        )
    if state == "cancelled":
        return _app("is-never", app, "Cancelled", when)
    return _app("is-never", app, "No access")


def _face(state: str, who: Who, title: str, lines: tuple[str, ...] = (), *, pip: str = "") -> ChainNode:
    return ChainNode(state, "face", title, lines, initials=initials(who.name), hue=hue(who.public_id), pip=pip)


def _who(
    state: str, step: ChainStep, title: str, lines: tuple[str, ...] = (), *, left: str = "", pip: str = ""
) -> ChainNode:
    if step.person is not None and step.tier == "approver":
        mark, name, public = "face", step.person.name, step.person.public_id
    else:
        mark, name, public = "group", step.group_name, step.group_public_id
    return ChainNode(state, mark, title, lines, left, initials(name), hue(public), pip=pip)


def _app(state: str, app: AppLike, title: str, lines: tuple[str, ...] = (), *, pip: str = "") -> ChainNode:
    return ChainNode(
        state, "app", title, lines, initials=app.name[:2], hue=app.hue, icon=app.icon, icon_url=app.icon_url, pip=pip
    )  # fmt: skip


def _first(name: str) -> str:
    return name.split()[0] if name else name
