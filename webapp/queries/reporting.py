"""Who reports to whom, and the departments."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, func, literal, select

from webapp.extensions import db
from webapp.models import Person
from webapp.queries.principals import CHOICES, Principal, disambiguate, people_with, principal
from webapp.text import sort_key

# So many people who report to somebody are on the page of that person; the list shows all.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reporting:
    """The manager of a person, and some of the people who report to the person (`reports`) and how many there are."""

    manager: Principal | None
    reports: list[Principal]
    count: int


def of_person(person: Person) -> Reporting:
    """Three statements at most. Deactivated people are among them, and are shown as such."""
    rows = db.session.execute(
        people_with(Person.manager_id == person.id)
        .add_columns(func.count().over().label("all"))
        .order_by(Person.active.desc(), Person.sort_key, Person.id)
        .limit(SHOWN)
    ).all()
    return Reporting(manager_of(person), [principal(row) for row in rows], rows[0].all if rows else 0)


def manager_of(person: Person) -> Principal | None:
    if person.manager_id is None:
        return None
    return principal(db.session.execute(people_with(Person.id == person.manager_id)).one())


# The person with this id and everyone above. UNION drops a row that is there already, so even a circle ends.
_START = select(Person.id, Person.manager_id).where(Person.id == bindparam("start")).cte("above", recursive=True)
_ABOVE = _START.union(select(Person.id, Person.manager_id).join(_START, Person.id == _START.c.manager_id))
_IS_ABOVE = select(literal(1)).select_from(_ABOVE).where(_ABOVE.c.id == bindparam("person"))


def is_above(person_id: int, start: int) -> bool:
    """Whether `start` is this person or reports to them, straight or through others; one statement."""
    return db.session.execute(_IS_ABOVE, {"start": start, "person": person_id}).first() is not None


def departments() -> list[str]:
    """Those in use, by name, up to CHOICES."""
    found = db.session.scalars(
        select(Person.department).where(Person.department != "").distinct().order_by(Person.department).limit(CHOICES)
    )
    return sorted(found, key=sort_key)


def managers() -> Sequence[Principal]:
    """The people to whom someone reports, by name, up to CHOICES; `detail` only where two have one name."""
    reports = select(Person.manager_id).where(Person.manager_id.is_not(None))
    rows = db.session.execute(people_with(Person.id.in_(reports)).order_by(Person.sort_key, Person.id).limit(CHOICES))
    return disambiguate([principal(row) for row in rows])
