"""The steps of an app: added, removed, put in order, with time limits of their own; and what each may see and set."""

from __future__ import annotations

import re

import pytest

from tests.helpers import factories
from tests.helpers.factories import step_id
from tests.helpers.lookups import facts, now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.operations import people
from webapp.workflow.policy import Approver
from webapp.workflow.states import Visibility

HIDDEN, READ, WRITE = Visibility.HIDDEN, Visibility.READ, Visibility.WRITE


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana, company):
    return factories.app("Salesforce", ana, company.finance)


def url(app):
    return f"/admin/apps/{app.public_id}"


def value(one):
    return f"{'group' if hasattr(one, 'sort_key') and not hasattr(one, 'email') else 'person'}:{one.public_id}"


def approvers(app):
    return [step.approver for step in policy_of(app).steps]


def field(app, actor, **changes):
    """A field of the app, made as its page makes it."""
    choose("write")
    made = factories.field(db.session.merge(app), actor=actor, **changes)
    outbox.commit()
    return made.public_id


@pytest.mark.parametrize("htmx", [False, True])
def test_a_step_is_added_at_the_end(admin, app_, ana, ben, company, htmx):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    if htmx:
        assert is_fragment(answer) and markup(answer).lstrip().startswith('<div id="set-steps"')
        line = flat(answer).partition("</ol>")[0].rpartition("<li")[2]
        assert "<b>Ben Okafor</b>" in line and 'class="cs-saved"' in line and " open>" not in line
    assert approvers(app_) == [Approver(ana.id), Approver(group=company.finance.id), Approver(ben.id)]


def test_the_same_approver_stands_in_one_step_only(admin, app_, ana):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ana)}, htmx=True)
    assert answer.status_code == 422
    assert "This approver is already in another step." in markup(answer)
    assert re.search(r'<input[^>]*id="step"[^>]*aria-invalid="true"', flat(answer))
    assert len(approvers(app_)) == 2


@pytest.mark.parametrize("step", ["", "person:000000000000", "nobody"])
def test_a_step_needs_somebody_from_the_list(admin, app_, ana, step):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": step})
    assert answer.status_code == 422 and "Choose" in markup(answer)
    answer = admin.post(f"{url(app_)}/steps/{step_id(app_, ana)}/approver", {"approver": step}, htmx=True)
    assert answer.status_code == 422 and "Choose" in markup(answer)
    assert len(approvers(app_)) == 2


def test_a_step_gets_another_approver_and_keeps_the_rest(admin, app_, adam, ana, ben, company):
    licence = field(app_, adam, writer=ana)
    admin.post(f"{url(app_)}/steps/{step_id(app_, ana)}/time-limit", {"days": "7"})
    where = f"{url(app_)}/steps/{step_id(app_, ana)}/approver"
    taken = admin.post(where, {"approver": value(company.finance)}, htmx=True)
    assert taken.status_code == 422 and "This approver is already in another step." in markup(taken)
    answer = admin.post(where, {"approver": value(ben)}, htmx=True)
    assert answer.status_code == 200 and "Saved" in markup(answer)
    first = policy_of(app_).steps[0]
    assert (first.approver, first.days, first.visibility) == (Approver(ben.id), 7, {licence: WRITE})
    assert facts("policy.saved")[-1]["steps"][0] == {"person": ben.id, "group": None}
    assert step_id(app_, ben) == first.id
    gone = admin.post(f"{url(app_)}/steps/{value(ana)}/approver", {"approver": value(ana)}, htmx=True)
    assert gone.status_code == 409 and "Someone else has removed this step." in markup(gone)


def test_an_eleventh_step_is_refused(admin, company):
    ten = [factories.person(f"Person {index}", email=f"p{index}@example.com") for index in range(10)]
    app = factories.app("Snowflake", *ten)
    assert "An app can have up to 10 steps." in markup(admin.get(url(app)))
    answer = admin.post(f"{url(app)}/steps/new", {"step": value(company.ana)}, htmx=True)
    assert answer.status_code == 422 and "An app can have up to 10 steps." in markup(answer)
    assert len(approvers(app)) == 10


def test_steps_move_by_the_buttons_which_post_the_whole_order(admin, app_, ana, company):
    page = flat(admin.get(url(app_)))
    form = page[: page.index('aria-label="Move Finance up"')]
    order = re.findall(r'name="order" value="([^"]*)"', form)[-1]
    assert order == f"{step_id(app_, company.finance)} {step_id(app_, ana)}"
    answer = admin.post(
        f"{url(app_)}/steps/order", {"order": order, "moved": step_id(app_, company.finance)}, htmx=True
    )
    assert answer.status_code == 200 and is_fragment(answer)
    assert approvers(app_) == [Approver(group=company.finance.id), Approver(ana.id)]


