"""The apps that a person can add or request."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from statistics import median
from typing import Any

from sqlalchemy import Integer, Row, Select, and_, bindparam, func, literal, or_, select, union_all

from webapp.extensions import db
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    App,
    Audience,
    Decision,
    Grant,
    Group,
    Membership,
    Person,
    PolicyRevision,
    Step,
    db_now,
)
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.columns import exact_first, read
from webapp.text import like, like_exactly
from webapp.workflow.policy import Approver, Policy
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import RequestState, StepState

PAGE = 30

# The apps that the person (the parameter `person`) finds in the catalog.
IN_CATALOG = (
    App.requestable
    & App.archived_at.is_(None)
    & or_(
        App.for_everyone,
        App.id.in_(
            select(Audience.app_id)
            .join(Membership, Membership.group_id == Audience.group_id)
            .where(Membership.person_id == bindparam("person"))
        ),
    )
)
_CATEGORIES = select(App.category, func.count()).where(IN_CATALOG).group_by(App.category)
_NAMES = union_all(
    select(Person.id, Person.name, literal(True).label("is_person")).where(
        Person.id.in_(bindparam("persons", expanding=True))
    ),
    select(Group.id, Group.name, literal(False)).where(Group.id.in_(bindparam("groups", expanding=True))),
)


@dataclass(frozen=True, slots=True)
class Card:
    """An app in the catalog with its state for one person. `request` is the public id of the pending request, or "";
    `holder`, `tier` and `due_at` say whom it waits for, and until when."""

    key: tuple[int, str, int]
    app: AppSummary
    description: str
    category: str
    policy: Policy
    added_at: datetime | None
    request: str = ""
    holder: Approver | None = None
    tier: str = ""
    due_at: datetime | None = None

    @property
    def state(self) -> str:
        if self.added_at is not None:
            return "added"
        if self.request:
            return "requested"
        return "request" if self.policy.approval_required else "add"


def cards(
    person_id: int,
    *,
    words: Sequence[str] = (),
    category: str = "",
    after: tuple[int, str, int] | None = None,
    public_id: str = "",
    limit: int = PAGE,
) -> list[Card]:
    """Up to `limit` + 1 cards by name, after the key `after`, in one statement. Names with the words exactly as typed
    come first, then matches without accents or in other texts."""
    values: dict[str, Any] = {"person": person_id, "limit": limit + 1}
    for number, word in enumerate(words):
        values |= {f"word{number}": like(word), f"exact{number}": like_exactly(word)}
    if category:
        values["category"] = category
    if public_id:
        values["public_id"] = public_id
    if after is not None:
        values["after_rank"], values["after_key"], values["after_id"] = after
    return [_card(row) for row in read(_cards(len(words), bool(category), bool(public_id), after is not None), values)]


def _card(row: Row[*tuple[Any, ...]]) -> Card:
    card = Card(
        (row.rank, row.sort_key, row.id), app_summary(row), row.description, row.category, loads(row.body), row.added_at
    )  # fmt: skip
    # An overdue request does not block a new one.
    if row.request is None or row.overdue:
        return card
    holder = Approver(row.approver_person_id, row.approver_group_id) if row.due_at is not None else None
    return replace(card, request=row.request, holder=holder, tier=row.tier or "", due_at=row.due_at)


@cache
def _cards(words: int, category: bool, public_id: bool, after: bool) -> Select[*tuple[Any, ...]]:
    """Built once for each combination of arguments: building a statement takes twice as long as running it."""
    exact: list[Any] = [bindparam(f"exact{number}") for number in range(words)]
    rank = exact_first(App.sort_key, exact) if words else literal(0)
    query = (
        select(
            *APP_COLUMNS, rank.label("rank"), App.sort_key, App.id, App.description, App.category,
            PolicyRevision.body, Grant.created_at.label("added_at"), AccessRequest.public_id.label("request"),
            Step.approver_person_id, Step.approver_group_id, Step.tier, Step.due_at,
            (Step.due_at <= db_now()).label("overdue"),
        )
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .outerjoin(
            Grant,
            and_(
                Grant.app_id == App.id,
                Grant.person_id == bindparam("person"),
                Grant.state.in_(LIVE_GRANT),
            ),
        )
        .outerjoin(
            AccessRequest,
            and_(
                AccessRequest.app_id == App.id,
                AccessRequest.for_person_id == bindparam("person"),
                AccessRequest.state == RequestState.PENDING.value,
            ),
        )
        .outerjoin(Step, and_(Step.request_id == AccessRequest.id, Step.state == StepState.OPEN.value))
        .where(IN_CATALOG)
        .order_by(*([rank] if words else []), App.sort_key, App.id)
        .limit(bindparam("limit", type_=Integer, literal_execute=True))
    )  # fmt: skip
    for number in range(words):
        query = query.where(App.search_text.like(bindparam(f"word{number}"), escape="!"))
    if category:
        query = query.where(App.category == bindparam("category"))
    if public_id:
        query = query.where(App.public_id == bindparam("public_id"))
    if after:
        behind = (App.sort_key > bindparam("after_key")) | (
            (App.sort_key == bindparam("after_key")) & (App.id > bindparam("after_id"))
        )
        if words:
            behind = (rank > bindparam("after_rank")) | ((rank == bindparam("after_rank")) & behind)
        query = query.where(behind)
    return query


def categories(person_id: int) -> list[tuple[str, int]]:
    """(category, how many apps), by name."""
    rows = read(_CATEGORIES, {"person": person_id}).all()
    return sorted(((row[0], row[1]) for row in rows), key=lambda row: row[0].casefold())


def names_of(approvers: Sequence[Approver]) -> dict[Approver, str]:
    """Short names of people and groups for the cards' "Ana, then Finance", in one statement."""
    persons = {one.person for one in approvers if one.person is not None}
    groups = {one.group for one in approvers if one.group is not None}
    if not persons and not groups:
        return {}
    rows = read(_NAMES, {"persons": list(persons), "groups": list(groups)})
    return {
        (Approver(person=row.id) if row.is_person else Approver(group=row.id)): (
            row.name.split()[0] if row.is_person else row.name
        )
        for row in rows
    }


def usual_seconds(people: Sequence[int], group: int | None) -> float | None:
    """The median time of the last 21 decisions of these people, in seconds; None for fewer than three."""
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
