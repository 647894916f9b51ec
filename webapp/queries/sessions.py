"""Sessions, as others than their owner's sign-in look at them."""

from datetime import datetime

from sqlalchemy import exists, select

from webapp.extensions import db
from webapp.models import PersonSession


def live_browser(public_id: str, person_id: int, *, now: datetime) -> bool:
    """Whether this browser is (still) remembered for this person's decisions."""
    return bool(
        db.session.scalar(
            select(
                exists().where(
                    PersonSession.public_id == public_id,
                    PersonSession.person_id == person_id,
                    PersonSession.kind == "decisions",
                    PersonSession.ended_at.is_(None),
                    PersonSession.expires_at > now,
                )
            )
        )
    )
