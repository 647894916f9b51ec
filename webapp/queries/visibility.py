"""Who may see a request, as SQL conditions.

People who left the approving group or were replaced as approver can no longer see the request, unless they decided it
themselves. Owners and admins see all requests for their apps.
"""

from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import aliased

from webapp.models import App, Decision, Invitation, Membership, Person, Step


def may_still_see(invitation: Any, step: Any) -> ColumnElement[bool]:
    """Of an invitation and its step: the person may decide the step, is still its approver after somebody else decided
    it, or decided it."""
    return or_(
        invitation.live,
        step.approver_person_id == invitation.person_id,
        _is(Membership, Membership.group_id == step.approver_group_id, Membership.person_id == invitation.person_id),
        _is(Decision, Decision.step_id == invitation.step_id, Decision.person_id == invitation.person_id),
    )


def was_invited(request_id: Any, person_id: Any) -> ColumnElement[bool]:
    """The person was invited to decide the request and may still see it."""
    invitation, step = aliased(Invitation), aliased(Step)
    return (
        exists()
        .where(
            invitation.request_id == request_id,
            invitation.person_id == person_id,
            step.id == invitation.step_id,
            may_still_see(invitation, step),
        )
        .correlate_except(invitation, step)
    )


def manages(app_id: Any, person_id: Any) -> ColumnElement[bool]:
    """The person is an admin, or owns the app."""
    admin, owned, member = aliased(Person), aliased(App), aliased(Membership)
    in_owner_group = _is(member, member.group_id == owned.owner_group_id, member.person_id == person_id)
    return or_(
        _is(admin, admin.id == person_id, admin.is_admin),
        _is(owned, owned.id == app_id, or_(owned.owner_person_id == person_id, in_owner_group)),
    )


def _is(table: Any, *conditions: Any) -> ColumnElement[bool]:
    # Name the tables: SQLAlchemy by itself correlates only with the next enclosing statement.
    return exists().where(*conditions).correlate_except(table)
