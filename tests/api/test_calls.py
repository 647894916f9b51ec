"""What holds for every call: token, rate, scope, input, replay, right and answer, in this order."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.api.conftest import Program, new_token
from tests.api.helpers import problem
from tests.helpers import factories
from tests.helpers.factories import Company
from webapp import clock, tokens
from webapp.api import _callers
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import broker, db
from webapp.models import AccessRequest, ApiReplay, ApiToken, App, Comment, Group
from webapp.operations import replays
from webapp.operations import tokens as operations

Make = Callable[..., Program]


def raw(app: Flask, secret: str, method: str, path: str, **more: Any) -> Any:
    """A call with any body and headers."""
    headers = {"Authorization": f"Bearer {secret}"} | more.pop("headers", {})
    return app.test_client(use_cookies=False).open(f"/api/v1{path}", method=method, headers=headers, **more)


# The token


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (None, "Send a token"),
        ("", "Send a token"),
        ("Basic cml0YQ==", "Send a token"),
        ("Bearer", "Send a token"),
        ("Bearer nothing", "This is not a token of Countersign"),
        (f"Bearer {tokens.make()}", "This token is unknown, or has ended."),
    ],
    ids=["none", "empty", "another-scheme", "no-token", "no-token-of-ours", "unknown"],
)
def test_without_a_token_nothing_is_done(app: Flask, company: Company, header: str | None, words: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = app.test_client().get("/api/v1/me", headers=headers)
    assert answer.status_code == 401 and words in answer.json["detail"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json["type"] == "/api/docs#token"


def test_a_session_is_no_token(company: Company, login_as: Any) -> None:
    assert login_as(company.rita).get("/api/v1/me").status_code == 401


def test_input_is_not_looked_at_before_the_token(app: Flask, company: Company) -> None:
    answer = raw(app, "csn_no", "POST", "/requests", data=b"{", content_type="text/plain")
    assert answer.status_code == 401


def test_a_token_from_another_network_is_refused(app: Flask, company: Company) -> None:
    choose("write")
    _, secret = operations.create(name="laptop", scopes=["requests:read"], days=9, actor=company.rita,
                                  now=clock.now(), person=company.rita, networks="10.2.0.0/16")  # fmt: skip
    outbox.commit()
    db.session.remove()
    problem(raw(app, secret, "GET", "/me"), 401, "This token may not be used from this network.")


def test_scopes_are_no_more_than_the_person_may(program: Make, company: Company) -> None:
    adam = program("adam", "requests:read")
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    assert adam.get(f"/requests/{made.public_id}").status_code == 200
    choose("write")
    factories.person("Bea Admin", admin=True)
    choose("write")
    db.session.merge(company.adam).is_admin = False
    db.session.commit()
    assert adam.get(f"/requests/{made.public_id}").status_code == 404
    refused = adam.post(f"/requests/{made.public_id}/comments", {"text": "Hm."})
    problem(refused, 403, "This token was not made for this. It needs the scope requests:write.")


@pytest.mark.both_engines
@pytest.mark.parametrize("who", ["rita", "service"])
def test_a_token_that_is_ended_while_a_call_waits_changes_nothing(program: Make, company: Company, who: str) -> None:
    """The right and the change are one transaction: the end of the token came first, and is seen."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    one, answers = program(who), list[Any]()
    sent = {"name": "Somebody"} if who == "service" else {"text": "Hm."}
    path = "/groups" if who == "service" else f"/requests/{made.public_id}/comments"
    calling = threading.Thread(target=lambda: answers.append(one.post(path, sent)))
    db.session.rollback()
    choose("write")
    token = db.session.scalars(select(ApiToken)).one()
    operations.revoke(token, actor=company.adam, now=clock.now())
    db.session.flush()
    calling.start()
    calling.join(0.5)
    assert calling.is_alive(), "it waits for the end of the token"
    outbox.commit()
    calling.join(20)
    problem(answers[0], 401, "This token is unknown, or has ended. Make a new one.")
    assert db.session.scalar(select(func.count()).select_from(Comment)) == 0
    assert db.session.scalar(select(func.count()).select_from(Group).where(Group.name == "Somebody")) == 0


# Rate


def test_a_token_has_so_many_calls_a_minute_and_others_have_theirs(
    program: Make, company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_callers, "CALLS", 3)
    rita, ana = program("rita"), program("ana")
    left = [rita.get("/me").headers["RateLimit"].split(";")[1] for _ in range(3)]
    assert left == ["r=2", "r=1", "r=0"]
    refused = rita.get("/me")
    assert refused.status_code == 429 and 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json["type"] == "/api/docs#slow-down"
    assert ana.get("/me").status_code == 200


def test_calls_without_the_scope_are_counted_too(program: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_callers, "CALLS", 2)
    rita = program("rita", "requests:read")
    assert [rita.get("/apps").status_code for _ in range(3)] == [403, 403, 429]


