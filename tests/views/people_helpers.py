"""What the tests of people and of one person share."""

from __future__ import annotations

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import Notice


def notices(kind, person):
    db.session.rollback()
    return len(db.session.scalars(select(Notice).where(Notice.kind == kind, Notice.person_id == person.id)).all())


def url(person):
    return f"/admin/people/{person.public_id}"
