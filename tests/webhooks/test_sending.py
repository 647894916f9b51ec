"""How deliveries are sent: signed, in order, again after a failure; at least once, and never lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from standardwebhooks import Webhook, WebhookVerificationError

from tests.helpers import changes, factories
from tests.helpers.factories import Company, rows
from tests.helpers.receiver import Received, Receiver
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import out_jobs as jobs
from webapp.delivery import outbox
from webapp.delivery.out import deliveries
from webapp.delivery.out.deliveries import DELAYS, TRIES
from webapp.extensions import db
from webapp.keys import KeyRing
from webapp.models import AccessRequest, Delivery, DeliveryTry, Endpoint, EndpointSecret
from webapp.operations import endpoints
from webapp.operations.errors import Conflict

Hook = Callable[..., Endpoint]
Send = Callable[[], None]


def state(**where: Any) -> list[str]:
    db.session.rollback()
    found = list(db.session.scalars(select(Delivery.state).filter_by(**where).order_by(Delivery.id)))
    db.session.rollback()
    return found


def fresh(endpoint: Endpoint) -> Endpoint:
    db.session.rollback()
    return db.session.get_one(Endpoint, endpoint.id, populate_existing=True)


def due_now() -> None:
    """The time of every next attempt has come."""
    choose("write")
    db.session.execute(
        update(Delivery).where(Delivery.state == "due").values(due_at=clock.now() - timedelta(seconds=1))
    )
    db.session.commit()


def request(company: Company, name: str = "Salesforce") -> AccessRequest:
    return factories.request(company.rita, factories.app(name, company.ana))


def test_it_is_signed_and_a_changed_body_is_refused(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook(events=["request.submitted"])
    request(company)
    send()
    (call,) = receiver.calls
    secret = hook.secrets[endpoint.id]  # type: ignore[attr-defined]
    assert Webhook(secret).verify(call.body, call.headers)["type"] == "request.submitted"
    assert call.headers["content-type"] == "application/json"
    assert call.headers["user-agent"].startswith("Countersign/")
    assert call.id == f"msg_{db.session.scalars(select(Delivery.public_id)).one()}"
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(call.body.replace(b"pending", b"approved"), call.headers)
    attempt = db.session.scalars(select(DeliveryTry)).one()
    assert (attempt.status, attempt.error) == (200, "")
    assert attempt.answer.startswith("200 OK\n") and attempt.answer.endswith("\n\nok")


def test_a_retry_is_the_same_bytes_with_the_same_id_and_a_new_time(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook(events=["request.submitted"])
    receiver.reply = lambda call: (503, {}, b"We are updating")
    made = request(company)
    send()
    send()
    assert len(receiver.calls) == 1 and state() == ["due"]
    assert fresh(endpoint).failing_since is not None
    receiver.reply = lambda call: (202, {}, b"")
    time.sleep(1.1)
    due_now()
    # Whatever has changed since: what was stored is sent.
    factories.decide(made, company.ana)
    send()
    first, second = receiver.calls
    assert first.body == second.body and first.id == second.id
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert state() == ["sent"] and fresh(endpoint).failing_since is None


def test_both_secrets_sign_until_the_old_one_ends(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = hook(events=["request.submitted"])
    old = hook.secrets[endpoint.id]  # type: ignore[attr-defined]
    _, new = endpoints.rotate_secret(endpoint, actor=company.adam, now=clock.now())
    outbox.commit()
    request(company)
    send()
    for secret in (old, new):
        Webhook(secret).verify(receiver.calls[0].body, receiver.calls[0].headers)
    changes.shift("endpoint_secrets", "retires_at", -endpoints.SECRETS_OVERLAP, where="retires_at IS NOT NULL")
    request(company, "Benevity")
    send()
    Webhook(new).verify(receiver.calls[1].body, receiver.calls[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(receiver.calls[1].body, receiver.calls[1].headers)


def test_what_one_person_has_to_do_with_one_app_stays_in_order(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    app = factories.app("Salesforce", company.ana)
    hook()
    refused = threading.Event()

    def reply(call: Received) -> tuple[int, dict[str, str], bytes]:
        if call.json["type"] == "request.step_opened" and not refused.is_set():
            refused.set()
            return 500, {}, b""
        return 200, {}, b""

    receiver.reply = reply
    made = factories.request(company.rita, app)
    factories.decide(made, company.ana)
    factories.request(company.otto, app)
    receiver.calls.clear()
    send()
    of_rita = [one.json["type"] for one in receiver.calls if made.public_id in one.body.decode()]
    assert of_rita == ["request.submitted", "request.step_opened"]
    # Another request waits for nobody.
    assert len(receiver.calls) == 4
    due_now()
    send()
    of_rita = [one.json["type"] for one in receiver.calls if made.public_id in one.body.decode()]
    assert of_rita[2:] == ["request.step_opened", "request.step_approved", "request.approved", "access.given"]


def test_a_dead_one_is_in_nobodys_way(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    hook(events=["request.submitted", "request.step_opened"])
    receiver.reply = lambda call: (500 if call.json["type"] == "request.submitted" else 200, {}, b"")
    request(company)
    db.session.execute(update(Delivery).values(tries=TRIES - 1))
    db.session.commit()
    send()
    assert state() == ["dead", "sent"]


def test_the_pauses_grow_to_five_days_in_all() -> None:
    assert len(DELAYS) == TRIES - 1 and list(DELAYS) == sorted(DELAYS)
    assert timedelta(days=5) < timedelta(seconds=sum(DELAYS)) < timedelta(days=6)


def in_an_hour() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [("900", 890, 910), ("999999999", 0, 7), ("86399", 86390, 86410), ("99999999", 86390, 86410), ("soon", 0, 7),
     ("-5", 0, 7), (in_an_hour, 3590, 3610), ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 7),
     ("Fri, 31 Dec 9999 23:59:59 -1200", 0, 7), ("Fri, 31 Dec 99999999999999999999 23:59:59 GMT", 0, 7)],
)  # fmt: skip
def test_a_receiver_may_ask_for_a_longer_wait(
    company: Company, hook: Hook, receiver: Receiver, send: Send, asked: Any, least: int, most: int
) -> None:
    hook(events=["request.submitted"])
    receiver.reply = lambda call: (429, {"retry-after": asked if isinstance(asked, str) else asked()}, b"")
    request(company)
    send()
    wait = (db.session.scalars(select(Delivery.due_at)).one() - clock.now()).total_seconds()
    assert least <= wait <= most


@pytest.mark.parametrize("status", [301, 302, 304, 400, 404, 500, 503])
def test_only_2xx_is_success(company: Company, hook: Hook, receiver: Receiver, send: Send, status: int) -> None:
    hook(events=["request.submitted"])
    receiver.reply = lambda call: (status, {"location": receiver.url("/other")}, b"")
    request(company)
    send()
    assert state() == ["due"]
    assert [call.path for call in receiver.calls] == ["/in"]


def test_410_pauses_at_once_and_the_admins_are_told(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook(events=["request.submitted", "request.step_opened"])
    receiver.reply = lambda call: (410, {}, b"")
    request(company)
    send()
    assert len(receiver.calls) == 1
    paused = fresh(endpoint)
    assert paused.paused_at is not None and "410 Gone" in paused.paused_why
    assert rows("notices", f"kind = 'webhook-paused' AND person_id = {company.adam.id}") == 1
    assert rows("notices", "kind = 'webhook-paused'") == 1
    assert rows("events", "kind = 'endpoint.paused' AND actor_id IS NULL") == 1
    # What waits is sent in order when it goes on, and no attempt is lost.
    receiver.reply = lambda call: (200, {}, b"")
    choose("write")
    endpoints.resume(fresh(endpoint), actor=company.adam, now=clock.now())
    outbox.commit()
    receiver.calls.clear()
    send()
    assert receiver.events == ["request.submitted", "request.step_opened"]


def test_five_days_of_failing_pause_and_four_do_not(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook(events=["request.submitted"])
    receiver.reply = lambda call: (500, {}, b"")
    request(company)
    send()
    for days, paused in ((4, False), (1.1, True)):
        changes.shift("endpoints", "failing_since", -timedelta(days=days))
        due_now()
        send()
        assert (fresh(endpoint).paused_at is not None) is paused
    assert "5 days" in fresh(endpoint).paused_why
    assert rows("notices", "kind = 'webhook-paused'") == 1
    assert state() == ["due"]


def test_nobody_there_is_a_sentence(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    hook(events=["request.submitted"])
    receiver.close()
    request(company)
    send()
    attempt = db.session.scalars(select(DeliveryTry)).one()
    assert (attempt.status, attempt.error) == (0, "No connection: connection refused.")


def test_send_again_has_the_same_id(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = hook(events=["request.submitted"])
    request(company)
    send()
    choose("write")
    delivery = db.session.scalars(select(Delivery)).one()
    endpoints.send_again(delivery, fresh(endpoint), actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict):
        endpoints.send_again(delivery, fresh(endpoint), actor=company.adam, now=clock.now())
    db.session.rollback()
    send()
    assert len(receiver.calls) == 2 and len({call.id for call in receiver.calls}) == 1
    assert receiver.calls[0].body == receiver.calls[1].body


def test_a_test_event(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = hook(events=["request.submitted"])
    choose("write")
    made = endpoints.send_test(fresh(endpoint), actor=company.adam, now=clock.now())
    outbox.commit()
    send()
    assert receiver.calls[0].json["type"] == "test" and receiver.calls[0].id == made.message_id


def test_a_lost_lease_is_marked_by_its_new_holder(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = hook(events=["request.submitted"])
    request(company)
    choose("write")
    (first,) = deliveries.claim(endpoint.id, 10)
    assert deliveries.claim(endpoint.id, 10) == []
    changes.shift("deliveries", "lease_until", -timedelta(minutes=5))
    (second,) = deliveries.claim(endpoint.id, 10)
    assert second.tries == 2
    taken = deliveries.Outcome(200, 5)
    assert not deliveries.mark_sent(first, taken)
    assert deliveries.mark_sent(second, taken)
    assert rows("delivery_tries") == 1


def test_a_worker_that_always_dies_ends_in_a_dead_delivery(
    company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    hook(events=["request.submitted"])
    request(company)
    choose("write")
    db.session.execute(update(Delivery).values(tries=TRIES))
    db.session.commit()
    send()
    assert receiver.calls == [] and state() == ["dead"]


def test_a_key_that_was_changed_is_used_no_more(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(events=["request.submitted"])
    old = app.extensions["settings"].secret_key
    new = "the new secret key of today"
    monkeypatch.setitem(app.extensions, "keyring", KeyRing((new, old)))
    choose("write")
    assert endpoints.encrypt_anew() == 2
    db.session.commit()
    assert endpoints.encrypt_anew() == 0
    monkeypatch.setitem(app.extensions, "keyring", KeyRing((new,)))
    request(company)
    send()
    assert state() == ["sent"]
    monkeypatch.setitem(app.extensions, "keyring", KeyRing(("yet another secret key",)))
    request(company, "Benevity")
    send()
    assert "SECRET_KEY_FALLBACKS" in db.session.scalars(select(DeliveryTry.error).order_by(DeliveryTry.id)).all()[-1]


def test_what_is_stored_of_addresses_and_secrets_is_encrypted(company: Company, hook: Hook, receiver: Receiver) -> None:
    endpoint = hook()
    secret = db.session.scalars(select(EndpointSecret)).one()
    assert hook.secrets[endpoint.id] not in secret.secret  # type: ignore[attr-defined]
    assert receiver.url() not in endpoint.address
    assert secret.ending == hook.secrets[endpoint.id][-4:]  # type: ignore[attr-defined]


def test_old_deliveries_are_forgotten(company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    hook(events=["request.submitted"])
    request(company)
    send()
    changes.shift("deliveries", "created_at", -timedelta(days=29))
    choose("write")
    assert deliveries.forget() == 0
    changes.shift("deliveries", "created_at", -timedelta(days=2))
    choose("write")
    assert deliveries.forget() == 1
    db.session.commit()
    assert rows("deliveries") == rows("delivery_tries") == 0


def test_one_slow_endpoint_holds_up_no_other(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    def reply(call: Received) -> tuple[int, dict[str, str], bytes]:
        if call.path != "/fast":
            free.wait(8)
        return 200, {}, b""

    receiver.reply = reply
    # More slow ones than there are threads for endpoints that fail: these have not failed yet, but are fewer than all.
    for number in range(jobs.THREADS - 1):
        hook(address=receiver.url(f"/slow-{number}"), events=["request.submitted"])
    hook(address=receiver.url("/fast"), events=["request.submitted"])
    for name in ("Salesforce", "Benevity", "Figma"):
        request(company, name)
    db.session.rollback()
    monkeypatch.setattr(jobs, "dispatcher", None)
    dispatcher = jobs.start()
    try:
        began = time.monotonic()
        while len([call for call in receiver.calls if call.path == "/fast"]) < 3:
            assert time.monotonic() - began < 5
            time.sleep(0.01)
    finally:
        free.set()
        jobs.stopping.set()
        jobs._look.set()
        dispatcher.join(time.monotonic() + 10)
        jobs.stopping.clear()


def test_two_workers_send_each_once_and_in_order(app: Flask, company: Company, hook: Hook, receiver: Receiver) -> None:
    hook()
    made = [factories.request(company.rita, factories.app(f"App {number}", company.ana)) for number in range(6)]
    for one in made:
        factories.decide(one, company.ana)
    expected = rows("deliveries")
    receiver.calls.clear()

    def work() -> None:
        with app.app_context():
            choose("write")
            until = time.monotonic() + 20
            while rows("deliveries", "state <> 'sent'") and time.monotonic() < until:
                choose("write")
                jobs.send_due()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(receiver.calls) == len({call.id for call in receiver.calls}) == expected
    for one in made:
        assert [call.json["type"] for call in receiver.calls if one.public_id in call.body.decode()] == [
            "request.submitted", "request.step_opened", "request.step_approved", "request.approved", "access.given",
        ]  # fmt: skip
