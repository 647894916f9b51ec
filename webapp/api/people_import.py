"""People and groups from a CSV file."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from webapp import clock
from webapp.operations import people_import
from webapp.operations.people_import import Plan
from webapp.people_file import BYTES
from webapp.queries.tokens import Caller
from webapp.workflow.people_plan import PlanLine, What
from webapp.workflow.scopes import Scope

from ._operation import operation
from ._types import Body, FileText, Flag, Name, Number, Word, one_of


@dataclass(frozen=True, slots=True)
class ImportChange:
    """One value of a person before and after, in words."""

    label: Annotated[str, Field(examples=["Department"])]
    before: Annotated[str, Field(examples=["Marketing"])]
    after: Annotated[str, Field(examples=["Brand"])]


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What becomes of a line of the file."""

    number: Annotated[int, Field(description="The line of the file, counted from 1.", examples=[2])]
    email: Annotated[str, Field(examples=["rita@nordlicht.example"])]
    name: Name
    result: one_of(What)  # type: ignore[valid-type]
    reason: Annotated[str, Field(description="Why the line is refused; “” if it is not.", examples=[""])]
    changes: list[ImportChange]


@dataclass(frozen=True, slots=True)
class PeopleImport:
    """What the file changes, refused lines first. Lines of people who stay as they are are counted only."""

    applied: Flag
    new: Number
    changed: Number
    same: Number
    refused: Number
    new_groups: list[Annotated[str, Field(examples=["Everybody"])]]
    ignored_columns: Annotated[
        list[Annotated[str, Field(examples=["Cost centre"])]], Field(description="Columns that are not read.")
    ]
    stamp: Annotated[str, Field(description="Stands for these changes.", examples=["9f2c1a"])]
    lines: list[ImportLine]


class PeopleCsv(Body):
    """A file of people."""

    csv: Annotated[
        FileText,
        Field(max_length=BYTES, description="The file: up to 5,000 lines. Its first line names the columns.",
              examples=["email,name,manager\nrita@nordlicht.example,Rita Lindqvist,ines@nordlicht.example\n"]),
    ]  # fmt: skip
    dry_run: Annotated[bool, Field(description="Only say what would change.")] = True
    stamp: Annotated[
        Word | None,
        Field(description="The stamp of a dry run. If the file would change something else by now, nothing is imported "
              "(409)."),
    ] = None  # fmt: skip


@operation("POST", "/people/import", scope=Scope.PEOPLE_ADMIN, audience="admins", body=PeopleCsv, answer=PeopleImport,
           status=200)  # fmt: skip
def import_people(caller: Caller, *, body: PeopleCsv) -> PeopleImport:
    """Import people and groups from CSV.

    Lines that can be taken are, refused ones are left out. The same file twice changes nothing. A dry run is the
    default."""
    file = body.csv.encode()
    if body.dry_run:
        return _answer(people_import.look(file), applied=False)
    stamp = body.stamp if body.stamp is not None else people_import.look(file).stamp
    return _answer(people_import.apply(file, stamp, actor=caller, now=clock.now()), applied=True)


def _answer(plan: Plan, *, applied: bool) -> PeopleImport:
    lines = [_line(one) for one in plan.refused_first if one.what is not What.SAME]
    return PeopleImport(
        applied, plan.count(What.NEW), plan.count(What.CHANGED), plan.count(What.SAME), plan.count(What.REFUSED),
        plan.new_groups, plan.ignored, plan.stamp, lines,
    )  # fmt: skip


def _line(one: PlanLine) -> ImportLine:
    changes = [ImportChange(each.label, each.before, each.after) for each in one.differences]
    return ImportLine(one.wanted.number, one.wanted.email, str(one.name), one.what.value, one.why, changes)
