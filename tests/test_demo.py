"""The demo company: what a newcomer finds, and that it is true."""

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import func, select

from tests.conftest import Rows
from tests.helpers import factories
from tests.helpers.factories import rows
from webapp import clock, demo
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.delivery.out import signing
from webapp.demo.diary import Diary
from webapp.demo.sent_emails import DAYS
from webapp.embedded import hookstore, mailstore
from webapp.encryption import decrypt
from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    App,
    Delivery,
    Endpoint,
    EndpointSecret,
    EntitlementField,
    Event,
    Grant,
    Invitation,
    Notice,
    Person,
    PolicyRevision,
    Step,
)
from webapp.operations import expiry
from webapp.passwords import fits
from webapp.queries.approvals import waiting_for
from webapp.record import audit
from webapp.web.assets import APP_ICONS
from webapp.workflow.states import Assurance, Visibility

# What the story says is the same on both; that it can be told is tried on both.
ON_ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


FOLDERS = ("mailbox", "webhooks")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[str, Rows]]]:
    """What the demo said and made on each engine: it is made once, and put back for every test."""
    return tmp_path_factory.mktemp("demo"), {}


@pytest.fixture
def seeded(app: Flask, engine: str, told: tuple[Path, dict[str, tuple[str, Rows]]]) -> str:
    folder, made = told
    data = app.extensions["settings"].data
    choose("write")
    if engine in made:
        said, every = made[engine]
        every.put()
        db.session.commit()
        for name in FOLDERS:
            shutil.rmtree(data / name, ignore_errors=True)
            shutil.copytree(folder / engine / name, data / name)
    else:
        mailstore.empty(data / "mailbox")
        hookstore.empty(data / "webhooks")
        said = demo.seed(now=clock.now())
        made[engine] = said, Rows()
        for name in FOLDERS:
            shutil.copytree(data / name, folder / engine / name)
    db.session.remove()
    return said


def person(name: str) -> Person:
    return db.session.scalars(select(Person).where(Person.name.startswith(name))).one()


def app_of(name: str) -> App:
    return db.session.scalars(select(App).where(App.name == name)).one()


def apps_of(someone: Person) -> set[str]:
    return set(
        db.session.scalars(select(App.name).join(Grant).where(Grant.person_id == someone.id, Grant.state == "active"))
    )


def requests_of(someone: Person, state: str) -> dict[str, AccessRequest]:
    found = db.session.execute(
        select(App.name, AccessRequest)
        .join(App, App.id == AccessRequest.app_id)
        .where(AccessRequest.for_person_id == someone.id, AccessRequest.state == state)
    )
    return {row[0]: row[1] for row in found}


def test_the_company_has_people_groups_apps_and_requests_in_every_state(seeded: str) -> None:
    assert "rita@example.com" in seeded and "countersign-demo" in seeded
    assert (rows("people"), rows("groups"), rows("apps")) == (12, 3, 25)
    assert 55 <= rows("requests") <= 70
    for state in ("pending", "approved", "denied", "expired", "cancelled"):
        assert rows("requests", f"state = '{state}'") >= 3, state
    for state in ("waiting", "open", "approved", "denied", "expired", "skipped"):
        assert rows("steps", f"state = '{state}'") >= 1, state
    for state in ("provisioning", "active", "removed", "failed"):
        assert rows("grants", f"state = '{state}'") >= 1, state
    assert {app.icon for app in db.session.scalars(select(App))} <= set(APP_ICONS)
    for table in ("comments", "decisions", "entitlements", "audiences"):
        assert rows(table) > 0, table


def test_a_second_run_changes_nothing_and_says_so(seeded: str) -> None:
    choose("write")
    before = (rows("people"), rows("events"), rows("requests"))
    assert demo.seed(now=clock.now()) == "The demo company is here already; nothing was changed."
    assert (rows("people"), rows("events"), rows("requests")) == before


def test_an_installation_with_people_is_left_alone(app: Flask) -> None:
    factories.person("Vera Somebody")
    choose("write")
    assert "nothing was changed" in demo.seed(now=clock.now())
    assert (rows("people"), rows("apps")) == (1, 0)


def test_the_record_holds_and_tells_the_story_in_order(seeded: str) -> None:
    choose("read")
    lines, broken = audit.verify()
    assert broken is None
    assert lines == rows("events")
    instants = list(db.session.scalars(select(Event.at).order_by(Event.seq)))
    assert instants == sorted(instants)
    assert clock.now() - instants[0] < timedelta(days=95)
    assert instants[-1] <= clock.now()


def test_no_mail_of_the_past_is_sent(seeded: str) -> None:
    assert rows("notices") > 100
    assert rows("notices", "state <> 'sent'") == 0
    choose("write")
    assert outbox.claim(10) == []


