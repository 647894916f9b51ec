"""Races over HTTP against gunicorn: several people act on one request at the same moment.

Exactly one winner among what ends a request; every other pair ends as one of its serial orders would; losers get 409
(who was deactivated meanwhile: the way to the sign-in page, or 403 or 404) and the present state; nobody gets a 5xx.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from itertools import combinations_with_replacement
from typing import Any

from flask import Flask
from sqlalchemy import select, update

from tests.chaos import check
from tests.chaos.people import Answer, Caller, sign_in
from tests.chaos.stack import Stack
from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Invitation, Person, PolicyRevision, Step
from webapp.operations import expiry
from webapp.workflow.policy_codec import loads

EVENTS = ("approve", "deny", "cancel", "expire", "rule", "deactivate")
ENDS = ("approve", "deny", "cancel", "expire")
STATES = {"approve": "approved", "deny": "denied", "cancel": "cancelled", "expire": "expired"}
# What a loser's page says about how it stands now.
NOW = ("approved", "denied", "expired", "cancelled", "deadline", "this request has changed")


class Races:
    """One stack for all of them; `bad` are sentences about what went wrong."""

    def __init__(self, engine: str, seed: int, say: Callable[[str], None]) -> None:
        self.engine, self.say = engine, say
        self.dice = random.Random(seed)
        self.bad: list[str] = []
        self.done: Counter[str] = Counter()

    def run(self, *, deciders: list[tuple[int, int]], pairs: int) -> None:
        """`deciders`: (how many at once, trials); `pairs`: trials of each pair."""
        with self.stack_for(threads=8):
            for many, trials in deciders:
                self._one_step(many, trials)
            if pairs:
                self._pairs(pairs)

    @contextmanager
    def stack_for(self, *, threads: int) -> Iterator[None]:
        """A stack for what races inside; looks at all that is in its tables afterwards."""
        # Nobody is there to send mails or to expire anything but the race itself.
        with Stack(self.engine, workers=0, threads=threads) as self.stack:
            self.app = self.stack.app
            self.stack.start()
            yield
            # Grants, steps, those who were asked and the record of all that happened in them.
            self.bad += check.tables(check.load(self.app))

    def callers(self, cookies: list[str]) -> list[Caller]:
        """People with these sessions, each with a connection that is kept."""
        return [Caller(self.stack.port, cookie, keep=True) for cookie in cookies]

    # So many deciders on one step

    def _one_step(self, many: int, trials: int) -> None:
        with self.app.app_context():
            deciders = [factories.person(f"Decider{many}x{n} Tan") for n in range(many)]
            group = factories.group(f"Group of {many}", *deciders)
            wanted = factories.app(f"App for {many}", group)
            cookies = [sign_in(self.app, one.id) for one in deciders]
            ids, app_id = [one.id for one in deciders], wanted.id
        callers = self.callers(cookies)
        crew = Crew(many)
        try:
            for trial in range(trials):
                with self.app.app_context():
                    public_id, request_id = self._ask(app_id, f"{many}x{trial}")
                paths = [f"/requests/{public_id}/{'approval' if n % 2 else 'denial'}" for n in range(many)]
                answers = crew.at_once(
                    [partial(caller.post, path, reason="No.") for caller, path in zip(callers, paths, strict=True)]
                )
                self._one_winner(f"{many} deciders, trial {trial}", answers, request_id, ids)
                self.done[f"{many} deciders"] += 1
                self.stack.tend()
        finally:
            crew.end()
            for caller in callers:
                caller.close()

    def _one_winner(self, where: str, answers: list[Answer], request_id: int, people: list[int]) -> None:
        won = [n for n, answer in enumerate(answers) if answer.done]
        if len(won) != 1:
            self.bad.append(f"{where}: {len(won)} were told that they decided ({[one.status for one in answers]}).")
        for answer in answers:
            if not answer.done:
                self._check_loser(where, answer)
        with self.app.app_context():
            choose("read")
            row = db.session.get_one(AccessRequest, request_id)
            decisions = db.session.execute(
                select(Decision.person_id, Decision.verdict).join(Step).where(Step.request_id == request_id)
            ).all()
            state = row.state
        if won and [tuple(one) for one in decisions] != [(people[won[0]], state)]:
            self.bad.append(f"{where}: it is {state}, decided {decisions}, and {people[won[0]]} was told so.")

    def _check_loser(self, where: str, answer: Answer) -> None:
        if answer.status != 409:
            self.bad.append(f"{where}: a loser was answered {answer.status}.")
        elif not any(word in answer.body.lower() for word in NOW):
            self.bad.append(f"{where}: a loser was not told how it stands.")

    def _ask(self, app_id: int, name: str) -> tuple[str, int]:
        """A new person's request; inside an app context."""
        asker = factories.person(f"Asker{name} Lind", email=f"asker{name.lower()}@example.com")
        made = factories.request(asker, db.session.get_one(App, app_id))
        return made.public_id, made.id

    # All pairs

    def _pairs(self, trials: int) -> None:
        with self.app.app_context():
            admins = [factories.person(f"Admin{n} Weiss", admin=True) for n in range(2)]
            owner = factories.person("Owen Owner")
            cookies = [sign_in(self.app, one.id) for one in admins]
            self._owner, admin_ids = owner.id, [one.id for one in admins]
        self._admins = [Caller(self.stack.port, cookie) for cookie in cookies]
        signed_in_at = time.monotonic()
        crew = Crew(2)
        try:
            for pair in combinations_with_replacement(EVENTS, 2):
                for trial in range(trials):
                    if time.monotonic() - signed_in_at > 600:
                        # Changing rules and people needs a password given in the last quarter of an hour.
                        with self.app.app_context():
                            self._admins = [Caller(self.stack.port, sign_in(self.app, id)) for id in admin_ids]
                        signed_in_at = time.monotonic()
                    self._pair(crew, pair, f"{'-'.join(pair)}-{trial}")
                    self.done["pairs"] += 1
                    self.stack.tend()
                self.say(f"{self.engine}: {pair[0]} and {pair[1]}, {trials} times, {len(self.bad)} violations so far.")
        finally:
            crew.end()

    def _pair(self, crew: Crew, pair: tuple[str, str], name: str) -> None:
        with self.app.app_context():
            trial = self._prepare(name, overdue_soon="expire" in pair)
        acts = [self._act(trial, event, place) for place, event in enumerate(pair)]
        answers = crew.at_once(acts)
        self._judge(trial, pair, answers, name)

    def _prepare(self, name: str, *, overdue_soon: bool) -> Trial:
        approver = factories.person(f"Approver{name} Tan", email=f"approver-{name.lower()}@example.com")
        wanted = factories.app(f"App {name}", approver, owner=db.session.get_one(Person, self._owner))
        public_id, request_id = self._ask(wanted.id, name)
        asker = db.session.get_one(AccessRequest, request_id).for_person_id
        trial = Trial(
            request=public_id, id=request_id, app=wanted.public_id, app_id=wanted.id,
            revision=wanted.policy_revision_id or 0, approver=approver.id, approver_public=approver.public_id,
            approver_cookie=sign_in(self.app, approver.id), asker_cookie=sign_in(self.app, asker),
        )  # fmt: skip
        if overdue_soon:
            # Due so soon that the decision and the sweep may both think it is theirs.
            choose("write")
            db.session.execute(
                update(Step)
                .where(Step.request_id == request_id)
                .values(due_at=clock.now() + timedelta(milliseconds=self.dice.randrange(2, 30))),
                execution_options={"synchronize_session": False},
            )
            db.session.commit()
        return trial

    def _act(self, trial: Trial, event: str, place: int) -> Callable[[], Answer]:
        port, admin = self.stack.port, self._admins[place]
        if event in ("approve", "deny"):
            verdict = "approval" if event == "approve" else "denial"
            caller = Caller(port, trial.approver_cookie)
            return lambda: caller.post(f"/requests/{trial.request}/{verdict}", reason="No.")
        if event == "cancel":
            asker = Caller(port, trial.asker_cookie)
            return lambda: asker.post(f"/requests/{trial.request}/cancellation")
        if event == "rule":
            form = {"days": str(10 + place), "was": json.dumps({"days": "3"})}
            return lambda: admin.post(f"/admin/apps/{trial.app}/time-limit", **form)
        if event == "deactivate":
            return lambda: admin.post(f"/admin/people/{trial.approver_public}/deactivation")
        return lambda: expire(self.app, trial.id)

    def _judge(self, trial: Trial, pair: tuple[str, str], answers: list[Answer], where: str) -> None:
        for event, answer in zip(pair, answers, strict=True):
            if answer.status >= 500 or answer.status == 0:
                self.bad.append(f"{where}: {event} was answered {answer.status}. {answer.body[:200]}")
        if "expire" in pair and not any(one.done for one in answers):
            # The sweep looked a moment too early and the decision a moment too late: the next sweep ends it.
            time.sleep(0.02)
            answers = [*answers, expire(self.app, trial.id)]
            pair = (*pair, "expire")  # type: ignore[assignment]
        with self.app.app_context():
            choose("read")
            found = self._found(trial)
        won = [event for event, answer in zip(pair, answers, strict=True) if event in ENDS and answer.done]
        if len(won) > 1:
            self.bad.append(f"{where}: {won} were both told that they ended it.")
        expected = STATES[won[0]] if won else "pending"
        if found.state != expected:
            self.bad.append(f"{where}: it is {found.state}, and those who ended it were {won}.")
        if found.frozen != trial.revision:
            self.bad.append(f"{where}: the request is under another rule now.")
        for event, answer in zip(pair, answers, strict=True):
            if answer.done or event == "expire":
                continue
            if event in ("approve", "deny") and "deactivate" in pair and answer.status in (303, 403, 404, 409):
                continue
            self._check_loser_of(where, event, answer)
        if "rule" in pair:
            told = [n for n, (event, answer) in enumerate(zip(pair, answers, strict=True))
                    if event == "rule" and answer.done]  # fmt: skip
            if len(told) != 1 or found.days != 10 + told[0]:
                self.bad.append(f"{where}: {len(told)} rules were saved, and the time limit is {found.days} days.")
        if "deactivate" in pair:
            gone = sum(event == "deactivate" and answer.done for event, answer in zip(pair, answers, strict=True))
            if gone != 1 or found.active:
                self.bad.append(f"{where}: {gone} were told that they deactivated, active: {found.active}.")
            if found.state == "pending" and found.live != [self._owner]:
                self.bad.append(f"{where}: it waits for {found.live} and not for the owner.")
            if found.state != "pending" and found.live:
                self.bad.append(f"{where}: it is {found.state} and waits for {found.live}.")

    def _check_loser_of(self, where: str, event: str, answer: Answer) -> None:
        if event in ENDS:
            self._check_loser(f"{where} ({event})", answer)
        elif answer.status != 409:
            self.bad.append(f"{where}: {event} lost and was answered {answer.status}.")

    def _found(self, trial: Trial) -> Found:
        row = db.session.get_one(AccessRequest, trial.id)
        revision = db.session.get_one(PolicyRevision, db.session.get_one(App, trial.app_id).policy_revision_id)
        live = db.session.scalars(
            select(Invitation.person_id).join(Step).where(Step.request_id == trial.id, Invitation.live)
        ).all()
        return Found(
            row.state, row.policy_revision_id, loads(revision.body).days,
            db.session.get_one(Person, trial.approver).active, list(live),
        )  # fmt: skip


