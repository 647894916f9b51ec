"""What time does: overdue requests end, in batches, and nothing else does."""

from datetime import timedelta

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import asked, events, kinds, mails, state, steps
from tests.helpers.rules import outcomes
from tests.helpers.rules import rule as policy
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Step
from webapp.operations import apps, expiry, people, requests
from webapp.operations.errors import Conflict
from webapp.workflow.actor import SYSTEM
from webapp.workflow.policy import OutcomeRule, Policy
from webapp.workflow.states import Verdict


def sweep(limit: int = 500) -> int:
    choose("write")
    looked_at = expiry.expire_overdue(now=clock.now(), limit=limit)
    outbox.commit()
    return looked_at


def test_an_overdue_request_ends_and_those_the_rule_names_are_told(company: Company) -> None:
    app = factories.app("Salesforce", company.finance, company.ana)
    made = factories.request(company.rita, app)
    factories.overdue(made)
    before, lines = len(mails()), len(events())
    assert sweep() == 1
    assert state(made) == "expired"
    assert steps(made) == [("expired", "approver"), ("skipped", "approver")]
    assert asked(made) == {}
    assert mails(before) == [
        ("request-expired", "approver", "ben"),
        ("request-expired", "approver", "chloe"),
        ("request-expired", "requester", "rita"),
    ]
    (line,) = events()[lines:]
    assert (line["kind"], line["actor"], line["request"], line["facts"]) == (
        "request.expired", None, made.id, {"step": 0},
    )  # fmt: skip
    db.session.refresh(made)
    assert (made.version, made.settled_by_id) == (2, None)
    assert made.settled_at is not None
    assert sweep() == 0
    assert len(mails()) == before + 3


def test_the_second_step_expires_with_its_own_number(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance, company.otto))
    factories.decide(made, company.ana)
    factories.overdue(made)
    sweep()
    assert [one for one, _ in steps(made)] == ["approved", "expired", "skipped"]
    assert events("request.expired")[0]["facts"] == {"step": 1}


def test_only_what_is_overdue_and_pending_expires(company: Company) -> None:
    late, fine, denied, cancelled = (
        factories.request(company.rita, factories.app(f"App {number}", company.ana, company.finance))
        for number in range(4)
    )
    for one in (late, denied, cancelled):
        factories.overdue(one)
    # Books that were settled in time, with an old due instant in them.
    db.session.query(AccessRequest).filter_by(id=denied.id).update({"state": "denied"})
    db.session.query(Step).filter_by(request_id=denied.id, state="open").update({"state": "denied"})
    db.session.commit()
    requests.cancel(factories.case_of(cancelled), actor=company.rita, now=clock.now())
    outbox.commit()
    assert sweep() == 1
    assert [state(one) for one in (late, fine, denied, cancelled)] == ["expired", "pending", "denied", "cancelled"]


def test_a_batch_is_as_large_as_its_limit_and_the_oldest_come_first(company: Company) -> None:
    made = [factories.request(company.rita, factories.app(f"App {one}", company.ana)) for one in range(5)]
    for age, one in enumerate(made):
        db.session.query(Step).filter_by(request_id=one.id).update({"due_at": clock.now() - timedelta(hours=10 - age)})
    db.session.commit()
    assert sweep(limit=2) == 2
    assert [state(one) for one in made] == ["expired"] * 2 + ["pending"] * 3
    assert [sweep(limit=2), sweep(limit=2), sweep(limit=2)] == [2, 1, 0]
    assert rows("events", "kind = 'request.expired'") == 5


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (OutcomeRule(requester=False), []),
        (OutcomeRule(), [("request-expired", "requester", "rita")]),
        (
            OutcomeRule(requester=False, others=("it@example.com",)),
            [("request-expired", "other", "it@example.com")],
        ),
    ],
)
def test_who_is_mailed_is_what_the_frozen_rule_says(
    company: Company, rule: OutcomeRule, expected: list[tuple[str, str, str]]
) -> None:
    set_out = outcomes(approved=OutcomeRule(), denied=OutcomeRule(), expired=rule)
    made = factories.request(company.rita, factories.app("Salesforce", policy=policy(company.ana, outcomes=set_out)))
    factories.overdue(made)
    before = len(mails())
    sweep()
    assert mails(before) == expected


