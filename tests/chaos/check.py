"""The invariants, checked when all has come to rest: from the database, the SMTP server's record and the history.

Each check answers sentences about what does not hold; none is as it should be. The record of events is replayed by a
model of its own, which shares no code with the product.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from flask import Flask
from sqlalchemy import text

from tests.chaos.crowd import Told
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.record import audit

from .check_mails import ON_ITS_WAY as ON_ITS_WAY
from .check_mails import ORPHANED, of_notices, was_posted
from .state import End as End
from .state import People, Request
from .state import State as State


def load(app: Flask) -> State:
    """Read in one transaction; the chain is verified by the product, everything else is looked at raw."""

    def rows(table: str, order: str = "id") -> list[Any]:
        return list(db.session.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).all())

    with app.app_context():
        choose("read")
        _, broken = audit.verify()
        events = [json.loads(row.body) for row in rows("events", "seq")]
        return State(
            requests={row.id: row for row in rows("requests")},
            steps={row.id: row for row in rows("steps")},
            invitations=rows("invitations"),
            decisions=rows("decisions"),
            comments=rows("comments"),
            grants=rows("grants"),
            notices={row.public_id: row for row in rows("notices")},
            deliveries={f"msg_{row.public_id}": row for row in rows("deliveries")},
            people={row.id: row for row in rows("people")},
            apps={row.id: row for row in rows("apps")},
            revisions={row.id: row for row in rows("policy_revisions")},
            events=events,
            broken=broken.sentence if broken else "",
        )


def everything(
    state: State, mails: list[dict[str, Any]], history: list[Told], *, ends: list[End],
    database_gone: list[tuple[float, float]],
) -> list[str]:  # fmt: skip
    """All checks. `ends`: what was killed; `database_gone`: from when until when."""
    return [
        *tables(state),
        *of_notices(state, mails, ends, database_gone),
        *_answered(history, ends, database_gone),
        *_told(state, history),
        *_told_by_admins(state, history),
    ]


def tables(state: State) -> list[str]:
    """What can be said from the database alone."""
    return [
        *(["The record: " + state.broken] if state.broken else []),
        *_requests(state),
        *_decisions(state),
        *_replayed(state),
        *_grants(state),
        *was_posted(state),
    ]


def _steps_of(state: State) -> dict[int, list[Any]]:
    found: dict[int, list[Any]] = defaultdict(list)
    for step in sorted(state.steps.values(), key=lambda one: (one.position, one.id)):
        found[step.request_id].append(step)
    return found


def _requests(state: State) -> Iterator[str]:
    """One final state, and steps that agree with it."""
    steps = _steps_of(state)
    pending = Counter((one.app_id, one.for_person_id) for one in state.requests.values() if one.state == "pending")
    for key, number in pending.items():
        if number > 1:
            yield f"{number} requests are pending for app and person {key}."
    for request in state.requests.values():
        states = [one.state for one in steps[request.id]]
        named = f"Request {request.id} is {request.state}, its steps {states}."
        opened = states.count("open")
        done = [one for one in states if one not in ("waiting", "open", "skipped")]
        if request.state == "pending":
            if opened != 1 or set(done) - {"approved"}:
                yield named
            continue
        if opened or "waiting" in states or (request.settled_at is None):
            yield named
        if request.state == "approved" and set(states) != {"approved"}:
            yield named
        if request.state in ("denied", "expired") and (
            done.count(request.state) != 1 or set(done) - {"approved", request.state}
        ):
            yield named
        if request.state == "cancelled" and set(done) - {"approved"}:
            yield named


def _decisions(state: State) -> Iterator[str]:
    """At most one for each step, by somebody eligible under the frozen rule who is not the requester."""
    for step, number in Counter(one.step_id for one in state.decisions).items():
        if number > 1:
            yield f"Step {step} has {number} decisions."
    decided = {one.step_id: one for one in state.decisions}
    for step in state.steps.values():
        decision = decided.get(step.id)
        if (step.state in ("approved", "denied")) is not (decision is not None):
            yield f"Step {step.id} is {step.state}, its decision {decision}."
        if decision is not None and decision.verdict != step.state:
            yield f"Step {step.id} is {step.state}, but was decided {decision.verdict}."
    for decision in state.decisions:
        request = state.requests[state.steps[decision.step_id].request_id]
        if decision.person_id in (request.asked_by_id, request.for_person_id):
            yield f"Request {request.id} was decided by its requester."
    for request, steps in _steps_of(state).items():
        rule = json.loads(state.revisions[state.requests[request].policy_revision_id].body)
        frozen = [(one["person"], one["group"]) for one in rule["steps"]]
        if [(one.approver_person_id, one.approver_group_id) for one in steps] != frozen:
            yield f"The steps of request {request} are not those of the rule it was asked under."


def _replayed(state: State) -> Iterator[str]:
    """The record, told from the beginning, ends at what the tables say, and was allowed at each line."""
    requests: dict[int, Request] = {}
    people = People()
    active = people.active
    frozen = {id: json.loads(one.body)["steps"] for id, one in state.revisions.items()}
    rules: dict[int, tuple[int, str]] = {}
    grants: dict[tuple[int, int], int] = Counter()
    for number, line in enumerate(state.events, start=1):
        kind, facts = line["kind"], line["facts"]
        if line["seq"] != number:
            yield f"Line {number} of the record has the number {line['seq']}."
        request = requests.get(line["request"]) if line["request"] is not None else None
        if kind == "request.submitted":
            requests[line["request"]] = Request(line["person"], line["app"], facts["revision"])
            if not active.get(line["actor"]):
                yield f"Line {number}: somebody deactivated asked."
        elif request is not None:
            yield from _request_moves(number, line, request, active)
            if kind == "step.opened" or (kind == "step.reassigned" and line["actor"] is None):
                able = people.able(frozen[request.revision][request.at], request)
                if request.asked != able:
                    yield f"Line {number}: {sorted(request.asked)} were asked, the rule says {sorted(able)}."
        if kind == "policy.saved":
            before = rules.get(line["app"])
            if before is not None and (facts["before"]["number"], facts["before"]["hash"]) != before:
                yield f"Line {number}: the rule before it is not the one that was saved last."
            rules[line["app"]] = facts["after"]["number"], facts["after"]["hash"]
        elif kind in ("person.deactivated", "person.reactivated"):
            if active.get(line["person"]) is (kind == "person.reactivated"):
                yield f"Line {number}: {kind}, but that was so already."
        elif kind == "grant.added":
            grants[line["app"], line["person"]] += 1
        people.hear(line)
    now = {id: (one.for_person_id, one.app_id, one.policy_revision_id, one.state) for id, one in state.requests.items()}
    told = {id: (one.person, one.app, one.revision, one.state) for id, one in requests.items()}
    yield from _differences("request", now, told)
    positions = {one.id: (one.request_id, one.position) for one in state.steps.values()}
    yield from _differences(
        "decision",
        {positions[one.step_id]: (one.person_id, one.verdict) for one in state.decisions},
        {(id, at): what for id, one in requests.items() for at, what in one.decisions.items()},
    )
    yield from _differences("person", {id: bool(one.active) for id, one in state.people.items()}, active)
    yield from _differences(
        "rule",
        {
            id: (state.revisions[one.policy_revision_id].number, state.revisions[one.policy_revision_id].hash)
            for id, one in state.apps.items()
        },
        rules,
    )
    yield from _differences("grant", Counter((one.app_id, one.person_id) for one in state.grants), grants)


def _request_moves(number: int, line: dict[str, Any], request: Request, active: dict[int, bool]) -> Iterator[str]:
    kind, facts = line["kind"], line["facts"]
    moves = kind in ("step.opened", "step.reassigned", "step.approved", "step.denied", "request.expired",
                     "request.cancelled")  # fmt: skip
    if moves and request.state != "pending" and kind != "step.opened":
        yield f"Line {number}: {kind}, but the request was {request.state} already."
    if kind == "step.opened":
        request.at, request.asked = facts["step"], set(facts["asked"])
    elif kind == "step.reassigned":
        request.asked = set(facts["after"]["asked"])
    elif kind in ("step.approved", "step.denied"):
        actor = line["actor"]
        if facts["step"] != request.at:
            yield f"Line {number}: step {facts['step']} was decided while {request.at} was open."
        if facts["channel"] != "admin" and actor not in request.asked:
            yield f"Line {number}: person {actor} decided and was not among those asked, {sorted(request.asked)}."
        if actor == request.person:
            yield f"Line {number}: the requester decided."
        if not active.get(actor):
            yield f"Line {number}: somebody deactivated decided."
        request.decisions[facts["step"]] = actor, kind.partition(".")[2]
        request.state = facts["state"]
    elif kind in ("request.expired", "request.cancelled"):
        request.state = kind.partition(".")[2]


def _differences(what: str, now: dict[Any, Any], told: dict[Any, Any]) -> Iterator[str]:
    for key in sorted(now.keys() | told.keys(), key=str):
        if now.get(key) != told.get(key):
            yield f"The {what} {key} is {now.get(key)}, the record says {told.get(key)}."


def _grants(state: State) -> Iterator[str]:
    """Exactly the approvals and the direct adds."""
    live = Counter((one.app_id, one.person_id) for one in state.grants if one.state in ("provisioning", "active"))
    for key, number in live.items():
        if number > 1:
            yield f"App and person {key} have {number} live grants."
    approved = {id for id, one in state.requests.items() if one.state == "approved"}
    because = Counter(one.request_id for one in state.grants if one.request_id is not None)
    for id in approved - set(because):
        one = state.requests[id]
        if not live.get((one.app_id, one.for_person_id)):
            yield f"Request {id} is approved, and nobody has the app."
    for id, number in because.items():
        if id not in approved:
            yield f"There is a grant of request {id}, which is {state.requests[id].state}."
        if number > 1:
            yield f"Request {id} gave {number} grants."


def _answered(history: list[Told], ends: list[End], database_gone: list[tuple[float, float]]) -> Iterator[str]:
    """Nothing broke, and whoever got no answer lost it to a kill."""
    for one in history:
        if one.status >= 500 and not (
            one.status == 503 and any(begin - 1 <= one.until and one.at <= end + 5 for begin, end in database_gone)
        ):
            yield f"{one.what} by {one.who} was answered {one.status}: {one.words}"
        if one.status == 0 and not any(
            one.at - (ORPHANED if end.kind == "master" else 0.5) <= end.at <= one.until + 0.5
            for end in ends
            if end.kind in ("web", "master")
        ):
            yield f"{one.what} by {one.who} got no answer, from {one.at:.2f} to {one.until:.2f}, and nobody was killed."


def _told(state: State, history: list[Told]) -> Iterator[str]:
    """What people were told is so is so, and what they were refused is not."""
    by_name = {one.public_id: one for one in state.requests.values()}
    by_name_of = {one.id: one.public_id for one in state.requests.values()}
    decided = {(one.step_id, one.person_id): one.verdict for one in state.decisions}
    asked: dict[tuple[int, int], list[Told]] = defaultdict(list)
    for one in history:
        if one.what == "ask":
            asked[one.app, one.who].append(one)
            if one.done and one.request not in by_name:
                yield f"Person {one.who} was told that they asked for app {one.app}: there is no request {one.request}."
    rows = Counter((one.app_id, one.for_person_id) for one in state.requests.values())
    for key in asked.keys() | rows.keys():
        done = sum(one.done for one in asked[key])
        unknown = sum(one.unknown for one in asked[key])
        if not done <= rows[key] <= done + unknown:
            yield f"App and person {key}: {done} told that they asked, {unknown} unknown, {rows[key]} requests."
    verdicts = {"approval": "approved", "denial": "denied"}
    tries: dict[tuple[int, int, str], list[Told]] = defaultdict(list)
    for one in history:
        if one.what == "decide":
            tries[one.step, one.who, verdicts[one.verdict]].append(one)
    for (step, person, verdict), some in tries.items():
        is_so = decided.get((step, person)) == verdict
        if sum(one.done for one in some) > 1:
            yield f"Person {person} was told {sum(one.done for one in some)} times that step {step} is {verdict}."
        if any(one.done for one in some) and not is_so:
            yield f"Person {person} was told that step {step} is {verdict}, and it is not."
    for (step, person), verdict in decided.items():
        if not any(one.done or one.unknown for one in tries[step, person, verdict]):
            yield f"Step {step} was {verdict} by {person}, who was never told so."
    cancelled: dict[str, list[Told]] = defaultdict(list)
    for one in history:
        if one.what == "cancel":
            cancelled[one.request].append(one)
    for name, some in cancelled.items():
        is_so = by_name[name].state == "cancelled"
        if any(one.done for one in some) and not is_so:
            yield f"Somebody was told that request {name} is cancelled: it is {by_name[name].state}."
    for name, request in by_name.items():
        mine = request.settled_by_id == request.for_person_id
        if request.state == "cancelled" and mine and not any(one.done or one.unknown for one in cancelled[name]):
            yield f"Request {name} is cancelled, and nobody was told so."
    free = Counter((one.app_id, one.person_id) for one in state.grants if one.request_id is None)
    added: dict[tuple[int, int], list[Told]] = defaultdict(list)
    for one in history:
        if one.what == "add":
            added[one.app, one.who].append(one)
    for key in added.keys() | free.keys():
        done, unknown = sum(one.done for one in added[key]), sum(one.unknown for one in added[key])
        if not done <= free[key] <= done + unknown:
            yield f"App and person {key}: {done} told that it was added, {unknown} unknown, {free[key]} grants."
    commented = Counter((by_name_of[one.request_id], one.person_id) for one in state.comments)
    yield from _counted(history, "comment", commented, lambda one: (one.request, one.who))


def _told_by_admins(state: State, history: list[Told]) -> Iterator[str]:
    """Rules, groups and people are as often changed as somebody was told so."""
    lines = [one for one in state.events if one["actor"] is not None]
    for what, kind in (
        ("deactivate", "person.deactivated"), ("reactivate", "person.reactivated"),
        ("leave", "group.member_removed"), ("join", "group.member_added"),
    ):  # fmt: skip
        there = Counter(one["person"] for one in lines if one["kind"] == kind)
        yield from _counted(history, what, there, lambda one: one.person)
    # Whoever wishes what is so already is told that it is saved, and nothing is.
    saved = Counter(one["app"] for one in lines if one["kind"] == "policy.saved")
    days = {(one.app_id, json.loads(one.body)["days"]) for one in state.revisions.values()}
    for app, number in saved.items():
        told = sum(one.app == app and (one.done or one.unknown) for one in history if one.what == "rule")
        if number > told:
            yield f"The rule of app {app} was saved {number} times, and {told} were told so."
    for one in history:
        if one.what == "rule" and one.done and (one.app, one.days) not in days:
            yield f"Person {one.who} was told that app {one.app} has {one.days} days: there is no such rule."


def _counted(history: list[Told], what: str, there: Counter[Any], key: Callable[[Told], Any]) -> Iterator[str]:
    """Each thing is there as often as people were told that it was done, and at most once more for each unknown."""
    done = Counter(key(one) for one in history if one.what == what and one.done)
    unknown = Counter(key(one) for one in history if one.what == what and one.unknown)
    for one in done.keys() | unknown.keys() | there.keys():
        if not done[one] <= there[one] <= done[one] + unknown[one]:
            yield f"{what} {one}: {done[one]} told that it is done, {unknown[one]} unknown, {there[one]} times so."
