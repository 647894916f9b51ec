"""The part of the model for what admins and owners do: requests of others, rules, people, groups and access."""

from __future__ import annotations

from typing import Any

from tests.reference_model.terms import Refused, Who


class Admins:
    """The events of `Model`, which has everything that they change."""

    def admin_cancel(self, actor: str, number: int, reason: str) -> None:
        request = self.requests[number]
        self.check_admin(actor, request, reason, overdue_too=True)
        self.end_by_cancelling(request, actor)

    def reassign(self, actor: str, number: int, to: Who, reason: str) -> None:
        """The open step is somebody else's from now on; every link sent for it is dead; the deadline stays."""
        request = self.requests[number]
        people = self.active(to) - {request["person"]}
        step = self.open_step(request)
        same = step is not None and (step["approver"], step["tier"]) == (to, "approver")
        self.check_admin(actor, request, reason, *(["incomplete"] if same or not people else []))
        assert step is not None
        step["approver"], step["tier"] = to, "approver"
        step["asked"] = {name: (name in people, round + 1) for name, (_, round) in step["asked"].items()}
        for name in people:
            step["asked"].setdefault(name, (True, 1))
            self.ask(request, step, name)

    def extend(self, actor: str, number: int, days: int, reason: str) -> None:
        """More time from now on, never less than there was."""
        request = self.requests[number]
        step = self.open_step(request)
        enough = step is not None and step["due"] >= self.today + days
        self.check_admin(actor, request, reason, *(["incomplete"] if enough else []))
        assert step is not None
        step["due"] = self.today + days

    def check_admin(
        self, actor: str, request: dict[str, Any], reason: str, *reasons: str, overdue_too: bool = False
    ) -> None:
        found = set(reasons)
        if actor == request["person"]:
            found.add("own")
        if not self.people[actor]["admin"]:
            found.add("not yours")
        if not reason:
            found.add("incomplete")
        if request["state"] != "pending" or (self.overdue(request) and not overdue_too):
            found.add("settled")
        if found:
            raise Refused(*found)

    def save_rule(self, actor: str, app: str, rule: dict[str, Any]) -> None:
        if self.has_asked(actor, app):
            raise Refused("conflict")
        before, self.apps[app]["rule"] = self.apps[app]["rule"], rule
        if rule["approval"]:
            self.apps[app]["opened by"] = None
        elif before["approval"]:
            self.opened(actor, app)

    def approval_off(self, actor: str, app: str, way: str, reason: str) -> None:
        """With an answer to what becomes of those who wait: finish, approve (by the admin's name) or cancel."""
        found = set()
        if self.has_asked(actor, app):
            found.add("conflict")
        if way != "finish" and not reason:
            found.add("incomplete")
        if found:
            raise Refused(*found)
        self.apps[app]["rule"] = {**self.apps[app]["rule"], "approval": False}
        self.opened(actor, app)
        for request in self.requests:
            if request["app"] != app or request["state"] != "pending":
                continue
            if way == "cancel":
                self.end_by_cancelling(request, actor)
            elif way == "approve" and not self.overdue(request):
                step = self.open_step(request)
                assert step is not None
                self.decided(request, step, actor, "approved", "admin")

    def set_owner(self, actor: str, app: str, owner: Who | None) -> None:
        if self.has_asked(actor, app):
            raise Refused("conflict")
        self.apps[app]["owner"] = owner
        self.reassign_open_steps()

    def archive_app(self, actor: str, app: str) -> None:
        """Its pending requests go on as they are."""
        if self.has_asked(actor, app):
            raise Refused("conflict")
        self.apps[app]["archived"] = True

    def restore_app(self, actor: str, app: str) -> None:
        if self.has_asked(actor, app):
            raise Refused("conflict")
        self.apps[app]["archived"] = False
        self.apps[app]["shown by"] = None if self.apps[app]["rule"]["approval"] else actor

    def archive_group(self, actor: str, group: str) -> None:
        """Not while a rule names it, it owns an app with a use for an owner, or a pending request is to be decided by
        it."""
        me = ("group", group)
        pending = [one for one in self.requests if one["state"] == "pending"]
        in_use = [one for one in self.apps.values() if not one["archived"]]
        owned = [name for name, one in self.apps.items() if one["owner"] == me]
        if (
            group in self.archived
            or any(step[0] == me for app in in_use for step in app["rule"]["steps"])
            or any(not self.apps[name]["archived"] or name in [one["app"] for one in pending] for name in owned)
            or any(step["approver"] == me and step["state"] in ("open", "waiting")
                   for one in pending for step in one["steps"])
        ):  # fmt: skip
            raise Refused("conflict")
        self.archived.add(group)
        self.groups[group] = set()
        self.reassign_open_steps()

    def add_member(self, actor: str, group: str, person: str) -> None:
        if group in self.archived:
            raise Refused("conflict")
        if person in self.groups[group] or not self.people[person]["active"]:
            raise Refused("conflict")
        self.groups[group].add(person)
        self.reassign_open_steps()

    def remove_member(self, actor: str, group: str, person: str) -> None:
        if person not in self.groups[group]:
            raise Refused("conflict")
        self.groups[group].remove(person)
        self.reassign_open_steps()

    def deactivate(self, actor: str, person: str) -> None:
        if person == actor or not self.people[person]["active"] or self.admins() == {person}:
            raise Refused("conflict")
        self.people[person]["active"] = False
        for request in self.pending_of(person):
            self.end_by_cancelling(request, actor)
        self.reassign_open_steps()

    def reactivate(self, actor: str, person: str) -> None:
        if self.people[person]["active"]:
            raise Refused("conflict")
        self.people[person]["active"] = True
        self.reassign_open_steps()

    def set_admin(self, actor: str, person: str, admin: bool) -> None:
        one = self.people[person]
        if one["admin"] is admin or (admin and not one["active"]) or (not admin and self.admins() == {person}):
            raise Refused("conflict")
        one["admin"] = admin
        self.reassign_open_steps()

    def remove_grant(self, actor: str, number: int, reason: str) -> None:
        """The person is told why, and the owner of the app."""
        grant = self.grants[number]
        found = set()
        if not grant["live"]:
            found.add("conflict")
        if not reason:
            found.add("incomplete")
        if found:
            raise Refused(*found)
        grant["live"] = False
        self.mail("grant-removed", "requester", grant["person"], grant=number)
        for name in self.active(self.apps[grant["app"]]["owner"]) - {grant["person"], actor}:
            self.mail("grant-removed", "other", name, grant=number)

    def grant_access(self, actor: str, person: str, app: str, seat: str, reason: str) -> None:
        """Access without a request: never to oneself, and never past a request that waits for an answer. The owners
        and the approvers are told."""
        rule = self.apps[app]["rule"]
        incomplete = (actor == person or not reason or self.has(person, app) or self.waits(person, app)
                      or not self.people[person]["active"])  # fmt: skip
        if self.apps[app]["archived"]:
            raise Refused("conflict", *(["incomplete"] if incomplete else []))
        if incomplete:
            raise Refused("incomplete")
        self.sweep(person, app)
        self.grants.append({"app": app, "person": person, "request": None, "live": True, "seat": seat})
        number = len(self.grants) - 1
        told = self.active(self.apps[app]["owner"])
        for who, _, _ in rule["steps"] if rule["approval"] else []:
            told |= self.active(who)
        self.mail("grant-added", "requester", person, grant=number)
        for name in told - {person, actor}:
            self.mail("grant-added", "other", name, grant=number)

    def remove_all(self, actor: str, person: str, reason: str) -> None:
        """One reason for all apps, and one mail to each whom it concerns."""
        held = [number for number, one in enumerate(self.grants) if one["live"] and one["person"] == person]
        if not held:
            raise Refused("conflict", *([] if reason else ["incomplete"]))
        if not reason:
            raise Refused("incomplete")
        told = {person: list(held)}
        for number in held:
            self.grants[number]["live"] = False
            for name in self.active(self.apps[self.grants[number]["app"]]["owner"]) - {person, actor}:
                told.setdefault(name, []).append(number)
        for name, about in told.items():
            kind = "grant-removed" if len(about) == 1 else "grants-removed"
            self.mail(kind, "requester" if name == person else "other", name, grant=about[0])

    def give_back(self, person: str, number: int) -> None:
        """The owner of the app is told, else the admins."""
        grant = self.grants[number]
        found = set()
        if grant["person"] != person:
            found.add("not yours")
        if not grant["live"]:
            found.add("conflict")
        if found:
            raise Refused(*found)
        grant["live"] = False
        for name in (self.active(self.apps[grant["app"]]["owner"]) - {person}) or (self.admins() - {person}):
            self.mail("grant-returned", "other", name, grant=number)
