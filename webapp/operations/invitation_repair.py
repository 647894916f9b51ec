"""Repairs pending requests whose approvers were not invited, whatever the cause: a fault, or a change by hand."""

import logging
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, update

from webapp.models import Organisation, db_now
from webapp.queries import directory

from ._reassign import reinvite
from ._sql import changed

EVERY_SECONDS = 24 * 3600

log = logging.getLogger("countersign.asked")


def is_due() -> bool:
    """Whether this worker has to check now: once a day, for the first worker that calls it. The caller commits."""
    mine = (
        update(Organisation)
        .where(or_(Organisation.asked_checked_at.is_(None), Organisation.asked_checked_at <= db_now(-EVERY_SECONDS)))
        .values(asked_checked_at=db_now())
    )
    return changed(mine) == 1


def repair(requests: Collection[int], *, now: datetime) -> int:
    """Invite the people who may decide these requests, and no others. Returns how many requests were wrong."""
    directory.lock(exclusive=True)
    repaired = reinvite(requests, now=now)
    if repaired:
        log.error("Pending requests were not with those who can decide them; they are now.",
                  extra={"requests": repaired})  # fmt: skip
    return repaired
