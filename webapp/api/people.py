"""The people of the organisation: who they are, their access, and their accounts. For admins and services."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from flask import abort
from pydantic import Field

from webapp import clock
from webapp.models import Person as Someone
from webapp.operations import grants, reporting
from webapp.operations import people as operations
from webapp.operations.errors import Invalid
from webapp.queries import holdings, leaving, people_list
from webapp.queries.people_list import account_state
from webapp.queries.reporting import manager_of
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web import access
from webapp.workflow.scopes import Scope

from ._answers import AppRef, GroupRef, PersonRef
from ._operation import must_match, operation
from ._paging import Listed, PageQuery, by_name
from ._types import Body, Email, Flag, GivenInstant, GivenKey, Instant, Key, Name, Text, Word, one_of

About = Annotated[str, Field(description="What they do, in a few words.", examples=["Marketing"])]
Department = Annotated[str, Field(description="“” if there is none.", examples=["Marketing"])]
Manager = Annotated[PersonRef | None, Field(description="Whom they report to; deactivated people included.")]
State = one_of(
    ("active", "invited", "deactivated"), "“invited”: they have not set a password yet. “deactivated”: nothing is left "
    "to them but their history.",
)  # fmt: skip
_STATES = Literal["active", "invited", "deactivated"]


@dataclass(frozen=True, slots=True)
class PersonLine:
    """A person in a list."""

    id: Key
    name: Name
    email: Email
    about: About
    department: Department
    manager: Manager
    state: State  # type: ignore[valid-type]
    is_admin: Flag
    app_count: Annotated[int, Field(description="To how many apps they have access.", examples=[4])]
    created_at: Instant
    deactivated_at: Instant | None


@dataclass(frozen=True, slots=True)
class HeldRef:
    """Access to an app, by the id of the grant."""

    id: Annotated[str, Field(description="The id of the grant.", examples=["9PDW0R5T6KAE"])]
    app: AppRef


@dataclass(frozen=True, slots=True)
class HeldApp:
    """Access to an app."""

    id: Annotated[str, Field(description="The id of the grant.", examples=["9PDW0R5T6KAE"])]
    app: AppRef
    since: Instant
    ends_at: Instant | None


@dataclass(frozen=True, slots=True)
class Person:
    """A person with their groups and apps."""

    id: Key
    name: Name
    email: Email
    about: About
    department: Department
    manager: Manager
    state: State  # type: ignore[valid-type]
    is_admin: Flag
    time_zone: Annotated[
        str | None,
        Field(description="Their own; null for the organisation’s. Only they change it.", examples=["Europe/Berlin"]),
    ]
    created_at: Instant
    deactivated_at: Instant | None
    groups: list[GroupRef]
    apps: list[HeldApp]


def answer_of(public_id: str) -> Person:
    """The person as they are now; 404 when there is none."""
    card = people_list.card(public_id) or abort(404)
    who = card.person
    manager = manager_of(who)
    return Person(
        who.public_id, str(who.name), who.email, who.about, str(who.department),
        PersonRef(manager.public_id, str(manager.name)) if manager else None, card.state, who.is_admin, who.time_zone,
        who.created_at, who.deactivated_at, [GroupRef(one.public_id, str(one.name)) for one in card.groups],
        [
            HeldApp(row.public_id, AppRef(row.app, str(row.name)), row.created_at, row.ends_at)
            for row in holdings.grants_of(who.id)
        ],
    )  # fmt: skip


class PersonQuery(PageQuery):
    """The filter of the list."""

    q: Annotated[Word | None, Field(description="Words of the name, the address or the description.")] = None
    email: Annotated[Word | None, Field(description="The address of one person, in any spelling.",
                                        examples=["rita@nordlicht.example"])] = None  # fmt: skip
    state: Annotated[_STATES | None, Field(description="The state of their account.")] = None
    department: Annotated[Word | None, Field(description="Only people of this department.",
                                             examples=["Marketing"])] = None  # fmt: skip
    manager: Annotated[GivenKey | None, Field(description="Only people who report to this person.")] = None
    is_admin: Annotated[bool | None, Field(description="Only admins, or only others.")] = None
    updated_since: Annotated[
        GivenInstant | None,
        Field(description="Changed since this time: their account, their groups or their access."),
    ] = None


@operation("GET", "/people", scope=Scope.PEOPLE_READ, audience="admins", query=PersonQuery, answer=PersonLine,
           is_list=True)  # fmt: skip
def find(caller: Caller, *, query: PersonQuery) -> Listed:
    """List people.

    By name, deactivated people included."""
    wanted = people_list.Wanted(
        words=(query.q or "").split()[:8],
        state=query.state,
        department=query.department,
        manager=query.manager,
        is_admin=query.is_admin,
        email=operations.address(query.email) if query.email is not None else None,
        updated_since=query.updated_since,
    )
    rows = people_list.feed(wanted, after=query.after(str, int), limit=query.limit + 1)
    return by_name(rows, query.limit, _line)


def _line(row: Any) -> PersonLine:
    return PersonLine(
        row.public_id, str(row.name), row.email, row.about, str(row.department),
        PersonRef(row.manager, str(row.manager_name)) if row.manager else None,
        account_state(row.active, row.has_password), row.is_admin, row.apps, row.created_at, row.deactivated_at,
    )  # fmt: skip


@operation("GET", "/people/{person}", scope=Scope.PEOPLE_READ, audience="admins", answer=Person)
def read(caller: Caller, *, person: str) -> Person:
    """Read a person.

    With their groups and the apps that they have."""
    return answer_of(person)


class NewPerson(Body):
    """Who is invited."""

    name: Annotated[Text, Field(examples=["Rita Lindqvist"])]
    email: Annotated[Text, Field(description="No two people have the same.", examples=["rita@nordlicht.example"])]
    about: Annotated[Text, Field(description="What they do, in up to 120 characters.", examples=["Marketing"])] = ""
    department: Annotated[Text, Field(description="In up to 80 characters.", examples=["Marketing"])] = ""
    manager: Annotated[GivenKey | None, Field(description="The id of the person whom they report to.")] = None
    is_admin: bool = False


@operation("POST", "/people", scope=Scope.PEOPLE_ADMIN, audience="admins", body=NewPerson, answer=Person, status=201)
def invite(caller: Caller, *, body: NewPerson) -> Person:
    """Invite a person.

    They get an email with a link to set a password."""
    made = operations.invite(email=body.email, name=body.name, about=body.about, is_admin=body.is_admin, actor=caller,
                             now=clock.now())  # fmt: skip
    _set_reporting(caller, made, body)
    trace.about(person=made.public_id)
    return answer_of(made.public_id)


def _set_reporting(caller: Caller, someone: Someone, body: "NewPerson | PersonChange") -> None:
    """Sets manager and department, where they were sent."""
    if body.department is not None:
        reporting.set_department(someone, body.department, actor=caller, now=clock.now())
    if "manager" in body.model_fields_set:
        manager = access.active_person(body.manager) if body.manager else None
        if body.manager and manager is None:
            raise Invalid(manager="There is no active person with this id.")
        reporting.set_manager(someone, manager, actor=caller, now=clock.now())


class PersonChange(Body):
    """What changes; what is left out stays as it is."""

    name: Annotated[Text | None, Field(examples=["Rita Berg"])] = None
    email: Annotated[
        Text | None,
        Field(description="With another address, links that went to the old one end.", examples=["rita@new.example"]),
    ] = None
    about: Annotated[Text | None, Field(examples=["Sales"])] = None
    department: Annotated[Text | None, Field(description="“” for none.", examples=["Sales"])] = None
    manager: Annotated[
        GivenKey | None,
        Field(description="The id of the person whom they report to; null for no one. Nobody can be above themselves."),
    ] = None
    is_admin: Annotated[bool | None, Field(description="Whether they are an admin.")] = None


@operation("PATCH", "/people/{person}", scope=Scope.PEOPLE_ADMIN, audience="admins", body=PersonChange, answer=Person,
           needs_match=True)  # fmt: skip
def change(caller: Caller, *, person: str, body: PersonChange) -> Person:
    """Change a person.

    The last admin stays one."""
    someone = access.person_to_change(person)
    must_match(Person, answer_of(person))
    kept = {
        "name": someone.name if body.name is None else body.name,
        "email": someone.email if body.email is None else body.email,
        "about": someone.about if body.about is None else body.about,
    }
    operations.change_details(someone, **kept, actor=caller, now=clock.now())
    _set_reporting(caller, someone, body)
    if body.is_admin not in (None, someone.is_admin):
        operations.set_admin(someone, is_admin=bool(body.is_admin), actor=caller, now=clock.now())
    return answer_of(person)


class Removal(Body):
    """Why access is removed."""

    reason: Annotated[Text, Field(description="The person and the owners of the apps get it by email.",
                                  examples=["Rita moves to another company."])]  # fmt: skip
    grants: Annotated[
        list[GivenKey] | None,
        Field(max_length=1000, description="The ids of the grants that you expect to end. If they are no longer all, "
              "nothing is removed (409). Leave it out to remove what there is.", examples=[["9PDW0R5T6KAE"]]),
    ] = None  # fmt: skip


class Deactivation(Body):
    """What else ends."""

    access_removal: Annotated[
        Removal | None,
        Field(description="If it is there, access to all apps is removed, too; the person is not told."),
    ] = None


@operation("POST", "/people/{person}/deactivation", scope=Scope.PEOPLE_ADMIN, audience="admins", body=Deactivation,
           answer=Person)  # fmt: skip
def deactivate(caller: Caller, *, person: str, body: Deactivation) -> Person:
    """Deactivate a person.

    They are signed out and their tokens are refused. Their pending requests are cancelled, and what waits for their
    decision goes to somebody else. The only admin cannot be deactivated."""
    someone, now = access.person_to_change(person), clock.now()
    operations.deactivate(someone, actor=caller, now=now)
    if body.access_removal is not None:
        grants.remove_all(someone, shown=body.access_removal.grants, actor=caller, reason=body.access_removal.reason,
                          now=now, deactivated=True)  # fmt: skip
    return answer_of(person)


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A step of an app’s rules."""

    app: AppRef
    step: Annotated[int, Field(description="Counted from 1.", examples=[1])]


