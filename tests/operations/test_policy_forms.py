"""Rules of the released form stay as they are, and everything goes on under them."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import events, state
from tests.helpers.rules import ROLE, WRITE
from tests.helpers.rules import rule as policy
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, PolicyRevision
from webapp.operations import rule_steps
from webapp.record import audit
from webapp.workflow.policy import Policy
from webapp.workflow.policy_codec import FORM, digest


def released(rule: Policy) -> str:
    """The text of the rule as version 0.2 wrote it."""
    mails = {
        outcome.value: {"requester": one.requester, "approvers": one.approvers, "others": list(one.others),
                        "words": one.message, "reasons": list(one.reasons)}
        for outcome, one in rule.outcomes.items()
    }  # fmt: skip
    fields = [
        {"id": one.id, "name": one.name, "kind": one.kind, "options": list(one.options), "required": one.required,
         "default": one.default, "help": one.help, "requester": one.requester.value}
        for one in rule.entitlements
    ]  # fmt: skip
    steps = [
        {"person": step.approver.person, "group": step.approver.group, "days": step.days,
         "see": {key: word.value for key, word in step.visibility.items()}}
        for step in rule.steps
    ]  # fmt: skip
    plain = {
        "schema": 1, "approval_required": rule.approval_required, "days": rule.days, "assurance": rule.assurance.value,
        "comment_required": rule.comment_required, "steps": steps, "entitlements": fields, "outcomes": mails,
    }  # fmt: skip
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def app_of_the_release(rule: Policy) -> App:
    """An app whose rule in force was written in form 1."""
    app = factories.app("Salesforce", policy=rule)
    choose("write")
    body = released(rule)
    revision = PolicyRevision(
        app_id=app.id, number=2, schema=1, body=body, hash=digest(body), created_by_id=None, created_at=clock.now()
    )
    db.session.add(revision)
    db.session.flush()
    db.session.get_one(App, app.id).policy_revision_id = revision.id
    db.session.commit()
    return app


def stored() -> tuple[list[Any], list[Any]]:
    """All revisions and all entries of the audit record, as they are in the database."""
    db.session.rollback()
    tables = ("SELECT id, schema, body, hash FROM policy_revisions ORDER BY id", "SELECT seq, body, mac FROM events "
              "ORDER BY seq")  # fmt: skip
    revisions, entries = ([tuple(row) for row in db.session.execute(text(one))] for one in tables)
    return revisions, entries


def approve(made: AccessRequest, company: Company) -> None:
    factories.decide(made, company.ana, given={"role": ["Writer"]})
    assert state(made) == "pending"
    factories.decide(made, company.ben)
    assert state(made) == "approved"


def test_requests_under_a_released_rule_are_decided_as_before_and_nothing_stored_changes(company: Company) -> None:
    rule = policy(company.ana, company.finance, entitlements=(ROLE,), see={0: {"role": WRITE}})
    app = app_of_the_release(rule)
    made = factories.request(company.rita, app)
    revisions, entries = stored()
    approve(made, company)
    after, more = stored()
    assert after == revisions and more[: len(entries)] == entries
    assert digest(revisions[-1][2]) == revisions[-1][3] and json.loads(revisions[-1][2])["schema"] == 1
    assert audit.verify()[1] is None


def test_a_change_of_a_released_rule_is_a_new_revision_in_the_newest_form(company: Company) -> None:
    rule = policy(company.ana, company.finance, entitlements=(ROLE,), see={0: {"role": WRITE}})
    app = app_of_the_release(rule)
    pending = factories.request(company.rita, app)
    revisions, _ = stored()
    choose("write")
    id = factories.step_id(app, company.ana)
    rule_steps.set_days(db.session.get_one(App, app.id), id, days=9, actor=company.adam, now=clock.now())
    outbox.commit()
    after, _ = stored()
    assert after[: len(revisions)] == revisions
    newest = json.loads(after[-1][2])
    assert (after[-1][1], newest["schema"], newest["steps"][0]["id"]) == (FORM, FORM, id)
    assert events("policy.saved")[-1]["facts"]["steps"] == [
        {"person": company.ana.id, "group": None}, {"person": None, "group": company.finance.id}
    ]  # fmt: skip
    approve(pending, company)
    assert audit.verify()[1] is None
