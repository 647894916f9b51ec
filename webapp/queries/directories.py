"""Directories: who pushes by a token, what a directory keeps, and what came last."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import ApiToken, Directory, DirectoryEntry, DirectoryPush, Group, Membership, Person
from webapp.queries.columns import pad_in_list, read
from webapp.queries.paging import Order, Page, paged
from webapp.queries.principals import Principal, groups_with, principal
from webapp.workflow.actor import Actor
from webapp.workflow.states import Channel


@dataclass(frozen=True, slots=True)
class Pusher(Actor):
    """A directory that calls by its token. It is no person; its maker answers for what it does."""

    directory: int = 0
    directory_key: str = ""
    directory_name: str = ""
    token_key: str = ""
    networks: str = ""
    invites: bool = False
    is_paused: bool = False


_PUSHER = (
    select(
        ApiToken.id.label("token"), ApiToken.public_id.label("token_key"), ApiToken.networks, ApiToken.created_by_id,
        Directory.id, Directory.public_id, Directory.name, Directory.invites, Directory.paused_at,
        Person.vouched_by_id,
    )
    .join(Directory, Directory.id == ApiToken.directory_id)
    .outerjoin(Person, Person.id == ApiToken.created_by_id)
    .where(
        ApiToken.hash == bindparam("hash"), ApiToken.revoked_at.is_(None), ApiToken.expires_at > bindparam("now"),
        Directory.removed_at.is_(None),
    )
)  # fmt: skip
# Several calls of one directory run side by side; ending its token waits for them.
_HELD_PUSHER = _PUSHER.with_for_update(read=True, of=ApiToken)


def find_pusher(hash: str, *, now: datetime) -> Pusher | None:
    """The directory behind a token; None for an unknown, ended or revoked one."""
    return _pusher(read(_PUSHER, {"hash": hash, "now": now}).first())


def hold_pusher(hash: str, *, now: datetime) -> Pusher | None:
    """The same, and the token stays valid until the end of the transaction. People and groups have to be locked
    before."""
    return _pusher(read(_HELD_PUSHER, {"hash": hash, "now": now}).first())


def _pusher(row: Any) -> Pusher | None:
    if row is None:
        return None
    return Pusher(
        None, False, row.vouched_by_id, Channel.DIRECTORY, row.token, row.created_by_id,
        row.id, row.public_id, row.name, row.token_key, row.networks, row.invites, row.paused_at is not None,
    )  # fmt: skip


# What a directory keeps


_BOSS = aliased(Person)
_MANAGER = select(_BOSS.public_id).where(_BOSS.id == Person.manager_id).correlate(Person).scalar_subquery()
_NOT_REMOVED = DirectoryEntry.removed_at.is_(None)


def kept_people(directory: int) -> Any:
    """Rows (Person, DirectoryEntry or None, public id of the manager) of the people that this directory keeps, and of
    those whom no directory keeps, so that it can find them and take them over."""
    return (
        select(Person, DirectoryEntry, _MANAGER.label("manager"))
        .outerjoin(DirectoryEntry, DirectoryEntry.person_id == Person.id)
        .where(or_(and_(DirectoryEntry.directory_id == directory, _NOT_REMOVED), DirectoryEntry.id.is_(None)))
    )


def groups_of(directory: int) -> Any:
    """Rows (Group, DirectoryEntry) of the groups that this directory keeps. Those that are kept by hand stay so."""
    return (
        select(Group, DirectoryEntry)
        .join(DirectoryEntry, DirectoryEntry.group_id == Group.id)
        .where(DirectoryEntry.directory_id == directory, _NOT_REMOVED, Group.archived_at.is_(None))
    )


def person(public_id: str) -> Person | None:
    """Any person, deactivated ones too."""
    return db.session.scalar(select(Person).where(Person.public_id == public_id))


def people_like(email: str, user_name: str, directory: int) -> list[tuple[Person, DirectoryEntry | None]]:
    """Who has this address, deactivated people too, and whom this directory keeps under this name, which is folded; one
    statement. Usually that is the same person."""
    rows = db.session.execute(
        select(Person, DirectoryEntry)
        .outerjoin(DirectoryEntry, DirectoryEntry.person_id == Person.id)
        .where(
            or_(
                Person.email == email,
                and_(
                    DirectoryEntry.directory_id == directory,
                    DirectoryEntry.user_name == user_name,
                    _NOT_REMOVED,
                ),
            )
        )
    )
    return [(row.Person, row.DirectoryEntry) for row in rows]


def people_ids(public_ids: Collection[str]) -> dict[str, int]:
    """Public id → key of people, deactivated ones too."""
    if not public_ids:
        return {}
    rows = db.session.execute(select(Person.public_id, Person.id).where(Person.public_id.in_(pad_in_list(public_ids))))
    return {row.public_id: row.id for row in rows}


def members(groups: Collection[int]) -> dict[int, list[Any]]:
    """Group → rows (id, public_id) of its members, by when they were added; one statement."""
    found: dict[int, list[Any]] = {group: [] for group in groups}
    if groups:
        rows = db.session.execute(
            select(Membership.group_id, Person.id, Person.public_id)
            .join(Person, Person.id == Membership.person_id)
            .where(Membership.group_id.in_(pad_in_list(groups)))
            .order_by(Membership.group_id, Person.id)
        )
        for row in rows:
            found[row.group_id].append(row)
    return found


def keeper_name(*, person: Any = None, group: Any = None) -> Any:
    """The name of the directory that keeps the person or the group of this column, to be selected; NULL for by hand."""
    link = DirectoryEntry.person_id == person if group is None else DirectoryEntry.group_id == group
    return (
        select(Directory.name)
        .where(link, _NOT_REMOVED, Directory.id == DirectoryEntry.directory_id)
        .correlate(Person if group is None else Group)
        .scalar_subquery()
    )


@dataclass(frozen=True, slots=True)
class Keeper:
    """The directory that keeps a person or a group."""

    public_id: str
    name: str


def keeper(*, person: int | None = None, group: int | None = None) -> Keeper | None:
    """Who keeps this person or group; None: they are kept by hand."""
    link = DirectoryEntry.person_id == person if group is None else DirectoryEntry.group_id == group
    row = db.session.execute(
        select(Directory.public_id, Directory.name)
        .join(DirectoryEntry, DirectoryEntry.directory_id == Directory.id)
        .where(link, _NOT_REMOVED, Directory.removed_at.is_(None))
    ).first()
    return None if row is None else Keeper(row.public_id, row.name)


# The page


@dataclass(frozen=True, slots=True)
class DirectoryLine:
    """A directory with what its row shows: tokens in use, what it keeps, when something came last, and how many pushes
    were refused lately."""

    directory: Directory
    tokens: list[ApiToken]
    people: int
    groups: int
    last_at: datetime | None
    refused: int


def all_of(*, now: datetime, since: datetime) -> list[DirectoryLine]:
    """The directories in use by name; two statements."""

    def how_many(*conditions: ColumnElement[bool]) -> Any:
        return (
            select(func.count())
            .where(DirectoryEntry.directory_id == Directory.id, _NOT_REMOVED, *conditions)
            .correlate(Directory)
            .scalar_subquery()
        )

    pushes = DirectoryPush.directory_id == Directory.id
    rows = db.session.execute(
        select(
            Directory,
            how_many(DirectoryEntry.person_id.is_not(None)).label("people"),
            how_many(DirectoryEntry.group_id.is_not(None)).label("groups"),
            select(func.max(DirectoryPush.at)).where(pushes).correlate(Directory).scalar_subquery().label("last_at"),
            select(func.count())
            .where(pushes, DirectoryPush.at >= since, DirectoryPush.outcome == "refused")
            .correlate(Directory)
            .scalar_subquery()
            .label("refused"),
        )
        .where(Directory.removed_at.is_(None))
        .order_by(func.lower(Directory.name), Directory.id)
    ).all()
    tokens: dict[int, list[ApiToken]] = {}
    for token in db.session.scalars(
        select(ApiToken)
        .where(ApiToken.directory_id.is_not(None), ApiToken.revoked_at.is_(None), ApiToken.expires_at > now)
        .order_by(ApiToken.id)
    ):
        tokens.setdefault(token.directory_id or 0, []).append(token)
    return [
        DirectoryLine(row.Directory, tokens.get(row.Directory.id, []), row.people, row.groups, row.last_at, row.refused)
        for row in rows
    ]


def one(public_id: str) -> Directory | None:
    """A directory in use."""
    return db.session.scalar(
        select(Directory)
        .where(Directory.public_id == public_id, Directory.removed_at.is_(None))
        .execution_options(populate_existing=True)
    )


@dataclass(frozen=True, slots=True)
class PushLine:
    """A push with the person or group that it was about, while they are known."""

    push: DirectoryPush
    person: Person | None
    group: Group | None


def pushes(directory: int, *, refused: bool = False, after: str = "", before: str = "") -> Page[PushLine]:
    """What came, newest first."""
    query: Any = (
        select(DirectoryPush.public_id.label("key"), DirectoryPush, Person, Group)
        .outerjoin(Person, Person.id == DirectoryPush.person_id)
        .outerjoin(Group, Group.id == DirectoryPush.group_id)
        .where(DirectoryPush.directory_id == directory)
    )
    if refused:
        query = query.where(DirectoryPush.outcome == "refused")
    newest = Order((DirectoryPush.id,), down=True)
    rows, count, back, more = paged(query, DirectoryPush, after=after, before=before, order=newest)
    return Page([PushLine(row.DirectoryPush, row.Person, row.Group) for row in rows], count, back, more)


def kept_groups(directory: int) -> list[Principal]:
    """The groups that this directory keeps, by name."""
    kept = exists().where(
        DirectoryEntry.group_id == Group.id,
        DirectoryEntry.directory_id == directory,
        DirectoryEntry.removed_at.is_(None),
    )
    return [principal(row) for row in db.session.execute(groups_with(kept).order_by(Group.sort_key, Group.id))]


def token(public_id: str, directory: int) -> ApiToken | None:
    """A token of this directory, in use or not."""
    return db.session.scalar(
        select(ApiToken)
        .where(ApiToken.public_id == public_id, ApiToken.directory_id == directory)
        .execution_options(populate_existing=True)
    )
