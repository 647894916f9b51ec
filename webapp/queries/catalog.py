"""What a person can add or ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import ColumnElement, and_, func, literal, select, union_all

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Grant, Group, Person, PolicyRevision, Step
from webapp.queries import faces
from webapp.queries.faces import AppFace
from webapp.text import like
from webapp.workflow.policy import Approver, Policy, loads
from webapp.workflow.states import RequestState

PAGE = 30


@dataclass(frozen=True, slots=True)
class Card:
    """An app in the catalog, as it stands for one person. `request` is the pending request's public id, or ""."""

    key: tuple[str, int]
    app: AppFace
    description: str
    category: str
    policy: Policy
    added_at: datetime | None
    request: str

    @property
    def state(self) -> str:
        if self.added_at is not None:
            return "added"
        if self.request:
            return "requested"
        return "request" if self.policy.approval_required else "add"


def cards(
    visible: ColumnElement[bool],
    person_id: int,
    *,
    words: Sequence[str] = (),
    category: str = "",
    after: tuple[str, int] | None = None,
    public_id: str = "",
    limit: int = PAGE,
) -> list[Card]:
    """Up to `limit` + 1 cards by name, behind the key `after`, in one statement."""
    query = (
        select(
            *faces.COLUMNS, App.sort_key, App.id, App.description, App.category, PolicyRevision.body,
            Grant.created_at.label("added_at"), AccessRequest.public_id.label("request"),
        )
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .outerjoin(
            Grant,
            and_(Grant.app_id == App.id, Grant.person_id == person_id, Grant.state.in_(("provisioning", "active"))),
        )
        .outerjoin(
            AccessRequest,
            and_(
                AccessRequest.app_id == App.id,
                AccessRequest.for_person_id == person_id,
                AccessRequest.state == RequestState.PENDING.value,
            ),
        )
        .where(visible)
        .order_by(App.sort_key, App.id)
        .limit(limit + 1)
    )  # fmt: skip
    for word in words:
        query = query.where(App.search_text.like(like(word), escape="!"))
    if category:
        query = query.where(App.category == category)
    if public_id:
        query = query.where(App.public_id == public_id)
    if after is not None:
        query = query.where((App.sort_key > after[0]) | ((App.sort_key == after[0]) & (App.id > after[1])))
    return [
        Card(
            (row.sort_key, row.id), faces.face(row), row.description, row.category, loads(row.body), row.added_at,
            row.request or "",
        )
        for row in db.session.execute(query)
    ]  # fmt: skip


def categories(visible: ColumnElement[bool]) -> list[tuple[str, int]]:
    """(category, how many apps), by name."""
    rows = db.session.execute(select(App.category, func.count()).where(visible).group_by(App.category)).all()
    return sorted(((row[0], row[1]) for row in rows), key=lambda row: row[0].casefold())


def names_of(approvers: Sequence[Approver]) -> dict[Approver, str]:
    """Short names of people and groups for the cards' "Ana, then Finance", in one statement."""
    persons = {one.person for one in approvers if one.person is not None}
    groups = {one.group for one in approvers if one.group is not None}
    if not persons and not groups:
        return {}
    rows = db.session.execute(
        union_all(
            select(Person.id, Person.name, literal(True).label("is_person")).where(Person.id.in_(persons)),
            select(Group.id, Group.name, literal(False)).where(Group.id.in_(groups)),
        )
    )
    return {
        (Approver(person=row.id) if row.is_person else Approver(group=row.id)): (
            row.name.split()[0] if row.is_person else row.name
        )
        for row in rows
    }


def usual_seconds(people: Sequence[int], group: int | None) -> float | None:
    """How long these people usually take for a decision: the median of their last 21, None for fewer than three."""
    query = (
        select(Step.opened_at, Decision.created_at)
        .join(Step, Step.id == Decision.step_id)
        .where(Decision.person_id.in_(people), Decision.channel != "admin")
        .order_by(Decision.id.desc())
        .limit(21)
    )
    if group is not None:
        query = query.where(Step.approver_group_id == group)
    taken = [(row[1] - row[0]).total_seconds() for row in db.session.execute(query) if row[0] is not None]
    return median(taken) if len(taken) >= 3 else None
