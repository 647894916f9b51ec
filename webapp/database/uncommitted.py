"""A list in memory of what the commit has to do: audit drafts to write, and workers to wake.

It belongs to the current transaction or savepoint. Rolling back a savepoint drops what was added since it began;
rolling back the transaction drops everything.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from webapp.extensions import db


def add(item: object) -> None:
    db.session().info.setdefault("uncommitted", []).append(item)


def take_all() -> list[Any]:
    """Returns all items in order and empties the list. Call it only right before the commit."""
    kept: list[Any] = db.session().info.pop("uncommitted", [])
    return kept


@event.listens_for(Session, "after_transaction_create")
def _note_savepoint(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        _savepoints(session)[transaction] = len(session.info.get("uncommitted", ()))


@event.listens_for(Session, "after_rollback")
def _drop_rolled_back(session: Session) -> None:
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        session.info.pop("uncommitted", None)
    else:
        del session.info.get("uncommitted", [])[_savepoints(session)[savepoint] :]


@event.listens_for(Session, "after_transaction_end")
def _forget_savepoint(session: Session, transaction: SessionTransaction) -> None:
    _savepoints(session).pop(transaction, None)


def _savepoints(session: Session) -> dict[SessionTransaction, int]:
    """Open savepoint → the length of the list when it began."""
    found: dict[SessionTransaction, int] = session.info.setdefault("savepoints", {})
    return found
