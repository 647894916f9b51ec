"""A request's own page: its story, its mails, and who may see what of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests.helpers import changes, factories, lookups, pages, rules
from tests.helpers.pages import words
from tests.helpers.rules import HIDDEN, READ, WRITE, rule, text_field
from webapp.database.transactions import choose
from webapp.extensions import db
from webapp.operations import _repeat_limits
from webapp.workflow.policy import OutcomeRule
from webapp.workflow.states import Verdict

FIELDS = (
    text_field("wish", requester=WRITE),
    text_field("role", requester=READ, default="Reader"),
    text_field("cost", name="Cost centre"),
    text_field("secret", name="Inner code"),
)


@pytest.fixture
def made(company):
    """Ana first, then Finance; Otto's boss Adam is the admin; the owner is Chloe's colleague Olga."""
    olga = factories.person("Olga Petrova")
    policy = rule(
        company.ana,
        company.finance,
        see=(
            {"wish": READ, "role": READ, "cost": WRITE, "secret": HIDDEN},
            {"wish": HIDDEN, "role": HIDDEN, "cost": READ, "secret": WRITE},
        ),
        entitlements=FIELDS,
        outcomes=rules.outcomes(denied=OutcomeRule(others=("boss@partner.example",), approvers=True)),
    )
    app = factories.app("Salesforce", policy=policy, owner=olga)
    request = factories.request(company.rita, app, given={"wish": ["a red one"]})
    factories.decide(request, company.ana, comment="Fine with me.", given={"cost": ["4711"]})
    return request


@pytest.fixture
def made_for_ana(company):
    return factories.request(company.rita, factories.app("Benevity", company.ana))


def page(login_as, person, made):
    answer = login_as(person).get(f"/requests/{made.public_id}")
    assert answer.status_code == 200
    return words(answer)


def test_an_outsider_does_not_find_it(login_as, otto, made):
    assert login_as(otto).get(f"/requests/{made.public_id}").status_code == 404
    assert login_as(otto).get(f"/requests/{made.public_id}", htmx=True).status_code == 404


def test_there_is_no_such_request(login_as, adam):
    assert login_as(adam).get("/requests/000000000000").status_code == 404


def test_after_the_sign_in_a_person_comes_back_here(login_as, made):
    answer = login_as(None).get(f"/requests/{made.public_id}")
    assert answer.headers["Location"] == f"/sign-in?next=/requests/{made.public_id}"


def test_the_requester_sees_what_is_open_to_her_and_nothing_of_what_is_hidden(login_as, rita, made):
    told = page(login_as, rita, made)
    assert "Wish a red one set by you" in told
    assert "Role Reader" in told
    assert "Ana Moreau approved." in told
    assert "Fine with me." in told
    assert "Cost centre" not in told, "not even in the story, where it says what Ana set"
    assert "4711" not in told
    assert "Inner code" not in told


def test_step_one_sees_its_own_fields_only(login_as, ana, made):
    told = page(login_as, ana, made)
    assert "Wish a red one set by Rita" in told
    assert "Cost centre 4711 set by you" in told
    assert "Cost centre: 4711" in told
    assert "Inner code" not in told


def test_step_two_sees_its_own_fields_only(login_as, ben, made):
    told = page(login_as, ben, made)
    assert "Cost centre 4711 set by Ana" in told
    assert "Cost centre: 4711" in told
    assert "Inner code Not set yet" in told
    assert "a red one" not in told
    assert "Reader" not in told
    assert "Review" in told


def test_the_owner_and_an_admin_see_every_field(login_as, adam, made):
    olga = db.session.query(factories.Person).filter_by(name="Olga Petrova").one()
    for person in (olga, adam):
        told = page(login_as, person, made)
        assert "a red one" in told
        assert "4711" in told
        assert "Inner code" in told
        assert "Cancel request" not in told
        assert "Review" not in told.split()


def test_only_the_requester_reminds_and_withdraws(login_as, rita, adam, ana):
    made = factories.request(rita, factories.app("Apptio", ana, owner=adam))
    changes.shift("requests", "created_at", timedelta(hours=-25))
    offered = {"Cancel request", "Send reminder to Ana"}
    for person, theirs in ((rita, offered), (ana, set()), (adam, set())):
        told = page(login_as, person, made)
        assert {one for one in offered if one in told} == theirs


def test_an_admin_who_asks_is_a_requester_like_any_other(login_as, adam, ana):
    policy = rule(ana, see=({"cost": WRITE},), entitlements=(FIELDS[2],))
    made = factories.request(adam, factories.app("Apptio", policy=policy, owner=adam))
    factories.decide(made, ana, given={"cost": ["4711"]})
    assert "4711" not in page(login_as, adam, made)


def test_addresses_outside_and_what_their_servers_say_are_for_owners_and_admins(login_as, rita, ana, ben, adam, made):
    choose("write")
    db.session.execute(text("UPDATE organisation SET outcome_domains = 'partner.example'"))
    db.session.commit()
    factories.decide(made, ben, Verdict.DENIED, "No.")
    choose("write")
    db.session.execute(
        text("UPDATE notices SET state = 'dead', error = '550 boss@partner.example unknown' WHERE address IS NOT NULL")
    )
    db.session.commit()
    for person in (rita, ana, ben):
        told = page(login_as, person, made)
        assert "Email to an external address: denied" in told
        assert "boss@" not in told
    told = page(login_as, adam, made)
    assert "Email to boss@partner.example: denied" in told
    assert "Mail server: 550 boss@partner.example unknown" in told


def test_each_state_of_a_mail_is_told(login_as, rita, company):
    made = factories.request(rita, factories.app("Benevity", company.finance))
    told = page(login_as, rita, made)
    assert "Email to Ben Okafor: approval request Sending" in told
    for state, error, expected in (
        ("sent", "", "Sent "),
        ("dead", "550 no such box", "Not delivered"),
        ("obsolete", "It was withdrawn", "Not sent: It was withdrawn"),
        ("due", "421 try later", "Next attempt at "),
        ("leased", "", "Sending"),
    ):
        choose("write")
        db.session.execute(
            text("UPDATE notices SET state = :state, error = :error, tries = 2"), {"state": state, "error": error}
        )
        db.session.commit()
        told = page(login_as, rita, made)
        assert expected in told, state
        if error and state != "obsolete":
            assert f"Mail server: {error} (attempt 2 of 8)" in told


def test_mails_to_a_large_group_are_counted_after_twenty(login_as, rita):
    crowd = factories.group("Crowd", *[factories.person(f"Member{n:02d} Of Crowd") for n in range(25)])
    made = factories.request(rita, factories.app("Benevity", crowd))
    told = page(login_as, rita, made)
    assert "One of 25 people" in told
    assert "and 5 more" in told
    assert told.count(": approval request") == 20


def test_the_story_is_told_newest_first_under_days(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana), message="For the fund-raiser.")
    changes.shift("requests", "created_at", timedelta(days=-1))
    changes.shift("notices", "created_at", timedelta(days=-1))
    changes.comment(made, rita, "It is urgent now.")
    factories.decide(made, ana, Verdict.DENIED, "Use the shared one.")
    told = page(login_as, rita, made)
    in_order = ["Today, ", "Ana Moreau denied.", "Use the shared one.", "You commented.", "It is urgent now.",
                "Approval requested.", "You requested Benevity.", "For the fund-raiser."]  # fmt: skip
    story = told[told.index("History") :]
    assert sorted(in_order, key=story.index) == in_order
    assert "Reason: “Use the shared one.”" in told
    assert "Request again" in told


def test_each_ending_has_its_own_words(login_as, rita, ana):
    late = factories.request(rita, factories.app("Late", ana))
    factories.overdue(late)
    changes.sweep()
    assert "The request expired: no decision by the deadline." in page(login_as, rita, late)
    gone = factories.request(rita, factories.app("Gone", ana))
    changes.cancel(gone, rita)
    told = page(login_as, rita, gone)
    assert "You cancelled the request." in told
    assert "Not needed" in told
    good = factories.request(rita, factories.app("Good", ana))
    factories.decide(good, ana)
    told = page(login_as, rita, good)
    assert "Ana Moreau approved." in told
    assert "You have Good" in told


def test_an_overdue_one_has_ended_before_any_sweep(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana))
    factories.overdue(made)
    told = page(login_as, rita, made)
    assert "No access" in told
    assert "Requested access" in told
    assert "Request again" in told
    assert "Access to Benevity" not in told
    assert "Cancel request" not in told


def test_the_rule_it_started_under_and_the_owner_are_named(login_as, rita, made):
    told = page(login_as, rita, made)
    assert "Approvers Ana, then Finance" in told
    assert "Time limit 3 days per step" in told
    assert "Olga Petrova Owner of Salesforce" in told


def test_a_fallback_is_told_to_the_requester(login_as, rita, ana, adam):
    factories_app = factories.app("Benevity", ana, owner=adam)
    made = factories.request(rita, factories_app)
    changes.deactivate(ana, adam)
    told = page(login_as, rita, made)
    assert "Waiting for the app owner" in told
    assert "instead of Ana Moreau" in told


def test_a_cancellation_says_who_and_quotes_why(login_as, rita, ana, adam, company):
    """The reason is the person's own words: it is quoted, and stands nowhere as if it were ours."""
    why = "Ines makes them for me."
    made = {name: factories.request(rita, factories.app(name, company.finance, ana)) for name in ("Mine", "Theirs")}
    factories.decide(made["Mine"], company.ben)
    changes.cancel(made["Mine"], rita, why)
    changes.cancel(made["Theirs"], adam, why)
    for name, own, others in (
        ("Mine", "You cancelled the request.", "Rita Lindqvist cancelled the request."),
        ("Theirs", "Adam Weiss cancelled the request.", "Adam Weiss cancelled the request."),
    ):
        answer = login_as(rita).get(f"/requests/{made[name].public_id}")
        assert own in words(answer) and others in page(login_as, company.ben, made[name])
        assert f'<blockquote class="cs-quote cs-lines">{why}</blockquote>' in pages.source(answer)
    home = login_as(rita).get("/")
    assert "Cancelled by you, just now" in words(home) and "Cancelled by Adam Weiss, just now" in words(home)
    assert pages.source(home).count(f'<blockquote class="cs-quote cs-lines">“{why}”</blockquote>') == 2
    listed = words(login_as(adam).get("/admin/requests"))
    assert f"Cancelled by Rita Lindqvist “{why}”" in listed and f"Cancelled by Adam Weiss “{why}”" in listed


