"""What becomes of an app's pending requests when approval is turned off or the app is archived."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import select

from webapp.extensions import db
from webapp.models import AccessRequest, App
from webapp.queries import cases, directory
from webapp.text import clean
from webapp.workflow.actor import AnyActor
from webapp.workflow.errors import Settled
from webapp.workflow.states import RequestState

from . import decisions, requests
from .errors import Conflict, Invalid

ACTIONS = ("finish", "approve", "cancel")
LIMIT = 500
REASON_LIMIT = 200


def resolve_pending(
    app: App, action: str, *, seen: Collection[int] | None = None, reason: str, actor: AnyActor, now: datetime
) -> int:
    """Does with the app's pending requests what `action` says; returns how many it touched.

    "finish" leaves them alone, "approve" is the admin's named override, "cancel" ends them and tells people. To cancel
    takes as many statements for 500 as for one, to approve eleven for each. `seen`: the ids of those that the actor
    was shown.
    Raises Invalid, or Conflict when one is the actor's own, another is decided right now, there are too many, or one
    lacks a value that its rule requires and "approve" would give the app without it.
    """
    reason = clean(reason)
    if action not in ACTIONS:
        raise Invalid(pending="Choose one of the three.")
    if len(reason) > REASON_LIMIT:
        raise Invalid(why=f"Use {REASON_LIMIT} characters or fewer. You entered {len(reason)}.")
    if action == "finish":
        return 0
    if not actor.is_admin:
        raise Conflict("Only an admin can approve or cancel them all. Keep them pending or ask an admin.")
    if not reason:
        raise Invalid(why="Enter a reason. People on these requests will see it with your name.")
    directory.lock()
    waiting = db.session.execute(
        select(AccessRequest.id, AccessRequest.asked_by_id, AccessRequest.for_person_id)
        .where(AccessRequest.app_id == app.id, AccessRequest.state == RequestState.PENDING.value)
        .order_by(AccessRequest.id)
        .limit(LIMIT + 1)
    ).all()
    if len(waiting) > LIMIT:
        raise Conflict(f"More than {LIMIT} requests are pending. Keep them pending.")
    if seen is not None and not {row.id for row in waiting} <= set(seen):
        raise Conflict(f"There is a new request for {app.name}. Nothing was saved. Look at it and confirm again.")
    if any(actor.responsible_id in (row.asked_by_id, row.for_person_id) for row in waiting):
        raise Conflict(f"You have a pending request for {app.name}. Another admin has to do this.")
    if action == "cancel":
        return requests.cancel_all([row.id for row in waiting], actor=actor, reason=reason, now=now)
    done = 0
    lacking: list[list[str]] = []
    for row in waiting:
        case = cases.load(id=row.id)
        assert case is not None  # requests are never deleted
        # What was decided or ran out meanwhile needs nothing any more.
        with suppress(Settled):
            missing = [one.name for one in case.policy.missing(case.request.values)]
            decisions.approve_remaining_steps(case, actor=actor, reason=reason, now=now)
            if missing:
                lacking.append(missing)
            done += 1
    if lacking:
        raise Conflict(_without(lacking))
    return done


def _without(lacking: Sequence[Sequence[str]]) -> str:
    """Why they cannot be approved past the steps: nobody would set what those would have set."""
    names = ", ".join(dict.fromkeys(name for missing in lacking for name in missing))
    are, them = ("1 request is", "it") if len(lacking) == 1 else (f"{len(lacking)} requests are", "them")
    fields = "a required field" if "," not in names else "required fields"
    return f"{are} missing {fields} ({names}) that an approver would set. Keep {them} pending or cancel {them}."
