"""Leases on rows that have to be sent: claim, check, mark, give back. For any table with the columns of `Leased`.

Each channel has a table of its own and claims only there, so that one whose receiver is out of reach holds up no
other. When a worker dies, another one claims its rows after their lease has ended.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select, update

from webapp.extensions import db
from webapp.models import db_now
from webapp.models.lease import Leased
from webapp.queries.columns import pad_in_list

LEASE_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that is ours until its lease ends. `failed`: an attempt before this one failed. `is_probe`: it is sent to
    find out whether the receiver takes anything again."""

    id: int
    lease: str
    tries: int
    failed: bool = False
    is_probe: bool = False


def claim(table: type[Leased], limit: int, *conditions: Any, order: Sequence[Any]) -> list[Claim]:
    """Leases up to `limit` rows that are due, or whose holder died, the first of `order`. Commits."""
    lease = secrets.token_hex(8)
    wanted = (
        select(table.id)
        .where(
            or_(
                and_(table.state == "due", table.due_at <= db_now()),
                and_(table.state == "leased", table.lease_until <= db_now()),
            ),
            *conditions,
        )
        .order_by(*order)
        .limit(limit)
        .with_for_update(skip_locked=True)
        # PostgreSQL may run a plain subquery more than once, and would lease more than `limit`.
        .cte("wanted")
    )
    rows = db.session.execute(
        update(table)
        .where(table.id.in_(select(wanted.c.id)))
        .values(state="leased", lease=lease, lease_until=db_now(LEASE_SECONDS), tries=table.tries + 1)
        .returning(table.id, table.tries, table.due_at, table.error),
        execution_options={"synchronize_session": False},
    ).all()
    db.session.commit()
    rows = sorted(rows, key=lambda row: (row.due_at, row.id))
    return [Claim(row.id, lease, row.tries, bool(row.error)) for row in rows]


def is_ours(table: type[Leased], claims: Sequence[Claim]) -> Any:
    """The condition "these rows are still ours", for claims of one batch: every check and every mark carries it."""
    return and_(
        table.id.in_(pad_in_list(one.id for one in claims)),
        table.state == "leased",
        table.lease == claims[0].lease,
        table.lease_until > db_now(),
    )


def mark(table: type[Leased], claims: Sequence[Claim], **values: Any) -> int:
    """Ends the lease of those that are still ours and sets these columns; returns how many. Does not commit."""
    result = db.session.execute(
        update(table).where(is_ours(table, claims)).values(lease_until=None, **values),
        execution_options={"synchronize_session": False},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def give_back(table: type[Leased], claims: Sequence[Claim], **values: Any) -> int:
    """Makes rows of one batch due again, as if they had never been claimed, and sets these columns; returns how many.
    Does not commit."""
    result = db.session.execute(
        update(table)
        .where(table.id.in_([one.id for one in claims]), table.lease == claims[0].lease, table.state == "leased")
        .values(state="due", lease=None, lease_until=None, tries=table.tries - 1, **values),
        execution_options={"synchronize_session": False},
    )
    return int(result.rowcount)  # type: ignore[attr-defined]