def test_a_reminder_and_a_new_code_are_told_as_what_they_are(login_as, rita, ana, made_for_ana):
    """Each is an approval email again; none of them is the request itself."""
    nobody, browser = login_as(None), login_as(rita)
    changes.shift("requests", "created_at", timedelta(hours=-25))
    changes.shift("notices", "created_at", timedelta(hours=-25))
    assert browser.post(f"/requests/{made_for_ana.public_id}/reminder").status_code == 303
    changes.shift("notices", "created_at", timedelta(minutes=-20), "data_json <> '{}'")
    assert nobody.post(f"{lookups.link(made_for_ana, ana)}/code").status_code == 200
    changes.new_round(nobody, made_for_ana, ana)
    told = page(login_as, rita, made_for_ana)
    in_order = ["A new approval code was sent.", "Email to Ana Moreau: new approval code",
                "The approval email was sent again.", "You sent a reminder.", "Email to Ana Moreau: reminder",
                "Approval requested.", "Email to Ana Moreau: approval request Sending", "You requested"]  # fmt: skip
    story = told[told.index("History") :]
    assert [story.rindex(one) for one in in_order] == sorted(story.rindex(one) for one in in_order)
    assert story.count("Approval requested.") == 1
    assert "Rita Lindqvist sent a reminder." in page(login_as, ana, made_for_ana)


