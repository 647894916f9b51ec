"""Access as programs list it: newest first, by key, without a count; two statements for a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, exists, literal, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import LIVE_GRANT, AccessRequest, App, Event, Grant, Person, PolicyRevision
from webapp.queries.columns import pad_in_list
from webapp.queries.ownership import owned_by


@dataclass(frozen=True, slots=True)
class Wanted:
    """The conditions; None is none. `reader` (a person's id) sees their own access and that to apps that they own; None
    sees all. `app` and `person` are public ids."""

    reader: int | None = None
    app: str | None = None
    person: str | None = None
    state: str | None = None
    updated_since: datetime | None = None


_GIVER, _REMOVER = aliased(Person), aliased(Person)
_NOW, _FROZEN = aliased(PolicyRevision), aliased(PolicyRevision)
_COLUMNS: tuple[Any, ...] = (
    Grant.id, Grant.public_id, Grant.person_id, Grant.state, Grant.created_at, Grant.ends_at, Grant.values_json,
    Grant.given_reason, Grant.removed_at, Grant.removed_reason,
    App.public_id.label("app_key"), App.name.label("app_name"),
    Person.public_id.label("person_key"), Person.name.label("person_name"),
    AccessRequest.public_id.label("request_key"),
    _GIVER.public_id.label("giver_key"), _GIVER.name.label("giver_name"),
    _REMOVER.public_id.label("remover_key"), _REMOVER.name.label("remover_name"),
    _NOW.body.label("rule"), _FROZEN.body.label("frozen"),
)  # fmt: skip
_LIST: Select[Any] = (
    select(*_COLUMNS)
    .join(App, App.id == Grant.app_id)
    .join(Person, Person.id == Grant.person_id)
    .join(_NOW, _NOW.id == App.policy_revision_id)
    .outerjoin(AccessRequest, AccessRequest.id == Grant.request_id)
    .outerjoin(_FROZEN, _FROZEN.id == AccessRequest.policy_revision_id)
    .outerjoin(_GIVER, _GIVER.id == Grant.given_by_id)
    .outerjoin(_REMOVER, _REMOVER.id == Grant.removed_by_id)
)


def page(wanted: Wanted, *, after: int | None = None, limit: int) -> Sequence[Any]:
    """Up to `limit` rows that come after the one with this id; the ids are in order of time."""
    query = _with_right(wanted.reader).where(*_conditions(wanted))
    if after is not None:
        query = query.where(Grant.id < after)
    return db.session.connection().execute(query.order_by(Grant.id.desc()).limit(limit)).all()


def find(key: str, *, reader: int | None) -> Any | None:
    """One grant, ended ones too; None unless this reader may see it."""
    db.session.flush()
    return db.session.connection().execute(_with_right(reader).where(Grant.public_id == key)).first()


def _with_right(reader: int | None) -> Select[Any]:
    """What the reader may see; `manages` says whether as an admin or an owner."""
    if reader is None:
        return _LIST.add_columns(literal(True).label("manages"))
    # Their ids first: how many grants an unknown set of apps has, no database can guess, and would read all of them.
    owned = db.session.scalars(select(App.id).where(App.archived_at.is_(None), owned_by(reader)).order_by(App.id))
    manages = Grant.app_id.in_(pad_in_list(owned))
    return _LIST.add_columns(manages.label("manages")).where(or_(Grant.person_id == reader, manages))


def _conditions(wanted: Wanted) -> list[Any]:
    found: list[Any] = []
    if wanted.app is not None:
        found.append(App.public_id == wanted.app)
    if wanted.person is not None:
        found.append(Person.public_id == wanted.person)
    if wanted.state is not None:
        found.append(Grant.state == wanted.state)
    if wanted.updated_since is not None:
        # Between its beginning and its end access changes with a request, which has an entry in the audit log.
        changed = exists().where(
            Event.at >= wanted.updated_since,
            Event.app_id == Grant.app_id,
            Event.person_id == Grant.person_id,
            Event.kind.startswith("grant.", autoescape=True),
        )
        found.append(
            or_(
                Grant.created_at >= wanted.updated_since,
                Grant.removed_at >= wanted.updated_since,
                and_(Grant.state.in_(LIVE_GRANT), changed),
            )
        )
    return found
