"""What admins do with the outbox: send again what was given up, let go or drop what is held, and try it out."""

from datetime import datetime

from sqlalchemy import and_, select, update

from webapp import audit, outbox
from webapp.extensions import db
from webapp.models import Notice, Person, db_now

from . import _invite
from ._sql import changed
from .errors import Conflict

_NOT_AGAIN = {
    "due": "This mail is due already: it goes out by itself.",
    "leased": "This mail is being sent right now.",
    "sent": "The mail server accepted this mail already. A second one would only confuse.",
    "obsolete": "What this mail says is no longer so, so it is not sent.",
}


_HELD = "This was due when the database was restored from a backup, so it may have gone out already."
_DUE_AGAIN = {"state": "due", "due_at": db_now(), "tries": 0, "error": "", "settled_at": None, "lease": None,
              "lease_until": None}  # fmt: skip


def hold(*, now: datetime) -> int:
    """After a restore: everything that is due waits for an admin. Returns how many mails are held by this."""
    held = changed(
        update(Notice)
        .where(Notice.state.in_(("due", "leased")))
        .values(state="held", error=_HELD, settled_at=now, lease=None, lease_until=None)
    )
    audit.record("mail.held", at=now, actor=None, mails=held)
    return held


def let_go(*, actor: Person, now: datetime) -> int:
    """All that is held is due; what is no longer so is still not sent. Returns how many."""
    number = changed(update(Notice).where(Notice.state == "held").values(**_DUE_AGAIN))
    if number:
        audit.record("mail.let_go", at=now, actor=actor.id, mails=number)
        outbox.wake()
    return number


def drop(notice: Notice | None, *, actor: Person, now: datetime) -> int:
    """A held mail, or with None all of them, is never sent. Returns how many; raises Conflict when that one is not
    held."""
    which = Notice.state == "held" if notice is None else and_(Notice.state == "held", Notice.id == notice.id)
    number = changed(
        update(Notice)
        .where(which)
        .values(state="obsolete", error="An admin saw that it had gone out before the restore.", settled_at=now)
    )
    if notice is not None and number != 1:
        raise Conflict("This mail is not held any more. Here is how it stands now.")
    if number:
        audit.record("mail.dropped", at=now, actor=actor.id, mails=number,
                     mail=notice.id if notice is not None else None)  # fmt: skip
    return number


def send_again(notice: Notice, *, actor: Person, now: datetime) -> None:
    """A dead or held mail is due again, with all its tries. Raises Conflict for any other."""
    again = update(Notice).where(Notice.id == notice.id, Notice.state.in_(("dead", "held"))).values(**_DUE_AGAIN)
    if changed(again) != 1:
        state = db.session.scalar(select(Notice.state).where(Notice.id == notice.id))
        raise Conflict(_NOT_AGAIN.get(state or "", "This mail is not here any more."))
    audit.record("mail.sent_again", at=now, actor=actor.id, request=notice.request_id, person=notice.person_id,
                 mail=notice.id, mail_kind=notice.kind)  # fmt: skip
    outbox.wake()


def send_test(*, actor: Person, now: datetime) -> None:
    """A mail to whoever asks for it, the way every mail goes."""
    outbox.post([_invite.notice("test", "requester", now=now, person_id=actor.id)])
    audit.record("mail.tested", at=now, actor=actor.id, person=actor.id)
