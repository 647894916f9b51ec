"""A change of people, groups, owners or rules at the same moment as what depends on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.helpers.lookups import kinds, open_step, state
from tests.operations.racing import (
    Act,
    asking,
    at_once,
    changing,
    deciding,
)
from tests.operations.racing import no_wake_up as no_wake_up
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import App, Group, Icon, Person
from webapp.operations import apps, groups, icons, people
from webapp.operations.errors import Conflict
from webapp.workflow.errors import NotYourTurn, Settled, WorkflowError
from webapp.workflow.states import Verdict


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
