"""Managers and departments: no circles, also when two changes come at the same moment."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.helpers.factories import Company
from tests.helpers.lookups import facts, now
from tests.operations.test_races import Act, at_once
from webapp import clock
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Person
from webapp.operations import people, reporting
from webapp.operations.errors import Invalid
from webapp.record.entries import Filter, names, page
from webapp.record.sentences import describe
from webapp.text import sha256


def set_manager(person: Person, manager: Person | None, actor: Person) -> bool:
    done = reporting.set_manager(person, manager, actor=actor, now=clock.now())
    outbox.commit()
    return done


def test_a_manager_is_set_changed_and_removed_and_recorded(company: Company) -> None:
    adam, rita, ana = company.adam, company.rita, company.ana
    assert set_manager(rita, ana, adam)
    assert not set_manager(rita, ana, adam)
    assert now(rita).manager_id == ana.id
    assert set_manager(rita, None, adam)
    assert now(rita).manager_id is None
    first, second = [one for one in facts("person.changed") if "manager" in one["after"]]
    assert (first["before"], first["after"]) == ({"manager": None}, {"manager": {"person": ana.id}})
    assert (second["before"], second["after"]) == ({"manager": {"person": ana.id}}, {"manager": None})
    lines = page(Filter()).lines
    told = [describe(one, names(lines)) for one in lines if one.kind == "person.changed"]
    assert str(told[0].sentence) == "<b>Adam Weiss</b> changed the manager of <b>Rita Lindqvist</b>."
    assert [(one.label, one.before, one.after) for one in told[1].changes] == [("Manager", "no one", "Ana Moreau")]


def test_no_one_is_above_themselves(company: Company) -> None:
    adam, rita, ana, ben = company.adam, company.rita, company.ana, company.ben
    set_manager(rita, ana, adam)
    set_manager(ana, ben, adam)
    with pytest.raises(Invalid, match="Ben Okafor cannot be their own manager"):
        reporting.set_manager(ben, ben, actor=adam, now=clock.now())
    with pytest.raises(Invalid, match="Rita Lindqvist reports to Ben Okafor, directly or through others"):
        reporting.set_manager(ben, rita, actor=adam, now=clock.now())
    assert now(ben).manager_id is None


def test_a_deactivated_person_stays_a_manager_but_becomes_none(company: Company) -> None:
    adam, rita, ana, otto = company.adam, company.rita, company.ana, company.otto
    set_manager(rita, ana, adam)
    people.deactivate(ana, actor=adam, now=clock.now())
    outbox.commit()
    assert now(rita).manager_id == ana.id
    with pytest.raises(Invalid, match="Ana Moreau is deactivated"):
        reporting.set_manager(otto, ana, actor=adam, now=clock.now())
    assert reporting.set_manager(otto, ana, actor=adam, now=clock.now(), may_be_inactive=True)


def test_a_department_is_one_line_and_recorded_without_its_name(company: Company) -> None:
    assert reporting.set_department(company.rita, "  People \n team ", actor=company.adam, now=clock.now())
    assert not reporting.set_department(company.rita, "People team", actor=company.adam, now=clock.now())
    outbox.commit()
    assert now(company.rita).department == "People team"
    assert facts("person.changed")[-1]["after"] == {"department": sha256("People team")}
    with pytest.raises(Invalid, match=r"Use 80 characters or fewer. You entered 81"):
        reporting.set_department(company.rita, "a" * 81, actor=company.adam, now=clock.now())


def test_three_changes_at_once_never_make_a_circle(app: Flask, company: Company) -> None:
    ring = [company.rita.id, company.ana.id, company.ben.id]
    adam = company.adam.id

    def act(person: int, manager: int) -> Act:
        def change() -> bool:
            who, whom, actor = (db.session.get_one(Person, id) for id in (person, manager, adam))
            done = reporting.set_manager(who, whom, actor=actor, now=clock.now())
            outbox.commit()
            return done

        return change

    for _ in range(5):
        results = at_once(app, *(act(one, ring[(place + 1) % 3]) for place, one in enumerate(ring)))
        assert sorted(type(one).__name__ for one in results) == ["Invalid", "bool", "bool"]
        for id in ring:
            reporting.set_manager(db.session.get_one(Person, id), None, actor=now(company.adam), now=clock.now())
        outbox.commit()