def test_it_is_counted_without_the_broker_too(
    program: Make, company: Company, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_callers, "CALLS", 2)
    rita = program("rita")
    monkeypatch.setattr(broker(), "eval", _away)
    assert [rita.get("/me").status_code for _ in range(3)] == [200, 200, 429]


def _away(*_: object) -> None:
    raise ConnectionRefusedError


# Input


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        ({"data": b"{", "content_type": "application/json"}, 400, "The body is not JSON."),
        ({"data": b"", "content_type": "application/json"}, 400, "The body is not JSON."),
        ({"data": b'{"text": "\\ud800"}', "content_type": "application/json"}, 400, "The body is not JSON."),
        ({"data": b"text=Hm", "content_type": "application/x-www-form-urlencoded"}, 415, "Send the body as JSON"),
        ({"data": b'{"text": "Hm."}', "content_type": "text/plain"}, 415, "Send the body as JSON"),
        ({"json": []}, 422, "Send an object."),
        ({"json": {"text": "Hm.", "more": 1}}, 422, "There is no such field."),
        ({"json": {"text": 1}}, 422, "Send a text."),
        ({"json": {}}, 422, "Send this field."),
        ({"json": {"text": "e" + "\u0301" * 60}}, 422, "One letter has more than 30 accents"),
        ({"json": {"text": "x" * 20_001}}, 422, "Use 20,000 characters or fewer in one field."),
        ({"json": {"text": "x" * 1001}}, 422, "Use 1,000 characters or fewer. You entered 1,001."),
        ({"json": {"text": "x" * 70_000}}, 413, "Send less."),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(
    app: Flask, company: Company, more: dict[str, Any], status: int, words: str
) -> None:
    secret = new_token(company.rita)
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    answer = raw(app, secret, "POST", f"/requests/{made.public_id}/comments", **more)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json"), answer.text
    assert words in answer.json["detail"]
    assert db.session.scalar(select(func.count()).select_from(Comment)) == 0


@pytest.mark.both_engines
def test_a_zero_character_is_left_out(program: Make, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    answer = program("rita").post(f"/requests/{made.public_id}/comments", {"text": "Before\0after"})
    assert answer.status_code == 200
    assert db.session.scalars(select(Comment.body)).one() == "Beforeafter"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/requests?limit=0", "limit"),
        ("/requests?limit=201", "limit"),
        ("/requests?limit=ten", "limit"),
        ("/requests?limit=1&limit=2", "limit"),
        ("/requests?state=open", "state"),
        ("/requests?since=yesterday", "since"),
        ("/requests?page=2", "page"),
        ("/me?token=csn_x", "token"),
    ],
)
def test_a_query_that_does_not_fit_names_its_field(program: Make, company: Company, path: str, field: str) -> None:
    answer = program("rita").get(path)
    assert answer.status_code == 422 and [one["field"] for one in answer.json["errors"]] == [field], answer.text


def test_a_call_that_takes_no_body_refuses_one(program: Make, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    answer = program("rita").post(f"/requests/{made.public_id}/reminders", {"to": "all"})
    problem(answer, 422, "This call takes no body.")


@pytest.mark.parametrize("cursor", ["x", "e30.e30", "a.b.c", "WyJ4IiwxXQ.AAAA", "é.é", "." * 900])
def test_a_cursor_that_is_not_ours_is_refused(program: Make, company: Company, cursor: str) -> None:
    answer = program("rita").get(f"/requests?cursor={cursor}")
    assert (answer.status_code, answer.json["type"]) == (400, "/api/docs#malformed"), answer.text


@pytest.mark.both_engines
def test_a_cursor_is_good_for_its_own_list_and_filter_only(program: Make, company: Company) -> None:
    for name in ("Figma", "Miro", "Zoom"):
        factories.request(company.rita, factories.app(name, company.ana))
    rita, adam = program("rita"), program("adam")
    following = rita.get("/requests?limit=2").json["next"]
    assert len(rita.get(f"/requests?limit=1&cursor={following}").json["items"]) == 1
    assert adam.get(f"/requests?cursor={following}").status_code == 200, "it holds no right"
    assert rita.get(f"/requests?state=pending&cursor={following}").status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("GET", "/requests/%00", 404), ("DELETE", "/requests", 405), ("PUT", "/me", 405)],
)
def test_an_address_that_does_not_exist_is_a_problem_too(
    program: Make, company: Company, method: str, path: str, status: int
) -> None:
    answer = program("rita").call(method, path)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert status != 405 or "GET" in answer.headers["Allow"]


