"""Finds people who opened an app to themselves: only another owner or an admin may give it to them.

Everyone who sees an app without approval can add it. So the person who turned approval off or changed the defaults,
turned Requestable on, chose an audience that includes themselves, or added themselves to a group that sees the app
cannot add it. When somebody else makes the same change again, the rule no longer applies.
"""

from dataclasses import dataclass

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import App, Audience, Membership, PolicyRevision
from webapp.queries import directory
from webapp.workflow.entitlements import to_json
from webapp.workflow.policy import Policy
from webapp.workflow.policy_codec import loads

REVISIONS = 500
NAMES = 3


@dataclass(frozen=True, slots=True)
class SelfOpened:
    """`did` says what the person did, as "turned off approval for Figma"; `others` are the names of the owners and
    admins who can give them the app."""

    did: str
    others: tuple[str, ...]

    @property
    def is_alone(self) -> bool:
        """Whether there is no other owner and no other admin."""
        return not self.others

    @property
    def refusal(self) -> str:
        names = " or ".join(self.others[:NAMES]) + (" or another admin" if len(self.others) > NAMES else "")
        return f"You {self.did}, so someone else has to give you access. Ask {names}."


def find(app: App, revision: PolicyRevision, person: int) -> SelfOpened | None:
    """What this person did to open the app to themselves; None if nothing. Up to four statements."""
    did = _did(app, revision, person)
    return SelfOpened(did, others(app, person)) if did else None


def _did(app: App, revision: PolicyRevision, person: int) -> str:
    author, turned_off = _author(app.id, revision)
    if author == person:
        return (
            f"turned off approval for {app.name}" if turned_off else f"changed what {app.name} gives without approval"
        )
    if app.requestable_by_id == person:
        return f"made {app.name} requestable"
    if app.audience_by_id == person:
        return f"opened {app.name} to yourself"
    if app.for_everyone:
        return ""
    added_by = db.session.scalars(
        select(Membership.added_by_id)
        .join(Audience, Audience.group_id == Membership.group_id)
        .where(Audience.app_id == app.id, Membership.person_id == person)
    ).all()
    return f"put yourself into the group that sees {app.name}" if added_by and set(added_by) == {person} else ""


def _author(app_id: int, revision: PolicyRevision) -> tuple[int | None, bool]:
    """Who saved the first of the revisions that give what the present one gives, and whether approval was required
    before it."""
    rows = db.session.execute(
        select(PolicyRevision.created_by_id, PolicyRevision.body)
        .where(PolicyRevision.app_id == app_id, PolicyRevision.number < revision.number)
        .order_by(PolicyRevision.number.desc())
        .limit(REVISIONS)
    )
    author, present = revision.created_by_id, gives(revision.snapshot())
    for row in rows:
        before = loads(row.body)
        if gives(before) != present:
            return author, before.approval_required
        author = row.created_by_id
    return author, True


def gives(policy: Policy) -> object:
    """What a person gets by adding the app; None when it needs approval."""
    return None if policy.approval_required else to_json(policy.defaults())


def others(app: App, person: int) -> tuple[str, ...]:
    """The active owners and admins but for this person; owners first."""
    found = directory.look_up([app.owner])
    owners = found.directory.of(app.owner)
    people = dict.fromkeys(one for one in (*owners, *found.directory.admins) if one != person)
    return tuple(found.contacts[one].name for one in people)