def test_an_email_that_was_sent_looks_like_no_approval(login_as, rita, ana, made_for_ana):
    factories.decide(made_for_ana, ana, Verdict.DENIED, "No.")
    choose("write")
    db.session.execute(text("UPDATE notices SET state = 'sent'"))
    db.session.commit()
    source = pages.source(login_as(rita).get(f"/requests/{made_for_ana.public_id}"))
    mails = source[source.index('class="cs-mails"') :]
    assert "Sent " in mails and "cs-ok" not in mails


def test_the_comment_box_stands_where_the_newest_is(login_as, rita, made):
    told = page(login_as, rita, made)
    assert told.index("History") < told.index("Add comment") < told.index("Ana Moreau approved.")


@pytest.mark.parametrize(
    ("approvers", "days", "told"), [(1, 1, "1 day If"), (1, 11, "11 days If"), (2, 21, "21 days per step If")]
)
def test_a_time_limit_is_counted(login_as, rita, ana, company, approvers, days, told):
    policy = rule(*(ana, company.finance)[:approvers], days=days)
    assert f"Time limit {told}" in page(login_as, rita, factories.request(rita, factories.app("Figma", policy=policy)))


# ---------- Comments ----------


def test_whoever_may_see_it_may_write_on_it(login_as, rita, ben, adam, made):
    for person, said in ((rita, "Is it coming?"), (ben, "I look at it today."), (adam, "Be quick, please.")):
        answer = login_as(person).post(f"/requests/{made.public_id}/comments", {"comment": said})
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/requests/{made.public_id}#story"
    told = page(login_as, rita, made)
    assert "You commented." in told
    assert "Ben Okafor commented." in told
    assert "Be quick, please." in told


