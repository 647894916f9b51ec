"""What waits for an approver, and what they have decided."""

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from webapp.extensions import db
from webapp.models import AccessRequest, App, Decision, Invitation, Person, PolicyRevision, Step, db_now
from webapp.workflow.states import StepState


def waiting_for(person_id: Any) -> Any:
    """A scalar subquery: how many open steps wait for the person."""
    return (
        select(func.count())
        .select_from(Invitation)
        .join(Step, Step.id == Invitation.step_id)
        .where(
            Invitation.person_id == person_id,
            Invitation.live,
            Step.state == StepState.OPEN.value,
            Step.due_at > db_now(),
        )
        .scalar_subquery()
    )
