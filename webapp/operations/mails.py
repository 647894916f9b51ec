"""What admins do with the outbox: send again what failed, release or discard what is on hold, and try it out."""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, exists, or_, select, update

from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import MailStop, Notice, db_now
from webapp.notices import NoticeKind, notice
from webapp.record import audit
from webapp.record.events import EventKind
from webapp.workflow.actor import SYSTEM, AnyActor, require_person

from ._sql import changed
from .errors import Conflict

_NOT_AGAIN = {
    "due": "This email is already queued.",
    "leased": "This email is being sent.",
    "sent": "This email has already been sent.",
    "obsolete": "This email is outdated and will not be sent.",
    "dead": "This email failed. Select “Send again” to send it.",
    "held": "This email is on hold. Select “Send” to send it.",
}


_HELD = "This email was due when the database was restored from a backup. It may already have been sent."
_DUE_AGAIN = {"state": "due", "due_at": db_now(), "tries": 0, "error": "", "settled_at": None, "lease": None,
              "lease_until": None}  # fmt: skip


def hold(*, now: datetime) -> int:
    """After a restore: everything that is due waits for an admin. Returns how many emails are held by this."""
    held = changed(
        update(Notice)
        .where(Notice.state.in_(("due", "leased")))
        .values(state="held", error=_HELD, settled_at=now, lease=None, lease_until=None)
    )
    audit.record(EventKind.MAIL_HELD, at=now, actor=SYSTEM, mails=held)
    return held


def release(*, actor: AnyActor, now: datetime) -> int:
    """Makes all emails on hold due; obsolete ones are still not sent. Returns how many."""
    number = changed(update(Notice).where(Notice.state == "held").values(**_DUE_AGAIN))
    if number:
        audit.record(EventKind.MAIL_LET_GO, at=now, actor=actor, mails=number)
        outbox.wake()
    return number


def discard(notice: Notice | None, *, actor: AnyActor, now: datetime) -> int:
    """A held email, or with None all of them, is never sent. Returns how many; raises Conflict when that one is not
    held."""
    which = Notice.state == "held" if notice is None else and_(Notice.state == "held", Notice.id == notice.id)
    number = changed(
        update(Notice)
        .where(which)
        .values(state="obsolete", error="Discarded by an admin after the restore.", settled_at=now)
    )
    if notice is not None and number != 1:
        raise Conflict("This email is no longer on hold. Its current status is shown.")
    if number:
        audit.record(EventKind.MAIL_DROPPED, at=now, actor=actor, mails=number,
                     mail=notice.id if notice is not None else None)  # fmt: skip
    return number


def send_again(notice: Notice, *, actor: AnyActor, now: datetime) -> None:
    """A dead or held email is due again, with all its tries. Raises Conflict for any other."""
    again = update(Notice).where(Notice.id == notice.id, Notice.state.in_(("dead", "held"))).values(**_DUE_AGAIN)
    if changed(again) != 1:
        state = db.session.scalar(select(Notice.state).where(Notice.id == notice.id))
        raise Conflict(_NOT_AGAIN.get(state or "", "This email no longer exists."))
    audit.record(EventKind.MAIL_SENT_AGAIN, at=now, actor=actor, request=notice.request_id, person=notice.person_id,
                 mail=notice.id, mail_kind=notice.kind)  # fmt: skip
    outbox.wake()


def try_now(notice: Notice, *, actor: AnyActor, now: datetime) -> None:
    """What waits for its next attempt, or for the mail server, is tried now. Raises Conflict for any other."""
    waits = or_(Notice.due_at > db_now(), exists(select(MailStop.id)))
    again = update(Notice).where(Notice.id == notice.id, Notice.state == "due", waits).values(due_at=db_now())
    if changed(again) != 1:
        state = db.session.scalar(select(Notice.state).where(Notice.id == notice.id))
        raise Conflict(_NOT_AGAIN.get(state or "", "This email no longer exists."))
    changed(update(MailStop).values(next_try_at=db_now()))
    audit.record(EventKind.MAIL_TRIED_NOW, at=now, actor=actor, request=notice.request_id, person=notice.person_id,
                 mail=notice.id, mail_kind=notice.kind)  # fmt: skip
    outbox.wake()


def try_all_again(ids: Select[Any], *, actor: AnyActor, now: datetime) -> int:
    """Of these (ids), those that failed are due with all their attempts, and those that wait for their next attempt
    are due now. Returns how many."""
    chosen = Notice.id.in_(ids)
    number = changed(update(Notice).where(chosen, Notice.state == "dead").values(**_DUE_AGAIN))
    waiting = and_(Notice.state == "due", Notice.error != "")
    number += changed(update(Notice).where(chosen, waiting).values(due_at=db_now()))
    changed(update(MailStop).values(next_try_at=db_now()))
    if number:
        audit.record(EventKind.MAIL_ALL_TRIED_AGAIN, at=now, actor=actor, mails=number)
        outbox.wake()
    return number


def send_test(*, actor: AnyActor, now: datetime) -> None:
    """Posts a test email to the person who asks for it; it is sent like every other."""
    person_id = require_person(actor)
    outbox.post([notice(NoticeKind.TEST, "requester", now=now, person_id=person_id)])
    audit.record(EventKind.MAIL_TESTED, at=now, actor=actor, person=person_id)
