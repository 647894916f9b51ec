"""May this person see or do this? Look-ups that are scoped: an outsider gets 404, an insider without the right 403."""

from dataclasses import dataclass

from flask import abort
from sqlalchemy import ColumnElement, bindparam, exists, or_, select

from webapp import links
from webapp.extensions import db
from webapp.links import ApprovalLink
from webapp.models import App, Grant, Invitation, Membership, Organisation, Person, PolicyRevision, Step
from webapp.queries import cases, sight
from webapp.queries.cases import Case
from webapp.queries.catalog import IN_CATALOG

_APP_IN_CATALOG = (
    select(App, PolicyRevision)
    .join(PolicyRevision, PolicyRevision.id == App.policy_revision_id)
    .where(App.public_id == bindparam("public_id"), IN_CATALOG)
)


def app_in_catalog(public_id: str, person: Person) -> tuple[App, PolicyRevision]:
    """An app that the person may add or request, with its rule in force; 404 for any other."""
    row = db.session.execute(_APP_IN_CATALOG, {"public_id": public_id, "person": person.id}).first()
    if row is None:
        abort(404)
    return row.App, row.PolicyRevision


def app_to_change(public_id: str) -> App:
    """An app in use, locked until the end of the transaction, so that two changes of it follow each other; else 404."""
    return _locked_app(public_id, App.archived_at.is_(None))


def app_to_restore(public_id: str) -> App:
    """An archived app, locked until the end of the transaction; else 404."""
    return _locked_app(public_id, App.archived_at.is_not(None))


def _locked_app(public_id: str, condition: ColumnElement[bool]) -> App:
    app = db.session.scalar(
        select(App)
        .where(App.public_id == public_id, condition)
        # Not FOR UPDATE: a request that is submitted holds the directory and then refers to this row.
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    if app is None:
        abort(404)
    return app


@dataclass(frozen=True, slots=True)
class RequestAccess:
    """What somebody is to a request."""

    is_requester: bool
    is_asked: bool
    is_owner: bool
    is_admin: bool

    @property
    def may_see(self) -> bool:
        return self.is_requester or self.is_asked or self.is_owner or self.is_admin

    @property
    def sees_everything(self) -> bool:
        """Owners and admins answer for the app; not for a request of their own, where they are the requester."""
        return (self.is_owner or self.is_admin) and not self.is_requester


def access_to(case: Case, person: Person) -> RequestAccess:
    """One statement."""
    asked, in_owner_group = db.session.execute(
        select(
            sight.asked(case.request.id, person.id),
            exists().where(Membership.group_id == case.app.owner_group_id, Membership.person_id == person.id),
        )
    ).one()
    return RequestAccess(
        is_requester=person.id in (case.request.asked_by_id, case.request.for_person_id),
        is_asked=asked,
        is_owner=case.app.owner_person_id == person.id or in_owner_group,
        is_admin=person.is_admin,
    )


def request_to_see(public_id: str, person: Person) -> tuple[Case, RequestAccess]:
    """For the one who asked, those who were asked and still may, the app's owner and admins; 404 for anybody else."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    rights = access_to(case, person)
    if not rights.may_see:
        abort(404)
    return case, rights


def own_request(public_id: str, person: Person) -> Case:
    """For the one who asked or is to get it. Others who may see it get 403, everybody else 404."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    if person.id in (case.request.asked_by_id, case.request.for_person_id):
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


def own_grant(public_id: str, person: Person) -> tuple[Grant, App]:
    """The newest grant of that app to the person, also one that has ended, so that they hear that it has; 404 when
    they never had the app."""
    row = db.session.execute(_OWN_GRANT, {"public_id": public_id, "person": person.id}).first()
    if row is None:
        abort(404)
    return row.Grant, row.App


def request_to_decide(public_id: str) -> Case:
    """Any request; who may decide it, the workflow says. What it says no to goes through `refuse_to_decide`."""
    case = cases.load(public_id=public_id)
    if case is None:
        abort(404)
    return case


def refuse_to_decide(case: Case, person: Person) -> None:
    """404 for somebody who may not even see the request; returns for those who may and just cannot decide it."""
    if not access_to(case, person).may_see:
        abort(404)


@dataclass(frozen=True, slots=True)
class Invited:
    """What a rightly signed link leads to."""

    link: ApprovalLink
    invitation: Invitation
    person: Person
    request_id: int
    time_zone: str
    may_see: bool

    @property
    def is_newest(self) -> bool:
        """Whether the link is of the invitation's present round; one of an earlier round only shows."""
        return self.link.round == self.invitation.round


def behind_link(token: str) -> Invited | None:
    """One statement; None for a token that is not ours, for a person who was deactivated, and for a link that went to
    an address which they no longer have."""
    # Asked for a forged one, too, which then costs what one costs that is ours and leads nowhere.
    link = links.read_approval(token) or ApprovalLink("", 0)
    row = db.session.execute(
        select(Invitation, Person, Step.request_id, select(Organisation.time_zone).scalar_subquery().label("zone"),
               or_(sight.asked(Step.request_id, Person.id), sight.keeps(Invitation.app_id, Person.id)).label("may_see"))
        .join(Person, Person.id == Invitation.person_id)
        .join(Step, Step.id == Invitation.step_id)
        .where(Invitation.public_id == link.invitation, Invitation.shows_from <= link.round, Person.active)
    ).first()  # fmt: skip
    if row is None:
        return None
    return Invited(link, row.Invitation, row.Person, row.request_id, row.Person.time_zone or row.zone, row.may_see)
