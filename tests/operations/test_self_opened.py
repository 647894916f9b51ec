"""Nobody opens an app to themselves: whoever did gets it by the word of another owner or an admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import events, mails
from tests.helpers.rules import rule as policy
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Grant, Person
from webapp.operations import apps, grants, groups, people
from webapp.operations.errors import Conflict
from webapp.queries import self_opened
from webapp.workflow.actor import SYSTEM
from webapp.workflow.entitlements import Entitlement

EMPTY = Entitlement("role", "Role", "choice", ("Reader", "Writer"), default="Reader")


def add(person: Person, app: App) -> Grant:
    choose("write")
    made = grants.add_directly(app, factories.revision_of(app), actor=person, now=clock.now())
    outbox.commit()
    return made


def refused(person: Person, app: App) -> str:
    choose("write")
    with pytest.raises(Conflict) as caught:
        grants.add_directly(app, factories.revision_of(app), actor=person, now=clock.now())
    db.session.rollback()
    assert rows("grants") == 0
    return str(caught.value)


def approval(app: App, on: bool, actor: Person) -> None:
    apps.set_approval_required(app, required=on, actor=actor, now=clock.now())
    outbox.commit()


def approval_off(of: Company) -> App:
    figma = factories.app("Figma", of.ana, owner=of.otto)
    approval(figma, False, of.otto)
    return figma


def another_default(of: Company) -> App:
    """Open to all from the start, but now it gives more."""
    rule = policy(approval_required=False, entitlements=(EMPTY,))
    figma = factories.app("Figma", policy=rule, owner=of.otto)
    more = Entitlement("role", "Role", "choice", ("Reader", "Writer"), default="Writer")
    apps.change_policy(figma, entitlements=(more,), actor=of.otto, now=clock.now())
    outbox.commit()
    return figma


def requestable(of: Company) -> App:
    figma = factories.app("Figma", owner=of.otto, requestable=False)
    apps.set_requestable(figma, requestable=True, actor=of.otto, now=clock.now())
    outbox.commit()
    return figma


def audience(of: Company) -> App:
    figma = factories.app("Figma", owner=of.otto)
    apps.set_audience(figma, groups=[of.finance.id], actor=SYSTEM, now=clock.now())
    apps.set_audience(figma, groups=[], actor=of.otto, now=clock.now())
    outbox.commit()
    return figma


ROADS = {
    approval_off: "You turned off approval for Figma",
    another_default: "You changed what Figma gives without approval",
    requestable: "You made Figma requestable",
    audience: "You opened Figma to yourself",
}


@pytest.mark.parametrize("road", ROADS, ids=[one.__name__ for one in ROADS])
def test_an_owner_does_not_open_the_app_to_herself(company: Company, road: Callable[[Company], App]) -> None:
    figma = road(company)
    said = f"{ROADS[road]}, so someone else has to give you access. Ask Adam Weiss."
    assert refused(company.otto, figma) == said
    # A change of something else, by whomever, is no word on this one.
    for actor in (company.adam, company.otto):
        apps.change_policy(figma, days=5 if actor is company.adam else 6, actor=actor, now=clock.now())
        outbox.commit()
        assert refused(company.otto, figma) == said
    add(company.rita, figma)


def test_another_one_who_does_the_same_gives_their_word(company: Company) -> None:
    figma = approval_off(company)
    approval(figma, True, company.otto)
    approval(figma, False, company.adam)
    add(company.otto, figma)
    assert "alone" not in events("grant.added")[-1]["facts"]
    # And then it is the admin's own.
    factories.person("Ada Berg", admin=True)
    assert refused(company.adam, figma) if rows("grants") == 0 else True
    with pytest.raises(Conflict, match=r"Ask Otto Brandt or Ada Berg\."):
        add(company.adam, figma)
    db.session.rollback()


def test_on_and_off_again_is_the_same_hand(company: Company) -> None:
    """Three forms: approval off, Add, approval on. Nor does the way back make it somebody else's."""
    figma = approval_off(company)
    approval(figma, True, company.otto)
    approval(figma, False, company.otto)
    assert "turned off approval" in refused(company.otto, figma)
    approval(figma, True, company.otto)
    with pytest.raises(Conflict, match="now needs approval"):
        add(company.otto, figma)


def test_turning_approval_off_is_a_word_on_who_sees_it_too(company: Company) -> None:
    """Otto made it requestable while approval was required: that opened nothing. Then Adam opens it."""
    figma = factories.app("Figma", company.ana, owner=company.otto, requestable=False)
    apps.set_requestable(figma, requestable=True, actor=company.otto, now=clock.now())
    apps.set_audience(figma, groups=[company.finance.id], actor=company.adam, now=clock.now())
    apps.set_audience(figma, groups=[], actor=company.otto, now=clock.now())
    approval(figma, False, company.adam)
    add(company.otto, figma)


