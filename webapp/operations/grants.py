"""What admins do to an app that somebody has."""

from datetime import datetime

from sqlalchemy import select, update

from webapp import audit, outbox
from webapp.extensions import db
from webapp.models import LIVE_GRANT, App, Grant, Person
from webapp.queries import directory
from webapp.text import clean, sha256

from . import _invite
from ._sql import changed
from .errors import Conflict, Invalid

REASON_LIMIT = 500


def remove(grant: Grant, *, actor: Person, reason: str, now: datetime) -> None:
    """Takes the app away; the person, and whoever looks after the app, are mailed why. It can be asked for again.

    Raises Invalid without a reason, and Conflict when it was taken away before.
    """
    reason = clean(reason)
    if not reason:
        raise Invalid(reason="Please say why: they read it in the mail, and it stays in the record.")
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=f"Please keep it to {REASON_LIMIT} characters; this has {len(reason):,}.")
    directory.lock()
    if changed(
        update(Grant)
        .where(Grant.id == grant.id, Grant.state.in_(LIVE_GRANT))
        .values(state="removed", removed_at=now, removed_by_id=actor.id, removed_reason=reason)
    ) != 1:  # fmt: skip
        raise Conflict(_gone(grant))
    audit.record("grant.removed", at=now, actor=actor.id, request=grant.request_id, app=grant.app_id,
                 person=grant.person_id, grant=grant.id, reason=sha256(reason))  # fmt: skip
    owner = db.session.get_one(App, grant.app_id).owner
    owners = directory.look_up([owner], admins=False).directory.active if owner else frozenset()
    outbox.post(
        [
            _invite.notice("grant-removed", role, now=now, person_id=person, grant_id=grant.id)
            for role, person in [
                ("requester", grant.person_id),
                *(("other", one) for one in sorted(owners - {grant.person_id, actor.id})),
            ]
        ]
    )


def _gone(grant: Grant) -> str:
    row = db.session.execute(
        select(App.name, Person.name.label("by"))
        .select_from(Grant)
        .join(App, App.id == Grant.app_id)
        .outerjoin(Person, Person.id == Grant.removed_by_id)
        .where(Grant.id == grant.id)
    ).one()
    return f"{row.by or 'Somebody'} has taken {row.name} away already. It was not done twice."
