"""Messages to Slack and Teams: who is told what, and that nobody is shown more than they may see."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.receiver import Receiver
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Delivery, Endpoint
from webapp.operations import apps, endpoints, groups, people, requests
from webapp.operations.errors import Invalid
from webapp.workflow.policy import Approver
from webapp.workflow.states import Verdict

Hook = Callable[..., Endpoint]
Send = Callable[[], None]


@pytest.fixture
def channel(hook: Hook, receiver: Receiver) -> Hook:
    """channel(person=…) adds a channel of Slack; its messages come to the receiver."""

    def make(**given: Any) -> Endpoint:
        return hook(**{"kind": "slack", "name": "#approvals", **given})

    return make


def texts(receiver: Receiver) -> list[str]:
    return [call.json["text"] for call in receiver.calls]


def test_what_waits_results_and_links(company: Company, channel: Hook, receiver: Receiver, send: Send) -> None:
    app = factories.app("Salesforce", company.finance)
    channel(group=company.finance)
    made = factories.request(company.rita, app, message="For the spring campaign")
    send()
    factories.decide(made, company.ben)
    send()
    assert texts(receiver) == ["Rita Lindqvist requests Salesforce", "Approved: Salesforce for Rita Lindqvist"]
    words = receiver.calls[0].json["blocks"][0]["text"]["text"]
    assert "Waiting for Finance until" in words and made.reference in words
    assert f"/requests/{made.public_id}|Read and decide>" in words
    assert "spring campaign" not in words and "/decide/" not in receiver.calls[0].body.decode()
    assert "By Ben Okafor" in receiver.calls[1].json["blocks"][0]["text"]["text"]
    assert "webhook-signature" not in receiver.calls[0].headers


def test_a_person_gets_what_waits_for_them_and_their_own_results_only(
    company: Company, channel: Hook, receiver: Receiver, send: Send
) -> None:
    first, other = factories.app("Salesforce", company.ana, company.ben), factories.app("Benevity", company.chloe)
    for person in (company.ana, company.rita, company.otto):
        channel(person=person, name=person.first_name)
    made = factories.request(company.rita, first)
    factories.request(company.ben, other)
    factories.decide(made, company.ana)
    factories.decide(made, company.ben)
    by_name: dict[str, list[str]] = {}
    rows = select(Endpoint.name, Delivery.body).join(Endpoint, Endpoint.id == Delivery.endpoint_id)
    for name, body in db.session.execute(rows.order_by(Delivery.id)):
        by_name.setdefault(str(name), []).append(json.loads(body)["text"])
    assert by_name == {
        "Ana": ["Rita Lindqvist requests Salesforce", "Approved: Salesforce for Rita Lindqvist"],
        "Rita": ["Approved: Salesforce for Rita Lindqvist", "Rita Lindqvist has access to Salesforce now"],
    }


def test_who_was_replaced_is_told_no_result(company: Company, channel: Hook, receiver: Receiver, send: Send) -> None:
    app = factories.app("Salesforce", company.finance)
    channel(person=company.chloe, events=["results"])
    made = factories.request(company.rita, app)
    choose("write")
    groups.remove_member(company.finance, company.chloe, actor=company.adam, now=clock.now())
    outbox.commit()
    factories.decide(made, company.ben)
    assert db.session.scalars(select(Delivery)).all() == []


@pytest.mark.parametrize("change", ["decided", "replaced", "deactivated", "cancelled"])
def test_what_is_no_longer_true_is_not_sent(
    company: Company, channel: Hook, receiver: Receiver, send: Send, change: str
) -> None:
    app = factories.app("Salesforce", company.finance)
    channel(person=company.chloe, events=["waiting"])
    made = factories.request(company.rita, app)
    choose("write")
    if change == "decided":
        factories.decide(made, company.ben)
    elif change == "replaced":
        groups.remove_member(company.finance, company.chloe, actor=company.adam, now=clock.now())
    elif change == "deactivated":
        people.deactivate(company.chloe, actor=company.adam, now=clock.now())
    else:
        requests.cancel(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    send()
    assert receiver.calls == []
    assert db.session.scalars(select(Delivery.state)).all() == ["obsolete"]


def test_all_admins_get_what_waits_for_them_and_every_result(
    company: Company, channel: Hook, receiver: Receiver, send: Send
) -> None:
    app = factories.app("Salesforce", company.ana)
    channel(events=["waiting", "results"])
    made = factories.request(company.rita, app)
    send()
    assert receiver.calls == []
    factories.decide(made, company.ana, Verdict.DENIED)
    choose("write")
    people.deactivate(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    factories.request(company.otto, app)
    send()
    assert texts(receiver) == ["Denied: Salesforce for Rita Lindqvist", "Otto Brandt requests Salesforce"]


def test_an_owning_group_is_told_when_it_decides_instead(
    company: Company, channel: Hook, receiver: Receiver, send: Send
) -> None:
    app = factories.app("Salesforce", company.ana)
    choose("write")
    apps.set_owner(app, owner=Approver(group=company.finance.id), actor=company.adam, now=clock.now())
    people.deactivate(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    channel(group=company.finance, events=["waiting"])
    factories.request(company.rita, app)
    send()
    assert texts(receiver) == ["Rita Lindqvist requests Salesforce"]


def test_an_app_hears_of_access_and_reminders_are_messages(
    company: Company, channel: Hook, receiver: Receiver, send: Send
) -> None:
    app, other = factories.app("Salesforce", company.ana), factories.app("Benevity")
    channel(app=app, events=["access", "reminders"])
    made = factories.request(company.rita, app)
    factories.grant(company.rita, other)
    changes.shift("requests", "created_at", -timedelta(days=2))
    requests.remind(factories.case_of(made), actor=company.rita, now=clock.now())
    outbox.commit()
    send()
    factories.decide(made, company.ana)
    send()
    assert texts(receiver) == [
        "Reminder: Rita Lindqvist requests Salesforce", "Rita Lindqvist has access to Salesforce now",
    ]  # fmt: skip


HOSTILE = "<!channel> *bold* <https://evil.example|click> & [link](https://evil.example) _x_ `y`"


def test_names_and_texts_make_no_markup(company: Company, channel: Hook, receiver: Receiver, send: Send) -> None:
    app = factories.app("A <!here> & [b](c)", company.ana)
    channel(person=company.ana, with_texts=True)
    channel(person=company.ana, with_texts=True, kind="teams")
    factories.request(company.rita, app, message=HOSTILE)
    send()
    slack, teams = (call.json for call in receiver.calls)
    words = slack["blocks"][0]["text"]["text"]
    assert "<!" not in words and "<https://evil" not in words and "&lt;!channel&gt;" in words
    assert "*bold*" not in words.partition("\n")[2]
    card = teams["attachments"][0]["content"]
    assert card["type"] == "AdaptiveCard" and card["actions"][0]["type"] == "Action.OpenUrl"
    assert "](" not in card["body"][0]["text"].replace("\\]", "") and "\\[link\\]" in card["body"][1]["text"]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_channel_that_is_gone_is_paused(
    company: Company, channel: Hook, receiver: Receiver, send: Send, status: int
) -> None:
    endpoint = channel(person=company.ana)
    receiver.reply = lambda call: (status, {}, b"no_service")
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    send()
    db.session.rollback()
    assert db.session.get_one(Endpoint, endpoint.id, populate_existing=True).paused_at is not None


def test_a_test_message_and_what_cannot_be(company: Company, channel: Hook, receiver: Receiver, send: Send) -> None:
    endpoint = channel(person=company.ana)
    choose("write")
    endpoints.send_test(endpoint, actor=company.adam, now=clock.now())
    outbox.commit()
    send()
    assert texts(receiver) == ["This is a test"]
    for wrong in ({"person": company.ana, "group": company.finance}, {"kind": "fax"}, {"events": ["request.approved"]}):
        with pytest.raises(Invalid):
            channel(**wrong)
        db.session.rollback()
    with pytest.raises(Invalid):
        channel(kind="webhook", person=company.ana)
