"""The typed fields of an app, as its owners and admins edit them. What requests and access keep is never deleted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from webapp import clock
from webapp.models import EntitlementField
from webapp.operations import entitlements as operations
from webapp.operations.errors import Invalid
from webapp.queries import app_feed
from webapp.queries.tokens import Caller
from webapp.web import access
from webapp.web.problems import Problem
from webapp.workflow.entitlements import KINDS, as_typed
from webapp.workflow.scopes import Scope
from webapp.workflow.states import Visibility

from ._operation import must_match, operation
from ._paging import Listed, PageQuery
from ._types import Body, Flag, GivenKey, GivenValue, Instant, Key, Text, Value, one_of

_OPTIONS = [["Read only", "Editor"]]


@dataclass(frozen=True, slots=True)
class AppField:
    """A field. Its kind never changes, because values of it are kept."""

    id: Key
    name: Annotated[str, Field(examples=["Role"])]
    kind: one_of(KINDS)  # type: ignore[valid-type]
    options: Annotated[list[str], Field(description="Of the kinds choice and choices.", examples=_OPTIONS)]
    required: Flag
    default: Annotated[Value | None, Field(examples=["Read only"])]
    help: Annotated[str, Field(examples=["Most people need Read only."])]
    requester: one_of(Visibility, "What the requester may do with it; what a step may do is in the policy.")  # type: ignore[valid-type]
    archived_at: Instant | None

    @classmethod
    def of(cls, row: EntitlementField) -> Self:
        field = operations.frozen(row)
        return cls(
            field.id, str(field.name), field.kind, list(field.options), field.required, field.default, field.help,
            field.requester, row.archived_at,
        )  # fmt: skip


class FieldQuery(PageQuery):
    """Which fields."""

    archived: Annotated[bool, Field(description="Those that are archived, instead of those in use.")] = False


_AT = "/apps/{app}/fields"
_ONE = _AT + "/{field}"


@operation("GET", _AT, scope=Scope.APPS_READ, audience="owners_of_app", query=FieldQuery, answer=AppField,
           is_list=True)  # fmt: skip
def find(caller: Caller, *, app: str, query: FieldQuery) -> Listed:
    """List the fields of an app.

    In their order. What a requester fills in is part of the app itself: GET /apps/{app}."""
    edge = query.after(int, int)
    rows = app_feed.fields(
        access.app_in_use(app).id, archived=query.archived, after=(edge[0], edge[1]) if edge else None,
        limit=query.limit + 1,
    )  # fmt: skip
    shown = rows[: query.limit]
    key = (shown[-1].position, shown[-1].id) if len(rows) > query.limit else None
    return Listed([AppField.of(row) for row in shown], key)


@operation("GET", _ONE, scope=Scope.APPS_READ, audience="owners_of_app", answer=AppField)
def read(caller: Caller, *, app: str, field: str) -> AppField:
    """Read a field of an app.

    Archived ones too."""
    return AppField.of(access.field_of(access.app_in_use(app), field))


class FieldChange(Body):
    """What changes; all that is left out stays as it is."""

    name: Annotated[Text | None, Field(examples=["Role"])] = None
    options: Annotated[
        list[Text] | None, Field(max_length=200, description="Of the kinds choice and choices.", examples=_OPTIONS)
    ] = None
    required: bool | None = None
    default: Annotated[GivenValue | None, Field(description="Null: none.", examples=["Read only"])] = None
    help: Annotated[Text | None, Field(examples=["Most people need Read only."])] = None
    requester: Annotated[
        Literal["hidden", "read", "write"] | None,
        Field(description="What the requester may do with it. What a step may do is in the policy."),
    ] = None

    @property
    def changes(self) -> dict[str, Any]:
        """What was sent, as the operations take it."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        if nulls := sorted(name for name, value in found.items() if value is None and name != "default"):
            words = "Send a value, or leave it out."
            raise Problem(422, "invalid", words, dict.fromkeys(nulls, words))
        if "default" in found:
            found["default"] = as_typed(found["default"])
        return found


class NewField(FieldChange):
    """A new field. `requester` is “write” unless it is sent."""

    name: Annotated[Text, Field(examples=["Role"])]
    kind: Literal["choice", "choices", "text", "number", "yes_no"]


@operation("POST", _AT, scope=Scope.APPS_ADMIN, audience="owners_of_app", body=NewField, answer=AppField, status=201)
def create(caller: Caller, *, app: str, body: NewField) -> AppField:
    """Add a field to an app.

    At the end. Requests that are pending keep the fields that they have."""
    row = access.app_to_change(app)
    with _refused_by_rule():
        made = operations.create(row, **({"options": ()} | body.changes), actor=caller, now=clock.now())
    return AppField.of(made)


@operation("PATCH", _ONE, scope=Scope.APPS_ADMIN, audience="owners_of_app", body=FieldChange, answer=AppField,
           needs_match=True)  # fmt: skip
def change(caller: Caller, *, app: str, field: str, body: FieldChange) -> AppField:
    """Change a field in use."""
    row = access.app_to_change(app)
    must_match(AppField, AppField.of(access.field_of(row, field)))
    with _refused_by_rule():
        operations.edit(row, field, **body.changes, actor=caller, now=clock.now())
    return AppField.of(access.field_of(row, field))


@operation("POST", _ONE + "/archival", scope=Scope.APPS_ADMIN, audience="owners_of_app", answer=AppField)
def archive(caller: Caller, *, app: str, field: str) -> AppField:
    """Archive a field.

    Nobody is asked for it any more. The values that people have are kept."""
    row = access.app_to_change(app)
    access.field_of(row, field)
    operations.archive(row, field, actor=caller, now=clock.now())
    return AppField.of(access.field_of(row, field))


@operation("POST", _ONE + "/restoration", scope=Scope.APPS_ADMIN, audience="owners_of_app", answer=AppField)
def restore(caller: Caller, *, app: str, field: str) -> AppField:
    """Restore an archived field.

    At the end, seen by no step yet."""
    row = access.app_to_change(app)
    access.field_of(row, field)
    with _refused_by_rule():
        operations.restore(row, field, actor=caller, now=clock.now())
    return AppField.of(access.field_of(row, field))


class Order(Body):
    """The order in which people see the fields."""

    fields: Annotated[list[GivenKey], Field(max_length=100, description="The id of each field in use, once.")]


@dataclass(frozen=True, slots=True)
class Ordered:
    """The ids of the fields in use, in their order."""

    fields: list[Key]


@operation("POST", _AT + "/order", scope=Scope.APPS_ADMIN, audience="owners_of_app", body=Order, answer=Ordered)
def order(caller: Caller, *, app: str, body: Order) -> Ordered:
    """Order the fields of an app.

    It needs no If-Match: it is refused unless it names each field in use once."""
    row = access.app_to_change(app)
    operations.order(row, body.fields, actor=caller, now=clock.now())
    return Ordered(list(body.fields))


@contextmanager
def _refused_by_rule() -> Iterator[None]:
    """What is wrong with the rule as a whole belongs to no field of the body."""
    try:
        yield
    except Invalid as error:
        if "policy" in error.fields:
            raise Problem(422, "invalid", str(error)) from None
        raise
