"""When people, groups or owners change: who may decide the open steps is worked out again.

Every operation that changes who is active, an admin, a member or an owner calls `reassign_open_steps` after it;
tests/operations/test_reassigned.py looks through the operations for one that does not.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import or_, select, update

from webapp.extensions import db, keyring
from webapp.models import AccessRequest, App, Invitation, Step
from webapp.queries import open_steps
from webapp.queries.open_steps import OpenStep
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow.actor import SYSTEM
from webapp.workflow.states import StepState, Tier

from . import _invitations
from ._sql import changed
from ._transition import hold_all


def reassign_open_steps(*, people: Collection[int] = (), groups: Collection[int] = (), apps: Collection[int] = (),
              now: datetime) -> None:  # fmt: skip
    """Re-resolves the open steps that these people, groups or apps' owners touch, and all that a fallback holds.

    New deciders are invited; people who are no longer deciders can no longer decide. The caller has taken
    `directory.lock(exclusive=True)` and made its change before.
    """
    db.session.flush()
    touched = db.session.scalars(
        select(Step.request_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
        .join(App, App.id == AccessRequest.app_id)
        .where(
            Step.state == StepState.OPEN.value,
            or_(
                Step.approver_person_id.in_(people),
                Step.approver_group_id.in_(groups),
                App.owner_person_id.in_(people),
                App.owner_group_id.in_(groups),
                App.id.in_(apps),
                Step.tier != Tier.APPROVER.value,
            ),
        )
    ).all()
    reinvite(touched, now=now)


def reinvite(requests: Collection[int], *, now: datetime) -> int:
    """Works out again who decides the open step of these requests; returns of how many that was not who is asked.

    The caller has taken `directory.lock()`, exclusive if it changed who is who.
    """
    if not requests:
        return 0
    held = hold_all(requests)
    steps = open_steps.find(Step.request_id.in_(held))
    invited: dict[int, dict[int, Invitation]] = {}
    for invitation in db.session.scalars(
        select(Invitation)
        .where(Invitation.step_id.in_([step.id for step in steps]))
        .execution_options(populate_existing=True)
    ):
        invited.setdefault(invitation.step_id, {})[invitation.person_id] = invitation
    found_wrong = 0
    for step in steps:
        found_wrong += _invite_anew(step, invited.get(step.id, {}), now=now)
    return found_wrong


def _invite_anew(step: OpenStep, invited: dict[int, Invitation], *, now: datetime) -> bool:
    """Whether anything was to be changed."""
    before = sorted(person for person, invitation in invited.items() if invitation.live)
    after = sorted(step.deciders.people)
    if before == after and step.tier == step.deciders.tier.value:
        return False
    changed(update(Step).where(Step.id == step.id).values(tier=step.deciders.tier.value))
    returning: list[tuple[int, int, int]] = []
    for person, invitation in invited.items():
        if invitation.live and person not in after:
            invitation.live = False
        elif not invitation.live and person in after:
            # Asked once more: a new round, so that the link they had before stays dead.
            invitation.live, invitation.round, invitation.wrong_codes = True, invitation.round + 1, 0
            invitation.key_id = keyring().current
            returning.append((invitation.id, person, invitation.round))
    db.session.flush()
    _invitations.invite(step.request_id, step.id, [person for person in after if person not in invited], now=now)
    _invitations.ask(returning, step.request_id, step.id, now=now)
    audit.record(
        EventKind.STEP_REASSIGNED,
        at=now,
        actor=SYSTEM,
        request=step.request_id,
        step=step.position,
        before={"tier": step.tier, "asked": before},
        after={"tier": step.deciders.tier.value, "asked": after},
    )
    return True
