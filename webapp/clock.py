"""The only wall clock. It follows the database's clock, which all processes share: `agree` is told what it says.

Instants that decide something are set and compared on the database's clock itself. This clock serves the rest, so that
a machine whose clock is wrong, or is set while it runs, puts no wrong date into an email or the audit log.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

AGREE_SECONDS = 30.0
# Smaller differences are the round trip to the database.
ROUND_TRIP = timedelta(seconds=1)

log = logging.getLogger("countersign.clock")


@dataclass(frozen=True, slots=True)
class _Agreed:
    """At `steady` seconds of the monotonic clock, this machine's clock said `ours` and the database's `theirs`."""

    steady: float
    ours: datetime
    theirs: datetime

    @property
    def ahead(self) -> timedelta:
        apart = self.theirs - self.ours
        return apart if abs(apart) > ROUND_TRIP else timedelta(0)

    def was_set(self, steady: float, ours: datetime) -> bool:
        """Whether this machine's clock was set since then."""
        return abs((ours - self.ours).total_seconds() - (steady - self.steady)) > ROUND_TRIP.total_seconds()


_agreed: _Agreed | None = None


def now() -> datetime:
    """Now, aware UTC."""
    ours, agreed = datetime.now(UTC), _agreed
    if agreed is None:
        return ours
    steady = time.monotonic()
    if agreed.was_set(steady, ours):
        return agreed.theirs + timedelta(seconds=steady - agreed.steady)
    return ours + agreed.ahead


def apart() -> timedelta:
    """How far the database's clock is ahead of this machine's when last asked; under a second counts as zero."""
    return _agreed.ahead if _agreed is not None else timedelta(0)


def is_due() -> bool:
    """Whether the database should be asked again."""
    steady = time.monotonic()
    return _agreed is None or steady - _agreed.steady > AGREE_SECONDS or _agreed.was_set(steady, datetime.now(UTC))


def agree(theirs: datetime) -> None:
    """Follow the database's clock from now on; `theirs` is what it just said (aware)."""
    global _agreed
    before, _agreed = _agreed, _Agreed(time.monotonic(), datetime.now(UTC), theirs.astimezone(UTC))
    if abs(_agreed.ahead - (before.ahead if before else timedelta(0))) > ROUND_TRIP:
        log.warning("This machine's clock is not the database's; the database's counts.",
                    extra={"seconds": round(_agreed.ahead.total_seconds())})  # fmt: skip
