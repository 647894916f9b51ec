"""The sentences of the audit log."""

from __future__ import annotations

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import webapp
from tests.helpers import factories
from tests.helpers.pages import flat, markup
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import apps, entitlements, people, rule_steps
from webapp.record import audit, sentences
from webapp.record import events as events_module
from webapp.record.events import EventKind
from webapp.record.sentences import ENTRY_KINDS, GROUPS
from webapp.workflow.actor import SYSTEM, Actor
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Verdict, Visibility

from .audit_helpers import plain, table

pytestmark = pytest.mark.both_engines


WEBAPP = Path(webapp.__file__).parent


# A table names every kind, so it is no sign that one is recorded.
TABLES = {Path(sentences.__file__), Path(events_module.__file__)}


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


# Every kind


def recorded_kinds():
    """The members of EventKind that the code names outside of the tables."""
    trees = [ast.parse(file.read_text()) for file in WEBAPP.rglob("*.py") if file not in TABLES]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {EventKind[node.attr] for node in nodes if ast.unparse(node.value) == "EventKind"}


def test_every_kind_has_a_row_in_the_table_and_the_row_a_known_group():
    assert set(ENTRY_KINDS) == set(EventKind)
    assert {row.group for row in ENTRY_KINDS.values()} == set(GROUPS)


def test_every_kind_is_recorded_somewhere_and_none_as_a_free_string():
    assert recorded_kinds() == set(EventKind)
    for file in WEBAPP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("audit.record", "record.record")):
                assert "'" not in ast.unparse(node.args[0]), (file, node.lineno)


def test_each_sentence_is_said_even_of_what_is_gone(admin):
    choose("write")
    facts = {"group": 99, "step": 0, "asked": [98, 97], "before": None, "after": None}
    for kind in EventKind:
        audit.record(kind, at=clock.now(), actor=Actor(99), request=99, app=99, person=98, **facts)
        audit.record(kind, at=clock.now(), actor=SYSTEM)
    outbox.commit()
    rows = table(admin.get("/admin/audit.csv", buffered=True))
    assert len(rows) > 2 * len(EventKind)
    assert [row for row in rows if "unknown action" in row["What happened"] or "{" in row["What happened"]] == []


def test_a_kind_of_a_newer_version_is_told_as_that(admin):
    choose("write")
    audit.record("moon.landed", at=clock.now(), actor=SYSTEM)
    outbox.commit()
    assert "Countersign: unknown action (moon.landed)" in plain(admin.get("/admin/audit"))


# What it says


def test_turning_approval_off_is_told_with_before_and_after(admin, ana, adam):
    benevity = factories.app("Benevity", ana)
    choose("write")
    apps.set_approval_required(db.session.merge(benevity), required=False, actor=adam, now=clock.now())
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss turned approval off for Benevity." in page
    assert "Approval was required now not required" in page


def test_changes_are_told_with_the_names_of_people_and_groups(admin, ana, adam, company):
    app = factories.app("Figma", ana, owner=ana)
    choose("write")
    app = db.session.merge(app)
    apps.change_policy(app, steps=(StepRule(factories.approver(company.finance)),), actor=adam, now=clock.now())
    apps.set_owner(app, owner=factories.approver(company.finance), actor=adam, now=clock.now())
    apps.set_audience(app, groups=[company.finance.id], actor=adam, now=clock.now())
    people.set_admin(db.session.merge(ana), is_admin=True, actor=adam, now=clock.now())
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss changed the approvers of Figma." in page
    assert "Step 1 was Ana Moreau now Finance" in page
    assert "Adam Weiss changed the owner of Figma. Owner was Ana Moreau now Finance" in page
    assert "Who sees it was everyone now Finance" in page
    assert "Adam Weiss made Ana Moreau an admin. Admin was no now yes" in page


def test_what_a_step_sees_is_told_by_field_and_approver(admin, ana, ben, adam):
    fields = tuple(Entitlement(id, name, "text") for id, name in (("region", "Region"), ("seat", "Seat")))
    see = {"region": Visibility.READ, "seat": Visibility.WRITE}
    first = StepRule(factories.approver(ana), visibility=see, id="first")
    second = StepRule(factories.approver(ben), id="second")
    app = factories.app("Salesforce", policy=Policy(steps=(first, second), entitlements=fields))

    def saved(**changes):
        choose("write")
        apps.change_policy(db.session.merge(app), actor=db.session.merge(adam), now=clock.now(), **changes)
        outbox.commit()
        return table(admin.get("/admin/audit.csv", buffered=True))[0]

    # As many fields as before are seen, and as many set.
    swapped = replace(first, visibility={"region": Visibility.WRITE, "seat": Visibility.READ})
    row = saved(steps=(swapped, second))
    assert row["What happened"] == "Adam Weiss changed the field access of Salesforce."
    page = plain(admin.get("/admin/audit"))
    assert "Region for Ana Moreau was view now edit" in page and "Seat for Ana Moreau was edit now view" in page
    # The order is who decides; nobody sees anything else by it.
    row = saved(steps=(second, swapped))
    assert row["What happened"] == "Adam Weiss changed the approvers of Salesforce."
    assert row["Before and after"] == "Step 1: Ana Moreau → Ben Okafor; Step 2: Ben Okafor → Ana Moreau"
    row = saved(steps=(replace(second, days=1), swapped))
    assert row["What happened"] == "Adam Weiss changed the time limits of Salesforce."
    assert row["Before and after"] == "Step 1: Ben Okafor → Ben Okafor (1 day)"
    row = saved(entitlements=fields[:1])
    assert row["What happened"] == "Adam Weiss changed the rules of Salesforce."