@ON_ONE_ENGINE
def test_the_mailbox_begins_with_the_emails_of_the_last_weeks(seeded: str, app: Flask) -> None:
    """As their readers got them, and the newest links decide."""
    folder = app.extensions["settings"].data / "mailbox"
    found = mailstore.page(folder, size=1000).mails
    assert 40 < len(found) < 120
    assert all(one.at <= clock.now() for one in found) and found[-1].at > clock.now() - DAYS
    subjects = [one.subject for one in found]
    for begin in ("Denied: your request", "Approved: your request", "Expired: your request", "Reminder: ",
                  "New comment: ", "Cancelled: "):  # fmt: skip
        assert any(one.startswith(begin) for one in subjects), begin
    asking = [one for one in found if " requests " in one.subject]
    texts = [mailstore.bodies(folder, one.id) for one in asking]
    assert all(text and "<- current step" in text[0] for text in texts), "as it stood then"
    text, html = mailstore.bodies(folder, mailstore.page(folder, to="marta@example.com", words="Figma").mails[0].id)
    link = re.search(r"/decide/\S+", text)
    code = re.search(r"approval code: (\d{6})", text)
    assert link and code and link[0] in html
    shown = app.test_client().get(link[0])
    assert shown.status_code == 200 and "Figma" in shown.text


@ON_ONE_ENGINE
def test_the_webhook_viewer_begins_with_what_was_delivered_lately(seeded: str, app: Flask) -> None:
    folder = app.extensions["settings"].data / "webhooks"
    kept = hookstore.page(folder, size=100).hooks
    assert len(kept) >= 8 and {"request.submitted", "access.given"} <= {one.event for one in kept}
    rows = db.session.scalars(select(Endpoint).order_by(Endpoint.id)).all()
    assert [(one.name, one.paused_at is not None) for one in rows] == [
        ("Webhook viewer", False),
        ("Data warehouse", True),
    ]
    secret = db.session.scalars(select(EndpointSecret).where(EndpointSecret.endpoint_id == rows[0].id)).one()
    sent = db.session.scalars(select(Delivery).where(Delivery.endpoint_id == rows[0].id)).all()
    assert {one.state for one in sent} == {"sent"}
    assert {one.message_id for one in sent} == {one.message_id for one in kept}
    newest = kept[0]
    signed = signing.headers([decrypt(secret.secret)], newest.message_id, newest.body, at=newest.at)
    assert signed["webhook-signature"] == newest.headers["webhook-signature"]
    waiting = db.session.scalars(select(Delivery.state).where(Delivery.endpoint_id == rows[1].id)).all()
    assert waiting and set(waiting) == {"due"}


def test_nothing_is_overdue_and_the_past_is_in_the_past(seeded: str) -> None:
    now = clock.now()
    for step in db.session.scalars(select(Step)):
        assert (step.opened_at is None) == (step.due_at is None)
        if step.opened_at is not None and step.due_at is not None:
            assert step.due_at - step.opened_at == timedelta(days=step.days)
            assert step.opened_at <= now
        if step.state == "open":
            assert step.due_at is not None and step.due_at > now
        if step.state in ("approved", "denied"):
            assert step.opened_at is not None and step.settled_at is not None and step.due_at is not None
            assert step.opened_at < step.settled_at < step.due_at
        if step.state == "expired":
            assert step.settled_at is not None and step.due_at is not None
            assert timedelta(0) <= step.settled_at - step.due_at < timedelta(minutes=1)
    choose("write")
    assert expiry.expire_overdue(now=now) == 0


@ON_ONE_ENGINE
def test_rita_has_seven_apps_and_something_of_everything(seeded: str) -> None:
    rita, now = person("Rita"), clock.now()
    assert apps_of(rita) == {"1Password", "GitHub", "LinkedIn Learning", "Miro", "Slack", "Workday", "Zoom"}
    assert set(requests_of(rita, "pending")) == {"Figma"}
    for state, app in (("denied", "Concur"), ("expired", "NetSuite")):
        settled = requests_of(rita, state)[app].settled_at
        assert settled is not None and now - settled < timedelta(days=7)
    assert not rita.is_admin
    assert fits(rita.password_hash, "countersign-demo")


@ON_ONE_ENGINE
def test_the_three_apps_of_the_first_two_minutes(seeded: str) -> None:
    rita, ana = person("Rita"), person("Ana")
    everything = {*apps_of(rita), *requests_of(rita, "pending")}
    assert not everything & {"Apptio", "Benevity", "Salesforce"}

    assert not factories.revision_of(app_of("Apptio")).snapshot().approval_required

    benevity = factories.revision_of(app_of("Benevity")).snapshot()
    assert [step.approver.person for step in benevity.steps] == [ana.id]
    fields = {one.name: one for one in benevity.entitlements}
    assert fields["Role"].requester is Visibility.WRITE
    assert benevity.steps[0].visibility[fields["Licence"].id] is Visibility.WRITE
    assert app_of("Benevity").note

    salesforce = factories.revision_of(app_of("Salesforce")).snapshot()
    finance = db.session.scalar(select(Step.approver_group_id).where(Step.approver_group_id.is_not(None)).limit(1))
    assert [(step.approver.person, step.approver.group) for step in salesforce.steps] == [
        (ana.id, None),
        (None, finance),
    ]
    ids = {one.name: one.id for one in salesforce.entitlements}
    first, second = (step.visibility for step in salesforce.steps)
    assert (first[ids["Region"]], second[ids["Region"]]) == (Visibility.WRITE, Visibility.READ)
    assert (first[ids["Licence"]], second[ids["Licence"]]) == (Visibility.HIDDEN, Visibility.WRITE)
    for app in db.session.scalars(select(App).where(App.name.in_(("Apptio", "Benevity", "Salesforce")))):
        assert app.requestable and app.for_everyone


