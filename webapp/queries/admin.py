"""What admins see: apps, people and groups in lists that page by key, and whom they can choose."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, and_, exists, func, literal, or_, select, true, union_all

from webapp.extensions import db
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    App,
    Audience,
    Grant,
    Group,
    Membership,
    Person,
    PolicyRevision,
    Step,
)
from webapp.queries.columns import exact_first
from webapp.queries.one_mail import failed_invitation
from webapp.queries.owned import owned_by
from webapp.queries.paging import COUNTED, Page, ordered, paged
from webapp.text import hue, initials, like, like_exactly
from webapp.workflow.policy import Approver, Policy, loads
from webapp.workflow.states import RequestState, StepState

CHOICES = 200
# Members of a group that its place in the list shows; its own page shows all.
MEMBERS = 12

# What the list of apps can be filtered by; none of them: all in use.
APP_STATES = ("requestable", "not requestable", "no owner", "archived")
# What the lists can be sorted by besides the name.
APP_ORDERS = {"category": (App.category, App.sort_key)}
PEOPLE_ORDERS = {"email": (Person.email,)}
# For who is no admin, and sees the apps they own.
OWNED_STATES = ("requestable", "not requestable")


@dataclass(frozen=True, slots=True)
class Named:
    """A person or a group that can be chosen; `value` is what forms carry."""

    id: int
    public_id: str
    name: str
    kind: str
    detail: str = ""
    active: bool = True

    @property
    def value(self) -> str:
        return f"{self.kind}:{self.public_id}"

    @property
    def is_group(self) -> bool:
        return self.kind == "group"

    @property
    def hue(self) -> int:
        return hue(self.public_id)

    @property
    def initials(self) -> str:
        return initials(self.name)

    @property
    def approver(self) -> Approver:
        return Approver(group=self.id) if self.is_group else Approver(person=self.id)


# Apps


@dataclass(frozen=True, slots=True)
class AppRow:
    app: App
    policy: Policy
    owner: Named | None
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
        owner = Named(row.App.owner_person_id, row.person_key, row.person_name, "person", active=row.person_active)
    elif row.group_key:
        owner = Named(row.App.owner_group_id, row.group_key, row.group_name, "group")
    return AppRow(row.App, loads(row.body), owner, row.people, row.pending)


def apps(
    words: Sequence[str] = (), category: str = "", owner: int | None = None, *,
    of: Approver | None = None, state: str = "", sort: str = "", after: str = "", before: str = "",
) -> Page[AppRow]:  # fmt: skip
    """The apps in use, or with the state "archived" those out of use; with `owner`, those that this person
    answers for, also through a group; with `of`, those of exactly this owner."""
    query = _app_rows().where(*_apps_in(state), *_apps_found(words, category, owner, of))
    order = ordered(App, sort, APP_ORDERS)
    rows, count, back, more = paged(query, App, after=after, before=before, order=order)
    return Page([_app_row(row) for row in rows], count, back, more)


def app_counts(
    words: Sequence[str], category: str, owner: int | None, *, of: Approver | None = None, states: Sequence[str]
) -> dict[str, int]:
    """How many of those found are in each state, "" standing for all in use; up to COUNTED + 1, in one statement."""
    found = _apps_found(words, category, owner, of)
    counts = [
        select(func.count())
        .select_from(select(App.id).where(*_apps_in(state), *found).limit(COUNTED + 1).subquery())
        .scalar_subquery()
        for state in states
    ]
    return dict(zip(states, db.session.execute(select(*counts)).one(), strict=True))


def _apps_in(state: str) -> list[Any]:
    if state == "archived":
        return [App.archived_at.is_not(None)]
    in_use = [App.archived_at.is_(None)]
    if state in ("requestable", "not requestable"):
        return [*in_use, App.requestable.is_(state == "requestable")]
    if state == "no owner":
        return [*in_use, App.owner_person_id.is_(None), App.owner_group_id.is_(None)]
    return in_use


def _apps_found(words: Sequence[str], category: str, owner: int | None, of: Approver | None) -> list[Any]:
    found: list[Any] = [App.search_text.like(like(word), escape="!") for word in words]
    if category:
        found.append(App.category == category)
    if owner is not None:
        found.append(owned_by(owner))
    if of is not None:
        found.append(App.owner_group_id == of.group if of.person is None else App.owner_person_id == of.person)
    return found


def app(public_id: str) -> AppRow | None:
    """One app in use, as its row."""
    row = db.session.execute(_app_rows().where(App.public_id == public_id, App.archived_at.is_(None))).first()
    return _app_row(row) if row is not None else None


def app_to_change(public_id: str) -> App | None:
    """An app in use, held until the end of the transaction: who changes it at the same time comes after."""
    return db.session.scalar(
        select(App)
        .where(App.public_id == public_id, App.archived_at.is_(None))
        # Not FOR UPDATE: submitting a request holds the directory and then refers to this row.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )


def categories(owner: int | None = None) -> list[str]:
    """Those in use, for suggestions; with `owner`, those of the apps that this person answers for."""
    return list(
        db.session.scalars(
            select(App.category)
            .where(App.category != "", App.archived_at.is_(None), true() if owner is None else owned_by(owner))
            .distinct()
            .order_by(App.category)
            .limit(CHOICES)
        )
    )


def app_owners() -> list[Named]:
    """The people and groups that own an app, by name, up to CHOICES; `detail` only where two have one name."""
    rows = db.session.execute(
        union_all(
            _people(Person.id.in_(select(App.owner_person_id))), _groups(Group.id.in_(select(App.owner_group_id)))
        )
        .order_by("sort_key", "id")
        .limit(CHOICES)
    )
    return _told_apart([_named(row) for row in rows])


def audience(app_id: int) -> list[Named]:
    """The groups that see the app, by name; none: everyone sees it."""
    rows = db.session.execute(
        _groups(Group.archived_at.is_(None))
        .join(Audience, and_(Audience.group_id == Group.id, Audience.app_id == app_id))
        .order_by(Group.sort_key, Group.id)
        .limit(CHOICES)
    )
    return [_named(row) for row in rows]


def groups_by_public_id(public_ids: Iterable[str]) -> list[int]:
    """The keys of those that exist."""
    return list(
        db.session.scalars(select(Group.id).where(Group.public_id.in_(list(public_ids)), Group.archived_at.is_(None)))
    )


# People and groups to choose from


def _named(row: Row[Any]) -> Named:
    return Named(row.id, row.public_id, row.name, row.kind, row.detail, row.active)


def _people(*conditions: Any) -> Any:
    return select(
        Person.id, Person.public_id, Person.name, literal("person").label("kind"), Person.email.label("detail"),
        Person.active, Person.sort_key,
    ).where(*conditions)  # fmt: skip


def _groups(*conditions: Any) -> Any:
    return select(
        Group.id, Group.public_id, Group.name, literal("group").label("kind"), literal("").label("detail"),
        true().label("active"), Group.sort_key,
    ).where(*conditions)  # fmt: skip


def named(approvers: Iterable[Approver | None]) -> dict[Approver, Named]:
    """Who these are, deactivated people included, in one statement."""
    wanted = [one for one in approvers if one is not None]
    people = [one.person for one in wanted if one.person is not None]
    groups = [one.group for one in wanted if one.group is not None]
    if not wanted:
        return {}
    rows = db.session.execute(union_all(_people(Person.id.in_(people)), _groups(Group.id.in_(groups))))
    found = [_named(row) for row in rows]
    return {one.approver: one for one in found}


def _found_first(query: Select[Any], words: Sequence[str]) -> Select[Any]:
    """By name; those whose names have the words as they were typed before those that have them without accents."""
    columns = query.selected_columns
    exact = [exact_first(columns.sort_key, map(like_exactly, words))] if words else []
    return query.order_by(*exact, columns.sort_key, columns.id)


def _told_apart(found: list[Named]) -> list[Named]:
    names = Counter(one.name for one in found)
    return [one if names[one.name] > 1 else replace(one, detail="") for one in found]


def chosen(value: str) -> Named | None:
    """Whom a form's value ("person:4K7W9Q2M3XTA") stands for; None unless it can be chosen now."""
    kind, _, public_id = value.partition(":")
    if kind not in ("person", "group"):
        return None
    query = (
        _people(Person.public_id == public_id, Person.active)
        if kind == "person"
        else _groups(Group.public_id == public_id, Group.archived_at.is_(None))
    )
    row = db.session.execute(query).first()
    return _named(row) if row is not None else None


