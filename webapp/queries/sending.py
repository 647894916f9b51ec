"""What a worker needs to send deliveries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select

from webapp.extensions import db
from webapp.models import AccessRequest, Delivery, Endpoint, EndpointSecret, Group, Invitation, Person, Step, db_now
from webapp.queries.columns import pad_in_list
from webapp.workflow.states import StepState


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A delivery with its endpoint; `secrets` are those in use (encrypted), the newest first."""

    delivery: Delivery
    endpoint: Endpoint
    secrets: tuple[str, ...]


def load(ids: Sequence[int], endpoint: int) -> dict[int, Outgoing]:
    """By the keys of the deliveries, which are all to this endpoint."""
    of = db.session.get_one(Endpoint, endpoint)
    in_use = or_(EndpointSecret.retires_at.is_(None), EndpointSecret.retires_at > db_now())
    secrets = db.session.scalars(
        select(EndpointSecret.secret)
        .where(EndpointSecret.endpoint_id == endpoint, in_use)
        .order_by(EndpointSecret.id.desc())
    ).all()
    rows = db.session.scalars(select(Delivery).where(Delivery.id.in_(pad_in_list(ids))))
    return {one.id: Outgoing(one, of, tuple(secrets)) for one in rows}


@dataclass(frozen=True, slots=True)
class Status:
    """Whether a delivery is still ours and still needed: `why` is "" or the reason why not."""

    ours: bool
    paused: bool
    why: str


def status(id: int, lease: str) -> Status:
    """Looked up right before it is sent."""
    row: Any = db.session.execute(
        select(
            Delivery.event, Endpoint.kind, Endpoint.paused_at, Endpoint.removed_at, Endpoint.person_id,
            Delivery.step_id, Step.state, Person.active, Group.archived_at, AccessRequest.state.label("request_state"),
            select(Invitation.live).where(Invitation.step_id == Step.id, Invitation.person_id == Endpoint.person_id)
            .scalar_subquery().label("live"),
        )
        .join(Endpoint, Endpoint.id == Delivery.endpoint_id)
        .outerjoin(Step, Step.id == Delivery.step_id)
        .outerjoin(AccessRequest, AccessRequest.id == Step.request_id)
        .outerjoin(Person, Person.id == Endpoint.person_id)
        .outerjoin(Group, Group.id == Endpoint.group_id)
        .where(Delivery.id == id, Delivery.state == "leased", Delivery.lease == lease, Delivery.lease_until > db_now())
    ).first()  # fmt: skip
    if row is None:
        return Status(False, False, "")
    if row.removed_at is not None:
        return Status(True, False, "The endpoint was removed.")
    return Status(True, row.paused_at is not None, _why_obsolete(row) if row.kind != "webhook" else "")


def _why_obsolete(row: Any) -> str:
    """Why a chat message is obsolete: the step is no longer open, or the person may no longer see the request."""
    if row.active is False:
        return "This person was deactivated."
    if row.archived_at is not None:
        return "This group was archived."
    if row.step_id is not None and row.state != StepState.OPEN:
        return "This step was decided in the meantime."
    if row.step_id is not None and row.person_id is not None and not row.live:
        return "This person is no longer an approver of this request."
    return ""
