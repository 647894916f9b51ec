"""What people do with an app that they have: give it back."""

from datetime import datetime, timedelta

from sqlalchemy import func, select, update

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import LIVE_GRANT, App, Grant
from webapp.notices import NoticeKind, notice
from webapp.queries import directory
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.text import clean, sha256
from webapp.workflow.actor import AnyActor
from webapp.workflow.approvers import who_decides
from webapp.workflow.errors import NotYourTurn
from webapp.workflow.states import Tier

from ._sql import changed
from .errors import Conflict, Invalid, too_long

REASON_LIMIT = 500
# An app that is added and given back in turn would email its owner each time.
RETURNS_A_DAY = 3


def give_back(grant: Grant, *, actor: AnyActor, reason: str = "", now: datetime) -> None:
    """The person no longer has the app; its owner, else the admins, are mailed. It can be added or requested again.

    Raises NotYourTurn for anybody else's app, Invalid, and Conflict when they no longer have it or have given it back
    too often today.
    """
    if grant.person_id != actor.id:
        raise NotYourTurn("Only the person who has an app can give it back.")
    reason = clean(reason)
    if len(reason) > REASON_LIMIT:
        raise Invalid(reason=too_long(reason, REASON_LIMIT))
    directory.lock()
    app = db.session.get_one(App, grant.app_id)
    if changed(
        update(Grant)
        .where(Grant.id == grant.id, Grant.state.in_(LIVE_GRANT))
        .values(state="removed", removed_at=now, removed_by_id=actor.id, removed_reason=reason)
    ) != 1:  # fmt: skip
        raise Conflict(f"You no longer have {app.name}.")
    if _returns(grant, since=now - timedelta(days=1)) > RETURNS_A_DAY:
        raise Conflict(
            f"You have given {app.name} back {RETURNS_A_DAY} times in the last 24 hours, which is the limit. "
            "Try again tomorrow or ask an admin to remove it."
        )
    audit.record(EventKind.GRANT_REMOVED, at=now, actor=actor, request=grant.request_id, app=app.id, person=actor.id,
                 grant=grant.id, reason=sha256(reason) if reason else None)  # fmt: skip
    found = directory.look_up([app.owner]).directory
    people, tier = tuple(one for one in found.admins if one != actor.id), Tier.ADMINS
    if app.owner is not None:
        told = who_decides(app.owner, owner=None, directory=found, without=frozenset({grant.person_id}))
        people, tier = told.people, told.tier
    outbox.post(
        [
            notice(NoticeKind.GRANT_RETURNED, "other", now=now, person_id=one, grant_id=grant.id,
                                data_json='{"admin": true}' if tier is Tier.ADMINS else "{}")
            for one in people
        ]
    )  # fmt: skip


def _returns(grant: Grant, *, since: datetime) -> int:
    """How often the person gave the app back since then."""
    query = select(func.count()).where(
        Grant.person_id == grant.person_id,
        Grant.state == "removed",
        Grant.removed_at > since,
        Grant.app_id == grant.app_id,
        Grant.removed_by_id == grant.person_id,
    )
    return db.session.scalar(query) or 0
