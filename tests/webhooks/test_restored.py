"""After a restore: deliveries that may have gone out already are held, and only an admin lets them go."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from tests.helpers import factories, lookups
from tests.helpers.factories import Company, rows
from tests.helpers.receiver import Receiver
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import out_jobs, outbox
from webapp.extensions import db
from webapp.models import Delivery, Endpoint
from webapp.operations import endpoints, held_deliveries
from webapp.operations.errors import Conflict

pytestmark = pytest.mark.both_engines
Hook = Callable[..., Endpoint]
Send = Callable[[], None]
EVENTS = ["request.submitted", "request.step_opened"]


def restored(app: Flask) -> str:
    """`flask restored`, in this context."""
    db.session.remove()
    done = app.test_cli_runner().invoke(args=["restored"])
    assert done.exit_code == 0, done.output
    choose("write")
    return str(done.output)


def again(endpoint: Endpoint) -> Endpoint:
    """The same one, in the session of now."""
    choose("write")
    return db.session.get_one(Endpoint, endpoint.id)


def states() -> list[str]:
    db.session.rollback()
    found = list(db.session.scalars(select(Delivery.state).order_by(Delivery.id)))
    db.session.rollback()
    return found


def test_what_was_due_or_being_sent_is_held_and_nothing_goes_out(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    hook()
    hook(kind="slack", name="#it", events=["results"])
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana)
    choose("write")
    first = db.session.scalars(select(Endpoint).order_by(Endpoint.id)).first()
    assert first is not None and out_jobs.deliveries.claim(first.id, 1)  # and its worker is gone
    number = rows("deliveries")
    said = restored(app)
    assert f"{number} deliveries of webhooks and chat are on hold." in said and "/admin/webhooks" in said
    assert states() == ["held"] * number and number > 5
    out_jobs.sweep()
    send()
    assert receiver.calls == []
    assert [one["deliveries"] for one in lookups.facts("delivery.held")] == [number]


def test_what_comes_behind_it_waits_and_released_all_is_sent_in_order(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook()
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    restored(app)
    factories.decide(made, company.ana)
    factories.request(company.otto, factories.app("Figma", company.ana))
    send()
    # Another person and app are not held up.
    assert [one for one in receiver.events if one.startswith("request")] == EVENTS
    held = rows("deliveries", "state = 'held'")
    assert held_deliveries.let_go(again(endpoint), actor=company.adam, now=clock.now()) == held
    outbox.commit()
    before = len(receiver.calls)
    send()
    sent = [call.json["type"] for call in receiver.calls[before:] if made.public_id in call.body.decode()]
    assert sent == [*EVENTS, "request.step_approved", "request.approved", "access.given"]
    assert set(states()) == {"sent"}
    (facts,) = lookups.facts("delivery.let_go")
    assert facts["deliveries"] == held
    assert held_deliveries.let_go(again(endpoint), actor=company.adam, now=clock.now()) == 0
    outbox.commit()
    assert len(lookups.facts("delivery.let_go")) == 1


def test_dropped_it_is_never_sent_and_what_waits_behind_it_goes_on(
    app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send
) -> None:
    endpoint = hook(events=["request.submitted", "request.approved"])
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    restored(app)
    factories.decide(made, company.ana)
    (row,) = db.session.scalars(select(Delivery).where(Delivery.state == "held"))
    send()
    assert receiver.calls == []
    assert held_deliveries.discard(again(endpoint), row, actor=company.adam, now=clock.now()) == 1
    outbox.commit()
    with pytest.raises(Conflict, match="no longer on hold"):
        held_deliveries.discard(again(endpoint), row, actor=company.adam, now=clock.now())
    db.session.rollback()
    send()
    assert receiver.events == ["request.approved"] and states() == ["obsolete", "sent"]


def test_one_is_sent_by_itself(app: Flask, company: Company, hook: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = hook(events=["request.submitted"])
    for name in ("Salesforce", "Figma"):
        factories.request(company.rita, factories.app(name, company.ana))
    restored(app)
    row = db.session.scalars(select(Delivery).order_by(Delivery.id)).first()
    assert row is not None
    endpoints.send_again(row, again(endpoint), actor=company.adam, now=clock.now())
    outbox.commit()
    send()
    assert [call.id for call in receiver.calls] == [row.message_id] and states() == ["sent", "held"]
    assert held_deliveries.discard(again(endpoint), None, actor=company.adam, now=clock.now()) == 1
    outbox.commit()
    assert states() == ["sent", "obsolete"]


def test_a_removed_endpoint_has_nothing_on_hold(app: Flask, company: Company, hook: Hook) -> None:
    endpoint = hook()
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    restored(app)
    endpoints.remove(again(endpoint), actor=company.adam, now=clock.now())
    outbox.commit()
    assert set(states()) == {"obsolete"}
    with pytest.raises(Conflict, match="was removed"):
        held_deliveries.let_go(again(endpoint), actor=company.adam, now=clock.now())
    db.session.rollback()


def test_twice_restored_and_without_webhooks_nothing_is_said(app: Flask, company: Company, hook: Hook) -> None:
    assert "webhooks" not in restored(app)
    hook(events=["request.submitted"])
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    assert "1 delivery of webhooks and chat is on hold." in restored(app)
    assert "webhooks" not in restored(app) and states() == ["held"]
