"""The viewer of a demo: it takes what our endpoints send, checks it as a receiver has to, and keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

from tests.helpers.factories import Company
from webapp import clock, networks
from webapp.delivery import outbox
from webapp.delivery.out import signing
from webapp.embedded import hookstore
from webapp.extensions import settings
from webapp.models import Endpoint
from webapp.operations import endpoints

BODY = '{"type":"access.given","timestamp":"2026-11-30T08:00:00Z","data":{"app":{"name":"Tableau"}}}'
PATH = networks.VIEWER_PATH


@pytest.fixture
def folder(app: Flask) -> Path:
    hookstore.empty(settings().data / "webhooks")
    return settings().data / "webhooks"


@pytest.fixture
def added(app: Flask, company: Company, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Endpoint, str]]:
    monkeypatch.setattr(networks.Allowed, "refuses", lambda *args, **more: False)
    monkeypatch.setattr(networks, "allowed_for", lambda url: networks.Allowed(sockets={("127.0.0.1", 1)}))

    def add(kind: str = "webhook", query: str = "") -> tuple[Endpoint, str]:
        address = networks.viewer(settings().base_url) + query
        made = endpoints.create(kind=kind, name="Viewer", address=address, actor=company.adam, now=clock.now())
        outbox.commit()
        return made

    return add


def send(app: Flask, secret: str, *, body: str = BODY, id: str = "msg_1", age: int = 0, path: str = PATH) -> int:
    headers = signing.headers([secret], id, body, at=clock.now() - timedelta(seconds=age))
    answer = app.test_client().post(path, data=body, headers=headers, content_type="application/json")
    return answer.status_code


def test_a_signed_call_is_kept_with_what_was_checked(
    app: Flask, added: Callable[..., tuple[Endpoint, str]], folder: Path
) -> None:
    _, secret = added()
    assert send(app, secret) == 200
    assert send(app, secret) == 200
    second, first = hookstore.page(folder).hooks
    assert (first.event, first.message_id, first.secret) == ("access.given", "msg_1", secret[-4:])
    assert (first.seen_before, second.seen_before) == (False, True)
    assert first.seconds is not None and abs(first.seconds) < 5
    assert first.json["data"]["app"]["name"] == "Tableau"
    assert hookstore.find(folder, first.id) == first
    assert hookstore.events(folder) == ["access.given"]


def test_what_is_old_changed_or_signed_by_another_is_refused(
    app: Flask, added: Callable[..., tuple[Endpoint, str]], folder: Path
) -> None:
    _, secret = added()
    assert send(app, signing.make_secret()) == 400
    assert send(app, secret, age=400) == 400
    assert send(app, secret, path=f"{PATH}?other=1") == 400
    headers = signing.headers([secret], "msg_1", BODY, at=clock.now())
    client = app.test_client()
    assert client.post(PATH, data=BODY.replace("Tableau", "Figma"), headers=headers).status_code == 400
    broken = headers | {"webhook-signature": "nonsense"}
    assert client.post(PATH, data=BODY, headers=broken).status_code == 400
    assert client.post(PATH, data=b"\xff\x00", headers=headers).status_code == 400
    assert hookstore.page(folder).hooks == []


def test_a_chat_message_comes_to_its_own_address(
    app: Flask, added: Callable[..., tuple[Endpoint, str]], folder: Path
) -> None:
    added("slack", "?channel=finance")
    # Nothing of it is signed, so that any headers may come.
    for headers in ({}, {"webhook-timestamp": "9" * 400}):
        answer = app.test_client().post(
            f"{PATH}?channel=finance", json={"text": "Rita requests Figma"}, headers=headers
        )
        assert answer.status_code == 200
    for kept in hookstore.page(folder).hooks:
        assert (kept.event, kept.endpoint, kept.seconds) == ("chat", "Viewer", None)


def test_pages_and_old_ones(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hookstore, "KEPT", 5)
    for number in range(7):
        hookstore.store(folder, endpoint="V", event="test" if number % 2 else "other", message_id=f"msg_{number}",
                        headers={}, body=f'{{"number": "n{number}"}}', seconds=0.1, secret="abcd")  # fmt: skip
    newest = hookstore.page(folder, size=2)
    assert [one.message_id for one in newest.hooks] == ["msg_6", "msg_5"] and newest.older and not newest.newer
    older = hookstore.page(folder, size=2, before=newest.hooks[-1].id)
    assert [one.message_id for one in older.hooks] == ["msg_4", "msg_3"] and older.newer
    back = hookstore.page(folder, size=2, after=older.hooks[0].id)
    assert [one.message_id for one in back.hooks] == ["msg_6", "msg_5"]
    assert [one.message_id for one in hookstore.page(folder, event="test").hooks] == ["msg_5", "msg_3"]
    assert [one.message_id for one in hookstore.page(folder, words="N4").hooks] == ["msg_4"]
    assert hookstore.find(folder, "../secret_key") is None and hookstore.empty(folder) == 5
