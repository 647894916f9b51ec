"""Apps and their fields as programs list them: by key, without a count; two statements for a page of apps."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, literal, or_, select, true, tuple_
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    App,
    Audience,
    EntitlementField,
    Event,
    Grant,
    Group,
    Person,
    PolicyRevision,
    Step,
    db_now,
)
from webapp.models.base import Id, Sorted
from webapp.queries.app_list import apps_found, apps_in
from webapp.queries.catalog import IN_CATALOG
from webapp.queries.columns import read
from webapp.queries.ownership import owned_by
from webapp.workflow.states import RequestState, StepState


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions. `reader` is a person's id, None for a service. `managed`: the apps that they own, all of them
    for `sees_all`; else those of their catalog. `state` is one of app_list.APP_STATES, "" for all in use."""

    reader: int | None = None
    sees_all: bool = False
    managed: bool = False
    words: Sequence[str] = ()
    category: str = ""
    state: str = ""
    updated_since: datetime | None = None


_OWNER, _OWNERS = aliased(Person), aliased(Group)
_COLUMNS: tuple[Any, ...] = (
    App.id, App.public_id, App.sort_key, App.name, App.description, App.category, App.launch_url, App.note,
    App.icon, App.icon_hash,
    App.requestable, App.for_everyone, App.created_at, App.archived_at, PolicyRevision.body,
    _OWNER.public_id.label("owner_key"), _OWNER.name.label("owner_name"),
    _OWNERS.public_id.label("group_key"), _OWNERS.name.label("group_name"),
    Grant.public_id.label("grant"), AccessRequest.public_id.label("request"),
    (Step.due_at <= db_now()).label("overdue"), IN_CATALOG.label("in_catalog"),
)  # fmt: skip
_HAS = and_(Grant.app_id == App.id, Grant.person_id == bindparam("person"), Grant.state.in_(LIVE_GRANT))
_ASKED = and_(
    AccessRequest.app_id == App.id,
    AccessRequest.for_person_id == bindparam("person"),
    AccessRequest.state == RequestState.PENDING.value,
)


def _apps(*, sees_all: bool) -> Select[Any]:
    mine = and_(App.archived_at.is_(None), owned_by(bindparam("person")))
    return (
        select(*_COLUMNS, (true() if sees_all else mine).label("manages"))
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .outerjoin(_OWNER, _OWNER.id == App.owner_person_id)
        .outerjoin(_OWNERS, _OWNERS.id == App.owner_group_id)
        .outerjoin(Grant, _HAS)
        .outerjoin(AccessRequest, _ASKED)
        .outerjoin(Step, and_(Step.request_id == AccessRequest.id, Step.state == StepState.OPEN.value))
    )


# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_OF_OWNER, _OF_ALL = _apps(sees_all=False), _apps(sees_all=True)
_MAY_SEE = or_(IN_CATALOG, Grant.id.is_not(None), and_(App.archived_at.is_(None), owned_by(bindparam("person"))))
_ONE, _ANY = (
    _OF_OWNER.where(App.public_id == bindparam("key"), _MAY_SEE),
    _OF_ALL.where(App.public_id == bindparam("key")),
)


def page(wanted: Wanted, *, after: tuple[str, int] | None = None, limit: int) -> Sequence[Any]:
    """Up to `limit` rows by name that come after the one with this sort key and id."""
    query = (_OF_ALL if wanted.sees_all else _OF_OWNER).where(*_conditions(wanted))
    if after is not None:
        query = query.where(tuple_(App.sort_key, App.id) > tuple_(literal(after[0], Sorted), literal(after[1], Id)))
    return read(query.order_by(App.sort_key, App.id).limit(limit), {"person": wanted.reader}).all()


def find(key: str, *, reader: int | None, sees_all: bool) -> Any | None:
    """One app, archived ones too for `sees_all`; None unless this reader finds it in the catalog, has it or owns it."""
    return read(_ANY if sees_all else _ONE, {"key": key, "person": reader}).first()


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = []
    if not wanted.managed:
        found.append(IN_CATALOG)
    elif wanted.sees_all:
        found += apps_in(wanted.state)
    else:
        found += [*apps_in(wanted.state), owned_by(wanted.reader)]
    found += apps_found(wanted.words, wanted.category)
    if wanted.updated_since is not None:
        # Every change of an app, its fields and its rules has an entry; those about a person or a request are no change
        # of the app.
        about = select(Event.app_id).where(
            Event.at >= wanted.updated_since, Event.person_id.is_(None), Event.request_id.is_(None)
        )
        found.append(App.id.in_(about))
    return found


_AUDIENCE = (
    select(Audience.app_id, Group.public_id, Group.name)
    .join(Group, Group.id == Audience.group_id)
    .where(Audience.app_id.in_(bindparam("apps", expanding=True)), Group.archived_at.is_(None))
    .order_by(Group.sort_key, Group.id)
)


def audiences(rows: Sequence[Any]) -> dict[int, list[Any]]:
    """app id → the groups that see it, by name, of those apps that the reader manages and that are not for everyone.
    One statement, none without such an app."""
    apps = [row.id for row in rows if row.manages and not row.for_everyone]
    found: dict[int, list[Any]] = defaultdict(list)
    if apps:
        for row in read(_AUDIENCE, {"apps": apps}):
            found[row.app_id].append(row)
    return found


def fields(
    app_id: int, *, archived: bool, after: tuple[int, int] | None = None, limit: int
) -> Sequence[EntitlementField]:
    """Up to `limit` fields of an app in their order that come after the one with this position and id."""
    query = select(EntitlementField).where(
        EntitlementField.app_id == app_id,
        EntitlementField.archived_at.is_not(None) if archived else EntitlementField.archived_at.is_(None),
    )
    place = EntitlementField.position, EntitlementField.id
    if after is not None:
        query = query.where(tuple_(*place) > tuple_(literal(after[0]), literal(after[1], Id)))
    return db.session.scalars(query.order_by(*place).limit(limit)).all()