@dataclass(frozen=True, slots=True)
class TokenRef:
    """A service token, by id and name."""

    id: Key
    name: Annotated[str, Field(examples=["HR sync"])]


@dataclass(frozen=True, slots=True)
class ChannelRef:
    """A chat channel, by id and name."""

    id: Key
    name: Annotated[str, Field(examples=["#access"])]


@dataclass(frozen=True, slots=True)
class LeftToDo:
    """What a deactivation leaves to the admins."""

    apps: Annotated[list[HeldRef], Field(description="What they still have access to.")]
    owned_apps: list[AppRef]
    rules: Annotated[list[RuleRef], Field(description="Steps that name them.")]
    groups: list[GroupRef]
    service_tokens: Annotated[list[TokenRef], Field(description="Those that they made and that work on.")]
    chat_channels: Annotated[list[ChannelRef], Field(description="Those that are for them.")]
    reports: Annotated[list[PersonRef], Field(description="Active people who report to them.")]


@operation("GET", "/people/{person}/left-to-do", scope=Scope.PEOPLE_READ, audience="admins", answer=LeftToDo)
def left_to_do(caller: Caller, *, person: str) -> LeftToDo:
    """Read what is left to do for a person who leaves.

    Their apps, what they own and decide, and who counts on them. Empty lists: nothing."""
    card = people_list.card(person) or abort(404)
    left = leaving.left_to_do(card.person, now=clock.now())
    return LeftToDo(
        [HeldRef(grant, AppRef(app.public_id, str(app.name))) for grant, app in left.held],
        [AppRef(app.public_id, str(app.name)) for app in left.owned],
        [RuleRef(AppRef(rule.app, str(rule.name)), rule.step) for rule in left.rules],
        [GroupRef(one.public_id, str(one.name)) for one in left.groups],
        [TokenRef(one.public_id, str(one.name)) for one in left.tokens],
        [ChannelRef(one.public_id, str(one.name)) for one in left.channels],
        [PersonRef(one.public_id, str(one.name)) for one in left.reports],
    )


