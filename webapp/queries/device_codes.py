"""Terminals that wait for their person: by what the person types, or by the terminal's secret."""

from datetime import datetime

from webapp.extensions import db
from webapp.models import DeviceCode


def by_user_code(typed: str, *, now: datetime) -> DeviceCode | None:
    """The terminal that waits with this code, as the person typed it."""
    letters = "".join(one for one in typed.upper() if one.isalnum())
    if len(letters) != 8:
        return None
    return (
        db.session.query(DeviceCode)
        .filter(DeviceCode.user_code == letters, DeviceCode.state == "waiting", DeviceCode.expires_at > now)
        .one_or_none()
    )


def of_terminal(public_id: str, hash: str) -> DeviceCode | None:
    """The code with this id, for who has its secret."""
    return db.session.query(DeviceCode).filter_by(public_id=public_id, hash=hash).one_or_none()
