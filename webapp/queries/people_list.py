"""The list of people, and one person's card."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, Event, Grant, Group, Membership, Person, Step
from webapp.queries.logged_email import failed_invitation
from webapp.queries.paging import Page, ordered, paged
from webapp.queries.principals import Principal, groups_with, principal
from webapp.text import like
from webapp.workflow.states import RequestState, StepState

# What the list can be sorted by besides the name.
PEOPLE_ORDERS = {"email": (Person.email,), "department": (Person.department, Person.sort_key)}
_Manager = aliased(Person, name="manager")


@dataclass(frozen=True, slots=True)
class PersonRow:
    """`failed_mail`: public id of the email with the last invitation, if that email failed."""

    person: Person
    apps: int
    failed_mail: str | None = None

    @property
    def state(self) -> str:
        return account_state(self.person.active, self.person.password_hash is not None)


def account_state(active: bool, has_password: bool) -> str:
    """One of ACCOUNT_STATES."""
    if not active:
        return "deactivated"
    return "active" if has_password else "invited"


def _people_rows(*columns: Any) -> Select[Any]:
    """Of people: these columns, and the number of their apps."""
    apps = (
        select(func.count())
        .where(Grant.person_id == Person.id, Grant.state.in_(LIVE_GRANT))
        .correlate(Person)
        .scalar_subquery()
    )
    return select(*columns, apps.label("apps"))


def _person_rows() -> Select[Any]:
    columns = (Person.public_id.label("key"), Person, failed_invitation().label("failed"))
    return _people_rows(*columns).execution_options(populate_existing=True)


ACCOUNT_STATES: dict[str, Any] = {
    "active": and_(Person.active, Person.password_hash.is_not(None)),
    "invited": and_(Person.active, Person.password_hash.is_(None)),
    "deactivated": Person.active.is_(False),
    "admins": and_(Person.active, Person.is_admin),
}


def page(
    *, words: Sequence[str] = (), state: str = "", department: str = "", manager: str = "", sort: str = "",
    after: str = "", before: str = "",
) -> Page[PersonRow]:  # fmt: skip
    """All people, deactivated ones included, or those in one of ACCOUNT_STATES, in a department, or who report to the
    person with the public id `manager`."""
    wanted = Wanted(words=words, state=state, department=department or None, manager=manager or None)
    query = _person_rows().where(*_conditions(wanted))
    order = ordered(Person, sort, PEOPLE_ORDERS)
    rows, count, back, more = paged(query, Person, after=after, before=before, order=order)
    return Page([PersonRow(row.Person, row.apps, row.failed) for row in rows], count, back, more)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions of `feed`; None, "" and () are none. `state` is one of ACCOUNT_STATES, `email` in its one form,
    `group` and `manager` public ids, `department` a name as it is stored."""

    words: Sequence[str] = ()
    state: str | None = None
    is_admin: bool | None = None
    email: str | None = None
    group: str | None = None
    department: str | None = None
    manager: str | None = None
    updated_since: datetime | None = None


def feed(wanted: Wanted, *, after: tuple[str, int] | None = None, limit: int) -> Sequence[Any]:
    """As programs list people: rows of columns by name, up to `limit`, from the one after this sort key and id on; one
    statement."""
    has_password = Person.password_hash.is_not(None).label("has_password")
    columns = (Person.id, Person.public_id, Person.name, Person.email, Person.about, Person.is_admin, Person.active,
               has_password, Person.created_at, Person.deactivated_at, Person.sort_key, Person.department,
               _Manager.public_id.label("manager"), _Manager.name.label("manager_name"))  # fmt: skip
    query = _people_rows(*columns).outerjoin(_Manager, _Manager.id == Person.manager_id).where(*_conditions(wanted))
    order = ordered(Person, "", {})
    if after is not None:
        query = query.where(order.beyond(after))
    return db.session.connection().execute(query.order_by(*order.by()).limit(limit)).all()


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = [Person.search_text.like(like(word), escape="!") for word in wanted.words]
    if wanted.state:
        found.append(ACCOUNT_STATES[wanted.state])
    if wanted.is_admin is not None:
        found.append(Person.is_admin.is_(wanted.is_admin))
    if wanted.email is not None:
        found.append(Person.email == wanted.email)
    if wanted.group is not None:
        members = select(Membership.person_id).join(Group, Group.id == Membership.group_id)
        found.append(Person.id.in_(members.where(Group.public_id == wanted.group, Group.archived_at.is_(None))))
    if wanted.department is not None:
        found.append(Person.department == wanted.department)
    if wanted.manager is not None:
        of = aliased(Person)
        found.append(Person.manager_id == select(of.id).where(of.public_id == wanted.manager).scalar_subquery())
    if wanted.updated_since is not None:
        # Whatever changes a person has an entry in the audit log; signing in changes nothing.
        recorded = select(Event.person_id).where(Event.at >= wanted.updated_since, ~Event.kind.startswith("session."))
        found.append(Person.id.in_(recorded))
    return found


@dataclass(frozen=True, slots=True)
class PersonCard:
    """A person with what their deactivation would affect: their pending requests, the open steps that name them, and
    the open steps of groups that they are a member of."""

    person: Person
    apps: int
    pending: int
    steps: int
    shared_steps: int
    groups: list[Principal]
    failed_mail: str | None = None

    @property
    def state(self) -> str:
        return PersonRow(self.person, self.apps).state


def card(public_id: str) -> PersonCard | None:
    """Two statements."""
    pending = (
        select(func.count())
        .where(
            or_(AccessRequest.for_person_id == Person.id, AccessRequest.asked_by_id == Person.id),
            AccessRequest.state == RequestState.PENDING.value,
        )
        .correlate(Person)
        .scalar_subquery()
    )
    steps = (
        select(func.count())
        .where(Step.approver_person_id == Person.id, Step.state == StepState.OPEN.value)
        .correlate(Person)
        .scalar_subquery()
    )
    shared = (
        select(func.count())
        .where(
            Step.state == StepState.OPEN.value,
            Step.approver_group_id.in_(
                select(Membership.group_id).where(Membership.person_id == Person.id).correlate(Person)
            ),
        )
        .correlate(Person)
        .scalar_subquery()
    )
    row = db.session.execute(
        _person_rows()
        .add_columns(pending.label("pending"), steps.label("steps"), shared.label("shared"))
        .where(Person.public_id == public_id)
    ).first()
    if row is None:
        return None
    groups = db.session.execute(
        groups_with().join(Membership, Membership.group_id == Group.id)
        .where(Membership.person_id == row.Person.id)
        .order_by(Group.sort_key, Group.id)
    )  # fmt: skip
    return PersonCard(
        row.Person,
        row.apps,
        row.pending,
        row.steps,
        row.shared,
        [principal(one) for one in groups],
        row.failed,
    )