@ON_ONE_ENGINE
def test_the_fields_of_the_rules_are_the_rows_that_admins_edit(seeded: str) -> None:
    for app in db.session.scalars(select(App)):
        names = db.session.execute(
            select(EntitlementField.public_id, EntitlementField.name)
            .where(EntitlementField.app_id == app.id)
            .order_by(EntitlementField.position)
        ).all()
        policy = factories.revision_of(app).snapshot()
        assert [(one.id, one.name) for one in policy.entitlements] == [tuple(row) for row in names]


@ON_ONE_ENGINE
def test_rules_of_every_kind_are_there(seeded: str) -> None:
    apps = list(db.session.scalars(select(App)))
    policies = {app.name: factories.revision_of(app).snapshot() for app in apps}
    assert [name for name, one in policies.items() if one.assurance is Assurance.SIGN_IN] == ["DocuSign"]
    assert [app.name for app in apps if not app.for_everyone] == ["PagerDuty"]
    assert [app.name for app in apps if not app.requestable] == ["Workday"]
    assert all(app.owner and app.launch_url and app.category and app.description for app in apps)


@ON_ONE_ENGINE
def test_requests_wait_for_different_people(seeded: str) -> None:
    def waiting(name: str) -> int:
        return db.session.scalar(select(waiting_for(person(name).id))) or 0

    assert waiting("Ana") == 3
    assert waiting("Ben") == waiting("Chloe") == 2
    assert waiting("Marta") == waiting("Noah") == waiting("Adam") == 1
    live = select(func.count()).select_from(Invitation).join(Step).where(Invitation.live, Step.state != "open")
    assert db.session.scalar(live) == 0


@ON_ONE_ENGINE
def test_every_request_has_its_first_mail(seeded: str) -> None:
    asked = select(func.count(Notice.request_id.distinct())).where(Notice.kind == "approval-asked")
    assert db.session.scalar(asked) == rows("requests")


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "local",
    [
        datetime(2026, 11, 23, 7, 5, tzinfo=BERLIN),  # a Monday, before work
        datetime(2026, 10, 27, 16, 59, tzinfo=BERLIN),  # the clocks have just changed
        datetime(2026, 5, 1, 23, 58, tzinfo=BERLIN),
        datetime(2026, 3, 29, 4, 0, tzinfo=BERLIN),  # a Sunday on which an hour is missing
        datetime(2026, 8, 8, 0, 1, tzinfo=BERLIN),  # a Saturday
    ],
)
@ON_ONE_ENGINE
def test_the_story_fits_whenever_it_is_told(app: Flask, local: datetime) -> None:
    now = local.astimezone(UTC)
    choose("write")
    demo.seed(now=now)
    db.session.remove()
    for step in db.session.scalars(select(Step).where(Step.opened_at.is_not(None))):
        assert step.opened_at is not None and step.due_at is not None and step.opened_at <= now
        if step.state == "open":
            assert step.due_at > now
    rita = person("Rita")
    for state in ("denied", "expired"):
        recent = [one for one in requests_of(rita, state).values() if one.settled_at]
        assert any(timedelta(0) < now - one.settled_at < timedelta(days=7) for one in recent if one.settled_at)
    instants = list(db.session.scalars(select(Event.at).order_by(Event.seq)))
    assert instants == sorted(instants) and instants[-1] <= now


@pytest.mark.parametrize("clock_time", ["00:10", "09:00", "15:30", "18:00", "23:50"])
def test_something_is_due_later_today_or_within_hours(clock_time: str) -> None:
    now = datetime.fromisoformat(f"2026-11-24T{clock_time}:00").replace(tzinfo=BERLIN).astimezone(UTC)
    due = Diary(now, "Europe/Berlin").due_today(3) + timedelta(days=3)
    assert timedelta(hours=1) <= due - now <= timedelta(hours=17)


@ON_ONE_ENGINE
def test_the_revisions_have_one_rule_in_force_each(seeded: str) -> None:
    for app in db.session.scalars(select(App)):
        newest = select(PolicyRevision.id).where(PolicyRevision.app_id == app.id).order_by(PolicyRevision.number.desc())
        assert db.session.scalars(newest).first() == app.policy_revision_id
