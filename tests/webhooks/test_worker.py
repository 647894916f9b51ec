"""The worker of webhooks as a process: it sends at once, and whatever happens to it, nothing is lost."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.conftest import SQLITE
from tests.helpers import changes, factories
from tests.helpers.factories import Company, rows
from tests.helpers.receiver import Received, Receiver, Reply
from tests.worker.conftest import smtp, worker
from tests.worker.running import RunningWorker, until
from webapp import networks
from webapp.extensions import broker, db
from webapp.models import Delivery, Endpoint

__all__ = ["smtp", "worker"]
Hook = Callable[..., Endpoint]
Make = Callable[..., RunningWorker]
OF_A_REQUEST = ["request.submitted", "request.step_opened", "request.step_approved", "request.approved", "access.given"]


# When a process begins to send and when it ends does not depend on the database; what a kill leaves there does.
on_one_engine = pytest.mark.parametrize("engine", [SQLITE])


@pytest.fixture
def running(worker: Make, receiver: Receiver, hook: Hook) -> Callable[..., RunningWorker]:
    """Workers that may call the receiver as if it were the viewer of a demo, which is all that they may call here."""
    base = f"http://127.0.0.1:{receiver.port}"
    hook(address=networks.viewer(base), events=OF_A_REQUEST)

    def start(**environment: str) -> RunningWorker:
        given = {
            "COUNTERSIGN_EMBEDDED": "1",
            "MAIL_SERVER": "",
            "BASE_URL": base,
            "PORT": str(receiver.port),
            "LOG_LEVEL": "INFO",
        }
        return worker(role="webhooks", **given, **environment).start()

    return start


def listening() -> bool:
    return bool(broker().smembers("rq:workers:countersign-webhooks"))


def all_sent() -> bool:
    db.session.rollback()
    return rows("deliveries") > 0 and rows("deliveries", "state <> 'sent'") == 0


@on_one_engine
def test_an_event_leaves_within_a_second(company: Company, receiver: Receiver, running: Make) -> None:
    process = running(COUNTERSIGN_SWEEP_SECONDS="600")
    until(listening)
    taken = []
    for number in range(5):
        app = factories.app(f"App {number}", company.ana)
        began, before = time.monotonic(), len(receiver.calls)
        factories.request(company.rita, app)
        until(lambda before=before: len(receiver.calls) > before)
        taken.append(receiver.calls[before].at - began)
    until(all_sent)
    assert statistics.median(taken) < 1, taken
    assert rows("heartbeats", f"name = 'webhooks@{socket.gethostname()}:{process.pid}'") == 1
    assert process.stop() < 4
    assert process.process is not None and process.process.returncode == 0


def test_killed_while_it_sends_nothing_is_lost(company: Company, receiver: Receiver, running: Make) -> None:
    first = running(COUNTERSIGN_SWEEP_SECONDS="600")
    until(listening)

    def kill(call: Received) -> Reply:
        if len(receiver.calls) == 2 and not first.ended:
            os.kill(first.pid, signal.SIGKILL)
        return 200, {}, b"ok"

    receiver.reply = kill
    made = [factories.request(company.rita, factories.app(f"App {number}", company.ana)) for number in range(3)]
    until(lambda: first.ended)
    for one in made:
        factories.decide(one, company.ana)
    assert not all_sent()
    changes.shift("deliveries", "lease_until", -timedelta(minutes=5), where="lease_until IS NOT NULL")
    running(COUNTERSIGN_SWEEP_SECONDS="0.3")
    until(all_sent)
    ids = set(db.session.scalars(select(Delivery.public_id)))
    assert {call.id.removeprefix("msg_") for call in receiver.calls} == ids
    # Twice comes at most what was being sent when it was killed.
    assert len(receiver.calls) <= len(ids) + 1
    for one in made:
        seen = list(dict.fromkeys(call.id for call in receiver.calls if one.public_id in call.body.decode()))
        assert [event_of(receiver, id) for id in seen] == OF_A_REQUEST


def event_of(receiver: Receiver, id: str) -> str:
    return next(str(call.json["type"]) for call in receiver.calls if call.id == id)


@on_one_engine
def test_sigterm_ends_it_while_a_receiver_hangs(company: Company, receiver: Receiver, running: Make) -> None:
    process = running(COUNTERSIGN_SWEEP_SECONDS="600")
    until(listening)
    free = threading.Event()
    receiver.reply = lambda call: (200 if free.wait(20) else 504, {}, b"")
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    until(lambda: len(receiver.calls) == 1)
    assert process.stop() < 4
    free.set()
    changes.shift("deliveries", "lease_until", -timedelta(minutes=5), where="lease_until IS NOT NULL")
    running(COUNTERSIGN_SWEEP_SECONDS="0.3")
    until(all_sent)


@on_one_engine
def test_without_a_broker_the_look_finds_it(company: Company, receiver: Receiver, running: Make) -> None:
    running(COUNTERSIGN_SWEEP_SECONDS="0.3", REDIS_URL="redis://127.0.0.1:1/0")
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    until(all_sent)
    assert receiver.events == ["request.submitted", "request.step_opened"]


@pytest.mark.slow
def test_two_workers_that_are_killed_again_and_again(company: Company, receiver: Receiver, running: Make) -> None:
    """None is lost, the order holds, and twice comes at most what was under way at a kill."""
    count, kills = 12, 0
    workers = [running(COUNTERSIGN_SWEEP_SECONDS="0.3") for _ in range(2)]
    made = [factories.request(company.rita, factories.app(f"App {number}", company.ana)) for number in range(count)]
    for number, one in enumerate(made):
        factories.decide(one, company.ana)
        if number % 3 == 2:
            workers[kills % 2].kill()
            kills += 1
            workers[(kills - 1) % 2].start()
            changes.shift("deliveries", "lease_until", -timedelta(minutes=5), where="lease_until IS NOT NULL")
    give_up = time.monotonic() + 60
    while not all_sent():
        assert time.monotonic() < give_up
        changes.shift("deliveries", "lease_until", -timedelta(seconds=20), where="lease_until IS NOT NULL")
        time.sleep(0.2)
    ids = [call.id for call in receiver.calls]
    assert len(set(ids)) == rows("deliveries") == count * len(OF_A_REQUEST)
    # A lease that we end early may send what its holder is sending, too.
    assert len(ids) - len(set(ids)) <= 3 * kills
    for one in made:
        mine = [call for call in receiver.calls if one.public_id in call.body.decode()]
        assert [event_of(receiver, id) for id in dict.fromkeys(call.id for call in mine)] == OF_A_REQUEST
