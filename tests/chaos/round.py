"""One round: a company, a crowd, faults in an order that the seed decides, then rest, then the checks."""

from __future__ import annotations

import contextlib
import random
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from tests.chaos import check, check_webhooks, people
from tests.chaos.crowd import Crowd
from tests.chaos.plan import RECEIVER_FAULTS, SMTP_FAULTS, SOME_EVENTS, WHERE, Plan, Report
from tests.chaos.schema_shape import shape
from tests.chaos.stack import Stack, Stuck
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.delivery.out import deliveries
from webapp.encryption import encrypt
from webapp.extensions import db
from webapp.models import Delivery, MailStop, Notice, Step, db_now
from webapp.operations import endpoints
from webapp.workflow.actor import SYSTEM

POINT_WITHIN = 60.0
CATCH_UP_WITHIN = 60.0
UPGRADE_WITHIN = 300.0


class Round:
    def __init__(self, engine: str, seed: int, plan: Plan, say: Callable[[str], None]) -> None:
        self.plan, self.say = plan, say
        self.dice = random.Random(seed)
        self.report = Report(seed, engine)
        self.ends: list[check.End] = []
        self._admins: list[threading.Thread] = []
        self._upgraded = 0
        self._shape: Any = None

    def run(self, keep: Path) -> Report:
        """The whole round; what is needed to look at a violation is kept in `keep`."""
        began = time.monotonic()
        report, plan = self.report, self.plan
        with Stack(report.engine, seed=report.seed, sweep=plan.sweep, webhooks=2) as self.stack:
            self._time("stack", began)
            self.company = people.found(self.stack.app, askers=plan.askers, apps=plan.apps)
            self.hooks = [self._hook("everything"), self._hook("some", SOME_EVENTS)]
            self._time("company", began)
            self.stack.start()
            self._time("start", began)
            self.crowd = Crowd(self.stack.app, self.company, self.stack.port, seed=report.seed)
            self.give_up = time.monotonic() + plan.longest
            self.crowd.start()
            try:
                self._faults()
            finally:
                self.crowd.stop.set()
            self._time("faults", began)
            self._come_to_rest()
            self._time("rest", began)
            report.seconds = time.monotonic() - began
            self._check()
            if report.violations:
                self._keep(keep)
        return report

    def _time(self, part: str, began: float) -> None:
        done = sum(self.report.timing.values())
        self.report.timing[part] = round(time.monotonic() - began - done, 1)

    # Faults

    def _faults(self) -> None:
        plan = self.plan
        todo: list[Callable[[], None]] = [
            (lambda point=point: self._point(point))
            for point in WHERE
            for _ in range(plan.kills_at_points)  # type: ignore[misc]
        ]
        todo += [self._random_kill] * plan.random_kills
        todo += [lambda seconds=seconds: self._redis_down(seconds) for seconds in plan.redis_down]  # type: ignore[misc]
        todo += [self._flush] * 2
        todo += [self._smtp] * plan.smtp_faults
        todo += [self._receiver] * plan.receiver_faults
        if self.report.engine == "postgresql":
            todo += [self._database_crash] * plan.database_crashes
        self.dice.shuffle(todo)
        self._wait(1.0)
        for number, act in enumerate(todo):
            if time.monotonic() > self.give_up:
                self.report.faults["not in time"] += len(todo) - number
                break
            # As slow as it has to be for the last fault to meet the last requests.
            ahead = self.crowd.asked > number / len(todo) * plan.requests + 10
            self.crowd.pace = min(5.0, self.crowd.pace + 0.2) if ahead else max(0.0, self.crowd.pace - 0.5)
            act()
            if self.dice.random() < 0.15:
                self._aside(self.crowd.change_group)
            if self.dice.random() < 0.15:
                self._make_overdue(1)
            self._wait(self.plan.quiet * self.dice.uniform(0.5, 1.5))
        self.crowd.pace = 0.0
        self.stack.smtp_faults()
        self.stack.receiver_faults()
        while self.crowd.asked < plan.requests and time.monotonic() < self.give_up:
            self._wait(0.3)

    def _wait(self, seconds: float, question: Callable[[], Any] | None = None) -> Any:
        """Lets the crowd go on; ends early when the question is answered."""
        until = time.monotonic() + seconds
        look_at = 0.0
        while time.monotonic() < until:
            self.stack.tend()
            if time.monotonic() > look_at:
                self.crowd.look()
                look_at = time.monotonic() + 0.3
            if question is not None and (answer := question()):
                return answer
            time.sleep(0.02)
        return None

    def _aside(self, act: Callable[[random.Random], None]) -> None:
        """An admin does it, in a thread of their own."""
        thread = threading.Thread(target=act, args=(random.Random(self.dice.random()),), daemon=True)
        thread.start()
        self._admins.append(thread)

    def _point(self, point: str) -> None:
        if point == "migration.in-upgrade":
            self._upgrade_killed()
            return
        before = len(self.stack.killed(point))
        often = point.startswith(("commit", "wake", "audit", "mail", "webhook"))
        kind = "web" if WHERE[point] == "web" else "worker"
        self.stack.arm(point, self.dice.randint(1, self.plan.passings) if often else 1, kind)
        until = time.monotonic() + POINT_WITHIN
        while time.monotonic() < until:
            if point == "expiry.in-batch":
                self._make_overdue(3)
            elif point == "person.in-deactivation":
                self._aside(self.crowd.leave_and_come_back)
            elif point == "policy.in-save":
                self._aside(self.crowd.change_rule)
            if self._wait(3.0, lambda: len(self.stack.killed(point)) > before):
                self._note_kill_at(point)
                return
        self.stack.disarm(point)
        if len(self.stack.killed(point)) > before:
            self._note_kill_at(point)
        else:
            self.report.faults[f"{point} not reached"] += 1

    def _note_kill_at(self, point: str) -> None:
        # Whoever dies renames the file, which its ctime tells.
        newest = max(file.stat().st_ctime for file in self.stack.killed(point))
        self.ends.append(check.End(newest, WHERE[point], point))
        self.report.points[point] += 1

    def _random_kill(self) -> None:
        kinds = ["worker", "webhooks", "web", "master", "broker"]
        kind = self.dice.choices(kinds, (30, 20, 30, 12, 8))[0]
        if kind == "broker":
            self.stack.broker_down()
            self._wait(self.dice.uniform(0.1, 1.5))
            self.stack.broker_up()
        else:
            some = self.stack.processes()[kind]
            if not some:
                self._wait(0.3)
                some = self.stack.processes()[kind]
            if not some:
                return
            process = self.dice.choice(some)
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
                self.ends.append(check.End(time.time(), kind))
        self.report.kills[kind] += 1

    def _redis_down(self, seconds: float) -> None:
        """Down for so long, and then: how long until all that was due is settled. Nothing else is killed meanwhile."""
        self.stack.smtp_faults()
        self.stack.broker_down()
        self._wait(seconds)
        self.stack.broker_up()
        self.report.faults["redis down"] += 1
        back, began = time.time(), time.monotonic()
        if self._wait(CATCH_UP_WITHIN, lambda: self._settled_since(back)) is None:
            self.report.violations.append(f"Not caught up {CATCH_UP_WITHIN:g} s after Redis was back.")
        self.report.catch_up = max(self.report.catch_up, time.monotonic() - began)

    def _settled_since(self, back: float) -> bool:
        """Whether everything that was due when the broker came back is sent, and what was overdue has ended; what a
        dead worker holds has its lease."""
        try:
            with self.stack.app.app_context():
                choose("read")
                oldest = db.session.scalars(
                    select(func.min(Notice.due_at)).where(Notice.state == "due").union_all(
                        select(func.min(Step.due_at)).where(Step.state == "open"))
                ).all()  # fmt: skip
        except SQLAlchemyError:
            return False
        return all(one is None or one.timestamp() > back for one in oldest)

    def _flush(self) -> None:
        self.stack.flush_broker()
        self.report.faults["redis emptied"] += 1

    def _smtp(self) -> None:
        faults = self.dice.choice(SMTP_FAULTS)
        self.stack.smtp_faults(**faults)
        self.report.faults["smtp " + "+".join(faults)] += 1
        self._wait(self.dice.uniform(1, 3))
        if self.dice.random() < 0.7:
            self.stack.smtp_faults()

    def _receiver(self) -> None:
        faults = self.dice.choice(RECEIVER_FAULTS)
        self.stack.receiver_faults(**faults)
        self.report.faults["receiver " + "+".join(faults)] += 1
        self._wait(self.dice.uniform(1, 3))
        self.stack.receiver_faults()

    def _hook(self, to: str, events: tuple[str, ...] | None = None) -> check_webhooks.Hook:
        """A webhook that leads to the receiver. An address on loopback is refused, so it is put in afterwards."""
        with self.stack.app.app_context():
            choose("write")
            row, secret = endpoints.create(
                kind="webhook", name=to, address="https://receiver.example.com/in", events=events or (),
                actor=SYSTEM, now=clock.now(),
            )  # fmt: skip
            row.address = encrypt(self.stack.receiver(to))
            outbox.commit()
            return check_webhooks.Hook(row.id, to, secret, events)

    def _database_crash(self) -> None:
        self.stack.database_down()
        self._wait(self.dice.uniform(0.1, 2.0))
        self.stack.database_up()
        self.report.faults["database crashed"] += 1

    def _make_overdue(self, number: int) -> None:
        """The time of some open steps is over."""
        some = [one.step for one in self.dice.sample(self.crowd.open, min(number, len(self.crowd.open)))]
        with contextlib.suppress(SQLAlchemyError), self.stack.app.app_context():
            choose("write")
            db.session.execute(
                update(Step).where(Step.id.in_(some), Step.state == "open").values(due_at=db_now(-1)),
                execution_options={"synchronize_session": False},
            )
            db.session.commit()

    def _upgrade_killed(self) -> None:
        """An upgrade of an empty database is killed at a step of it, and run again: the same tables as ever."""
        self._upgraded += 1
        points = self.stack.folder / f"points-{self._upgraded}"
        points.mkdir()
        database = self.stack.database(f"upgrade_{self._upgraded}")
        steps = len(list((Path(__file__).parents[2] / "migrations" / "versions").glob("0*.py")))
        (points / "migration.in-upgrade").write_text(str(self.dice.randint(1, steps)))
        for expected in (-9, 0):
            process = self.stack.run_command("upgrade", database=database, points=points)
            self._wait(UPGRADE_WITHIN, lambda process=process: process.poll() is not None)  # type: ignore[misc]
            if (code := process.poll()) != expected:
                process.kill()
                process.wait()
                self.report.violations.append(f"An upgrade ended with {code} in place of {expected} (None: never).")
                return
        made = shape(database)
        with self.stack.app.app_context():
            own = str(db.engine.url.render_as_string(hide_password=False))
        self._shape = self._shape or shape(own)
        if made != self._shape:
            self.report.violations.append("An upgrade that was killed and run again made other tables.")
        self.report.points["migration.in-upgrade"] += 1

    # Rest

    def _come_to_rest(self) -> None:
        """Nothing is killed any more; what waits for a retry or for a dead worker's lease is due now."""
        stack = self.stack
        stack.smtp_faults()
        stack.receiver_faults()
        for point in WHERE:
            stack.disarm(point)
        self._wait(40, lambda: not self.crowd.busy and not any(one.is_alive() for one in self._admins))
        for thread in self._admins:
            thread.join(30)
        for _ in range(12):
            stack.without_workers(self._move_time)
            try:
                stack.until(lambda: self._count("due", now=True) == 0, 60, "all due mails are settled")
                stack.until(lambda: self._count("leased") == 0, 30, "no mail is being sent")
                stack.until(self._webhooks_rest, 60, "all webhooks that can be sent are sent")
            except Stuck as stuck:
                self.report.violations.append(str(stuck))
                return
            if self._count("due") == 0 and self._deliveries("due") == 0:
                return
        self.report.violations.append(
            f"{self._count('due')} mails and {self._deliveries('due')} deliveries are due for ever."
        )

    def _move_time(self) -> None:
        """While there is no worker: whoever held a lease is dead, and whatever waits has waited."""
        for _ in range(20):
            with contextlib.suppress(SQLAlchemyError), self.stack.app.app_context():
                choose("write")
                for table in (Notice, Delivery):
                    for state, column in (("leased", "lease_until"), ("due", "due_at")):
                        db.session.execute(
                            update(table).where(table.state == state).values({column: db_now(-1)}),
                            execution_options={"synchronize_session": False},
                        )
                db.session.execute(update(MailStop).values(next_try_at=db_now(-1)))
                db.session.commit()
                return
            time.sleep(0.5)

    def _count(self, state: str, *, now: bool = False) -> int:
        with self.stack.app.app_context():
            choose("read")
            query = select(func.count()).where(Notice.state == state)
            return db.session.scalar(query.where(Notice.due_at <= db_now()) if now else query) or 0

    def _deliveries(self, state: str) -> int:
        with self.stack.app.app_context():
            choose("read")
            return db.session.scalar(select(func.count()).where(Delivery.state == state)) or 0

    def _webhooks_rest(self) -> bool:
        """Nothing is being sent, and what is due waits for a later attempt, or for the delivery before it."""
        with self.stack.app.app_context():
            choose("read")
            return not deliveries.ready_endpoints() and self._deliveries("leased") == 0

    def _check(self) -> None:
        report, mails = self.report, self.stack.mails()
        state = check.load(self.stack.app)
        end = time.time()
        gone = [(float(one[0] or 0), float(one[1] or end)) for one in self.stack.outages["database"]]
        report.violations += check.everything(state, mails, self.crowd.history, ends=self.ends, database_gone=gone)
        calls = [check_webhooks.Call(**one) for one in self.stack.calls()]
        report.violations += check_webhooks.deliveries(state, self.hooks, calls, ends=self.ends, database_gone=gone)
        report.calls, report.calls_twice = len(calls), len(calls) - len({one.id for one in calls})
        report.call_median = check_webhooks.median(state, calls)
        report.requests, report.decisions = len(state.requests), len(state.decisions)
        report.forms = len(self.crowd.history)
        report.unknown = sum(one.unknown for one in self.crowd.history)
        report.mails = len(mails)
        report.doubles = len(mails) - len({one["id"] for one in mails})

    def _keep(self, folder: Path) -> None:
        """All that a violation can be looked at with."""
        folder = folder / f"{self.report.engine}-{self.report.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        self.crowd.write(folder / "history.jsonl")
        (folder / "violations").write_text("\n".join(self.report.violations))
        (folder / "ends").write_text(f"{self.ends}\n{self.stack.outages}\n")
        for file in (self.stack.log, *self.stack.folder.glob("*/record.jsonl"), *self.stack.folder.glob("chaos.db*")):
            with contextlib.suppress(FileNotFoundError):
                shutil.copy(file, folder / "-".join(file.relative_to(self.stack.folder).parts))
        self.say(f"What is needed to look at it is in {folder}.")


def rounds(seed: int) -> Iterator[int]:
    """The seeds of the rounds of one run."""
    dice = random.Random(seed)
    while True:
        yield dice.randrange(1, 1_000_000)