@operation("POST", "/people/{person}/reactivation", scope=Scope.PEOPLE_ADMIN, audience="admins", answer=Person)
def reactivate(caller: Caller, *, person: str) -> Person:
    """Reactivate a person.

    They may sign in again, and are in their groups as before."""
    operations.reactivate(access.person_to_change(person), actor=caller, now=clock.now())
    return answer_of(person)


@operation("POST", "/people/{person}/invitation", scope=Scope.PEOPLE_ADMIN, audience="admins", answer=Person)
def invite_again(caller: Caller, *, person: str) -> Person:
    """Send the invitation again.

    To somebody who has not set a password yet."""
    operations.send_invitation_again(access.person_to_change(person), actor=caller, now=clock.now())
    return answer_of(person)


@operation("POST", "/people/{person}/password-reset", scope=Scope.PEOPLE_ADMIN, audience="admins", answer=Person)
def reset_password(caller: Caller, *, person: str) -> Person:
    """Email a link to set a new password.

    The password that they have stays until then."""
    operations.reset_password(access.person_to_change(person), actor=caller, now=clock.now())
    return answer_of(person)


@operation("POST", "/people/{person}/sessions/ending", scope=Scope.PEOPLE_ADMIN, audience="admins", answer=Person)
def end_sessions(caller: Caller, *, person: str) -> Person:
    """End all sessions of a person.

    Browsers that they trusted for decisions included."""
    operations.sign_out(access.person_to_change(person), actor=caller, now=clock.now())
    return answer_of(person)


@operation("POST", "/people/{person}/access-removal", scope=Scope.PEOPLE_ADMIN, audience="admins", body=Removal,
           answer=Person)  # fmt: skip
def remove_access(caller: Caller, *, person: str, body: Removal) -> Person:
    """Remove access to all apps.

    For one reason. The person gets one email with all apps, and each owner one."""
    grants.remove_all(access.person_to_change(person), shown=body.grants, actor=caller, reason=body.reason,
                      now=clock.now())  # fmt: skip
    return answer_of(person)
