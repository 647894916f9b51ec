"""Groups of people: they approve, own and see apps. For admins and services."""

from dataclasses import dataclass
from typing import Annotated, Any

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.operations import groups as operations
from webapp.queries import group_list, people_list
from webapp.queries.people_list import account_state
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web import access
from webapp.workflow.scopes import Scope

from ._operation import must_match, operation
from ._paging import Listed, PageQuery, by_name
from ._types import Body, Email, GroupName, Instant, Key, Name, Text, Word
from .people import State


@dataclass(frozen=True, slots=True)
class Group:
    """A group in use, with how many people are in it."""

    id: Key
    name: GroupName
    created_at: Instant
    member_count: Annotated[int, Field(description="Deactivated people included.", examples=[3])]
    active_member_count: Annotated[int, Field(examples=[3])]
    owned_app_count: Annotated[int, Field(description="Apps in use that the group owns.", examples=[2])]

    @classmethod
    def of(cls, row: Any) -> "Group":
        return cls(row.key, str(row.name), row.created_at, row.size, row.active, row.owns)


@dataclass(frozen=True, slots=True)
class Member:
    """A person in a group."""

    id: Annotated[str, Field(description="The id of the person.", examples=["7K3F9QX0M2TB"])]
    name: Name
    email: Email
    state: State  # type: ignore[valid-type]


def _answer(public_id: str) -> Group:
    return Group.of(group_list.one(public_id) or abort(404))


class GroupQuery(PageQuery):
    """The filter of the list."""

    q: Annotated[Word | None, Field(description="Words of the group’s name, or of a member’s.")] = None


@operation("GET", "/groups", scope=Scope.GROUPS_READ, audience="admins", query=GroupQuery, answer=Group, is_list=True)
def find(caller: Caller, *, query: GroupQuery) -> Listed:
    """List groups.

    By name. Archived groups are left out."""
    rows = group_list.feed((query.q or "").split()[:8], after=query.after(str, int), limit=query.limit + 1)
    return by_name(rows, query.limit, Group.of)


@operation("GET", "/groups/{group}", scope=Scope.GROUPS_READ, audience="admins", answer=Group)
def read(caller: Caller, *, group: str) -> Group:
    """Read a group."""
    return _answer(group)


class NewGroup(Body):
    """A group’s name."""

    name: Annotated[Text, Field(description="Up to 80 characters; no two groups have the same.", examples=["Finance"])]


@operation("POST", "/groups", scope=Scope.GROUPS_ADMIN, audience="admins", body=NewGroup, answer=Group, status=201)
def create(caller: Caller, *, body: NewGroup) -> Group:
    """Create a group.

    It has no members yet."""
    made = operations.create(name=body.name, actor=caller, now=clock.now())
    trace.about(group=made.public_id)
    return _answer(made.public_id)


@operation("PATCH", "/groups/{group}", scope=Scope.GROUPS_ADMIN, audience="admins", body=NewGroup, answer=Group,
           needs_match=True)  # fmt: skip
def rename(caller: Caller, *, group: str, body: NewGroup) -> Group:
    """Rename a group."""
    found = access.group_to_change(group)
    must_match(Group, _answer(group))
    operations.rename(found, name=body.name, actor=caller, now=clock.now())
    return _answer(group)


@operation("POST", "/groups/{group}/archival", scope=Scope.GROUPS_ADMIN, audience="admins")
def archive(caller: Caller, *, group: str) -> None:
    """Archive a group.

    It is emptied and can be chosen for nothing any more; what it decided stays. Refused while something uses it, with
    what that is."""
    operations.archive(access.group_to_change(group), actor=caller, now=clock.now())


@operation("GET", "/groups/{group}/members", scope=Scope.GROUPS_READ, audience="admins", query=PageQuery,
           answer=Member, is_list=True)  # fmt: skip
def list_members(caller: Caller, *, group: str, query: PageQuery) -> Listed:
    """List the members of a group.

    By name, deactivated people included."""
    if group_list.one(group) is None:
        abort(404)
    wanted = people_list.Wanted(group=group)
    return by_name(
        people_list.feed(wanted, after=query.after(str, int), limit=query.limit + 1), query.limit, _member
    )  # fmt: skip


def _member(row: Any) -> Member:
    return Member(row.public_id, str(row.name), row.email, account_state(row.active, row.has_password))


@operation("PUT", "/groups/{group}/members/{person}", scope=Scope.GROUPS_ADMIN, audience="admins")
def add_member(caller: Caller, *, group: str, person: str) -> None:
    """Add a member.

    They are asked for every step that is open for the group. Nothing happens if they are in it already."""
    found, someone = access.group_to_change(group), access.person_to_change(person)
    if not group_list.is_member(found.id, someone.id):
        operations.add_member(found, someone, actor=caller, now=clock.now())


@operation("DELETE", "/groups/{group}/members/{person}", scope=Scope.GROUPS_ADMIN, audience="admins")
def remove_member(caller: Caller, *, group: str, person: str) -> None:
    """Remove a member.

    They can no longer decide for the group. Nothing happens if they are not in it."""
    found, someone = access.group_to_change(group), access.person_to_change(person)
    if group_list.is_member(found.id, someone.id):
        operations.remove_member(found, someone, actor=caller, now=clock.now())
