"""What a directory pushes: people and groups come, change and go, by the operations that people use.

The caller has locked people, groups and owners (`queries.directory.lock`, exclusive), so that no two pushes meet.
"""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from webapp.extensions import db
from webapp.models import DirectoryEntry, DirectoryPush, Group, Person
from webapp.queries import directories as queries
from webapp.queries.directories import Pusher
from webapp.text import fold, one_line

from . import groups, people, reporting
from .errors import Conflict, Invalid

USER_NAME_LIMIT = 254
# More members than this come in several pushes.
MEMBERS_IN_ONE_PUSH = 10_000

NO_EMAIL = "This person has no email address. Countersign does not make one up: map one to emails."

Changes = list[list[Any]]


@dataclass(frozen=True, slots=True)
class PushedPerson:
    """A person as the directory wants them to be. `email` is "" if it sent none; `document` is what it sent."""

    user_name: str
    external_id: str
    email: str
    name: str
    active: bool
    department: str
    # The public id of their manager's person; "" for none.
    manager: str
    document: dict[str, Any]


def add_person(given: PushedPerson, *, by: Pusher, now: datetime) -> tuple[Person, DirectoryEntry, Changes]:
    """A new person, or one who is here already with this address and whom no other directory keeps: somebody who was
    added by hand, or who was deleted and comes back. Raises Conflict or Invalid."""
    email, user_name = _email(given), _user_name(given)
    alike = queries.people_like(email, user_name, by.directory)
    _refuse_taken_user_name(user_name, alike, by, besides=None)
    found = next((pair for pair in alike if pair[0].email == email), None)
    if found is None:
        person = people.create(email=email, name=given.name, actor=by, now=now)
        if by.invites and given.active:
            people.mail_invitation(person, now=now)
        entry = None
        changes: Changes = [["New person", "", email], *_change_place(person, given, by=by, now=now)]
    else:
        person, entry = found
        if entry is not None and entry.removed_at is None:
            whose = f"as {entry.user_name}" if entry.directory_id == by.directory else "kept by another directory"
            raise Conflict(f"{person.name} ({email}) is here already, {whose}.")
        changes = [["Found by the address", "", email]]
        changes += _change_details(person, given, email, by=by, now=now)
    changes += _change_active(person, given.active, by=by, now=now)
    if entry is None:
        entry = DirectoryEntry(directory_id=by.directory, person_id=person.id, created_at=now, version=0)
    entry.directory_id, entry.removed_at = by.directory, None
    _keep(entry, given.external_id, given.document, user_name=user_name, now=now)
    return person, entry, changes


def change_person(
    person: Person, entry: DirectoryEntry | None, given: PushedPerson, *, by: Pusher, now: datetime
) -> tuple[DirectoryEntry, Changes]:
    """The person becomes as the directory wants them; without an entry it takes them over. Raises Conflict or
    Invalid."""
    email, user_name = _email(given), _user_name(given)
    if entry is None or entry.user_name != user_name:
        alike = queries.people_like(email, user_name, by.directory)
        _refuse_taken_user_name(user_name, alike, by, besides=person)
    changes = _change_details(person, given, email, by=by, now=now)
    changes += _change_active(person, given.active, by=by, now=now)
    if entry is None:
        entry = DirectoryEntry(directory_id=by.directory, person_id=person.id, created_at=now, version=0)
        changes.append(["Taken over", "by hand", by.directory_name])
    _keep(entry, given.external_id, given.document, user_name=user_name, now=now)
    return entry, changes


def remove_person(person: Person, entry: DirectoryEntry | None, *, by: Pusher, now: datetime) -> Changes:
    """The person is deactivated, with all that follows, and the directory does not see them any more. People stay:
    what they decided names them. Raises Conflict."""
    changes = _change_active(person, False, by=by, now=now)
    if entry is None:
        entry = DirectoryEntry(directory_id=by.directory, person_id=person.id, created_at=now, document="{}")
        db.session.add(entry)
    entry.removed_at = entry.changed_at = now
    db.session.flush()
    return [*changes, ["Deleted", "", ""]]


def _change_details(person: Person, given: PushedPerson, email: str, *, by: Pusher, now: datetime) -> Changes:
    before = {"Name": str(person.name), "Email": person.email}
    if person.is_admin and email != person.email:
        # A link to set a password goes to the address: whoever runs the directory would become an admin.
        raise Conflict(
            f"{person.name} is an admin here, so a directory cannot change their email address. "
            "An admin changes it in Countersign first."
        )
    people.change_details(person, name=given.name, email=email, about=person.about, actor=by, now=now)
    after = {"Name": str(person.name), "Email": person.email}
    changes = [[what, before[what], after[what]] for what in before if before[what] != after[what]]
    return changes + _change_place(person, given, by=by, now=now)


def _change_place(person: Person, given: PushedPerson, *, by: Pusher, now: datetime) -> Changes:
    """Department and manager."""
    changes: Changes = []
    before = str(person.department)
    if reporting.set_department(person, given.department, actor=by, now=now):
        changes.append(["Department", before, str(person.department)])
    if not given.manager and person.manager_id is None:
        return changes
    manager = queries.person(given.manager) if given.manager else None
    if given.manager and manager is None:
        raise Invalid(manager=f"There is no person with the id {one_line(given.manager)[:40]}. Push the manager first.")
    if reporting.set_manager(person, manager, actor=by, now=now, may_be_inactive=True):
        db.session.refresh(person, ["manager_id"])  # it changes the row past the object
        changes.append(["Manager", "", str(manager.name) if manager is not None else ""])
    return changes


