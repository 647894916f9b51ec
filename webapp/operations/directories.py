"""Directories: the connections by which people and groups are pushed, and their tokens."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, exists, select, update

from webapp.extensions import db
from webapp.models import ApiToken, Directory, DirectoryEntry, DirectoryPush
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import one_line, sha256
from webapp.workflow.actor import AnyActor

from . import tokens
from ._sql import changed
from .errors import Conflict, Invalid

NAME_LIMIT = 80
DIRECTORIES_LIMIT = 20
# Days that a token of a directory lasts: it is put into another system, where somebody has to replace it.
TOKEN_DAYS = 365
# Tokens of one directory that work at the same time: the one in use, and the one that takes its place.
TOKENS_LIMIT = 2
PUSHES_KEPT = timedelta(days=30)


def create(
    *, name: str, invites: bool = False, days: int = TOKEN_DAYS, actor: AnyActor, now: datetime
) -> tuple[Directory, str]:
    """A new directory with its first token, which is stored nowhere. Raises Invalid."""
    name = _name(name, besides=None)
    if len(db.session.scalars(select(Directory.id).where(Directory.removed_at.is_(None))).all()) >= DIRECTORIES_LIMIT:
        raise Invalid(name=f"There are {DIRECTORIES_LIMIT} directories. Remove one first.")
    row = Directory(name=name, invites=invites, created_by_id=actor.responsible_id, created_at=now)
    db.session.add(row)
    db.session.flush()
    _record(EventKind.DIRECTORY_CREATED, row, actor=actor, now=now, after={"name": sha256(name), "invites": invites})
    _, secret = _make_token(row, days=days, actor=actor, now=now)
    return row, secret


def change(directory: Directory, *, name: str, invites: bool, actor: AnyActor, now: datetime) -> None:
    """Another name, and whether new people are invited. Raises Invalid."""
    name = _name(name, besides=directory)
    before = {"name": sha256(directory.name), "invites": directory.invites}
    after = {"name": sha256(name), "invites": invites}
    if before == after:
        return
    directory.name, directory.invites = name, invites
    _record(EventKind.DIRECTORY_CHANGED, directory, actor=actor, now=now, before=before, after=after)


def new_token(directory: Directory, *, days: int = TOKEN_DAYS, actor: AnyActor, now: datetime) -> tuple[ApiToken, str]:
    """One more token, so that the one in use can be replaced without a break. Raises Conflict or Invalid."""
    in_use = db.session.scalars(
        select(ApiToken.id).where(
            ApiToken.directory_id == directory.id, ApiToken.revoked_at.is_(None), ApiToken.expires_at > now
        )
    ).all()
    if len(in_use) >= TOKENS_LIMIT:
        raise Conflict(f"{directory.name} has {len(in_use)} tokens. End one of them before you make another one.")
    return _make_token(directory, days=days, actor=actor, now=now)


def _make_token(directory: Directory, *, days: int, actor: AnyActor, now: datetime) -> tuple[ApiToken, str]:
    return tokens.create(
        name=str(directory.name), scopes=(), days=days, actor=actor, now=now, directory_id=directory.id
    )


def pause(directory: Directory, *, actor: AnyActor, now: datetime) -> None:
    """Its pushes are refused until it is resumed. Raises Conflict."""
    if directory.paused_at is not None:
        raise Conflict(f"{directory.name} is already paused.")
    directory.paused_at = now
    _record(EventKind.DIRECTORY_PAUSED, directory, actor=actor, now=now)


def resume(directory: Directory, *, actor: AnyActor, now: datetime) -> None:
    """Raises Conflict."""
    if directory.paused_at is None:
        raise Conflict(f"{directory.name} is not paused.")
    directory.paused_at = None
    _record(EventKind.DIRECTORY_RESUMED, directory, actor=actor, now=now)


def remove(directory: Directory, *, actor: AnyActor, now: datetime) -> None:
    """Its tokens end. The people and groups stay as they are, and can be changed by hand. Raises Conflict."""
    if directory.removed_at is not None:
        raise Conflict(f"{directory.name} is already removed.")
    directory.removed_at = now
    changed(
        update(ApiToken)
        .where(ApiToken.directory_id == directory.id, ApiToken.revoked_at.is_(None))
        .values(revoked_at=now, revoked_by_id=actor.responsible_id)
    )
    kept = changed(delete(DirectoryEntry).where(DirectoryEntry.directory_id == directory.id))
    _record(EventKind.DIRECTORY_REMOVED, directory, actor=actor, now=now, entries=kept)


def forget_pushes(*, now: datetime) -> int:
    """Deletes what came long ago; returns how many lines."""
    return changed(delete(DirectoryPush).where(DirectoryPush.at < now - PUSHES_KEPT))


def _name(given: str, *, besides: Directory | None) -> str:
    name = one_line(given)
    if not name:
        raise Invalid(name="Enter a name, such as Entra ID.")
    if len(name) > NAME_LIMIT:
        raise Invalid(name=f"Use {NAME_LIMIT} characters or fewer.")
    others = [Directory.id != besides.id] if besides is not None else []
    if db.session.scalar(select(exists().where(Directory.name == name, Directory.removed_at.is_(None), *others))):
        raise Invalid(name=f"A directory called {name} already exists.")
    return name


def _record(kind: EventKind, directory: Directory, *, actor: AnyActor, now: datetime, **facts: Any) -> None:
    audit.record(kind, at=now, actor=actor, directory=directory.id, **facts)
