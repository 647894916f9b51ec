"""Access: who has which app, since when and why."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from webapp import clock
from webapp.extensions import db
from webapp.models import Grant as GrantRow
from webapp.models import PolicyRevision
from webapp.models.requests import load_values
from webapp.operations import grants as operations
from webapp.operations import returns
from webapp.operations.errors import Invalid
from webapp.queries import grant_feed, holdings
from webapp.queries.tokens import Caller
from webapp.web import access
from webapp.web.problems import Problem
from webapp.workflow.policy_codec import loads
from webapp.workflow.scopes import Scope

from . import _fields
from ._answers import AppRef, PersonRef
from ._operation import operation
from ._paging import Listed, PageQuery
from ._types import Body, GivenInstant, GivenKey, GivenValue, Instant, Key, Sentence, Text, Value, Values, one_of

_STATES = ("active", "provisioning", "removed", "failed")


@dataclass(frozen=True, slots=True)
class Grant:
    """A person’s access to an app. With `request` it was approved; with `given_by` an owner or admin granted it for a
    reason; else the person added it."""

    id: Key
    app: AppRef
    person: PersonRef
    state: one_of(_STATES)  # type: ignore[valid-type]
    fields: Values
    request: Annotated[Key | None, Field(description="The request that was approved.")]
    given_by: PersonRef | None
    reason: Sentence
    created_at: Instant
    ends_at: Instant | None
    removed_at: Instant | None
    removed_by: PersonRef | None
    removed_reason: Annotated[str, Field(examples=["The project is over."])]


class GrantQuery(PageQuery):
    """Which access."""

    app: Annotated[GivenKey | None, Field(description="The id of an app.")] = None
    person: Annotated[GivenKey | None, Field(description="The id of a person.")] = None
    state: Annotated[
        Literal["active", "provisioning", "removed", "failed"] | None, Field(description="“removed” has ended.")
    ] = None
    updated_since: Annotated[
        GivenInstant | None, Field(description="It began, changed or ended at this time or later.")
    ] = None


@operation("GET", "/grants", scope=Scope.GRANTS_READ, query=GrantQuery, answer=Grant, is_list=True)
def find(caller: Caller, *, query: GrantQuery) -> Listed:
    """List who has which app.

    Newest first: your own access, and that to apps that you own; all of it for admins and service tokens."""
    edge = query.after(int)
    wanted = grant_feed.Wanted(
        reader=_reader(caller), app=query.app, person=query.person, state=query.state,
        updated_since=query.updated_since,
    )  # fmt: skip
    rows = grant_feed.page(wanted, after=edge[0] if edge else None, limit=query.limit + 1)
    shown = rows[: query.limit]
    key = (shown[-1].id,) if len(rows) > query.limit else None
    return Listed([_answer(row) for row in shown], key)


@operation("GET", "/grants/{grant}", scope=Scope.GRANTS_READ, answer=Grant)
def read(caller: Caller, *, grant: str) -> Grant:
    """Read a person’s access to an app.

    Also when it has ended."""
    return _answer(access.grant_to_see(grant, _reader(caller)))


def _reader(caller: Caller) -> int | None:
    return None if caller.is_admin else caller.id


def _answer(row: Any) -> Grant:
    return Grant(
        row.public_id, AppRef(row.app_key, str(row.app_name)), PersonRef(row.person_key, str(row.person_name)),
        row.state, _values(row), row.request_key, _person(row.giver_key, row.giver_name), row.given_reason,
        row.created_at, row.ends_at, row.removed_at, _person(row.remover_key, row.remover_name), row.removed_reason,
    )  # fmt: skip


def _person(key: str | None, name: str | None) -> PersonRef | None:
    return PersonRef(key, str(name)) if key is not None else None


def _values(row: Any) -> dict[str, Value]:
    """What the person sees of their own access, or all of it for who manages the app; as on the screens."""
    values = load_values(row.values_json)
    if not row.manages:
        return _fields.shown(loads(row.rule).sheet_for_requester(values))
    names = holdings.field_names(row.frozen, row.rule)
    return {str(names.get(key, holdings.UNKNOWN)): one.value for key, one in values.items()}


class NewGrant(Body):
    """Who gets which app."""

    app: Annotated[GivenKey, Field(description="The id of an app.")]
    person: Annotated[
        GivenKey | None,
        Field(description="Who gets it, from an owner of the app, an admin or a service. Left out: you, if the app "
                          "needs no approval."),
    ] = None  # fmt: skip
    reason: Annotated[Text, Field(description="Needed with a person. They and the owner get it by email.")] = ""
    fields: Annotated[
        dict[Text, GivenValue],
        Field(description="With a person: the fields of the app, by name.", examples=[{"Role": "Read only"}]),
    ] = Field(default_factory=dict)


@operation("POST", "/grants", scope=Scope.GRANTS_WRITE, body=NewGrant, answer=Grant, status=201, refuses=(404,))
def create(caller: Caller, *, body: NewGrant) -> Grant:
    """Add an app for yourself, or give it to a person.

    With an app alone you add one of your catalog that needs no approval. With a person, owners and admins grant access
    without a request; the person, the owners and whoever would have approved it are told."""
    made = _add(body, caller) if body.person is None else _give(body, body.person, caller)
    return _answer(access.grant_to_see(made.public_id, _reader(caller)))


def _add(body: NewGrant, caller: Caller) -> GrantRow:
    if caller.is_service:
        words = "Name the person who gets the app: an active one."
        raise Problem(422, "invalid", words, {"person": words})
    if sent := [name for name in ("reason", "fields") if getattr(body, name)]:
        words = "Leave this out, or name the person who gets the app."
        raise Problem(422, "invalid", words, dict.fromkeys(sent, words))
    app, revision = access.app_in_catalog(body.app, caller)
    return operations.add_directly(app, revision, actor=caller, now=clock.now())


def _give(body: NewGrant, person_key: str, caller: Caller) -> GrantRow:
    app = access.app_to_manage(body.app, caller)
    person = access.active_person(person_key)
    if person is None:
        raise Invalid(person="Choose a person.")
    revision = db.session.get_one(PolicyRevision, app.policy_revision_id)
    policy = revision.snapshot()
    sheet = policy.sheet_for_grant(policy.defaults())
    given = _fields.given(sheet, body.fields)
    with _fields.named(sheet):
        return operations.give(
            app, revision, person=person, actor=caller, given=given, reason=body.reason, now=clock.now()
        )


class GrantRemoval(Body):
    """Why access ends."""

    reason: Annotated[Text, Field(description="Needed unless it is your own. The person and the owner get it.")] = ""


@operation("POST", "/grants/{grant}/removal", scope=Scope.GRANTS_WRITE, body=GrantRemoval, answer=Grant)
def remove(caller: Caller, *, grant: str, body: GrantRemoval) -> Grant:
    """End access.

    Your own access you give back; that of others is removed by owners of the app, admins and services. It can be
    requested or added again."""
    row = access.grant_to_see(grant, _reader(caller))
    held = db.session.get_one(GrantRow, row.id)
    if held.person_id == caller.id:
        returns.give_back(held, actor=caller, reason=body.reason, now=clock.now())
    else:
        operations.remove(held, actor=caller, reason=body.reason, now=clock.now())
    return _answer(access.grant_to_see(grant, _reader(caller)))
