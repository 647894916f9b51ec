"""What events are about, as it stands: read in a fixed number of statements for any number of events."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select, tuple_

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    ApiToken,
    App,
    Comment,
    Decision,
    EntitlementField,
    Grant,
    Group,
    Invitation,
    Organisation,
    Person,
    Step,
)
from webapp.models.requests import load_values
from webapp.queries.columns import pad_in_list
from webapp.queries.visibility import may_still_see
from webapp.workflow.entitlements import SetValue
from webapp.workflow.states import StepState


@dataclass(slots=True)
class EventFacts:
    """Rows by their keys. `steps` by (request, position), `grants` oldest first, `fields` by public id, `comments` are
    the newest of each request, `asked` maps an open step to who may decide it, `sees` a request to those who were asked
    and may still see it."""

    requests: dict[int, Any] = field(default_factory=dict)
    steps: dict[tuple[int, int], Any] = field(default_factory=dict)
    decisions: dict[tuple[int, int | None], str] = field(default_factory=dict)
    comments: dict[int, str] = field(default_factory=dict)
    grants: dict[int, Any] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)
    people: dict[int, Any] = field(default_factory=dict)
    apps: dict[int, Any] = field(default_factory=dict)
    tokens: dict[int, str] = field(default_factory=dict)
    asked: dict[int, list[int]] = field(default_factory=dict)
    sees: dict[int, set[int]] = field(default_factory=dict)
    zone: str = "UTC"

    def grant(self, app: int | None, person: int | None, key: int | None) -> Any:
        """The grant of this key, else the person's newest one for this app; None for none."""
        if key is not None:
            return self.grants.get(key)
        found = [one for one in self.grants.values() if (one.app_id, one.person_id) == (app, person)]
        return found[-1] if found else None

    def values(self, stored: str) -> Mapping[str, SetValue]:
        return load_values(stored)


_REQUESTS = (
    AccessRequest.id, AccessRequest.public_id, AccessRequest.app_id, AccessRequest.asked_by_id,
    AccessRequest.for_person_id, AccessRequest.message, AccessRequest.values_json, AccessRequest.state,
    AccessRequest.created_at, AccessRequest.settled_at, AccessRequest.settled_note,
)  # fmt: skip
_STEPS = (
    Step.id, Step.request_id, Step.position, Step.state, Step.tier, Step.opened_at, Step.due_at, Step.settled_at,
    Step.approver_person_id, Step.approver_group_id, Group.public_id.label("group_key"), Group.name.label("group_name"),
)  # fmt: skip
_GRANTS = (
    Grant.id, Grant.public_id, Grant.app_id, Grant.person_id, Grant.request_id, Grant.state, Grant.values_json,
    Grant.created_at, Grant.ends_at, Grant.removed_at, Grant.given_reason, Grant.removed_reason,
)  # fmt: skip
_APPS = (
    App.id, App.public_id, App.name, App.category, App.requestable, App.archived_at, App.owner_person_id,
    App.owner_group_id,
)  # fmt: skip


def load(
    *, requests: Iterable[int], decided: Iterable[int], commented: Iterable[int], people: Iterable[int],
    apps: Iterable[int], granted: Iterable[tuple[int, int]], tokens: Iterable[int], chat: bool,
) -> EventFacts:  # fmt: skip
    """Keys of what the events name. `granted` are (app, person). `chat`: also what only messages need."""
    found = EventFacts()
    people, apps, wanted = set(people), set(apps), list(set(requests))
    if wanted:
        _add_requests(found, wanted)
        people |= {key for one in found.requests.values() for key in (one.asked_by_id, one.for_person_id)}
        people |= {one.approver_person_id for one in found.steps.values() if one.approver_person_id is not None}
        apps |= {one.app_id for one in found.requests.values()}
        if chat:
            _add_asked(found, wanted)
    _add_texts(found, list(set(decided)), list(set(commented)))
    pairs = list(set(granted))
    if pairs:
        rows = db.session.execute(
            select(*_GRANTS).where(tuple_(Grant.app_id, Grant.person_id).in_(pad_in_list(pairs))).order_by(Grant.id)
        )
        found.grants = {row.id: row for row in rows}
        missing = {one.request_id for one in found.grants.values() if one.request_id is not None} - set(found.requests)
        if missing:
            _add_requests(found, list(missing))
            people |= {key for one in found.requests.values() for key in (one.asked_by_id, one.for_person_id)}
    if apps:
        rows = db.session.execute(select(*_APPS).where(App.id.in_(pad_in_list(sorted(apps)))))
        found.apps = {row.id: row for row in rows}
    if wanted or pairs:
        rows = db.session.execute(
            select(EntitlementField.public_id, EntitlementField.name, EntitlementField.kind)
            .where(EntitlementField.app_id.in_(pad_in_list(sorted(apps))))
        )  # fmt: skip
        found.fields = {row.public_id: row for row in rows}
    if people:
        rows = db.session.execute(
            select(Person.id, Person.public_id, Person.name, Person.active, Person.is_admin)
            .where(Person.id.in_(pad_in_list(sorted(people))))
        )  # fmt: skip
        found.people = {row.id: row for row in rows}
    keys = list(set(tokens))
    if keys:
        rows = db.session.execute(
            select(ApiToken.id, ApiToken.public_id).where(ApiToken.id.in_(pad_in_list(sorted(keys))))
        )
        found.tokens = {row.id: row.public_id for row in rows}
    if chat:
        found.zone = db.session.scalar(select(Organisation.time_zone)) or "UTC"
    return found


def _add_requests(found: EventFacts, ids: list[int]) -> None:
    wanted = pad_in_list(sorted(ids))
    rows = db.session.execute(select(*_REQUESTS).where(AccessRequest.id.in_(wanted)))
    found.requests |= {row.id: row for row in rows}
    steps = select(*_STEPS).outerjoin(Group, Group.id == Step.approver_group_id).where(Step.request_id.in_(wanted))
    for step in db.session.execute(steps):
        found.steps[step.request_id, step.position] = step


def _add_asked(found: EventFacts, ids: list[int]) -> None:
    rows = db.session.execute(
        select(Invitation.request_id, Invitation.step_id, Invitation.person_id, Invitation.live,
               may_still_see(Invitation, Step).label("sees"))
        .join(Step, Step.id == Invitation.step_id)
        .where(Invitation.request_id.in_(pad_in_list(sorted(ids)))).order_by(Invitation.id)
    )  # fmt: skip
    open_steps = {one.id for one in found.steps.values() if one.state == StepState.OPEN}
    for row in rows:
        if row.sees:
            found.sees.setdefault(row.request_id, set()).add(row.person_id)
        if row.live and row.step_id in open_steps:
            found.asked.setdefault(row.step_id, []).append(row.person_id)


def _add_texts(found: EventFacts, decided: list[int], commented: list[int]) -> None:
    if decided:
        rows = db.session.execute(
            select(Decision.step_id, Decision.person_id, Decision.comment)
            .join(Step, Step.id == Decision.step_id)
            .where(Step.request_id.in_(pad_in_list(sorted(decided))))
        )
        found.decisions = {(row.step_id, row.person_id): row.comment for row in rows}
    if commented:
        newest = (
            select(func.max(Comment.id))
            .where(Comment.request_id.in_(pad_in_list(sorted(commented))))
            .group_by(Comment.request_id)
        )
        rows = db.session.execute(select(Comment.request_id, Comment.body).where(Comment.id.in_(newest)))
        found.comments = {row.request_id: row.body for row in rows}
