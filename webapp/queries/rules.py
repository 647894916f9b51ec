"""What the page of an app's rules shows besides the policy: group members, duplicate approvers, fields, other apps."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, func, or_, select, true, union_all

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    App,
    Audience,
    EntitlementField,
    Membership,
    Organisation,
    Person,
    PolicyRevision,
)
from webapp.queries import chains
from webapp.queries.chains import ChainStep, Who
from webapp.queries.ownership import owned_by
from webapp.workflow.policy import Approver, Policy
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState

# So many members of a group are named; the others are counted.
NAMES = 3
APPS = 200
PENDING = 50


@dataclass(slots=True)
class Members:
    """The active members of a group: some names, and how many there are."""

    count: int = 0
    names: list[str] = field(default_factory=list)


def members(groups: Iterable[int]) -> dict[int, Members]:
    """group id → its active members; a group without any is not in it. One statement, none without groups."""
    wanted = set(groups)
    if not wanted:
        return {}
    ranked = (
        select(
            Membership.group_id, Person.name,
            func.row_number()
            .over(partition_by=Membership.group_id, order_by=(Person.sort_key, Person.id))
            .label("rank"),
            func.count().over(partition_by=Membership.group_id).label("people"),
        )
        .join(Person, Person.id == Membership.person_id)
        .where(Membership.group_id.in_(wanted), Person.active)
        .subquery()
    )  # fmt: skip
    found: dict[int, Members] = {}
    for row in db.session.execute(select(ranked).where(ranked.c.rank <= NAMES).order_by(ranked.c.rank)):
        group = found.setdefault(row.group_id, Members(row.people))
        group.names.append(row.name)
    return found


def duplicate_approvers(approvers: Iterable[Approver]) -> dict[int, str]:
    """person id → name of active people who would decide more than one step; at most ten of them."""
    wanted = list(approvers)
    people = [one.person for one in wanted if one.person is not None]
    groups = [one.group for one in wanted if one.group is not None]
    if not groups or len(wanted) < 2:
        return {}
    asked = union_all(
        select(Person.id.label("id")).where(Person.id.in_(people)),
        select(Membership.person_id.label("id")).where(Membership.group_id.in_(groups)),
    ).subquery()
    rows = db.session.execute(
        select(Person.id, Person.name)
        .join(asked, asked.c.id == Person.id)
        .where(Person.active)
        .group_by(Person.id, Person.name, Person.sort_key)
        .having(func.count() > 1)
        .order_by(Person.sort_key, Person.id)
        .limit(10)
    )
    return {row.id: row.name for row in rows}


def fields(app_id: int) -> list[EntitlementField]:
    """All fields of an app in their order, archived ones too."""
    return list(
        db.session.scalars(
            select(EntitlementField)
            .where(EntitlementField.app_id == app_id)
            .order_by(EntitlementField.position, EntitlementField.id)
            .execution_options(populate_existing=True)
        )
    )


def other_apps(app_id: int, *, owner: int | None = None) -> list[tuple[str, str]]:
    """(public id, name) of the apps whose rules can be copied, by name; with `owner`, of the apps that they own."""
    rows = db.session.execute(
        select(App.public_id, App.name)
        .where(App.id != app_id, App.archived_at.is_(None), _owned_by(owner))
        .order_by(App.sort_key, App.id)
        .limit(APPS)
    )
    return [(row.public_id, row.name) for row in rows]


def _owned_by(owner: int | None) -> Any:
    return true() if owner is None else owned_by(owner)


def has_pending_request(app_id: int, person_id: int) -> bool:
    """Whether the person has a pending request for the app, made by them or for them."""
    return bool(
        db.session.scalar(
            select(
                exists().where(
                    AccessRequest.app_id == app_id,
                    AccessRequest.state == RequestState.PENDING.value,
                    or_(AccessRequest.for_person_id == person_id, AccessRequest.asked_by_id == person_id),
                )
            )
        )
    )


def rule_of(public_id: str, *, owner: int | None = None) -> tuple[App, Policy] | None:
    """An app in use with its policy; with `owner`, only an app that they own."""
    row = db.session.execute(
        select(App, PolicyRevision.body)
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .where(App.public_id == public_id, App.archived_at.is_(None), _owned_by(owner))
    ).first()
    return (row.App, loads(row.body)) if row is not None else None


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A pending request: the person it is for, and its open step."""

    who: Who
    step: ChainStep | None


def pending(app_id: int) -> Sequence[PendingRequest]:
    """Up to PENDING pending requests for the app, the oldest first; three statements."""
    rows = db.session.execute(
        select(AccessRequest.id, Person.id.label("person"), Person.public_id, Person.name)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .where(AccessRequest.app_id == app_id, AccessRequest.state == RequestState.PENDING.value)
        .order_by(AccessRequest.id)
        .limit(PENDING)
    ).all()
    steps = chains.of_requests([row.id for row in rows])
    return [
        PendingRequest(
            Who(row.person, row.public_id, row.name),
            next((one for one in steps.get(row.id, []) if one.state == "open"), None),
        )
        for row in rows
    ]


def pending_versions(app_id: int) -> dict[int, int]:
    """request id → version of every pending request for the app."""
    rows = db.session.execute(
        select(AccessRequest.id, AccessRequest.version)
        .where(AccessRequest.app_id == app_id, AccessRequest.state == RequestState.PENDING.value)
        .order_by(AccessRequest.id)
    )
    return {row.id: row.version for row in rows}


def pending_ids(app_id: int) -> dict[str, int]:
    """public id → id of every pending request for the app."""
    rows = db.session.execute(
        select(AccessRequest.public_id, AccessRequest.id).where(
            AccessRequest.app_id == app_id, AccessRequest.state == RequestState.PENDING.value
        )
    )
    return {row.public_id: row.id for row in rows}


def in_audience(app_id: int, person_id: int) -> bool:
    """Whether the person is in one of the groups that see the app."""
    return bool(
        db.session.scalar(
            select(
                exists().where(
                    Audience.app_id == app_id,
                    Membership.group_id == Audience.group_id,
                    Membership.person_id == person_id,
                )
            )
        )
    )


def organisation() -> Organisation:
    """The one row of the organisation."""
    return db.session.scalars(select(Organisation)).one()