def test_who_is_asked_twice_is_told_where_it_began(admin, ben, adam, company):
    app = factories.app("Salesforce", company.finance)
    choose("write")
    rule_steps.add(db.session.merge(app), approver=factories.approver(ben), actor=db.session.merge(adam),
                  now=clock.now())  # fmt: skip
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss changed the approvers of Salesforce. Ben Okafor can now be asked in more than one step." in page


def test_a_requests_life_is_told(admin, rita, ana, ben, otto, company):
    app = factories.app("Salesforce", ana, company.finance)
    one = factories.request(rita, app)
    factories.decide(one, ana)
    factories.decide(one, ben)
    factories.decide(factories.request(otto, app), ana, Verdict.DENIED)
    answer = admin.get("/admin/audit")
    page = plain(answer)
    for sentence in (
        f"Rita Lindqvist requested Salesforce ({one.reference}).",
        f"Step 1 of Salesforce for Rita Lindqvist ({one.reference}) started. Approvers: Ana Moreau.",
        f"Ana Moreau approved step 1 of Salesforce for Rita Lindqvist ({one.reference}).",
        "started. Approvers: Ben Okafor, Chloe Tan.",
        f"Ben Okafor approved step 2 of Salesforce for Rita Lindqvist ({one.reference}).",
        f"Rita Lindqvist got access to Salesforce ({one.reference}).",
        "Ana Moreau denied step 1 of Salesforce for Otto Brandt",
    ):
        assert sentence in page
    assert f'href="/requests/{one.public_id}"' in markup(answer)


def test_names_are_shown_as_words(admin, adam):
    choose("write")
    people.create(email="x@example.com", name="<img src=x> {app}", actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.get("/admin/audit")
    assert "<img src=x>" not in answer.get_data(as_text=True)
    assert "&lt;img src=x&gt; {app}" in answer.get_data(as_text=True)
    assert "added <img src=x> {app}." in table(admin.get("/admin/audit.csv", buffered=True))[0]["What happened"]


def test_something_new_is_told_by_what_it_was_made_with_and_not_as_a_change(admin, ana, adam):
    """Nothing of it was red before it was green, and what was left empty is not told."""
    app = factories.app("Figma", ana)
    choose("write")
    given = {"name": "Seat", "options": (), "required": True, "default": (), "help": "", "requester": "write"}
    one = entitlements.create(db.session.merge(app), kind="text", actor=adam, now=clock.now(), **given)
    given = {"name": "Region", "options": ("EMEA", "APAC"), "default": ("EMEA",), "help": "Where?"} | {
        key: given[key] for key in ("required", "requester")
    }
    entitlements.create(db.session.merge(app), kind="choice", actor=adam, now=clock.now(), **given)
    outbox.commit()
    rows = {row["What happened"]: row for row in table(admin.get("/admin/audit.csv", buffered=True))}
    first = rows["Adam Weiss added the field Seat to Figma."]["Before and after"]
    assert first == "Name: Seat; Kind: text; Required: yes; For the requester: edit"
    second = rows["Adam Weiss added the field Region to Figma."]["Before and after"]
    assert "Choices: EMEA, APAC; " in second and "Default: EMEA; Help text: Where?" in second
    page = flat(admin.get("/admin/audit?what=rules"))
    part = page[page.index("added the field <b>Seat</b>") :].partition("</li>")[0]
    assert "<del>" not in part and "<ins>" not in part and "nothing" not in plain_text(part)
    # Emptied and filled in, later.
    choose("write")
    app = db.session.merge(app)
    changed = {"name": "Seat", "options": (), "required": True, "help": "By the window?", "requester": "write"}
    entitlements.edit(app, one.public_id, default=("Aisle",), actor=adam, now=clock.now(), **changed)
    outbox.commit()
    row = table(admin.get("/admin/audit.csv?what=rules", buffered=True))
    told = next(one for one in row if one["What happened"] == "Adam Weiss changed the field Seat of Figma.")
    assert told["Before and after"] == "Default: nothing → Aisle; Help text: nothing → By the window?"


def plain_text(part):
    return re.sub(r"<[^>]+>", " ", part)


def test_a_text_is_shown_while_it_is_the_one_that_the_record_is_of(admin, ana, adam):
    app = factories.app("Figma", ana)

    def noted(note):
        choose("write")
        apps.set_note(db.session.merge(app), note=note, actor=db.session.merge(adam), now=clock.now())
        outbox.commit()

    def told():
        rows = table(admin.get("/admin/audit.csv", buffered=True))
        return [row["Before and after"] for row in rows if "note to requesters" in row["What happened"]]

    noted("For designers.")
    assert told() == ["Note to the requester: nothing → For designers."]
    noted("For everyone.")
    noted("")
    assert told() == [
        "Note to the requester: (earlier text) → nothing",
        "Note to the requester: (text changed)",
        "Note to the requester: nothing → (text changed since)",
    ]


def test_values_of_a_request_are_shown_by_their_names(admin, ana, rita):
    seat = Entitlement("seat", "Seat", "text", requester=Visibility.WRITE)
    app = factories.app("Figma", policy=Policy(steps=(StepRule(factories.approver(ana)),), entitlements=(seat,)))
    factories.request(rita, app, given={"seat": ["By the window"]})
    row = next(one for one in table(admin.get("/admin/audit.csv", buffered=True)) if one["Kind"] == "request.submitted")
    assert row["Before and after"] == "Seat: By the window"
