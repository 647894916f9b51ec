"""Asking for an app, and adding one that needs no approval."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import asked, events, grants, kinds, mails, open_step, state, steps, values
from tests.helpers.rules import ROLE, SEAT, WRITE, rule
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Person, PolicyRevision
from webapp.operations import apps, people, requests
from webapp.operations import grants as grant_operations
from webapp.operations.errors import Conflict, Invalid
from webapp.text import sha256
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.errors import BadValues, NobodyCanDecide
from webapp.workflow.policy import MESSAGE_LIMIT, Policy
from webapp.workflow.policy_codec import FORM, digest, dumps
from webapp.workflow.states import Verdict, Visibility


def nothing_happened(lines: int) -> None:
    """A refused submission leaves nothing: no request, step, mail or line of the record."""
    outbox.commit()
    assert [rows(table) for table in ("requests", "steps", "invitations", "notices")] == [0, 0, 0, 0]
    assert len(events()) == lines


def test_asking_writes_the_request_its_steps_one_invitation_each_and_the_mails(company: Company) -> None:
    app = factories.app("Salesforce", company.finance, company.ana)
    lines = len(events())
    made = factories.request(company.rita, app, message="  I sell.\r\nDaily. ")
    assert (made.message, made.state, made.version) == ("I sell.\nDaily.", "pending", 1)
    assert (made.asked_by_id, made.for_person_id) == (company.rita.id, company.rita.id)
    assert steps(made) == [("open", "approver"), ("waiting", "approver")]
    assert asked(made) == {"ben": 1, "chloe": 1}
    assert mails() == [("approval-asked", "approver", "ben"), ("approval-asked", "approver", "chloe")]
    assert kinds(lines) == ["request.submitted", "step.opened"]
    submitted, opened = events()[lines:]
    assert submitted["actor"] == submitted["person"] == company.rita.id
    assert (submitted["request"], submitted["app"]) == (made.id, app.id)
    assert submitted["facts"]["message"] == sha256("I sell.\nDaily.")
    assert opened["facts"] == {"step": 0, "tier": "approver", "asked": [company.ben.id, company.chloe.id]}
    step = open_step(made)
    assert step.opened_at and step.due_at
    # A clock of its own on SQLite counts in milliseconds.
    assert abs(step.due_at - step.opened_at - timedelta(days=3)) < timedelta(seconds=1)
    assert abs(step.opened_at - clock.now()) < timedelta(minutes=1)


def test_a_message_of_the_limit_is_taken_and_one_more_is_not(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    lines = len(events())
    with pytest.raises(Invalid) as refusal:
        factories.request(company.rita, app, message="x" * (MESSAGE_LIMIT + 1))
    assert refusal.value.fields == {"message": "Use 1,000 characters or fewer. You entered 1,001."}
    nothing_happened(lines)
    # A line end is one character, however the browser sends it.
    assert len(factories.request(company.rita, app, message="x" * 998 + "\r\ny").message) == MESSAGE_LIMIT


@pytest.mark.parametrize("message", ["", "  \r\n ", "\0"])
def test_a_required_message_has_to_say_something(company: Company, message: str) -> None:
    app = factories.app("Salesforce", policy=rule(company.ana, comment_required=True))
    lines = len(events())
    with pytest.raises(Invalid) as refusal:
        factories.request(company.rita, app, message=message)
    assert "message" in refusal.value.fields
    nothing_happened(lines)


def test_the_requester_sets_only_what_the_requester_may_set(company: Company) -> None:
    hidden = Entitlement("secret", "Secret", "text", default="kept")
    read = Entitlement("plan", "Plan", "choice", ("A", "B"), default="A", requester=Visibility.READ)
    app = factories.app("Salesforce", policy=rule(company.ana, entitlements=(SEAT, hidden, read)))
    made = factories.request(
        company.rita, app, given={"seat": [" 5B\0"], "secret": ["mine"], "plan": ["B"], "other": ["x"]}
    )
    assert values(made) == {"seat": "5B", "secret": "kept", "plan": "A"}
    assert made.values["seat"].by == company.rita.id
    assert made.values["plan"].by is None
    assert events("request.submitted")[0]["facts"]["after"]["seat"]["value"] == sha256("5B")


def test_a_default_that_the_requester_empties_is_empty(company: Company) -> None:
    seat = Entitlement("seat", "Seat", "text", default="anywhere", requester=Visibility.WRITE)
    app = factories.app("Salesforce", policy=rule(company.ana, entitlements=(seat,)))
    assert values(factories.request(company.rita, app, given={"seat": [""]})) == {}


def test_values_that_do_not_fit_are_refused_all_at_once(company: Company) -> None:
    role = Entitlement("role", "Role", "choice", ("A",), required=True, requester=Visibility.WRITE)
    app = factories.app("Salesforce", policy=rule(company.ana, entitlements=(role, SEAT)))
    lines = len(events())
    with pytest.raises(BadValues) as refusal:
        factories.request(company.rita, app, given={"role": ["B"], "seat": ["x" * 201]})
    assert set(refusal.value.fields) == {"role", "seat"}
    nothing_happened(lines)


def test_whoever_has_asked_or_has_the_app_cannot_ask_again(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    made = factories.request(company.rita, app)
    with pytest.raises(Conflict, match="already have a pending request for Salesforce"):
        factories.request(company.rita, app)
    factories.decide(made, company.ana)
    with pytest.raises(Conflict, match="already have Salesforce"):
        factories.request(company.rita, app)
    factories.request(company.otto, app)


def test_after_a_denial_the_person_may_ask_again(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    factories.decide(factories.request(company.rita, app), company.ana, Verdict.DENIED, "No.")
    assert state(factories.request(company.rita, app)) == "pending"


def test_the_owner_stands_in_where_the_requester_is_the_approver(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    made = factories.request(company.ana, app)
    assert steps(made) == [("open", "owner")]
    assert asked(made) == {"otto": 1}


def test_the_admins_stand_in_where_the_owner_is_the_requester_too(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.ana)
    made = factories.request(company.ana, app)
    assert steps(made) == [("open", "admins")]
    assert asked(made) == {"adam": 1}


def test_a_group_without_the_requester_still_decides(company: Company) -> None:
    app = factories.app("Salesforce", company.finance)
    made = factories.request(company.ben, app)
    assert steps(made) == [("open", "approver")]
    assert asked(made) == {"chloe": 1}


def test_a_request_that_nobody_can_decide_is_refused_and_leaves_nothing(company: Company) -> None:
    app = factories.app("Salesforce", company.adam)
    lines = len(events())
    with pytest.raises(NobodyCanDecide, match="Ask an admin"):
        factories.request(company.adam, app)
    nothing_happened(lines)


def test_every_step_needs_somebody_at_submission_not_only_the_first(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, company.adam)
    with pytest.raises(NobodyCanDecide):
        factories.request(company.adam, app)


def test_an_app_that_needs_no_approval_any_more_is_not_asked_for(company: Company) -> None:
    app = factories.app("Apptio")
    with pytest.raises(Conflict, match="Select Add"):
        factories.request(company.rita, app)


def behind_the_back(**changes: object) -> None:
    """Changes the one app while a form is open, past the objects of this session."""
    for column, value in changes.items():
        db.session.execute(text(f"UPDATE apps SET {column} = :value"), {"value": value})
    db.session.commit()


@pytest.mark.parametrize("needs_approval", [True, False])
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"requestable": False}, "no longer"),
        ({"archived_at": "2026-01-01 00:00:00.000000"}, "no longer"),
        ({"policy_revision_id": 99}, "rules of Salesforce have just changed"),
    ],
)
def test_what_changed_under_the_form_is_said(
    company: Company, needs_approval: bool, changes: dict[str, object], sentence: str
) -> None:
    app = factories.app("Salesforce", *([company.ana] if needs_approval else []))
    revision = factories.revision_of(app)
    behind_the_back(**changes)
    with pytest.raises(Conflict, match=sentence):
        if needs_approval:
            requests.submit(app, revision, actor=company.rita, message="", given={}, now=clock.now())
        else:
            grant_operations.add_directly(app, revision, actor=company.rita, now=clock.now())


def test_whoever_was_deactivated_meanwhile_cannot_ask_or_add(company: Company) -> None:
    asking, adding = factories.app("Salesforce", company.ana), factories.app("Apptio")
    db.session.execute(text(f"UPDATE people SET active = false WHERE id = {company.rita.id}"))
    db.session.commit()
    with pytest.raises(Conflict, match="deactivated"):
        factories.request(company.rita, asking)
    with pytest.raises(Conflict, match="deactivated"):
        grant_operations.add_directly(adding, factories.revision_of(adding), actor=company.rita, now=clock.now())


def test_the_owner_is_looked_up_anew_at_submission(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    behind_the_back(owner_person_id=company.ben.id)
    assert asked(factories.request(company.ana, app)) == {"ben": 1}


def test_a_request_keeps_the_rule_it_started_under(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    made = factories.request(company.rita, app)
    choose("write")
    apps.change_policy(app, steps=rule(company.otto).steps, actor=company.adam, now=clock.now())
    outbox.commit()
    assert asked(made) == {"ana": 1}
    assert asked(factories.request(company.chloe, app)) == {"otto": 1}


def add(app: App, person: Person) -> None:
    choose("write")
    grant_operations.add_directly(app, factories.revision_of(app), actor=person, now=clock.now())
    outbox.commit()


def test_adding_gives_the_app_at_once_with_its_defaults_and_a_mail(company: Company) -> None:
    role = Entitlement("role", "Role", "choice", ("Reader",), default="Reader")
    app = factories.app("Apptio", policy=Policy(approval_required=False, entitlements=(role, SEAT)))
    lines = len(events())
    add(app, company.rita)
    (grant,) = grants()
    assert (grant.person_id, grant.app_id, grant.state, grant.request_id) == (company.rita.id, app.id, "active", None)
    assert values(grant) == {"role": "Reader"}
    assert mails() == [("app-added", "requester", "rita")]
    assert kinds(lines) == ["grant.added"]
    assert events("grant.added")[0]["facts"]["before"] is None
    with pytest.raises(Conflict, match="already"):
        add(app, company.rita)
    assert len(grants()) == 1
    assert len(mails()) == 1


def test_a_rule_of_old_that_adds_less_than_it_requires_adds_nothing(company: Company) -> None:
    app = factories.app("Apptio", policy=Policy(approval_required=False))
    body = dumps(Policy(approval_required=False, entitlements=(ROLE,)))  # no way to save one any more
    choose("write")
    older = PolicyRevision(
        app_id=app.id, number=2, schema=FORM, body=body, hash=digest(body), created_by_id=None, created_at=clock.now()
    )
    db.session.add(older)
    db.session.flush()
    db.session.merge(app).policy_revision_id = older.id
    db.session.commit()
    with pytest.raises(Conflict, match="the field Role has no default"):
        add(db.session.merge(app), company.rita)
    assert grants() == []


def test_an_app_that_needs_approval_now_cannot_be_added(company: Company) -> None:
    app = factories.app("Salesforce", policy=rule(company.ana, entitlements=(ROLE,), see={0: {"role": WRITE}}))
    with pytest.raises(Conflict, match="Select Request"):
        add(app, company.rita)


def test_a_deactivated_approver_is_passed_over(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    choose("write")
    people.deactivate(company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    assert asked(factories.request(company.rita, app)) == {"otto": 1}
