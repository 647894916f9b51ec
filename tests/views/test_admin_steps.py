"""The steps of an app: added, removed, put in order, with time limits of their own; and what each may see and set."""

from __future__ import annotations

import re

import pytest

from tests import factories
from webapp import clock, outbox
from webapp.extensions import db
from webapp.operations import entitlements, people
from webapp.transactions import choose
from webapp.workflow.policy import Approver
from webapp.workflow.states import Visibility

from .admin_helpers import events, flat, is_fragment, now, policy_of, words

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
    values = {"name": "Licence", "kind": "text", "options": (), "required": False, "default": (), "help": "",
              "requester": "hidden"} | changes  # fmt: skip
    made = entitlements.create(db.session.merge(app), **values, actor=actor, now=clock.now())
    outbox.commit()
    return made.public_id


@pytest.mark.parametrize("htmx", [False, True])
def test_a_step_is_added_at_the_end(admin, app_, ana, ben, company, htmx):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=htmx)
    assert answer.status_code == (200 if htmx else 303)
    if htmx:
        assert is_fragment(answer) and words(answer).lstrip().startswith('<div id="set-steps"')
        assert re.search(r"<b>Ben Okafor</b>\s*<span class=\"cs-saved\"", flat(answer))
    assert approvers(app_) == [Approver(ana.id), Approver(group=company.finance.id), Approver(ben.id)]


def test_the_same_approver_stands_in_one_step_only(admin, app_, ana):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ana)}, htmx=True)
    assert answer.status_code == 422
    assert "The same approver stands in another step already. Once is enough." in words(answer)
    assert re.search(r'<select[^>]*id="step"[^>]*aria-invalid="true"', flat(answer))
    assert len(approvers(app_)) == 2


@pytest.mark.parametrize("step", ["", "person:000000000000", "nobody"])
def test_a_step_needs_somebody_from_the_list(admin, app_, step):
    answer = admin.post(f"{url(app_)}/steps/new", {"step": step})
    assert answer.status_code == 422 and "Choose" in words(answer)
    assert len(approvers(app_)) == 2


def test_an_eleventh_step_is_refused(admin, company):
    ten = [factories.person(f"Person {index}", email=f"p{index}@example.com") for index in range(10)]
    app = factories.app("Snowflake", *ten)
    assert "An app can have up to 10 steps." in words(admin.get(url(app)))
    answer = admin.post(f"{url(app)}/steps/new", {"step": value(company.ana)}, htmx=True)
    assert answer.status_code == 422 and "An app can have up to 10 steps." in words(answer)
    assert len(approvers(app)) == 10


def test_steps_move_by_the_buttons_which_post_the_whole_order(admin, app_, ana, company):
    page = flat(admin.get(url(app_)))
    form = page[: page.index('aria-label="Move Finance up"')]
    order = re.findall(r'name="order" value="([^"]*)"', form)[-1]
    assert order == f"{value(company.finance)} {value(ana)}"
    answer = admin.post(f"{url(app_)}/steps/order", {"order": order, "moved": value(company.finance)}, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer)
    assert approvers(app_) == [Approver(group=company.finance.id), Approver(ana.id)]


def test_an_order_that_does_not_fit_the_steps_is_a_conflict(admin, app_, ana, ben):
    for order in ("", value(ana), f"{value(ana)} {value(ana)}", f"{value(ana)} {value(ben)}"):
        answer = admin.post(f"{url(app_)}/steps/order", {"order": order}, htmx=True)
        assert answer.status_code == 409
        assert "meanwhile" in words(answer)
    assert approvers(app_)[0] == Approver(ana.id)


def test_a_step_is_removed_and_a_second_time_is_a_conflict(admin, app_, ana, company):
    where = f"{url(app_)}/steps/{value(company.finance)}/removal"
    assert admin.post(where).status_code == 303
    assert approvers(app_) == [Approver(ana.id)]
    again = admin.post(where, htmx=True)
    assert again.status_code == 409 and "Somebody else removed this step meanwhile." in words(again)


def test_the_last_step_of_a_requestable_app_cannot_be_removed(admin, ana):
    app = factories.app("Benevity", ana)
    answer = admin.post(f"{url(app)}/steps/{value(ana)}/removal")
    assert answer.status_code == 409 and "is requestable and needs an approver" in words(answer)


def test_a_step_has_a_time_limit_of_its_own_or_the_apps(admin, app_, ana):
    where = f"{url(app_)}/steps/{value(ana)}/time-limit"
    assert admin.post(where, {"days": "7"}).status_code == 303
    assert [step.days for step in policy_of(app_).steps] == [7, None]
    assert admin.post(where, {"days": ""}, htmx=True).status_code == 200
    assert [step.days for step in policy_of(app_).steps] == [None, None]


@pytest.mark.parametrize("days", ["0", "91", "two", "-1", "1.5"])
def test_a_wrong_time_limit_stays_in_its_field_with_a_sentence(admin, app_, ana, days):
    answer = admin.post(f"{url(app_)}/steps/{value(ana)}/time-limit", {"days": days}, htmx=True)
    assert answer.status_code == 422
    assert "Choose 1 to 90 days, or leave it empty for the app’s 3." in words(answer)
    assert f'value="{days}"' in words(answer)
    assert policy_of(app_).steps[0].days is None


