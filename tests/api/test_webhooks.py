"""Webhooks, their secrets and deliveries, and chat channels, by programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.api.conftest import Program
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock
from webapp.api._document import document
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.events_out import EVENTS
from webapp.operations import held_deliveries

Make = Callable[..., Program]
NEW = {"name": "Service desk", "address": "https://hooks.example.com/countersign?tenant=1"}


def test_add_read_change_and_remove(company: Company, program: Make) -> None:
    adam, app = program("adam", "webhooks:admin"), factories.app("Salesforce", company.ana)
    made = adam.post("/webhooks", {**NEW, "events": ["access.given", "request.approved"], "apps": [app.public_id]})
    assert made.status_code == 201 and made.json["secret"].startswith("whsec_")
    at = made.headers["Location"].removeprefix("/api/v1")
    read = adam.get(at)
    assert "secret" not in read.json and read.json["state"] == "delivering"
    assert read.json["address"] == NEW["address"]
    assert read.json["events"] == ["request.approved", "access.given"]
    assert read.json["apps"] == [{"id": app.public_id, "name": "Salesforce"}]
    assert adam.call("PATCH", at, {"name": "Desk"}).status_code == 428
    changed = adam.call("PATCH", at, {"name": "Desk", "apps": [], "category": "Sales"}, If_Match=read.headers["ETag"])
    assert (changed.json["name"], changed.json["apps"], changed.json["category"]) == ("Desk", [], "Sales")
    assert adam.call("PATCH", at, {"name": "Again"}, If_Match=read.headers["ETag"]).status_code == 412
    assert [one["name"] for one in adam.get("/webhooks").json["items"]] == ["Desk"]
    assert adam.call("DELETE", at).status_code == 204
    assert adam.get(at).status_code == 404


def test_a_repeated_call_makes_one_webhook_and_does_not_tell_its_secret_again(program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    first, second = (adam.post("/webhooks", NEW, Idempotency_Key="k1") for _ in range(2))
    assert first.json["id"] == second.json["id"]
    assert first.json["secret"] and second.json["secret"] is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": " "}, "name"), ({"address": "http://hooks.example.com/"}, "address"),
        ({"address": "https://127.0.0.1/"}, "address"), ({"address": "https://169.254.169.254/latest"}, "address"),
        ({"events": ["moon.landed"]}, "events"), ({"apps": ["0123456789AB"]}, "apps"), ({"colour": "red"}, "colour"),
        ({"with_texts": "yes"}, "with_texts"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_its_field(program: Make, changes: dict[str, object], field: str) -> None:
    answer = program("adam", "webhooks:admin").post("/webhooks", {**NEW, **changes})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json["errors"]] == [field]


def test_pause_resume_and_test(program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    at = f"/webhooks/{adam.post('/webhooks', NEW).json['id']}"
    assert adam.post(f"{at}/pause").json["state"] == "paused"
    assert adam.post(f"{at}/pause").status_code == 409
    assert "Resume it first" in adam.post(f"{at}/test").json["detail"]
    assert adam.call("DELETE", f"{at}/pause").status_code == 204
    sent = adam.post(f"{at}/test")
    assert sent.status_code == 202
    (line,) = adam.get(f"{at}/deliveries?event=test").json["items"]
    assert line["id"] == sent.json["id"] and line["state"] == "due"
    whole = adam.get(f"{at}/deliveries/{line['id']}").json
    assert '"type":"test"' in whole["body"] and whole["attempts"] == []
    assert adam.get(f"{at}/deliveries?state=dead").json["items"] == []
    assert adam.get(f"{at}/deliveries/0123456789AB").status_code == 404


def test_secrets_are_two_at_most(program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    made = adam.post("/webhooks", NEW).json
    at = f"/webhooks/{made['id']}/secrets"
    (first,) = adam.get(at).json["items"]
    assert made["secret"].endswith(first["ending"]) and first["retires_at"] is None
    second = adam.post(at)
    assert second.status_code == 201 and second.json["secret"].endswith(second.json["ending"])
    newest, old = adam.get(at).json["items"]
    assert newest["retires_at"] is None and old["retires_at"] is not None
    assert adam.post(at).status_code == 409
    assert adam.call("DELETE", f"{at}/{newest['id']}").status_code == 409
    assert adam.call("DELETE", f"{at}/{old['id']}").status_code == 204
    assert adam.call("DELETE", f"{at}/{old['id']}").status_code == 404
    assert len(adam.get(at).json["items"]) == 1


@pytest.mark.both_engines
def test_deliveries_page_by_cursor(company: Company, program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    at = f"/webhooks/{adam.post('/webhooks', {**NEW, 'events': ['request.submitted']}).json['id']}/deliveries"
    for name in ("Salesforce", "Benevity", "Figma"):
        factories.request(company.rita, factories.app(name, company.ana))
    first = adam.get(f"{at}?limit=2").json
    assert [one["app"]["name"] for one in first["items"]] == ["Figma", "Benevity"]
    second = adam.get(f"{at}?limit=2&cursor={first['next']}").json
    assert [one["app"]["name"] for one in second["items"]] == ["Salesforce"] and second["next"] is None
    assert second["items"][0]["entry"] > 0


def test_of_a_removed_one_deliveries_can_be_read_and_not_sent(company: Company, program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    at = f"/webhooks/{adam.post('/webhooks', NEW).json['id']}"
    sent = adam.post(f"{at}/test", {}).json["id"]
    assert adam.call("DELETE", at).status_code == 204
    (line,) = adam.get(f"{at}/deliveries").json["items"]
    assert (line["id"], line["state"], line["error"]) == (sent, "obsolete", "The endpoint was removed.")
    assert '"type":"test"' in adam.get(f"{at}/deliveries/{sent}").json["body"]
    for what in ("retry", "discarding"):
        refused = adam.post(f"{at}/deliveries/{sent}/{what}", {})
        assert refused.status_code == 409 and "Add it again under Admin, Settings." in refused.json["detail"]
    assert adam.get(at).status_code == 404 and adam.post(f"{at}/test", {}).status_code == 404


def test_what_is_on_hold_after_a_restore_is_sent_or_discarded(company: Company, program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    at = f"/webhooks/{adam.post('/webhooks', NEW).json['id']}"
    first, second = (adam.post(f"{at}/test", {}).json["id"] for _ in range(2))
    choose("write")
    assert held_deliveries.hold(now=clock.now()) == 2
    outbox.commit()
    held = adam.get(f"{at}/deliveries?state=held").json["items"]
    assert [one["id"] for one in held] == [second, first] and {one["state"] for one in held} == {"held"}
    assert "may already have been sent" in held[0]["error"]
    assert adam.post(f"{at}/deliveries/{first}/retry", {}).json["state"] == "due"
    assert adam.post(f"{at}/deliveries/{second}/discarding", {}).json["state"] == "obsolete"
    again = adam.post(f"{at}/deliveries/{second}/discarding", {})
    assert again.status_code == 409 and "no longer on hold" in again.json["detail"]


def test_a_chat_channel(company: Company, program: Make) -> None:
    adam = program("adam", "webhooks:admin")
    secret = "https://hooks.slack.example/services/T000/B000/XXXX"
    new = {
        "kind": "slack",
        "name": "#finance",
        "address": secret,
        "topics": ["waiting"],
        "audience": {"kind": "group", "id": company.finance.public_id},
    }
    made = adam.post("/chat-channels", new)
    assert made.status_code == 201
    assert made.json["audience"] == {"kind": "group", "id": company.finance.public_id, "name": "Finance"}
    assert secret not in made.text and "B000" not in adam.get("/chat-channels").text
    at = f"/chat-channels/{made.json['id']}"
    changed = adam.call("PATCH", at, {"topics": ["results"]}, If_Match=adam.get(at).headers["ETag"])
    assert changed.json["topics"] == ["results"]
    assert adam.post(f"{at}/test").status_code == 202
    assert adam.post(f"{at}/pause").json["state"] == "paused"
    assert adam.call("DELETE", f"{at}/pause").status_code == 204
    assert adam.get(f"/webhooks/{made.json['id']}").status_code == 404
    assert adam.call("DELETE", at).status_code == 204
    wrong = adam.post("/chat-channels", {**new, "audience": {"kind": "person", "id": "0123456789AB"}})
    assert [one["field"] for one in wrong.json["errors"]] == ["audience.id"]


def test_the_document_names_every_event(program: Make) -> None:
    names = document()["components"]["schemas"]["Webhook"]["properties"]["events"]["items"]["x-extensible-enum"]
    assert names == list(EVENTS)
