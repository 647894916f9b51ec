"""The organisation that runs this installation."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Organisation


def time_zone() -> str:
    """The time zone of everyone who has not set their own."""
    return db.session.scalar(select(Organisation.time_zone)) or "UTC"
