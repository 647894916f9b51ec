"""The email log through the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.api.conftest import Program
from tests.api.helpers import problem
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import facts
from tests.helpers.statements import assert_constant, counting
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Invitation, Notice
from webapp.operations import people

Make = Callable[..., Program]
PATH = "/notices"


@pytest.fixture
def adam(program: Make) -> Program:
    return program("adam", "mail:admin")


@pytest.fixture
def asked(company: Company) -> AccessRequest:
    return factories.request(company.rita, factories.app("Figma", company.ana))


def notice_about(request: AccessRequest) -> Notice:
    return db.session.scalars(select(Notice).where(Notice.request_id == request.id)).one()


def put(public_id: str, **values: Any) -> None:
    choose("write")
    db.session.execute(update(Notice).where(Notice.public_id == public_id).values(**values))
    db.session.commit()


def test_an_email_in_the_list(adam: Program, company: Company, asked: AccessRequest) -> None:
    (line,) = adam.get(f"{PATH}?request={asked.public_id}").json["items"]
    assert line == {
        "id": notice_about(asked).public_id, "kind": "approval-asked",
        "about": f"Rita Lindqvist requests Figma ({asked.reference})", "state": "due", "why": "Will be sent shortly.",
        "person": {"id": company.ana.public_id, "name": "Ana Moreau"}, "address": "ana@example.com",
        "request": {"id": asked.public_id, "reference": asked.reference}, "attempts": 0,
        "created_at": line["created_at"], "next_attempt_at": line["next_attempt_at"], "settled_at": None,
    }  # fmt: skip
    assert line["next_attempt_at"]


@pytest.mark.both_engines
def test_the_list_is_filtered_as_on_the_page(adam: Program, company: Company, asked: AccessRequest) -> None:
    def ids(query: str) -> list[str]:
        return [one["id"] for one in adam.every(f"{PATH}?{query}")]

    mail = notice_about(asked).public_id
    assert ids("kind=approval-asked") == ids(f"person={company.ana.public_id}") == ids("q=ana%20mor") == [mail]
    assert mail in ids("state=due") and ids("state=dead") == []
    put(mail, state="dead", error="550 no such mailbox", tries=8, settled_at=clock.now())
    assert ids("state=dead") == [mail] and mail not in ids("state=due")
    (line,) = adam.get(f"{PATH}?state=dead").json["items"]
    assert line["why"] == "550 no such mailbox. Failed after 8 attempts." and line["settled_at"]
    assert line["next_attempt_at"] is None
    assert ids("person=NOBODY000000") == ids("request=NOTHING00000") == ids("until=2000-01-01T00:00:00Z") == []
    refused = adam.get(f"{PATH}?kind=pigeon")
    assert refused.status_code == 422 and refused.json["errors"][0]["field"] == "kind"
    assert adam.get(f"{PATH}?state=lost").status_code == 422


def test_an_email_says_what_it_says_but_never_its_link_and_code(
    adam: Program, company: Company, asked: AccessRequest
) -> None:
    choose("write")
    people.mail_password_reset(company.otto, now=clock.now())
    outbox.commit()
    reset = db.session.scalars(select(Notice).where(Notice.kind == "password-reset")).one()
    invitation = db.session.query(Invitation).one()
    mail = notice_about(asked).public_id
    token = links.approval_token(invitation.public_id, 1, invitation.key_id)
    code = links.code(invitation.public_id, 1, invitation.key_id)
    password = links.password_token(company.otto.public_id, reset.round, reset.created_at)
    answer = adam.get(f"{PATH}/{mail}")
    assert answer.json["subject"] == f"Rita Lindqvist requests Figma ({asked.reference})"
    assert "I need it for my work." in answer.json["text"] and "/decide/hidden" in answer.json["text"]
    assert token not in answer.text and code not in answer.text.replace(" ", "")
    assert "no-store" in answer.headers["Cache-Control"]
    other = adam.get(f"{PATH}/{reset.public_id}")
    assert "/password/hidden" in other.json["text"] and password not in other.text
    assert adam.get(f"{PATH}/NOMAIL000000").status_code == 404


def test_failed_attempts_are_shown_with_the_answers_of_the_server(adam: Program, asked: AccessRequest) -> None:
    choose("write")
    claims = outbox.claim(10)
    for claim in claims:
        outbox.mark_failed(claim, "451 4.7.1 greylisted")
    mail = adam.get(f"{PATH}/{notice_about(asked).public_id}").json
    assert [one["answer"] for one in mail["failures"]] == ["451 4.7.1 greylisted"]
    assert mail["state"] == "trying" and mail["attempts"] == 1
    assert mail["why"] == "451 4.7.1 greylisted. Attempt 1 of 8."


def test_an_email_that_cannot_be_made_is_shown_without_words(adam: Program, asked: AccessRequest) -> None:
    mail = notice_about(asked).public_id
    put(mail, kind="request-comment", data_json='{"comment": 0}')
    shown = adam.get(f"{PATH}/{mail}")
    assert shown.status_code == 200 and shown.json["subject"] is None and shown.json["text"] is None


def test_a_failed_email_is_sent_again_once_for_one_key(adam: Program, asked: AccessRequest) -> None:
    mail = notice_about(asked).public_id
    refused = adam.post(f"{PATH}/{mail}/resend")
    assert (refused.status_code, refused.json["detail"]) == (409, "This email is already queued.")
    put(mail, state="dead", error="550 no such mailbox", tries=8, settled_at=clock.now())
    done = adam.post(f"{PATH}/{mail}/resend", Idempotency_Key="k")
    assert done.status_code == 200 and (done.json["state"], done.json["attempts"]) == ("due", 0)
    assert adam.post(f"{PATH}/{mail}/resend", Idempotency_Key="k").json == done.json
    (line,) = facts("mail.sent_again")
    assert line["token"] is not None and line["request"] == asked.id
    assert adam.post(f"{PATH}/NOMAIL000000/resend").status_code == 404


def test_an_email_that_waits_is_tried_now_and_one_on_hold_is_discarded(adam: Program, asked: AccessRequest) -> None:
    mail = notice_about(asked).public_id
    refused = adam.post(f"{PATH}/{mail}/attempt")
    assert (refused.status_code, refused.json["detail"]) == (409, "This email is already queued.")
    choose("write")
    for claim in outbox.claim(10):
        outbox.mark_failed(claim, "451 4.7.1 greylisted")
    assert adam.post(f"{PATH}/{mail}/attempt").json["state"] == "trying"
    assert len(facts("mail.tried_now")) == 1
    refused = adam.post(f"{PATH}/{mail}/discarding")
    assert (refused.status_code, refused.json["detail"]) == (
        409, "This email is no longer on hold. Its current status is shown.",
    )  # fmt: skip
    put(mail, state="held", error="Held.", settled_at=clock.now())
    assert adam.post(f"{PATH}/{mail}/discarding").json["state"] == "obsolete"
    assert facts("mail.dropped")[-1]["token"] is not None


def test_all_emails_of_a_filter_are_tried_again(adam: Program, company: Company, asked: AccessRequest) -> None:
    mail = notice_about(asked)
    put(mail.public_id, state="dead", error="550 no", settled_at=clock.now())
    assert adam.post("/notices/attempts", {"person": company.rita.public_id}).json == {"count": 0}
    assert adam.post("/notices/attempts", {"state": "dead", "request": asked.public_id}).json == {"count": 1}
    assert adam.get(f"/notices/{mail.public_id}").json["state"] == "due"
    problem(adam.post("/notices/attempts", {"kind": "dragon"}), 422,
            "There is no such kind of email. The documentation lists them.", "kind")  # fmt: skip


@pytest.mark.parametrize(("call", "state"), [("sending", "due"), ("discarding", "obsolete")])
def test_all_emails_on_hold_are_sent_or_discarded(adam: Program, asked: AccessRequest, call: str, state: str) -> None:
    mail = notice_about(asked)
    put(mail.public_id, state="held", error="Held.", settled_at=clock.now())
    held = len(adam.get("/notices?state=held").json["items"])
    assert held and adam.post(f"/notices/held/{call}").json == {"count": held}
    assert adam.get(f"/notices/{mail.public_id}").json["state"] == state
    assert adam.post(f"/notices/held/{call}").json == {"count": 0}


def test_a_test_email_goes_to_the_person_of_the_token(adam: Program, program: Make, company: Company) -> None:
    assert adam.post("/notices/test").status_code == 204
    (mail,) = adam.get("/notices?kind=test").json["items"]
    assert mail["person"]["id"] == company.adam.public_id
    assert program("service").post("/notices/test").status_code == 403


@pytest.mark.both_engines
def test_pages_have_each_email_once_and_take_the_same_statements(adam: Program, company: Company) -> None:
    counts = []
    for more in (1, 20):
        for number in range(more):
            factories.request(company.rita, factories.app(f"App {more} {number}", company.finance))
        adam.get(PATH)
        with counting() as seen:
            adam.get(f"{PATH}?limit=200")
        counts.append(len(seen))
    assert_constant(counts, at_most=2)
    wanted = [one["id"] for one in adam.get(f"{PATH}?limit=200").json["items"]]
    names = iter(range(100))

    def add() -> None:
        factories.request(company.otto, factories.app(f"New {next(names)}", company.ana))

    assert [one["id"] for one in adam.every(f"{PATH}?limit=6", between=add)] == wanted


@pytest.mark.both_engines
def test_one_email_takes_the_same_statements_with_few_and_many_attempts(adam: Program, asked: AccessRequest) -> None:
    mail, counts = notice_about(asked).public_id, []
    for more in (1, 4):
        for _ in range(more):
            choose("write")
            for claim in outbox.claim(1):
                outbox.mark_failed(claim, "451 4.7.1 greylisted")
            put(mail, due_at=clock.now())
        adam.get(f"{PATH}/{mail}")
        with counting() as seen:
            adam.get(f"{PATH}/{mail}")
        counts.append(len(seen))
    assert_constant(counts, at_most=14)


def test_the_log_is_for_its_scope_only(program: Make, company: Company) -> None:
    refused = program("adam", "people:read", "audit:read").get(PATH)
    assert (refused.status_code, refused.json["detail"]) == (
        403, "This token was not made for this. It needs the scope mail:admin.",
    )  # fmt: skip
