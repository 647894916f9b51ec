"""Signed cookies that several machines read, whose clocks may differ."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import SignatureExpired, TimestampSigner

# What was signed with a date of the future is one of now: the machine that signed it was ahead.
AHEAD = timedelta(hours=1)


class Signer(TimestampSigner):
    """itsdangerous refuses a signature that is one second younger than now."""

    def unsign(self, signed_value: Any, max_age: int | None = None, return_timestamp: bool = False) -> Any:
        read: Any = super().unsign  # its types know no bool for the last one
        try:
            return read(signed_value, max_age, return_timestamp)
        except SignatureExpired as error:
            signed = error.date_signed
            if signed is None or not timedelta(0) < signed - datetime.now(UTC) < AHEAD:
                raise
            return read(signed_value, None, return_timestamp)


class Sessions(SecureCookieSessionInterface):
    def get_signing_serializer(self, app: Flask) -> Any:
        serializer = super().get_signing_serializer(app)
        if serializer is not None:
            serializer.signer = Signer
        return serializer
