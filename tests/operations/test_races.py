"""Two at the same moment: real threads, each with an app context and a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import kinds, open_step, state
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import AccessRequest, App, Group, Icon, Person
from webapp.operations import apps, decisions, expiry, grants, groups, icons, people, requests
from webapp.operations.errors import Conflict
from webapp.operations.proofs import SIGNED_IN
from webapp.queries import cases
from webapp.record import audit
from webapp.workflow.errors import NotYourTurn, Settled, WorkflowError
from webapp.workflow.states import Verdict

ROUNDS = 50
Act = Callable[[], object]


@pytest.fixture(autouse=True)
def no_wake_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker has no part in these races, and thousands of wake-ups take time."""
    monkeypatch.setattr(outbox, "wake_workers", lambda channel: None)


def at_once(app: Flask, *acts: Act) -> list[object]:
    """Runs them in as many threads, all let go together; each result, or the exception, in the same order.

    What they need of this thread's rows they must have read before.
    """
    db.session.commit()
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def run(place: int, act: Act) -> None:
        with app.app_context():
            choose("write")
            try:
                barrier.wait(20)
                results[place] = act()
            except Exception as error:
                db.session.rollback()
                results[place] = error
            finally:
                db.session.remove()

    threads = [threading.Thread(target=run, args=(place, act)) for place, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads), "somebody waits for ever"
    return results


def deciding(request_id: int, person_id: int, verdict: Verdict) -> Act:
    def act() -> str:
        case = cases.load(id=request_id)
        actor = db.session.get_one(Person, person_id)
        assert case is not None
        decisions.decide(
            case, actor=actor, verdict=verdict, comment="So.", proof=SIGNED_IN, now=clock.now()
        )  # fmt: skip
        outbox.commit()
        return verdict.value

    return act


def cancelling(request_id: int, person_id: int) -> Act:
    def act() -> str:
        case = cases.load(id=request_id)
        actor = db.session.get_one(Person, person_id)
        assert case is not None
        requests.cancel(case, actor=actor, now=clock.now())
        outbox.commit()
        return "cancelled"

    return act


def expiring(request_id: int) -> Act:
    def act() -> str:
        expiry.expire_overdue(now=clock.now())
        # What this sweep did, told apart from what it found done.
        mine = any(getattr(one, "request", None) == request_id for one in db.session().info.get("uncommitted", []))
        outbox.commit()
        return "expired" if mine else "nothing to do"

    return act


def make(company: Company, app: App, name: str) -> AccessRequest:
    """A new person's request: each round has its own."""
    return factories.request(factories.person(name, email=f"{name.lower()}@example.com"), app)


def due_now(made: AccessRequest, milliseconds: int) -> None:
    """Due so soon that a decision and the sweep may both think it is theirs."""
    choose("write")
    due = clock.now() + timedelta(milliseconds=milliseconds)
    open_step(made).due_at = due
    db.session.commit()


EVENTS = ("approve", "deny", "cancel", "expire")
PAIRS = [(one, other) for place, one in enumerate(EVENTS) for other in EVENTS[place:]]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_of_two_at_once_exactly_one_wins(app: Flask, company: Company, one: str, other: str) -> None:
    """Ben does the one and Chloe the other; Rita's friend cancels; the sweep expires."""
    wanted = factories.app("Salesforce", company.finance)
    ends: dict[str, int] = {}
    for number in range(ROUNDS):
        made = make(company, wanted, f"Asker{number}")
        if "expire" in (one, other):
            # Some rounds are due while both run, the others before.
            due_now(made, number % 4)

        def act_of(event: str, person: Person, made: AccessRequest = made) -> Act:
            if event == "expire":
                return expiring(made.id)
            if event == "cancel":
                return cancelling(made.id, made.asked_by_id)
            return deciding(made.id, person.id, Verdict.APPROVED if event == "approve" else Verdict.DENIED)

        results = at_once(app, act_of(one, company.ben), act_of(other, company.chloe))
        if one == other == "expire" and "expired" not in results:
            # Neither came late enough.
            results = at_once(app, expiring(made.id), expiring(made.id))
        won = [result for result in results if isinstance(result, str) and result != "nothing to do"]
        lost = [result for result in results if result == "nothing to do" or isinstance(result, Conflict | Settled)]
        assert (len(won), len(lost)) == (1, 1) or nobody_was_in_time(one, other, results), results
        if not won:
            factories.overdue(made)
            choose("write")
            expiry.expire_overdue(now=clock.now())
            outbox.commit()
            won = ["expired"]
        consistent(made, str(won[0]))
        ends[str(won[0])] = ends.get(str(won[0]), 0) + 1
    assert sum(ends.values()) == ROUNDS
    choose("read")
    assert audit.verify()[1] is None


