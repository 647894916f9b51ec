"""What decides whether a notice is obsolete, read right before it is sent."""

from collections.abc import Collection

from sqlalchemy import String, and_, bindparam, exists, or_, select
from sqlalchemy.orm import aliased

from webapp.database.transactions import autocommit
from webapp.models import (
    LIVE_GRANT,
    AccessRequest,
    Grant,
    Invitation,
    Notice,
    Person,
    Step,
    db_now,
)
from webapp.models.base import Id
from webapp.notices import NoticeKind, NoticeStatus
from webapp.queries import visibility
from webapp.queries.columns import pad_in_list

_asking = aliased(Notice)
_given = aliased(Grant)
_STATUS = (
    select(
        Notice.id, Notice.kind, Notice.role, Notice.round, Person.active, Person.password_round, AccessRequest.state,
        AccessRequest.version, Step.state.label("step"), (Step.due_at <= db_now()).label("overdue"), Invitation.live,
        Invitation.round.label("invitation_round"),
        exists()
        .where(
            _asking.request_id == Notice.request_id,
            _asking.person_id == Notice.person_id,
            _asking.kind == NoticeKind.APPROVAL_ASKED,
            # One that is being sent counts: its reader should get this email, too.
            _asking.state.in_(("sent", "leased")),
            or_(Notice.step_id.is_(None), _asking.step_id == Notice.step_id),
        )
        .correlate(Notice)
        .label("was_asked"),
        or_(
            visibility.was_invited(Notice.request_id, Notice.person_id),
            visibility.manages(AccessRequest.app_id, Notice.person_id),
        ).label("sees"),
        exists()
        .where(
            _given.state.in_(LIVE_GRANT),
            or_(
                _given.id == Notice.grant_id,
                and_(_given.person_id == AccessRequest.for_person_id, _given.app_id == AccessRequest.app_id),
            ),
        )
        .correlate(Notice, AccessRequest)
        .label("granted"),
    )
    .select_from(Notice)
    .outerjoin(Person, Person.id == Notice.person_id)
    .outerjoin(AccessRequest, AccessRequest.id == Notice.request_id)
    .outerjoin(Step, Step.id == Notice.step_id)
    .outerjoin(Invitation, Invitation.id == Notice.invitation_id)
)  # fmt: skip


# Built once: it runs for each single email.
_LEASED_STATUS = _STATUS.where(
    Notice.id.in_(bindparam("ids", type_=Id, expanding=True)),
    Notice.state == "leased",
    Notice.lease == bindparam("lease", type_=String),
    Notice.lease_until > db_now(),
)


def statuses(ids: Collection[int], lease: str) -> dict[int, NoticeStatus]:
    """notice id → what decides whether it is obsolete, of those that `lease` still holds; in one statement."""
    with autocommit("read") as connection:
        rows = connection.execute(_LEASED_STATUS, {"ids": pad_in_list(ids), "lease": lease}).mappings().all()
    return {row["id"]: NoticeStatus(**row) for row in rows}
