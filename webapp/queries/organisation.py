"""The organisation that runs this installation."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Organisation


def load(*, hold: bool = False) -> Organisation:
    """The one row; with `hold`, locked until the end of the transaction."""
    return db.session.get_one(Organisation, 1, populate_existing=True, with_for_update=hold)


def time_zone() -> str:
    """The time zone of everyone who has not set their own."""
    return db.session.scalar(select(Organisation.time_zone)) or "UTC"
