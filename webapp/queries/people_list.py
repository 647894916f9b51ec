"""The list of people, and one person's card."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, Grant, Group, Membership, Person, Step
from webapp.queries.one_mail import failed_invitation
from webapp.queries.paging import Page, ordered, paged
from webapp.queries.principals import Principal, groups_with, principal
from webapp.text import like
from webapp.workflow.states import RequestState, StepState

# What the list can be sorted by besides the name.
PEOPLE_ORDERS = {"email": (Person.email,)}


@dataclass(frozen=True, slots=True)
class PersonRow:
    """`failed_mail`: public id of the email with the last invitation, if that email failed."""

    person: Person
    apps: int
    failed_mail: str | None = None

    @property
    def state(self) -> str:
        if not self.person.active:
            return "deactivated"
        return "active" if self.person.password_hash is not None else "invited"


def _person_rows() -> Select[Any]:
    apps = (
        select(func.count())
        .where(Grant.person_id == Person.id, Grant.state.in_(LIVE_GRANT))
        .correlate(Person)
        .scalar_subquery()
    )
    columns = (Person.public_id.label("key"), Person, apps.label("apps"), failed_invitation().label("failed"))
    return select(*columns).execution_options(populate_existing=True)


ACCOUNT_STATES: dict[str, Any] = {
    "active": and_(Person.active, Person.password_hash.is_not(None)),
    "invited": and_(Person.active, Person.password_hash.is_(None)),
    "deactivated": Person.active.is_(False),
    "admins": and_(Person.active, Person.is_admin),
}


def page(
    *, words: Sequence[str] = (), state: str = "", sort: str = "", after: str = "", before: str = ""
) -> Page[PersonRow]:
    """All people, deactivated ones included, or those in one of ACCOUNT_STATES."""
    query = _person_rows()
    if state:
        query = query.where(ACCOUNT_STATES[state])
    for word in words:
        query = query.where(Person.search_text.like(like(word), escape="!"))
    order = ordered(Person, sort, PEOPLE_ORDERS)
    rows, count, back, more = paged(query, Person, after=after, before=before, order=order)
    return Page([PersonRow(row.Person, row.apps, row.failed) for row in rows], count, back, more)


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
