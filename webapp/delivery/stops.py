"""While the mail server takes nothing: emails wait and lose no attempt; one at a time is sent to find out whether it
works again.

The one row of `mail_stops` says since when and why; all workers read it. Each function is a transaction of its own.
"""

from sqlalchemy import case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from webapp.database.transactions import autocommit
from webapp.models import MailStop, db_now
from webapp.models.notices import Cause

# Seconds from one attempt to the next, after the first, second … that failed.
PAUSES = (30, 60, 120, 300, 600)
# For so long (a lease of the outbox), only the worker that took the turn tries the server.
TURN_SECONDS = 120


_IS_DUE = select((MailStop.next_try_at <= db_now()).label("due"))


def begin(cause: Cause, answer: str) -> None:
    """Records that the server takes nothing (still or now): each pause before the next attempt is longer."""
    pause = case(
        *((MailStop.failures == number, seconds) for number, seconds in enumerate(PAUSES[1:], 1)), else_=PAUSES[-1]
    )
    again = update(MailStop).values(
        cause=cause.value, answer=answer[:500], failures=MailStop.failures + 1, next_try_at=db_now(pause)
    )
    with autocommit("write") as connection:
        if connection.execute(again).rowcount:
            return
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(
            insert(MailStop.__table__)  # type: ignore[arg-type]
            .values(
                id=1, since=db_now(), cause=cause.value, answer=answer[:500], failures=1,
                next_try_at=db_now(PAUSES[0]),
            )
            .on_conflict_do_nothing()
        )  # fmt: skip


def end() -> None:
    """Records that the server takes emails again."""
    with autocommit("write") as connection:
        connection.execute(delete(MailStop))


def take_turn() -> bool:
    """Takes the turn: True if emails are stopped and this worker is the one to try now."""
    with autocommit("read") as connection:
        row = connection.execute(_IS_DUE).one_or_none()
    if row is None or not row.due:
        return False
    mine = update(MailStop).where(MailStop.next_try_at <= db_now()).values(next_try_at=db_now(TURN_SECONDS))
    with autocommit("write") as connection:
        return bool(connection.execute(mine).rowcount)


def try_next_now() -> None:
    """Makes the next attempt due now."""
    with autocommit("write") as connection:
        connection.execute(update(MailStop).values(next_try_at=db_now()))
