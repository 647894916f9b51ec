"""The numbers of the overview, over a bounded window; the number of statements is always the same."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, literal, select, true

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Person, Step, db_now
from webapp.queries.ownership import owned_by
from webapp.workflow.states import RequestState, StepState

DECIDED = (RequestState.APPROVED.value, RequestState.DENIED.value)
OUTCOMES = (*DECIDED, RequestState.EXPIRED.value)
DAY = 24 * 3600
# The upper ends of the ages, in days; the last group is open.
AGES = (1, 2, 3, 5)
# So many apps and approvers, those with the most decisions.
SHOWN = 30
CHOICES = 1000


@dataclass(frozen=True, slots=True)
class Scope:
    """Which apps (keys; None: all of them), since when, and the present moment."""

    apps: Collection[int] | None
    since: datetime
    now: datetime

    def of(self, column: Any) -> Any:
        return true() if self.apps is None else column.in_(self.apps)


@dataclass(frozen=True, slots=True)
class Pace:
    """How long decisions took, in seconds: median and ninetieth percentile."""

    name: str
    public_id: str
    count: int
    median: float
    p90: float


def apps(*, owner: int | None) -> Sequence[Any]:
    """(id, public id, name) of the apps that can be chosen, by name, archived ones too; of an owner, those in use that
    are theirs."""
    query = select(App.id, App.public_id, App.name).order_by(App.sort_key, App.id).limit(CHOICES)
    if owner is not None:
        query = query.where(App.archived_at.is_(None), owned_by(owner))
    return db.session.execute(query).all()


def ages(scope: Scope) -> list[int]:
    """The number of pending requests by age: one for each of AGES, and one for older ones."""
    age = case(*((AccessRequest.created_at > db_now(-days * DAY), at) for at, days in enumerate(AGES)), else_=len(AGES))
    rows = db.session.execute(
        select(age.label("age"), func.count().label("requests"))
        .where(AccessRequest.state == RequestState.PENDING.value, scope.of(AccessRequest.app_id))
        .group_by(age)
    )
    found = {row.age: row.requests for row in rows}
    return [found.get(at, 0) for at in range(len(AGES) + 1)]


def requested_and_settled(scope: Scope, since: datetime) -> tuple[int, int]:
    """The number of requests submitted, and of requests closed, since then."""
    row = db.session.execute(
        select(
            *(
                select(func.count())
                .select_from(AccessRequest)
                .where(column >= since, scope.of(AccessRequest.app_id))
                .scalar_subquery()
                for column in (AccessRequest.created_at, AccessRequest.settled_at)
            )
        )
    ).one()
    return row[0], row[1]


def outcomes(scope: Scope, begins: Sequence[datetime]) -> list[dict[str, int]]:
    """For each span (it ends where the next begins): outcome → number of requests that ended so."""
    spans = [(AccessRequest.settled_at < end, at) for at, end in enumerate(begins[1:])]
    span = case(*spans, else_=len(begins) - 1)
    rows = db.session.execute(
        select(span.label("span"), AccessRequest.state, func.count().label("requests"))
        .where(AccessRequest.settled_at >= begins[0], AccessRequest.state.in_(OUTCOMES), scope.of(AccessRequest.app_id))
        .group_by(span, AccessRequest.state)
    )
    found: list[dict[str, int]] = [dict.fromkeys(OUTCOMES, 0) for _ in begins]
    for row in rows:
        found[row.span][row.state] = row.requests
    return found


def due(scope: Scope, ends: Sequence[datetime]) -> list[int]:
    """For each span (the first begins now, each other where the one before ends): number of open steps that expire."""
    span = case(*((Step.due_at < end, at) for at, end in enumerate(ends[:-1])), else_=len(ends) - 1)
    rows = db.session.execute(
        select(span.label("span"), func.count().label("steps"))
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .where(
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
            Step.due_at < ends[-1],
            scope.of(AccessRequest.app_id),
        )
        .group_by(span)
    )
    found = {row.span: row.steps for row in rows}
    return [found.get(at, 0) for at in range(len(ends))]


def due_first(scope: Scope, until: datetime, limit: int) -> list[int]:
    """The requests (keys) that expire first."""
    return list(
        db.session.scalars(
            select(Step.request_id)
            .join(AccessRequest, AccessRequest.id == Step.request_id)
            .where(
                Step.state == StepState.OPEN.value,
                Step.due_at > db_now(),
                Step.due_at < until,
                scope.of(AccessRequest.app_id),
            )
            .order_by(Step.due_at, Step.id)
            .limit(limit)
        )
    )


def pace(scope: Scope) -> Pace | None:
    """From submission to the final decision, over all decided requests; None without any."""
    rows = db.session.execute(_percentiles(_requests(scope, None))).all()
    return Pace("", "", rows[0].decided, rows[0].median, rows[0].p90) if rows else None


def pace_by_app(scope: Scope) -> list[Pace]:
    """The same for each of the apps with the most decisions, most first."""
    found = _percentiles(_requests(scope, AccessRequest.app_id)).subquery()
    return _named(select(App.name, App.public_id, found).join(found, found.c.key == App.id), App)


def pace_by_approver(scope: Scope) -> list[Pace]:
    """From the opening of a step to its decision, for each of the people with the most decisions; decisions of admins
    that skipped steps are left out."""
    times = (
        select(Decision.person_id.label("key"), _seconds(Decision.created_at, Step.opened_at).label("seconds"))
        .join(Step, Step.id == Decision.step_id)
        .where(Decision.created_at >= scope.since, Decision.channel != "admin", Step.opened_at.is_not(None))
    )
    if scope.apps is not None:
        times = times.join(AccessRequest, AccessRequest.id == Step.request_id).where(scope.of(AccessRequest.app_id))
    found = _percentiles(times).subquery()
    return _named(select(Person.name, Person.public_id, found).join(found, found.c.key == Person.id), Person)


def _requests(scope: Scope, key: Any) -> Select[Any]:
    return select(
        (literal(0) if key is None else key).label("key"),
        _seconds(AccessRequest.settled_at, AccessRequest.created_at).label("seconds"),
    ).where(AccessRequest.settled_at >= scope.since, AccessRequest.state.in_(DECIDED), scope.of(AccessRequest.app_id))


def _named(query: Select[Any], table: Any) -> list[Pace]:
    rows = db.session.execute(query.order_by(query.selected_columns["decided"].desc(), table.sort_key).limit(SHOWN))
    return [Pace(row.name, row.public_id, row.decided, row.median, row.p90) for row in rows]


def _is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def _seconds(later: Any, earlier: Any) -> Any:
    if _is_postgresql():
        # Not EXTRACT: it answers a numeric, which would have to be made a float for each row.
        return func.date_part("epoch", later) - func.date_part("epoch", earlier)
    return (func.julianday(later) - func.julianday(earlier)) * DAY


def _percentiles(times: Select[Any]) -> Select[Any]:
    """Median and ninetieth percentile of `seconds` for each `key`, interpolated between neighbours."""
    rows = times.subquery()
    if _is_postgresql():
        return select(
            rows.c.key,
            func.count().label("decided"),
            *(
                func.percentile_cont(part).within_group(rows.c.seconds).label(name)
                for name, part in (("median", 0.5), ("p90", 0.9))
            ),
        ).group_by(rows.c.key)
    # SQLite has no percentiles: interpolate between the two neighbours by rank.
    ranked = select(
        rows.c.key,
        rows.c.seconds,
        (func.row_number().over(partition_by=rows.c.key, order_by=rows.c.seconds) - 1).label("rank"),
        func.count().over(partition_by=rows.c.key).label("size"),
    ).subquery()

    def at(part: float) -> Any:
        # The position is between two ranks: weight both by their distance.
        distance = func.abs(ranked.c.rank - part * (ranked.c.size - 1))
        return func.sum(case((distance < 1, (1 - distance) * ranked.c.seconds), else_=0.0))

    return select(ranked.c.key, func.count().label("decided"), at(0.5).label("median"), at(0.9).label("p90")).group_by(
        ranked.c.key
    )
