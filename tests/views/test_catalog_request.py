"""Asking for an app: the dialog, what comes back when something is missing, and one request however often sent."""

from __future__ import annotations

import re
import threading
from datetime import timedelta

import pytest

from tests.conftest import Browser
from tests.helpers import changes, factories, lookups, pages
from tests.helpers.pages import words
from tests.helpers.rules import HIDDEN, READ, WRITE, rule, text_field
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.models import AccessRequest, Person
from webapp.operations import apps
from webapp.workflow.actor import SYSTEM
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy
from webapp.workflow.states import Verdict


@pytest.fixture
def benevity(company):
    return factories.app("Benevity", company.ana, note="Only for the yearly drive.", category="Giving")


@pytest.fixture
def rich(company):
    """Fields of every kind that the requester may set, one that she may read and one that is hidden."""
    fields = (
        Entitlement("role", "Role", "choice", ("Reader", "Writer"), required=True, requester=WRITE),
        Entitlement("area", "Area", "choices", ("EMEA", "APAC"), default=["EMEA"], requester=WRITE),
        Entitlement("seats", "Seats", "number", requester=WRITE),
        Entitlement("mobile", "On the phone", "yes_no", default=True, requester=WRITE),
        text_field("team", name="Team", default="standard", requester=WRITE),
        text_field("plan", name="Plan", default="basic", requester=READ),
        text_field("cost", name="Cost centre"),
    )
    policy = rule(company.ana, see=({"cost": WRITE, "plan": HIDDEN},), entitlements=fields, comment_required=True)
    return factories.app("Salesforce", policy=policy)


def only_request():
    db.session.rollback()
    found = db.session.query(AccessRequest).populate_existing().one()
    return found


def test_the_dialog_says_who_decides_and_by_when_before_one_asks(login_as, rita, benevity):
    browser = login_as(rita)
    page, fragment = (browser.get(f"/catalog/{benevity.public_id}/request", htmx=htmx) for htmx in (False, True))
    for answer in (page, fragment):
        told = words(answer)
        assert answer.status_code == 200
        assert "Request Benevity" in told
        assert "Before you request Only for the yearly drive." in told
        assert "Who approves" in told
        assert "Ana Moreau Due " in told
        assert "You get access Straight away" in told
        assert "Why do you need it?" in told
        assert "0 of 1,000" in told
        assert "Request app" in told
    assert "<dialog" in pages.source(page) and " open aria-modal" in pages.source(page)
    assert pages.source(fragment).lstrip().startswith("<dialog")
    assert "<html" not in pages.source(fragment)


def test_the_dialog_names_every_step_and_how_long_it_takes(login_as, rita, company):
    app = factories.app("Salesforce", company.ana, company.finance)
    told = words(login_as(rita).get(f"/catalog/{app.public_id}/request"))
    assert "Ana Moreau Due " in told
    assert "Finance Up to 3 more days" in told
    assert "Ana will get an email now." in told


def test_the_dialog_says_how_long_it_usually_takes(login_as, rita, otto, ben, chloe, ana, benevity):
    for person in (otto, ben, chloe):
        made = factories.request(person, benevity)
        changes.shift("steps", "opened_at", timedelta(hours=-5), f"request_id = {made.id}")
        factories.decide(made, ana)
    assert "Ana usually decides within 5 hours." in words(login_as(rita).get(f"/catalog/{benevity.public_id}/request"))


def test_how_long_a_group_takes_is_not_what_its_members_take_alone(login_as, rita, otto, ben, chloe, ana, company):
    shared = factories.app("Salesforce", company.finance)
    for hours, app in ((5, shared), (1, factories.app("Jira", ben))):
        for person in (otto, ana, company.adam):
            made = factories.request(person, app)
            changes.shift("steps", "opened_at", timedelta(hours=-hours), f"request_id = {made.id}")
            factories.decide(made, ben)
    assert "Finance usually decides within 5 hours." in words(
        login_as(rita).get(f"/catalog/{shared.public_id}/request")
    )


def test_the_dialog_tells_a_stand_in(login_as, rita, ana, adam, company):
    app = factories.app("Apptio", rita, owner=adam)
    assert "The app owner Due " in words(login_as(rita).get(f"/catalog/{app.public_id}/request"))
    app = factories.app("Benevity", ana)
    changes.deactivate(ana, adam)
    assert "The admins Due " in words(login_as(rita).get(f"/catalog/{app.public_id}/request"))


