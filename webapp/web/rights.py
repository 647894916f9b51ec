"""The right and the change are one transaction: a commit is refused where the right was not checked in it."""

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

from webapp.extensions import db

# Flags of the database session: the view needs a right; it was checked in this transaction.
_NEEDED, _HELD = "right needed", "right held"


def need(needed: bool = True) -> None:
    """From now on this view commits only in a transaction in which its right was checked."""
    db.session().info[_NEEDED] = needed


def note_held() -> None:
    """The right was checked in the transaction at hand, and what it depends on is locked."""
    db.session().info[_HELD] = True


@event.listens_for(Session, "before_commit")
def _refuse_without_right(session: Session) -> None:
    # A view whose right was checked in an earlier transaction has to check it again.
    if session.info.get(_NEEDED) and not session.info.get(_HELD):
        raise RuntimeError("Refused to commit: the right was not checked in this transaction. Call recheck_right().")


@event.listens_for(Session, "after_transaction_end")
def _forget(session: Session, transaction: SessionTransaction) -> None:
    if transaction.parent is None:
        session.info.pop(_HELD, None)
