"""What is there when all has come to rest: every table that matters, and the people and requests as the log says."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

FINAL = ("approved", "denied", "expired", "cancelled")


@dataclass(frozen=True, slots=True)
class End:
    """A process of this kind (web, master, worker, webhooks, broker) was killed at that time, by a point or at
    random ("")."""

    at: float
    kind: str
    point: str = ""


@dataclass
class State:
    """Every table that matters, as plain rows."""

    requests: dict[int, Any]
    steps: dict[int, Any]
    invitations: list[Any]
    decisions: list[Any]
    comments: list[Any]
    grants: list[Any]
    notices: dict[str, Any]
    # By their webhook-id.
    deliveries: dict[str, Any]
    people: dict[int, Any]
    apps: dict[int, Any]
    revisions: dict[int, Any]
    events: list[dict[str, Any]]
    broken: str


@dataclass
class Request:
    """A request as the record tells it."""

    person: int
    app: int
    revision: int
    state: str = "pending"
    at: int = -1
    asked: set[int] = field(default_factory=set)
    decisions: dict[int, tuple[int, str]] = field(default_factory=dict)


@dataclass
class People:
    """Who could decide what at one line of the record, worked out from the lines before it."""

    active: dict[int, bool] = field(default_factory=dict)
    admins: set[int] = field(default_factory=set)
    members: dict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    owners: dict[int, dict[str, Any] | None] = field(default_factory=dict)

    def hear(self, line: dict[str, Any]) -> None:
        kind, facts, person = line["kind"], line["facts"], line["person"]
        if kind == "person.created":
            self.active[person] = True
            self.admins |= {person} if facts["is_admin"] else set()
        elif kind in ("person.deactivated", "person.reactivated"):
            self.active[person] = kind == "person.reactivated"
        elif kind == "group.member_added":
            self.members[facts["group"]].add(person)
        elif kind == "group.member_removed":
            self.members[facts["group"]].discard(person)
        elif kind == "app.created":
            self.owners[line["app"]] = facts["owner"]

    def able(self, approver: dict[str, Any], request: Request) -> set[int]:
        """Those behind the approver of a frozen rule; if nobody is left, the owner; then the admins."""
        for one in (approver, self.owners.get(request.app)):
            some = {one["person"]} if one and one["person"] else self.members[one["group"]] if one else set()
            if left := {person for person in some if self.active.get(person)} - {request.person}:
                return left
        return {person for person in self.admins if self.active.get(person)} - {request.person}