def nobody_was_in_time(one: str, other: str, results: list[object]) -> bool:
    """The verdict came too late and the sweep too early: both say so, and nothing has happened."""
    return "expire" in (one, other) and all(
        result == "nothing to do" or isinstance(result, Conflict | Settled) for result in results
    )


def consistent(made: AccessRequest, end: str) -> None:
    """The end that the winner was told is the one in the books, with its grant, decision and mails, once."""

    def found(query: str) -> list[str]:
        return [str(row[0]) for row in db.session.execute(text(query.format(id=made_id)))]

    made_id = made.id
    steps = "SELECT id FROM steps WHERE request_id = {id}"
    assert found("SELECT state FROM requests WHERE id = {id}") == [end]
    assert found("SELECT state FROM steps WHERE request_id = {id}") == ["skipped" if end == "cancelled" else end]
    decided = found(f"SELECT verdict FROM decisions WHERE step_id IN ({steps})")
    assert decided == ([end] if end in ("approved", "denied") else [])
    granted = found("SELECT state FROM grants WHERE request_id = {id}")
    assert granted == (["active"] if end == "approved" else [])
    assert found(f"SELECT id FROM invitations WHERE live AND step_id IN ({steps})") == []
    told = "SELECT kind FROM notices WHERE request_id = {id} AND kind <> 'approval-asked' ORDER BY kind"
    assert (
        found(told)
        == {
            "approved": ["request-approved", "request-settled"],
            "denied": ["request-denied", "request-settled"],
            "cancelled": ["request-cancelled", "request-cancelled"],
            "expired": ["request-expired"] * 3,
        }[end]
    )
    happened = "SELECT kind FROM events WHERE request_id = {id} ORDER BY seq"
    assert (
        found(happened)[2:]
        == {
            "approved": ["step.approved", "grant.added"],
            "denied": ["step.denied"],
            "cancelled": ["request.cancelled"],
            "expired": ["request.expired"],
        }[end]
    )
    db.session.rollback()


def asking(app_id: int, person_id: int) -> Act:
    def act() -> str:
        wanted = db.session.get_one(App, app_id)
        person = db.session.get_one(Person, person_id)
        requests.submit(
            wanted, factories.revision_of(wanted), actor=person, message="Why.", given={}, now=clock.now()
        )  # fmt: skip
        outbox.commit()
        return "asked"

    return act


def adding(app_id: int, person_id: int) -> Act:
    def act() -> str:
        wanted = db.session.get_one(App, app_id)
        person = db.session.get_one(Person, person_id)
        grants.add_directly(wanted, factories.revision_of(wanted), actor=person, now=clock.now())
        outbox.commit()
        return "added"

    return act


def in_crowds(app: Flask, act: Act, *, crowds: int = 5, of: int = 10) -> list[object]:
    """Fifty in all; ten at a time, as many as the pool has connections for."""
    return [result for _ in range(crowds) for result in at_once(app, *[act] * of)]


def test_fifty_posts_at_once_are_one_pending_request(app: Flask, company: Company) -> None:
    wanted = factories.app("Salesforce", company.ana)
    results = in_crowds(app, asking(wanted.id, company.rita.id))
    assert results.count("asked") == 1
    assert sum(isinstance(one, Conflict) for one in results) == 49
    assert [rows("requests"), rows("steps"), rows("invitations"), rows("notices")] == [1, 1, 1, 1]
    assert rows("events", "kind = 'request.submitted'") == 1