def _change_active(person: Person, active: bool, *, by: Pusher, now: datetime) -> Changes:
    if person.active == active:
        return []
    if active:
        people.reactivate(person, actor=by, now=now)
    else:
        people.deactivate(person, actor=by, now=now)
    db.session.refresh(person, ["active"])  # both change the row past the object
    return [["Reactivated" if active else "Deactivated", "", ""]]


def _email(given: PushedPerson) -> str:
    if not given.email:
        raise Invalid(emails=NO_EMAIL)
    return people.address(given.email)


def _user_name(given: PushedPerson) -> str:
    name = fold(one_line(given.user_name))
    if not name or len(name) > USER_NAME_LIMIT:
        raise Invalid(userName=f"Send a userName of up to {USER_NAME_LIMIT} characters.")
    return name


def _refuse_taken_user_name(
    user_name: str, alike: Iterable[tuple[Person, DirectoryEntry | None]], by: Pusher, *, besides: Person | None
) -> None:
    for person, entry in alike:
        mine = entry is not None and entry.directory_id == by.directory and entry.removed_at is None
        if mine and entry is not None and entry.user_name == user_name and person is not besides:
            raise Conflict(f"{person.name} has the userName {user_name} already.")


# Groups


@dataclass(frozen=True, slots=True)
class PushedGroup:
    """A group as the directory wants it to be; `members` are public ids of people."""

    name: str
    external_id: str
    members: Collection[str]
    document: dict[str, Any]


def add_group(given: PushedGroup, *, by: Pusher, now: datetime) -> tuple[Group, DirectoryEntry, Changes]:
    """A new group. One of the same name that is kept by hand stays so: it may decide. Raises Conflict or Invalid."""
    group = groups.create(name=given.name, actor=by, now=now)
    entry = DirectoryEntry(directory_id=by.directory, group_id=group.id, created_at=now, version=0)
    changes = [["New group", "", str(group.name)], *_set_members(group, given.members, before=(), by=by, now=now)]
    _keep(entry, given.external_id, given.document, user_name=None, now=now)
    return group, entry, changes


def change_group(
    group: Group, entry: DirectoryEntry, given: PushedGroup, *, before: Collection[int], by: Pusher, now: datetime
) -> Changes:
    """The group, which has the members `before`, becomes as the directory wants it. Raises Conflict or Invalid."""
    name = str(group.name)
    if given.name != name:
        groups.rename(group, name=given.name, actor=by, now=now)
    changes: Changes = [["Name", name, str(group.name)]] if name != group.name else []
    changes += _set_members(group, given.members, before=before, by=by, now=now)
    _keep(entry, given.external_id, given.document, user_name=None, now=now)
    return changes


def remove_group(group: Group, entry: DirectoryEntry, *, by: Pusher, now: datetime) -> Changes:
    """The group is archived. Raises Conflict while something uses it."""
    groups.archive(group, actor=by, now=now)
    entry.removed_at = entry.changed_at = now
    db.session.flush()
    return [["Deleted", "", ""]]


def _set_members(
    group: Group, wanted: Collection[str], *, before: Collection[int], by: Pusher, now: datetime
) -> Changes:
    if len(wanted) > MEMBERS_IN_ONE_PUSH:
        raise Invalid(members=f"Send up to {MEMBERS_IN_ONE_PUSH:,} members at once. You sent {len(wanted):,}.")
    ids = queries.people_ids(wanted)
    unknown = sorted({*wanted} - {*ids})
    if unknown:
        raise Invalid(members=f"There is no person with the id {one_line(unknown[0])[:40]}. Push the person first.")
    joined, left = groups.set_members(group, ids.values(), before=before, actor=by, now=now)
    return [[what, "", len(some)] for what, some in (("Joined", joined), ("Left", left)) if some]


# What is kept of both


def _keep(
    entry: DirectoryEntry, external_id: str, document: dict[str, Any], *, user_name: str | None, now: datetime
) -> None:
    """Stores what was sent, and raises the version."""
    entry.user_name, entry.external_id = user_name, external_id[:USER_NAME_LIMIT]
    entry.document = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    entry.version += 1
    entry.changed_at = now
    db.session.add(entry)


def note_push(
    *, by: Pusher, call: str, name: str, now: datetime, person: int | None = None, group: int | None = None,
    changes: Changes | None = None, sentence: str = "",
) -> None:  # fmt: skip
    """What the admin's page shows of a push; `sentence` is why it was refused."""
    outcome = "refused" if sentence else "done" if changes else "nothing"
    db.session.add(
        DirectoryPush(
            directory_id=by.directory, at=now, call=call[:20], name=one_line(name)[:120], person_id=person,
            group_id=group, outcome=outcome, changes=json.dumps(changes or [], ensure_ascii=False),
            sentence=one_line(sentence)[:500],
        )
    )  # fmt: skip