# People


@dataclass(frozen=True, slots=True)
class PersonRow:
    """`failed_mail`: the email (its public id) with an invitation that failed, and after which none was sent."""

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


STANDINGS: dict[str, Any] = {
    "active": and_(Person.active, Person.password_hash.is_not(None)),
    "invited": and_(Person.active, Person.password_hash.is_(None)),
    "deactivated": Person.active.is_(False),
    "admins": and_(Person.active, Person.is_admin),
}


def people(
    *, words: Sequence[str] = (), standing: str = "", sort: str = "", after: str = "", before: str = ""
) -> Page[PersonRow]:
    """Everybody, deactivated people included, or those of one of STANDINGS."""
    query = _person_rows()
    if standing:
        query = query.where(STANDINGS[standing])
    for word in words:
        query = query.where(Person.search_text.like(like(word), escape="!"))
    order = ordered(Person, sort, PEOPLE_ORDERS)
    rows, count, back, more = paged(query, Person, after=after, before=before, order=order)
    return Page([PersonRow(row.Person, row.apps, row.failed) for row in rows], count, back, more)


@dataclass(frozen=True, slots=True)
class PersonCard:
    """Somebody with what their deactivation would touch: their pending requests, the open steps that name them,
    and those they are asked for as one of several."""

    person: Person
    apps: int
    pending: int
    steps: int
    shared_steps: int
    groups: list[Named]
    failed_mail: str | None = None

    @property
    def state(self) -> str:
        return PersonRow(self.person, self.apps).state


