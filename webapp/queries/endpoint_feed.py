"""Webhooks, chat channels and their deliveries, as programs list them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, or_, select

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    App,
    Delivery,
    DeliveryTry,
    Endpoint,
    EndpointSecret,
    Group,
    Person,
    db_now,
)
from webapp.queries.columns import pad_in_list


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint with the apps that it is about, and for whom a channel is: a row with public_id and name, or None."""

    endpoint: Endpoint
    apps: Sequence[Any]
    person: Any
    group: Any
    app: Any


def load(*, chat: bool, public_id: str | None = None) -> list[EndpointRow]:
    """The webhooks or the chat channels, oldest first; or the one of this id. Three statements."""
    kind = Endpoint.kind != "webhook" if chat else Endpoint.kind == "webhook"
    query = (
        select(Endpoint, Person, Group)
        .outerjoin(Person, Person.id == Endpoint.person_id)
        .outerjoin(Group, Group.id == Endpoint.group_id)
        .where(kind, Endpoint.removed_at.is_(None))
        .order_by(Endpoint.id)
    )
    if public_id is not None:
        query = query.where(Endpoint.public_id == public_id)
    rows = db.session.execute(query).all()
    wanted = {key for row in rows for key in (*row.Endpoint.app_ids, row.Endpoint.app_id) if key is not None}
    apps = {one.id: one for one in _apps(App.id.in_(pad_in_list(sorted(wanted))))} if wanted else {}
    return [
        EndpointRow(
            row.Endpoint,
            sorted((apps[key] for key in row.Endpoint.app_ids if key in apps), key=lambda one: str(one.sort_key)),
            row.Person,
            row.Group,
            apps.get(row.Endpoint.app_id),
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


_DELIVERIES: Any = (
    select(
        Delivery,
        App.public_id.label("app"), App.name.label("app_name"), Person.public_id.label("person"),
        Person.name.label("person_name"), AccessRequest.public_id.label("request"),
    )
    .outerjoin(App, App.id == Delivery.app_id)
    .outerjoin(Person, Person.id == Delivery.person_id)
    .outerjoin(AccessRequest, AccessRequest.id == Delivery.request_id)
)  # fmt: skip


def deliveries(
    endpoint: Endpoint, *, states: Sequence[str] = (), event: str = "", before: int | None = None, limit: int
) -> Sequence[Any]:  # fmt: skip
    """Newest first, with what each is about; `before` is the key of the last one seen."""
    query = _DELIVERIES.where(Delivery.endpoint_id == endpoint.id)
    if states:
        query = query.where(Delivery.state.in_(states))
    if event:
        query = query.where(Delivery.event == event)
    if before is not None:
        query = query.where(Delivery.id < before)
    return db.session.execute(query.order_by(Delivery.id.desc()).limit(limit)).all()


def delivery(endpoint: Endpoint, public_id: str) -> Any:
    """One, as in `deliveries`; None for none."""
    query = _DELIVERIES.where(Delivery.endpoint_id == endpoint.id, Delivery.public_id == public_id)
    return db.session.execute(query, execution_options={"populate_existing": True}).first()


def attempts_of(delivery: Delivery) -> Sequence[DeliveryTry]:
    """Oldest first."""
    mine = select(DeliveryTry).where(DeliveryTry.delivery_id == delivery.id)
    return db.session.scalars(mine.order_by(DeliveryTry.id)).all()
