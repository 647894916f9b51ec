"""What emails say, read for a whole batch of notices."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import (
    AccessRequest,
    App,
    Comment,
    Grant,
    Group,
    Invitation,
    Notice,
    Organisation,
    Person,
    PolicyRevision,
)
from webapp.notices import NoticeKind
from webapp.queries import chains
from webapp.queries.chains import ChainStep
from webapp.queries.columns import pad_in_list
from webapp.workflow.entitlements import SetValue
from webapp.workflow.policy import Policy
from webapp.workflow.policy_codec import loads


@dataclass(slots=True)
class MailContext:
    """One notice with everything that its email may say. What its kind does not use is None or empty."""

    notice: Notice
    organisation: Organisation
    person: Person | None
    app: App | None
    policy: Policy | None
    request: AccessRequest | None
    asked_by: Person | None
    for_person: Person | None
    invitation: Invitation | None
    grant: Grant | None
    comment: Comment | None = None
    steps: list[ChainStep] = field(default_factory=list)
    names: dict[int, str] = field(default_factory=dict)  # person id → name, of all whom the email may name
    apps: list[str] = field(default_factory=list)  # of a notice about several, by name
    owner: str = ""  # the person or group that owns the app
    # Replaces the token of the link and the code in previews and in the admin's log.
    stand_in: tuple[str, str] | None = None

    @property
    def step(self) -> ChainStep | None:
        """The step that the notice is about."""
        return next((step for step in self.steps if step.id == self.notice.step_id), None)

    @property
    def values(self) -> dict[str, SetValue]:
        if self.request is not None:
            return self.request.values
        return self.grant.values if self.grant is not None else {}


def load(ids: Collection[int]) -> dict[int, MailContext]:
    """notice id → its context, in six to eight statements for any number of notices."""
    asker, receiver = aliased(Person), aliased(Person)
    rows = db.session.execute(
        select(Notice, Person, AccessRequest, asker, receiver, Invitation, Grant, App, PolicyRevision.body, Group.name)
        .outerjoin(Person, Person.id == Notice.person_id)
        .outerjoin(AccessRequest, AccessRequest.id == Notice.request_id)
        .outerjoin(asker, asker.id == AccessRequest.asked_by_id)
        .outerjoin(receiver, receiver.id == AccessRequest.for_person_id)
        .outerjoin(Invitation, Invitation.id == Notice.invitation_id)
        .outerjoin(Grant, Grant.id == Notice.grant_id)
        .outerjoin(App, App.id == func.coalesce(AccessRequest.app_id, Grant.app_id))
        .outerjoin(
            PolicyRevision,
            PolicyRevision.id == func.coalesce(AccessRequest.policy_revision_id, App.policy_revision_id),
        )
        .outerjoin(Group, Group.id == App.owner_group_id)
        .where(Notice.id.in_(pad_in_list(ids)))
        .execution_options(populate_existing=True)
    ).all()
    organisation = db.session.scalars(select(Organisation).execution_options(populate_existing=True)).one()
    found: dict[int, MailContext] = {}
    for notice, person, request, asked_by, for_person, invitation, grant, app, body, group in rows:
        found[notice.id] = MailContext(
            notice, organisation, person, app, loads(body) if body else None, request, asked_by, for_person,
            invitation, grant, owner=group or "",
        )  # fmt: skip
    _add_comments(found)
    _add_apps(found)
    steps = chains.of_requests({one.request.id for one in found.values() if one.request is not None})
    names = _names(one for facts in found.values() for one in _named(facts))
    for facts in found.values():
        facts.names = names
        if facts.request is not None:
            facts.steps = steps.get(facts.request.id, [])
        if facts.app is not None and facts.app.owner_person_id is not None:
            facts.owner = names.get(facts.app.owner_person_id, "")
    return found


def _add_comments(found: dict[int, MailContext]) -> None:
    """The comment that each notice of a comment is about."""
    about = {
        id: one.notice.data["comment"] for id, one in found.items() if one.notice.kind == NoticeKind.REQUEST_COMMENT
    }
    if about:
        query = (
            select(Comment).where(Comment.id.in_(pad_in_list(about.values()))).execution_options(populate_existing=True)
        )
        said = {one.id: one for one in db.session.scalars(query.execution_options(populate_existing=True))}
        for id, comment in about.items():
            found[id].comment = said.get(comment)


def _add_apps(found: dict[int, MailContext]) -> None:
    """The names of the apps that each notice of several removed grants is about."""
    about = {id: one.notice.data["grants"] for id, one in found.items() if one.notice.kind == NoticeKind.GRANTS_REMOVED}
    if about:
        wanted = {grant for grants in about.values() for grant in grants}
        query = (
            select(Grant.id, App.name)
            .join(App, App.id == Grant.app_id)
            .where(Grant.id.in_(pad_in_list(wanted)))
            .order_by(App.sort_key, App.id)
        )
        names = {row.id: row.name for row in db.session.execute(query)}
        for id, grants in about.items():
            found[id].apps = [name for grant, name in names.items() if grant in set(grants)]


# Kinds of notices whose data name the person who caused them.
WITH_SENDER = (NoticeKind.PASSWORD_RESET, NoticeKind.API_TOKEN, NoticeKind.SECURITY_CHANGED)


def _named(facts: MailContext) -> list[int | None]:
    by = [one.by for one in facts.values.values()]
    settled = facts.request.settled_by_id if facts.request is not None else None
    grant = facts.grant
    taken = [grant.person_id, grant.given_by_id, grant.removed_by_id] if grant is not None else []
    owner = facts.app.owner_person_id if facts.app is not None else None
    sender = facts.notice.data.get("by") if facts.notice.kind in WITH_SENDER else None
    return [*by, *taken, settled, owner, sender, facts.comment.person_id if facts.comment is not None else None]


def _names(ids: Iterable[int | None]) -> dict[int, str]:
    wanted = {one for one in ids if one is not None}
    if not wanted:
        return {}
    people = select(Person.id, Person.name).where(Person.id.in_(pad_in_list(wanted)))
    return {row.id: row.name for row in db.session.execute(people)}
