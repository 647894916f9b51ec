"""A receiver on loopback, which the tests may call, and endpoints that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from tests.helpers.factories import Company
from tests.helpers.receiver import Receiver
from webapp import clock, networks, outgoing
from webapp.database.transactions import choose
from webapp.delivery import out_jobs as jobs
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Endpoint
from webapp.networks import Allowed
from webapp.operations import endpoints


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """The refusal of loopback is lifted for its port."""
    made = Receiver()
    ours = {("127.0.0.1", made.port)}
    for module in (networks, outgoing):
        monkeypatch.setattr(module, "allowed_for", lambda url: Allowed(sockets=ours))
    yield made
    made.close()


@pytest.fixture
def hook(app: Flask, company: Company, receiver: Receiver) -> Callable[..., Endpoint]:
    """hook() adds a webhook that leads to the receiver; its secret is in `hook.secrets`."""

    def make(**given: Any) -> Endpoint:
        values: dict[str, Any] = {"kind": "webhook", "name": "Service desk", "address": receiver.url()}
        row, secret = endpoints.create(**{**values, **given}, actor=company.adam, now=clock.now())
        outbox.commit()
        make.secrets[row.id] = secret  # type: ignore[attr-defined]
        return row

    make.secrets = {}  # type: ignore[attr-defined]
    return make


@pytest.fixture
def send(app: Flask) -> Callable[[], None]:
    """Sends what is due now, as the worker would."""

    def drain() -> None:
        db.session.rollback()
        with app.app_context():  # with a session of its own
            choose("write")
            jobs.send_due()

    return drain
