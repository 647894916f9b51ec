"""How requests are meant to go, written a second time, to be read: plain dicts, no database, nothing of webapp.

A person is a name, an approver is ("person", name) or ("group", name), an instant is a number of days. Each event is
a method of `Model`, those of admins and owners in admins.py; it raises `Refused` with every reason that there is, or
changes the dicts. Whoever doubts a rule of Countersign should find it here in a few lines.
"""

from __future__ import annotations

import copy
from typing import Any

from tests.reference_model.admins import Admins
from tests.reference_model.terms import ASKED, Refused, Who


class Model(Admins):
    """Everything there is, at one moment."""

    def __init__(self) -> None:
        self.today = 0
        self.people: dict[str, dict[str, bool]] = {}
        self.groups: dict[str, set[str]] = {}
        self.archived: set[str] = set()  # the groups that can be chosen for nothing any more
        self.apps: dict[str, dict[str, Any]] = {}
        self.requests: list[dict[str, Any]] = []
        self.grants: list[dict[str, Any]] = []
        self.mails: list[dict[str, Any]] = []

    # Who is who

    def active(self, who: Who | None) -> set[str]:
        """The active people behind a person or a group."""
        if who is None:
            return set()
        kind, name = who
        names = {name} if kind == "person" else self.groups[name]
        return {one for one in names if self.people[one]["active"]}

    def admins(self) -> set[str]:
        return {name for name, one in self.people.items() if one["active"] and one["admin"]}

    def deciders(self, approver: Who, request: dict[str, Any]) -> tuple[str, set[str]]:
        """The approver; if nobody is left there, the app's owner; then the admins. Never the one who asks."""
        owner = self.apps[request["app"]]["owner"]
        for tier, people in (("approver", self.active(approver)), ("owner", self.active(owner)),
                             ("admins", self.admins())):  # fmt: skip
            left = people - {request["person"]}
            if left:
                return tier, left
        return "nobody", set()

    def open_step(self, request: dict[str, Any]) -> dict[str, Any] | None:
        return next((step for step in request["steps"] if step["state"] == "open"), None)

    def overdue(self, request: dict[str, Any]) -> bool:
        step = self.open_step(request)
        return step is not None and step["due"] <= self.today

    def pending_of(self, person: str) -> list[dict[str, Any]]:
        return [one for one in self.requests if one["state"] == "pending" and one["person"] == person]

    def has(self, person: str, app: str) -> bool:
        return any(one["live"] and (one["person"], one["app"]) == (person, app) for one in self.grants)

    def has_asked(self, person: str, app: str) -> bool:
        return any(one["app"] == app for one in self.pending_of(person))

    def waits(self, person: str, app: str) -> bool:
        """For an answer that can still come: what is overdue is no obstacle to a new one."""
        return any(one["app"] == app and not self.overdue(one) for one in self.pending_of(person))

    # What people do

    def add(self, person: str, app: str) -> None:
        rule = self.apps[app]["rule"]
        if (rule["approval"] or self.has(person, app) or self.waits(person, app)
                or not self.people[person]["active"] or self.apps[app]["archived"]
                or self.needs_permission(person, app)):  # fmt: skip
            raise Refused("conflict")
        self.sweep(person, app)
        self.grants.append({"app": app, "person": person, "request": None, "live": True, "seat": "A"})
        self.mail("app-added", "requester", person, grant=len(self.grants) - 1)

    def needs_permission(self, person: str, app: str) -> bool:
        """Who opened an app cannot add it, unless there is no other owner and no other admin."""
        one = self.apps[app]
        others = (self.active(one["owner"]) | self.admins()) - {person}
        return person in (one["opened by"], one["shown by"]) and bool(others)

    def opened(self, actor: str, app: str) -> None:
        """Approval was turned off: whoever shows the app already shows it to be added, by this person's word."""
        one = self.apps[app]
        one["opened by"] = actor
        if one["shown by"] != actor:
            one["shown by"] = None

    def submit(self, person: str, app: str, seat: str, stale: bool) -> None:
        rule = self.apps[app]["rule"]
        request = {
            "app": app,
            "person": person,
            "rule": copy.deepcopy(rule),  # frozen: whatever becomes of the app's rule, this request keeps its own
            "state": "pending",
            "seat": seat if rule["requester sets seat"] else "A",
            "asked on": self.today,
            "made on": self.today,
            "steps": [
                {"approver": who, "state": "waiting", "tier": "approver", "days": days, "due": None, "asked": {},
                 "decision": None}
                for who, days, _ in rule["steps"]
            ],
        }  # fmt: skip
        reasons = set()
        lately = [one for one in self.requests
                  if (one["person"], one["app"], one["made on"]) == (person, app, self.today)]  # fmt: skip
        if len(lately) >= 5:  # and mails others each time
            reasons.add("conflict")
        if (not rule["approval"] or stale or self.has(person, app) or self.waits(person, app)
                or not self.people[person]["active"] or self.apps[app]["archived"]):  # fmt: skip
            reasons.add("conflict")
        if any(self.deciders(step["approver"], request)[0] == "nobody" for step in request["steps"]):
            reasons.add("nobody")
        if reasons:
            raise Refused(*reasons)
        self.sweep(person, app)
        self.requests.append(request)
        self.open(request, 0)

    def approve(self, person: str, number: int, seen: int, seat: str) -> None:
        request = self.requests[number]
        step = self.check_decision(person, request, seen)
        if request["rule"]["steps"][seen][2]:  # this step may write the field
            request["seat"] = seat
        self.decided(request, step, person, "approved", "browser")

    def deny(self, person: str, number: int, seen: int, reason: str) -> None:
        request = self.requests[number]
        step = self.check_decision(person, request, seen, *([] if reason else ["incomplete"]))
        self.decided(request, step, person, "denied", "browser")

    def check_decision(self, person: str, request: dict[str, Any], seen: int, *reasons: str) -> dict[str, Any]:
        """The step the person was looking at, if it is theirs to decide, and still open, and in time."""
        found = set(reasons)
        step = request["steps"][seen]
        if person == request["person"]:
            found.add("own")
        if request["state"] != "pending" or step["state"] != "open" or self.overdue(request):
            found.add("settled")
        if person not in self.deciders(step["approver"], request)[1]:
            found.add("not yours")
        if found:
            raise Refused(*found)
        return step

    def cancel(self, person: str, number: int) -> None:
        """By the one who asked; others do not get this far."""
        self.end_by_cancelling(self.requests[number], person)

    def remind(self, person: str, number: int) -> None:
        """Once a day."""
        request = self.requests[number]
        step = self.open_step(request)
        if step is None or self.overdue(request):
            raise Refused("settled")
        if request["asked on"] + 1 > self.today:
            raise Refused("conflict")
        request["asked on"] = self.today
        for name, (live, _) in step["asked"].items():
            if live:
                self.ask(request, step, name)

    def new_code(self, person: str, number: int) -> None:
        """A new round: the link and code sent before decide nothing any more."""
        request = self.requests[number]
        step = self.open_step(request)
        if step is None or self.overdue(request):
            raise Refused("settled")
        if not step["asked"].get(person, (False, 0))[0]:
            raise Refused("not yours")
        step["asked"][person] = (True, step["asked"][person][1] + 1)
        self.ask(request, step, person)

    # What time does

    def pass_days(self, days: int) -> None:
        self.today += days

    def sweep(self, person: str = "", app: str = "") -> None:
        """Everything overdue ends, or what is overdue of one person for one app."""
        for request in self.requests:
            if person and (request["person"], request["app"]) != (person, app):
                continue
            if request["state"] == "pending" and self.overdue(request):
                step = self.open_step(request)
                assert step is not None
                step["state"] = "expired"
                self.finish(request, step, "expired", actor=None)

    def deliver_emails(self) -> None:
        """The worker takes everything that is due and sends what is still so, in order."""
        taken = [mail for mail in self.mails if mail["state"] == "due"]
        for mail in taken:
            mail["state"] = "leased"
        for mail in taken:
            mail["state"] = "sent" if self.is_current(mail) else "obsolete"

    def is_current(self, mail: dict[str, Any]) -> bool:
        kind, to = mail["kind"], mail["to"]
        if to in self.people and not self.people[to]["active"]:
            return False
        if kind in ("app-added", "grant-added"):
            return bool(self.grants[mail["grant"]]["live"])
        if kind in ("grant-removed", "grants-removed", "grant-returned"):
            return True
        request = self.requests[mail["request"]]
        if kind == ASKED:
            step = request["steps"][mail["step"]]
            return (request["state"] == "pending" and step["state"] == "open" and not self.overdue(request)
                    and step["asked"][to] == (True, mail["round"]))  # fmt: skip
        if kind == "request-approved" and mail["role"] == "requester":
            return self.has(request["person"], request["app"])
        if mail["role"] == "approver":
            # Who never got to know of it need not hear how it ended.
            return self.sees(to, request) and any(
                one["kind"] == ASKED and one["to"] == to and one["state"] in ("sent", "leased")
                and one["request"] == mail["request"] and mail["step"] in (None, one["step"])
                for one in self.mails
            )  # fmt: skip
        return True

    # What follows

    def open(self, request: dict[str, Any], position: int) -> None:
        step = request["steps"][position]
        step["state"] = "open"
        step["due"] = self.today + step["days"]
        step["tier"], people = self.deciders(step["approver"], request)
        for name in people:
            step["asked"][name] = (True, 1)
            self.ask(request, step, name)

    def decided(self, request: dict[str, Any], step: dict[str, Any], actor: str, verdict: str, channel: str) -> None:
        step["state"] = verdict
        step["decision"] = (actor, verdict, channel)
        waiting = [number for number, one in enumerate(request["steps"]) if one["state"] == "waiting"]
        if verdict == "approved" and waiting and channel != "admin":
            self.tell_settled(request, step, {actor})
            self.open(request, waiting[0])
            return
        if verdict == "approved":
            self.give(request)
        self.finish(request, step, verdict, actor)

    def give(self, request: dict[str, Any]) -> None:
        for grant in self.grants:
            if grant["live"] and (grant["person"], grant["app"]) == (request["person"], request["app"]):
                grant["seat"] = request["seat"]
                return
        self.grants.append(
            {"app": request["app"], "person": request["person"], "request": place(self.requests, request),
             "live": True, "seat": request["seat"]}
        )  # fmt: skip

    def finish(self, request: dict[str, Any], step: dict[str, Any], state: str, actor: str | None) -> None:
        """Approved, denied or expired: the mails that the frozen rule sets."""
        request["state"] = state
        for one in request["steps"]:
            if one["state"] == "waiting":
                one["state"] = "skipped"
        requester, approvers, others = request["rule"]["mail"][state]
        told = {request["person"]} if requester else set()
        if approvers:
            told |= self.ever_asked(request) - {actor}
        for name in told:
            role = "requester" if requester and name == request["person"] else "approver"
            self.mail(f"request-{state}", role, name, request)
        for address in others:
            self.mail(f"request-{state}", "other", address, request)
        if state == "expired":
            self.close(step)
        else:
            self.tell_settled(request, step, told | {actor})

    def tell_settled(self, request: dict[str, Any], step: dict[str, Any], told: set[str | None]) -> None:
        """Those who could have decided this step, too, and hear of it in no other way."""
        for name, (live, _) in step["asked"].items():
            if live and name not in told:
                self.mail("request-settled", "approver", name, request, step)
        self.close(step)

    def end_by_cancelling(self, request: dict[str, Any], actor: str) -> None:
        if request["state"] != "pending":
            raise Refused("settled")
        request["state"] = "cancelled"
        for step in request["steps"]:
            if step["state"] in ("open", "waiting"):
                step["state"] = "skipped"
            self.close(step)
        told = self.ever_asked(request)
        if self.people[request["person"]]["active"]:
            told.add(request["person"])
        for name in told - {actor}:
            self.mail("request-cancelled", "requester" if name == request["person"] else "approver", name, request)

    def reassign_open_steps(self) -> None:
        """People, groups or owners changed: whoever may decide an open step now is asked, whoever may not is out."""
        for request in self.requests:
            step = self.open_step(request)
            if step is None:
                continue
            step["tier"], people = self.deciders(step["approver"], request)
            for name, (live, round) in step["asked"].items():
                if live and name not in people:
                    step["asked"][name] = (False, round)
                elif not live and name in people:
                    step["asked"][name] = (True, round + 1)
                    self.ask(request, step, name)
            for name in people - set(step["asked"]):
                step["asked"][name] = (True, 1)
                self.ask(request, step, name)

    def close(self, step: dict[str, Any]) -> None:
        step["asked"] = {name: (False, round) for name, (_, round) in step["asked"].items()}

    def ever_asked(self, request: dict[str, Any]) -> set[str]:
        """And may see it still."""
        return {name for step in request["steps"] for name in step["asked"] if self.sees(name, request)}

    def sees(self, name: str, request: dict[str, Any]) -> bool:
        """Who was asked sees it while they may decide, stand where they stood, or if they decided; admins and owners
        always."""

        def behind(who: Who | None) -> bool:
            return who is not None and name in ({who[1]} if who[0] == "person" else self.groups[who[1]])

        return (
            self.people[name]["admin"]
            or behind(self.apps[request["app"]]["owner"])
            or any(
                name in step["asked"]
                and (step["asked"][name][0] or behind(step["approver"]) or (step["decision"] or ("",))[0] == name)
                for step in request["steps"]
            )
        )

    def ask(self, request: dict[str, Any], step: dict[str, Any], name: str) -> None:
        self.mail(ASKED, "approver", name, request, step, round=step["asked"][name][1])

    def mail(
        self, kind: str, role: str, to: str, request: dict[str, Any] | None = None, step: dict[str, Any] | None = None,
        *, round: int = 0, grant: int | None = None,
    ) -> None:  # fmt: skip
        self.mails.append(
            {
                "kind": kind,
                "role": role,
                "to": to,
                "request": None if request is None else place(self.requests, request),
                "step": None if request is None or step is None else place(request["steps"], step),
                "round": round,
                "grant": grant,
                "state": "due",
            }
        )


def place(everybody: list[dict[str, Any]], one: dict[str, Any]) -> int:
    """By identity: two that look alike are two."""
    return next(number for number, other in enumerate(everybody) if other is one)
