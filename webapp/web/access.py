"""Access is part of the look-up: an outsider gets 404, a person who may see the row but not do this gets 403."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from flask import abort
from sqlalchemy import ColumnElement, bindparam, exists, or_, select

from webapp import links
from webapp.extensions import db
from webapp.links import ApprovalLink
from webapp.models import (
    App,
    EntitlementField,
    Grant,
    Group,
    Invitation,
    Membership,
    Notice,
    Organisation,
    Person,
    PolicyRevision,
    Step,
)
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import app_feed, cases, grant_feed, ownership, principals, rules, story, visibility
from webapp.queries.cases import Case
from webapp.queries.catalog import IN_CATALOG
from webapp.workflow.actor import AnyActor, require_person
from webapp.workflow.entitlements import Sheet
from webapp.workflow.errors import WorkflowError
from webapp.workflow.policy import Approver, Policy

Row = TypeVar("Row", App, Group, Person)

_APP_IN_CATALOG = (
    select(App, PolicyRevision)
    .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
    .where(App.public_id == bindparam("public_id"), IN_CATALOG)
)


def app_in_catalog(public_id: str, person: AnyActor) -> tuple[App, PolicyRevision]:
    """An app that the person may add or request, with its rule in force; 404 for any other."""
    row = db.session.execute(_APP_IN_CATALOG, {"public_id": public_id, "person": person.id}).first()
    if row is None:
        abort(404)
    return row.App, row.PolicyRevision


def app_to_see(public_id: str, reader: AnyActor) -> Any:
    """The row of an app that the reader finds in the catalog, has or owns; any for admins and services; else 404."""
    return app_feed.find(public_id, reader=reader.id, sees_all=reader.is_admin) or abort(404)


_IN_USE = select(App).where(App.public_id == bindparam("public_id"), App.archived_at.is_(None))


def app_in_use(public_id: str) -> App:
    """An app in use, to read; else 404."""
    return db.session.scalar(_IN_USE, {"public_id": public_id}) or abort(404)


def app_to_manage(public_id: str, actor: AnyActor) -> App:
    """An app in use whose people the actor manages: one that they own, any for admins and services; else 404."""
    if not actor.is_admin and (actor.id is None or not ownership.owns(public_id, actor.id)):
        abort(404)
    return app_in_use(public_id)


def field_of(app: App, public_id: str) -> EntitlementField:
    """A field of the app, archived ones too; else 404."""
    found = db.session.scalar(
        select(EntitlementField)
        .where(EntitlementField.app_id == app.id, EntitlementField.public_id == public_id)
        .execution_options(populate_existing=True)
    )
    return found or abort(404)


def app_to_change(public_id: str) -> App:
    """An app in use, locked until the end of the transaction, so that two changes of it follow each other; else 404."""
    return _locked_app(public_id, App.archived_at.is_(None))


def app_to_restore(public_id: str) -> App:
    """An archived app, locked until the end of the transaction; else 404."""
    return _locked_app(public_id, App.archived_at.is_not(None))


def _locked_app(public_id: str, condition: ColumnElement[bool]) -> App:
    return _locked(App, App.public_id == public_id, condition)


def person_to_change(public_id: str) -> Person:
    """Any person, also a deactivated one, locked until the end of the transaction; else 404. For admins only."""
    return _locked(Person, Person.public_id == public_id)


def group_to_change(public_id: str) -> Group:
    """A group in use, locked until the end of the transaction; else 404. For admins only."""
    return _locked(Group, Group.public_id == public_id, Group.archived_at.is_(None))


def notice_to_send(public_id: str) -> Notice:
    """An email of the log, else 404. For admins only; its state is checked as it changes."""
    notice = db.session.scalar(select(Notice).where(Notice.public_id == public_id))
    if notice is None:
        abort(404)
    return notice


def _locked(table: type[Row], *conditions: ColumnElement[bool]) -> Row:
    # Not FOR UPDATE: a request that is submitted holds the directory and then inserts a row that refers to an app.
    query = select(table).where(*conditions).with_for_update(key_share=True)
    row = db.session.scalar(query.execution_options(populate_existing=True))
    if row is None:
        abort(404)
    return row


@dataclass(frozen=True, slots=True)
class RequestAccess:
    """What a person may do with a request, and why."""

    is_requester: bool
    is_asked: bool
    is_owner: bool
    is_admin: bool

    @property
    def may_see(self) -> bool:
        return self.is_requester or self.is_asked or self.is_owner or self.is_admin

    @property
    def sees_everything(self) -> bool:
        """Owners and admins see all details, but not of a request of their own, where they are the requester."""
        return (self.is_owner or self.is_admin) and not self.is_requester


def access_to(case: Case, person: AnyActor) -> RequestAccess:
    """What this person is to the request, in one statement."""
    asked, in_owner_group = db.session.execute(
        select(
            visibility.was_invited(case.request.id, person.id),
            exists().where(Membership.group_id == case.app.owner_group_id, Membership.person_id == person.id),
        )
    ).one()
    return RequestAccess(
        # A service sees no more of the request of who made its token than they do.
        is_requester=person.responsible_id in case.request.requesters,
        is_asked=asked,
        is_owner=case.app.owner_person_id == person.id or in_owner_group,
        is_admin=person.is_admin,
    )


def sheet_for(case: Case, rights: RequestAccess, person: AnyActor) -> Sheet:
    """The fields as this reader sees them: the requester's view, an approver's, or all of them."""
    values = case.request.values
    if rights.sees_everything:
        return case.policy.sheet_for_owner(values)
    if rights.is_requester:
        return case.policy.sheet_for_requester(values)
    return case.policy.sheet_for_steps(story.positions_of(case, require_person(person)), values)


def request_to_see(public_id: str, person: AnyActor) -> tuple[Case, RequestAccess]:
    """For the requester, people who may (or did) decide it, the app's owners and admins; 404 for everyone else."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    rights = access_to(case, person)
    if not rights.may_see:
        abort(404)
    return case, rights


