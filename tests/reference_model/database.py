"""The same events on the real operations, one transaction each, and the state afterwards in the words of the model."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from tests.helpers import factories
from tests.reference_model import replay
from tests.reference_model.reference import Model
from tests.reference_model.refusals import WORDS
from tests.reference_model.terms import Who
from webapp import clock, notices
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.extensions import broker, db
from webapp.models import AccessRequest, App, Grant, Group, Invitation, Person, PolicyRevision, Step, db_now
from webapp.operations import (
    approval_codes,
    apps,
    decisions,
    expiry,
    grants,
    groups,
    pending,
    people,
    requests,
    returns,
    step_in,
)
from webapp.operations.errors import Conflict, Invalid
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import cases, holdings, invitation_check, notice_status
from webapp.record import audit
from webapp.workflow.actor import SYSTEM
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.errors import (
    NotYourTurn,
    Settled,
    WorkflowError,
)
from webapp.workflow.policy import Approver, OutcomeRule, Policy, StepRule
from webapp.workflow.states import RequestState, Verdict, Visibility

SEAT = "seat"


class Database:
    """`empty()` answers the app with an empty database; see tests.conftest.Engines."""

    knows_conflicts = True

    def __init__(self, empty: Callable[[], Flask]) -> None:
        self._empty = empty

    def start(self, model: Model) -> None:
        """The model's people, groups and apps."""
        self._app = self._empty()
        self._record = replay.Record()
        with self._app.app_context():
            choose("write")
            self._start(model)
            outbox.commit()
            broker().flushdb()
            db.session.remove()

    def _start(self, model: Model) -> None:
        now = clock.now()
        made: dict[str, Person] = {}
        for name, one in model.people.items():
            made[name] = people.create(email=f"{name}@example.com", name=name, actor=SYSTEM, now=now,
                                       is_admin=one["admin"])  # fmt: skip
        self.people = {name: one.id for name, one in made.items()}
        self.groups: dict[str, int] = {}
        for name, members in model.groups.items():
            group = groups.create(name=name, actor=SYSTEM, now=now)
            for member in sorted(members):
                groups.add_member(group, made[member], actor=SYSTEM, now=now)
            self.groups[name] = group.id
        self.apps: dict[str, int] = {}
        for name, app in model.apps.items():
            owner = self.approver(app["owner"]) if app["owner"] else None
            self.apps[name] = apps.create(name=name, actor=SYSTEM, now=now, policy=self.policy(app["rule"]),
                                          owner=owner, requestable=True).id  # fmt: skip
        self._names = {id: name for name, id in self.people.items()}

    def approver(self, who: Who) -> Approver:
        kind, name = who
        return Approver(person=self.people[name]) if kind == "person" else Approver(group=self.groups[name])

    def policy(self, rule: dict[str, Any]) -> Policy:
        write, hidden = Visibility.WRITE, Visibility.HIDDEN
        seat = Entitlement(SEAT, "Seat", "choice", ("A", "B", "C"), default="A",
                           requester=write if rule["requester sets seat"] else hidden)  # fmt: skip
        return Policy(
            approval_required=rule["approval"],
            steps=tuple(
                StepRule(self.approver(who), days, {SEAT: write if writes else hidden})
                for who, days, writes in rule["steps"]
            ),
            entitlements=(seat,),
            outcomes={
                RequestState(state): OutcomeRule(requester, approvers, tuple(others))
                for state, (requester, approvers, others) in rule["mail"].items()
            },
        )

    def stop(self) -> None:
        """Lets go of the last story's connections."""
        with self._app.app_context():
            db.engine.dispose()

    def do(self, event: str, **values: Any) -> str | None:
        """One event in one transaction; what it was refused for, in the model's word, or None."""
        with self._app.app_context():
            choose("write")
            try:
                getattr(self, event)(**values)
                outbox.commit()
            except (WorkflowError, Conflict, Invalid) as error:
                db.session.rollback()
                return WORDS[type(error)]
            finally:
                db.session.remove()
        return None

    # The model's events

    def add(self, person: str, app: str) -> None:
        row, revision = self._form(app)
        grants.add_directly(row, revision, actor=self._person(person), now=clock.now())

    def submit(self, person: str, app: str, seat: str, stale: bool) -> None:
        row, revision = self._form(app)
        if stale:  # the form was drawn under another rule
            revision = db.session.scalars(
                select(PolicyRevision).where(PolicyRevision.app_id == row.id, PolicyRevision.id != revision.id)
            ).first()  # fmt: skip
            if revision is None or not revision.snapshot().approval_required:
                raise Conflict("There is no older form.")
        requests.submit(row, revision, actor=self._person(person), message="Please.", given={SEAT: [seat]},
                        now=clock.now())  # fmt: skip

    def approve(self, person: str, number: int, seen: int, seat: str) -> None:
        self._decide(person, number, seen, Verdict.APPROVED, "", seat)

    def deny(self, person: str, number: int, seen: int, reason: str) -> None:
        self._decide(person, number, seen, Verdict.DENIED, reason, "A")

    def _decide(self, person: str, number: int, seen: int, verdict: Verdict, comment: str, seat: str) -> None:
        case = self._case(number)
        decisions.decide(
            case, actor=self._person(person), verdict=verdict, comment=comment, given={SEAT: [seat]},
            step_id=case.steps[seen].id, proof=SIGNED_IN, now=clock.now(),
        )  # fmt: skip

    def cancel(self, person: str, number: int) -> None:
        requests.cancel(self._case(number), actor=self._person(person), now=clock.now())

    def remind(self, person: str, number: int) -> None:
        requests.remind(self._case(number), actor=self._person(person), now=clock.now())

    def new_code(self, person: str, number: int) -> None:
        case = self._case(number)
        if case.open_step is None or case.is_overdue:
            raise Settled("There is no open step.")
        invitation = db.session.scalars(
            select(Invitation).where(
                Invitation.step_id == case.open_step.id, Invitation.person_id == self.people[person]
            )
        ).first()
        if invitation is None:
            raise NotYourTurn("Nobody asked.")
        approval_codes.mail_new_code(case, invitation, now=clock.now())

    def pass_days(self, days: int) -> None:
        """Time is not waited for: what is written down moves into the past, on this database's own clock."""
        gone = timedelta(days=days)
        for step in db.session.scalars(select(Step).where(Step.due_at.is_not(None))):
            assert step.due_at is not None
            step.due_at -= gone
        for request in db.session.scalars(select(AccessRequest)):
            request.created_at -= gone
            if request.reminded_at is not None:
                request.reminded_at -= gone
        for invitation in db.session.scalars(select(Invitation)):
            invitation.codes_day = ""

    def sweep(self) -> None:
        while expiry.expire_overdue(now=clock.now(), limit=2):
            outbox.commit()

    def deliver_emails(self) -> None:
        """As a worker does, up to the conversation with the mail server, which is somebody else's test."""
        for claim in jobs.drop_obsolete(outbox.claim(10_000)):
            choose("read")
            now = notice_status.statuses([claim.id], claim.lease).get(claim.id)
            db.session.rollback()
            choose("write")
            assert now is not None, "the lease was lost"
            reason = notices.why_obsolete(now)
            assert outbox.mark_obsolete({claim: reason}) if reason else outbox.mark_sent(claim)

    def admin_cancel(self, actor: str, number: int, reason: str) -> None:
        step_in.cancel(self._case(number), actor=self._person(actor), reason=reason, now=clock.now())

    def reassign(self, actor: str, number: int, to: Who, reason: str) -> None:
        step_in.reassign(self._case(number), to=self.approver(to), name=to[1], actor=self._person(actor),
                          reason=reason, now=clock.now())  # fmt: skip

    def extend(self, actor: str, number: int, days: int, reason: str) -> None:
        step_in.extend(self._case(number), days=str(days), actor=self._person(actor), reason=reason, now=clock.now())

    def save_rule(self, actor: str, app: str, rule: dict[str, Any]) -> None:
        apps.save_policy(self._held(app), self.policy(rule), actor=self._person(actor), now=clock.now())

    def approval_off(self, actor: str, app: str, way: str, reason: str) -> None:
        row, person = self._held(app), self._person(actor)
        apps.set_approval_required(row, required=False, actor=person, now=clock.now())
        pending.resolve_pending(row, way, reason=reason, actor=person, now=clock.now())

    def set_owner(self, actor: str, app: str, owner: Who | None) -> None:
        apps.set_owner(self._held(app), owner=self.approver(owner) if owner else None, actor=self._person(actor),
                       now=clock.now())  # fmt: skip

    def archive_app(self, actor: str, app: str) -> None:
        apps.archive(self._held(app), actor=self._person(actor), now=clock.now())

    def restore_app(self, actor: str, app: str) -> None:
        row = self._held(app)
        apps.restore(row, actor=self._person(actor), now=clock.now())
        apps.set_requestable(row, requestable=True, actor=self._person(actor), now=clock.now())

    def archive_group(self, actor: str, group: str) -> None:
        groups.archive(self._group(group), actor=self._person(actor), now=clock.now())

    def add_member(self, actor: str, group: str, person: str) -> None:
        groups.add_member(self._group(group), self._person(person), actor=self._person(actor), now=clock.now())

    def remove_member(self, actor: str, group: str, person: str) -> None:
        groups.remove_member(self._group(group), self._person(person), actor=self._person(actor), now=clock.now())

    def deactivate(self, actor: str, person: str) -> None:
        people.deactivate(self._person(person), actor=self._person(actor), now=clock.now())

    def reactivate(self, actor: str, person: str) -> None:
        people.reactivate(self._person(person), actor=self._person(actor), now=clock.now())

    def set_admin(self, actor: str, person: str, admin: bool) -> None:
        people.set_admin(self._person(person), is_admin=admin, actor=self._person(actor), now=clock.now())

    def remove_grant(self, actor: str, number: int, reason: str) -> None:
        grant = db.session.scalars(select(Grant).order_by(Grant.id).offset(number).limit(1)).one()
        grants.remove(grant, actor=self._person(actor), reason=reason, now=clock.now())

    def grant_access(self, actor: str, person: str, app: str, seat: str, reason: str) -> None:
        wanted, rule = self._form(app)
        grants.give(wanted, rule, person=self._person(person), actor=self._person(actor), given={SEAT: [seat]},
                    reason=reason, now=clock.now())  # fmt: skip

    def remove_all(self, actor: str, person: str, reason: str) -> None:
        someone = self._person(person)
        shown = [key for key, _ in holdings.listed(someone.id)]
        grants.remove_all(someone, shown=shown, actor=self._person(actor), reason=reason, now=clock.now())

    def give_back(self, person: str, number: int) -> None:
        grant = db.session.scalars(select(Grant).order_by(Grant.id).offset(number).limit(1)).one()
        returns.give_back(grant, actor=self._person(person), now=clock.now())

    def _person(self, name: str) -> Person:
        return db.session.get_one(Person, self.people[name])

    def _group(self, name: str) -> Group:
        return db.session.get_one(Group, self.groups[name])

    def _held(self, name: str) -> App:
        return db.session.get_one(App, self.apps[name])

    def _form(self, name: str) -> tuple[App, PolicyRevision]:
        app = self._held(name)
        return app, factories.revision_of(app)

    def _case(self, number: int) -> cases.Case:
        case = cases.load(id=self._ids()[number])
        assert case is not None
        return case

    def _ids(self) -> list[int]:
        return list(db.session.scalars(select(AccessRequest.id).order_by(AccessRequest.id)))

    # How it stands

    def look(self) -> dict[str, Any]:
        """Everything the model knows, read in plain SQL, and beside it what only the database has."""
        with self._app.app_context():
            choose("read")
            try:
                return self._look()
            finally:
                db.session.rollback()
                choose("write")

    def _look(self) -> dict[str, Any]:
        name = self._names
        app_name = {id: one for one, id in self.apps.items()}
        group_name = {id: one for one, id in self.groups.items()}

        def rows(sql: str) -> Any:
            return db.session.connection().exec_driver_sql(sql).mappings().all()

        requests: dict[int, dict[str, Any]] = {
            row["id"]: {"app": app_name[row["app_id"]], "person": name[row["for_person_id"]], "state": row["state"],
                        "seat": json.loads(row["values_json"])[SEAT]["value"], "version": row["version"],
                        "revision": row["policy_revision_id"], "steps": []}
            for row in rows("SELECT * FROM requests ORDER BY id")
        }  # fmt: skip
        numbers = {id: number for number, id in enumerate(requests)}
        now = db.session.scalar(select(db_now()))
        due = {row.id: row.due_at for row in db.session.execute(select(Step.id, Step.due_at))}
        steps: dict[int, dict[str, Any]] = {}
        positions: dict[int, int] = {}
        for row in rows("SELECT * FROM steps ORDER BY request_id, position"):
            who = (("person", name[row["approver_person_id"]]) if row["approver_person_id"]
                   else ("group", group_name[row["approver_group_id"]]))  # fmt: skip
            step = {"approver": who, "state": row["state"], "tier": row["tier"], "asked": {}, "decisions": [],
                    "left": None}  # fmt: skip
            if row["state"] == "open":
                step["left"] = round((due[row["id"]] - now) / timedelta(days=1))
            steps[row["id"]], positions[row["id"]] = step, row["position"]
            requests[row["request_id"]]["steps"].append(step)
        for row in rows("SELECT * FROM invitations"):
            steps[row["step_id"]]["asked"][name[row["person_id"]]] = (bool(row["live"]), row["round"])
        for row in rows("SELECT * FROM decisions ORDER BY id"):
            steps[row["step_id"]]["decisions"].append((name[row["person_id"]], row["verdict"], row["channel"]))
        extras = ("version", "revision")
        return {
            "requests": [{key: one for key, one in row.items() if key not in extras} for row in requests.values()],
            "versions": [row["version"] for row in requests.values()],
            "revisions": [row["revision"] for row in requests.values()],
            "grants": [
                (app_name[row["app_id"]], name[row["person_id"]], numbers.get(row["request_id"]),
                 row["state"] == "active", json.loads(row["values_json"])[SEAT]["value"])
                for row in rows("SELECT * FROM grants ORDER BY id")
            ],
            "mails": sorted(
                (row["kind"], row["role"], name.get(row["person_id"]) or row["address"],
                 numbers.get(row["request_id"], -1), positions.get(row["step_id"], -1), row["round"], row["state"])
                for row in rows("SELECT * FROM notices")
            ),
        }  # fmt: skip

    def expected(self, model: Model) -> dict[str, Any]:
        """How it has to stand, in the form of `look`."""
        return {
            "requests": [
                {
                    "app": one["app"],
                    "person": one["person"],
                    "state": one["state"],
                    "seat": one["seat"],
                    "steps": [
                        {
                            "approver": step["approver"],
                            "state": step["state"],
                            "tier": step["tier"],
                            "asked": step["asked"],
                            "decisions": [step["decision"]] if step["decision"] else [],
                            "left": step["due"] - model.today if step["state"] == "open" else None,
                        }
                        for step in one["steps"]
                    ],
                }
                for one in model.requests
            ],
            "grants": [(one["app"], one["person"], one["request"], one["live"], one["seat"]) for one in model.grants],
            "mails": sorted(
                (one["kind"], one["role"], one["to"], -1 if one["request"] is None else one["request"],
                 -1 if one["step"] is None else one["step"], one["round"], one["state"])
                for one in model.mails
            ),
        }  # fmt: skip

    def check_audit_log(self, *, whole: bool = False) -> None:
        """The record tells how it stands; `whole`: each line is verified, too."""
        with self._app.app_context():
            choose("read")
            try:
                assert invitation_check.find_wrong().wrong == []
                self._record.go_on()
                assert replay.differences(self._record) == []
                if whole:
                    assert audit.verify() == (self._record.seq, None)
            finally:
                db.session.rollback()
                choose("write")
