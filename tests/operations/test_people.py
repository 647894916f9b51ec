"""People come, go and come back; what waits for them moves on, visibly."""

from datetime import timedelta

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import asked, events, kinds, mails, state, steps
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person, PersonSession
from webapp.operations import people
from webapp.operations.errors import Conflict, Invalid
from webapp.text import sha256
from webapp.workflow.errors import NotYourTurn


def deactivate(person: Person, actor: Person) -> None:
    choose("write")
    try:
        people.deactivate(person, actor=actor, now=clock.now())
    finally:
        outbox.commit()


def reactivate(person: Person, actor: Person) -> None:
    choose("write")
    people.reactivate(person, actor=actor, now=clock.now())
    outbox.commit()


def test_deactivating_ends_sessions_and_withdraws_requests(company: Company) -> None:
    factories.session_of(company.rita)
    factories.session_of(company.rita)
    factories.session_of(company.ana)
    first = factories.request(company.rita, factories.app("Salesforce", company.ana))
    second = factories.request(company.rita, factories.app("Zoom", company.finance))
    other = factories.request(company.otto, factories.app("Miro", company.ana))
    before, lines = len(mails()), len(events())
    deactivate(company.rita, company.adam)
    assert rows("sessions", "ended_at IS NULL") == 1
    assert [state(one) for one in (first, second, other)] == ["cancelled", "cancelled", "pending"]
    # Rita is gone: nobody mails her.
    assert mails(before) == [("request-cancelled", "approver", one) for one in ("ana", "ben", "chloe")]
    assert kinds(lines) == ["person.deactivated", "session.ended", "request.cancelled", "request.cancelled"]
    db.session.refresh(first)
    assert first.settled_note == "Rita Lindqvist was deactivated."
    assert first.settled_by_id == company.adam.id


def test_the_steps_of_a_deactivated_approver_fall_to_the_owner_then_the_admins(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    made = factories.request(company.rita, app)
    before, lines = len(mails()), len(events())
    deactivate(company.ana, company.adam)
    assert steps(made) == [("open", "owner")]
    assert asked(made) == {"otto": 1}
    assert mails(before) == [("approval-asked", "approver", "otto")]
    assert kinds(lines) == ["person.deactivated", "session.ended", "step.reassigned"]
    assert events("step.reassigned")[0]["facts"] == {
        "step": 0,
        "before": {"tier": "approver", "asked": [company.ana.id]},
        "after": {"tier": "owner", "asked": [company.otto.id]},
    }
    with pytest.raises(NotYourTurn):
        factories.decide(made, company.ana)
    db.session.rollback()
    deactivate(company.otto, company.adam)
    assert steps(made) == [("open", "admins")]
    assert asked(made) == {"adam": 1}


def test_who_comes_back_is_asked_again_with_a_new_link(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, owner=company.otto))
    deactivate(company.ana, company.adam)
    before = len(mails())
    reactivate(company.ana, company.adam)
    assert steps(made) == [("open", "approver")]
    assert asked(made) == {"ana": 2}
    assert mails(before) == [("approval-asked", "approver", "ana")]
    factories.decide(made, company.ana)
    assert state(made) == "approved"
    with pytest.raises(Conflict, match="already active"):
        reactivate(company.ana, company.adam)
    db.session.rollback()


