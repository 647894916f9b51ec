"""Apps: the catalog of a person, and the settings of an app for who manages it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from webapp import clock
from webapp.models import App as AppRow
from webapp.operations import apps as operations
from webapp.operations import icons
from webapp.operations.errors import Invalid
from webapp.queries import app_feed
from webapp.queries.tokens import Caller
from webapp.runtime import trace
from webapp.web import access
from webapp.web.assets import APP_ICONS
from webapp.web.problems import Problem
from webapp.workflow.entitlements import KINDS, Entitlement
from webapp.workflow.policy import Approver
from webapp.workflow.policy_codec import loads
from webapp.workflow.scopes import Scope

from . import _pending
from ._answers import ApproverRef, GivenApprover, GroupRef
from ._operation import must_match, operation
from ._paging import Listed, PageQuery
from ._pending import Pending
from ._types import AppName, Body, Flag, GivenInstant, GivenKey, Instant, Key, Text, Value, Word, one_of

_ICON = "The name of an icon of the set; empty for the first letters of the name."
Words = Annotated[str, Field(examples=["Customers, offers and contracts"])]


@dataclass(frozen=True, slots=True)
class FormField:
    """A field that a requester fills in."""

    name: Annotated[str, Field(examples=["Role"])]
    kind: one_of(KINDS)  # type: ignore[valid-type]
    options: Annotated[list[str], Field(description="Of a choice.", examples=[["Read only", "Editor"]])]
    required: Flag
    default: Annotated[Value | None, Field(examples=["Read only"])]
    help: Annotated[str, Field(examples=["Most people need Read only."])]

    @classmethod
    def of(cls, field: Entitlement) -> "FormField":
        return cls(field.name, field.kind, list(field.options), field.required, field.default, field.help)


@dataclass(frozen=True, slots=True)
class Mine:
    """What the app is to the person of the token."""

    state: one_of(  # type: ignore[valid-type]
        ("request", "add", "requested", "added", "unavailable"),
        "Request it with POST /requests, add it with POST /grants; it is requested already, or added; or it is not in "
        "the person’s catalog.",
    )
    request: Annotated[Key | None, Field(description="The pending request.")]
    grant: Annotated[Key | None, Field(description="The person’s access.")]


@dataclass(frozen=True, slots=True)
class Settings:
    """What owners and admins see and change."""

    requestable: Annotated[bool, Field(description="Whether it is in the catalog.", examples=[True])]
    owner: Annotated[ApproverRef | None, Field(description="Who is in charge, and decides instead of an approver who "
                                                           "cannot.")]  # fmt: skip
    audience: Annotated[list[GroupRef], Field(description="The groups that see it in the catalog; none: everyone.")]
    created_at: Instant
    archived_at: Instant | None


@dataclass(frozen=True, slots=True)
class App:
    """An app. `fields` are those that a requester fills in. `mine` is null for a service token, `settings` for who
    does not manage the app."""

    id: Key
    name: AppName
    description: Words
    category: Annotated[str, Field(examples=["Sales"])]
    note: Annotated[
        str, Field(description="What people read before they request it.", examples=["Ask in #sales first"])
    ]
    icon: Annotated[str, Field(description=_ICON, examples=["chart-pie"])]
    has_picture: Annotated[bool, Field(description="Whether an uploaded picture is shown instead.", examples=[False])]
    launch_url: Annotated[str, Field(description="Where it opens; empty for who does not have it.",
                                     examples=["https://crm.example.com"])]  # fmt: skip
    approval_required: Flag
    comment_required: Annotated[bool, Field(description="Whether a request needs a message.", examples=[False])]
    fields: list[FormField]
    mine: Mine | None
    settings: Settings | None


class AppQuery(PageQuery):
    """Which apps."""

    manage: Annotated[
        bool,
        Field(description="The apps that you own, all of them for an admin, instead of your catalog. A service token "
                          "has no catalog, so it always lists all of them."),
    ] = False  # fmt: skip
    q: Annotated[Word | None, Field(description="Words of name, description and category.")] = None
    category: Annotated[Word | None, Field(description="Exactly this category.", examples=["Sales"])] = None
    requestable: Annotated[bool | None, Field(description="With `manage`: those in the catalog, or the others.")] = None
    archived: Annotated[
        bool, Field(description="With `manage`, for admins: those that are archived, instead of those in use.")
    ] = False
    updated_since: Annotated[
        GivenInstant | None, Field(description="The app, its fields or its rules were changed at this time or later.")
    ] = None


@operation("GET", "/apps", scope=Scope.APPS_READ, query=AppQuery, answer=App, is_list=True)
def find(caller: Caller, *, query: AppQuery) -> Listed:
    """List apps.

    By name: your catalog, with what each app is to you. With `manage` the apps that you own, and for admins all
    apps."""
    edge = query.after(str, int)
    managed = query.manage or caller.is_service
    state = _state(query, managed, caller)
    wanted = app_feed.Wanted(
        reader=caller.id, sees_all=caller.is_admin, managed=managed, words=(query.q or "").split()[:6],
        category=query.category or "", state=state, updated_since=query.updated_since,
    )  # fmt: skip
    rows = app_feed.page(wanted, after=(edge[0], edge[1]) if edge else None, limit=query.limit + 1)
    shown = rows[: query.limit]
    key = (shown[-1].sort_key, shown[-1].id) if len(rows) > query.limit else None
    return Listed(_answers(shown, caller), key)


def _state(query: AppQuery, managed: bool, caller: Caller) -> str:
    """The filter as the page of apps has it."""
    for name, given in (("requestable", query.requestable is not None), ("archived", query.archived)):
        if given and not managed:
            raise Problem(422, "invalid", f"Send manage=true with {name}.", {name: "Send manage=true with this."})
    if query.archived and not caller.is_admin:
        words = "Only an admin can list archived apps."
        raise Problem(403, "not-allowed", words, {"archived": words})
    if query.archived:
        return "archived"
    return "" if query.requestable is None else "requestable" if query.requestable else "not requestable"


@operation("GET", "/apps/{app}", scope=Scope.APPS_READ, answer=App)
def read(caller: Caller, *, app: str) -> App:
    """Read an app.

    One of your catalog, one that you have, or one that you own; any for admins."""
    return answer_of(app, caller)


def answer_of(key: str, caller: Caller) -> App:
    """The app as this caller sees it; 404 for one that they do not."""
    return _answers([access.app_to_see(key, caller)], caller)[0]


def _answers(rows: Sequence[Any], caller: Caller) -> list[App]:
    groups = app_feed.audiences(rows)
    return [_answer(row, groups.get(row.id, ()), caller) for row in rows]


def _answer(row: Any, groups: Sequence[Any], caller: Caller) -> App:
    policy = loads(row.body)
    settings = None
    if row.manages:
        owner = None
        if row.owner_key is not None:
            owner = ApproverRef("person", row.owner_key, str(row.owner_name))
        elif row.group_key is not None:
            owner = ApproverRef("group", row.group_key, str(row.group_name))
        audience = [GroupRef(one.public_id, str(one.name)) for one in groups]
        settings = Settings(row.requestable, owner, audience, row.created_at, row.archived_at)
    return App(
        row.public_id, str(row.name), row.description, row.category, row.note,
        row.icon, bool(row.icon_hash),
        row.launch_url if row.manages or row.grant is not None else "",
        policy.approval_required, policy.comment_required,
        [FormField.of(one.entitlement) for one in policy.sheet_for_requester({}).writable],
        None if caller.is_service else _mine(row, approval_required=policy.approval_required), settings,
    )  # fmt: skip


def _mine(row: Any, *, approval_required: bool) -> Mine:
    # An overdue request does not block a new one.
    request = row.request if not row.overdue else None
    if row.grant is not None:
        state = "added"
    elif request is not None:
        state = "requested"
    elif not row.in_catalog:
        state = "unavailable"
    else:
        state = "request" if approval_required else "add"
    return Mine(state, request, row.grant)


class GivenGroup(Body):
    """A group."""

    id: GivenKey
    name: Annotated[Word | None, Field(description="Not read: what was read can be sent back.")] = None


class AppChange(Body):
    """What changes; all that is left out stays as it is."""

    name: Annotated[Text | None, Field(examples=["Salesforce"])] = None
    description: Annotated[Text | None, Field(examples=["Customers, offers and contracts"])] = None
    category: Annotated[Text | None, Field(examples=["Sales"])] = None
    note: Annotated[Text | None, Field(description="What people read before they request it.")] = None
    icon: Annotated[
        Word | None, Field(description=f"{_ICON} An uploaded picture is removed.", examples=["chart-pie"])
    ] = None
    launch_url: Annotated[Text | None, Field(description="For admins.", examples=["https://crm.example.com"])] = None
    owner: Annotated[GivenApprover | None, Field(description="For admins; null: no owner.")] = None
    audience: Annotated[
        list[GivenGroup] | None, Field(max_length=200, description="The groups that see it; an empty list: everyone.")
    ] = None
    requestable: Annotated[
        bool | None, Field(description="Whether it is in the catalog. An app that needs approval needs a step first.")
    ] = None


class NewApp(AppChange):
    """The name of a new app, and what else is known of it."""

    name: Annotated[Text, Field(examples=["Salesforce"])]


@operation("POST", "/apps", scope=Scope.APPS_ADMIN, audience="admins", body=NewApp, answer=App, status=201)
def create(caller: Caller, *, body: NewApp) -> App:
    """Create an app.

    It needs approval and has no step yet, so that nothing is given away by accident: set its policy, then make it
    requestable. Without an owner, the person of the token owns it; a service’s app has none."""
    owner = _owner(body) if body.owner is not None else None
    made = operations.create(name=body.name, owner=owner, actor=caller, now=clock.now())
    trace.about(app=made.public_id)
    _change(made, body, answer_of(made.public_id, caller), caller)
    return answer_of(made.public_id, caller)


@operation("PATCH", "/apps/{app}", scope=Scope.APPS_ADMIN, audience="owners_of_app", body=AppChange, answer=App,
           needs_match=True)  # fmt: skip
def change(caller: Caller, *, app: str, body: AppChange) -> App:
    """Change an app.

    Its owners and admins. While you have a pending request for it, you cannot change what decides about it."""
    row = access.app_to_change(app)
    present = answer_of(app, caller)
    must_match(App, present)
    _change(row, body, present, caller)
    return answer_of(app, caller)


def _change(app: AppRow, body: AppChange, present: App, caller: Caller) -> None:
    """Calls the operation of each setting that was sent and differs."""
    given = body.model_fields_set
    assert present.settings is not None  # who may change it sees them
    if nulls := sorted(name for name in given if name != "owner" and getattr(body, name) is None):
        raise Problem(422, "invalid", _NULL, dict.fromkeys(nulls, _NULL))
    now = clock.now()
    details = {name: getattr(body, name) for name in _DETAILS
               if name in given and getattr(body, name) != getattr(app, name)}  # fmt: skip
    if details:
        operations.change_details(app, **details, actor=caller, now=now)
    if "owner" in given and _key(body.owner) != _key(present.settings.owner):
        if not caller.is_admin:
            words = "Only an admin can change the owner."
            raise Problem(403, "not-allowed", words, {"owner": words})
        operations.set_owner(app, owner=_owner(body), actor=caller, now=now)
    if body.note is not None and body.note != app.note:
        operations.set_note(app, note=body.note, actor=caller, now=now)
    if body.icon is not None:
        if body.icon and body.icon not in APP_ICONS:
            raise Invalid(icon="Choose one of these pictures.")
        icons.choose(app, body.icon, actor=caller, now=now)
    if body.audience is not None:
        keys = {one.id for one in body.audience}
        if keys != {one.id for one in present.settings.audience}:
            groups = access.chosen_groups(sorted(keys), field="audience")
            operations.set_audience(app, groups=groups, actor=caller, now=now)
    if body.requestable is not None:
        operations.set_requestable(app, requestable=body.requestable, actor=caller, now=now)


_DETAILS = ("name", "description", "category", "launch_url")
_NULL = "Send a value, or leave it out."


def _key(one: GivenApprover | ApproverRef | None) -> tuple[str, str] | None:
    return (one.kind, one.id) if one is not None else None


def _owner(body: AppChange) -> Approver | None:
    return access.chosen_approver(body.owner.value if body.owner else "", field="owner")


class Archival(Body):
    """What becomes of pending requests; needed where there are any."""

    pending: Pending | None = None


@operation("POST", "/apps/{app}/archival", scope=Scope.APPS_ADMIN, audience="admins", body=Archival, answer=App)
def archive(caller: Caller, *, app: str, body: Archival) -> App:
    """Archive an app.

    It leaves the catalog and the lists; people who have it keep it, and nothing is deleted."""
    row = access.app_to_change(app)
    _pending.require_answer(row, body.pending)
    operations.archive(row, actor=caller, now=clock.now())
    _pending.resolve(row, body.pending, caller)
    return answer_of(app, caller)


@operation("POST", "/apps/{app}/restoration", scope=Scope.APPS_ADMIN, audience="admins", answer=App)
def restore(caller: Caller, *, app: str) -> App:
    """Restore an archived app.

    It is not in the catalog until it is made requestable."""
    operations.restore(access.app_to_restore(app), actor=caller, now=clock.now())
    return answer_of(app, caller)