def test_an_order_that_does_not_fit_the_steps_is_a_conflict(admin, app_, ana, ben):
    first = step_id(app_, ana)
    for order in ("", first, f"{first} {first}", f"{first} {value(ben)}"):
        answer = admin.post(f"{url(app_)}/steps/order", {"order": order}, htmx=True)
        assert answer.status_code == 409
        assert "Someone else " in markup(answer)
    assert approvers(app_)[0] == Approver(ana.id)


def test_a_step_is_removed_and_a_second_time_is_a_conflict(admin, app_, ana, company):
    where = f"{url(app_)}/steps/{step_id(app_, company.finance)}/removal"
    assert admin.post(where).status_code == 303
    assert approvers(app_) == [Approver(ana.id)]
    again = admin.post(where, htmx=True)
    assert again.status_code == 409 and "Someone else has removed this step." in markup(again)


def test_the_last_step_of_a_requestable_app_cannot_be_removed(admin, ana):
    app = factories.app("Benevity", ana)
    answer = admin.post(f"{url(app)}/steps/{step_id(app, ana)}/removal")
    assert answer.status_code == 409 and "is requestable and needs an approver" in markup(answer)


def test_a_step_has_a_time_limit_of_its_own_or_the_apps(admin, app_, ana):
    where = f"{url(app_)}/steps/{step_id(app_, ana)}/time-limit"
    assert admin.post(where, {"days": "7"}).status_code == 303
    assert [step.days for step in policy_of(app_).steps] == [7, None]
    assert admin.post(where, {"days": ""}, htmx=True).status_code == 200
    assert [step.days for step in policy_of(app_).steps] == [None, None]


@pytest.mark.parametrize("days", ["0", "91", "two", "-1", "1.5"])
def test_a_wrong_time_limit_stays_in_its_field_with_a_sentence(admin, app_, ana, days):
    answer = admin.post(f"{url(app_)}/steps/{step_id(app_, ana)}/time-limit", {"days": days}, htmx=True)
    assert answer.status_code == 422
    assert "Enter a number from 1 to 90, or leave it empty for 3 days." in markup(answer)
    assert f'value="{days}"' in markup(answer)
    assert policy_of(app_).steps[0].days is None


def test_who_is_asked_by_name_and_through_a_group_is_told_and_recorded(admin, app_, ben, company):
    assert "in more than one step" not in flat(admin.get(url(app_)))
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=True)
    assert "Ben Okafor can be asked in more than one step" in flat(answer)
    assert facts("policy.saved")[-1]["asked_twice"] == [ben.id]


def test_the_steps_say_who_is_in_a_group_and_who_is_gone(admin, app_, ana, adam):
    empty = factories.group("Legal")
    admin.post(f"{url(app_)}/steps/new", {"step": value(empty)})
    choose("write")
    people.deactivate(db.session.merge(ana), actor=adam, now=clock.now())
    outbox.commit()
    page = flat(admin.get(url(app_)))
    assert "Group of 2: Ben Okafor, Chloe Tan" in page
    assert "This group is empty: the owner decides" in page
    assert "Deactivated: the owner decides" in page
    assert admin.post(f"{url(app_)}/steps/{step_id(app_, ana)}/removal").status_code == 303


def test_an_admin_with_an_open_request_cannot_change_the_rules(admin, app_, adam, ben):
    factories.request(adam, app_)
    before = policy_of(app_)
    for where, data in (
        ("steps/new", {"step": value(ben)}),
        ("time-limit", {"days": "9", "was": '{"days": "3"}'}),
        ("comment-required", {"on": "1", "was": "off"}),
        ("owner", {"owner": value(ben), "was": '{"owner": ""}'}),
        ("fields", {"name": "Role", "kind": "text"}),
    ):
        answer = admin.post(f"{url(app_)}/{where}", data, htmx=True)
        assert answer.status_code == 409, where
        assert "You have a pending request for Salesforce" in markup(answer), where
    assert policy_of(app_) == before and now(app_).owner is None


