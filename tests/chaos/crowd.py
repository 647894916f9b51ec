"""Many people at once over HTTP: they request, decide, cancel, comment and add; each response is kept."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos.people import Answer, Caller, Company, Someone, Thing, cookie, sign_in
from webapp import links
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, PolicyRevision, Step
from webapp.workflow.policy_codec import loads


@dataclass(slots=True)
class Told:
    """One form that somebody sent, and what they were told. `at` and `until` are seconds since 1970."""

    what: str
    who: int
    at: float
    until: float
    status: int
    done: bool
    app: int = 0
    request: str = ""
    step: int = 0
    verdict: str = ""
    person: int = 0
    days: int = 0
    words: str = ""

    @property
    def unknown(self) -> bool:
        """No whole answer, or one that says nothing about whether it was done."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True, slots=True)
class Open:
    """An open step as the crowd sees it."""

    request: str
    step: int
    asker: int
    app: int
    # (person id, invitation's public id, round, key id) of those who are asked.
    asked: tuple[tuple[int, str, int, str], ...]


class Crowd:
    """Threads that go on until `stop` is set. `asked`: how many requests were surely made."""

    def __init__(self, app: Flask, company: Company, port: int, *, seed: int, threads: int = 8) -> None:
        self.app, self.company, self.port = app, company, port
        self.history: list[Told] = []
        self.open: list[Open] = []
        self.gone: set[int] = set()  # leavers who are away, by person id
        self.asked = 0
        self.stop = threading.Event()
        self.pace = 0.0  # seconds between two forms of one thread
        self._by_id = {one.id: one for one in company.everybody}
        self._one = threading.Lock()
        self.threads = [
            threading.Thread(target=self._live, args=(random.Random(f"{seed}:{number}"),), daemon=True)
            for number in range(threads)
        ]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    @property
    def busy(self) -> bool:
        return any(thread.is_alive() for thread in self.threads)

    def _live(self, dice: random.Random) -> None:
        things: list[tuple[float, Callable[[random.Random], None]]] = [
            (0.42, self._ask), (0.40, self._decide), (0.04, self._cancel), (0.05, self._comment), (0.04, self._add),
            (0.05, self._decide_wrongly),
        ]  # fmt: skip
        while not self.stop.is_set():
            (act,) = dice.choices([one for _, one in things], [share for share, _ in things])
            act(dice)
            if self.pace:
                self.stop.wait(self.pace * dice.uniform(0.5, 1.5))

    def look(self) -> None:
        """The open steps as they are now; not while the database is away."""
        try:
            with self.app.app_context():
                choose("read")
                rows = db.session.execute(
                    select(AccessRequest.public_id, Step.id, AccessRequest.for_person_id, AccessRequest.app_id,
                           Invitation.person_id, Invitation.public_id.label("invitation"), Invitation.round,
                           Invitation.key_id)
                    .join(Step, Step.request_id == AccessRequest.id)
                    .join(Invitation, Invitation.step_id == Step.id)
                    .where(AccessRequest.state == "pending", Step.state == "open", Invitation.live)
                    .order_by(Step.id)
                ).all()  # fmt: skip
        except SQLAlchemyError:
            return
        found: dict[int, list[Any]] = {}
        for row in rows:
            found.setdefault(row.id, []).append(row)
        self.open = [
            Open(some[0].public_id, id, some[0].for_person_id, some[0].app_id,
                 tuple((one.person_id, one.invitation, one.round, one.key_id) for one in some))
            for id, some in found.items()
        ]  # fmt: skip

    def send(self, what: str, who: Someone | int, path: str, *, cookie: str = "", form: dict[str, Any] | None = None,
             **known: Any) -> Answer:  # fmt: skip
        """One form, and what was told into the history."""
        id = who if isinstance(who, int) else who.id
        began = time.time()
        answer = Caller(self.port, cookie or self.company.cookies[id]).post(path, **(form or {}))
        told = Told(what, id, began, time.time(), answer.status, answer.done, **known)
        if answer.status >= 500:
            told.words = answer.body[:300]
        if what == "ask" and answer.done:
            told.request = answer.location.rpartition("/")[2]
        self.history.append(told)
        return answer

    def _ask(self, dice: random.Random) -> None:
        who, thing = dice.choice(self.company.askers), dice.choice(self._apps(free=False))
        answer = self.send("ask", who, f"/catalog/{thing.public_id}/request", form={"message": "For my work."},
                           app=thing.id)  # fmt: skip
        if answer.done:
            with self._one:
                self.asked += 1

    def _add(self, dice: random.Random) -> None:
        who, thing = dice.choice(self.company.askers), dice.choice(self._apps(free=True))
        self.send("add", who, f"/catalog/{thing.public_id}/grant", app=thing.id)

    def _apps(self, *, free: bool) -> list[Thing]:
        return [one for one in self.company.apps if one.free is free]

    def _decide(self, dice: random.Random) -> None:
        some = self.open
        if not some:
            return
        # The oldest are the ones that others pick, too.
        step = some[min(int(dice.expovariate(0.15)), len(some) - 1)]
        verdict = "approval" if dice.random() < 0.7 else "denial"
        person, invitation, round, key_id = dice.choice(step.asked)
        form = {"step": str(step.step), "comment": "Yes.", "reason": "No."}
        if dice.random() < 0.4:
            with self.app.app_context():
                token = links.approval_token(invitation, round, key_id)
                form["code"] = links.code(invitation, round, key_id)
                nobody = cookie(self.app)
            self.send("decide", person, f"/decide/{token}/{verdict}", cookie=nobody, form=form, request=step.request,
                      step=step.step, verdict=verdict)  # fmt: skip
        else:
            self.send("decide", person, f"/requests/{step.request}/{verdict}", form=form, request=step.request,
                      step=step.step, verdict=verdict)  # fmt: skip

    def _decide_wrongly(self, dice: random.Random) -> None:
        """Somebody who was not asked, or the requester."""
        if not self.open:
            return
        step = dice.choice(self.open)
        who = dice.choice([step.asker, dice.choice(self.company.askers).id, dice.choice(self.company.approvers).id])
        self.send("decide", who, f"/requests/{step.request}/approval",
                  form={"step": str(step.step)}, request=step.request, step=step.step, verdict="approval")  # fmt: skip

    def _cancel(self, dice: random.Random) -> None:
        if self.open:
            step = dice.choice(self.open)
            self.send("cancel", step.asker, f"/requests/{step.request}/cancellation", request=step.request)

    def _comment(self, dice: random.Random) -> None:
        if self.open:
            step = dice.choice(self.open)
            # The same words again would be one comment.
            self.send("comment", step.asker, f"/requests/{step.request}/comments", request=step.request,
                      form={"comment": f"Is there any news? {dice.random()}"})  # fmt: skip

    # What admins do

    def leave_and_come_back(self, dice: random.Random) -> None:
        """One leaver is deactivated and activated again, with a new session."""
        admin, leaver = dice.choice(self.company.admins), dice.choice(self.company.leavers)
        with self._one:
            if leaver.id in self.gone:
                return
            self.gone.add(leaver.id)
        home = f"/admin/people/{leaver.public_id}"
        self.send("deactivate", admin, f"{home}/deactivation", person=leaver.id)
        time.sleep(dice.uniform(0.1, 0.5))
        for _ in range(20):
            back = self.send("reactivate", admin, f"{home}/reactivation", person=leaver.id)
            if back.done or back.status == 409:
                break
            time.sleep(0.3)
        for _ in range(20):
            try:
                with self.app.app_context():
                    self.company.cookies[leaver.id] = sign_in(self.app, leaver.id)
                break
            except SQLAlchemyError:
                time.sleep(0.5)
        self.gone.discard(leaver.id)

    def change_rule(self, dice: random.Random) -> None:
        """The time limit of an app that somebody waits for."""
        some = self.open
        admin, id = dice.choice(self.company.admins), dice.choice(some).app if some else self.company.apps[0].id
        try:
            with self.app.app_context():
                choose("read")
                app = db.session.get_one(App, id)
                days = loads(db.session.get_one(PolicyRevision, app.policy_revision_id).body).days
                public_id = app.public_id
        except SQLAlchemyError:
            return
        wanted = days % 90 + 1
        form = {"days": str(wanted), "was": json.dumps({"days": str(days)})}
        self.send("rule", admin, f"/admin/apps/{public_id}/time-limit", form=form, app=id, days=wanted)

    def change_group(self, dice: random.Random) -> None:
        """Somebody leaves a group and comes back."""
        admin = dice.choice(self.company.admins)
        group, members = dice.choice(list(self.company.groups.items()))
        person = dice.choice(members)
        home = f"/admin/groups/{group}/members"
        self.send("leave", admin, f"{home}/{person.public_id}/removal", person=person.id)
        for _ in range(20):
            back = self.send("join", admin, home, form={"person": person.public_id}, person=person.id)
            if back.done or back.status == 409:
                return
            time.sleep(0.3)

    def write(self, file: Path) -> None:
        """The history, a line of JSON for each form."""
        file.write_text("".join(json.dumps(asdict(one)) + "\n" for one in list(self.history)))
