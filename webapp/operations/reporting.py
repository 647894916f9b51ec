"""Whom people report to, and the department that they are in."""

from datetime import datetime

from sqlalchemy import select, update

from webapp.extensions import db
from webapp.models import Person
from webapp.queries import directory, reporting
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import AnyActor

from ._kept import refuse_if_kept
from ._sql import changed
from .errors import Invalid

DEPARTMENT_LIMIT = 80


def set_manager(person: Person, manager: Person | None, *, actor: AnyActor, now: datetime,
                may_be_inactive: bool = False) -> bool:  # fmt: skip
    """Whom the person reports to; None for nobody. Returns whether that is a change. Raises Invalid, or
    Conflict where a directory keeps the person.

    A directory may name somebody who is deactivated here (`may_be_inactive`), people may not.
    """
    # Two people who are made each other's manager at the same moment would be a circle.
    directory.lock(exclusive=True)
    before = db.session.scalar(select(Person.manager_id).where(Person.id == person.id))
    after = manager.id if manager is not None else None
    if before == after:
        return False
    refuse_if_kept(actor, what=f"The manager of {person.name}", person=person.id)
    if manager is not None:
        if manager.id == person.id:
            raise Invalid(manager=f"{person.name} cannot be their own manager. Choose someone else.")
        if not may_be_inactive and not db.session.scalar(select(Person.active).where(Person.id == manager.id)):
            raise Invalid(manager=f"{manager.name} is deactivated. Choose someone else.")
        if reporting.is_above(person.id, manager.id):
            raise Invalid(
                manager=f"{manager.name} reports to {person.name}, directly or through others. Choose someone else."
            )
    changed(update(Person).where(Person.id == person.id).values(manager_id=after))
    audit.record(EventKind.PERSON_CHANGED, at=now, actor=actor, person=person.id, before=_manager(before),
                 after=_manager(after))  # fmt: skip
    return True


def _manager(id: int | None) -> dict[str, dict[str, int] | None]:
    return {"manager": {"person": id} if id is not None else None}


def department(given: str) -> str:
    """The name of a department in its one form. Raises Invalid."""
    name = one_line(given)
    if len(name) > DEPARTMENT_LIMIT:
        raise Invalid(department=f"Use {DEPARTMENT_LIMIT} characters or fewer. You entered {len(name):,}.")
    return name


def set_department(person: Person, name: str, *, actor: AnyActor, now: datetime) -> bool:
    """The person's department; "" for none. Returns whether that is a change. Raises Invalid or Conflict."""
    before, after = person.department, department(name)
    if before == after:
        return False
    refuse_if_kept(actor, what=f"The department of {person.name}", person=person.id)
    person.department = after
    audit.record(EventKind.PERSON_CHANGED, at=now, actor=actor, person=person.id,
                 before={"department": sha256(before)}, after={"department": sha256(after)})  # fmt: skip
    return True
