"""One person for admins: their access and why, removed access, their decisions, and the rules that name them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, App, Decision, Grant, Person, PolicyRevision, Step
from webapp.models.requests import load_values
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.queries.chains import Who
from webapp.workflow.entitlements import shown
from webapp.workflow.policy_codec import loads
from webapp.workflow.states import Channel, Verdict

APPS = 300
REMOVED = 10
DECISIONS = 5
COUNTED = 1000


@dataclass(frozen=True, slots=True)
class Value:
    """One entitlement in words; `by` is "" for a default."""

    name: str
    value: str
    by: str
    at: datetime | None


@dataclass(slots=True)
class HeldApp:
    """An app that a person has: `deciders` approved the `request`, closed at `settled_at`; or `giver` granted it for a
    `reason`; or the person added it."""

    public_id: str
    app: AppSummary
    is_archived: bool
    state: str
    since: datetime
    ends_at: datetime | None
    request: str
    settled_at: datetime | None
    values: list[Value] = field(default_factory=list)
    deciders: list[str] = field(default_factory=list)
    by_override: bool = False
    giver: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Removed:
    """An app that a person had until access was removed, or they gave it back."""

    public_id: str
    app: AppSummary
    at: datetime
    by: str
    given_back: bool
    reason: str


_NOW, _FROZEN, _GIVER = aliased(PolicyRevision), aliased(PolicyRevision), aliased(Person)
HELD = (
    select(
        Grant.public_id, *APP_COLUMNS, App.archived_at, Grant.state, Grant.created_at, Grant.ends_at,
        Grant.values_json, Grant.request_id, AccessRequest.public_id.label("request"), AccessRequest.settled_at,
        _NOW.body.label("rule"), _FROZEN.body.label("frozen"), Grant.given_reason, _GIVER.name.label("giver"),
    )
    .join(App, App.id == Grant.app_id)
    .outerjoin(_NOW, _NOW.id == App.policy_revision_id)
    .outerjoin(AccessRequest, AccessRequest.id == Grant.request_id)
    .outerjoin(_FROZEN, _FROZEN.id == AccessRequest.policy_revision_id)
    .outerjoin(_GIVER, _GIVER.id == Grant.given_by_id)
    .where(Grant.state.in_(LIVE_GRANT))
)  # fmt: skip


def held_by(person_id: int) -> list[HeldApp]:
    """The apps that a person has, by name, with their fields and why they have them; three statements."""
    rows = db.session.execute(HELD.where(Grant.person_id == person_id).order_by(App.sort_key, App.id).limit(APPS))
    return held_apps(list(rows))


def listed(person_id: int) -> list[tuple[str, AppSummary]]:
    """(public id of the grant, app) of all apps that a person has, by name; one statement."""
    rows = db.session.execute(
        select(Grant.public_id, *APP_COLUMNS)
        .join(App, App.id == Grant.app_id)
        .where(Grant.person_id == person_id, Grant.state.in_(LIVE_GRANT))
        .order_by(App.sort_key, App.id)
    )
    return [(row.public_id, app_summary(row)) for row in rows]


def grants_of(person_id: int) -> Sequence[Any]:
    """Rows of all apps that a person has, by name: the grant, its app, since when and until when; one statement."""
    return db.session.execute(
        select(Grant.public_id, App.public_id.label("app"), App.name, Grant.state, Grant.created_at, Grant.ends_at)
        .join(App, App.id == Grant.app_id)
        .where(Grant.person_id == person_id, Grant.state.in_(LIVE_GRANT))
        .order_by(App.sort_key, App.id)
    ).all()


def held(public_id: str, person_id: int) -> HeldApp | None:
    """One of a person's apps, by the public id of the grant; None when access has ended."""
    rows = list(db.session.execute(HELD.where(Grant.public_id == public_id, Grant.person_id == person_id)))
    return held_apps(rows)[0] if rows else None


def held_apps(rows: Sequence[Any]) -> list[HeldApp]:
    """Build the apps from rows of HELD; two statements."""
    approved = approvals_of({row.request_id for row in rows if row.request_id is not None})
    values = {row.public_id: load_values(row.values_json) for row in rows}
    names = names_of({one.by for some in values.values() for one in some.values() if one.by is not None})
    found = []
    for row in rows:
        fields = field_names(row.frozen, row.rule)
        by = approved.get(row.request_id, [])
        found.append(
            HeldApp(
                row.public_id, app_summary(row), row.archived_at is not None, row.state, row.created_at, row.ends_at,
                row.request or "", row.settled_at,
                [
                    Value(fields.get(key, UNKNOWN), shown(one.value), names.get(one.by or 0, ""),
                          datetime.fromisoformat(one.at) if one.at else None)
                    for key, one in values[row.public_id].items()
                ],
                list(dict.fromkeys(name for name, _ in by)),
                any(channel == Channel.ADMIN.value for _, channel in by),
                row.giver or "",
                row.given_reason,
            )
        )  # fmt: skip
    return found


