"""Signatures with a date, for several machines whose clocks may differ."""

from datetime import UTC, datetime, timedelta
from typing import Any

from itsdangerous import SignatureExpired, TimestampSigner

# A signature dated up to so far in the future counts as one of now: the clock of the machine that signed was ahead.
AHEAD = timedelta(hours=1)


class Signer(TimestampSigner):
    """TimestampSigner for machines whose clocks differ: itsdangerous refuses a signature one second ahead of now."""

    def unsign(self, signed_value: Any, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        read: Any = super().unsign  # its types know no bool for the last one
        try:
            return read(signed_value, max_age, return_timestamp)
        except SignatureExpired as error:
            signed = error.date_signed
            if signed is None or not timedelta(0) < signed - datetime.now(UTC) < AHEAD:
                raise
            return read(signed_value, None, return_timestamp)