def test_a_request_that_nobody_can_decide_any_more_waits_visibly(company: Company) -> None:
    made = factories.request(company.adam, factories.app("Salesforce", company.ana))
    # Adam is the only admin and the requester; his colleague deactivates Ana and leaves.
    eve = factories.person("Eve", admin=True)
    deactivate(company.ana, eve)
    assert asked(made) == {"eve": 1}
    deactivate(eve, company.adam)
    assert steps(made) == [("open", "nobody")]
    assert asked(made) == {}
    assert state(made) == "pending"
    fay = factories.person("Fay", admin=True)
    assert steps(made) == [("open", "admins")]
    assert asked(made) == {"fay": 1}
    choose("write")
    people.set_admin(fay, is_admin=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert steps(made) == [("open", "nobody")]


def test_a_member_who_is_deactivated_leaves_the_rest_of_the_group(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    before = len(mails())
    deactivate(company.ben, company.adam)
    assert steps(made) == [("open", "approver")]
    assert asked(made) == {"chloe": 1}
    assert len(mails()) == before
    reactivate(company.ben, company.adam)
    assert asked(made) == {"ben": 2, "chloe": 1}


def test_who_has_nothing_to_do_with_a_step_changes_nothing_about_it(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    before, version = len(mails()), made.version
    deactivate(company.otto, company.adam)
    db.session.refresh(made)
    assert (len(mails()), made.version) == (before, version)


def test_the_last_admin_and_oneself_cannot_be_deactivated(company: Company) -> None:
    with pytest.raises(Conflict, match="yourself"):
        deactivate(company.adam, company.adam)
    with pytest.raises(Conflict, match="only admin"):
        deactivate(company.adam, company.ana)
    with pytest.raises(Conflict, match="only admin"):
        people.set_admin(company.adam, is_admin=False, actor=company.ana, now=clock.now())
    eve = factories.person("Eve", admin=True)
    deactivate(company.adam, eve)
    with pytest.raises(Conflict, match="already deactivated"):
        deactivate(company.adam, eve)
    with pytest.raises(Conflict, match="only admin"):
        deactivate(eve, company.ana)
    db.session.rollback()


def test_making_and_unmaking_an_admin_is_recorded(company: Company) -> None:
    people.set_admin(company.ana, is_admin=True, actor=company.adam, now=clock.now())
    outbox.commit()
    line = events("person.changed")[0]
    assert (line["actor"], line["person"]) == (company.adam.id, company.ana.id)
    assert line["facts"] == {"before": {"is_admin": False}, "after": {"is_admin": True}}
    with pytest.raises(Conflict, match="already"):
        people.set_admin(company.ana, is_admin=True, actor=company.adam, now=clock.now())
    db.session.rollback()


def test_a_new_admin_is_recorded_by_number_and_fingerprint_and_invited_by_mail(company: Company) -> None:
    lines, before = len(events()), len(mails())
    made = people.invite(
        email=" Eve.Ny@Example.COM ", name="  Eve\tNy ", actor=company.adam, now=clock.now(), is_admin=True
    )
    outbox.commit()
    assert (made.email, made.name, made.active, made.password_hash) == ("eve.ny@example.com", "Eve Ny", True, None)
    assert kinds(lines)[0] == "person.created"
    assert events()[lines]["facts"] == {"email": sha256("eve.ny@example.com"), "is_admin": True}
    assert mails(before) == [("invitation", "requester", "eve")]


@pytest.mark.parametrize(
    ("email", "name", "field"),
    [
        ("rita@example.com", "Rita", "email"),
        ("RITA@EXAMPLE.COM", "Rita", "email"),
        ("rita", "Rita", "email"),
        ("@example.com", "Rita", "email"),
        ("rita@localhost", "Rita", "email"),
        ("a@b.c, d@e.f", "Rita", "email"),
        ("Rita <rita@x.example>", "Rita", "email"),
        ("a b@example.com", "Rita", "email"),
        ("a\r\nBcc: all@example.com", "Rita", "email"),
        ("a@b@example.com", "Rita", "email"),
        ("a@.com", "Rita", "email"),
        ("a@example.com.", "Rita", "email"),
        ("a@exam..ple.com", "Rita", "email"),
        ("a(b)@example.com", "Rita", "email"),
        ("x" * 250 + "@example.com", "Rita", "email"),
        ("new@example.com", "  ", "name"),
        ("new@example.com", "x" * 121, "name"),
    ],
)
def test_an_address_or_name_that_cannot_be_used_is_refused(company: Company, email: str, name: str, field: str) -> None:
    count = rows("people")
    with pytest.raises(Invalid) as refusal:
        people.create(email=email, name=name, actor=company.adam, now=clock.now())
    assert set(refusal.value.fields) == {field}
    db.session.rollback()
    assert rows("people") == count


@pytest.mark.parametrize("email", ["o'neil@example.com", "a+b@sub.example.co.uk", "x_y-z@e-x.io"])
def test_addresses_of_all_kinds_are_taken(company: Company, email: str) -> None:
    assert people.create(email=email, name="New", actor=company.adam, now=clock.now()).email == email
    db.session.rollback()


def test_a_password_link_works_once_and_ends_all_sessions(company: Company) -> None:
    factories.session_of(company.rita)
    choose("write")
    people.set_password(company.rita.id, hash="$hash", round=0, now=clock.now())
    outbox.commit()
    assert rows("sessions", "ended_at IS NULL") == 0
    assert "hash" not in str(events("password.set"))
    for round in (0, 2):
        with pytest.raises(Conflict, match="already been used"):
            people.set_password(company.rita.id, hash="$other", round=round, now=clock.now())
    deactivate(company.rita, company.adam)
    with pytest.raises(Conflict):
        people.set_password(company.rita.id, hash="$other", round=1, now=clock.now())
    db.session.rollback()


def test_somebody_ends_only_sessions_of_their_own(company: Company) -> None:
    mine, theirs = factories.session_of(company.rita), factories.session_of(company.ana)
    choose("write")
    assert not people.end_session(theirs, person_id=company.rita.id, now=clock.now())
    assert people.end_session(mine, person_id=company.rita.id, now=clock.now())
    assert not people.end_session(mine, person_id=company.rita.id, now=clock.now())
    outbox.commit()
    open_ones = db.session.query(PersonSession).filter_by(ended_at=None).all()
    assert [one.public_id for one in open_ones] == [theirs]
    assert [one["person"] for one in events("session.ended")] == [company.rita.id]


def test_what_a_browser_says_of_itself_is_cut_and_on_one_line(company: Company) -> None:
    choose("write")
    row = people.start_session(
        company.rita.id, kind="sign_in", browser="x\r\n" * 200, address="1" * 99, lasts=timedelta(hours=1),
        now=clock.now(),
    )  # fmt: skip
    outbox.commit()
    db.session.refresh(row)
    assert (len(row.browser), "\n" in row.browser, len(row.address)) == (200, False, 45)


def test_settings_are_recorded_before_and_after(company: Company) -> None:
    choose("write")
    rita = db.session.get_one(Person, company.rita.id)
    people.change_settings(rita, time_zone="Europe/Berlin", now=clock.now())
    people.change_theme(rita, theme="dark", now=clock.now())
    outbox.commit()
    assert [one["facts"] for one in events("person.changed")] == [
        {"before": {"time_zone": None}, "after": {"time_zone": "Europe/Berlin"}},
        {"before": {"theme": ""}, "after": {"theme": "dark"}},
    ]
    for wrong in ("Mars/Olympus", "../../etc/passwd", "Europe"):
        with pytest.raises(Invalid):
            people.change_settings(rita, time_zone=wrong, now=clock.now())
    with pytest.raises(Invalid):
        people.change_theme(rita, theme="pink", now=clock.now())
