"""Who does what mails others in a loop is stopped, and told when it goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.helpers import changes, factories
from tests.helpers.factories import Company, case_of, rows
from tests.helpers.lookups import count_mails
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Person
from webapp.operations import _repeat_limits, comments, grants, people
from webapp.operations.errors import Conflict, Invalid


def ask_and_cancel(person: Person, app: App) -> None:
    made = factories.request(person, app)
    changes.cancel(made, person)


def add_and_remove(of: Company, app: App, *, give: bool) -> None:
    choose("write")
    if give:
        grant = grants.give(app, factories.revision_of(app), person=of.rita, actor=of.adam, given={}, reason="So.",
                            now=clock.now())  # fmt: skip
    else:
        grant = grants.add_directly(app, factories.revision_of(app), actor=of.rita, now=clock.now())
    outbox.commit()
    grants.remove(grant, actor=of.adam, reason="So.", now=clock.now())
    outbox.commit()


def until_refused(act: Callable[[], object], sentence: str, kind: type[Exception] = Conflict) -> tuple[int, int]:
    """(how often it went, how many mails that made); the next time it is refused, which changes nothing."""
    mails = count_mails()
    for times in range(100):
        told, events = count_mails(), rows("events")
        try:
            act()
        except kind as error:
            db.session.rollback()
            assert sentence in str(error), error
            assert (count_mails(), rows("events")) == (told, events)
            return times, told - mails
    raise AssertionError("It went on for a hundred times.")


def test_asking_and_cancelling_in_a_loop_ends(company: Company) -> None:
    figma, zoom = factories.app("Figma", company.finance), factories.app("Zoom", company.ana)
    said = "You have requested Figma 5 times in the last 24 hours. You can request it again in 24 hours."
    assert until_refused(lambda: ask_and_cancel(company.rita, figma), said) == (5, 20)
    ask_and_cancel(company.rita, zoom)
    ask_and_cancel(company.otto, figma)
    changes.shift("requests", "created_at", timedelta(hours=-23))
    assert until_refused(lambda: ask_and_cancel(company.rita, figma), "again in 60 minutes.")[0] == 0
    changes.shift("requests", "created_at", timedelta(minutes=-61))
    ask_and_cancel(company.rita, figma)


def test_one_person_asks_for_so_many_apps_a_day(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_repeat_limits, "REQUESTS_A_DAY", 3)
    many = [factories.app(f"App {number}", company.ana) for number in range(5)]
    left = iter(many)
    said = "You have sent 3 requests in the last 24 hours. You can send the next one in 24 hours."
    assert until_refused(lambda: factories.request(company.rita, next(left)), said)[0] == 3


@pytest.mark.parametrize("give", [False, True])
def test_giving_and_removing_in_a_loop_ends(company: Company, give: bool) -> None:
    figma = factories.app("Figma", owner=company.otto)
    said = "Figma was added and removed 5 times in the last 24 hours. It can be added again in 24 hours."
    assert until_refused(lambda: add_and_remove(company, figma, give=give), said)[0] == 5
    changes.shift("grants", "created_at", timedelta(days=-1))
    add_and_remove(company, figma, give=give)


def test_a_talk_is_not_a_flood(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Figma", company.finance))
    words = iter(f"And {number}." for number in range(100))

    def say() -> None:
        choose("write")
        comments.add(case_of(made), actor=company.rita, body=next(words), now=clock.now())
        outbox.commit()

    said = (
        "You have written 10 comments on this request in the last hour. Your text is still here. You can send it in 60 "
    )
    assert until_refused(say, said, Invalid) == (10, 20)
    changes.comment(made, company.ben, "Enough.")
    changes.shift("comments", "created_at", timedelta(hours=-1))
    say()


def test_links_to_set_a_password_are_sent_three_times_an_hour(company: Company) -> None:
    def forgotten() -> int:
        choose("write")
        people.mail_forgotten_password(company.rita, now=clock.now())
        outbox.commit()
        return rows("notices", "kind = 'password-reset'")

    assert [forgotten() for _ in range(5)] == [1, 2, 3, 3, 3]
    changes.shift("notices", "created_at", timedelta(hours=-1))
    assert forgotten() == 4


@pytest.mark.parametrize("invited", [False, True])
def test_nor_does_an_admin_send_more(company: Company, invited: bool) -> None:
    if not invited:
        factories.with_password(company.rita)
        db.session.expire_all()

    def send() -> None:
        choose("write")
        act = people.send_invitation_again if invited else people.reset_password
        act(db.session.merge(company.rita), actor=company.adam, now=clock.now())
        outbox.commit()
        changes.shift("notices", "due_at", timedelta(), "true")
        db.session.query(outbox.Notice).update({"state": "sent"})
        db.session.commit()

    said = "3 emails with a link were sent to Rita Lindqvist in the last hour. You can send the next one in 60 minutes."
    assert until_refused(send, said)[0] == 3


def test_a_wait_is_told_in_minutes_or_hours() -> None:
    seconds = {0: "1 minute", 59: "1 minute", 61: "2 minutes", 7199: "2 hours", 7140: "119 minutes", 86400: "24 hours"}
    assert {one: _repeat_limits._when(timedelta(seconds=one)) for one in seconds} == {
        one: f"in {words}" for one, words in seconds.items()
    }
