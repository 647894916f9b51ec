"""Webhooks and chat channels, as pages and programs list them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, select

from webapp.extensions import db
from webapp.models import App, Delivery, Endpoint, EndpointSecret, Group, Person, db_now
from webapp.queries.columns import pad_in_list

UNSETTLED = ("due", "leased")


@dataclass(frozen=True, slots=True)
class EndpointLine:
    """An endpoint with the apps that it is about, and for whom a channel is: a row with public_id and name, or None.

    `last`: when it took something last; then how many deliveries wait, are tried again, have failed for good, and are
    on hold after a restore.
    """

    endpoint: Endpoint
    apps: Sequence[App]
    person: Person | None
    group: Group | None
    app: App | None
    last: datetime | None
    waiting: int
    retried: int
    dead: int
    held: int

    @property
    def audience(self) -> str:
        """For whom a channel is, by name; "" for the admins."""
        one = self.person or self.group or self.app
        return str(one.name) if one is not None else ""


def _number(*conditions: ColumnElement[bool]) -> Any:
    return (
        select(func.count())
        .select_from(Delivery)
        .where(Delivery.endpoint_id == Endpoint.id, *conditions)
        .scalar_subquery()
    )


_LAST = (
    select(func.max(Delivery.settled_at))
    .where(Delivery.endpoint_id == Endpoint.id, Delivery.state == "sent")
    .scalar_subquery()
)
_ENDPOINTS: Select[Any] = (
    select(
        Endpoint,
        Person,
        Group,
        _LAST.label("last"),
        _number(Delivery.state.in_(UNSETTLED), Delivery.tries == 0).label("waiting"),
        _number(Delivery.state.in_(UNSETTLED), Delivery.tries > 0).label("retried"),
        _number(Delivery.state == "dead").label("dead"),
        _number(Delivery.state == "held").label("held"),
    )
    .outerjoin(Person, Person.id == Endpoint.person_id)
    .outerjoin(Group, Group.id == Endpoint.group_id)
    .order_by(Endpoint.id)
)


def all_of(*, chat: bool) -> list[EndpointLine]:
    """The webhooks or the chat channels, oldest first; two statements."""
    return _lines(_ENDPOINTS.where(_is(chat), Endpoint.removed_at.is_(None)))


def find(public_id: str, *, chat: bool | None = None, removed: bool = False) -> EndpointLine | None:
    """One endpoint, of this kind if `chat` is not None; with `removed` also one that was removed."""
    query = _ENDPOINTS.where(Endpoint.public_id == public_id)
    if chat is not None:
        query = query.where(_is(chat))
    if not removed:
        query = query.where(Endpoint.removed_at.is_(None))
    return next(iter(_lines(query)), None)


def removed(*, chat: bool, days: int) -> Sequence[Endpoint]:
    """Those that were removed in the last `days`, newest first: what was sent to them can still be seen."""
    lately = Endpoint.removed_at > db_now(-days * 86400)
    query = select(Endpoint).where(_is(chat), lately).order_by(Endpoint.removed_at.desc(), Endpoint.id).limit(50)
    return db.session.scalars(query).all()


def _is(chat: bool) -> ColumnElement[bool]:
    return Endpoint.kind != "webhook" if chat else Endpoint.kind == "webhook"


def _lines(query: Select[Any]) -> list[EndpointLine]:
    rows = db.session.execute(query, execution_options={"populate_existing": True}).all()
    wanted = {key for row in rows for key in (*row.Endpoint.app_ids, row.Endpoint.app_id) if key is not None}
    apps = {one.id: one for one in _apps(App.id.in_(pad_in_list(sorted(wanted))))} if wanted else {}
    return [
        EndpointLine(
            row.Endpoint,
            sorted((apps[key] for key in row.Endpoint.app_ids if key in apps), key=lambda one: str(one.sort_key)),
            row.Person,
            row.Group,
            apps.get(row.Endpoint.app_id),
            row.last,
            row.waiting,
            row.retried,
            row.dead,
            row.held,
        )
        for row in rows
    ]


def audience(kind: str, public_id: str) -> Any:
    """The person, group or app of this id, None for none."""
    table: Any = {"person": Person, "group": Group, "app": App}[kind]
    return db.session.scalars(select(table).where(table.public_id == public_id)).first()


def apps_of(public_ids: Sequence[str]) -> Sequence[App]:
    """Those of them that exist."""
    return _apps(App.public_id.in_(pad_in_list(public_ids))) if public_ids else []


def _apps(condition: ColumnElement[bool]) -> Sequence[App]:
    return db.session.scalars(select(App).where(condition)).all()


def secrets_of(endpoint: Endpoint) -> Sequence[EndpointSecret]:
    """Those that sign, newest first."""
    in_use = or_(EndpointSecret.retires_at.is_(None), EndpointSecret.retires_at > db_now())
    mine = select(EndpointSecret).where(EndpointSecret.endpoint_id == endpoint.id, in_use)
    return db.session.scalars(mine.order_by(EndpointSecret.id.desc())).all()