def test_who_saw_it_before_may_change_the_audience(company: Company) -> None:
    figma = factories.app("Figma", owner=company.otto)
    apps.set_audience(figma, groups=[company.finance.id], actor=company.adam, now=clock.now())
    groups.add_member(company.finance, company.otto, actor=company.adam, now=clock.now())
    apps.set_audience(figma, groups=[], actor=company.otto, now=clock.now())
    outbox.commit()
    add(company.otto, figma)


def test_who_puts_themselves_into_the_group_that_sees_it(company: Company) -> None:
    figma, ada = factories.app("Figma", owner=company.otto), factories.person("Ada Berg", admin=True)
    apps.set_audience(figma, groups=[company.finance.id], actor=SYSTEM, now=clock.now())
    groups.add_member(company.finance, company.adam, actor=company.adam, now=clock.now())
    outbox.commit()
    said = "You put yourself into the group that sees Figma, so someone else has to give you access. "
    assert refused(company.adam, figma) == f"{said}Ask Otto Brandt or Ada Berg."
    groups.remove_member(company.finance, company.adam, actor=ada, now=clock.now())
    groups.add_member(company.finance, company.adam, actor=ada, now=clock.now())
    outbox.commit()
    add(company.adam, figma)


def test_the_only_admin_runs_a_company_and_it_is_marked(company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    approval(figma, False, company.adam)
    own = self_opened.find(figma, factories.revision_of(figma), company.adam.id)
    assert own is not None and own.is_alone
    add(company.adam, figma)
    assert events("grant.added")[-1]["facts"]["alone"] is True


def test_many_others_are_not_all_named(company: Company) -> None:
    figma = factories.app("Figma", company.ana, owner=company.otto)
    for name in ("Ada Berg", "Bo Lind", "Cy Moor"):
        factories.person(name, admin=True)
    approval(figma, False, company.adam)
    assert refused(company.adam, figma).endswith("Ask Otto Brandt or Ada Berg or Bo Lind or another admin.")


# An account whose sign-in link the requester had sent


def approved_by(of: Company, decider: Person, wanted: App | None = None) -> list[Any]:
    made = factories.request(of.adam, wanted or factories.app("Figma", decider))
    told = len(mails())
    factories.decide(made, decider)
    return [one for one in mails(told) if one[0] == "access-to-check"]


def vouched(of: Company, how: str) -> Person:
    """Somebody behind whose account Adam may be."""
    choose("write")
    if how == "invited":
        eve = people.invite(email="eve@example.com", name="Eve New", actor=of.adam, now=clock.now())
    else:
        eve = people.create(email="eve@example.com", name="Eve New", actor=SYSTEM, now=clock.now())
    if how == "address":
        people.change_details(eve, name="Eve New", email="e@example.com", about="", actor=of.adam, now=clock.now())
    people.set_password(eve.id, hash="x", round=eve.password_round, now=clock.now())
    outbox.commit()
    db.session.refresh(eve)
    if how == "link":
        people.reset_password(eve, actor=of.adam, now=clock.now())
        outbox.commit()
    return eve


@pytest.mark.parametrize("how", ["invited", "address", "link"])
def test_an_admins_second_account_is_marked_and_the_other_admins_hear(company: Company, how: str) -> None:
    factories.person("Ada Berg", admin=True)
    eve = vouched(company, how)
    assert approved_by(company, eve) == [("access-to-check", "other", "ada")]
    assert events("step.approved")[-1]["facts"]["vouched"] is True


def test_with_somebody_elses_approval_nobody_has_to_check(company: Company) -> None:
    ada = factories.person("Ada Berg", admin=True)
    eve = vouched(company, "invited")
    figma = factories.app("Figma", company.ana, eve)
    made = factories.request(company.adam, figma)
    factories.decide(made, company.ana)
    factories.decide(made, eve)
    assert ("access-to-check", "other", "ada") not in mails()
    # Nor where the account is another admin's invitation, or nobody but the requester is an admin.
    people.send_invitation_again(ben := factories.person("Bo Lind"), actor=ada, now=clock.now())
    outbox.commit()
    assert approved_by(company, ben, factories.app("Zoom", ben)) == []
    assert events("step.approved")[-1]["facts"].get("vouched") is None
    people.set_admin(ada, is_admin=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert approved_by(company, eve, factories.app("Jira", eve)) == []


def test_an_admins_second_account_that_gives_is_marked_too(company: Company) -> None:
    factories.person("Ada Berg", admin=True)
    eve = vouched(company, "invited")
    people.set_admin(eve, is_admin=True, actor=company.adam, now=clock.now())
    outbox.commit()
    figma = factories.app("Figma", company.ana)
    for person, told in ((company.adam, ["ada", "ana"]), (company.rita, ["ana"])):
        before = len(mails())
        grants.give(figma, factories.revision_of(figma), person=person, actor=eve, given={}, reason="So.",
                    now=clock.now())  # fmt: skip
        outbox.commit()
        assert [who for kind, role, who in mails(before) if (kind, role) == ("grant-added", "other")] == told
        assert ("vouched" in events("grant.added")[-1]["facts"]) is (person is company.adam)