@dataclass(frozen=True)
class Trial:
    request: str
    id: int
    app: str
    app_id: int
    revision: int
    approver: int
    approver_public: str
    approver_cookie: str
    asker_cookie: str


@dataclass(frozen=True)
class Found:
    state: str
    frozen: int
    days: int
    active: bool
    live: list[int]


def expire(app: Flask, request_id: int) -> Answer:
    """What a worker's sweep does. 200: it ended this request."""
    with app.app_context():
        choose("write")
        expiry.expire_overdue(now=clock.now())
        mine = any(getattr(one, "request", None) == request_id for one in db.session().info.get("uncommitted", []))
        outbox.commit()
        return Answer(200 if mine else 409)


class Crew:
    """Threads that are there already when it begins, so that they begin together."""

    def __init__(self, many: int) -> None:
        self._acts: list[Callable[[], Answer]] = []
        self._answers: list[Any] = [None] * many
        self._go, self._done = threading.Barrier(many + 1), threading.Barrier(many + 1)
        self._ended = False
        self._threads = [threading.Thread(target=self._work, args=(n,), daemon=True) for n in range(many)]
        for thread in self._threads:
            thread.start()

    def at_once(self, acts: list[Callable[[], Answer]]) -> list[Answer]:
        self._acts = acts
        self._go.wait(60)
        self._done.wait(60)
        for answer in self._answers:
            if isinstance(answer, BaseException):
                raise answer
        return list(self._answers)

    def end(self) -> None:
        self._ended = True
        self._go.abort()
        for thread in self._threads:
            thread.join(10)

    def _work(self, place: int) -> None:
        while not self._ended:
            try:
                self._go.wait()
                try:
                    self._answers[place] = self._acts[place]()
                except Exception as error:
                    self._answers[place] = error
                self._done.wait()
            except threading.BrokenBarrierError:
                return
