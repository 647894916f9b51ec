"""The codes of approval emails: wrong ones are counted, and an email can be sent again."""

from datetime import datetime, timedelta

from sqlalchemy import case as sql_case
from sqlalchemy import select, update

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Invitation, Notice
from webapp.notices import NoticeKind, notice
from webapp.queries.cases import Case
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow import state_machine
from webapp.workflow.actor import SYSTEM, Actor
from webapp.workflow.errors import NotYourTurn, Settled
from webapp.workflow.states import Channel

from . import _invitations
from .errors import TOO_LATE, Conflict

CODES_A_DAY = 3
WRONG_CODES = 5
# "Mail it to me again": the same email, so rarely that a scanner which presses every button when an email comes in
# causes none.
SAME_MAILS_A_DAY = 3
SAME_MAIL_AFTER = timedelta(minutes=10)
SAME_MAIL = '{"same": true}'


def count_wrong_code(case: Case, invitation: Invitation, *, now: datetime) -> None:
    """Counts one well-formed wrong code. With the last try the code path closes, and the approver, who may not be the
    one who types, is told by mail.

    Raises Conflict where there is none to count any more: it was decided meanwhile, or others closed the code.
    """
    count = db.session.scalar(
        update(Invitation)
        .where(Invitation.id == invitation.id, Invitation.round == invitation.round, Invitation.live,
               Invitation.wrong_codes < WRONG_CODES)
        .values(wrong_codes=Invitation.wrong_codes + 1)
        .returning(Invitation.wrong_codes),
        execution_options={"synchronize_session": False},
    )  # fmt: skip
    if count == WRONG_CODES:
        audit.record(EventKind.CODE_CLOSED, at=now, actor=SYSTEM, request=case.request.id, person=invitation.person_id,
                     round=invitation.round)  # fmt: skip
        outbox.post(
            [
                notice(NoticeKind.CODE_CLOSED, "approver", now=now, person_id=invitation.person_id,
                                    request_id=case.request.id, step_id=invitation.step_id, invitation_id=invitation.id,
                                    round=invitation.round)
            ]
        )  # fmt: skip
    if count is None:
        raise Conflict(TOO_LATE)
    db.session.refresh(invitation)


def mail_same_code(case: Case, invitation: Invitation, *, now: datetime) -> None:
    """The email of this round once more, with the same link and code: the approver's earlier email stays valid.
    Raises Settled, NotYourTurn or Conflict."""
    step = state_machine.require_open(case.snapshot())
    if step.overdue or step.id != invitation.step_id:
        raise Settled("The deadline for this decision has passed.")
    asked_for = invitation.round
    # Held, so that of two clicks the second sees the email of the first.
    db.session.refresh(invitation, with_for_update=True)
    if not invitation.live:
        raise NotYourTurn("You are no longer an approver for this request.")
    if invitation.round != asked_for:
        raise Conflict("We have already sent you a new code.")
    # Of which kind they are is looked at here: SQLite would go through all of that kind, not through the request's few.
    notices = db.session.execute(
        select(Notice.kind, Notice.created_at, Notice.data_json)
        .where(
            Notice.request_id == case.request.id,
            Notice.invitation_id == invitation.id,
            Notice.created_at > now - timedelta(days=1),
        )
        .order_by(Notice.id)
    )
    mailed = [row for row in notices if row.kind == NoticeKind.APPROVAL_ASKED]
    if mailed and mailed[-1].created_at > now - SAME_MAIL_AFTER:
        raise Conflict(
            "We sent the email less than 10 minutes ago. Wait a little and check your spam folder, or sign in instead."
        )
    if sum(row.data_json == SAME_MAIL for row in mailed) >= SAME_MAILS_A_DAY:
        raise Conflict(
            f"We have sent this email {SAME_MAILS_A_DAY} more times today, which is the limit. Use the code from any "
            "of them or sign in."
        )
    audit.record(
        EventKind.CODE_MAILED_AGAIN,
        at=now,
        actor=Actor(invitation.person_id, channel=Channel.CODE),
        request=case.request.id,
    )
    _invitations.ask([(invitation.id, invitation.person_id, invitation.round)], case.request.id, step.id, now=now,
                     data_json=SAME_MAIL)  # fmt: skip


def mail_new_code(case: Case, invitation: Invitation, *, now: datetime) -> None:
    """A new round: a new link and code by email, the old ones stop deciding; at most three a day.
    Raises Settled, NotYourTurn or Conflict."""
    step = state_machine.require_open(case.snapshot())
    if step.overdue or step.id != invitation.step_id:
        raise Settled("The deadline for this decision has passed.")
    today, asked_for = now.date().isoformat(), invitation.round
    if not _invitations.renew(
        [
            Invitation.id == invitation.id,
            Invitation.round == asked_for,
            (Invitation.codes_day != today) | (Invitation.codes_mailed < CODES_A_DAY),
        ],
        now=now,
        asked_by=Actor(invitation.person_id, channel=Channel.CODE),
        codes_mailed=sql_case((Invitation.codes_day == today, Invitation.codes_mailed + 1), else_=1),
        codes_day=today,
    ):
        db.session.refresh(invitation)
        if not invitation.live:
            raise NotYourTurn("You are no longer an approver for this request.")
        if invitation.round != asked_for:
            raise Conflict("We have already sent you a new code.")
        if invitation.codes_day != today or invitation.codes_mailed < CODES_A_DAY:
            raise Settled("The deadline for this decision has passed.")
        raise Conflict(
            f"You have reached the limit of {CODES_A_DAY} new codes a day. Try the code in your latest email or sign "
            "in."
        )
