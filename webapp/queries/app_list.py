"""The list of apps: for admins all of them, for owners those that they own."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select, true

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, App, Grant, Group, Person, PolicyRevision
from webapp.queries.ownership import owned_by
from webapp.queries.paging import COUNTED, Page, ordered, paged
from webapp.queries.principals import CHOICES, Principal
from webapp.text import like
from webapp.workflow.policy import Approver, Policy
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState

# What the list can be filtered by; none of them: all apps in use.
APP_STATES = ("requestable", "not requestable", "no owner", "archived")
# The same for owners who are no admins.
OWNED_STATES = ("requestable", "not requestable")
# What the list can be sorted by besides the name.
APP_ORDERS = {"category": (App.category, App.sort_key)}


@dataclass(frozen=True, slots=True)
class AppRow:
    app: App
    policy: Policy
    owner: Principal | None
    people: int
    pending: int


def _app_rows() -> Select[Any]:
    people = (
        select(func.count()).where(Grant.app_id == App.id, Grant.state.in_(LIVE_GRANT)).correlate(App).scalar_subquery()
    )
    pending = (
        select(func.count())
        .where(AccessRequest.app_id == App.id, AccessRequest.state == RequestState.PENDING.value)
        .correlate(App)
        .scalar_subquery()
    )
    return (
        select(
            App.public_id.label("key"), App, PolicyRevision.body, people.label("people"), pending.label("pending"),
            Person.public_id.label("person_key"), Person.name.label("person_name"),
            Person.active.label("person_active"), Group.public_id.label("group_key"), Group.name.label("group_name"),
        )
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .outerjoin(Person, Person.id == App.owner_person_id)
        .outerjoin(Group, Group.id == App.owner_group_id)
        .execution_options(populate_existing=True)
    )  # fmt: skip


def _app_row(row: Row[Any]) -> AppRow:
    owner = None
    if row.person_key:
        owner = Principal(row.App.owner_person_id, row.person_key, row.person_name, "person", active=row.person_active)
    elif row.group_key:
        owner = Principal(row.App.owner_group_id, row.group_key, row.group_name, "group")
    return AppRow(row.App, loads(row.body), owner, row.people, row.pending)


def page(
    words: Sequence[str] = (), category: str = "", owner: int | None = None, *,
    of: Approver | None = None, state: str = "", sort: str = "", after: str = "", before: str = "",
) -> Page[AppRow]:  # fmt: skip
    """The apps in use, or with the state "archived" those out of use; with `owner`, those that this person owns, also
    through a group; with `of`, those of exactly this owner."""
    query = _app_rows().where(*apps_in(state), *apps_found(words, category, owner, of))
    order = ordered(App, sort, APP_ORDERS)
    rows, count, back, more = paged(query, App, after=after, before=before, order=order)
    return Page([_app_row(row) for row in rows], count, back, more)


def counts(
    words: Sequence[str], category: str, owner: int | None, *, of: Approver | None = None, states: Sequence[str]
) -> dict[str, int]:
    """How many of those found are in each state, "" standing for all in use; up to COUNTED + 1, in one statement."""
    found = apps_found(words, category, owner, of)
    columns = [
        select(func.count())
        .select_from(select(App.id).where(*apps_in(state), *found).limit(COUNTED + 1).subquery())
        .scalar_subquery()
        for state in states
    ]
    return dict(zip(states, db.session.execute(select(*columns)).one(), strict=True))


def apps_in(state: str) -> list[Any]:
    """The conditions of a state of APP_STATES, "" standing for all in use."""
    if state == "archived":
        return [App.archived_at.is_not(None)]
    in_use = [App.archived_at.is_(None)]
    if state in ("requestable", "not requestable"):
        return [*in_use, App.requestable.is_(state == "requestable")]
    if state == "no owner":
        return [*in_use, App.owner_person_id.is_(None), App.owner_group_id.is_(None)]
    return in_use


def apps_found(words: Sequence[str], category: str, owner: int | None = None, of: Approver | None = None) -> list[Any]:
    """The conditions of a search; with `owner`, of the apps that this person owns; with `of`, of exactly this owner."""
    found: list[Any] = [App.search_text.like(like(word), escape="!") for word in words]
    if category:
        found.append(App.category == category)
    if owner is not None:
        found.append(owned_by(owner))
    if of is not None:
        found.append(App.owner_group_id == of.group if of.person is None else App.owner_person_id == of.person)
    return found


def row(public_id: str) -> AppRow | None:
    """One app in use, as its row."""
    found = db.session.execute(_app_rows().where(App.public_id == public_id, App.archived_at.is_(None))).first()
    return _app_row(found) if found is not None else None


def categories(owner: int | None = None) -> list[str]:
    """Those in use, for suggestions; with `owner`, those of the apps that this person owns."""
    return list(
        db.session.scalars(
            select(App.category)
            .where(App.category != "", App.archived_at.is_(None), true() if owner is None else owned_by(owner))
            .distinct()
            .order_by(App.category)
            .limit(CHOICES)
        )
    )


def app_names() -> list[tuple[str, str]]:
    """(public id, name) of every app, archived ones too, for choosing one."""
    rows = db.session.execute(select(App.public_id, App.name).order_by(App.sort_key, App.id).limit(1000))
    return [(row.public_id, row.name) for row in rows]


def app_id(public_id: str) -> int | None:
    return db.session.scalar(select(App.id).where(App.public_id == public_id))
