"""Admins find any request, and step in on those that are not their own: cancel, reassign, give more time."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from tests.helpers import factories, lookups
from tests.helpers.lookups import facts, now
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import counting
from webapp import clock
from webapp.admin.requests import COLUMNS
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db, keyring
from webapp.models import AccessRequest, Comment, Invitation, Notice, Step
from webapp.operations import people
from webapp.queries import request_lines
from webapp.record import audit
from webapp.workflow.actor import SYSTEM
from webapp.workflow.states import Verdict

pytestmark = pytest.mark.both_engines

REASON = {"reason": "Ana is on holiday."}


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


@pytest.fixture
def figma(ana):
    return factories.app("Figma", ana)


@pytest.fixture
def asked(rita, figma):
    return factories.request(rita, figma, message="For the design of the new site.")


def plain(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", markup(answer)).split())


def rows(answer):
    return re.findall(r'<tr id="request-(\w+)"', markup(answer))


def url(request, action=""):
    return f"/admin/requests/{request.public_id}{action}"


def step_of(request):
    db.session.rollback()
    return db.session.scalars(select(Step).where(Step.request_id == request.id, Step.state == "open")).first()


def invitations(request):
    """person id → (live, round)."""
    db.session.rollback()
    found = db.session.scalars(
        select(Invitation).join(Step, Step.id == Invitation.step_id).where(Step.request_id == request.id)
    )
    return {one.person_id: (one.live, one.round) for one in found}


def mails_to(person, kind, request):
    db.session.rollback()
    return len(
        db.session.scalars(
            select(Notice.id).where(Notice.kind == kind, Notice.person_id == person.id, Notice.request_id == request.id)
        ).all()
    )


def many(number, app, first=0):
    """Requests of as many people, cancelled, straight into the table."""
    choose("write")
    revision = factories.revision_of(app).id
    for index in range(first, first + number):
        person = people.create(email=f"p{index}@example.com", name=f"P {index}", actor=SYSTEM, now=clock.now())
        db.session.add(
            AccessRequest(app_id=app.id, asked_by_id=person.id, for_person_id=person.id, policy_revision_id=revision,
                          state="cancelled", created_at=clock.now(), settled_at=clock.now())
        )  # fmt: skip
    outbox.commit()


# The list


def test_the_list_says_with_whom_each_request_is_or_who_decided_it(admin, asked, figma, company, ana):
    concur = factories.app("Concur", company.finance)
    denied = factories.request(company.otto, figma)
    factories.decide(denied, ana, Verdict.DENIED)
    waiting = factories.request(company.otto, concur)
    late = factories.request(company.chloe, figma)
    factories.overdue(late)
    answer = admin.get("/admin/requests")
    assert rows(answer) == [late.public_id, waiting.public_id, denied.public_id, asked.public_id]
    page = plain(answer)
    assert re.search(r"Concur R-\w+ OB Otto Brandt Pending Finance", page)
    assert re.search(r"Figma R-\w+ OB Otto Brandt Denied AM Ana Moreau", page)
    assert re.search(r"Figma R-\w+ CT Chloe Tan Expired No decision", page)
    assert "4 of 4, newest first" in page
    assert f'href="/requests/{asked.public_id}"' in markup(answer)


def test_the_list_is_filtered_by_state_app_person_approver_words_and_days(admin, asked, figma, company, rita, ana):
    concur = factories.app("Concur", company.finance)
    other = factories.request(company.otto, concur, message="100% for taxes")
    factories.decide(other, company.ben)

    def found(query, **kwargs):
        return rows(admin.get(f"/admin/requests?{query}", **kwargs))

    assert found("state=approved") == [other.public_id] and found("state=pending") == [asked.public_id]
    assert found(f"app={concur.public_id}") == [other.public_id] and found("app=000000000000") == []
    assert found("person=rita") == [asked.public_id] and found(f"person={company.otto.public_id}") == [other.public_id]
    assert found("approver=chloe") == [other.public_id] and found("approver=ana+moreau") == [asked.public_id]
    assert found("person=zebra") == [] and found("approver=zebra") == []
    assert found("q=DESIGN+site") == [asked.public_id] and found("q=design+taxes") == []
    assert found("q=100%25") == [other.public_id] and found("q=_") == []
    assert found(f"q={asked.reference}") == [asked.public_id]
    assert found(f"q={asked.reference.lower()[2:]}") == [asked.public_id]
    today, tomorrow = clock.now().date(), clock.now().date() + timedelta(days=1)
    assert len(found(f"since={today}&until={today}")) == 2 and found(f"since={tomorrow}") == []
    fragment = admin.get(f"/admin/requests?state=approved&app={concur.public_id}", htmx=True)
    assert is_fragment(fragment) and rows(fragment) == [other.public_id]
    assert f"app={concur.public_id}&state=denied" in markup(fragment) or "state=denied" in markup(fragment)
    assert "No requests match" in plain(admin.get("/admin/requests?q=zebra"))


def test_the_requests_that_are_found_are_taken_along_as_a_table(admin, asked, company, monkeypatch):
    concur = factories.app("=Concur", company.finance)
    denied = factories.request(company.otto, concur)
    factories.decide(denied, company.ben, Verdict.DENIED)
    many(7, concur)
    # Smaller batches, or a test would need a thousand requests to see a seam.
    monkeypatch.setattr(request_lines, "BATCH", 3)

    def table(query=""):
        answer = admin.get(f"/admin/requests.csv{query}", buffered=True)
        assert answer.mimetype == "text/csv" and "requests-20" in answer.headers["Content-Disposition"]
        return list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))

    whole = table()
    assert tuple(whole[0]) == COLUMNS and len(whole) == 10
    assert [row[0] for row in whole[8:]] == [denied.reference, asked.reference]
    assert whole[8][1:5] == ["'=Concur", "Otto Brandt", "Denied", "Ben Okafor"]
    assert whole[9][1:5] == ["Figma", "Rita Lindqvist", "Pending", "Ana Moreau"] and whole[9][5:7] != ["", ""]
    assert [row[0] for row in table("?q=design")[1:]] == [asked.reference]
    assert len(table("?state=cancelled")) == 8 and table("?q=zebra") == [list(COLUMNS)]
    assert f"/admin/requests.csv?app={concur.public_id}" in markup(admin.get(f"/admin/requests?app={concur.public_id}"))
    assert "requests.csv" not in markup(admin.get("/admin/requests?q=zebra"))


def test_an_empty_list_says_so(admin):
    assert "No requests yet" in plain(admin.get("/admin/requests"))


def test_pages_follow_each_other(admin, figma):
    many(60, figma)
    first = admin.get("/admin/requests?state=cancelled")
    assert "50 of 60" in plain(first) and len(rows(first)) == 50
    second = admin.get("/admin/requests" + re.search(r"\?[^\"]*before=\d+", markup(first)).group())
    assert len(rows(second)) == 10 and set(rows(second)).isdisjoint(rows(first))
    back = admin.get("/admin/requests" + re.search(r"\?[^\"]*after=\d+", markup(second)).group())
    assert rows(back) == rows(first)


def test_the_list_takes_the_same_statements_with_1_30_and_300_requests(admin, figma):
    counts = []
    for first, more in ((0, 1), (1, 29), (30, 270)):
        many(more, figma, first)
        with counting() as seen:
            assert admin.get("/admin/requests?state=cancelled").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] == counts[2] <= 7


# Cancelling


def test_an_admin_cancels_with_a_reason(admin, asked, adam, rita, ana):
    answer = admin.post(url(asked, "/cancellation"), {"reason": "Rita leaves on Friday."})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/requests/{asked.public_id}")
    row = now(asked)
    assert (row.state, row.settled_by_id, row.settled_note) == ("cancelled", adam.id, "Rita leaves on Friday.")
    assert mails_to(rita, "request-cancelled", asked) == 1 and mails_to(ana, "request-cancelled", asked) == 1
    assert facts("request.cancelled")[-1]["actor"] == adam.id
    assert "Rita leaves on Friday." in plain(admin.get(f"/requests/{asked.public_id}"))
    again = admin.post(url(asked, "/cancellation"), REASON)
    assert again.status_code == 409


# Reassigning


def test_an_admin_gives_the_open_step_to_somebody_else(admin, login_as, asked, adam, ana, ben):
    old_link = lookups.link(asked, ana)
    answer = admin.post(url(asked, "/reassignment"), REASON | {"decider": f"person:{ben.public_id}"})
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/requests/{asked.public_id}")
    step = step_of(asked)
    assert (step.approver_person_id, step.approver_group_id, step.tier) == (ben.id, None, "approver")
    assert invitations(asked) == {ana.id: (False, 2), ben.id: (True, 1)}
    assert mails_to(ben, "approval-asked", asked) == 1
    last = facts("step.reassigned")[-1]
    assert (last["actor"], last["request"], last["before"]["asked"]) == (adam.id, asked.id, [ana.id])
    assert last["after"] == {"approver": {"person": ben.id, "group": None}, "tier": "approver", "asked": [ben.id]}
    assert "Ana is on holiday." not in str(last)
    story = plain(admin.get(f"/requests/{asked.public_id}"))
    assert "Reassigned to Ben Okafor. Reason: Ana is on holiday." in story
    # Who is no longer asked is an outsider again.
    assert login_as(ana).post(f"/requests/{asked.public_id}/approval").status_code == 404
    assert login_as(None).post(f"{old_link}/approval", {"code": "000000"}).status_code == 404
    assert now(asked).state == "pending"
    factories.decide(asked, ben)
    assert now(asked).state == "approved"
    assert audit.verify()[1] is None


def test_a_group_is_asked_as_a_whole_and_who_was_asked_before_gets_a_new_link(admin, asked, ana, company):
    admin.post(url(asked, "/reassignment"), REASON | {"decider": f"group:{company.finance.public_id}"})
    assert invitations(asked) == {ana.id: (False, 2), company.ben.id: (True, 1), company.chloe.id: (True, 1)}
    admin.post(url(asked, "/reassignment"), REASON | {"decider": f"person:{company.ben.public_id}"})
    assert invitations(asked) == {ana.id: (False, 3), company.ben.id: (True, 2), company.chloe.id: (False, 2)}
    assert mails_to(company.ben, "approval-asked", asked) == 2


def test_whoever_gets_it_back_has_a_code_that_works(admin, asked, ana, ben):
    choose("write")
    # Closed by wrong ones, and of a key that was replaced meanwhile.
    db.session.execute(update(Invitation).values(wrong_codes=5, key_id="older"))
    db.session.commit()
    for person in (ben, ana):
        admin.post(url(asked, "/reassignment"), REASON | {"decider": f"person:{person.public_id}"})
    invitation = lookups.invitation(asked, ana)
    assert (invitation.live, invitation.wrong_codes, invitation.key_id) == (True, 0, keyring().current)


@pytest.mark.parametrize("htmx", [False, True])
def test_a_reassignment_that_cannot_be_is_redisplayed_with_what_was_typed(admin, asked, rita, ana, company, htmx):
    for form, sentence in (
        (REASON | {"decider": "person:nobody"}, "Choose a person or group."),
        (REASON | {"decider": f"person:{ana.public_id}"}, "Ana Moreau is already the approver."),
        (REASON | {"decider": f"person:{rita.public_id}"}, "Rita Lindqvist cannot decide this"),
        ({"decider": f"person:{company.ben.public_id}", "reason": " "}, "Enter a reason"),
        ({"decider": f"person:{company.ben.public_id}", "reason": "x" * 501}, "Use 500 characters or fewer"),
    ):
        answer = admin.post(url(asked, "/reassignment"), form, htmx=htmx)
        assert answer.status_code == 422 and sentence in plain(answer)
        assert form["reason"].strip() in markup(answer)
    assert step_of(asked).approver_person_id == ana.id and invitations(asked) == {ana.id: (True, 1)}
    assert facts("step.reassigned") == []


# More time


def test_an_admin_gives_more_time(admin, asked, adam):
    before = step_of(asked).due_at
    answer = admin.post(url(asked, "/extension"), REASON | {"days": "10"})
    assert answer.status_code == 303
    due = step_of(asked).due_at
    assert due > before and abs(due - clock.now() - timedelta(days=10)) < timedelta(minutes=1)
    last = facts("step.extended")[-1]
    assert (last["actor"], last["days"]) == (adam.id, 10) and last["before"]["due_at"] < last["after"]["due_at"]
    assert "Deadline extended to 10 days from this comment. Reason: Ana is on holiday." in plain(
        admin.get(f"/requests/{asked.public_id}")
    )
    assert now(asked).version == 2


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "", "1.5", "1"])
def test_a_time_that_is_none_is_redisplayed(admin, asked, days):
    """One day is less than the three that there are."""
    before = step_of(asked).due_at
    answer = admin.post(url(asked, "/extension"), REASON | {"days": days})
    assert answer.status_code == 422 and 'aria-invalid="true"' in markup(answer) and f'value="{days}"' in markup(answer)
    assert step_of(asked).due_at == before and now(asked).version == 1 and factories.rows("comments") == 0


# Never


@pytest.mark.parametrize("action", ["cancellation", "reassignment", "extension"])
@pytest.mark.parametrize("htmx", [False, True])
def test_no_admin_steps_in_on_their_own_request(admin, adam, figma, company, action, htmx):
    own = factories.request(adam, figma)
    form = REASON | {"days": "30", "decider": f"person:{company.ben.public_id}"}
    answer = admin.post(url(own, f"/{action}"), form, htmx=htmx)
    assert answer.status_code == 403 and "You cannot change your own request." in plain(answer)
    assert now(own).state == "pending" and now(own).version == 1
    assert "This is your own request. You can cancel it;" in plain(admin.get(url(own)))
    assert "Manage request" not in plain(admin.get(f"/requests/{own.public_id}"))


@pytest.mark.parametrize("action", ["cancellation", "reassignment", "extension"])
def test_what_is_settled_or_overdue_stays_as_it_is(admin, asked, ana, company, figma, action):
    form = REASON | {"days": "30", "decider": f"person:{company.ben.public_id}"}
    factories.decide(asked, ana)
    assert admin.post(url(asked, f"/{action}"), form).status_code == 409
    assert now(asked).state == "approved"
    if action != "cancellation":
        late = factories.request(company.otto, figma)
        factories.overdue(late)
        answer = admin.post(url(late, f"/{action}"), form)
        assert answer.status_code == 409 and "The deadline for this decision has passed." in plain(answer)


def test_the_requests_page_leads_admins_there_and_nobody_else(admin, login_as, asked, rita, ana):
    assert f'href="{url(asked)}"' in markup(admin.get(f"/requests/{asked.public_id}"))
    for person in (rita, ana):
        assert "Manage request" not in plain(login_as(person).get(f"/requests/{asked.public_id}"))


def test_whom_to_give_it_to_is_found_with_all_that_was_typed_kept(admin, asked, company):
    """Without JavaScript; with it the picker keeps the choice until the form is sent."""
    chloe, ben = (f"person:{one.public_id}" for one in (company.chloe, company.ben))
    form = REASON | {"decider": chloe, "q": "okafor", "find": "1"}
    page = flat(admin.post(url(asked, "/reassignment"), form))
    assert f'name="take" value="{ben}" formnovalidate' in page and 'value="okafor"' in page
    assert f'name="decider" value="{chloe}"' in page and REASON["reason"] in page
    page = flat(admin.post(url(asked, "/reassignment"), REASON | {"decider": chloe, "take": ben}))
    assert f'name="decider" value="{ben}"' in page and REASON["reason"] in page and 'name="take"' not in page
    assert facts("step.reassigned") == []
    # A refusal keeps the one that was chosen, too.
    page = flat(admin.post(url(asked, "/reassignment"), {"decider": chloe, "reason": ""}))
    assert "Enter a reason" in page and f'name="decider" value="{chloe}"' in page


@pytest.mark.parametrize("action", ["", "/cancellation", "/reassignment", "/extension"])
def test_only_admins_step_in(login_as, asked, otto, rita, ana, action):
    form = REASON | {"days": "30", "decider": f"person:{otto.public_id}"}
    for person in (otto, rita, ana):
        browser = login_as(person)
        answer = browser.post(url(asked, action), form) if action else browser.get(url(asked))
        assert answer.status_code == 404
    assert login_as(otto).get("/admin/requests").status_code == 404
    assert now(asked).state == "pending" and factories.rows("comments") == 0


def test_what_is_not_there_is_not_found(admin):
    assert admin.get("/admin/requests/000000000000").status_code == 404
    for action in ("cancellation", "reassignment", "extension"):
        assert admin.post(f"/admin/requests/000000000000/{action}", REASON).status_code == 404
        assert admin.get(f"/admin/requests/000000000000/{action}").status_code == 405


def test_what_an_admin_writes_is_shown_as_words(admin, asked):
    admin.post(url(asked, "/extension"), {"days": "9", "reason": "<img src=x>"})
    assert db.session.scalars(select(Comment.body)).one().endswith("<img src=x>")
    assert "<img src=x>" not in admin.get(f"/requests/{asked.public_id}").get_data(as_text=True)
