"""The emails of a round: each that was posted was sent or is no longer so, none was sent twice without a reason."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from .state import End, State

# Seconds between the look that finds a mail still so and the server's taking it, on a busy machine.
ON_ITS_WAY = 10.0
TRIES = 8
# Where the one that sends has no mail between the server's yes and the mark.
NO_MAIL_IN_HAND = ("mail.claimed", "mail.after-rcpt", "mail.after-mark")
# Seconds that a process of gunicorn lives on when its master is killed.
ORPHANED = 5.0


def was_posted(state: State) -> Iterator[str]:
    """Whoever was asked has a mail that asks, and what ended is told to whom the frozen rule says."""
    asking = {(one.invitation_id, one.round) for one in state.notices.values() if one.kind == "approval-asked"}
    for one in state.invitations:
        for number in range(1, one.round + 1):
            if (one.id, number) not in asking:
                yield f"Person {one.person_id} was asked on step {one.step_id}, round {number}, and has no mail."
    told = {(one.request_id, one.kind, one.person_id or one.address) for one in state.notices.values()}
    for request in state.requests.values():
        rule = json.loads(state.revisions[request.policy_revision_id].body)["outcomes"].get(request.state)
        if rule is not None:
            for to in [*([request.for_person_id] if rule["requester"] else []), *rule["others"]]:
                if (request.id, f"request-{request.state}", to) not in told:
                    yield f"Nobody told {to} that request {request.id} is {request.state}."


def of_notices(
    state: State, mails: list[dict[str, Any]], ends: list[End], database_gone: list[tuple[float, float]]
) -> Iterator[str]:
    """Each sent, dead or obsolete; each sent one in the server's record; no more doubles than causes."""
    record: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for mail in mails:
        record[mail["id"]].append(mail)
    until = _asked_until(state)
    for name, notice in state.notices.items():
        if notice.state not in ("sent", "dead", "obsolete"):
            yield f"The mail {name} ({notice.kind}) is {notice.state} at rest, after {notice.tries} tries."
        if notice.state == "sent" and name not in record:
            yield f"The mail {name} is marked as sent, and the server has never had it."
        if notice.state == "dead" and notice.tries < TRIES and " 5" not in notice.error:
            yield f"The mail {name} was given up after {notice.tries} tries: {notice.error}"
    for name, copies in record.items():
        found = state.notices.get(name)
        if found is None:
            yield f"The server has a mail {name} that is no notice."
            continue
        if len({one["same"] for one in copies}) > 1:
            yield f"The mail {name} went out {len(copies)} times with another boundary or link."
        to = found.address or state.people[found.person_id].email
        if any(one["to"] != [to] for one in copies):
            yield f"The mail {name} is for {to} and went to {[one['to'] for one in copies]}."
        yield from _still_so(state, found, copies, until)
    causes = sorted([
        *(one.at for one in ends if one.kind == "worker" and one.point not in NO_MAIL_IN_HAND),
        *(at for begin, _ in database_gone for at in (begin, begin)),
    ])  # fmt: skip
    spent: set[int] = set()
    again = [pair for copies in record.values() for pair in pairwise(copies)]
    # Taken by the server and never marked: each of these has to have a cause, too.
    again += [
        (copies[-1], {"at": float("inf")})
        for name, copies in record.items()
        if name in state.notices and state.notices[name].state != "sent"
    ]
    again.sort(key=lambda pair: pair[0]["at"])
    for one, other in again:
        if not one["answered"]:
            continue
        # The kill comes right after the server has taken the mail.
        place = bisect_left(causes, one["at"] - 0.5)
        while place < len(causes) and place in spent:
            place += 1
        if place >= len(causes) or causes[place] > min(other["at"], one["at"] + 8):
            yield f"The mail {one['id']} was taken at {one['at']:.2f}, not marked, and again at {other['at']:.2f}."
        else:
            spent.add(place)


def _asked_until(state: State) -> dict[tuple[int, int, int], list[tuple[float, float]]]:
    """(request, step's position, person) → from when until when they were asked, as the record tells it."""
    found: dict[tuple[int, int, int], list[tuple[float, float]]] = defaultdict(list)
    now: dict[int, tuple[int, dict[int, float]]] = {}
    for line in state.events:
        kind, facts, id = line["kind"], line["facts"], line["request"]
        at = _seconds(line["at"])
        assert at is not None
        if kind in ("step.opened", "step.reassigned"):
            asked = set(facts["asked"] if kind == "step.opened" else facts["after"]["asked"])
        elif kind in ("step.approved", "step.denied", "request.expired", "request.cancelled"):
            asked = set()
        else:
            continue
        position, since = now.get(id, (0, {}))
        for person in set(since) - asked:
            found[id, position, person].append((since.pop(person), at))
        now[id] = (facts["step"] if kind.startswith("step.") else position, since)
        since.update(dict.fromkeys(asked - set(since), at))
    for id, (position, since) in now.items():
        for person, at in since.items():
            found[id, position, person].append((at, float("inf")))
    return found


def _still_so(
    state: State,
    notice: Any,
    copies: list[dict[str, Any]],
    until: dict[tuple[int, int, int], list[tuple[float, float]]],
) -> Iterator[str]:
    """Who is asked for a decision is asked while it is theirs."""
    if notice.kind != "approval-asked":
        return
    some = until[notice.request_id, state.steps[notice.step_id].position, notice.person_id]
    for mail in copies:
        begun = [end for begin, end in some if begin <= mail["at"]]
        if not begun:
            yield f"The mail {notice.public_id} asked somebody for a decision who was never asked for it."
        elif mail["at"] > begun[-1] + ON_ITS_WAY:
            late = mail["at"] - begun[-1]
            yield f"The mail {notice.public_id} asked for a decision {late:.1f} s after that was over."


def _seconds(value: Any) -> float | None:
    """An instant as the driver gives it: aware on PostgreSQL, text or naive UTC on SQLite."""
    if value is None:
        return None
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