def field_names(frozen: str | None, rule: str | None) -> dict[str, str]:
    """field id → name, from the rule of the request and from that in force, whose names win."""
    return _fields(frozen) | _fields(rule)


# For a value whose field is in neither.
UNKNOWN = "A field of before"


def _fields(body: str | None) -> dict[str, str]:
    return {one.id: one.name for one in loads(body).entitlements} if body else {}


def approvals_of(requests: Collection[int]) -> dict[int, list[tuple[str, str]]]:
    """request id → (name, channel) of everyone who approved it, in order."""
    found: dict[int, list[tuple[str, str]]] = {}
    if not requests:
        return found
    for row in db.session.execute(
        select(Step.request_id, Person.name, Decision.channel)
        .join(Decision, Decision.step_id == Step.id)
        .join(Person, Person.id == Decision.person_id)
        .where(Step.request_id.in_(requests), Decision.verdict == Verdict.APPROVED.value)
        .order_by(Step.request_id, Step.position, Decision.id)
    ):
        found.setdefault(row.request_id, []).append((row.name, row.channel))
    return found


def names_of(people: Collection[int]) -> dict[int, str]:
    if not people:
        return {}
    return {row.id: row.name for row in db.session.execute(select(Person.id, Person.name).where(Person.id.in_(people)))}


def removed_from(person_id: int) -> list[Removed]:
    """Access that was removed from a person, the latest first; up to REMOVED."""
    by = aliased(Person)
    rows = db.session.execute(
        select(
            Grant.public_id,
            *APP_COLUMNS,
            Grant.removed_at,
            Grant.removed_reason,
            by.name,
            by.id.label("by_id"),
        )
        .join(App, App.id == Grant.app_id)
        .outerjoin(by, by.id == Grant.removed_by_id)
        .where(Grant.person_id == person_id, Grant.state == "removed", Grant.removed_at.is_not(None))
        .order_by(Grant.removed_at.desc(), Grant.id.desc())
        .limit(REMOVED)
    )
    return [
        Removed(
            row.public_id, app_summary(row), row.removed_at, row.name or "Somebody", row.by_id == person_id,
            row.removed_reason,
        )
        for row in rows
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The number of a person's decisions (COUNTED + 1 stands for more), and the latest ones."""

    count: int
    latest: list["PersonDecision"]


@dataclass(frozen=True, slots=True)
class PersonDecision:
    request: str
    app: AppSummary
    person: Who
    verdict: str
    at: datetime
    comment: str


def decisions_of(person_id: int) -> Verdicts:
    """Two statements."""
    counted = select(Decision.id).where(Decision.person_id == person_id).limit(COUNTED + 1).subquery()
    rows = db.session.execute(
        select(AccessRequest.public_id, *APP_COLUMNS, Person.id, Person.public_id.label("person"), Person.name,
               Decision.verdict, Decision.created_at, Decision.comment)
        .select_from(Decision)
        .join(Step, Step.id == Decision.step_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .join(Person, Person.id == AccessRequest.for_person_id)
        .where(Decision.person_id == person_id)
        .order_by(Decision.id.desc())
        .limit(DECISIONS)
    )  # fmt: skip
    return Verdicts(
        db.session.scalar(select(func.count()).select_from(counted)) or 0,
        [
            PersonDecision(
                row.public_id, app_summary(row), Who(row.id, row.person, row.name), row.verdict, row.created_at,
                row.comment,
            )
            for row in rows
        ],
    )  # fmt: skip


class Rule(NamedTuple):
    """An app in use whose rules name a person or group, and the step (from 1); not in force without approval."""

    app: str
    name: str
    step: int
    in_force: bool


def _says(person: int | None, group: int | None) -> Any:
    """Finds the few rules to read; canonical text has no spaces, so what follows the number tells 1 from 12."""
    kind, id = ("person", person) if group is None else ("group", group)
    return or_(*(PolicyRevision.body.contains(f'"{kind}":{id}{after}', autoescape=True) for after in (",", "}")))


def may_name(*, person: int | None = None, group: int | None = None) -> Any:
    """Whether `rules_naming` can find anything, as a condition."""
    return (
        select(App.id)
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .where(App.archived_at.is_(None), _says(person, group))
        .exists()
    )


def rules_naming(*, person: int | None = None, group: int | None = None) -> list[Rule]:
    """The apps in use whose rule names this person, or this group; by name."""
    rows = db.session.execute(
        select(App.public_id, App.name, PolicyRevision.body)
        .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
        .where(App.archived_at.is_(None), _says(person, group))
        .order_by(App.sort_key, App.id)
    )
    found = []
    for row in rows:
        policy = loads(row.body)
        approvers = [(step.approver.person, step.approver.group) for step in policy.steps]
        if (person, group) in approvers:
            found.append(Rule(row.public_id, row.name, approvers.index((person, group)) + 1, policy.approval_required))
    return found
