"""Turning approval off or archiving an app asks first what happens to the requests that are pending."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from tests.helpers import factories
from tests.helpers.changes import archive
from tests.helpers.changes import turn_off as off
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup, question
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Decision, Grant, Notice, Step
from webapp.operations import apps as operations
from webapp.operations import entitlements
from webapp.workflow import state_machine
from webapp.workflow.errors import ReasonMissing, SelfApproval, Settled
from webapp.workflow.state_machine import approve_remaining_steps
from webapp.workflow.states import RequestState, StepState, Verdict

pytestmark = pytest.mark.both_engines


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana, company):
    return factories.app("Salesforce", ana, company.finance)


@pytest.mark.parametrize("htmx", [False, True])
def test_approval_is_not_turned_off_before_the_page_has_asked(admin, app_, rita, otto, htmx):
    factories.request(rita, app_)
    factories.request(otto, app_)
    before = factories.rows("events")
    answer = off(admin, app_, htmx)
    page = flat(answer)
    assert answer.status_code == 200 and is_fragment(answer) is htmx
    assert "2 requests for Salesforce are pending" in page and "No changes have been saved yet." in page
    assert "Rita Lindqvist" in page and "Otto Brandt" in page and "waiting for Ana Moreau, due" in page
    assert 'value="finish" checked' in page
    assert policy_of(app_).approval_required and factories.rows("events") == before
    if htmx:
        # The dialog alone, wherever the switch stands.
        assert page.startswith("<dialog") and answer.headers["HX-Retarget"] == "#dialog"


def test_who_was_asked_in_the_list_is_led_back_to_it(admin, app_, rita):
    factories.request(rita, app_)
    back = "/admin/apps?q=sales"
    question = off(admin, app_, htmx=True, back=back)
    assert f'name="back" value="{back}"' in flat(question) and question.headers["HX-Retarget"] == "#dialog"
    answer = off(admin, app_, htmx=True, back=back, pending="finish")
    assert answer.headers["HX-Redirect"] == back and not policy_of(app_).approval_required


def field(app, adam, **changes):
    choose("write")
    settings = {"name": "Role", "required": True} | changes
    made = factories.field(db.session.get_one(App, app.id), actor=db.session.merge(adam), **settings)
    outbox.commit()
    return made


@pytest.mark.parametrize("pending", [False, True])
@pytest.mark.parametrize("htmx", [False, True])
def test_approval_stays_on_while_add_would_leave_out_what_is_required(admin, app_, adam, rita, ana, htmx, pending):
    role = field(app_, adam, writer=ana)
    if pending:
        factories.request(rita, now(app_))
    for answer in (off(admin, app_, htmx), off(admin, app_, htmx, pending="finish")):
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert "Role is required but has no default. Without approval, no one can set it." in flat(answer)
    assert "Add a default or make it optional." in flat(answer)
    assert policy_of(app_).approval_required
    choose("write")
    entitlements.edit(
        db.session.get_one(App, app_.id), role.public_id, name="Role", options=[], required=True, default=["Reader"],
        help="", requester="hidden", actor=db.session.merge(adam), now=clock.now(),
    )  # fmt: skip
    outbox.commit()
    assert off(admin, app_, htmx, pending="finish").status_code == (200 if htmx else 303)
    assert not policy_of(app_).approval_required


def test_the_list_says_why_approval_stays_on(admin, app_, adam, ana):
    field(app_, adam, writer=ana)
    answer = off(admin, app_, htmx=True, back="/admin/apps")
    assert answer.status_code == 422 and "Add a default or make it optional." in flat(answer)


@pytest.mark.parametrize("what", ["approval-required", "archive"])
def test_requests_without_what_is_required_are_not_approved_past_the_steps(admin, app_, adam, rita, otto, ana, what):
    role = field(app_, adam, writer=ana)
    asked = [factories.request(one, now(app_)) for one in (rita, otto)]
    # The rule of today asks for less, that of the requests does not.
    choose("write")
    entitlements.archive(
        db.session.get_one(App, app_.id), role.public_id, actor=db.session.merge(adam), now=clock.now()
    )
    outbox.commit()
    form = {"pending": "approve", "why": "New contract."}
    act = off if what == "approval-required" else archive
    answer = act(admin, app_, htmx=True, **form)
    assert answer.status_code == 409
    assert "2 requests are missing a required field (Role) that an approver would set." in flat(answer)
    assert "Keep them pending or cancel them." in flat(answer)
    assert [now(one).state for one in asked] == ["pending", "pending"] and now(app_).archived_at is None
    factories.decide(asked[0], ana, given={role.public_id: ["Reader"]})
    assert "1 request is missing a required field (Role)" in flat(act(admin, app_, htmx=True, **form))
    factories.decide(asked[1], ana, given={role.public_id: ["Reader"]})
    assert act(admin, app_, **form).status_code == 303
    assert [now(one).state for one in asked] == ["approved", "approved"]


def test_without_pending_requests_nothing_is_asked(admin, app_):
    assert off(admin, app_).status_code == 303
    assert not policy_of(app_).approval_required


def test_they_finish_under_the_old_rule(admin, app_, rita, ana, ben):
    asked = factories.request(rita, app_)
    mails = factories.rows("notices")
    assert off(admin, app_, pending="finish").status_code == 303
    assert not policy_of(app_).approval_required and factories.rows("notices") == mails
    factories.decide(asked, ana)
    factories.decide(asked, ben)
    assert now(asked).state == "approved"


def test_all_are_approved_by_the_admin_by_name_and_with_the_reason(admin, app_, rita, otto, adam):
    asked = [factories.request(rita, app_), factories.request(otto, app_)]
    answer = off(admin, app_, htmx=True, pending="approve", why="New contract.")
    assert answer.status_code == 200 and answer.headers["HX-Redirect"] == f"/admin/apps/{app_.public_id}"
    assert [now(one).state for one in asked] == ["approved", "approved"]
    assert factories.rows("grants", "state = 'active'") == 2
    decisions = db.session.scalars(select(Decision)).all()
    assert {(one.person_id, one.channel, one.comment) for one in decisions} == {(adam.id, "admin", "New contract.")}
    states = db.session.scalars(select(Step.state).where(Step.request_id == asked[0].id).order_by(Step.position))
    assert list(states) == ["approved", "skipped"]
    lines = facts("step.approved")
    assert len(lines) == 2 and lines[0]["actor"] == adam.id and lines[0]["channel"] == "admin"
    told = db.session.scalars(select(Notice.person_id).where(Notice.kind == "request-approved")).all()
    assert sorted(told) == sorted([rita.id, otto.id])
    assert db.session.scalars(select(Grant.request_id)).all() == [one.id for one in asked]


@pytest.mark.parametrize("way", ["approve", "cancel"])
def test_approving_or_cancelling_all_needs_a_reason(admin, app_, rita, way):
    asked = factories.request(rita, app_)
    for htmx in (False, True):
        answer = off(admin, app_, htmx, pending=way, why=" ")
        assert answer.status_code == 422 and is_fragment(answer) is htmx
        assert "Enter a reason." in markup(answer) and f'value="{way}" checked' in flat(answer)
    assert now(asked).state == "pending" and policy_of(app_).approval_required


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"pending": "delete"}, "Choose one of the three."),
        ({"pending": "cancel", "why": "w" * 201}, "Use 200 characters or fewer. You entered 201."),
    ],
)
def test_an_answer_that_makes_no_sense_is_asked_again(admin, app_, rita, answer, sentence):
    asked = factories.request(rita, app_)
    again = off(admin, app_, htmx=True, **answer)
    assert again.status_code == 422 and sentence in markup(again)
    assert now(asked).state == "pending" and policy_of(app_).approval_required


def test_all_are_cancelled_and_people_are_told(admin, app_, rita, ana):
    asked = factories.request(rita, app_)
    assert off(admin, app_, pending="cancel", why="It is free now.").status_code == 303
    assert (now(asked).state, now(asked).settled_note) == ("cancelled", "It is free now.")
    told = db.session.scalars(select(Notice.person_id).where(Notice.kind == "request-cancelled")).all()
    assert sorted(told) == sorted([rita.id, ana.id])


def test_an_admin_with_a_request_of_their_own_leaves_it_to_others(admin, app_, adam, rita):
    factories.request(rita, app_)
    asked = factories.request(adam, app_)
    for way in ("finish", "approve", "cancel"):
        answer = off(admin, app_, htmx=True, pending=way, why="Because.")
        assert answer.status_code == 409
        assert "You have a pending request for Salesforce" in markup(answer)
    assert now(asked).state == "pending" and policy_of(app_).approval_required


def test_somebody_else_was_faster(admin, app_, rita):
    factories.request(rita, app_)
    assert off(admin, app_, pending="finish").status_code == 303
    answer = off(admin, app_, htmx=True, pending="cancel")
    assert answer.status_code == 409 and "Someone else changed" in markup(answer)


@pytest.mark.parametrize("way", ["approve", "cancel", "finish"])
def test_an_answer_is_valid_for_turning_approval_off_only(admin, app_, rita, way):
    asked = factories.request(rita, app_)
    said = question(off(admin, app_))
    for form in (
        {"on": "1", "pending": way, "why": "So.", "asked": said},  # it stays on
        {"was": "off", "on": "1", "pending": way, "why": "So.", "asked": said},
        {"was": "off", "pending": way, "why": "So.", "asked": said},
        {"was": "", "pending": way, "why": "So."},
        {"pending": way, "why": "So.", "asked": ""},  # nobody was asked
        {"pending": way, "why": "So.", "asked": "x"},
    ):
        off(admin, app_, **form)
        assert now(asked).state == "pending" and policy_of(app_).approval_required, form


@pytest.mark.parametrize("act", [off, archive])
@pytest.mark.parametrize("change", ["another request", "another rule", "a decision"])
def test_when_something_has_changed_the_question_is_asked_again(admin, app_, rita, otto, ana, adam, act, change):
    asked = factories.request(rita, app_)
    path = "approval-required" if act is off else "archive"
    url = f"/admin/apps/{app_.public_id}/{path}"
    said = question(off(admin, app_) if act is off else admin.get(url))
    if change == "another request":
        factories.request(otto, app_)
    elif change == "a decision":
        factories.decide(asked, ana)
    else:
        choose("write")
        operations.change_policy(db.session.merge(app_), days=9, actor=adam, now=clock.now())
        outbox.commit()
    form = {"pending": "approve", "why": "New contract.", "asked": said}
    answer = act(admin, app_, htmx=True, **form)
    assert answer.status_code == 409 and "This has changed since you opened the page" in markup(answer)
    assert 'value="approve" checked' in flat(answer) and 'value="New contract."' in flat(answer)
    assert now(asked).state == "pending" and now(app_).archived_at is None and policy_of(app_).approval_required
    # What is asked now can be answered.
    assert act(admin, app_, **form | {"asked": question(answer)}).status_code == 303
    assert now(asked).state == "approved"


def test_when_nothing_is_pending_any_more_it_is_just_turned_off(admin, app_, rita, ana):
    asked = factories.request(rita, app_)
    said = question(off(admin, app_))
    factories.decide(asked, ana, Verdict.DENIED)
    assert off(admin, app_, pending="approve", why="So.", asked=said).status_code == 303
    assert not policy_of(app_).approval_required and now(asked).state == "denied"


@pytest.mark.parametrize("htmx", [False, True])
def test_archiving_asks_the_same(admin, app_, rita, htmx):
    factories.request(rita, app_)
    answer = admin.get(f"/admin/apps/{app_.public_id}/archive", htmx=htmx)
    assert answer.status_code == 200 and is_fragment(answer) is htmx
    assert "1 request for Salesforce is pending" in markup(answer) and "Keep it pending" in markup(answer)
    assert now(app_).archived_at is None


def test_an_archived_app_is_out_of_use_and_can_be_restored(admin, app_, rita, login_as):
    asked = factories.request(rita, app_)
    url = f"/admin/apps/{app_.public_id}"
    assert archive(admin, app_, pending="cancel", why="Sold.").status_code == 303
    assert now(asked).state == "cancelled" and not now(app_).requestable
    assert admin.get(url).status_code == 404 and admin.post(f"{url}/archive").status_code == 404
    assert "Salesforce" not in markup(login_as(rita).get("/catalog"))
    assert "Restore Salesforce" in markup(admin.get("/admin/apps?state=archived"))
    assert admin.post(f"{url}/restoration").status_code == 303
    assert admin.get(url).status_code == 200 and not now(app_).requestable
    assert admin.post(f"{url}/restoration").status_code == 404
    assert "No archived apps" in markup(admin.get("/admin/apps?state=archived"))
    assert [len(facts(kind)) for kind in ("app.archived", "app.restored")] == [1, 1]


def test_an_app_does_not_come_back_beside_another_of_its_name(admin, app_):
    archive(admin, app_, pending="finish")
    factories.app("Salesforce")
    answer = admin.post(f"/admin/apps/{app_.public_id}/restoration")
    assert answer.status_code == 409 and "Another app now has this name." in markup(answer)


def waiting(overdue=False):
    steps = (state_machine.Step(1, 0, StepState.OPEN, overdue), state_machine.Step(2, 1, StepState.WAITING))
    return state_machine.Request(9, 1, RequestState.PENDING, 1, 2, steps)


def test_the_override_skips_what_waits_and_never_decides_ones_own():
    outcome = approve_remaining_steps(waiting(), actor=5, reason="New contract.")
    assert outcome.state is RequestState.APPROVED
    assert outcome.moves == ((1, StepState.APPROVED), (2, StepState.SKIPPED))
    for actor in (1, 2):
        with pytest.raises(SelfApproval):
            approve_remaining_steps(waiting(), actor=actor, reason="Mine.")
    with pytest.raises(ReasonMissing):
        approve_remaining_steps(waiting(), actor=5, reason=" ")
    with pytest.raises(Settled):
        approve_remaining_steps(waiting(overdue=True), actor=5, reason="Late.")