def own_request(public_id: str, person: AnyActor) -> Case:
    """For the requester and the person it is for. Others who may see it get 403, everyone else 404."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    if person.id in case.request.requesters:
        return case
    if access_to(case, person).may_see:
        abort(403, "Only the requester can do this.")
    abort(404)


_OWN_GRANT = (
    select(Grant, App)
    .join(App, App.id == Grant.app_id)
    .where(App.public_id == bindparam("public_id"), Grant.person_id == bindparam("person"))
    .order_by(Grant.id.desc())
    .limit(1)
)


def own_grant(public_id: str, person: AnyActor) -> tuple[Grant, App]:
    """The person's newest grant of that app, also one that has ended, so that the page can say so; 404 when they never
    had the app."""
    row = db.session.execute(_OWN_GRANT, {"public_id": public_id, "person": person.id}).first()
    if row is None:
        abort(404)
    return row.Grant, row.App


def grant_to_see(public_id: str, reader: int | None) -> Any:
    """The row of a grant, ended ones too: the reader's own, or one of an app that they own; any for None; else 404."""
    return grant_feed.find(public_id, reader=reader) or abort(404)


def request_to_decide(public_id: str) -> Case:
    """Any request: the workflow checks who may decide it. When it refuses, call `refuse_to_decide`."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    return case


def refuse_to_decide(case: Case, person: AnyActor) -> None:
    """Raise 404 if the person may not see the request. Return if they may see it but not decide it."""
    if not access_to(case, person).may_see:
        abort(404)


@contextmanager
def refused_as(case: Case, person: AnyActor) -> Iterator[None]:
    """A refusal to decide, as this person may hear it: who may not see the request hears that there is none."""
    try:
        yield
    except (WorkflowError, Conflict, Invalid):
        db.session.rollback()
        refuse_to_decide(case, person)
        raise


def active_person(public_id: str) -> Person | None:
    """The active person with this id."""
    return db.session.scalar(select(Person).where(Person.public_id == public_id, Person.active))


def chosen_approver(value: str, *, field: str) -> Approver | None:
    """The person or group that was chosen ("person:4K7W9Q2M3XTA"), None for "". Raises Invalid for that field."""
    if not value:
        return None
    found = principals.chosen(value)
    if found is None:
        raise Invalid(**{field: NOT_AVAILABLE})
    return found.approver


NOT_AVAILABLE = "This person or group is no longer available. Choose another one."


def rule_to_copy(public_id: str, app: App, actor: AnyActor) -> tuple[App, Policy]:
    """Another app with its rules, which the actor may copy to this one: one that they own, any for admins and services.
    Raises Invalid."""
    found = rules.rule_of(public_id, owner=None if actor.is_admin else actor.id)
    if found is None or found[0].id == app.id:
        raise Invalid(source="Choose an app from the list.")
    return found


def chosen_groups(public_ids: Sequence[str], *, field: str) -> list[int]:
    """The keys of these groups. Raises Invalid for that field."""
    found = principals.group_ids(public_ids)
    if len(found) != len(set(public_ids)):
        raise Invalid(**{field: "One of these groups is no longer available. Reload the page and choose again."})
    return found


@dataclass(frozen=True, slots=True)
class Invited:
    """What a link with a valid signature leads to."""

    link: ApprovalLink
    invitation: Invitation
    person: Person
    request_id: int
    time_zone: str
    may_see: bool

    @property
    def is_newest(self) -> bool:
        """Whether the link is of the invitation's present round; a link of an earlier round shows but cannot decide."""
        return self.link.round == self.invitation.round


def behind_link(token: str) -> Invited | None:
    """Look a link up in one statement. None for a forged token, a deactivated person, and a link that was sent to an
    address that the person no longer has."""
    # Query even for forged tokens, so that the response time does not reveal which tokens are genuine.
    link = links.verify_approval_link(token) or ApprovalLink("", 0)
    may_see = or_(visibility.was_invited(Step.request_id, Person.id), visibility.manages(Invitation.app_id, Person.id))
    row = db.session.execute(
        select(Invitation, Person, Step.request_id, select(Organisation.time_zone).scalar_subquery().label("zone"),
               may_see.label("may_see"))
        .join(Person, Person.id == Invitation.person_id)
        .join(Step, Step.id == Invitation.step_id)
        .where(Invitation.public_id == link.invitation, Invitation.shows_from <= link.round, Person.active)
    ).first()  # fmt: skip
    if row is None:
        return None
    return Invited(link, row.Invitation, row.Person, row.request_id, row.Person.time_zone or row.zone, row.may_see)
