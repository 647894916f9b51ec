"""Addresses and secrets of endpoints: in no log, recorded when they change, entered again when their key is gone."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from standardwebhooks import Webhook

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.receiver import Receiver
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.keys import KeyRing
from webapp.models import Endpoint
from webapp.operations import endpoints
from webapp.operations.errors import Invalid
from webapp.record import entries
from webapp.record.events import EventKind
from webapp.record.sentences import describe
from webapp.runtime import jsonlog
from webapp.text import sha256

Hook = Callable[..., Endpoint]
Send = Callable[[], None]


def request(company: Company) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))


def test_what_a_lost_key_encrypted_is_entered_again(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = hook(events=["request.submitted"])
    monkeypatch.setitem(app.extensions, "keyring", KeyRing(("another secret key",)))
    choose("write")
    endpoint = db.session.get_one(Endpoint, endpoint.id, populate_existing=True)
    given: dict[str, Any] = {"name": "Service desk", "events": (), "actor": company.adam, "now": clock.now()}
    with pytest.raises(Invalid, match="enter it again"):
        endpoints.change(endpoint, **given)
    endpoints.change(endpoint, **given, address=receiver.url("/again"))
    outbox.commit()
    choose("write")
    _, secret = endpoints.rotate_secret(endpoint, actor=company.adam, now=clock.now())
    outbox.commit()
    request(company)
    send()
    # The secret whose key is gone is valid for two days more, but signs nothing.
    call = receiver.calls[0]
    assert call.path == "/again"
    Webhook(secret).verify(call.body, call.headers, json_parse=False)


@pytest.mark.parametrize("kind", ["webhook", "slack"])
def test_another_receiver_is_recorded_also_where_only_the_secret_part_of_its_address_differs(
    company: Company, hook: Hook, receiver: Receiver, kind: str
) -> None:
    endpoint = hook(kind=kind, address=receiver.url("/services/T1?key=one"))
    given: dict[str, Any] = {"name": "Service desk", "events": (), "actor": company.adam, "now": clock.now()}
    for path, is_told in (("/services/T1?key=one", False), ("/services/T1?key=two", True)):
        before = rows("events")
        endpoints.change(endpoint, **given, address=receiver.url(path))
        outbox.commit()
        assert rows("events") == before + is_told
    (entry,) = entries.latest(entries.Filter(kinds=(EventKind.ENDPOINT_CHANGED,)), limit=9)
    told = describe(entry, entries.names([entry]))
    assert [(one.label, one.after) for one in told.changes] == [("Secret part of the address", "(text changed)")]
    assert sha256(receiver.url("/services/T1?key=two")) not in entry.body


def test_the_address_of_a_channel_is_in_no_log(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    channel = hook(kind="slack", address=receiver.url("/services/T1/B2/secret-of-the-channel"))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    try:
        jsonlog.configure("INFO", stream)
        endpoints.send_test(channel, actor=company.adam, now=clock.now())
        outbox.commit()
        send()
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
    assert receiver.calls and "A delivery was taken." in stream.getvalue()
    assert "secret-of-the-channel" not in stream.getvalue()
