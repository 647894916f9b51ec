"""Whatever becomes of people, groups and owners: who can decide a pending request was asked, and nobody else is."""

from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import delete, update

from tests.helpers import factories
from tests.helpers.factories import Company, approver, case_of
from tests.helpers.lookups import events, mails
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import jobs, outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Invitation, Membership, Organisation, Person
from webapp.operations import apps, decisions, groups, people
from webapp.operations.errors import Conflict
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import invitation_check
from webapp.workflow.states import Verdict

OPERATIONS = Path("webapp/operations")
# What decides who may decide: written in an operation, that one has to look at the open steps.
COLUMNS = {"owner_person_id", "owner_group_id", "is_admin", "active"}


def writes(function: ast.FunctionDef) -> set[str]:
    """Which of these an operation writes, by assignment, by `.values(…)`, or as a membership."""
    found: set[str] = set()
    for node in ast.walk(function):
        targets = node.targets if isinstance(node, ast.Assign) else []
        for target in targets:
            parts = target.elts if isinstance(target, ast.Tuple) else [target]
            found |= {one.attr for one in parts if isinstance(one, ast.Attribute)} & COLUMNS
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in ("values", "Person"):
                found |= {one.arg for one in node.keywords if one.arg} & COLUMNS
            named = [one.id for one in node.args if isinstance(one, ast.Name)]
            if called == "Membership" or (called in ("delete", "update") and "Membership" in named):
                found.add("members")
    return found


def calls(function: ast.FunctionDef) -> set[str]:
    return {
        node.func.id for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }


def test_every_operation_that_changes_who_decides_looks_at_the_open_steps() -> None:
    found = {}
    for path in sorted(OPERATIONS.glob("*.py")):
        functions = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
        # By itself, or by a function beside it.
        looks = {node.name for node in functions if "reassign_open_steps" in calls(node)} | {"reassign_open_steps"}
        found |= {f"{path.stem}.{node.name}": bool(looks & calls(node)) for node in functions if writes(node)}
    # A new app has no requests.
    assert found.pop("apps.create") is False
    assert len(found) >= 8 and all(found.values()), found


def open_request(of: Company, *, owner: object = None) -> App:
    """Rita waits for Ana, who leaves: the owner decides instead."""
    figma = factories.app("Figma", of.ana, owner=owner)  # type: ignore[arg-type]
    made = factories.request(of.rita, figma)
    choose("write")
    people.deactivate(of.ana, actor=of.adam, now=clock.now())
    outbox.commit()
    assert invitation_check.find_wrong().wrong == []
    db.session.rollback()
    assert case_of(made).request.state == "pending"
    return figma


def test_a_group_that_owns_an_archived_app_with_pending_requests_is_still_needed(company: Company) -> None:
    figma = open_request(company, owner=company.finance)
    choose("write")
    apps.archive(figma, actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match="it owns Figma"):
        groups.archive(company.finance, actor=company.adam, now=clock.now())
    db.session.rollback()
    assert invitation_check.find_wrong().wrong == []


def test_a_group_that_goes_takes_no_decision_with_it(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where what uses it was missed: whoever decides now is asked in the same transaction."""
    open_request(company, owner=company.finance)
    monkeypatch.setattr(groups, "_users", lambda _: [])
    told = len(mails())
    groups.archive(company.finance, actor=company.adam, now=clock.now())
    outbox.commit()
    assert invitation_check.find_wrong().wrong == []
    assert mails(told) == [("approval-asked", "approver", "adam")]
    made = case_of(db.session.query(AccessRequest).one())
    decisions.decide(made, actor=company.adam, verdict=Verdict.APPROVED, proof=SIGNED_IN, now=clock.now())
    outbox.commit()


def by_hand(of: Company, what: str) -> None:
    """As a fault, or somebody with a SQL prompt, would leave it."""
    choose("write")
    if what == "left":
        db.session.execute(delete(Membership).where(Membership.person_id == of.ben.id))
    elif what == "gone":
        db.session.execute(update(Person).where(Person.id.in_([of.ben.id, of.chloe.id])).values(active=False))
    elif what == "joined":
        db.session.add(Membership(group_id=of.finance.id, person_id=of.otto.id))
    elif what == "never asked":
        db.session.execute(update(Invitation).values(live=False))
    db.session.commit()


@pytest.mark.parametrize(
    ("what", "now_asked"),
    [("left", {"chloe"}), ("gone", {"adam"}), ("joined", {"ben", "chloe", "otto"}), ("never asked", {"ben", "chloe"})],
)
def test_what_was_not_asked_is_found_and_repaired(company: Company, what: str, now_asked: set[str]) -> None:
    made = factories.request(company.rita, factories.app("Figma", company.finance))
    other = factories.request(company.rita, factories.app("Zoom", company.ana))
    by_hand(company, what)
    wrong = [made.id] if what != "never asked" else [made.id, other.id]
    assert invitation_check.find_wrong().wrong == wrong
    assert (
        invitation_check.find_wrong(after=made.id).wrong == wrong[1:]
        and invitation_check.find_wrong(only=[other.id]).wrong == wrong[1:]
    )
    choose("write")
    assert jobs.repair_invitations() == len(wrong)
    assert invitation_check.find_wrong().wrong == []
    live = db.session.query(Person).join(Invitation, Invitation.person_id == Person.id).filter(Invitation.live)
    names = {one.name.split()[0].lower() for one in live}
    assert names == now_asked | {"ana"}
    assert len(events("step.reassigned")) == len(wrong)
    assert jobs.repair_invitations() == 0


def test_more_than_a_page_is_looked_through(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    made = [factories.request(company.rita, factories.app(f"App {number}", company.finance)) for number in range(5)]
    by_hand(company, "left")
    monkeypatch.setattr(invitation_check, "PAGE", 2)
    assert invitation_check.find_wrong().wrong == [one.id for one in made[:2]]
    assert invitation_check.find_wrong(after=made[3].id).last is None
    choose("write")
    assert jobs.repair_invitations() == 5


def test_a_worker_looks_once_a_day(app: Flask, company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []
    monkeypatch.setattr(jobs, "_drain", lambda seconds: False)
    monkeypatch.setattr(jobs, "anchor", lambda: None)
    monkeypatch.setattr(jobs, "repair_invitations", lambda: looked.append(1))
    for _ in range(3):
        choose("write")
        jobs.sweep()
    assert looked == [1]
    for hours, times in ((23, 1), (25, 2)):
        past = clock.now() - timedelta(hours=hours)
        db.session.query(Organisation).update({"asked_checked_at": past})
        db.session.commit()
        jobs.sweep()
        assert len(looked) == times


def test_flask_check_finds_and_repairs(app: Flask, company: Company) -> None:
    factories.request(company.rita, factories.app("Figma", company.finance))
    runner = app.test_cli_runner()
    said = []
    for damage in (False, True):
        if damage:
            by_hand(company, "left")
        db.session.remove()
        output = runner.invoke(args=["check"]).output
        said.append(next(one for one in output.splitlines() if " approvers " in one).split(None, 2)[2])
    assert said == [
        "every pending request is with its approvers",
        "1 pending request was not with the approvers; they have been asked now",
    ]
    choose("read")
    assert invitation_check.find_wrong().wrong == []


def test_an_owner_who_changes_is_asked(company: Company) -> None:
    figma = open_request(company, owner=company.finance)
    choose("write")
    told = len(mails())
    apps.set_owner(figma, owner=approver(company.otto), actor=company.adam, now=clock.now())
    outbox.commit()
    assert invitation_check.find_wrong().wrong == [] and mails(told) == [("approval-asked", "approver", "otto")]
