"""Redis emptied, and Redis down: asking and deciding go on, and every mail goes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from tests.conftest import SQLITE
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.helpers.valkey import start_valkey
from tests.worker.running import RunningWorker, until
from webapp.embedded.broker import Broker
from webapp.extensions import broker, db
from webapp.runtime.broker import connect

Make = Callable[..., RunningWorker]


# The broker is the same beside both databases.
on_one_engine = pytest.mark.parametrize("engine", [SQLITE])


@pytest.fixture
def own_broker(app: Flask, tmp_path: Path) -> Iterator[Broker]:
    """A broker of this test's own behind the app and its workers, to be killed."""
    server = start_valkey(tmp_path)
    before = app.extensions["settings"], app.extensions["broker"]
    app.extensions["settings"] = replace(before[0], redis_url=server.url)
    app.extensions["broker"] = connect(server.url, timeout=0.2)
    yield server
    app.extensions["settings"], app.extensions["broker"] = before
    server.stop()


def listening(server: Broker) -> bool:
    return bool(connect(server.url, timeout=1).smembers("rq:workers:countersign"))


@on_one_engine
def test_an_emptied_broker_loses_nothing(company: Company, smtp: SmtpServer, worker: Make) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    assert broker().llen("rq:queue:countersign") == 1
    broker().flushall()
    worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()
    until(lambda: len(smtp.to("ana@example.com")) == 1)
    broker().flushall()
    factories.decide(made, company.ana)
    broker().flushall()
    until(lambda: len(smtp.to("rita@example.com")) == 1)
    assert len(smtp.mails) == 2


@on_one_engine
def test_mails_go_out_while_the_broker_is_down(
    company: Company, smtp: SmtpServer, worker: Make, own_broker: Broker
) -> None:
    running = worker(COUNTERSIGN_SWEEP_SECONDS="0.3").start()
    until(lambda: listening(own_broker))
    own_broker.kill()
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    until(lambda: len(smtp.to("ana@example.com")) == 1)
    factories.decide(made, company.ana)
    until(lambda: len(smtp.to("rita@example.com")) == 1)
    assert len(smtp.mails) == 2
    assert running.stop() < 4


@on_one_engine
def test_a_worker_that_starts_before_its_broker_is_woken_later(
    company: Company, smtp: SmtpServer, worker: Make, own_broker: Broker
) -> None:
    own_broker.kill()
    running = worker(COUNTERSIGN_SWEEP_SECONDS="600").start()
    own_broker.start()
    until(lambda: listening(own_broker), within=8)
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    until(lambda: len(smtp.mails) == 1, within=5)
    # And once more, when it goes away under a worker that waits.
    own_broker.kill()
    own_broker.start()
    db.session.rollback()
    factories.request(company.otto, factories.app("Benevity", company.ana))
    until(lambda: len(smtp.mails) == 2, within=8)
    assert running.stop() < 4
