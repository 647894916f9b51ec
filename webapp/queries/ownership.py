"""Which apps a person owns: directly, or as a member of the owning group."""

from typing import Any

from sqlalchemy import bindparam, exists, or_, select

from webapp.extensions import db
from webapp.models import App, Membership


def owned_by(person_id: Any) -> Any:
    """The condition that the person owns the app."""
    groups = select(Membership.group_id).where(Membership.person_id == person_id)
    return or_(App.owner_person_id == person_id, App.owner_group_id.in_(groups))


def owns_any(person_id: Any) -> Any:
    """The condition that the person owns an app in use. Two look-ups, each by an index."""
    in_use = App.archived_at.is_(None)
    return or_(
        exists().where(App.owner_person_id == person_id, in_use),
        exists().where(Membership.person_id == person_id, App.owner_group_id == Membership.group_id, in_use),
    )


# Built once: SQLAlchemy takes twice as long to build a statement as to run it.
_OWNS = select(
    exists().where(App.public_id == bindparam("public_id"), App.archived_at.is_(None), owned_by(bindparam("person")))
)


def owns(public_id: str, person_id: int) -> bool:
    """Whether the person owns this app and it is in use."""
    return bool(db.session.scalar(_OWNS, {"public_id": public_id, "person": person_id}))