def test_asking_opens_the_first_step_and_goes_to_the_request(login_as, rita, benevity):
    answer = login_as(rita).post(f"/catalog/{benevity.public_id}/request", {"message": "For the drive."})
    made = only_request()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/requests/{made.public_id}")
    assert (made.state, made.message) == ("pending", "For the drive.")
    assert lookups.mailed() == [("approval-asked", "Ana")]


def test_asking_by_htmx_answers_the_card_and_a_toast(login_as, rita, benevity):
    answer = login_as(rita).post(f"/catalog/{benevity.public_id}/request", {"message": "For it."}, htmx=True)
    assert answer.status_code == 200
    assert pages.source(answer).startswith(f'<li class="cs-card" id="app-{benevity.public_id}">')
    assert "Requested" in words(answer)
    assert "Request for Benevity sent." in words(answer)
    assert f'href="/requests/{only_request().public_id}"' in pages.source(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_second_time_hears_how_it_stands(login_as, rita, benevity, htmx):
    browser = login_as(rita)
    browser.post(f"/catalog/{benevity.public_id}/request", {"message": "For the drive."})
    before = lookups.everything()
    answer = browser.post(f"/catalog/{benevity.public_id}/request", {"message": "Once more."}, htmx=htmx)
    assert answer.status_code == 409
    assert "You already have a pending request for Benevity." in words(answer)
    assert "View your request" in words(answer)
    assert f"/requests/{only_request().public_id}" in pages.source(answer)
    if htmx:
        assert answer.headers["HX-Retarget"] == "#toasts", "the dialog keeps what was typed"
        assert f'id="app-{benevity.public_id}" hx-swap-oob="true"' in pages.source(answer)
        assert "Requested" in words(answer)
    assert lookups.everything() == before


def test_what_is_overdue_ends_when_one_asks_again(login_as, rita, benevity):
    late = factories.request(rita, benevity)
    factories.overdue(late)
    browser, before = login_as(rita), len(lookups.mailed())
    assert browser.get(f"/catalog/{benevity.public_id}/request?again={late.public_id}").status_code == 200
    assert lookups.state(late) == "pending", "opening the dialog changes nothing"
    answer = browser.post(f"/catalog/{benevity.public_id}/request", {"message": "Once more."})
    assert answer.status_code == 303
    assert lookups.state(late) == "expired"
    assert factories.rows("requests", "state = 'pending'") == 1
    assert factories.rows("events", "kind = 'request.expired'") == 1
    told = [("approval-asked", "Ana"), ("request-expired", "Ana"), ("request-expired", "Rita")]
    assert sorted(lookups.mailed()[before:]) == told


def test_a_refusal_leaves_what_is_overdue_as_it_was(login_as, adam):
    app = factories.app("Benevity", adam, owner=factories.person("Olga Petrova"))
    late = factories.request(adam, app)
    factories.overdue(late)
    changes.deactivate(db.session.query(Person).filter_by(name="Olga Petrova").one(), adam)
    factories.overdue(late)
    assert login_as(adam).post(f"/catalog/{app.public_id}/request", {"message": "For me."}).status_code == 409
    assert lookups.state(late) == "pending"


def test_who_has_it_cannot_ask(login_as, rita, ana, benevity):
    factories.decide(factories.request(rita, benevity), ana)
    answer = login_as(rita).post(f"/catalog/{benevity.public_id}/request", {"message": "More."})
    assert answer.status_code == 409
    assert "You already have Benevity." in words(answer)


def test_there_is_no_dialog_for_an_app_to_add(login_as, rita):
    app = factories.app("Apptio")
    answer = login_as(rita).get(f"/catalog/{app.public_id}/request")
    assert answer.status_code == 409
    assert "Select Add in the catalog" in words(answer)
    answer = login_as(rita).post(f"/catalog/{app.public_id}/request", {"message": "Please."})
    assert answer.status_code == 409
    assert "Select Add to get access." in words(answer)


@pytest.mark.parametrize("htmx", [False, True])
def test_what_is_missing_is_said_and_what_was_typed_stays(login_as, rita, rich, htmx):
    path = f"/catalog/{rich.public_id}/request"
    sent = {
        "message": "",
        "field-role": "Emperor",
        "field-area": ["APAC"],
        "field-seats": "many",
        "field-mobile": "no",
        "field-team": "",
    }
    browser = login_as(rita)
    answer = browser.post(path, {**sent, "message": "Because <b>I</b> need it"}, htmx=htmx)
    page = pages.source(answer)
    assert answer.status_code == 422
    assert "“Emperor” is not an option for Role." in words(answer)
    assert "Enter a number for Seats, for example 5 or 2.5." in words(answer)
    assert "Because &lt;b&gt;I&lt;/b&gt; need it</textarea>" in page
    assert 'value="many"' in page
    assert "Plan" not in words(answer)
    assert "Cost centre" not in words(answer)
    boxes = {part.split('"')[0]: " checked" in part.split(">")[0] for part in page.split('value="')[1:]}
    assert (boxes["APAC"], boxes["EMEA"]) == (True, False), "not what the default says"
    assert (boxes["no"], boxes["yes"]) == (True, False)
    team = page[page.index('id="field-team"') :].split(">")[0]
    assert 'value=""' in team, "emptied stays empty"
    answer = browser.post(path, {**sent, "field-role": "Reader", "field-seats": "3"}, htmx=htmx)
    assert answer.status_code == 422
    assert "Enter a reason." in words(answer)
    assert factories.rows("requests") == 0
    if htmx:
        assert page.lstrip().startswith("<dialog")


def test_values_are_taken_as_chosen_and_no_others(login_as, rita, rich):
    answer = login_as(rita).post(
        f"/catalog/{rich.public_id}/request",
        {"message": "Why not", "field-role": "Writer", "field-area": ["EMEA", "APAC"], "field-seats": "2,5",
         "field-mobile": "no", "field-team": " Sales ", "field-plan": "gold", "field-cost": "4711"},
    )  # fmt: skip
    assert answer.status_code == 303
    values = {key: one.value for key, one in only_request().values.items()}
    assert values == {
        "role": "Writer", "area": ["EMEA", "APAC"], "seats": 2.5, "mobile": False, "team": "Sales", "plan": "basic",
    }  # fmt: skip


def test_a_thousand_characters_as_stored_not_as_sent(login_as, rita, benevity):
    path = f"/catalog/{benevity.public_id}/request"
    browser = login_as(rita)
    answer = browser.post(path, {"message": "x" * 1001})
    assert answer.status_code == 422
    assert "Use 1,000 characters or fewer. You entered 1,001." in words(answer)
    assert "x" * 1001 in pages.source(answer)
    # Two signs that are one, and line ends of two: 1,000 as people count.
    message = "e\u0301" * 500 + "\r\n" * 250 + "x" * 250
    assert browser.post(path, {"message": message}).status_code == 303
    assert only_request().message == "é" * 500 + "\n" * 250 + "x" * 250


def test_a_message_may_be_left_out_where_the_app_says_so(login_as, rita, benevity):
    assert login_as(rita).post(f"/catalog/{benevity.public_id}/request", {"message": " \r\n"}).status_code == 303
    assert only_request().message == ""


@pytest.mark.parametrize("htmx", [False, True])
def test_when_nobody_is_left_to_decide_asking_is_refused_with_a_sentence(login_as, adam, htmx):
    app = factories.app("Benevity", adam)
    answer = login_as(adam).post(f"/catalog/{app.public_id}/request", {"message": "For <me>."}, htmx=htmx)
    assert answer.status_code == 409
    assert "This app has no approver who can decide your request" in words(answer)
    assert "For &lt;me&gt;.</textarea>" in pages.source(answer)
    assert factories.rows("requests") == 0
    if htmx:
        assert pages.source(answer).lstrip().startswith("<dialog")
        assert 'hx-status:409="target:#dialog swap:innerHTML"' in pages.source(answer), "not in place of the card"
        assert "HX-Retarget" not in answer.headers


def test_that_nobody_can_decide_is_said_before_one_writes_and_what_to_do(login_as, rita, adam, ana):
    app = factories.app("Benevity", ana, adam)
    answer = login_as(adam).get(f"/catalog/{app.public_id}/request")
    told = words(answer)
    assert answer.status_code == 200
    assert "This app has no approver who can decide your request" in told
    assert "Ask an admin to set another approver." in told
    assert "You are an admin. Open the rules of Benevity" in told
    assert f'href="/admin/apps/{app.public_id}"' in pages.source(answer)
    assert "No approver available An admin must set an approver" in told
    assert "reads this in the mail" not in told
    assert "gets a mail at once" not in told
    assert "Nobody" not in words(login_as(rita).get(f"/catalog/{app.public_id}/request"))


def test_whether_words_are_needed_is_said(login_as, rita, benevity, rich):
    browser = login_as(rita)
    assert "Optional. Ana will see this." in words(browser.get(f"/catalog/{benevity.public_id}/request"))
    told = words(browser.get(f"/catalog/{rich.public_id}/request"))
    assert "Ana will see this." in told
    assert "Optional" not in told


def test_the_first_field_has_the_focus(login_as, rita, benevity, rich):
    browser = login_as(rita)
    for app, field in ((benevity, "message"), (rich, "field-role")):
        page = pages.source(browser.get(f"/catalog/{app.public_id}/request"))
        assert re.findall(r'id="([^"]+)"[^>]* autofocus', page) == [field]


def test_asking_again_takes_over_ones_own_words_and_choices(login_as, rita, otto, ana, rich, benevity):
    made = factories.request(rita, rich, message="First try", given={"role": ["Writer"], "team": ["Ops"]})
    factories.decide(made, ana, Verdict.DENIED, given={})
    browser = login_as(rita)
    page = pages.source(browser.get(f"/catalog/{rich.public_id}/request?again={made.public_id}"))
    assert "First try</textarea>" in page
    assert 'value="Ops"' in page
    assert "Cost centre" not in page
    other = browser.get(f"/catalog/{benevity.public_id}/request?again={made.public_id}")
    assert "First try" not in pages.source(other), "words for one app are not for another"
    assert login_as(otto).get(f"/catalog/{rich.public_id}/request?again={made.public_id}").status_code == 404
    assert login_as(ana).get(f"/catalog/{rich.public_id}/request?again={made.public_id}").status_code == 403
    assert browser.get(f"/catalog/{rich.public_id}/request?again=%00").status_code == 200
    assert browser.get(f"/catalog/{rich.public_id}/request?again=nonsense").status_code == 404


def test_the_rule_in_force_counts_not_the_one_of_the_open_form(login_as, rita, ben, benevity):
    browser = login_as(rita)
    browser.get(f"/catalog/{benevity.public_id}/request")
    choose("write")
    policy = Policy(steps=rule(ben).steps, comment_required=True)
    apps.save_policy(db.session.merge(benevity), policy, actor=SYSTEM, now=clock.now())
    commit()
    assert browser.post(f"/catalog/{benevity.public_id}/request", {"message": ""}).status_code == 422
    assert browser.post(f"/catalog/{benevity.public_id}/request", {"message": "Why"}).status_code == 303
    assert lookups.mailed() == [("approval-asked", "Ben")]


def test_fifty_posts_at_once_end_in_one_request(app, rita, benevity):
    """Fifty tabs of one person, eight of them really at the same time."""
    path, browser = f"/catalog/{benevity.public_id}/request", Browser(app, rita)
    token = browser.token()
    cookie = browser.client.get_cookie("countersign").value
    db.session.remove()
    statuses, start = [], threading.Barrier(10)

    def press():
        client = app.test_client()
        client.set_cookie("countersign", cookie)
        start.wait()
        for _ in range(5):
            answer = client.post(path, data={"csrf_token": token, "message": "For the drive."})
            statuses.append(answer.status_code)

    threads = [threading.Thread(target=press) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [303] + [409] * 49
    assert factories.rows("requests") == factories.rows("steps") == factories.rows("invitations") == 1
    assert lookups.mailed() == [("approval-asked", "Ana")]
    assert factories.rows("events", "kind = 'request.submitted'") == 1


@pytest.mark.parametrize("htmx", [False, True])
def test_who_asks_too_often_is_told_when_it_goes_on_and_keeps_what_was_typed(login_as, rita, ana, htmx):
    app = factories.app("Figma", ana)
    for _ in range(5):
        changes.cancel(factories.request(rita, app), rita)
    answer = login_as(rita).post(f"/catalog/{app.public_id}/request", {"message": "Once more."}, htmx=htmx)
    assert answer.status_code == 409
    assert "You can request it again in 24 hours." in words(answer) and "Once more." in words(answer)
