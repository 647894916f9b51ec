"""Claiming, sending, marking: what is retried, what is dead, what is no longer so."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes, policy
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.queue import Drain, asked, due_again, notices, seconds_until_due, stops_now
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import jobs, lease, outbox
from webapp.delivery.mail import kinds
from webapp.delivery.mail import smtp as smtp_module
from webapp.extensions import broker, db
from webapp.models import AccessRequest, Heartbeat, Notice
from webapp.operations import people


def test_a_batch_goes_over_one_connection(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company, 7)
    drain()
    assert len(smtp.mails) == 7
    assert smtp.connections == 1
    assert smtp.hosts == ["localhost"]
    assert {one[1] for one in notices()} == {"sent"}


def test_more_than_a_batch_is_drained(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company, jobs.BATCH + 3)
    drain()
    assert len(smtp.mails) == jobs.BATCH + 3
    assert smtp.connections == 2


def test_a_second_drain_sends_nothing(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company)
    drain()
    drain()
    assert len(smtp.mails) == 1


def test_a_retry_is_the_same_but_for_its_date(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    """An old date would put the email below those that came since, where nobody looks."""
    seen: list[bytes] = []

    def refuse_once(envelope: Any) -> str | None:
        seen.append(envelope.content)
        return "451 later" if len(seen) <= 2 else None

    smtp.hooks["DATA"] = refuse_once
    asked(company)
    choose("write")
    people.mail_invitation(company.otto, now=clock.now())
    outbox.commit()
    hours_ago = clock.now() - timedelta(hours=5)
    db.session.execute(update(Notice).values(created_at=hours_ago))
    db.session.commit()
    drain()
    assert smtp.mails == []
    time.sleep(1.1)
    due_again()
    drain()
    assert len(seen) == 4

    def dateless(content: bytes) -> bytes:
        return re.sub(rb"(?m)^Date: .*\r\n", b"", content)

    assert {dateless(one) for one in seen[:2]} == {dateless(one) for one in seen[2:]}
    dates = [message_from_bytes(one, policy=policy.default)["Date"].datetime for one in seen]
    assert max(dates[:2]) < min(dates[2:]) and all(clock.now() - one < timedelta(minutes=1) for one in dates)


def test_a_temporary_refusal_is_tried_again_later(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.hooks["RCPT"] = lambda envelope: "450 4.2.1 mailbox busy"
    asked(company)
    drain()
    assert notices() == [("approval-asked", "due", 1, "The recipient was refused: 450 4.2.1 mailbox busy")]
    (wait,) = seconds_until_due()
    assert 45 < wait < 75
    drain()
    assert notices()[0][2] == 1
    due_again()
    drain()
    (wait,) = seconds_until_due()
    assert 235 < wait < 365


def test_after_the_last_try_a_notice_is_dead(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.hooks["DATA"] = lambda envelope: "451 later"
    asked(company)
    for _ in range(outbox.TRIES):
        due_again()
        drain()
    assert notices() == [("approval-asked", "dead", outbox.TRIES, "The mail server answered 451 later")]


@pytest.mark.parametrize(
    ("command", "reply", "state", "tries", "stopped"),
    [
        ("RCPT", "550 5.1.1 no such user", "dead", 1, ""),
        ("RCPT", "552 5.2.2 mailbox full", "due", 1, ""),
        ("DATA", "552 5.3.4 too large", "due", 1, ""),
        ("DATA", "554 5.7.1 looks like spam to us", "due", 1, ""),
        ("DATA", "452 no room", "due", 1, ""),
        ("RCPT", "550 5.7.1 relaying denied", "due", 0, "relay"),
        ("RCPT", "530 authentication required", "due", 0, "sign-in"),
        ("DATA", "550 5.4.5 daily quota exceeded", "due", 0, "limit"),
        ("MAIL", "550 this sender may not", "due", 0, "sender"),
        ("MAIL", "451 4.3.0 not now", "due", 0, "busy"),
    ],
)
def test_whose_fault_a_refusal_is(
    company: Company, smtp: SmtpServer, drain: Drain, command: str, reply: str, state: str, tries: int, stopped: str
) -> None:
    smtp.hooks[command] = lambda envelope: reply
    asked(company)
    drain()
    ((_, found, count, error),) = notices()
    assert (found, count) == (state, tries)
    assert [one.cause for one in stops_now()] == ([stopped] if stopped else [])
    assert reply in (error if tries or command != "MAIL" else stops_now()[0].answer)


def test_one_bad_recipient_does_not_hold_up_the_others(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.hooks["RCPT"] = lambda envelope: "550 5.1.1 unknown" if "ben@example.com" in envelope.rcpt_tos else None
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    asked(company, 2)
    drain()
    assert sorted(one[1] for one in notices()) == ["dead", "sent", "sent", "sent"]
    assert smtp.connections == 1


def test_a_dropped_connection_is_opened_again(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.drop = 1
    asked(company, 3)
    drain()
    assert sorted(one[1] for one in notices()) == ["due", "sent", "sent"]
    assert smtp.connections == 2
    due_again()
    drain()
    assert len(smtp.mails) == 3


def test_a_server_that_hangs_is_left_in_time(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = smtp_module.connect
    monkeypatch.setattr(smtp_module, "connect", lambda: real(message_seconds=0.4))
    smtp.hang = 3
    asked(company, 2)
    began = time.monotonic()
    drain()
    assert time.monotonic() - began < 2.5
    assert [one[1:] for one in notices()] == [("due", 1, "The mail server did not respond within 0.4 seconds.")] * 2


def test_a_whole_message_ends_before_half_of_the_lease() -> None:
    assert smtp_module.MESSAGE_SECONDS < lease.LEASE_SECONDS / 2
    assert jobs.BATCH_SECONDS + smtp_module.MESSAGE_SECONDS < lease.LEASE_SECONDS


def test_a_mail_that_cannot_be_written_blocks_nobody(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    asked(company)
    choose("write")
    people.mail_invitation(company.otto, now=clock.now())
    outbox.commit()

    def broken(facts: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setitem(kinds.RENDERERS, "approval-asked", broken)
    drain()
    assert [one[1:3] for one in notices()] == [("due", 1), ("sent", 1)]
    assert "a bug" in caplog.text


def test_a_notice_that_ends_every_worker_is_given_up(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company)
    db.session.execute(update(Notice).values(tries=outbox.TRIES))
    db.session.commit()
    drain()
    assert notices()[0][1] == "dead"
    assert smtp.mails == []


def test_a_lost_lease_is_not_sent(company: Company, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked(company, 2)
    choose("write")
    first = outbox.claim(20)
    db.session.execute(update(Notice).values(lease_until=clock.now() - timedelta(seconds=1)))
    db.session.commit()
    jobs.drain()
    assert len(smtp.mails) == 2
    jobs._send(first)
    assert len(smtp.mails) == 2
    assert not outbox.mark_failed(first[0], "late")
    assert {one[1] for one in notices()} == {"sent"}


def test_a_lease_that_is_lost_while_the_batch_is_sent(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(company, 2)
    real = jobs._send_one

    def lose_second(left: Any, facts: Any, connection: Any) -> None:
        real(left, facts, connection)
        if len(smtp.mails) == 1:
            choose("write")
            db.session.execute(update(Notice).where(Notice.state == "leased").values(lease="another worker's"))
            db.session.commit()

    monkeypatch.setattr(jobs, "_send_one", lose_second)
    drain()
    assert len(smtp.mails) == 1
    assert [one[1] for one in notices()] == ["sent", "leased"]


def test_stopping_gives_back_what_was_not_tried(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company, 3)

    def stop_after_one(envelope: Any) -> None:
        jobs.stopping.set()

    smtp.hooks["DATA"] = stop_after_one
    try:
        drain()
    finally:
        jobs.stopping.clear()
        smtp.hooks.clear()
    assert [one[1:3] for one in notices()] == [("sent", 1), ("due", 0), ("due", 0)]
    drain()
    assert len(smtp.mails) == 3


def test_no_transaction_is_open_while_a_mail_is_sent(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    held: list[bool] = []
    session = db.session()
    smtp.hooks["DATA"] = lambda envelope: held.append(session.in_transaction())
    asked(company, 2)
    drain()
    assert held == [False, False]


def test_an_expiry_in_flight_is_found_by_the_sweep(company: Company, smtp: SmtpServer) -> None:
    (made,) = asked(company)
    factories.overdue(made)
    choose("write")
    jobs.sweep()
    assert [mail.subject for mail in smtp.mails] == ["Expired: your request for App 00"]
    assert [one[:2] for one in notices()] == [
        ("approval-asked", "obsolete"), ("request-expired", "obsolete"), ("request-expired", "sent"),
    ]  # fmt: skip
    jobs.sweep()
    assert len(smtp.mails) == 1


def test_a_sweep_with_much_to_send_ends_what_is_overdue_meanwhile(
    company: Company, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = asked(company, 3)[-1].id
    monkeypatch.setattr(jobs, "BATCH", 1)
    monkeypatch.setattr(jobs, "EXPIRE_SECONDS", -1)
    real = jobs._send

    def send(claims: Any) -> bool:
        monkeypatch.setattr(jobs, "_send", real)
        choose("write")
        factories.overdue(db.session.get_one(AccessRequest, last))
        return real(claims)

    monkeypatch.setattr(jobs, "_send", send)
    choose("write")
    jobs.sweep()
    assert [mail.subject for mail in smtp.mails][-1] == "Expired: your request for App 02"
    assert len(smtp.mails) == 3


def test_the_sweep_forgets_old_heartbeats_and_a_beat_renews(app: Flask) -> None:
    choose("write")
    jobs.beat("new:1")
    db.session.add(Heartbeat(name="old:1", at=clock.now() - timedelta(days=3)))
    db.session.commit()
    jobs.sweep()
    assert [row.name for row in db.session.query(Heartbeat)] == ["new:1"]
    before = db.session.query(Heartbeat).one().at
    db.session.rollback()
    time.sleep(0.01)
    jobs.beat("new:1")
    db.session.expire_all()
    assert db.session.query(Heartbeat).one().at > before


def test_a_long_drain_rings_for_the_next(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(company, 2)
    broker().flushdb()
    monkeypatch.setattr(jobs, "DRAIN_SECONDS", -1)
    drain()
    assert broker().llen("rq:queue:countersign") == 1


def test_one_process_has_one_conversation_at_a_time(
    app: Flask, company: Company, smtp: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Else a kill could leave two mails that the server has and nobody has marked.
    for number in range(6):
        factories.request(company.rita, factories.app(f"App {number}", company.ana))
    monkeypatch.setattr(jobs, "BATCH", 1)
    talking, most = 0, 0

    def begin(envelope: Any) -> None:
        nonlocal talking, most
        talking += 1
        most = max(most, talking)

    def end() -> None:
        nonlocal talking
        talking -= 1

    smtp.hooks["DATA"], smtp.after_accepting, smtp.hang = begin, end, 0.05  # type: ignore[assignment]

    def work(job: Callable[[], None]) -> None:
        with app.app_context():
            choose("write")
            job()
            db.session.remove()

    threads = [threading.Thread(target=work, args=(job,)) for job in (jobs.drain, jobs.sweep, jobs.drain)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(smtp.mails), most) == (6, 1)