def test_fifty_adds_at_once_are_one_grant(app: Flask, company: Company) -> None:
    wanted = factories.app("Apptio")
    results = in_crowds(app, adding(wanted.id, company.rita.id))
    assert results.count("added") == 1
    assert sum(isinstance(one, Conflict) for one in results) == 49
    assert [rows("grants"), rows("notices"), rows("events", "kind = 'grant.added'")] == [1, 1, 1]


def test_different_people_asking_at_once_all_get_through_and_the_record_does_not_fork(
    app: Flask, company: Company
) -> None:
    wanted = factories.app("Salesforce", company.finance)
    crowd = [factories.person(f"Asker{number}", email=f"a{number}@example.com") for number in range(10)]
    results = at_once(app, *[asking(wanted.id, person.id) for person in crowd])
    assert results == ["asked"] * 10
    assert rows("requests") == 10
    choose("read")
    assert audit.verify()[1] is None


def changing(person_id: int, actor_id: int, group_id: int, how: str) -> Act:
    def act() -> str:
        person, actor = db.session.get_one(Person, person_id), db.session.get_one(Person, actor_id)
        if how == "deactivate":
            people.deactivate(person, actor=actor, now=clock.now())
        else:
            groups.remove_member(db.session.get_one(Group, group_id), person, actor=actor, now=clock.now())
        outbox.commit()
        return "changed"

    return act


@pytest.fixture
def rounds() -> Iterator[int]:
    yield 25


@pytest.mark.parametrize("how", ["deactivate", "leave"])
def test_nobody_decides_after_the_change_that_took_it_from_them(
    app: Flask, company: Company, how: str, rounds: int
) -> None:
    """The record is in the order of the commits: after the change there is no decision by that person."""
    before_it = 0
    for number in range(rounds):
        member = factories.person(f"Member{number}", email=f"m{number}@example.com")
        crew = factories.group(f"Crew {number}", member, company.chloe)
        made = factories.request(company.rita, factories.app(f"App {number}", crew))
        lines = rows("events")
        decided, changed = at_once(
            app, deciding(made.id, member.id, Verdict.APPROVED), changing(member.id, company.adam.id, crew.id, how)
        )
        assert changed == "changed"
        story = kinds(lines)
        change = story.index("person.deactivated" if how == "deactivate" else "group.member_removed")
        if decided == "approved":
            before_it += 1
            assert story.index("step.approved") < change
            assert state(made) == "approved"
        else:
            assert isinstance(decided, NotYourTurn | Conflict | Settled), decided
            assert "step.approved" not in story
            assert state(made) == "pending"
            assert rows("invitations", f"live AND person_id = {member.id}") == 0
            assert rows("invitations", f"live AND step_id = {open_step(made).id}") == 1
        assert rows("invitations", f"live AND person_id = {member.id}") == 0


def test_a_step_that_opens_while_its_group_changes_asks_exactly_the_members(app: Flask, company: Company) -> None:
    for number in range(15):
        joiner = factories.person(f"Joiner{number}", email=f"j{number}@example.com")
        crew = factories.group(f"Crew {number}", company.ben)
        made = factories.request(company.rita, factories.app(f"App {number}", company.ana, crew))

        def joining(crew_id: int = crew.id, joiner_id: int = joiner.id, admin_id: int = company.adam.id) -> str:
            person, actor = db.session.get_one(Person, joiner_id), db.session.get_one(Person, admin_id)
            groups.add_member(db.session.get_one(Group, crew_id), person, actor=actor, now=clock.now())
            outbox.commit()
            return "joined"

        results = at_once(app, deciding(made.id, company.ana.id, Verdict.APPROVED), joining)
        assert results == ["approved", "joined"], results
        assert rows("invitations", f"live AND step_id = {open_step(made).id}") == 2
        assert rows("notices", f"person_id = {joiner.id}") == 1


