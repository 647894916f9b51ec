"""What receivers of webhooks got, compared with the audit log: nothing lost, in order, twice only after a kill.

Which entry is which event is written down here a second time, from docs/webhooks.md, and shares no code with the
product.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Any

from tests.chaos.check import End, State

EVENTS = {
    "request.submitted": "request.submitted", "step.opened": "request.step_opened", "step.denied": "request.denied",
    "request.commented": "request.commented", "request.reminded": "request.reminded",
    "request.expired": "request.expired", "request.cancelled": "request.cancelled", "grant.added": "access.given",
    "grant.updated": "access.changed", "grant.removed": "access.ended", "person.created": "person.created",
    "person.deactivated": "person.deactivated", "person.reactivated": "person.reactivated",
    "app.created": "app.created", "app.changed": "app.changed", "policy.saved": "app.changed",
    "app.archived": "app.archived", "app.restored": "app.restored",
}  # fmt: skip
# Where the one that sends has no call between the receiver's answer and the mark; what it sends to other receivers
# at that moment may come twice all the same.
NO_CALL_IN_HAND = ("webhook.claimed", "webhook.before-call", "webhook.after-mark")
# Seconds from a call to the mark that says that it was taken, on a machine that is busy with other things.
TO_THE_MARK = 10.0
WORKERS = 2


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook of the round: `to` is what the receiver knows it by, `events` what it wants, all if None."""

    id: int
    to: str
    secret: str
    events: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Call:
    """One call that the receiver recorded."""

    to: str
    at: float
    answered: bool
    headers: dict[str, str]
    body: str

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @cached_property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def key(self) -> tuple[str, ...]:
        """What it says: (type, second, request, app, person)."""
        data = self.json["data"]
        about = data.get("request") or data.get("access") or {}
        request = data["request"]["id"] if "request" in data else (about.get("request") or {}).get("id", "")
        app = about.get("app") or data.get("app") or {}
        person = about.get("for_person") or about.get("person") or data.get("person") or {}
        return self.json["type"], self.json["timestamp"], request, app.get("id", ""), person.get("id", "")


def median(state: State, calls: Sequence[Call]) -> float:
    """Seconds from an entry of the audit log to the first call about it, whatever held it up."""
    at = {line["seq"]: datetime.fromisoformat(line["at"]).timestamp() for line in state.events}
    first: dict[str, float] = {}
    for one in calls:
        first.setdefault(one.id, one.at - at[state.deliveries[one.id].event_seq])
    return round(statistics.median(first.values()), 2) if first else 0.0


def names(line: dict[str, Any]) -> tuple[str, ...]:
    """The events that an entry of the audit log is."""
    if line["kind"] == "step.approved":
        last = line["facts"]["state"] == "approved"
        return ("request.step_approved", "request.approved") if last else ("request.step_approved",)
    return (EVENTS[line["kind"]],) if line["kind"] in EVENTS else ()


def deliveries(
    state: State, hooks: Sequence[Hook], calls: Sequence[Call], *, ends: list[End],
    database_gone: list[tuple[float, float]],
) -> Iterator[str]:  # fmt: skip
    """All checks; sentences about what does not hold."""
    for hook in hooks:
        mine = [one for one in calls if one.to == hook.to]
        yield from _told(state, hook, mine)
        yield from _in_order(state, hook, mine)
        yield from _as_written(state, hook, mine)
    yield from _twice(state, hooks, calls, ends, database_gone)


