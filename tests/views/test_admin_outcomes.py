"""What happens when a request is approved, denied or expired: whom to mail, with which words, and why not."""

from __future__ import annotations

import html
import re

import pytest

from tests.helpers import factories, rules
from tests.helpers.lookups import now, policy_of
from tests.helpers.pages import flat, is_fragment, markup
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Organisation
from webapp.operations import organisation
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import RequestState


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def app_(ana):
    return factories.app("Salesforce", ana)


def save(browser, app, state, part, htmx=False, **values):
    page = browser.get(f"/admin/apps/{app.public_id}").get_data(as_text=True)
    where = f"/admin/apps/{app.public_id}/outcomes/{state}/{part}"
    was = re.search(r'name="was" value="([^"]*)"', page[page.index(f"{where}#set-") :])
    return browser.post(where, ({"was": html.unescape(was[1])} if was else {}) | values, htmx=htmx)


@pytest.mark.parametrize("state", ["approved", "denied", "expired"])
def test_mails_and_words_of_each_outcome_are_saved_one_by_one(admin, app_, state):
    for part, values in (
        ("mail", {"approvers": "1"}),
        ("others", {"add": "Crm@example.com, it@example.com"}),
        ("others", {"add": "desk@example.com"}),
        ("others", {"without": "it@example.com"}),
        ("words", {"words": "Welcome."}),
    ):
        answer = save(admin, app_, state, part, htmx=True, **values)
        assert answer.status_code == 200 and is_fragment(answer) and "Saved" in markup(answer)
    rule = policy_of(app_).outcomes[RequestState(state)]
    assert (rule.requester, rule.approvers, rule.others, rule.message) == (
        False, True, ("crm@example.com", "desk@example.com"), "Welcome.",
    )  # fmt: skip
    assert "Remove desk@example.com" in flat(admin.get(f"/admin/apps/{app_.public_id}"))
    assert save(admin, app_, state, "mail", requester="1").status_code == 303
    assert policy_of(app_).outcomes[RequestState(state)].requester


@pytest.mark.parametrize(
    ("part", "typed", "sentence"),
    [
        ("others", "crm@example.com nobody", "“nobody” is not an email address."),
        (
            "others",
            " ".join(f"a{index}@example.com" for index in range(11)),
            "Use 10 addresses or fewer. You entered 11.",
        ),
        ("words", "w" * 2001, "Use 2,000 characters or fewer. You entered 2,001."),
        ("reasons", "\n".join(f"No {index}" for index in range(11)), "Use 10 reasons or fewer. You entered 11."),
        ("reasons", "r" * 201, "A reason can have up to 200 characters."),
    ],
)
def test_what_cannot_be_taken_stays_typed_and_stops_no_neighbour(admin, app_, part, typed, sentence):
    before = policy_of(app_)
    for htmx in (False, True):
        answer = save(admin, app_, "denied", part, htmx=htmx, **{"words" if part == "words" else "add": typed})
        assert answer.status_code == 422 and sentence in markup(answer)
        assert typed.splitlines()[-1] in markup(answer)
        assert 'aria-invalid="true"' in markup(answer)
    assert policy_of(app_) == before
    other = {"mail": {"approvers": "1"}, "reasons": {"add": "Too dear."}, "others": {"add": "a@example.com"}}
    for name in other.keys() - {part}:
        assert save(admin, app_, "denied", name, htmx=True, **other[name]).status_code == 200


def test_two_people_add_addresses_at_the_same_time(admin, app_):
    """A list is changed line by line, so neither overwrites the other."""
    for one in ("a@example.com", "b@example.com", "a@example.com"):
        where = f"/admin/apps/{app_.public_id}/outcomes/denied/others"
        assert admin.post(where, {"add": one}, htmx=True).status_code == 200
    assert policy_of(app_).outcomes[RequestState.DENIED].others == ("a@example.com", "b@example.com")


def test_words_that_somebody_else_changed_are_a_conflict(admin, app_):
    stale = {"was": "{}", "words": "Mine"}
    answer = admin.post(f"/admin/apps/{app_.public_id}/outcomes/approved/words", stale, htmx=True)
    assert answer.status_code == 409 and "Someone else changed this." in markup(answer) and "Mine" in markup(answer)


def test_there_is_no_other_outcome(admin, app_):
    assert admin.post(f"/admin/apps/{app_.public_id}/outcomes/cancelled/mail", {}).status_code == 404
    assert admin.post(f"/admin/apps/{app_.public_id}/outcomes/expired/reasons", {}).status_code == 404
    assert admin.get(f"/admin/apps/{app_.public_id}/outcomes/denied/mail").status_code == 405


def test_the_approver_picks_a_ready_made_reason(admin, app_, login_as, ana, rita):
    save(admin, app_, "denied", "reasons", add="Use the shared licence.\nAsk Finance first.")
    asked = factories.request(rita, now(app_))
    browser = login_as(ana)
    page = flat(browser.get(f"/approvals/{asked.public_id}"))
    assert '<option value="Use the shared licence.">' in page
    step = re.search(r'name="step" value="(\d+)"', page)[1]
    where = f"/requests/{asked.public_id}/denial"
    none = browser.post(where, {"step": step, "ready": "Because."})
    assert none.status_code == 422 and "Enter a reason." in markup(none)
    assert browser.post(where, {"step": step, "ready": "Use the shared licence.", "reason": " "}).status_code == 303
    case = factories.case_of(asked)
    assert case.request.state == "denied"
    assert "Use the shared licence." in markup(login_as(rita).get(f"/requests/{asked.public_id}"))


def test_own_words_win_over_the_reason_that_was_picked(admin, app_, login_as, ana, rita):
    save(admin, app_, "denied", "reasons", add="Use the shared licence.")
    asked = factories.request(rita, now(app_))
    browser = login_as(ana)
    step = re.search(r'name="step" value="(\d+)"', flat(browser.get(f"/approvals/{asked.public_id}")))[1]
    data = {"step": step, "ready": "Use the shared licence.", "reason": "Not this year."}
    assert browser.post(f"/requests/{asked.public_id}/denial", data).status_code == 303
    story = markup(login_as(rita).get(f"/requests/{asked.public_id}"))
    assert "Not this year." in story and "Use the shared licence." not in story


def test_an_app_without_reasons_has_no_such_field(app_, login_as, ana, rita):
    asked = factories.request(rita, app_)
    assert 'name="ready"' not in markup(login_as(ana).get(f"/approvals/{asked.public_id}"))


def test_beside_other_addresses_stands_where_they_may_be_and_which_gets_nothing(admin, ana, adam):
    rule = OutcomeRule(others=("old@elsewhere.example", "crm@example.com"))
    app = factories.app("Figma", policy=rules.rule(ana, outcomes=rules.outcomes(approved=rule)))
    page = flat(admin.get(f"/admin/apps/{app.public_id}"))
    assert "Up to 10, in the domains of your people. Press Enter after each." in page
    assert page.count("Not emailed: this domain is not allowed") == 1
    answer = save(admin, app, "approved", "others", htmx=True, add="me@evil.example")
    assert answer.status_code == 422 and "No email may go to me@evil.example." in markup(answer)
    assert 'value="me@evil.example"' in flat(answer)
    choose("write")
    ours = db.session.query(Organisation).one()
    organisation.change(ours, name=None, time_zone=None, sender=None, outcome_domains="elsewhere.example", actor=adam,
                        now=clock.now())  # fmt: skip
    outbox.commit()
    page = flat(admin.get(f"/admin/apps/{app.public_id}"))
    assert "in the domains of your people or in elsewhere.example." in page and "Not emailed" not in page
