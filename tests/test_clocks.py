"""Wrong clocks: a machine that is ahead or behind, a clock that is set while we run, summer time and leap days.

The database's clock is real here and cannot be moved; this process's is moved away from it, as on another machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from zoneinfo import ZoneInfo

import pytest
import time_machine
from flask import Flask, g
from sqlalchemy import select, text

from tests.conftest import Browser
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, open_step, state
from webapp import clock, links
from webapp.admin import filters
from webapp.database.transactions import choose
from webapp.delivery import jobs, mail, outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Decision, Heartbeat, Notice, Person, PersonSession, db_now
from webapp.operations import decisions, expiry, requests
from webapp.operations.errors import Conflict
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import mail_context
from webapp.times import Times, zone
from webapp.workflow.errors import Settled
from webapp.workflow.states import Verdict

TEN = timedelta(minutes=10)
SKEWS = [TEN, -TEN, timedelta(days=2), -timedelta(days=2)]
BERLIN = ZoneInfo("Europe/Berlin")
Machine = Callable[[timedelta], AbstractContextManager[object]]


@pytest.fixture(autouse=True)
def ours_is_right_again() -> Iterator[None]:
    yield
    clock._agreed = None


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """`with machine(TEN):` is on a machine that is ten minutes ahead and has just been started."""

    def started(ahead: timedelta) -> AbstractContextManager[object]:
        monkeypatch.setattr(clock, "_agreed", None)
        return time_machine.travel(datetime.now(UTC) + ahead)

    return started


def database_now() -> datetime:
    now = db.session.scalar(select(db_now()))
    db.session.rollback()
    assert now is not None
    return now


def is_now(instant: datetime | None) -> bool:
    assert instant is not None
    return abs(database_now() - instant) < timedelta(seconds=60)


def due_in(made: AccessRequest, span: timedelta) -> None:
    choose("write")
    open_step(made).due_at = database_now() + span
    db.session.commit()


@pytest.mark.parametrize("skew", SKEWS)
def test_what_a_wrong_machine_writes_down_has_the_right_date(
    machine: Machine, company: Company, skew: timedelta
) -> None:
    app = factories.app("Salesforce", company.ana)
    before = len(events())
    with machine(skew):
        made = factories.request(company.rita, app)
        factories.decide(made, company.ana)
        assert is_now(clock.now())
        # The mails as this machine would send them, and what they say.
        facts = mail_context.load(db.session.scalars(select(Notice.id)).all())
        for one in facts.values():
            said = mail.render(one)
            assert is_now(parsedate_to_datetime(said.extra_headers["Date"]))
            assert is_now(one.notice.created_at)
    assert is_now(db.session.get_one(AccessRequest, made.id).created_at)
    assert is_now(db.session.get_one(AccessRequest, made.id).settled_at)
    assert is_now(db.session.scalars(select(Decision.created_at)).one())
    assert len(events()) > before + 1
    assert all(is_now(datetime.fromisoformat(line["at"])) for line in events()[before:])


@pytest.mark.parametrize("skew", [TEN, timedelta(days=2)])
def test_nothing_expires_early_on_a_machine_that_is_ahead(machine: Machine, company: Company, skew: timedelta) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    due_in(made, timedelta(minutes=5))
    with machine(skew):
        choose("write")
        expiry.expire_overdue(now=clock.now())
        outbox.commit()
        assert state(made) == "pending"
        factories.decide(made, company.ana)
    assert state(made) == "approved"


@pytest.mark.parametrize("skew", [-TEN, -timedelta(days=2)])
def test_nobody_decides_late_on_a_machine_that_is_behind(machine: Machine, company: Company, skew: timedelta) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    due_in(made, -timedelta(minutes=5))
    with machine(skew):
        with pytest.raises(Settled):
            factories.decide(made, company.ana)
        db.session.rollback()
        expiry.expire_overdue(now=clock.now())
        outbox.commit()
    assert state(made) == "expired"
    assert is_now(db.session.get_one(AccessRequest, made.id).settled_at)


def test_a_decision_that_was_begun_in_time_and_comes_too_late_is_refused(company: Company) -> None:
    """The due instant is looked at once more by the statement that decides."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    choose("write")
    case = factories.case_of(made)
    ana = db.session.get_one(Person, company.ana.id)
    step = case.open_step
    assert step is not None
    db.session.execute(
        text("UPDATE steps SET due_at = :due WHERE id = :id"),
        {"due": (database_now_inside() - timedelta(seconds=1)).strftime("%Y-%m-%d %H:%M:%S.%f"), "id": step.id}
        if db.engine.dialect.name == "sqlite"
        else {"due": database_now_inside() - timedelta(seconds=1), "id": step.id},
    )
    with pytest.raises(Conflict):
        decisions.decide(case, actor=ana, verdict=Verdict.APPROVED, proof=SIGNED_IN, now=clock.now())
    db.session.rollback()
    assert state(made) == "pending"


