"""A fault of the installation stops all emails, costs none of them an attempt, and ends by one that gets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError

from tests.conftest import POSTGRESQL
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.smtp_server import SmtpServer
from tests.mail.queue import asked, due_again, notices, stops_now
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.delivery.mail import kinds
from webapp.extensions import db
from webapp.models import MailStop, Notice
from webapp.notices import why_obsolete
from webapp.operations import people
from webapp.queries import mail_context, notice_status

Drain = Callable[[], None]


def another_turn() -> None:
    """The pause before the next attempt is over."""
    choose("write")
    db.session.execute(update(MailStop).values(next_try_at=clock.now()))
    db.session.commit()


def answers() -> list[str]:
    db.session.rollback()
    found = list(db.session.execute(text("SELECT answer FROM mail_attempts ORDER BY id")).scalars())
    db.session.rollback()
    return found


def test_a_server_that_is_away_costs_nobody_an_attempt(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company, jobs.BATCH + 5)
    smtp.stop()
    for _ in range(3):
        drain()
        another_turn()
    assert {one[1:3] for one in notices()} == {("due", 0)}
    (stop,) = stops_now()
    assert (stop.cause, stop.failures) == ("unreachable", 3)
    assert "Cannot connect to the mail server 127.0.0.1" in stop.answer and "Connection refused" in stop.answer
    smtp.start()
    drain()
    assert len(smtp.mails) == jobs.BATCH + 5
    assert stops_now() == []


def test_while_emails_are_stopped_one_at_a_time_finds_out(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.hooks["RCPT"] = lambda envelope: "550 relay not permitted"
    asked(company, 4)
    for turn in range(outbox.TRIES + 2):
        drain()
        assert smtp.connections == turn + 1
        drain()  # before its turn nobody tries
        assert smtp.connections == turn + 1
        another_turn()
    assert {one[1:3] for one in notices()} == {("due", 0)}
    assert len(answers()) == outbox.TRIES + 2 and set(answers()) == {
        "The recipient was refused: 550 relay not permitted"
    }
    smtp.hooks.clear()
    drain()
    assert len(smtp.mails) == 4 and stops_now() == []


def test_the_pauses_become_longer(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.stop()
    asked(company)
    seconds = []
    for _ in range(6):
        drain()
        db.session.rollback()
        stop = db.session.query(MailStop).one()
        seconds.append(round((stop.next_try_at - clock.now()).total_seconds(), -1))
        another_turn()
    smtp.start()
    assert seconds == [30, 60, 120, 300, 600, 600]


def test_what_the_server_says_of_one_recipient_only_becomes_that_ones_own(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    """Relaying may be refused for one domain only: the others must not wait for it again and again."""
    smtp.hooks["RCPT"] = lambda envelope: (
        "550 5.7.54 Unable to relay recipient" if "ben@example.com" in envelope.rcpt_tos else None
    )
    factories.request(company.rita, factories.app("Salesforce", company.finance))
    asked(company, 2)
    drain()
    assert [one.cause for one in stops_now()] == ["relay"]
    another_turn()
    drain()
    assert stops_now() == []
    assert sorted(one[1:3] for one in notices()) == [("due", 1), ("sent", 1), ("sent", 1), ("sent", 1)]
    for _ in range(outbox.TRIES):
        due_again()
        drain()
    assert stops_now() == []
    assert sorted(one[1] for one in notices()) == ["dead", "sent", "sent", "sent"]


def test_an_answer_about_one_recipient_ends_the_stop(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.hooks["MAIL"] = lambda envelope: "550 5.4.5 quota"
    asked(company, 3)
    drain()
    smtp.hooks = {"RCPT": lambda envelope: "550 5.1.1 nobody" if len(smtp.mails) == 0 else None}
    another_turn()
    drain()
    assert stops_now() == [] and {one[1] for one in notices()} == {"dead"}


def test_when_nothing_is_due_a_greeting_is_enough(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    asked(company)
    smtp.stop()
    drain()
    db.session.execute(update(Notice).values(state="obsolete"))
    db.session.commit()
    another_turn()
    drain()
    assert stops_now()[0].failures == 2
    smtp.start()
    another_turn()
    drain()
    assert stops_now() == []


def test_a_mail_that_finds_nothing_out_leaves_the_turn_to_the_next(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    made = asked(company, 3)
    smtp.stop()
    drain()
    smtp.start()
    factories.decide(made[0], company.ana)
    another_turn()
    drain()
    assert stops_now() == []
    assert sorted(one[1] for one in notices("approval-asked")) == ["obsolete", "sent", "sent"]


@pytest.mark.parametrize("engine", ["sqlite"])
def test_a_sender_that_is_no_address_is_the_installations_fault(
    app: Flask, company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = app.extensions["settings"]
    monkeypatch.setitem(app.extensions, "settings", replace(settings, mail_default_sender="no address"))
    asked(company, 2)
    drain()
    assert {one[1:3] for one in notices()} == {("due", 0)}
    assert stops_now()[0].cause == "sender" and "MAIL_DEFAULT_SENDER" in stops_now()[0].answer


def test_a_server_that_goes_before_it_hears_of_a_mail_costs_none(
    company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    def gone(envelope: Any) -> str | None:
        if len(smtp.mails) == 1:
            for transport in list(smtp._transports):
                transport.abort()
        return None

    smtp.hooks["MAIL"] = gone
    asked(company, 3)
    drain()
    assert sorted(one[1:3] for one in notices()) == [("due", 0), ("due", 0), ("sent", 1)]
    assert stops_now()[0].cause == "unreachable"
    smtp.hooks.clear()
    another_turn()
    drain()
    assert len(smtp.mails) == 3


@pytest.mark.parametrize("where", ["load", "data"])
def test_a_mail_that_cannot_be_read_holds_up_no_other(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    asked(company, 2)
    choose("write")
    people.mail_invitation(company.otto, now=clock.now())
    outbox.commit()
    bad = db.session.query(Notice).filter_by(kind="invitation").one().id
    if where == "load":
        real = mail_context.load

        def load(ids: Any) -> Any:
            if bad in ids:
                raise KeyError("comment")
            return real(ids)

        monkeypatch.setattr(mail_context, "load", load)
    else:
        db.session.execute(update(Notice).where(Notice.id == bad).values(kind="request-comment", data_json="[]"))
        db.session.commit()
    drain()
    assert [one[1:3] for one in notices()] == [("sent", 1), ("sent", 1), ("due", 1)]
    assert notices()[2][3] == jobs.NOT_CREATED


@pytest.mark.parametrize("at", ["statuses", "mark_sent", "load"])
def test_a_database_that_goes_in_the_middle_costs_no_attempt_and_doubles_nothing(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    asked(company, 3)
    place = {"statuses": notice_status, "load": mail_context, "mark_sent": outbox}[at]
    real, give_back = getattr(place, at), outbox.give_back
    away = {"is": True}

    def gone(function: Any) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            if away["is"] and (at == "load" or len(smtp.mails) == 1):
                raise OperationalError("", {}, psycopg.OperationalError("gone"))
            return function(*given, **named)

        return call

    monkeypatch.setattr(place, at, gone(real))
    monkeypatch.setattr(outbox, "give_back", gone(give_back))
    with pytest.raises(OperationalError):
        drain()
    assert "leased" in {one[1] for one in notices()}
    away["is"] = False
    drain()
    assert [one[1:3] for one in notices()] == [("sent", 1)] * 3
    assert len(smtp.mails) == 3


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_connections_to_the_database_that_are_cut_cost_no_attempt(
    app: Flask, company: Company, smtp: SmtpServer, drain: Drain
) -> None:
    asked(company, 3)
    url = app.extensions["settings"].database_url.replace("+psycopg", "")

    def cut(envelope: Any) -> None:
        if len(smtp.mails) == 1:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid()"
                )

    smtp.hooks["DATA"] = cut
    try:
        drain()
    except Exception:
        smtp.hooks.clear()
        drain()
    db.engine.dispose()
    assert [one[1:3] for one in notices()] == [("sent", 1)] * 3
    assert len(smtp.mails) == 3


def test_a_bug_between_two_mails_leaves_nothing_leased(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(company, 3)
    real = why_obsolete

    def broken(now: Any) -> str:
        if len(smtp.mails) == 1:
            raise RuntimeError("a bug")
        return real(now)

    monkeypatch.setattr("webapp.notices.why_obsolete", broken)
    with pytest.raises(RuntimeError):
        drain()
    assert [one[1:3] for one in notices()] == [("sent", 1), ("due", 0), ("due", 0)]


def test_what_the_server_said_when_it_took_a_mail_is_kept(company: Company, smtp: SmtpServer, drain: Drain) -> None:
    smtp.taken = "250 2.0.0 queued as 4711"
    asked(company)
    drain()
    db.session.rollback()
    assert db.session.query(Notice).one().answer == "250 2.0.0 queued as 4711"


def test_a_template_that_is_broken_counts_for_its_own_mails_only(
    company: Company, smtp: SmtpServer, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(company)
    choose("write")
    people.mail_invitation(company.otto, now=clock.now())
    outbox.commit()

    def broken(facts: Any) -> Any:
        raise UnicodeEncodeError("ascii", "ü", 0, 1, "a header")

    monkeypatch.setitem(kinds.RENDERERS, "approval-asked", broken)
    drain()
    assert [one[1:3] for one in notices()] == [("due", 1), ("sent", 1)]
    assert notices()[0][3] == jobs.NOT_CREATED and stops_now() == []
