"""The company that runs this installation."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Organisation


def time_zone() -> str:
    """The zone of everybody who has not set another."""
    return db.session.scalar(select(Organisation.time_zone)) or "UTC"
