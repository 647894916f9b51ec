"""Who may see a request that they were asked about, as conditions for statements.

Seeing follows the right: who left the group, or was replaced, sees no more than who was never asked; what somebody
decided stays theirs to see. Owners and admins see the requests of their apps, whoever was asked.
"""

from typing import Any

from sqlalchemy import ColumnElement, exists, or_
from sqlalchemy.orm import aliased

from webapp.models import App, Decision, Invitation, Membership, Person, Step


def stands(invitation: Any, step: Any) -> ColumnElement[bool]:
    """Of an invitation and its step: the person may decide it, could when it was decided and has not left since, or
    decided it."""
    return or_(
        invitation.live,
        step.approver_person_id == invitation.person_id,
        _is(Membership, Membership.group_id == step.approver_group_id, Membership.person_id == invitation.person_id),
        _is(Decision, Decision.step_id == invitation.step_id, Decision.person_id == invitation.person_id),
    )


def asked(request_id: Any, person_id: Any) -> ColumnElement[bool]:
    """The person was asked about the request, and may see it still."""
    invitation, step = aliased(Invitation), aliased(Step)
    return (
        exists()
        .where(
            invitation.request_id == request_id,
            invitation.person_id == person_id,
            step.id == invitation.step_id,
            stands(invitation, step),
        )
        .correlate_except(invitation, step)
    )


def keeps(app_id: Any, person_id: Any) -> ColumnElement[bool]:
    """The person is an admin, or owns the app."""
    admin, owned, member = aliased(Person), aliased(App), aliased(Membership)
    in_owner_group = _is(member, member.group_id == owned.owner_group_id, member.person_id == person_id)
    return or_(
        _is(admin, admin.id == person_id, admin.is_admin),
        _is(owned, owned.id == app_id, or_(owned.owner_person_id == person_id, in_owner_group)),
    )


def _is(table: Any, *conditions: Any) -> ColumnElement[bool]:
    # Told in full: by itself SQLAlchemy finds tables of the next statement around it only.
    return exists().where(*conditions).correlate_except(table)