def _expected(state: State, hook: Hook) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(entry's number, event, entry) of all that this webhook has to be told."""
    begin = next(
        one["seq"] for one in state.events if one["kind"] == "endpoint.created" and one["facts"]["endpoint"] == hook.id
    )
    for line in state.events:
        for name in names(line) if line["seq"] > begin else ():
            if hook.events is None or name in hook.events:
                yield line["seq"], name, line


def _key(state: State, name: str, line: dict[str, Any]) -> tuple[str, ...]:
    """What a call about this entry has to say."""
    second = f"{datetime.fromisoformat(line['at']):%Y-%m-%dT%H:%M:%SZ}"
    request = state.requests.get(line["request"])
    about_access = name.startswith(("request.", "access."))
    app = state.apps.get(line["app"]) if about_access or name.startswith("app.") else None
    person = state.people.get(line["person"]) if about_access or name.startswith("person.") else None
    if request is not None:
        app, person = state.apps[request.app_id], state.people[request.for_person_id]
    return (name, second, *(one.public_id if one is not None else "" for one in (request, app, person)))


def _told(state: State, hook: Hook, calls: list[Call]) -> Iterator[str]:
    """Each entry arrived as often as it stands in the audit log; copies of one message count once."""
    wanted = Counter(_key(state, name, line) for _, name, line in _expected(state, hook))
    arrived = Counter(one.key for one in {one.id: one for one in calls}.values())
    for key, number in (wanted - arrived).items():
        yield f"Lost on the way to {hook.to}: {number} times {key}."
    for key, number in (arrived - wanted).items():
        yield f"{hook.to} was told {number} times more than the audit log says: {key}."


def _in_order(state: State, hook: Hook, calls: list[Call]) -> Iterator[str]:
    """What one person has to do with one app arrives in the order of the audit log, copies included."""
    place = {(seq, name): number for number, (seq, name, _) in enumerate(_expected(state, hook))}
    turns: dict[tuple[str, str], list[tuple[int, Call]]] = defaultdict(list)
    for one in calls:
        row = state.deliveries.get(one.id)
        if row is not None and (row.event_seq, row.event) in place:
            turns[one.key[3:]].append((place[row.event_seq, row.event], one))  # type: ignore[index]
    for about, some in turns.items():
        for (first, _), (second, later) in pairwise(some):
            if second < first:
                yield f"{later.key} of {about} came to {hook.to} after a later event."


def _as_written(state: State, hook: Hook, calls: list[Call]) -> Iterator[str]:
    """Each message is signed, and its copies are the same bytes; each row is marked as it should be."""
    bodies: dict[str, str] = {}
    for one in calls:
        if one.id not in state.deliveries:
            yield f"{hook.to} got {one.id}, which is no delivery."
        if bodies.setdefault(one.id, one.body) != one.body:
            yield f"{one.id} came to {hook.to} with another body."
        signed = f"{one.id}.{one.headers['webhook-timestamp']}.{one.body}".encode()
        key = base64.b64decode(hook.secret.removeprefix("whsec_"))
        made = "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        if one.headers["webhook-signature"] != made:
            yield f"The signature of {one.id} to {hook.to} is wrong."
    for id, row in state.deliveries.items():
        if row.endpoint_id == hook.id and row.state != "sent":
            yield f"Delivery {id} to {hook.to} is {row.state} at rest, after {row.tries} tries: {row.error}"
        if row.endpoint_id == hook.id and row.state == "sent" and id not in bodies:
            yield f"Delivery {id} is marked as sent, and {hook.to} has never had it."


@dataclass
class _Cause:
    """A kill: it explains one copy for each webhook, and no more copies than calls could be in hand."""

    at: float
    most: int
    spent: set[str] = field(default_factory=set)


def _twice(
    state: State, hooks: Sequence[Hook], calls: Sequence[Call], ends: list[End],
    database_gone: list[tuple[float, float]],
) -> Iterator[str]:  # fmt: skip
    """No more copies than causes: a call that was answered and came again was not marked, because of a kill."""
    causes = [
        _Cause(one.at, len(hooks) - (one.point in NO_CALL_IN_HAND)) for one in ends if one.kind == "webhooks"
    ] + [_Cause(begin, len(hooks)) for begin, _ in database_gone for _ in range(WORKERS)]  # fmt: skip
    causes.sort(key=lambda one: one.at)
    copies: dict[str, list[Call]] = defaultdict(list)
    for one in calls:
        copies[one.id].append(one)
    again = sorted((pair for some in copies.values() for pair in pairwise(some)), key=lambda pair: pair[0].at)
    for one, other in again:
        if not one.answered:
            continue
        cause = next(
            (
                kill
                for kill in causes
                if one.at - 0.5 <= kill.at <= min(other.at, one.at + TO_THE_MARK)
                and one.to not in kill.spent
                and len(kill.spent) < kill.most
            ),
            None,
        )
        if cause is None:
            yield f"{one.id} was taken by {one.to} at {one.at:.2f}, and came again at {other.at:.2f} without a cause."
        else:
            cause.spent.add(one.to)
