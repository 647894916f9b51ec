"""People from a CSV file: the plan line by line, and that exactly the plan is what happens."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.lookups import facts, group_called, kinds, mailed, now, person_called, state
from tests.helpers.statements import counting
from webapp import clock
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Membership
from webapp.operations import people_import, reporting
from webapp.operations.errors import Conflict
from webapp.operations.people_import import Plan
from webapp.queries import people_file
from webapp.workflow.actor import SYSTEM
from webapp.workflow.people_plan import What


def look(text: str) -> Plan:
    return people_import.look(text.encode())


def apply(text: str, company: Company) -> Plan:
    done = people_import.apply(text.encode(), look(text).stamp, actor=company.adam, now=clock.now())
    outbox.commit()
    return done


def why(text: str) -> dict[int, str]:
    return {line.wanted.number: line.why for line in look(text).lines if line.why}


FILE = (
    "email,name,department,manager,groups,active\n"
    "kim@example.com,Kim Park,IT,sam@example.com,Everybody; Finance,yes\n"
    "SAM@Example.com,Sam Reed,IT,,Everybody,\n"
    "rita@example.com,Rita Lindqvist,Marketing,kim@example.com,,\n"
    "adam@example.com,Adam Weiss,,,,\n"
    "gone@example.com,Gone Person,IT,,,no\n"
)


def test_good_lines_are_imported_and_the_same_file_twice_changes_nothing(company: Company) -> None:
    plan = look(FILE)
    assert [line.what for line in plan.lines] == [What.NEW, What.NEW, What.CHANGED, What.SAME, What.SAME]
    assert plan.new_groups == ["Everybody"]
    apply(FILE, company)
    kim, sam = person_called("Kim Park"), person_called("Sam Reed")
    assert kim and sam
    assert (kim.manager_id, kim.department, sam.email) == (sam.id, "IT", "sam@example.com")
    assert now(company.rita).manager_id == kim.id
    everybody = group_called("Everybody")
    assert everybody and db.session.query(Membership).filter_by(group_id=everybody.id).count() == 2
    assert db.session.query(Membership).filter_by(group_id=company.finance.id, person_id=kim.id).count() == 1
    assert [kind for kind, _ in mailed()] == ["invitation"] * 2
    assert person_called("Gone Person") is None
    before = len(kinds())
    again = apply(FILE, company)
    assert again.taken == 0 and len(kinds()) == before


def test_refused_lines_are_left_out_with_the_reason(company: Company) -> None:
    text = (
        "email,name,manager,active\n"
        "nowhere,Ann,,\n"
        "b@example.com,,,\n"
        "c@example.com,Cem,nobody@example.com,\n"
        "d@example.com,Dee,,\n"
        "D@example.com,Dee,,\n"
        "adam@example.com,Adam Weiss,,no\n"
        "e@example.com,Eve,c@example.com,\n"
        "otto@example.com,Otto Brandt,,no\n"
        "f@example.com,Fay,otto@example.com,\n"
    )
    found = why(text)
    assert "is not an email address" in found[2]
    assert found[3] == "The line has no name."
    assert found[4].startswith("The manager, nobody@example.com, is neither here nor")
    assert found[6] == "Line 5 has the same email address. Keep one of the two."
    assert found[7].startswith("Adam Weiss is an admin.")
    assert found[8].startswith("The manager, c@example.com, is neither here")
    assert found[10] == "The manager, otto@example.com, is deactivated."
    assert list(found) == [2, 3, 4, 6, 7, 8, 10]
    apply(text, company)
    assert person_called("Dee") and person_called("Cem") is None
    assert not now(company.otto).active and now(company.adam).active


def test_a_circle_of_managers_loses_one_line_and_a_swap_is_none(company: Company) -> None:
    reporting.set_manager(company.ana, company.ben, actor=company.adam, now=clock.now())
    outbox.commit()
    head = "email,name,manager\n"
    rita, ana, ben = (f"{one}@example.com,{name}," for one, name in
                      (("rita", "Rita Lindqvist"), ("ana", "Ana Moreau"), ("ben", "Ben Okafor")))  # fmt: skip
    found = why(f"{head}{rita}ana@example.com\n{ben}rita@example.com\n")
    assert found == {
        3: "A circle: Ben Okafor reports to Rita Lindqvist (line 3), Rita Lindqvist reports to Ana Moreau (line 2), "
        "Ana Moreau reports to Ben Okafor."
    }
    swap = f"{head}{ben}ana@example.com\n{ana}\n"
    assert why(swap) == {}
    apply(swap, company)
    assert (now(company.ben).manager_id, now(company.ana).manager_id) == (company.ana.id, None)
    assert why(f"{head}x@example.com,X,x@example.com\n") == {2: "The manager is the person themselves."}


def test_a_deactivation_by_file_has_the_full_effect(company: Company) -> None:
    made = factories.request(company.rita, factories.app("Figma", company.ana))
    factories.session_of(company.rita)
    factories.token(company.rita, "requests:read")
    apply("email,name,active\nrita@example.com,Rita Lindqvist,no\n", company)
    assert state(made) == "cancelled" and not now(company.rita).active
    assert facts("person.deactivated")[-1]["tokens"] == 1 and facts("session.ended")[-1]["sessions"] == 1
    apply("email,name,active\nrita@example.com,Rita Lindqvist,yes\n", company)
    assert now(company.rita).active


def test_what_was_shown_is_what_is_imported(company: Company) -> None:
    stamp = look(FILE).stamp
    reporting.set_department(company.rita, "Sales", actor=company.adam, now=clock.now())
    outbox.commit()
    with pytest.raises(Conflict, match="have changed since you looked"):
        people_import.apply(FILE.encode(), stamp, actor=company.adam, now=clock.now())
    db.session.rollback()
    assert person_called("Kim Park") is None


def test_the_download_imported_again_changes_nothing(company: Company) -> None:
    reporting.set_manager(company.rita, company.ana, actor=company.adam, now=clock.now())
    outbox.commit()
    lines = [["email", "name", "about", "department", "manager", "groups", "active"], *people_file.as_lines()]
    plan = look("\n".join(",".join(f'"{cell}"' for cell in line) for line in lines))
    assert [line.what for line in plan.lines] == [What.SAME] * len(plan.lines)


def test_a_thousand_lines_take_as_many_statements_as_a_hundred(company: Company) -> None:
    counts = []
    for number in (100, 900):
        text = "email,name,department,manager,groups\n" + "".join(
            f"n{number}x{one}@example.com,Person {one},IT,adam@example.com,All {number}\n" for one in range(number)
        )
        stamp = look(text).stamp
        with counting() as seen:
            people_import.apply(text.encode(), stamp, actor=SYSTEM, now=clock.now())
            outbox.commit()
        counts.append(len(seen))
    assert counts[0] == counts[1] <= 30, counts


def test_the_command_shows_first_and_imports_when_it_is_told_to(app: Flask, company: Company, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(FILE + "nobody,Ann,,,,\n")
    shown = app.test_cli_runner().invoke(args=["import-people", str(file)])
    assert shown.exit_code == 0, shown.output
    assert "Line 7: refused, nobody." in shown.output
    assert "2 new, 1 changed, 2 as they are, 1 refused. Nothing was written: --apply makes the changes." in shown.output
    assert person_called("Kim Park") is None
    done = app.test_cli_runner().invoke(args=["import-people", str(file), "--apply"])
    assert done.output.endswith("2 new, 1 changed, 2 as they are, 1 refused. Imported.\n")
    assert person_called("Kim Park")
    file.write_text("name\nAnn\n")
    refused = app.test_cli_runner().invoke(args=["import-people", str(file)])
    assert refused.exit_code == 1 and "names no column “email”" in refused.output