def test_who_is_asked_by_name_and_through_a_group_is_told_and_recorded(admin, app_, ben, company):
    assert "asked more than once" not in flat(admin.get(url(app_)))
    answer = admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=True)
    assert "Ben Okafor is asked more than once:" in flat(answer)
    assert events("policy.saved")[-1]["asked_twice"] == [ben.id]


def test_the_steps_say_who_is_in_a_group_and_who_is_gone(admin, app_, ana, adam):
    empty = factories.group("Legal")
    admin.post(f"{url(app_)}/steps/new", {"step": value(empty)})
    choose("write")
    people.deactivate(db.session.merge(ana), actor=adam, now=clock.now())
    outbox.commit()
    page = flat(admin.get(url(app_)))
    assert "Group of 2: Ben Okafor, Chloe Tan" in page
    assert "Nobody is in this group: the owner stands in" in page
    assert "Deactivated: the owner stands in" in page
    assert admin.post(f"{url(app_)}/steps/{value(ana)}/removal").status_code == 303


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
        assert "You have asked for Salesforce yourself" in words(answer), where
    assert policy_of(app_) == before and now(app_).owner is None


def test_each_step_sees_and_sets_what_the_matrix_says(admin, app_, adam, ana, company):
    licence = field(app_, adam)
    key = f"{value(ana)}-{licence}"
    page = flat(admin.get(url(app_)))
    assert "Licence for Ana Moreau" in page and "Licence for Finance" in page
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "hidden", f"see-{key}": "write"}, htmx=True)
    assert answer.status_code == 200 and is_fragment(answer) and "Saved" in words(answer)
    assert [step.see.get(licence, HIDDEN) for step in policy_of(app_).steps] == [WRITE, HIDDEN]
    other = f"{value(company.finance)}-{licence}"
    data = {f"was-{key}": "write", f"see-{key}": "write", f"was-{other}": "hidden", f"see-{other}": "read"}
    assert admin.post(f"{url(app_)}/visibility", data).status_code == 303
    assert [step.see.get(licence, HIDDEN) for step in policy_of(app_).steps] == [WRITE, READ]


def test_only_a_cell_that_somebody_else_changed_is_a_conflict(admin, app_, adam, ana, company):
    licence = field(app_, adam)
    mine, theirs = f"{value(ana)}-{licence}", f"{value(company.finance)}-{licence}"
    admin.post(f"{url(app_)}/visibility", {f"was-{theirs}": "hidden", f"see-{theirs}": "write"})
    stale = {f"was-{theirs}": "hidden", f"see-{theirs}": "hidden", f"was-{mine}": "hidden", f"see-{mine}": "read"}
    assert admin.post(f"{url(app_)}/visibility", stale).status_code == 303
    assert [step.see.get(licence) for step in policy_of(app_).steps] == [READ, WRITE]
    clash = {f"was-{theirs}": "hidden", f"see-{theirs}": "read"}
    answer = admin.post(f"{url(app_)}/visibility", clash, htmx=True)
    assert answer.status_code == 409 and "Somebody else changed this meanwhile." in words(answer)


@pytest.mark.parametrize("word", ["", "everything"])
def test_a_cell_is_hidden_read_or_write(admin, app_, adam, ana, word):
    key = f"{value(ana)}-{field(app_, adam)}"
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "hidden", f"see-{key}": word}, htmx=True)
    assert answer.status_code == 422 and "Choose hidden, read or write." in words(answer)


def test_a_required_field_keeps_somebody_who_may_write_it(admin, app_, adam, ana):
    licence = field(app_, adam, required=True, writer=Approver(ana.id))
    key = f"{value(ana)}-{licence}"
    answer = admin.post(f"{url(app_)}/visibility", {f"was-{key}": "write", f"see-{key}": "read"}, htmx=True)
    assert answer.status_code == 422
    assert "Licence is required, but nobody may set it. Let the requester or a step write it." in words(answer)
    assert policy_of(app_).steps[0].see[licence] is WRITE
    gone = admin.post(f"{url(app_)}/steps/{value(ana)}/removal", htmx=True)
    assert gone.status_code == 422 and "Licence is required, but nobody may set it." in words(gone)


@pytest.mark.parametrize("where", ["steps/new", "steps/order", "visibility", "fields", "fields/order"])
def test_nothing_is_changed_by_looking(admin, app_, where):
    assert admin.get(f"{url(app_)}/{where}").status_code == 405


def test_what_the_fields_say_of_the_steps_follows_without_a_reload(admin, app_, adam, ana, ben):
    licence = field(app_, adam)
    answer = flat(admin.post(f"{url(app_)}/steps/new", {"step": value(ben)}, htmx=True))
    assert (
        '<select class="form-select" id="f-new-s" name="setter" hx-swap-oob="true">' in answer
        and "Step 3: Ben Okafor" in answer
    )
    cell = f"{value(ana)}-{licence}"
    answer = flat(admin.post(f"{url(app_)}/visibility", {f"was-{cell}": "hidden", f"see-{cell}": "write"}, htmx=True))
    assert f'<p id="f-{licence}-w" hx-swap-oob="true">Text · Ana Moreau sets it</p>' in answer
