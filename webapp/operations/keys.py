"""What happens to open invitations when a secret key is taken out of use."""

from datetime import datetime

from sqlalchemy import select, update

from webapp import audit, outbox
from webapp.extensions import db, keyring
from webapp.models import Invitation, Step, db_now
from webapp.workflow.states import StepState

from . import _invite


def renew_orphaned(*, now: datetime, limit: int = 500) -> int:
    """A new round, with the present key, for open invitations whose key was removed: their link and code are dead,
    and without a new mail nobody could decide from one. Returns how many were renewed."""
    orphaned = db.session.execute(
        select(Invitation.id, Step.request_id)
        .join(Step, Step.id == Invitation.step_id)
        .where(
            Invitation.live,
            Invitation.key_id.not_in(keyring().ids),
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
        )
        .order_by(Invitation.id)
        .limit(limit)
    ).all()
    if not orphaned:
        return 0
    requests = {row.id: row.request_id for row in orphaned}
    renewed = db.session.execute(
        update(Invitation)
        .where(Invitation.id.in_(requests), Invitation.live, Invitation.key_id.not_in(keyring().ids))
        .values(round=Invitation.round + 1, key_id=keyring().current, wrong_codes=0)
        .returning(Invitation.id, Invitation.person_id, Invitation.step_id, Invitation.round),
        execution_options={"synchronize_session": False},
    ).all()
    for row in renewed:
        audit.record(
            "code.renewed", at=now, actor=None, request=requests[row.id], person=row.person_id, round=row.round
        )
    outbox.post(
        [
            _invite.notice(
                "approval-asked",
                "approver",
                now=now,
                person_id=row.person_id,
                request_id=requests[row.id],
                step_id=row.step_id,
                invitation_id=row.id,
                round=row.round,
                data_json='{"new_code": true}',
            )
            for row in renewed
        ]
    )
    return len(renewed)
