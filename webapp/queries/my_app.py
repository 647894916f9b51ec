"""One app that a person has, as they may see it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, App, Grant, Group, Person, PolicyRevision
from webapp.models.requests import load_values
from webapp.queries import holdings
from webapp.queries.app_summaries import APP_COLUMNS, AppSummary, app_summary
from webapp.workflow.entitlements import Field
from webapp.workflow.policy_codec import loads


@dataclass(frozen=True, slots=True)
class MyApp:
    """`fields` are those that the person may see. With `request`, `deciders` approved it; else `given_by` granted it
    with a reason; else they added it themselves."""

    app: AppSummary
    description: str
    launch_url: str
    since: datetime
    ends_at: datetime | None
    fields: tuple[Field, ...]
    names: dict[int, str]
    request: str
    deciders: tuple[str, ...]
    by_override: bool
    given_by: str
    given_reason: str
    owner: str
    owner_email: str


_OWNER, _GIVER = aliased(Person), aliased(Person)
_MINE = (
    select(
        *APP_COLUMNS, App.description, App.launch_url, Grant.created_at, Grant.ends_at, Grant.values_json,
        Grant.request_id, AccessRequest.public_id.label("request"), PolicyRevision.body,
        Grant.given_reason, _GIVER.name.label("given_by"),
        _OWNER.name.label("owner_name"), _OWNER.email.label("owner_email"), Group.name.label("group_name"),
    )
    .join(App, App.id == Grant.app_id)
    .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
    .outerjoin(AccessRequest, AccessRequest.id == Grant.request_id)
    .outerjoin(_OWNER, (_OWNER.id == App.owner_person_id) & _OWNER.active)
    .outerjoin(_GIVER, _GIVER.id == Grant.given_by_id)
    .outerjoin(Group, Group.id == App.owner_group_id)
    .where(Grant.state.in_(LIVE_GRANT))
)  # fmt: skip


def find(public_id: str, person: Person) -> MyApp | None:
    """By the app's public id; None when the person does not have it. Up to three statements."""
    row = db.session.execute(_MINE.where(App.public_id == public_id, Grant.person_id == person.id)).first()
    if row is None:
        return None
    fields = loads(row.body).sheet_for_requester(load_values(row.values_json)).visible
    approvals = holdings.approvals_of([row.request_id]) if row.request_id is not None else {}
    by = approvals.get(row.request_id, [])
    return MyApp(
        app_summary(row), row.description, row.launch_url, row.created_at, row.ends_at, tuple(fields),
        holdings.names_of({one.current.by for one in fields if one.current is not None and one.current.by}),
        row.request or "", tuple(dict.fromkeys(name for name, _ in by)),
        any(channel == "admin" for _, channel in by),
        row.given_by or "", row.given_reason, row.owner_name or row.group_name or "", row.owner_email or "",
    )  # fmt: skip
