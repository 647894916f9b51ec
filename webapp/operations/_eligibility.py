"""Who may request an app, add it or be given it: looked up again under the lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, or_, select

from webapp.models import LIVE_GRANT, AccessRequest, App, Audience, Grant, Membership, Person, PolicyRevision
from webapp.text import reference
from webapp.workflow.policy import Approver
from webapp.workflow.states import RequestState

from . import _repeat_limits
from ._sql import run
from .errors import Conflict, Invalid
from .expiry import expire_overdue

# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_TO_REQUEST = select(
    exists()
    .where(Grant.app_id == bindparam("app"), Grant.person_id == bindparam("person"), Grant.state.in_(LIVE_GRANT))
    .label("has"),
    select(AccessRequest.id)
    .where(
        AccessRequest.app_id == bindparam("app"),
        AccessRequest.for_person_id == bindparam("person"),
        AccessRequest.state == RequestState.PENDING.value,
    )
    .scalar_subquery()
    .label("asked"),
    exists().where(Person.id == bindparam("person"), Person.active).label("active"),
    or_(
        App.requestable_by_id == bindparam("person"),
        App.audience_by_id == bindparam("person"),
        exists().where(PolicyRevision.app_id == bindparam("app"), PolicyRevision.created_by_id == bindparam("person")),
        exists().where(
            Audience.app_id == bindparam("app"),
            Membership.group_id == Audience.group_id,
            Membership.person_id == bindparam("person"),
            Membership.added_by_id == bindparam("person"),
        ),
    ).label("may_have_opened"),
    App.requestable,
    App.archived_at,
    App.policy_revision_id,
    App.owner_person_id,
    App.owner_group_id,
    *_repeat_limits.COLUMNS,
).where(App.id == bindparam("app"))


@dataclass(frozen=True, slots=True)
class Eligibility:
    """The app's owner, whether the person did anything that could have opened the app to themselves, and how often they
    had or requested it lately."""

    owner: Approver | None
    may_have_opened: bool
    lately: Any


def check_request(app: App, revision: PolicyRevision, person_id: int, *, now: datetime) -> Eligibility:
    """What may have changed since the form was shown, looked up again under the lock.

    An earlier request that is overdue is expired here if no sweep has done so yet: it must not block a new one.
    Raises Conflict when the person has the app, has asked for it, is deactivated, or the app or its rule changed.
    """
    row = run(_TO_REQUEST, {"app": app.id, "person": person_id, "since": now - _repeat_limits.DAY}).one()
    if row.has:
        raise Conflict(f"You already have {app.name}.")
    if row.asked is not None and not expire_overdue(now=now, only=row.asked):
        raise Conflict(f"You already have a pending request for {app.name}.")
    if not row.active:
        raise Conflict("Your account is deactivated. Contact an admin.")
    if not row.requestable or row.archived_at is not None:
        raise Conflict(f"{app.name} can no longer be requested.")
    if row.policy_revision_id != revision.id:
        raise Conflict(f"The rules of {app.name} have just changed. Check your request and send it again.")
    owner = Approver.if_any(row.owner_person_id, row.owner_group_id)
    return Eligibility(owner, bool(row.may_have_opened), row)


# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_TO_GRANT = (
    select(
        exists()
        .where(Grant.app_id == App.id, Grant.person_id == bindparam("person"), Grant.state.in_(LIVE_GRANT))
        .label("has"),
        exists().where(Person.id == bindparam("person"), Person.active).label("active"),
        AccessRequest.id.label("asked"),
        AccessRequest.public_id.label("request"),
        App.archived_at,
        App.policy_revision_id,
        App.owner_person_id,
        App.owner_group_id,
    )
    .outerjoin(
        AccessRequest,
        (AccessRequest.app_id == App.id)
        & (AccessRequest.for_person_id == bindparam("person"))
        & (AccessRequest.state == RequestState.PENDING.value),
    )
    .where(App.id == bindparam("app"))
)


def check_grant(app: App, revision: PolicyRevision, person: Person, *, now: datetime) -> Approver | None:
    """The app's owner, looked up under the lock with all else that may have changed under the form.

    A pending request is decided or cancelled first: its approvers have been asked, and their decision is what counts.
    """
    row = run(_TO_GRANT, {"app": app.id, "person": person.id}).one()
    if row.archived_at is not None:
        raise Conflict(f"{app.name} is archived. Restore it first.")
    if row.policy_revision_id != revision.id:
        raise Conflict(f"The rules of {app.name} have just changed. Check the fields, then grant access again.")
    if row.has:
        raise Invalid(person=f"{person.name} already has access to {app.name}.")
    if not row.active:
        raise Invalid(person=f"{person.name} is deactivated. Reactivate the account first.")
    if row.asked is not None and not expire_overdue(now=now, only=row.asked):
        raise Invalid(
            person=f"{person.name} has a pending request for {app.name} ({reference(row.request)}). "
            "It has to be approved, denied or cancelled first."
        )
    return Approver.if_any(row.owner_person_id, row.owner_group_id)
