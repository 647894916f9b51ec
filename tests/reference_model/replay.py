"""The audit record told again from its first line: how everything has to stand if the record is right."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from sqlalchemy import text

from webapp.extensions import db

ENDED = {"request.cancelled": "cancelled", "request.expired": "expired"}


class Record:
    """`go_on` reads the lines that are new; the attributes say what follows from all lines read so far."""

    def __init__(self) -> None:
        self.seq = 0
        self.people: dict[int, tuple[bool, bool]] = {}  # (active, admin)
        self.members: dict[int, set[int]] = defaultdict(set)
        self.apps: dict[int, dict[str, Any]] = {}
        self.requests: dict[int, dict[str, Any]] = {}
        self.grants: dict[tuple[int, int], dict[str, Any]] = {}

    def go_on(self) -> None:
        for row in db.session.execute(text("SELECT seq, body FROM events WHERE seq > :seq ORDER BY seq"),
                                      {"seq": self.seq}):  # fmt: skip
            self.seq = row.seq
            self._replay_entry(json.loads(row.body))

    def _replay_entry(self, line: dict[str, Any]) -> None:
        kind, facts, person = line["kind"], line["facts"], line["person"]
        match kind.split("."):
            case ["person", "created"]:
                self.people[person] = (True, facts["is_admin"])
            case ["person", "deactivated" | "reactivated" as word]:
                self.people[person] = (word == "reactivated", self.people[person][1])
            case ["person", "changed"] if "is_admin" in facts["after"]:
                self.people[person] = (self.people[person][0], facts["after"]["is_admin"])
            case ["group", "member_added"]:
                self.members[facts["group"]].add(person)
            case ["group", "member_removed"]:
                self.members[facts["group"]].remove(person)
            case ["group", "archived"]:
                self.members[facts["group"]] -= set(facts["members"])
            case ["app", "archived"]:
                self.apps[line["app"]]["requestable"] = False
            case ["app", "created"]:
                self.apps[line["app"]] = {"owner": facts["owner"], "requestable": facts["requestable"]}
            case ["app", "changed"]:
                self.apps[line["app"]] |= {key: facts["after"][key] for key in ("owner", "requestable")
                                           if key in facts["after"]}  # fmt: skip
            case ["policy", "saved"]:
                self.apps[line["app"]]["rule"] = facts["after"]
            case ["request", "submitted"]:
                self.requests[line["request"]] = {
                    "state": "pending", "app": line["app"], "person": person, "revision": facts["revision"],
                    "values": facts["after"], "open": None, "decisions": [],
                }  # fmt: skip
            case ["step", "opened"]:
                self.requests[line["request"]]["open"] = (facts["step"], facts["tier"], sorted(facts["asked"]))
            case ["step", "reassigned"]:
                after = facts["after"]
                self.requests[line["request"]]["open"] = (facts["step"], after["tier"], sorted(after["asked"]))
            case ["step", "approved" | "denied" as verdict]:
                self._decided(self.requests[line["request"]], line, verdict)
            case ["request", "cancelled" | "expired"]:
                self.requests[line["request"]] |= {"state": ENDED[kind], "open": None}
            case ["grant", "added" | "updated"]:
                self.grants[line["app"], person] = facts["after"]
            case ["grant", "removed"]:
                del self.grants[line["app"], person]

    def _decided(self, request: dict[str, Any], line: dict[str, Any], verdict: str) -> None:
        facts = line["facts"]
        left = {key: one for key, one in request["values"].items() if key not in facts["before"]}
        request["values"] = left | facts["after"]
        request["decisions"].append((facts["step"], line["actor"], verdict, facts["channel"]))
        request["state"], request["open"] = facts["state"], None


def differences(record: Record) -> list[str]:
    """What the tables say otherwise than the record, in words; for a database whose values are no free text."""
    told, there = _told(record), _there()
    return [f"{what}: the record tells {told[what]}; there is {there[what]}" for what in told
            if told[what] != there[what]]  # fmt: skip


def _told(record: Record) -> dict[str, Any]:
    return {
        "people": record.people,
        "members": {group: members for group, members in record.members.items() if members},
        "apps": record.apps,
        "requests": record.requests,
        "grants": record.grants,
    }


def _rows(sql: str) -> Any:
    # Past SQLAlchemy's compiler: these run after each event of a story.
    return db.session.connection().exec_driver_sql(sql).mappings().all()


def _there() -> dict[str, Any]:
    people = {row["id"]: (bool(row["active"]), bool(row["is_admin"])) for row in _rows("SELECT * FROM people")}
    members: dict[int, set[int]] = defaultdict(set)
    for row in _rows("SELECT * FROM memberships"):
        members[row["group_id"]].add(row["person_id"])
    apps = {
        row["id"]: {
            "owner": None if row["owner_person_id"] is row["owner_group_id"] is None
            else {"person": row["owner_person_id"], "group": row["owner_group_id"]},
            "requestable": bool(row["requestable"]),
            "rule": {"number": row["number"], "hash": row["hash"]},
        }
        for row in _rows("SELECT a.*, p.number, p.hash FROM apps a "
                         "JOIN policy_revisions p ON p.id = a.policy_revision_id")
    }  # fmt: skip
    requests: dict[int, dict[str, Any]] = {
        row["id"]: {
            "state": row["state"], "app": row["app_id"], "person": row["for_person_id"],
            "revision": row["policy_revision_id"], "values": json.loads(row["values_json"]), "open": None,
            "decisions": [],
        }
        for row in _rows("SELECT * FROM requests")
    }  # fmt: skip
    asked: dict[int, list[int]] = defaultdict(list)
    for row in _rows("SELECT step_id, person_id FROM invitations WHERE live ORDER BY person_id"):
        asked[row["step_id"]].append(row["person_id"])
    for row in _rows("SELECT id, request_id, position, tier FROM steps WHERE state = 'open'"):
        requests[row["request_id"]]["open"] = (row["position"], row["tier"], asked[row["id"]])
    for row in _rows("SELECT s.request_id, s.position, d.person_id, d.verdict, d.channel FROM decisions d "
                     "JOIN steps s ON s.id = d.step_id ORDER BY d.id"):  # fmt: skip
        requests[row["request_id"]]["decisions"].append(
            (row["position"], row["person_id"], row["verdict"], row["channel"])
        )
    grants = {
        (row["app_id"], row["person_id"]): json.loads(row["values_json"])
        for row in _rows("SELECT * FROM grants WHERE state IN ('provisioning', 'active')")
    }
    return {"people": people, "members": dict(members), "apps": apps, "requests": requests, "grants": grants}