def test_a_request_that_nobody_can_decide_waits_and_expires(company: Company) -> None:
    app = factories.app("Salesforce", company.ana, owner=company.ana)
    made = factories.request(company.adam, app)
    choose("write")
    second = people.create(email="eve@example.com", name="Eve", actor=SYSTEM, now=clock.now(), is_admin=True)
    outbox.commit()
    people.deactivate(company.ana, actor=second, now=clock.now())
    outbox.commit()
    people.set_admin(second, is_admin=False, actor=company.adam, now=clock.now())
    outbox.commit()
    assert steps(made) == [("open", "nobody")]
    factories.overdue(made)
    sweep()
    assert state(made) == "expired"


def test_a_step_that_an_approval_settled_in_the_meantime_is_left_alone(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep saw an overdue step; before it held the request, an approval that was in time moved it on."""
    made = factories.request(company.rita, factories.app("Salesforce", company.ana, company.finance))
    factories.overdue(made)
    held = expiry.pending_snapshots

    def moved_on(rows: object) -> object:
        db.session.query(Step).filter_by(request_id=made.id, position=0).update({"state": "approved"})
        db.session.query(Step).filter_by(request_id=made.id, position=1).update(
            {"state": "open", "due_at": clock.now() + timedelta(days=3), "opened_at": clock.now()}
        )
        return held(rows)  # type: ignore[arg-type]

    monkeypatch.setattr(expiry, "pending_snapshots", moved_on)
    sweep()
    assert state(made) == "pending"
    assert [one for one, _ in steps(made)] == ["approved", "open"]
    assert kinds()[-1] != "request.expired"


def test_the_number_of_statements_does_not_grow_with_the_number_of_requests(company: Company) -> None:
    def overdue(count: int, prefix: str) -> None:
        for one in range(count):
            factories.overdue(factories.request(company.rita, factories.app(f"{prefix} {one}", company.finance)))

    overdue(1, "One")
    with counting() as alone:
        sweep()
    overdue(12, "Many")
    with counting() as many:
        assert sweep() == 12
    assert len(many) == len(alone)
    assert len(many) <= 12


def test_a_denial_and_a_sweep_leave_one_story(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.ana))
    factories.decide(made, company.ana, Verdict.DENIED)
    db.session.query(Step).filter_by(request_id=made.id).update({"due_at": clock.now() - timedelta(days=1)})
    db.session.commit()
    assert sweep() == 0
    assert state(made) == "denied"


def test_asking_again_ends_what_is_overdue_and_no_other(company: Company) -> None:
    app, other = factories.app("Salesforce", company.ana), factories.app("Figma", company.ana)
    late, beside = factories.request(company.rita, app), factories.request(company.rita, other)
    of_another = factories.request(company.otto, app)
    for made in (late, beside, of_another):
        factories.overdue(made)
    lines = len(kinds())
    again = factories.request(company.rita, app)
    assert [state(one) for one in (late, beside, of_another, again)] == ["expired", "pending", "pending", "pending"]
    assert kinds(lines)[:2] == ["request.expired", "request.submitted"]


def test_an_app_that_needs_no_approval_any_more_is_added_past_what_is_overdue(company: Company) -> None:
    app = factories.app("Salesforce", company.ana)
    late = factories.request(company.rita, app)
    choose("write")
    app = db.session.merge(app)
    apps.save_policy(app, Policy(approval_required=False), actor=SYSTEM, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match="You already have a pending request for Salesforce"):
        factories.grant(company.rita, app)
    db.session.rollback()
    factories.overdue(late)
    factories.grant(company.rita, app)
    assert state(late) == "expired"
