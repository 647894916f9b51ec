"""Groups and their members."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, exists, func, insert, or_, select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Audience, Group, Membership, Person, Step
from webapp.queries import directory, holdings
from webapp.queries.columns import pad_in_list
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.wording import first_few
from webapp.workflow.actor import AnyActor
from webapp.workflow.states import RequestState, StepState

from ._deciding_groups import MEMBERS_LIMIT, decides
from ._kept import refuse_if_kept
from ._reassign import reassign_open_steps
from ._sql import changed, run, unless_taken
from .errors import Conflict, Invalid


def create(*, name: str, actor: AnyActor, now: datetime) -> Group:
    """Raises Invalid."""
    group = Group(created_at=now)
    _call(group, name)
    audit.record(EventKind.GROUP_CREATED, at=now, actor=actor, group=group.id)
    return group


def _call(group: Group, name: str) -> None:
    name = one_line(name)
    if not name:
        raise Invalid(name="Enter a name for the group.")
    if len(name) > 80:
        raise Invalid(name="Use 80 characters or fewer.")
    with unless_taken(Invalid(name=f"A group called {name} already exists.")):
        group.rename(name)
        db.session.add(group)


def rename(group: Group, *, name: str, actor: AnyActor, now: datetime) -> None:
    """Raises Invalid, or Conflict where a directory keeps the group. The record has hashes only."""
    before = group.name
    if one_line(name) != before:
        refuse_if_kept(actor, what=f"The name of {before}", group=group.id)
    _call(group, name)
    if group.name != before:
        audit.record(EventKind.GROUP_CHANGED, at=now, actor=actor, group=group.id,
                     before={"name": sha256(before)}, after={"name": sha256(group.name)})  # fmt: skip


def archive(group: Group, *, actor: AnyActor, now: datetime) -> None:
    """The group is empty and can be chosen for nothing any more; what it decided stays. Raises Conflict while
    something uses it, saying what."""
    directory.lock(exclusive=True)
    if group.archived_at is not None:
        raise Conflict(f"{group.name} is already archived.")
    refuse_if_kept(actor, what=f"The group {group.name}", group=group.id)
    if users := _users(group.id):
        what = " and ".join([", ".join(users[:-1]), users[-1]] if users[1:] else users)
        raise Conflict(f"{group.name} cannot be archived: it {what}. Change this first.")
    group.archived_at = now
    # Its name is free for another group; nobody sorts by it here any more.
    group.sort_key = f"{group.sort_key} {group.public_id}"
    members = db.session.scalars(
        delete(Membership).where(Membership.group_id == group.id).returning(Membership.person_id)
    ).all()
    audit.record(EventKind.GROUP_ARCHIVED, at=now, actor=actor, group=group.id, members=sorted(members))
    reassign_open_steps(people=members, groups=[group.id], now=now)


def _users(group: int) -> list[str]:
    decides = [f"{rule.name} (step {rule.step})" for rule in holdings.rules_naming(group=group)]
    # Of an archived app requests may be pending still, and its owner may have to decide them.
    asks = exists().where(AccessRequest.app_id == App.id, AccessRequest.state == RequestState.PENDING.value)
    owns = db.session.scalars(
        select(App.name).where(App.owner_group_id == group, or_(App.archived_at.is_(None), asks)).order_by(App.sort_key)
    ).all()
    sees = db.session.scalars(
        select(App.name)
        .join(Audience, Audience.app_id == App.id)
        .where(Audience.group_id == group, App.archived_at.is_(None))
        .order_by(App.sort_key)
    ).all()
    pending = db.session.scalar(
        select(func.count(Step.request_id.distinct()))
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .where(
            Step.approver_group_id == group,
            Step.state.in_((StepState.OPEN.value, StepState.WAITING.value)),
            AccessRequest.state == RequestState.PENDING.value,
        )
    )
    found = [
        f"{verb} {first_few(names)}"
        for verb, names in (("is an approver for", decides), ("owns", owns), ("can see", sees))
        if names
    ]
    if pending:
        found.append(f"has {pending:,} pending {'request' if pending == 1 else 'requests'}")
    return found


def add_member(group: Group, person: Person, *, actor: AnyActor, now: datetime) -> None:
    """The person is asked for every step that is open for the group. Raises Conflict."""
    directory.lock(exclusive=True)
    _refuse_archived(group)
    refuse_if_kept(actor, what=f"Who is in {group.name}", group=group.id)
    members = db.session.scalar(select(func.count()).where(Membership.group_id == group.id)) or 0
    if members >= MEMBERS_LIMIT and decides(group.id):
        raise Conflict(f"{group.name} is full: a group that decides can have up to {MEMBERS_LIMIT} members.")
    if not person.active:
        raise Conflict(f"{person.name} is deactivated. Reactivate the account first.")
    if db.session.get(Membership, (group.id, person.id)) is not None:
        raise Conflict(f"{person.name} is already in {group.name}.")
    db.session.add(Membership(group_id=group.id, person_id=person.id, added_by_id=actor.responsible_id))
    _note_changes(group, joined=[person.id], left=[], actor=actor, now=now)


def remove_member(group: Group, person: Person, *, actor: AnyActor, now: datetime) -> None:
    """The person can no longer decide for the group. Raises Conflict."""
    directory.lock(exclusive=True)
    refuse_if_kept(actor, what=f"Who is in {group.name}", group=group.id)
    removed = db.session.execute(
        delete(Membership)
        .where(Membership.group_id == group.id, Membership.person_id == person.id)
        .returning(Membership.person_id)
    ).first()
    if removed is None:
        raise Conflict(f"{person.name} is no longer in {group.name}.")
    _note_changes(group, joined=[], left=[person.id], actor=actor, now=now)


def set_members(
    group: Group, people: Collection[int], *, before: Collection[int] | None = None, actor: AnyActor, now: datetime
) -> tuple[list[int], list[int]]:
    """Gives the group exactly these members, deactivated people too; returns who joined and who left. However many
    they are, it takes the same number of statements. `before`: its members, if the caller has read them under the lock.
    Raises Conflict if a group that decides would get too many."""
    directory.lock(exclusive=True)
    _refuse_archived(group)
    if before is None:
        before = db.session.scalars(select(Membership.person_id).where(Membership.group_id == group.id)).all()
    joined, left = sorted({*people} - {*before}), sorted({*before} - {*people})
    if not joined and not left:
        return [], []
    if joined and len({*people}) > MEMBERS_LIMIT and decides(group.id):
        raise Conflict(
            f"{group.name} decides about requests, so it can have up to {MEMBERS_LIMIT} members, "
            f"and these are {len({*people}):,}. Let a smaller group decide."
        )
    memberships = Membership.metadata.tables["memberships"]
    if left:
        changed(
            delete(memberships).where(
                memberships.c.group_id == group.id, memberships.c.person_id.in_(pad_in_list(left))
            )
        )
    if joined:
        rows = [{"group_id": group.id, "person_id": id, "added_by_id": actor.responsible_id} for id in joined]
        run(insert(memberships), rows)
    _note_changes(group, joined=joined, left=left, actor=actor, now=now)
    return joined, left


def _refuse_archived(group: Group) -> None:
    if group.archived_at is not None:
        raise Conflict(f"{group.name} is archived.")


def _note_changes(
    group: Group, *, joined: Collection[int], left: Collection[int], actor: AnyActor, now: datetime
) -> None:
    """What follows from members that joined and left, whichever way they did."""
    for kind, people in ((EventKind.GROUP_MEMBER_ADDED, joined), (EventKind.GROUP_MEMBER_REMOVED, left)):
        for person in people:
            audit.record(kind, at=now, actor=actor, person=person, group=group.id)
    reassign_open_steps(people=[*joined, *left], groups=[group.id], now=now)
