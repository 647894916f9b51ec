"""Groups that decide are small: each member is asked by email. Other groups may have any number of members."""

from collections.abc import Iterable

from sqlalchemy import exists, func, or_, select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Group, Membership, Step
from webapp.queries import holdings
from webapp.workflow.policy import Approver
from webapp.workflow.states import RequestState, StepState

from .errors import Conflict

MEMBERS_LIMIT = 100


def decides(group: int) -> bool:
    """Whether the group is asked to decide: it is an approver in a rule, owns an app, or has a step that is not decided
    yet."""
    step = exists().where(
        Step.approver_group_id == group,
        Step.state.in_((StepState.OPEN.value, StepState.WAITING.value)),
        AccessRequest.id == Step.request_id,
        AccessRequest.state == RequestState.PENDING.value,
    )
    owns = exists().where(App.owner_group_id == group)
    asked, named = db.session.execute(select(or_(step, owns), holdings.may_name(group=group))).one()
    # Only the rule itself says whether it is an approver in it.
    return bool(asked) or (bool(named) and bool(holdings.rules_naming(group=group)))


def refuse_too_large(approvers: Iterable[Approver | None]) -> None:
    """Raises Conflict if one of these is a group with more members than may be asked at once."""
    groups = [one.group for one in approvers if one is not None and one.group is not None]
    if not groups:
        return
    found = db.session.execute(
        select(Group.name, func.count())
        .join(Membership, Membership.group_id == Group.id)
        .where(Group.id.in_(groups))
        .group_by(Group.id, Group.name)
        .having(func.count() > MEMBERS_LIMIT)
    ).first()
    if found is not None:
        name, members = found
        raise Conflict(
            f"{name} has {members:,} members. A group that decides can have up to {MEMBERS_LIMIT}, because all of them "
            "are asked. Choose a smaller group."
        )
