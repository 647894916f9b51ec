"""What is kept in memory until the commit: drafts of the audit record, and that workers have to be told.

It belongs to the transaction or the savepoint at hand. Rolling a savepoint back drops what was kept since it began,
and nothing of what was kept before; rolling back the transaction drops all.
"""

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from webapp.extensions import db


def keep(item: object) -> None:
    db.session().info.setdefault("uncommitted", []).append(item)


def take() -> list[Any]:
    """All of it, in order; nothing is kept any more. Call it only right before the commit."""
    kept: list[Any] = db.session().info.pop("uncommitted", [])
    return kept


@event.listens_for(Session, "after_transaction_create")
def _begin(session: Session, transaction: SessionTransaction) -> None:
    if transaction.nested:
        _savepoints(session)[transaction] = len(session.info.get("uncommitted", ()))


@event.listens_for(Session, "after_rollback")
def _drop(session: Session) -> None:
    savepoint = session.get_nested_transaction()
    if savepoint is None:
        session.info.pop("uncommitted", None)
    else:
        del session.info.get("uncommitted", [])[_savepoints(session)[savepoint] :]


@event.listens_for(Session, "after_transaction_end")
def _end(session: Session, transaction: SessionTransaction) -> None:
    _savepoints(session).pop(transaction, None)


def _savepoints(session: Session) -> dict[SessionTransaction, int]:
    """Open savepoint → how much was kept when it began."""
    found: dict[SessionTransaction, int] = session.info.setdefault("savepoints", {})
    return found
