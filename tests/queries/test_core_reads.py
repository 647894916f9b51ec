"""Cases, directories, chains and the number that waits: what they say, and in how many statements."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, insert, select, update

from tests.conftest import POSTGRESQL
from tests.helpers import changes, factories
from tests.helpers.factories import Company
from tests.helpers.lookups import open_step
from tests.helpers.rules import rule as policy
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, Decision, Group, Notice, Person, Step
from webapp.operations import groups, people
from webapp.queries import approvals, cases, chains, directory, mail_context, story
from webapp.workflow.policy import Approver
from webapp.workflow.states import RequestState, StepState, Tier, Verdict


def waits_for(person: Person) -> int:
    db.session.rollback()
    return int(db.session.execute(select(approvals.waiting_for(person.id))).scalar_one())


def deactivate(person: Person, actor: Person) -> None:
    choose("write")
    people.deactivate(person, actor=actor, now=clock.now())
    outbox.commit()


@pytest.fixture
def made(company: Company) -> AccessRequest:
    return factories.request(company.rita, factories.app("Salesforce", company.finance, company.ana))


def test_a_case_is_the_request_with_all_that_belongs_to_it_in_two_statements(
    made: AccessRequest, company: Company
) -> None:
    public_id = made.public_id
    db.session.expunge_all()
    with counting() as counted:
        case = cases.load(public_id=public_id)
    assert len(counted) == 2
    assert case is not None
    assert (case.request.id, case.app.name, case.asked_by.name) == (made.id, "Salesforce", "Rita Lindqvist")
    assert case.for_person is case.asked_by
    assert [step.position for step in case.steps] == [0, 1]
    assert (case.open_step, case.is_overdue) == (case.steps[0], False)
    snapshot = case.snapshot()
    assert (snapshot.state, snapshot.version, snapshot.asked_by) == (RequestState.PENDING, 1, company.rita.id)
    assert [(one.state, one.overdue) for one in snapshot.steps] == [
        (StepState.OPEN, False), (StepState.WAITING, False),
    ]  # fmt: skip
    assert cases.load(public_id="000000000000") is None
    assert cases.load(id=0) is None


@pytest.mark.parametrize("engine", [POSTGRESQL])
def test_a_case_that_is_settled_between_its_two_statements_is_read_again(app: Flask, made: AccessRequest) -> None:
    id, url = made.id, app.extensions["settings"].database_url.replace("+psycopg", "")
    db.session.rollback()
    db.session.expunge_all()

    ended: list[int] = []

    def settle(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "FROM requests" in statement and not ended:
            ended.append(id)
            with psycopg.connect(url) as somebody:
                somebody.execute("UPDATE steps SET state = 'skipped' WHERE request_id = %s", [id])
                somebody.execute("UPDATE requests SET state = 'cancelled', settled_at = now() WHERE id = %s", [id])

    event.listen(db.engine, "after_cursor_execute", settle)
    try:
        case = cases.load(id=id)
    finally:
        event.remove(db.engine, "after_cursor_execute", settle)
    assert case is not None and ended
    assert (case.request.state, case.open_step) == ("cancelled", None)


def test_a_case_has_the_verdicts_so_far_on_its_open_step(made: AccessRequest, company: Company) -> None:
    assert [one.verdicts for one in factories.case_of(made).snapshot().steps] == [{}, {}]
    factories.decide(made, company.ben)
    case = factories.case_of(made)
    assert [one.verdicts for one in case.snapshot().steps] == [{}, {}]
    # Rows as a step that needs two approvals has them.
    db.session.execute(update(Step).where(Step.id == case.steps[1].id).values(needed=3))
    for person, verdict in ((company.ben, Verdict.APPROVED), (company.otto, Verdict.APPROVED)):
        db.session.add(Decision(step_id=case.steps[1].id, person_id=person.id, verdict=verdict.value, channel="browser",
                                created_at=clock.now()))  # fmt: skip
    db.session.flush()
    case = factories.case_of(made)
    assert len(case.steps) == 2
    first, second = case.snapshot().steps
    assert (first.needed, dict(first.verdicts)) == (1, {})
    assert (second.needed, second.approvals) == (3, 2)
    assert second.verdicts == {company.ben.id: Verdict.APPROVED, company.otto.id: Verdict.APPROVED}


def test_a_case_is_read_anew_each_time(made: AccessRequest, company: Company) -> None:
    before = factories.case_of(made)
    factories.decide(made, company.ben)
    after = factories.case_of(made)
    assert after.request is before.request
    assert after.request.version == 2
    assert after.open_step is not None
    assert after.open_step.position == 1


def test_the_databases_clock_says_what_is_overdue(made: AccessRequest, company: Company) -> None:
    factories.overdue(made)
    case = factories.case_of(made)
    assert case.is_overdue
    assert case.snapshot().steps[0].overdue
    requests_end = factories.request(company.otto, factories.app("Zoom", company.ana))
    factories.decide(requests_end, company.ana, Verdict.DENIED)
    # A settled step is never overdue, however old its due instant.
    assert not factories.case_of(requests_end).is_overdue


def test_a_directory_holds_who_is_active_now_in_one_statement(company: Company) -> None:
    deactivate(company.ben, company.adam)
    wanted = [
        Approver(person=company.ana.id),
        Approver(person=company.ben.id),
        Approver(group=company.finance.id),
        None,
    ]
    with counting() as counted:
        found = directory.look_up(wanted)
    assert len(counted) == 1
    assert found.directory.of(wanted[0]) == (company.ana.id,)
    assert found.directory.of(wanted[1]) == ()
    assert found.directory.of(wanted[2]) == (company.chloe.id,)
    assert found.directory.admins == (company.adam.id,)
    assert found.contacts[company.chloe.id].email == "chloe@example.com"
    assert company.ben.id not in found.contacts


def test_members_are_in_the_order_of_their_names(company: Company) -> None:
    crew = factories.group("Crew", *(factories.person(name) for name in ("Zoe", "émile", "Abel", "Éva")))
    people_found = directory.look_up([Approver(group=crew.id)])
    names = [people_found.contacts[one].name for one in people_found.directory.members[crew.id]]
    assert names == ["Abel", "Zoe", "émile", "Éva"]


def test_nothing_wanted_asks_nothing(app: object) -> None:
    with counting() as counted:
        assert directory.look_up([], admins=False).contacts == {}
    assert len(counted) == 0


def test_what_waits_for_a_person_is_open_live_and_in_time(made: AccessRequest, company: Company) -> None:
    second = factories.request(company.otto, factories.app("Zoom", company.ben))
    counts = {one: waits_for(getattr(company, one)) for one in ("ben", "chloe", "ana", "rita", "adam")}
    assert counts == {"ben": 2, "chloe": 1, "ana": 0, "rita": 0, "adam": 0}
    factories.overdue(second)
    assert waits_for(company.ben) == 1
    assert story.next_due(company.ben.id) == open_step(made).due_at
    choose("write")
    groups.remove_member(
        db.session.get_one(Group, company.finance.id), company.ben, actor=company.adam, now=clock.now()
    )
    outbox.commit()
    assert waits_for(company.ben) == 0
    assert story.next_due(company.ben.id) is None
    factories.decide(made, company.chloe)
    assert (waits_for(company.chloe), waits_for(company.ana)) == (0, 1)


def test_a_chain_says_who_has_a_step_and_who_decided(made: AccessRequest, company: Company) -> None:
    factories.decide(made, company.ben, comment="Fine.")
    first, second = chains.of_requests([made.id])[made.id]
    closing = first.closing_decision
    assert closing is not None and first.decided_by is closing.by
    assert (first.state, closing.by.name, closing.verdict, closing.comment, first.group_name) == (
        "approved", "Ben Okafor", "approved", "Fine.", "Finance",
    )  # fmt: skip
    assert second.person is not None
    assert (second.state, second.person.name, second.tier, second.overdue) == ("open", "Ana Moreau", "approver", False)
    assert ([who.name for who in second.asked], second.asked_count) == (["Ana Moreau"], 1)


def test_a_chain_names_three_of_a_crowd_and_the_reader_among_them(company: Company) -> None:
    crowd = factories.group(
        "Crowd", *(factories.person(f"Member {sign}", email=f"{sign}@example.com") for sign in "abcdef")
    )
    last = db.session.query(Person).filter_by(name="Member f").one()
    made = factories.request(company.rita, factories.app("Salesforce", crowd))
    (step,) = chains.of_requests([made.id])[made.id]
    assert [who.name for who in step.asked] == ["Member a", "Member b", "Member c"]
    assert step.asked_count == 6
    (step,) = chains.of_requests([made.id], reader=last.id)[made.id]
    assert "Member f" in [who.name for who in step.asked]
    assert len(step.asked) == 3


def test_chains_take_two_statements_for_any_number_of_requests(company: Company) -> None:
    rule = policy(company.finance, company.ana)
    made = [factories.request(company.rita, factories.app(f"App {number}", policy=rule)) for number in range(6)]
    for one in made[:3]:
        factories.decide(one, company.ben)
    ids = [one.id for one in made]
    with counting() as one_request:
        chains.of_requests(ids[:1])
    with counting() as all_requests:
        assert len(chains.of_requests(ids)) == 6
    assert len(one_request) == len(all_requests) == 2
    assert chains.of_requests([]) == {}


def test_chains_of_many_lengths_are_few_statements_for_the_drivers_to_keep(company: Company) -> None:
    rule = policy(company.finance, company.ana)
    made = [factories.request(company.rita, factories.app(f"App {number}", policy=rule)) for number in range(9)]
    ids = [one.id for one in made]
    with counting() as texts:
        for number in range(1, 10):
            assert list(chains.of_requests(ids[:number])) == ids[:number]
    assert len(set(texts.statements)) == 2 * len((1, 2, 4, 8, 16))


def test_batches_of_many_lengths_are_few_statements_for_the_drivers_to_keep(company: Company) -> None:
    for number in range(9):
        made = factories.request(company.rita, factories.app(f"App {number}", company.ana, owner=company.ben))
        changes.comment(made, company.rita, "It is for the fair.")
    ids = list(db.session.scalars(select(Notice.id)))
    with counting() as texts:
        for number in range(1, len(ids) + 1):
            assert set(mail_context.load(ids[:number])) == set(ids[:number])
    # notices, comments, people, and two for the chains, of six lengths at most; and the organisation
    assert 16 < len(ids) <= 32
    assert len(set(texts.statements)) <= 5 * len((1, 2, 4, 8, 16, 32)) + 1


def test_a_step_that_fell_to_the_admins_says_so_in_its_chain(made: AccessRequest, company: Company) -> None:
    deactivate(company.ben, company.adam)
    deactivate(company.chloe, company.adam)
    step = chains.of_requests([made.id])[made.id][0]
    assert step.tier == Tier.ADMINS
    assert [who.name for who in step.asked] == ["Adam Weiss"]


def test_a_step_with_two_decisions_is_there_once_with_both(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance, company.ana))
    factories.decide(made, company.ben, comment="Fine by me.")
    first = chains.of_requests([made.id])[made.id][0]
    choose("write")
    values = {"step_id": first.id, "person_id": company.chloe.id, "verdict": "approved", "channel": "browser",
              "comment": "And by me.", "set_json": "{}", "created_at": clock.now()}  # fmt: skip
    db.session.execute(insert(Decision), values)
    db.session.commit()
    steps = chains.of_requests([made.id])[made.id]
    assert [step.position for step in steps] == [0, 1]
    assert [(one.by.name, one.comment) for one in steps[0].decisions] == [
        ("Ben Okafor", "Fine by me."), ("Chloe Tan", "And by me.")
    ]  # fmt: skip
    assert steps[1].decisions == [] and steps[0].closing_decision == steps[0].decisions[1]


def test_both_deciders_of_a_step_stand_in_the_chain_and_in_the_story(
    company: Company, login_as: Callable[[Person], Any]
) -> None:
    made = factories.request(company.rita, factories.app("Salesforce", company.finance))
    factories.decide(made, company.ben, comment="Fine by me.")
    choose("write")
    step_id = chains.of_requests([made.id])[made.id][0].id
    values = {"step_id": step_id, "person_id": company.chloe.id, "verdict": "approved", "channel": "browser",
              "comment": "And by me.", "set_json": "{}", "created_at": clock.now()}  # fmt: skip
    db.session.execute(insert(Decision), values)
    db.session.commit()
    page = " ".join(login_as(company.rita).get(f"/requests/{made.public_id}").get_data(as_text=True).split())
    assert page.count("Ben Okafor and Chloe Tan approved") == 1
    assert "Fine by me." in page and "And by me." in page