def test_each_step_sees_and_sets_what_the_matrix_says(admin, app_, adam, ana, company):
    licence = field(app_, adam)
    key = f"{step_id(app_, ana)}-{licence}"
    page = flat(admin.get(url(app_)))
    assert "Licence for Ana Moreau" in page and "Licence for Finance" in page
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "hidden", f"see-{key}": "write"}, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer) and "Saved" in markup(answer)
    assert [step.visibility.get(licence, HIDDEN) for step in policy_of(app_).steps] == [WRITE, HIDDEN]
    other = f"{step_id(app_, company.finance)}-{licence}"
    data = {f"was-{key}": "write", f"see-{key}": "write", f"was-{other}": "hidden", f"see-{other}": "read"}
    assert admin.post(f"{url(app_)}/visibility", data).status_code == 303
    assert [step.visibility.get(licence, HIDDEN) for step in policy_of(app_).steps] == [WRITE, READ]


def test_only_a_cell_that_somebody_else_changed_is_a_conflict(admin, app_, adam, ana, company):
    licence = field(app_, adam)
    mine, theirs = f"{step_id(app_, ana)}-{licence}", f"{step_id(app_, company.finance)}-{licence}"
    admin.post(f"{url(app_)}/visibility", {f"was-{theirs}": "hidden", f"see-{theirs}": "write"})
    stale = {f"was-{theirs}": "hidden", f"see-{theirs}": "hidden", f"was-{mine}": "hidden", f"see-{mine}": "read"}
    assert admin.post(f"{url(app_)}/visibility", stale).status_code == 303
    assert [step.visibility.get(licence) for step in policy_of(app_).steps] == [READ, WRITE]
    clash = {f"was-{theirs}": "hidden", f"see-{theirs}": "read"}
    answer = admin.post(f"{url(app_)}/visibility", clash, htmx=True)
    assert answer.status_code == 409 and "Someone else changed this. The current value is shown." in markup(answer)


@pytest.mark.parametrize("word", ["", "everything"])
def test_a_cell_is_hidden_read_or_write(admin, app_, adam, ana, word):
    key = f"{step_id(app_, ana)}-{field(app_, adam)}"
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "hidden", f"see-{key}": word}, htmx=True)
    assert answer.status_code == 422 and "Choose Hidden, View or Edit." in markup(answer)


def test_a_required_field_keeps_somebody_who_may_write_it(admin, app_, adam, ana):
    licence = field(app_, adam, required=True, writer=ana)
    key = f"{step_id(app_, ana)}-{licence}"
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "write", f"see-{key}": "read"}, htmx=True)
    assert answer.status_code == 422
    assert "Licence is required but no one can edit it. Give the requester or a step Edit access." in markup(answer)
    assert policy_of(app_).steps[0].visibility[licence] is WRITE
    gone = admin.post(f"{url(app_)}/steps/{step_id(app_, ana)}/removal", htmx=True)
    assert gone.status_code == 422 and "Licence is required but no one can edit it." in markup(gone)


@pytest.mark.parametrize("where", ["steps/new", "steps/order", "visibility", "fields", "fields/order"])
def test_nothing_is_changed_by_looking(admin, app_, where):
    assert admin.get(f"{url(app_)}/{where}").status_code == 405


def test_the_requester_is_a_column_of_the_matrix(admin, app_, adam, ana):
    licence = field(app_, adam)
    key, other = f"requester-{licence}", f"{step_id(app_, ana)}-{licence}"
    assert "Licence for the requester" in flat(admin.get(url(app_)))
    # Without JavaScript several cells are saved at once.
    data = {f"was-{key}": "hidden", f"see-{key}": "write", f"was-{other}": "hidden", f"see-{other}": "read"}
    assert admin.post(f"{url(app_)}/visibility", data).status_code == 303
    policy = policy_of(app_)
    assert (policy.entitlements[0].requester, policy.steps[0].visibility) == (WRITE, {licence: READ})
    line = facts("field.changed")[-1]
    assert (line["before"]["requester"], line["after"]["requester"]) == ("hidden", "write")
    before = factories.rows("policy_revisions")
    assert admin.post(f"{url(app_)}/visibility", data).status_code == 303
    assert factories.rows("policy_revisions") == before
    stale = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "hidden", f"see-{key}": "read"}, htmx=True)
    assert stale.status_code == 409 and policy_of(app_).entitlements[0].requester is WRITE


def test_a_new_step_is_a_column_at_once(admin, app_, adam, ben):
    field(app_, adam)
    answer = flat(admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=True))
    assert 'id="set-matrix" hx-swap-oob="true"' in answer and "Licence for Ben Okafor" in answer