def database_now_inside() -> datetime:
    now = db.session.scalar(select(db_now()))
    assert now is not None
    return now


@pytest.mark.parametrize("skew", SKEWS)
def test_a_lease_is_as_long_on_every_machine(machine: Machine, company: Company, skew: timedelta) -> None:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    choose("write")
    assert outbox.claim(10)
    with machine(skew):
        choose("write")
        assert outbox.claim(10) == [], "the other machine still has it"
        assert is_now(database_now())


def test_asking_again_waits_a_day_by_the_databases_clock(machine: Machine, company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    made.created_at = database_now() - timedelta(hours=23, minutes=55)
    db.session.merge(made)
    db.session.commit()
    with machine(TEN), pytest.raises(Conflict):
        requests.remind(factories.case_of(made), actor=company.rita, now=clock.now())
    db.session.rollback()


def test_a_clock_that_is_set_while_we_run_moves_nothing(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.ben)
    made = factories.request(company.rita, app)
    for away in (timedelta(hours=-1), timedelta(hours=3), timedelta(days=-400)):
        before = clock.now()
        with time_machine.travel(datetime.now(UTC) + away):
            assert abs(clock.now() - before) < timedelta(seconds=30), "before the database was asked again"
            assert is_now(clock.now())
            jobs.beat("worker")
    with time_machine.travel(datetime.now(UTC) - timedelta(hours=1)):
        factories.decide(made, company.ana)
    factories.decide(made, company.ben)
    created = db.session.get_one(AccessRequest, made.id).created_at
    decided = db.session.scalars(select(Decision.created_at).order_by(Decision.id)).all()
    assert created <= decided[0] <= decided[1]


def test_a_difference_is_logged_once(machine: Machine, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    with machine(TEN):
        for _ in range(3):
            database_now()
    assert caplog.text.count("This machine's clock is not the database's") == 1


def test_a_worker_on_a_wrong_machine_is_alive_now(machine: Machine, app: Flask) -> None:
    with machine(-timedelta(days=2)):
        choose("write")
        jobs.beat("worker")
    assert is_now(db.session.scalars(select(Heartbeat.at)).one())


@pytest.mark.parametrize("skew", [TEN, -TEN])
def test_a_session_of_one_machine_is_known_to_the_others_at_once(
    machine: Machine, app: Flask, company: Company, login_as: Callable[[Person | None], Browser], skew: timedelta
) -> None:
    with machine(skew):
        rita = login_as(company.rita)
        assert rita.get("/").status_code == 200
    clock._agreed = None
    assert rita.get("/").status_code == 200


def test_a_cookie_from_next_week_is_none(
    machine: Machine, company: Company, login_as: Callable[[Person | None], Browser]
) -> None:
    with machine(timedelta(days=7)):
        rita = login_as(company.rita)
    clock._agreed = None
    assert rita.get("/").status_code == 303


def test_a_password_link_that_a_machine_ahead_has_mailed_works_at_once(
    machine: Machine, app: Flask, company: Company
) -> None:
    token = links.password_token(company.rita.public_id, 0, datetime.now(UTC) + TEN)
    assert links.verify_password_link(token) == (company.rita.public_id, 0)
    far = links.password_token(company.rita.public_id, 0, datetime.now(UTC) + timedelta(days=7))
    assert links.verify_password_link(far) is None


def test_a_password_given_in_the_future_proves_nothing(
    company: Company, login_as: Callable[[Person | None], Browser]
) -> None:
    """As when a clock was set back: else the fifteen minutes would last as long as it was ahead."""
    adam = login_as(company.adam)
    choose("write")
    session = db.session.scalars(select(PersonSession).where(PersonSession.person_id == company.adam.id)).one()
    for ahead, status in ((timedelta(0), 303), (timedelta(hours=1), 401)):
        session = db.session.get_one(PersonSession, session.id)
        session.reauthenticated_at = clock.now() + ahead
        db.session.commit()
        answer = adam.post("/admin/groups", {"name": f"Group {ahead.seconds}"})
        assert answer.status_code == status


# Summer time and leap days


def test_a_day_of_a_time_limit_has_24_hours_whatever_the_clocks_do(app: Flask, engine: str) -> None:
    if engine == "postgresql":
        db.session.execute(text("SET LOCAL TIME ZONE 'America/New_York'"))
    day = 24 * 3600
    for days in range(1, 367, 5):  # a year has both changes of the clocks
        now, then = db.session.execute(select(db_now(), db_now(days * day))).one()
        assert abs((then - now) - timedelta(days=days)) < timedelta(seconds=2)


@pytest.mark.parametrize(
    ("opened", "days", "due"),
    [
        # Two hours are two: 72 hours later it is an hour earlier by the clock on the wall.
        (datetime(2026, 10, 23, 10, 0, tzinfo=BERLIN), 3, "Monday 26 October, 09:00"),
        (datetime(2026, 3, 27, 10, 0, tzinfo=BERLIN), 3, "Monday 30 March, 11:00"),
        # The hour that comes twice is said with which one.
        (datetime(2026, 10, 24, 2, 30, tzinfo=BERLIN), 1, "Sunday 25 October, 02:30 CEST"),
        (datetime(2026, 10, 24, 3, 30, tzinfo=BERLIN), 1, "Sunday 25 October, 02:30 CET"),
        (datetime(2028, 2, 28, 12, 0, tzinfo=BERLIN), 1, "Tuesday 29 February 2028, 12:00"),
        (datetime(2028, 2, 29, 12, 0, tzinfo=BERLIN), 1, "Wednesday 1 March 2028, 12:00"),
        (datetime(2027, 2, 28, 12, 0, tzinfo=BERLIN), 1, "Monday 1 March 2027, 12:00"),
    ],
)
def test_a_deadline_in_the_readers_words(opened: datetime, days: int, due: str) -> None:
    times = Times(zone("Europe/Berlin"), datetime(2026, 6, 1, tzinfo=UTC))
    instant = opened.astimezone(UTC) + timedelta(days=days)
    assert times.due(instant) == due
    assert times.local(instant).astimezone(UTC) == instant


@pytest.mark.parametrize(
    ("day", "hours"),
    [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2028, 2, 29), 24), (date(2026, 11, 26), 24)],
)
def test_a_day_of_a_filter_is_the_readers_day(app: Flask, day: date, hours: int) -> None:
    with app.test_request_context("/"):
        g.times = Times(zone("Europe/Berlin"), datetime(2026, 11, 26, tzinfo=UTC))
        begin, end = filters.begin(day), filters.end(day)
        assert begin is not None and end is not None
        assert end - begin == timedelta(hours=hours)
        assert begin.astimezone(BERLIN).date() == day


def test_ago_never_goes_wrong_when_the_clocks_change() -> None:
    now = datetime(2026, 10, 25, 1, 10, tzinfo=UTC)  # 02:10 for the second time
    times = Times(zone("Europe/Berlin"), now)
    assert times.ago(now - timedelta(minutes=50)) == "50 minutes ago"
    assert times.ago(now - timedelta(hours=1)) == "today, 02:10 CEST"
    assert times.ago(now - timedelta(hours=2)) == "today, 01:10"
