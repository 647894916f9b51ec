"""Where the library reads and writes: our people and groups, by the operations that people use."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import Any, cast

from scim2_models import (
    ConflictException,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    SCIMException,
    SearchRequest,
)
from scim2_server.storage import ScimStorage, SearchPage
from sqlalchemy import func, select

from webapp.extensions import db
from webapp.models import DirectoryEntry, Person
from webapp.models import Group as OurGroup
from webapp.operations import directory_sync as sync
from webapp.operations.directory_sync import Changes
from webapp.operations.errors import Conflict, Invalid
from webapp.queries import directories as queries
from webapp.queries.directories import Pusher
from webapp.workflow.errors import WorkflowError

from . import filters, mapping

USERS = "User"


class Storage(ScimStorage):
    """For one call; `method` is what was called. What is refused in `operation` is noted for the admin's page."""

    def __init__(self, by: Pusher, method: str, *, writes: bool, now: datetime) -> None:
        self.by, self.method, self.writes, self.now = by, method, writes, now
        self.is_bulk = method.endswith("Bulk")
        # What went wrong with the database: the library would make an answer of it, and go on.
        self.broken: Exception | None = None
        # (call, name, sentence) of what was refused, to be noted outside of what is undone.
        self.refused: list[tuple[str, str, str]] = []
        self._about = ""
        # The group that this call has read, with its members.
        self._read: tuple[OurGroup, DirectoryEntry, list[Any]] | None = None

    @contextmanager
    def operation(self) -> Iterator[None]:
        """A call, or one operation of a Bulk call: that stands in a savepoint, so that the others stay when it is
        refused. A single call that is refused is undone as a whole."""
        self._about, self._read = "", None
        try:
            with db.session.begin_nested() if self.is_bulk else nullcontext(), _as_scim():
                yield
        except SCIMException as error:
            self.note_refusal(error)
            raise
        except Exception as error:
            self.broken = error
            raise

    def note_refusal(self, error: SCIMException) -> None:
        """What the admin's page will show. Nothing of a call that found nothing, or was meant for another version."""
        if self.writes and not isinstance(error, NotFoundException | PreconditionFailedException):
            self.refused.append((self.method, self._about, str(error.detail or error)))

    # Reading

    def get(
        self, resource_type: ResourceType, resource_id: str, *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Resource[Any]:  # fmt: skip
        if resource_type.name == USERS:
            return mapping.to_person(*self._person(resource_id))
        group, entry = self._group(resource_id)
        members = queries.members([group.id])[group.id] if _wants_members(response_parameters) else None
        if members is not None:
            self._read = group, entry, members
        return mapping.to_group(group, entry, _ids(members))

    def search(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, position: Any = None
    ) -> SearchPage:
        start, count = (search_request.start_index or 1) - 1, search_request.count
        total, found = 0, []
        for resource_type in resource_types:
            # Several types are one collection: first the people, then the groups.
            number, some = self._search(resource_type, search_request, max(0, start - total), count)
            total += number
            if count is not None:
                count -= len(some)
            found += some
        return SearchPage(total, found)

    def _search(
        self, resource_type: ResourceType, search_request: SearchRequest[Any], offset: int, count: int | None
    ) -> tuple[int, list[Resource[Any]]]:
        node = search_request.filter.ast if search_request.filter else None
        if resource_type.name == USERS:
            query = queries.kept_people(self.by.directory).where(filters.person_condition(node))
            rows = query.order_by(Person.id)
        else:
            query = queries.groups_of(self.by.directory).where(filters.group_condition(node))
            rows = query.order_by(OurGroup.id)
        total = db.session.scalar(select(func.count()).select_from(query.order_by(None).subquery())) or 0
        if count == 0 or not total:
            return total, []
        some = db.session.execute(rows.offset(offset).limit(count)).all()
        if resource_type.name == USERS:
            return total, [mapping.to_person(*row) for row in some]
        members: dict[int, list[Any]] = {}
        if _wants_members(search_request):
            members = queries.members([group.id for group, _ in some])
        return total, [mapping.to_group(group, entry, _ids(members.get(group.id))) for group, entry in some]

    # Changing

    def create(self, resource_type: ResourceType, resource: Resource[Any]) -> Resource[Any]:
        if resource_type.name == USERS:
            given = mapping.from_user(cast(Any, resource))
            self._about = given.user_name
            person, entry, changes = sync.add_person(given, by=self.by, now=self.now)
            self._note(changes, name=str(person.name), person=person.id)
            return mapping.to_person(person, entry, given.manager)
        pushed = mapping.from_group(cast(Any, resource))
        self._about = pushed.name
        group, entry, changes = sync.add_group(pushed, by=self.by, now=self.now)
        self._note(changes, name=str(group.name), group=group.id)
        return mapping.to_group(group, entry, pushed.members)

    def update(
        self, resource_type: ResourceType, resource: Resource[Any], *, expected_version: str | None = None
    ) -> Resource[Any]:
        if resource_type.name == USERS:
            person, kept, manager = self._person(resource.id or "")
            _check_version(mapping.to_person(person, kept, manager), expected_version)
            given = mapping.from_user(cast(Any, resource))
            entry, changes = sync.change_person(person, kept, given, by=self.by, now=self.now)
            self._note(changes, name=str(person.name), person=person.id)
            return mapping.to_person(person, entry, given.manager)
        if self._read is None or self._read[0].public_id != resource.id:
            raise RuntimeError("A group is read before it is changed.")
        group, entry, members = self._read
        _check_version(mapping.to_group(group, entry, None), expected_version)
        pushed = mapping.from_group(cast(Any, resource))
        before = [one.id for one in members]
        changes = sync.change_group(group, entry, pushed, before=before, by=self.by, now=self.now)
        self._note(changes, name=str(group.name), group=group.id)
        return mapping.to_group(group, entry, pushed.members)

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        if resource_type.name == USERS:
            person, kept, manager = self._person(resource_id)
            _check_version(mapping.to_person(person, kept, manager), expected_version)
            changes = sync.remove_person(person, kept, by=self.by, now=self.now)
            self._note(changes, name=str(person.name), person=person.id)
            return
        group, entry = self._group(resource_id)
        _check_version(mapping.to_group(group, entry, None), expected_version)
        name = str(group.name)
        self._note(sync.remove_group(group, entry, by=self.by, now=self.now), name=name, group=group.id)

    def _person(self, public_id: str) -> tuple[Person, DirectoryEntry | None, str | None]:
        query = queries.kept_people(self.by.directory).where(Person.public_id == public_id)
        person, entry, manager = self._one(query, public_id)
        self._about = str(person.name)
        return person, entry, manager

    def _group(self, public_id: str) -> tuple[OurGroup, DirectoryEntry]:
        query = queries.groups_of(self.by.directory).where(OurGroup.public_id == public_id)
        group, entry = self._one(query, public_id)
        self._about = str(group.name)
        return group, entry

    def _one(self, query: Any, public_id: str) -> Any:
        row = db.session.execute(query, execution_options={"populate_existing": not self.writes}).first()
        if row is None:
            raise NotFoundException(detail=f"There is nothing with the id {public_id[:40]}.")
        return tuple(row)

    def _note(self, changes: Changes, *, name: str, person: int | None = None, group: int | None = None) -> None:
        sync.note_push(by=self.by, call=self.method, name=name, now=self.now, person=person, group=group,
                       changes=changes)  # fmt: skip


def _ids(members: list[Any] | None) -> list[str] | None:
    return None if members is None else [one.public_id for one in members]


def _wants_members(parameters: ResponseParameters[Any] | None) -> bool:
    """Whether the answer keeps the members: Entra leaves them out when it looks for a group."""
    if parameters is None:
        return True
    if parameters.attributes:
        return any(str(one).lower().rpartition(":")[2].startswith("members") for one in parameters.attributes)
    return not any(str(one).lower().rpartition(":")[2] == "members" for one in parameters.excluded_attributes or [])


def _check_version(present: Resource[Any], expected: str | None) -> None:
    if expected is not None and present.meta is not None and present.meta.version != expected:
        raise PreconditionFailedException(detail="This was changed since you read it. Read it again, then change it.")


@contextmanager
def _as_scim() -> Iterator[None]:
    """The refusals of our operations, as SCIM says them."""
    try:
        yield
    except Invalid as error:
        raise InvalidValueException(detail=str(error)) from None
    except (Conflict, WorkflowError) as error:
        raise ConflictException(detail=str(error)) from None
