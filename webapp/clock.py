"""The only wall clock. It goes by the database's, which all processes share: `agree` is told what that one says.

Instants that decide something are set and compared on the database's clock itself; this one serves the rest, and a
machine whose clock is wrong, or is set while we run, puts no wrong date into a mail or the record.
"""

import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

AGREE_SECONDS = 30.0
# Less than this is the way to the database and back.
ALIKE = timedelta(seconds=1)

log = logging.getLogger("countersign.clock")


@dataclass(frozen=True, slots=True)
class _Agreed:
    """At `steady` seconds of the clock that nobody can set, ours said `ours` and the database's `theirs`."""

    steady: float
    ours: datetime
    theirs: datetime

    @property
    def ahead(self) -> timedelta:
        apart = self.theirs - self.ours
        return apart if abs(apart) > ALIKE else timedelta(0)

    def was_set(self, steady: float, ours: datetime) -> bool:
        """Whether somebody has set our clock since."""
        return abs((ours - self.ours).total_seconds() - (steady - self.steady)) > ALIKE.total_seconds()


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
    """By how much the database's clock is ahead of this machine's, as far as it was asked; under a second is none."""
    return _agreed.ahead if _agreed is not None else timedelta(0)


def is_due() -> bool:
    """Whether the database should be asked again."""
    steady = time.monotonic()
    return _agreed is None or steady - _agreed.steady > AGREE_SECONDS or _agreed.was_set(steady, datetime.now(UTC))


def agree(theirs: datetime) -> None:
    """From now on we go by what the database just said (aware)."""
    global _agreed
    before, _agreed = _agreed, _Agreed(time.monotonic(), datetime.now(UTC), theirs.astimezone(UTC))
    if abs(_agreed.ahead - (before.ahead if before else timedelta(0))) > ALIKE:
        log.warning("This machine's clock is not the database's; the database's counts.",
                    extra={"seconds": round(_agreed.ahead.total_seconds())})  # fmt: skip
