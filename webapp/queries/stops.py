"""Whether emails are stopped, since when and why."""

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import MailStop


def current() -> MailStop | None:
    """None while emails go out."""
    return db.session.scalars(select(MailStop)).one_or_none()