def person(public_id: str) -> PersonCard | None:
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
        _groups().join(Membership, Membership.group_id == Group.id)
        .where(Membership.person_id == row.Person.id)
        .order_by(Group.sort_key, Group.id)
    )  # fmt: skip
    return PersonCard(
        row.Person,
        row.apps,
        row.pending,
        row.steps,
        row.shared,
        [_named(one) for one in groups],
        row.failed,
    )


# Groups


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group with some of its members (`members`) and how many there are (`count`)."""

    id: int
    public_id: str
    name: str
    created_at: datetime
    count: int
    active: int
    owns: int
    sees: int
    open_steps: int
    members: list[Named] = field(default_factory=list)

    @property
    def hue(self) -> int:
        return hue(self.public_id)


def _group_rows() -> Select[Any]:
    def how_many(*conditions: Any) -> Any:
        return select(func.count()).where(*conditions).correlate(Group).scalar_subquery()

    return select(
        Group.public_id.label("key"), Group.id, Group.name, Group.created_at,
        how_many(Membership.group_id == Group.id).label("size"),
        how_many(Membership.group_id == Group.id, Person.id == Membership.person_id, Person.active).label("active"),
        how_many(App.owner_group_id == Group.id, App.archived_at.is_(None)).label("owns"),
        how_many(Audience.group_id == Group.id).label("sees"),
        how_many(Step.approver_group_id == Group.id, Step.state == StepState.OPEN.value).label("open_steps"),
    ).where(Group.archived_at.is_(None))  # fmt: skip


def _group_row(row: Row[Any]) -> GroupRow:
    return GroupRow(row.id, row.key, row.name, row.created_at, row.size, row.active, row.owns, row.sees, row.open_steps)


def groups(*, words: Sequence[str] = (), after: str = "", before: str = "") -> Page[GroupRow]:
    """Groups by name, found by their name or a member's."""
    query = _group_rows()
    for word in words:
        query = query.where(
            or_(
                Group.search_text.like(like(word), escape="!"),
                exists()
                .where(Membership.group_id == Group.id, Person.id == Membership.person_id)
                .where(Person.search_text.like(like(word), escape="!"))
                .correlate(Group),
            )
        )
    rows, count, back, more = paged(query, Group, after=after, before=before)
    found = [_group_row(row) for row in rows]
    _add_members(found, MEMBERS)
    return Page(found, count, back, more)


def group(public_id: str, *, whole: bool = True) -> GroupRow | None:
    """One group with all of its members, or as its place in the list shows it."""
    row = db.session.execute(_group_rows().where(Group.public_id == public_id)).first()
    if row is None:
        return None
    found = _group_row(row)
    _add_members([found], None if whole else MEMBERS)
    return found


def _add_members(found: list[GroupRow], limit: int | None) -> None:
    by_id = {one.id: one for one in found}
    ranked = (
        _people()
        .add_columns(
            Membership.group_id,
            func.row_number()
            .over(partition_by=Membership.group_id, order_by=(Person.sort_key, Person.id))
            .label("rank"),
        )
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.group_id.in_(by_id))
        .subquery()
    )
    query = select(ranked).order_by(ranked.c.group_id, ranked.c.rank)
    if limit is not None:
        query = query.where(ranked.c.rank <= limit)
    for row in db.session.execute(query):
        by_id[row.group_id].members.append(_named(row))


def candidates(group_id: int, words: Sequence[str], limit: int = 8) -> list[Named]:
    """Active people who are not in the group and match all words, by name."""
    inside = exists().where(Membership.group_id == group_id, Membership.person_id == Person.id)
    query = _people(Person.active, ~inside)
    for word in words:
        query = query.where(Person.search_text.like(like(word), escape="!"))
    return [_named(row) for row in db.session.execute(_found_first(query, words).limit(limit))]