def test_asking_while_the_owner_changes_asks_the_owner_of_now(app: Flask, company: Company) -> None:
    for number in range(15):
        wanted = factories.app(f"App {number}", company.ana, owner=company.otto)

        def handing_over(
            app_id: int = wanted.id, owner_id: int = company.ben.id, admin_id: int = company.adam.id
        ) -> str:
            actor = db.session.get_one(Person, admin_id)
            owner = factories.approver(db.session.get_one(Person, owner_id))
            apps.set_owner(db.session.get_one(App, app_id), owner=owner, actor=actor, now=clock.now())
            outbox.commit()
            return "done"

        results = at_once(app, asking(wanted.id, company.ana.id), handing_over)
        assert results == ["asked", "done"], results
        asked = db.session.execute(
            text(
                "SELECT i.person_id FROM invitations i JOIN steps s ON s.id = i.step_id JOIN requests r "
                f"ON r.id = s.request_id WHERE r.app_id = {wanted.id} AND i.live"
            )
        ).all()
        db.session.rollback()
        assert [row.person_id for row in asked] == [company.ben.id]


def test_two_admins_who_change_one_rule_at_once_both_keep_their_change(app: Flask, company: Company) -> None:
    def changing_rule(app_id: int, admin_id: int, **changes: object) -> Act:
        def act() -> str:
            actor = db.session.get_one(Person, admin_id)
            apps.change_policy(db.session.get_one(App, app_id), actor=actor, now=clock.now(), **changes)
            outbox.commit()
            return "saved"

        return act

    for number in range(15):
        wanted = factories.app(f"App {number}", company.ana)
        admin_id = company.adam.id
        results = at_once(
            app,
            changing_rule(wanted.id, admin_id, days=9),
            changing_rule(wanted.id, admin_id, comment_required=True),
        )
        assert results == ["saved", "saved"], results
        db.session.refresh(wanted)
        rule = factories.revision_of(wanted).snapshot()
        db.session.rollback()
        assert (rule.days, rule.comment_required) == (9, True)


def test_two_admins_cannot_deactivate_each_other(app: Flask, company: Company) -> None:
    for number in range(10):
        one = factories.person(f"One{number}", admin=True, email=f"one{number}@example.com")
        choose("write")
        if rows("people", "is_admin AND active") > 2:
            people.deactivate(db.session.get_one(Person, company.adam.id), actor=one, now=clock.now())
            outbox.commit()
        two = db.session.query(Person).filter(Person.is_admin, Person.active, Person.id != one.id).first()
        assert two is not None

        def removing(who: int, by: int) -> Act:
            def act() -> str:
                people.deactivate(
                    db.session.get_one(Person, who), actor=db.session.get_one(Person, by), now=clock.now()
                )
                outbox.commit()
                return "removed"

            return act

        results = at_once(app, removing(one.id, two.id), removing(two.id, one.id))
        assert results.count("removed") == 1, results
        assert sum(isinstance(result, Conflict | WorkflowError) for result in results) == 1
        assert rows("people", "is_admin AND active") == 1


def test_two_who_swap_the_pictures_of_two_apps_do_not_wait_in_a_circle(app: Flask, company: Company) -> None:
    one, other = (factories.app(name).id for name in ("Zoom", "Slack"))
    adam = company.adam.id

    def showing(app_id: int, body: bytes) -> Act:
        def act() -> None:
            icons.upload(
                db.session.get_one(App, app_id), body, "image/png", actor=db.session.get_one(Person, adam),
                now=clock.now(),
            )  # fmt: skip
            outbox.commit()

        return act

    for number in range(10):
        bodies = (b"a", b"b")[:: 1 if number % 2 else -1]
        results = at_once(app, *(showing(*wish) for wish in zip((one, other), bodies, strict=True)))
        # Who takes a picture up again just as the last one lets it go may be told to try once more.
        assert all(isinstance(result, Conflict) for result in results if result is not None), results
        choose("read")
        shown = [db.session.get_one(Icon, db.session.get_one(App, id).icon_id).body for id in (one, other)]
        assert results != [None, None] or shown == list(bodies)
