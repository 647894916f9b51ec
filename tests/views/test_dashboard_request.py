"""A request's own page: its story, its mails, and who may see what of it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import text

from tests import factories
from tests.views import stage
from tests.views.stage import HIDDEN, READ, WRITE, rule, text_field, words
from webapp.extensions import db
from webapp.transactions import choose
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
        outcomes=stage.outcomes(denied=OutcomeRule(others=("boss@partner.example",), approvers=True)),
    )
    app = factories.app("Salesforce", policy=policy, owner=olga)
    request = factories.request(company.rita, app, given={"wish": ["a red one"]})
    factories.decide(request, company.ana, comment="Fine with me.", given={"cost": ["4711"]})
    return request


def page(login_as, person, made):
    answer = login_as(person).get(f"/requests/{made.public_id}")
    assert answer.status_code == 200
    return words(answer)


def test_an_outsider_does_not_find_it(login_as, otto, made):
    assert login_as(otto).get(f"/requests/{made.public_id}").status_code == 404
    assert login_as(otto).get(f"/requests/{made.public_id}", htmx=True).status_code == 404


def test_there_is_no_such_request(login_as, adam):
    assert login_as(adam).get("/requests/000000000000").status_code == 404


def test_nobody_comes_back_here_after_the_door(login_as, made):
    answer = login_as(None).get(f"/requests/{made.public_id}")
    assert answer.headers["Location"] == f"/sign-in?next=/requests/{made.public_id}"


def test_the_requester_sees_what_is_open_to_her_and_nothing_of_what_is_hidden(login_as, rita, made):
    told = page(login_as, rita, made)
    assert "Wish a red one you set it" in told
    assert "Role Reader" in told
    assert "Ana Moreau approved." in told
    assert "Fine with me." in told
    assert "Cost centre" not in told, "not even in the story, where it says what Ana set"
    assert "4711" not in told
    assert "Inner code" not in told


def test_step_one_sees_its_own_fields_only(login_as, ana, made):
    told = page(login_as, ana, made)
    assert "Wish a red one Rita set it" in told
    assert "Cost centre 4711 you set it" in told
    assert "Set Cost centre to 4711" in told
    assert "Inner code" not in told


def test_step_two_sees_its_own_fields_only(login_as, ben, made):
    told = page(login_as, ben, made)
    assert "Cost centre 4711 Ana set it" in told
    assert "Set Cost centre to 4711" in told
    assert "Inner code Not set yet" in told
    assert "a red one" not in told
    assert "Reader" not in told
    assert "Decide" in told


def test_the_owner_and_an_admin_see_every_field(login_as, adam, made):
    olga = db.session.query(factories.Person).filter_by(name="Olga Petrova").one()
    for person in (olga, adam):
        told = page(login_as, person, made)
        assert "a red one" in told
        assert "4711" in told
        assert "Inner code" in told
        assert "Cancel request" not in told
        assert "Decide" not in told.split()


def test_only_the_requester_reminds_and_withdraws(login_as, rita, adam, ana):
    made = factories.request(rita, factories.app("Apptio", ana, owner=adam))
    stage.shift("requests", "created_at", timedelta(hours=-25))
    offered = {"Cancel request", "Ask Ana again"}
    for person, theirs in ((rita, offered), (ana, set()), (adam, set())):
        told = page(login_as, person, made)
        assert {one for one in offered if one in told} == theirs


def test_an_admin_who_asks_is_a_requester_like_any_other(login_as, adam, ana):
    policy = rule(ana, see=({"cost": WRITE},), entitlements=(FIELDS[2],))
    made = factories.request(adam, factories.app("Apptio", policy=policy, owner=adam))
    factories.decide(made, ana, given={"cost": ["4711"]})
    assert "4711" not in page(login_as, adam, made)


def test_addresses_outside_and_what_their_servers_say_are_for_owners_and_admins(login_as, rita, ana, ben, adam, made):
    factories.decide(made, ben, Verdict.DENIED, "No.")
    choose("write")
    db.session.execute(
        text("UPDATE notices SET state = 'dead', error = '550 boss@partner.example unknown' WHERE address IS NOT NULL")
    )
    db.session.commit()
    for person in (rita, ana, ben):
        told = page(login_as, person, made)
        assert "To another address, denied" in told
        assert "boss@" not in told
    told = page(login_as, adam, made)
    assert "To boss@partner.example, denied" in told
    assert "The mail server said: 550 boss@partner.example unknown" in told


def test_each_state_of_a_mail_is_told(login_as, rita, company):
    made = factories.request(rita, factories.app("Benevity", company.finance))
    told = page(login_as, rita, made)
    assert "To Ben Okafor, approval asked On its way" in told
    for state, error, expected in (
        ("sent", "", "Accepted "),
        ("dead", "550 no such box", "Could not be delivered"),
        ("obsolete", "It was withdrawn", "Not sent: It was withdrawn"),
        ("due", "421 try later", "Trying again at "),
        ("leased", "", "On its way"),
    ):
        choose("write")
        db.session.execute(
            text("UPDATE notices SET state = :state, error = :error, tries = 2"), {"state": state, "error": error}
        )
        db.session.commit()
        told = page(login_as, rita, made)
        assert expected in told, state
        if error and state != "obsolete":
            assert f"The mail server said: {error}. Try 2 of 8." in told


def test_mails_to_a_large_group_are_counted_after_twenty(login_as, rita):
    crowd = factories.group("Crowd", *[factories.person(f"Member{n:02d} Of Crowd") for n in range(25)])
    made = factories.request(rita, factories.app("Benevity", crowd))
    told = page(login_as, rita, made)
    assert "One of 25 people" in told
    assert "and 5 more" in told
    assert told.count("approval asked") == 20


def test_the_story_is_told_newest_first_under_days(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana), message="For the fund-raiser.")
    stage.shift("requests", "created_at", timedelta(days=-1))
    stage.shift("notices", "created_at", timedelta(days=-1))
    stage.comment(made, rita, "It is urgent now.")
    factories.decide(made, ana, Verdict.DENIED, "Use the shared one.")
    told = page(login_as, rita, made)
    in_order = ["Today, ", "Ana Moreau denied.", "Use the shared one.", "You wrote a comment.", "It is urgent now.",
                "Approval was asked for.", "You asked for Benevity.", "For the fund-raiser."]  # fmt: skip
    story = told[told.index("What happened") :]
    assert sorted(in_order, key=story.index) == in_order
    assert "The reason: “Use the shared one.”" in told
    assert "Ask again" in told


def test_each_ending_has_its_own_words(login_as, rita, ana):
    late = factories.request(rita, factories.app("Late", ana))
    factories.overdue(late)
    stage.sweep()
    assert "The time was over, and nobody had answered." in page(login_as, rita, late)
    gone = factories.request(rita, factories.app("Gone", ana))
    stage.cancel(gone, rita)
    told = page(login_as, rita, gone)
    assert "The request was withdrawn." in told
    assert "Did not have to answer" in told
    good = factories.request(rita, factories.app("Good", ana))
    factories.decide(good, ana)
    told = page(login_as, rita, good)
    assert "Ana Moreau approved." in told
    assert "You have Good" in told


def test_an_overdue_one_has_ended_before_any_sweep(login_as, rita, ana):
    made = factories.request(rita, factories.app("Benevity", ana))
    factories.overdue(made)
    told = page(login_as, rita, made)
    assert "You did not get Benevity" in told
    assert "What was asked for" in told
    assert "Ask again" in told
    assert "You get Benevity" not in told
    assert "Cancel request" not in told


def test_the_rule_it_started_under_and_the_owner_are_named(login_as, rita, made):
    told = page(login_as, rita, made)
    assert "Steps Ana, then Finance" in told
    assert "Time 3 days for each" in told
    assert "Olga Petrova owns Salesforce" in told


def test_a_fallback_is_told_to_the_requester(login_as, rita, ana, adam):
    factories_app = factories.app("Benevity", ana, owner=adam)
    made = factories.request(rita, factories_app)
    stage.deactivate(ana, adam)
    told = page(login_as, rita, made)
    assert "Now with the owner of the app" in told
    assert "in place of Ana Moreau" in told


# ---------- Comments ----------


def test_whoever_may_see_it_may_write_on_it(login_as, rita, ben, adam, made):
    for person, said in ((rita, "Is it coming?"), (ben, "I look at it today."), (adam, "Be quick, please.")):
        answer = login_as(person).post(f"/requests/{made.public_id}/comments", {"comment": said})
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"/requests/{made.public_id}#story"
    told = page(login_as, rita, made)
    assert "You wrote a comment." in told
    assert "Ben Okafor wrote a comment." in told
    assert "Be quick, please." in told


def test_a_comment_answers_the_story_to_htmx(login_as, rita, made):
    answer = login_as(rita).post(f"/requests/{made.public_id}/comments", {"comment": "Is it coming?"}, htmx=True)
    assert answer.status_code == 200
    assert stage.source(answer).lstrip().startswith("<div")
    assert 'id="story"' in stage.source(answer)
    assert "Is it coming?" in words(answer)
    assert "4711" not in words(answer), "a fragment hides what the page hides"


def test_a_long_talk_is_read_in_parts_and_nothing_of_it_is_lost(login_as, rita, made):
    for number in range(1, 251):
        stage.comment(made, rita, f"comment number {number};")
    browser, path, seen, parts = login_as(rita), f"/requests/{made.public_id}", [], []
    while path:
        answer = browser.get(path)
        told = words(answer)
        parts.append(told)
        seen.append([int(number) for number in re.findall(r"comment number (\d+);", told)])
        earlier = re.search(r'href="([^"#]+)#story">Earlier<', stage.source(answer))
        path = earlier and earlier[1]
    assert [number for part in seen for number in part] == list(range(250, 0, -1))
    assert [len(part) for part in seen] == [100, 100, 50]
    # Each moment stands in one part: the first of all with the oldest comments, a comment's mails beside it.
    assert [part.count("You asked for") for part in parts] == [0, 0, 1]
    assert [part.count("People were told.") for part in parts] == [100, 100, 50]
    assert ["Newest" in part for part in parts] == [False, True, True]


def test_a_part_that_is_not_there_is_no_error(login_as, rita, made):
    stage.comment(made, rita, "Is it coming?")
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
    stage.shift("comments", "created_at", factories.timedelta(minutes=-2))
    login_as(rita).post(f"/requests/{made.public_id}/comments", {"comment": "Is it coming?"})
    assert factories.rows("comments") == 4, "later it is meant"


def test_comments_refuse_get_and_outsiders(login_as, rita, otto, made):
    stage.assert_refuses_get(login_as(rita), f"/requests/{made.public_id}/comments")
    answer = login_as(otto).post(f"/requests/{made.public_id}/comments", {"comment": "Hello?"})
    assert answer.status_code == 404
    assert factories.rows("comments") == 0


@pytest.mark.parametrize("htmx", [False, True])
def test_an_empty_or_too_long_comment_comes_back_as_typed(login_as, rita, made, htmx):
    browser = login_as(rita)
    answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": "  \r\n "}, htmx=htmx)
    assert answer.status_code == 422
    assert "Please write something first." in words(answer)
    long = "\nÄ" + "x" * 1000
    answer = browser.post(f"/requests/{made.public_id}/comments", {"comment": long}, htmx=htmx)
    assert answer.status_code == 422
    assert "this has 1,001" in words(answer)
    assert f">\n{long}</textarea>" in stage.source(answer)
    assert factories.rows("comments") == 0