def test_a_comment_answers_the_story_to_htmx(login_as, rita, made):
    answer = login_as(rita).post(f"/requests/{made.public_id}/comments", {"comment": "Is it coming?"}, htmx=True)
    assert answer.status_code == 200
    assert pages.source(answer).lstrip().startswith("<div")
    assert 'id="story"' in pages.source(answer)
    assert "Is it coming?" in words(answer)
    assert "4711" not in words(answer), "a fragment hides what the page hides"


def test_a_long_talk_is_read_in_parts_and_nothing_of_it_is_lost(login_as, rita, made, monkeypatch):
    monkeypatch.setattr(_repeat_limits, "COMMENTS_AN_HOUR", 1000)
    for number in range(1, 251):
        changes.comment(made, rita, f"comment number {number};")
    browser, path, seen, parts = login_as(rita), f"/requests/{made.public_id}", [], []
    while path:
        answer = browser.get(path)
        told = words(answer)
        parts.append(told)
        seen.append([int(number) for number in re.findall(r"comment number (\d+);", told)])
        earlier = re.search(r'href="([^"#]+)#story">Earlier<', pages.source(answer))
        path = earlier and earlier[1]
    assert [number for part in seen for number in part] == list(range(250, 0, -1))
    assert [len(part) for part in seen] == [100, 100, 50]
    # Each moment stands in one part: the first of all with the oldest comments, a comment's mails beside it.
    assert [part.count("You requested Salesforce.") for part in parts] == [0, 0, 1]
    assert [part.count("Emails sent.") for part in parts] == [100, 100, 50]
    assert ["Newest" in part for part in parts] == [False, True, True]


def test_a_part_that_is_not_there_is_no_error(login_as, rita, made):
    changes.comment(made, rita, "Is it coming?")
    for odd in ("0", "-1", "x", "9" * 19, "9" * 18):
        answer = login_as(rita).get(f"/requests/{made.public_id}?before={odd}")
        assert answer.status_code == 200 and "Is it coming?" in words(answer)


def test_a_comment_that_is_sent_twice_stands_once(login_as, rita, ben, made):
    for said in ("Is it coming?", "Is it coming?", "Please."):
        answer = login_as(rita).post(f"/requests/{made.public_id}/comments", {"comment": said})
        assert answer.status_code == 303, "the second one is no mistake of hers"
    login_as(ben).post(f"/requests/{made.public_id}/comments", {"comment": "Is it coming?"})
    assert factories.rows("comments") == 3
    assert factories.rows("events", "kind = 'request.commented'") == 3
    changes.shift("comments", "created_at", factories.timedelta(minutes=-2))
    login_as(rita).post(f"/requests/{made.public_id}/comments", {"comment": "Is it coming?"})
    assert factories.rows("comments") == 4, "later it is meant"


def test_comments_refuse_get_and_outsiders(login_as, rita, otto, made):
    pages.assert_refuses_get(login_as(rita), f"/requests/{made.public_id}/comments")
    answer = login_as(otto).post(f"/requests/{made.public_id}/comments", {"comment": "Hello?"})
    assert answer.status_code == 404
    assert factories.rows("comments") == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_an_empty_or_too_long_comment_comes_back_as_typed(login_as, rita, made, htmx):
    browser = login_as(rita)
    answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": "  \r\n "}, htmx=htmx)
    assert answer.status_code == 422
    assert "Enter a comment." in words(answer)
    long = "\nÄ" + "x" * 1000
    answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": long}, htmx=htmx)
    assert answer.status_code == 422
    assert "You entered 1,001" in words(answer)
    assert f">\n{long}</textarea>" in pages.source(answer)
    assert factories.rows("comments") == 0
