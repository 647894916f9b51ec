"""Long queues, many writers, and long hours: what may grow must not, and one bad mail delays no other."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from math import ceil
from statistics import quantiles
from typing import Any

import psutil
from sqlalchemy import func, insert, select

from tests.chaos import check, people
from tests.chaos.crowd import Crowd
from tests.chaos.people import Caller
from tests.chaos.stack import Stack, Stuck
from tests.helpers import factories
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery.jobs import BATCH
from webapp.extensions import db
from webapp.models import Notice, db_now
from webapp.text import public_id

POISON = ("refused", "later", "cut")
MB = 1024 * 1024


def drain(engine: str, number: int, *, workers: int = 3) -> dict[str, Any]:
    """So many due mails, one in a hundred of them undeliverable, drained by several workers. `behind` says how many
    places at most a mail reached the server later than its turn was."""
    bad: list[str] = []
    with Stack(engine, workers=workers, sweep=2) as stack:
        with stack.app.app_context():
            good = [factories.person(f"Rita{n} Lindqvist").id for n in range(50)]
            poison = [
                factories.person(f"Otto{n} Brandt", email=f"{POISON[n % 3]}-{n}@example.com").id for n in range(15)
            ]
            turns = _due(good, poison, number)
        undeliverable = sum(n % 100 == 50 for n in range(number))
        began = time.monotonic()
        stack.start()
        memory: dict[int, list[int]] = {}

        def drained() -> bool:
            for process in stack.processes()["worker"]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    memory.setdefault(process.pid, []).append(process.memory_info().rss)
            return _sent(stack) >= number - undeliverable

        try:
            stack.until(drained, 120 + number / 10, f"{number} mails are drained")
        except Stuck as stuck:
            bad.append(str(stuck))
        seconds = time.monotonic() - began
        mails = Counter(one["id"] for one in stack.mails())
        twice = sum(count - 1 for count in mails.values())
        if twice:
            bad.append(f"{twice} mails went out twice.")
        if len(mails) != number - undeliverable:
            bad.append(f"{len(mails)} of {number - undeliverable} mails reached the server.")
        behind = max((place - turns[one] for place, one in enumerate(mails)), default=0)
        if behind > 3 * BATCH * workers:
            bad.append(f"A mail was overtaken by {behind} others.")
        if late := _tried_again(stack, poison):
            bad.append(f"{late} mails that nothing was wrong with had to wait for another try.")
        growth = max((max(some) - some[len(some) // 5]) / MB for some in memory.values())
        if number >= 5_000 and growth > 20:
            bad.append(f"A worker's memory grew by {growth:.0f} MB.")
    return {"mails": number, "undeliverable": undeliverable, "seconds": round(seconds, 1),
            "rate": round(len(mails) / seconds, 1), "growth_mb": round(growth, 1), "workers": workers,
            "behind": behind, "violations": bad}  # fmt: skip


def _due(good: list[int], poison: list[int], number: int) -> dict[str, int]:
    """public id → the turn of each mail that can be delivered"""
    choose("write")
    now, turns = clock.now(), {}
    for begin in range(0, number, 1000):
        rows = [
            {
                "public_id": public_id(), "kind": "test", "role": "requester", "created_at": now,
                "person_id": poison[n // 100 % len(poison)] if n % 100 == 50 else good[n % len(good)],
            }
            for n in range(begin, min(begin + 1000, number))
        ]  # fmt: skip
        db.session.execute(insert(Notice).values(due_at=db_now()), rows)
        for row in rows:
            if row["person_id"] not in poison:
                turns[row["public_id"]] = len(turns)
    db.session.commit()
    return turns


def _sent(stack: Stack) -> int:
    with stack.app.app_context():
        choose("read")
        return db.session.scalar(select(func.count()).where(Notice.state == "sent")) or 0


def _tried_again(stack: Stack, poison: list[int]) -> int:
    """Mails to people who can be reached that did not go out at the first try."""
    with stack.app.app_context():
        choose("read")
        late = select(func.count()).where(Notice.person_id.not_in(poison), Notice.tries > 1)
        return db.session.scalar(late) or 0


def writers(seconds: float, *, many: int = 16, seed: int = 0) -> dict[str, Any]:
    """SQLite with so many writers at once, as fast as they can, beside two workers: nobody is told "locked"."""
    bad: list[str] = []
    with Stack("sqlite", web=4, threads=max(1, many // 4)) as stack:
        company = people.found(stack.app, askers=40, apps=70)
        stack.start()
        crowd = Crowd(stack.app, company, stack.port, seed=seed, threads=many)
        crowd.start()
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                crowd.look()
                stack.pause(0.5)
        finally:
            crowd.stop.set()
        stack.until(lambda: not crowd.busy, 60, "everybody has been answered")
        stopped = time.monotonic()
        _settle(stack)
        settled = time.monotonic() - stopped
        if "locked" in stack.log.read_text():
            bad.append("Somebody was told that the database is locked; it is in the log.")
        bad += check.everything(check.load(stack.app), stack.mails(), crowd.history, ends=[], database_gone=[])
        taken = [one.until - one.at for one in crowd.history]
    return {"writers": many, "seconds": seconds, "forms": len(taken), "rate": round(len(taken) / seconds, 1),
            "p99_ms": round(quantiles(taken, n=100)[98] * 1000), "settled_seconds": round(settled),
            "violations": bad}  # fmt: skip


def _settle(stack: Stack) -> None:
    """Waits for as long as fewer and fewer mails are open: so many writers fill the queue faster than it drains."""
    left = _open(stack)
    while left:
        stack.pause(10)
        before, left = left, _open(stack)
        if left >= before:
            return  # what is open now is for the checks to find


def _open(stack: Stack) -> int:
    with stack.app.app_context():
        choose("read")
        return db.session.scalar(select(func.count()).where(Notice.state.in_(("due", "leased")))) or 0


PAGES = ("/", "/catalog", "/catalog?q=app", "/approvals", "/requests", "/account")


def soak(engine: str, seconds: float, *, rate: float = 10, seed: int = 0,
         leg: float = 600) -> Iterator[dict[str, Any]]:  # fmt: skip
    """So many requests a second, for hours: seven in ten look, three write. Says after each leg what it has found;
    memory is always compared with that after the first minutes of this stack."""
    with Stack(engine, sweep=None) as stack:
        company = people.found(stack.app, askers=60, apps=70)
        stack.start()
        crowd = Crowd(stack.app, company, stack.port, seed=seed)
        dice, gate = random.Random(seed), threading.Semaphore(0)
        stop = threading.Event()
        bad: list[str] = []
        taken: list[float] = []

        def live(dice: random.Random) -> None:
            while True:
                gate.acquire()
                if stop.is_set():
                    return
                if dice.random() < 0.7:
                    who = dice.choice([*company.askers, *company.approvers])
                    answer = Caller(stack.port, company.cookies[who.id]).get(dice.choice(PAGES))
                    taken.append(answer.seconds)
                    if answer.status != 200:
                        bad.append(f"A page was answered {answer.status}.")
                else:
                    acts = (crowd._ask, crowd._decide, crowd._cancel, crowd._comment, crowd._add)
                    dice.choices(acts, (4, 4, 1, 2, 1))[0](dice)

        threads = [threading.Thread(target=live, args=(random.Random(dice.random()),), daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        began, sent, seen = time.monotonic(), 0, 0
        early: dict[int, tuple[str, int]] = {}
        ends = [min(leg * (number + 1), seconds) for number in range(ceil(seconds / leg))]
        try:
            for end in ends:
                first = time.monotonic()
                while (gone := time.monotonic() - began) < end:
                    while sent < gone * rate:
                        gate.release()
                        sent += 1
                    crowd.look()
                    stack.tend()
                    if not early and gone > max(60.0, min(seconds / 10, 360.0)):
                        early = memory(stack)
                    time.sleep(0.1)
                pages, wrong, acts = len(taken), len(bad), crowd.history[seen:]
                seen += len(acts)
                yield _leg(
                    time.monotonic() - first,
                    taken[:pages] + [one.until - one.at for one in acts],
                    bad[:wrong] + [f"{one.what} was answered {one.status}: {one.words}" for one in acts if one.unknown],
                    early, memory(stack),
                    rate=rate, judged=end >= 1800,
                )  # fmt: skip
                del taken[:pages], bad[:wrong]
        finally:
            stop.set()
            gate.release(len(threads))


def _leg(seconds: float, taken: list[float], bad: list[str], early: dict[int, tuple[str, int]],
         late: dict[int, tuple[str, int]], *, rate: float, judged: bool) -> dict[str, Any]:  # fmt: skip
    """What is written down of a leg; growth only counts against it when it is `judged`."""
    growth = {name: round((late[pid][1] / early[pid][1] - 1) * 100, 1)
              for pid, (name, _) in early.items() if pid in late}  # fmt: skip
    p95 = quantiles(taken, n=20)[18] * 1000
    if set(early) - set(late):
        bad.append("A process ended and was started again.")
    if judged and (grown := {name: percent for name, percent in growth.items() if percent >= 5}):
        bad.append(f"Memory grew by {grown} %.")
    if len(taken) < 0.9 * rate * seconds:
        # Some of the crowd find nothing to decide or to cancel when it is their turn.
        bad.append(f"There were {len(taken) / seconds:.1f} requests a second in place of {rate:g}.")
    if p95 > 300:
        bad.append(f"p95 is {p95:.0f} ms.")
    return {"seconds": round(seconds), "requests": len(taken), "p95_ms": round(p95, 1), "growth_percent": growth,
            "judged": judged, "violations": bad}  # fmt: skip


def memory(stack: Stack) -> dict[int, tuple[str, int]]:
    """process id → (name, bytes of its own in memory)."""
    found = {}
    for kind, some in stack.processes().items():
        for number, process in enumerate(some):
            with contextlib.suppress(psutil.NoSuchProcess):
                found[process.pid] = (f"{kind} {number + 1}", process.memory_info().rss)
    return found