def test_what_breaks_is_a_problem_with_a_reference(
    program: Make, company: Company, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    app.config["TESTING"] = app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr("webapp.queries.request_feed.page", lambda *_, **__: 1 / 0)
    answer = program("rita").get("/requests")
    app.config["TESTING"], app.config["PROPAGATE_EXCEPTIONS"] = True, None
    assert answer.status_code == 500 and answer.json["reference"] in answer.headers["X-Request-Id"]


# Sending twice


@pytest.mark.both_engines
def test_the_same_key_and_call_make_one_request(program: Make, company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    rita = program("rita")
    body = {"app": app.public_id, "message": "For the spring campaign"}
    first = rita.post("/requests", body, Idempotency_Key="k-1")
    again = rita.post("/requests", body, Idempotency_Key="k-1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.data == first.data and again.headers["Location"] == first.headers["Location"]
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Idempotency-Replayed"] == "true" and "Idempotency-Replayed" not in first.headers
    assert db.session.scalar(select(func.count()).select_from(AccessRequest)) == 1


def test_the_same_key_with_another_call_is_refused(program: Make, company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    rita = program("rita")
    rita.post("/requests", {"app": app.public_id, "message": "One"}, Idempotency_Key="k-1")
    other = rita.post("/requests", {"app": app.public_id, "message": "Two"}, Idempotency_Key="k-1")
    problem(other, 422, "This Idempotency-Key was used for another call. Use a new one for each change.")


def test_a_refusal_is_not_kept_and_another_token_has_its_own_keys(program: Make, company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    rita, ben = program("rita"), program("ben")
    body = {"app": app.public_id, "message": "x" * 1001}
    assert rita.post("/requests", body, Idempotency_Key="k-1").status_code == 422
    assert db.session.scalar(select(func.count()).select_from(ApiReplay)) == 0
    good = {**body, "message": "Short."}
    assert rita.post("/requests", good, Idempotency_Key="k-1").status_code == 201
    assert ben.post("/requests", good, Idempotency_Key="k-1").status_code == 201


def test_what_was_answered_once_is_not_answered_to_who_may_no_longer_do_it(program: Make, company: Company) -> None:
    """The right is looked at again before a repeated call is answered."""
    app, ana = factories.app("Salesforce", company.ana, owner=company.ana), program("ana")
    path, role = f"/apps/{app.public_id}/fields", {"name": "Role", "kind": "text", "default": "Reader"}
    assert ana.post(path, role, Idempotency_Key="k-1").status_code == 201
    assert ana.post(path, role, Idempotency_Key="k-1").headers["Idempotency-Replayed"] == "true"
    choose("write")
    db.session.merge(app).owner_person_id = company.adam.id
    db.session.commit()
    again = ana.post(path, role, Idempotency_Key="k-1")
    assert again.status_code == 404 and "Idempotency-Replayed" not in again.headers


@pytest.mark.parametrize("key", ["x" * 129, "a b", "é"])
def test_a_key_that_cannot_be_used(program: Make, company: Company, key: str) -> None:
    assert program("rita").post("/requests", {"app": "x"}, Idempotency_Key=key).status_code == 422


@pytest.mark.both_engines
def test_sent_at_the_same_time_it_is_done_once(app: Flask, program: Make, company: Company) -> None:
    one = factories.app("Salesforce", company.ana)
    rita = program("rita")
    body = {"app": one.public_id, "message": "For the spring campaign"}
    answers: list[Any] = []
    gate = threading.Barrier(4)

    def send() -> None:
        gate.wait()
        answers.append(Program(app, rita.secret).post("/requests", body, Idempotency_Key="k-1"))

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status_code for one in answers] == [201] * 4
    assert len({one.data for one in answers}) == 1
    assert db.session.scalar(select(func.count()).select_from(AccessRequest)) == 1


@pytest.mark.both_engines
def test_answers_are_forgotten_after_a_day(program: Make, company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    program("rita").post("/requests", {"app": app.public_id, "message": "One"}, Idempotency_Key="k-1")
    choose("write")
    assert replays.forget(now=clock.now()) == 0
    db.session.commit()
    choose("write")
    assert replays.forget(now=clock.now() + timedelta(hours=25)) == 1
    db.session.commit()


# The answer


def test_what_has_not_changed_is_not_sent_again(program: Make, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    rita = program("rita")
    first = rita.get(f"/requests/{made.public_id}")
    again = rita.get(f"/requests/{made.public_id}", If_None_Match=first.headers["ETag"])
    assert (again.status_code, again.data) == (304, b"")
    rita.post(f"/requests/{made.public_id}/cancellation")
    assert rita.get(f"/requests/{made.public_id}", If_None_Match=first.headers["ETag"]).status_code == 200


def test_answers_hold_no_numbers_of_the_database(program: Make, company: Company) -> None:
    """Integer keys stay inside: no answer changes when all of them are other ones."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    answer = program("adam").get(f"/requests/{made.public_id}").json
    assert made.id not in _numbers(answer) - {1}
    app = db.session.get_one(App, made.app_id)
    assert json.dumps(answer).count(app.public_id) == 1


def _numbers(value: Any) -> set[int]:
    if isinstance(value, dict):
        return set().union(*map(_numbers, value.values()))
    if isinstance(value, list):
        return set().union(*map(_numbers, value))
    return {value} if isinstance(value, int) and not isinstance(value, bool) else set()
