"""Between what SCIM sends and what our tables hold."""

import json
from collections.abc import Collection
from typing import Any

from scim2_models import InvalidValueException, Meta, Reference

from webapp.models import DirectoryEntry, Person
from webapp.models import Group as OurGroup
from webapp.operations.directory_sync import PushedGroup, PushedPerson
from webapp.text import MARKS_LIMIT, has_too_many_marks, storable
from webapp.web.incoming import LONGEST_FIELD

from .schema import Enterprise, Group, Manager, Member, User

# What of a resource is not kept as it was sent: it stands in columns, or is made anew for each answer.
_NOT_KEPT = {"id", "meta", "members", "active", str(Enterprise.__schema__)}


def to_person(person: Person, entry: DirectoryEntry | None, manager: str | None) -> User[Enterprise]:
    """The person as the directory sent them; whom no directory keeps, as our tables have them. `manager` is a public
    id."""
    if entry is None:
        found: dict[str, Any] = {
            "schemas": [str(User.__schema__)],
            "userName": person.email,
            "displayName": str(person.name),
            "emails": [{"value": person.email, "primary": True}],
            "active": person.active,
        }
    else:
        found = json.loads(entry.document)
        # Who was pushed without a word about it is active, and the answer says no more than was sent.
        if found.pop("said active", False) or not person.active:
            found["active"] = person.active
    user = User[Enterprise].model_validate(found)
    user.id = person.public_id
    if person.department or manager:
        place = Enterprise(department=str(person.department) or None)
        if manager:
            place.manager = Manager(value=manager, ref=Reference(f"Users/{manager}"))
        user[Enterprise] = place
    user.meta = _meta("User", person.created_at if entry is None else entry.created_at, entry, person.active)
    return user


def to_group(group: OurGroup, entry: DirectoryEntry, members: Collection[str] | None) -> Group:
    """The group with the public ids of its members; None: they were not asked for."""
    found = Group.model_validate(json.loads(entry.document))
    found.id = group.public_id
    if members:
        found.members = [Member(value=one, ref=Reference(f"Users/{one}")) for one in members]
    found.meta = _meta("Group", entry.created_at, entry, active=True)
    return found


def _meta(kind: str, created: Any, entry: DirectoryEntry | None, active: bool) -> Meta:
    number = 0 if entry is None else entry.version
    return Meta(
        resource_type=kind,
        created=created,
        last_modified=created if entry is None else entry.changed_at,
        # Whether somebody is active can be changed by hand, too.
        version=f'W/"{number}{"" if active else "-inactive"}"',
    )


def from_user(user: User[Enterprise]) -> PushedPerson:
    """Raises InvalidValueException."""
    document = user.model_dump(exclude_none=True)
    _check(document)
    document = {name: value for name, value in document.items() if name not in _NOT_KEPT}
    document["said active"] = user.active is not None
    place = user[Enterprise]
    return PushedPerson(
        user_name=user.user_name or "",
        external_id=user.external_id or "",
        email=_email(user),
        name=_name(user),
        active=user.active is not False,
        department=(place.department or "") if place is not None else "",
        manager=_id_of(place.manager) if place is not None and place.manager is not None else "",
        document=document,
    )


def from_group(group: Group) -> PushedGroup:
    """Raises InvalidValueException."""
    document = group.model_dump(exclude_none=True)
    _check({name: value for name, value in document.items() if name != "members"})
    members = [_id_of(one) for one in group.members or [] if one.value or one.ref]
    _check(members)
    return PushedGroup(
        name=group.display_name or "",
        external_id=group.external_id or "",
        members=dict.fromkeys(members),
        document={name: value for name, value in document.items() if name not in _NOT_KEPT},
    )


def _id_of(one: Member | Manager) -> str:
    return one.value or str(one.ref or "").rpartition("/")[2]


def _email(user: User[Enterprise]) -> str:
    addresses = [one for one in user.emails or [] if one.value]
    chosen = next((one for one in addresses if one.primary), None)
    chosen = chosen or next((one for one in addresses if one.type == "work"), None)
    return (chosen or addresses[0]).value or "" if addresses else ""


def _name(user: User[Enterprise]) -> str:
    parts = user.name
    if user.display_name:
        return user.display_name
    if parts is not None and parts.formatted:
        return parts.formatted
    names = [parts.given_name, parts.family_name] if parts is not None else []
    return " ".join(one for one in names if one) or user.user_name or ""


def _check(value: Any) -> None:
    """Refuses texts that are too long, that no database stores, or whose letters have too many accents."""
    if isinstance(value, str):
        if len(value) > LONGEST_FIELD or has_too_many_marks(value):
            raise InvalidValueException(
                detail=f"Use up to {LONGEST_FIELD:,} characters, and up to {MARKS_LIMIT} accents on a letter."
            )
        if storable(value) is not value:
            raise InvalidValueException(detail="A text holds a character that cannot be stored, such as NUL.")
    elif isinstance(value, dict):
        for one in value.values():
            _check(one)
    elif isinstance(value, list):
        for one in value:
            _check(one)
