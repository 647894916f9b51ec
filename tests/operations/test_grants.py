"""Access is granted without a request, and removed: one app, or all that a person has."""

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, overdue, rows
from tests.helpers.lookups import events, grants, mails, values
from tests.helpers.rules import NOTES, ROLE, SEAT, WRITE
from tests.helpers.rules import rule as policy
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Grant, Person
from webapp.operations import apps, people
from webapp.operations import grants as operations
from webapp.operations.errors import Conflict, Invalid
from webapp.text import sha256
from webapp.workflow.errors import BadValues

SET = {0: {"role": WRITE}}


def give(app: App, person: Person, actor: Person, reason: str = "New in the team.", **given: str) -> Grant:
    choose("write")
    made = operations.give(
        app,
        factories.revision_of(app),
        person=person,
        actor=actor,
        given={key: [value] for key, value in given.items()},
        reason=reason,
        now=clock.now(),
    )
    outbox.commit()
    return made


def remove_all(person: Person, actor: Person, shown: list[Grant], reason: str = "Rita leaves.") -> int:
    choose("write")
    ids = [one.public_id for one in shown]
    done = operations.remove_all(person, shown=ids, actor=actor, reason=reason, now=clock.now())
    outbox.commit()
    return done


def test_access_is_granted_with_a_reason_and_those_left_out_are_told(company: Company) -> None:
    rule = policy(company.ana, company.finance, entitlements=(ROLE, SEAT, NOTES), see=SET)
    app = factories.app("Salesforce", policy=rule, owner=company.otto)
    before = len(mails())
    made = give(app, company.rita, company.otto, role="Writer", notes="for the fair")
    assert values(made) == {"role": "Writer", "notes": "for the fair"}
    assert (made.state, made.request_id, made.given_by_id) == ("active", None, company.otto.id)
    assert made.given_reason == "New in the team."
    others = [("grant-added", "other", one) for one in ("ana", "ben", "chloe")]
    assert mails(before) == [*others, ("grant-added", "requester", "rita")]
    line = events("grant.added")[-1]
    assert (line["actor"], line["person"], line["app"]) == (company.otto.id, company.rita.id, app.id)
    assert line["facts"]["reason"] == sha256("New in the team.") and line["facts"]["before"] is None
    assert line["facts"]["after"]["notes"]["value"] == sha256("for the fair")


def test_nobody_grants_access_to_themselves(company: Company) -> None:
    for app, actor in (
        (factories.app("Salesforce", company.ana, owner=company.otto), company.otto),
        (factories.app("Jira", company.ana, owner=company.finance), company.ben),
        (factories.app("Zoom"), company.adam),
    ):
        with pytest.raises(Invalid, match="You cannot grant yourself access"):
            give(app, actor, actor)
        db.session.rollback()
    assert rows("grants") == 0


def test_what_stands_in_the_way_is_said_and_nothing_is_granted(company: Company) -> None:
    app = factories.app("Salesforce", policy=policy(company.ana, entitlements=(ROLE,), see=SET), owner=company.otto)
    asked = factories.request(company.rita, app)
    with pytest.raises(Invalid, match=rf"pending request for Salesforce \({asked.reference}\)"):
        give(app, company.rita, company.otto, role="Reader")
    with pytest.raises(BadValues, match="Role"):
        give(app, company.ben, company.otto)
    for reason, sentence in (("  ", "Enter a reason"), ("x" * 501, "Use 500 characters or fewer. You entered 501.")):
        with pytest.raises(Invalid, match=sentence):
            give(app, company.ben, company.otto, reason, role="Reader")
    db.session.rollback()
    choose("write")
    people.deactivate(company.chloe, actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(Invalid, match="Chloe Tan is deactivated"):
        give(app, company.chloe, company.otto, role="Reader")
    db.session.rollback()
    give(app, company.ben, company.otto, role="Reader")
    with pytest.raises(Invalid, match="Ben Okafor already has access to Salesforce"):
        give(app, company.ben, company.adam, role="Reader")
    db.session.rollback()
    choose("write")
    apps.archive(app, actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match="Salesforce is archived"):
        give(app, company.ana, company.otto, role="Reader")
    db.session.rollback()
    assert rows("grants") == 1


def test_a_rule_that_changed_under_the_form_is_shown_first(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    before = factories.revision_of(app)
    choose("write")
    apps.set_approval_required(app, required=False, actor=company.adam, now=clock.now())
    outbox.commit()
    choose("write")
    with pytest.raises(Conflict, match="rules of Salesforce have just changed"):
        operations.give(app, before, person=company.rita, actor=company.otto, given={}, reason="x", now=clock.now())
    db.session.rollback()


def test_a_request_past_its_deadline_is_in_nobodys_way(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.otto)
    overdue(factories.request(company.rita, app))
    assert give(app, company.rita, company.otto).state == "active"


def test_one_reason_removes_all_apps_and_each_is_told_once(company: Company) -> None:
    owned = [factories.app(name, owner=company.otto) for name in ("Miro", "Zoom", "Slack")]
    free = factories.app("Figma", owner=company.ana)
    mine = [factories.grant(company.rita, one) for one in (*owned, free)]
    kept = factories.grant(company.ben, free)
    before = len(mails())
    assert remove_all(company.rita, company.adam, mine) == 4
    # Otto owns three of the apps, Ana one.
    assert mails(before) == [
        ("grant-removed", "other", "ana"),
        ("grants-removed", "other", "otto"),
        ("grants-removed", "requester", "rita"),
    ]
    assert [one.state for one in grants()] == ["removed"] * 4 + ["active"]
    lines = events("grant.removed")
    assert [one["facts"]["grant"] for one in lines] == [one.id for one in mine]
    assert {(one["actor"], one["person"]) for one in lines} == {(company.adam.id, company.rita.id)}
    assert kept.id == grants()[-1].id and grants()[0].removed_reason == "Rita leaves."


def test_a_list_that_is_no_longer_whole_removes_nothing(company: Company) -> None:
    first, second = (factories.grant(company.rita, factories.app(name)) for name in ("Miro", "Zoom"))
    for shown in ([first], [first, second, factories.grant(company.ben, factories.app("Figma"))], []):
        with pytest.raises(Conflict, match="apps of Rita Lindqvist have just changed"):
            remove_all(company.rita, company.adam, shown)
        db.session.rollback()
    with pytest.raises(Invalid, match="Enter a reason"):
        remove_all(company.rita, company.adam, [first, second], " ")
    db.session.rollback()
    assert rows("grants", "state = 'active'") == 3
    assert remove_all(company.rita, company.adam, [second, first]) == 2
    with pytest.raises(Conflict):
        remove_all(company.rita, company.adam, [first, second])
    db.session.rollback()


def test_one_app_takes_as_many_statements_as_thirty(company: Company) -> None:
    taken = []
    for person, number in ((company.rita, 2), (company.ben, 30)):
        mine = [
            factories.grant(person, factories.app(f"{person.name} {index}", owner=company.finance))
            for index in range(number)
        ]
        with counting() as counted:
            remove_all(person, company.adam, mine)
        taken.append(len(counted))
    assert taken[0] == taken[1]
    granted = []
    rule = policy(company.ana, company.finance, company.ben, entitlements=(ROLE, SEAT), see=SET)
    for app in (
        factories.app("Small", company.ana, owner=company.otto),
        factories.app("Large", policy=rule, owner=company.finance),
    ):
        with counting() as counted:
            give(app, company.rita, company.adam, role="Reader")
        granted.append(len(counted))
    assert granted[0] == granted[1]
