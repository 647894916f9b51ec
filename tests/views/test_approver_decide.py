"""The decision page and its two buttons, signed in."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest

from tests.conftest import Browser
from tests.helpers import changes, factories, lookups, pages
from tests.helpers.pages import words
from tests.helpers.rules import HIDDEN, READ, WRITE, rule, text_field
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.models import AccessRequest, Grant
from webapp.operations import _repeat_limits, decisions, requests
from webapp.operations.proofs import STEP_IN
from webapp.workflow.states import Verdict

VERDICTS = ["approval", "denial"]


@pytest.fixture
def made(company):
    """Ana, then Finance."""
    app = factories.app("Salesforce", company.ana, company.finance)
    return factories.request(company.rita, app, message="For the <quarter>.")


def url(made, verdict):
    return f"/requests/{made.public_id}/{verdict}"


def test_the_page_says_who_what_why_and_until_when(login_as, rita, ana, made):
    factories.decide(factories.request(rita, factories.app("Slack", ana)), ana)
    told = words(login_as(ana).get(f"/approvals/{made.public_id}"))
    assert "Rita Lindqvist requests Salesforce" in told
    assert "“For the <quarter>.”" in told
    assert "Due " in told
    assert "(3 days left)." in told
    assert "Earlier requests None" in told
    assert "Rita’s other apps 1 app" in told
    assert "Slack" in told
    assert "Waiting for you" in told
    assert "Code from the email" not in told
    assert "Approve" in told and "Deny" in told


def test_the_next_approver_reads_what_was_decided_before(login_as, rita, ana, ben, made):
    factories.decide(made, ana, Verdict.DENIED, "Not this quarter.")
    again = factories.request(rita, db.session.get(factories.App, made.app_id))
    factories.decide(again, ana, comment="Now it fits.")
    told = words(login_as(ben).get(f"/approvals/{again.public_id}"))
    assert "Approved by Ana “Now it fits.”" in told
    assert "Just now: denied by Ana Moreau: “Not this quarter.”" in told
    assert "Ana Moreau approved" in told


def test_of_a_long_talk_the_newest_words_stand_beside_the_decision(login_as, rita, ana, made, monkeypatch):
    monkeypatch.setattr(_repeat_limits, "COMMENTS_AN_HOUR", 1000)
    for number in range(101):
        changes.comment(made, rita, f"comment number {number};")
    answer = login_as(ana).get(f"/approvals/{made.public_id}")
    assert "comment number 100;" in words(answer) and "comment number 0;" not in words(answer)
    assert "View the full history" in words(answer)
    assert f'href="/requests/{made.public_id}#story"' in pages.source(answer)


def test_ana_approves_and_finance_is_asked(login_as, ana, made):
    answer = login_as(ana).post(url(made, "approval"), {"comment": "Fine."})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/approvals/{made.public_id}")
    assert lookups.decisions(made) == [("Ana", "approved", "browser")]
    assert lookups.mailed()[-2:] == [("approval-asked", "Ben"), ("approval-asked", "Chloe")]
    told = words(login_as(ana).get(f"/approvals/{made.public_id}"))
    assert "You approved this, just now" in told
    assert "Waiting for Finance. You do not need to do anything." in told
    assert "Your comment: “Fine.”" in told


def test_the_last_yes_gives_the_app(login_as, rita, ana, ben, made):
    factories.decide(made, ana)
    login_as(ben).post(url(made, "approval"))
    assert lookups.state(made) == "approved"
    assert factories.rows("grants", "state = 'active'") == 1
    assert ("request-settled", "Chloe") in lookups.mailed()
    assert ("request-approved", "Rita") in lookups.mailed()
    told = words(login_as(ben).get(f"/approvals/{made.public_id}"))
    assert "Approved by you, just now" in told
    assert "Rita Lindqvist now has access to Salesforce." in told


def test_ana_denies_and_rita_gets_the_reason(login_as, rita, ana, made):
    answer = login_as(ana).post(url(made, "denial"), {"reason": "Use the shared one."})
    assert answer.status_code == 303
    assert lookups.state(made) == "denied"
    assert "“Use the shared one.”" in words(login_as(rita).get("/"))


@pytest.mark.parametrize("verdict", VERDICTS)
def test_by_htmx_the_whole_page_is_another_one(login_as, ana, made, verdict):
    answer = login_as(ana).post(url(made, verdict), {"reason": "No."}, htmx=True)
    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == f"/approvals/{made.public_id}"
    assert pages.source(answer) == ""


@pytest.mark.parametrize("verdict", VERDICTS)
def test_get_is_refused(login_as, ana, made, verdict):
    pages.assert_refuses_get(login_as(ana), url(made, verdict))
    pages.assert_refuses_get(login_as(None), url(made, verdict))


@pytest.mark.parametrize("verdict", VERDICTS)
@pytest.mark.parametrize(
    "form", [{}, {"reason": "x" * 1001, "comment": "x" * 1001}, {"reason": "No.", "step": "1"}, {"step": "²"}]
)
def test_an_outsider_finds_nothing_whatever_is_sent(login_as, otto, made, verdict, form):
    browser = login_as(otto)
    before = lookups.everything()
    assert browser.get(f"/approvals/{made.public_id}").status_code == 404
    answer = browser.post(url(made, verdict), form)
    assert answer.status_code == 404
    assert "Salesforce" not in pages.source(answer)
    assert lookups.everything() == before


@pytest.mark.parametrize("verdict", VERDICTS)
def test_an_outsider_finds_nothing_of_what_is_settled_either(login_as, otto, ana, made, verdict):
    factories.decide(made, ana, Verdict.DENIED)
    answer = login_as(otto).post(url(made, verdict), {"reason": "No."})
    assert answer.status_code == 404
    assert login_as(otto).post("/requests/000000000000/approval").status_code == 404


@pytest.mark.parametrize("verdict", VERDICTS)
def test_who_may_see_it_and_not_decide_it_is_told(login_as, adam, ben, chloe, ana, made, verdict):
    factories.decide(made, ana)
    for person in (ana, adam):
        browser = login_as(person)
        before = lookups.everything()
        answer = browser.post(url(made, verdict), {"reason": "No."})
        assert answer.status_code == 403
        assert "You are not an approver for this step." in words(answer)
        assert lookups.everything() == before


@pytest.mark.parametrize("verdict", VERDICTS)
def test_the_requester_cannot_decide_her_own_request(login_as, rita, made, verdict):
    browser = login_as(rita)
    before = lookups.everything()
    for form in ({"reason": "Yes me."}, {"reason": "x" * 1001, "comment": "x" * 1001}):
        answer = browser.post(url(made, verdict), form)
        assert answer.status_code in (403, 422)
        assert lookups.everything() == before
    assert "This is your own request" in words(browser.get(f"/approvals/{made.public_id}"))


def test_nobody_decides_their_own_by_any_path(login_as, app, rita, ben, adam, company):
    """As the step's person, a member of its group, the owner, an admin, by the admin's override."""
    choose("write")
    own = []
    app_of = {"person": factories.app("P", ben, owner=adam), "group": factories.app("G", company.finance)}
    app_of["owner"] = factories.app("O", company.rita, owner=ben)
    for one in app_of.values():
        own.append(factories.request(ben, one))
    admins = factories.app("A", company.ana, owner=adam)
    own_of_adam = factories.request(adam, admins)
    for made, person in [(one, ben) for one in own] + [(own_of_adam, adam)]:
        browser = login_as(person)
        for verdict in VERDICTS:
            answer = browser.post(url(made, verdict), {"reason": "Mine."})
            assert answer.status_code == 403
            assert "You cannot approve or deny your own request." in words(answer)
        assert lookups.state(made) == "pending"
        assert lookups.decisions(made) == []
        choose("write")
        with pytest.raises(requests.state_machine.SelfApproval):
            decisions.decide(
                factories.case_of(made), actor=person, verdict=Verdict.APPROVED, comment="Mine.",
                proof=STEP_IN, now=factories.clock.now(),
            )  # fmt: skip
        db.session.rollback()


@pytest.mark.parametrize("htmx", [False, True])
@pytest.mark.parametrize(("first", "second"), [("approval", "approval"), ("denial", "denial"), ("denial", "approval")])
def test_a_second_press_hears_how_it_stands(login_as, ana, made, first, second, htmx):
    browser = login_as(ana)
    step = db.session.query(factories.Step).filter_by(request_id=made.id, position=0).one().id
    form = {"reason": "No.", "step": str(step)}
    browser.post(url(made, first), form)
    before = lookups.everything()
    answer = browser.post(url(made, second), form, htmx=htmx)
    assert answer.status_code == 409
    if htmx:
        assert answer.headers["HX-Redirect"] == f"/approvals/{made.public_id}"
    elif first == "denial":
        assert "Denied by you, just now" in words(answer)
        assert "This request is already denied." in words(answer)
    else:
        assert "You approved this, just now" in words(answer)
        assert "This step has already been decided." in words(answer)
    assert lookups.everything() == before


def test_a_verdict_for_one_step_is_none_for_the_next(login_as, rita, ana, company):
    """Ana decides step 1 and, as a member, may decide step 2: a double click must not be both."""
    made = factories.request(rita, factories.app("Salesforce", ana, factories.group("Leads", ana, company.ben)))
    step = db.session.query(factories.Step).filter_by(request_id=made.id, position=0).one().id
    browser = login_as(ana)
    browser.post(url(made, "approval"), {"step": str(step)})
    answer = browser.post(url(made, "approval"), {"step": str(step), "comment": "Twice"})
    assert answer.status_code == 409
    assert "This step has already been decided." in words(answer)
    assert "Your decision" in words(answer), "the page of step 2, with a note"
    assert "Twice</textarea>" in pages.source(answer)
    assert len(lookups.decisions(made)) == 1


@pytest.mark.parametrize("htmx", [False, True])
def test_a_denial_without_a_reason_and_too_many_words_come_back_as_typed(login_as, ana, made, htmx):
    browser = login_as(ana)
    answer = browser.post(url(made, "denial"), {"reason": " \r\n ", "comment": "\nKeep <me>"}, htmx=htmx)
    assert answer.status_code == 422
    assert "Enter a reason." in words(answer)
    assert ">\n\nKeep &lt;me&gt;</textarea>" in pages.source(answer)
    for verdict, field in (("approval", "comment"), ("denial", "reason")):
        answer = browser.post(url(made, verdict), {field: "Ä" * 1001}, htmx=htmx)
        assert answer.status_code == 422
        assert "Use 1,000 characters or fewer. You entered 1,001." in words(answer)
        assert "Ä" * 1001 in pages.source(answer)
    if htmx:
        assert pages.source(answer).lstrip().startswith('<form class="card cs-verdict"')
    assert lookups.decisions(made) == []


# ---------- Fields ----------


@pytest.fixture
def with_fields(company):
    fields = (
        text_field("wish", requester=WRITE),
        text_field("role", required=True),
        text_field("secret", name="Inner code", default="007"),
    )
    see = ({"wish": READ, "role": WRITE, "secret": HIDDEN}, {"wish": WRITE, "role": READ, "secret": HIDDEN})
    app = factories.app("Benevity", policy=rule(company.ana, company.ben, see=see, entitlements=fields))
    return factories.request(company.rita, app, given={"wish": ["a red one"]})


def test_hidden_is_not_shown_read_is_shown_write_has_a_field(login_as, ana, with_fields):
    answer = login_as(ana).get(f"/approvals/{with_fields.public_id}")
    assert "Wish a red one set by Rita" in words(answer)
    assert 'name="field-role"' in pages.source(answer)
    assert 'name="field-wish"' not in pages.source(answer)
    assert "Inner code" not in words(answer)
    assert "007" not in words(answer)


def test_only_what_may_be_set_is_set(login_as, ana, ben, with_fields):
    form = {"field-role": "Writer", "field-wish": "a blue one", "field-secret": "008", "field-other": "x"}
    assert login_as(ana).post(url(with_fields, "approval"), form).status_code == 303
    stored = db.session.query(AccessRequest).populate_existing().one().values
    assert {key: one.value for key, one in stored.items()} == {
        "wish": "a red one", "role": "Writer", "secret": "007",
    }  # fmt: skip
    assert (stored["wish"].by, stored["role"].by) == (with_fields.asked_by_id, ana.id)
    page = login_as(ben).get(f"/approvals/{with_fields.public_id}")
    assert "Role Writer set by Ana" in words(page)
    assert 'value="a red one"' in pages.source(page)
    login_as(ben).post(url(with_fields, "approval"), {"field-role": "Emperor", "field-wish": ""})
    grant = db.session.query(Grant).populate_existing().one()
    assert {key: one.value for key, one in grant.values.items()} == {"role": "Writer", "secret": "007"}


@pytest.mark.parametrize("htmx", [False, True])
def test_a_field_that_is_missing_keeps_all_that_was_typed(login_as, ana, with_fields, htmx):
    browser = login_as(ana)
    answer = browser.post(url(with_fields, "approval"), {"field-role": "", "comment": "Nice"}, htmx=htmx)
    assert answer.status_code == 422
    assert "Enter Role." in words(answer)
    assert "Nice</textarea>" in pages.source(answer)
    answer = browser.post(url(with_fields, "approval"), {"field-role": 'y" onfocus="x' * 30}, htmx=htmx)
    assert "Use 200 characters or fewer for Role. You entered 390." in words(answer)
    assert "y&#34; onfocus=&#34;x" in pages.source(answer)
    assert browser.post(url(with_fields, "denial"), {"field-role": "", "reason": "No."}).status_code == 303


# ---------- Honest states ----------


def test_a_deadline_counts_at_the_decision_itself(login_as, ana, made):
    browser = login_as(ana)
    page = browser.get(f"/approvals/{made.public_id}")
    assert page.status_code == 200
    factories.overdue(made)
    for verdict in VERDICTS:
        answer = browser.post(url(made, verdict), {"reason": "No."})
        assert answer.status_code == 409
        assert "Expired " in words(answer)
        assert "The deadline for this decision has passed." in words(answer)
    assert lookups.state(made) == "pending", "the sweep will say so; the page does already"
    told = words(browser.get(f"/approvals/{made.public_id}"))
    assert "Expired " in told
    assert "you will then get a new email." in told
    changes.sweep()
    assert "Expired " in words(browser.get(f"/approvals/{made.public_id}"))


def test_who_left_the_group_neither_sees_nor_decides(login_as, rita, ben, chloe, company):
    made = factories.request(rita, factories.app("Salesforce", company.finance))
    changes.leave(company.finance, ben, company.adam)
    assert login_as(ben).get(f"/approvals/{made.public_id}").status_code == 404
    assert login_as(ben).post(url(made, "approval")).status_code == 404


def test_stand_ins_are_told_on_the_page_why_they_are_asked(login_as, rita, ana, ben, adam):
    owned = factories.request(rita, factories.app("Benevity", ana, owner=ben))
    left = factories.request(rita, factories.app("Apptio", ana))
    changes.deactivate(ana, adam)
    told = words(login_as(ben).get(f"/approvals/{owned.public_id}"))
    assert "You are deciding as the owner of Benevity, because its approver cannot decide this request." in told
    assert login_as(ben).post(url(owned, "approval")).status_code == 303
    told = words(login_as(adam).get(f"/approvals/{left.public_id}"))
    assert "You are deciding as an admin, because" in told
    assert login_as(adam).post(url(left, "approval")).status_code == 303


def test_an_override_is_told_as_that(login_as, ana, ben, adam, made):
    factories.decide(made, ana)
    choose("write")
    decisions.decide(
        factories.case_of(made), actor=adam, verdict=Verdict.DENIED, comment="Audit.", proof=STEP_IN,
        now=factories.clock.now(),
    )  # fmt: skip
    commit()
    told = words(login_as(ben).get(f"/approvals/{made.public_id}"))
    assert "Denied by Adam Weiss, just now" in told
    assert ", as an admin" in told
    assert ", for Finance" not in told


def test_settled_by_another_member_says_by_whom(login_as, rita, ben, chloe, company):
    made = factories.request(rita, factories.app("Salesforce", company.finance))
    factories.decide(made, ben)
    answer = login_as(chloe).post(url(made, "denial"), {"reason": "No."})
    assert answer.status_code == 409
    told = words(answer)
    assert "Approved by Ben Okafor, just now" in told
    assert "for Finance" in told
    assert "You do not need to do anything." in told


def test_opening_any_page_changes_nothing(login_as, rita, ana, adam, company, with_fields, made):
    paths = [
        "/", "/requests", "/catalog", "/catalog?q=a", "/approvals", "/approvals/decided", "/account",
        *[f"/{kind}/{one.public_id}" for kind in ("requests", "approvals") for one in (made, with_fields)],
    ]  # fmt: skip
    for person in (rita, ana, adam):
        browser = login_as(person)
        changes.shift("sessions", "seen_at", timedelta(hours=-1))
        before = lookups.everything()
        for path in paths:
            for htmx in (False, True):
                assert browser.get(path, htmx=htmx).status_code == 200
            assert browser.client.head(path).status_code == 200
        assert lookups.everything() == before


def test_two_members_at_the_same_moment_are_one_decision(app, rita, ben, chloe, company):
    wanted = factories.app("Salesforce", company.finance)
    for verdicts in (("approval", "denial"), ("approval", "approval"), ("denial", "denial")):
        made = factories.request(factories.person(f"{verdicts[0]} {verdicts[1]}{len(lookups.mailed())}",
                                 email=f"{verdicts[0]}{verdicts[1]}@example.com"), wanted)  # fmt: skip
        path, id = f"/requests/{made.public_id}", made.id
        browsers = [(Browser(app, person), verdict) for person, verdict in zip((ben, chloe), verdicts, strict=True)]
        sent = [(one, f"{path}/{verdict}", one.token()) for one, verdict in browsers]
        db.session.remove()
        start, statuses = threading.Barrier(2), []

        def press(browser, address, token, start=start, statuses=statuses):
            start.wait()
            answer = browser.client.post(address, data={"csrf_token": token, "reason": "No."})
            statuses.append(answer.status_code)

        threads = [threading.Thread(target=press, args=one) for one in sent]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [303, 409]
        assert factories.rows("decisions", f"step_id IN (SELECT id FROM steps WHERE request_id = {id})") == 1
