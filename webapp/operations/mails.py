"""What admins do with the outbox: send again what was given up, and try it out."""

from datetime import datetime

from sqlalchemy import select, update

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


def send_again(notice: Notice, *, actor: Person, now: datetime) -> None:
    """A dead mail is due again, with all its tries. Raises Conflict for any other."""
    again = (
        update(Notice)
        .where(Notice.id == notice.id, Notice.state == "dead")
        .values(state="due", due_at=db_now(), tries=0, error="", settled_at=None, lease=None, lease_until=None)
    )
    if changed(again) != 1:
        state = db.session.scalar(select(Notice.state).where(Notice.id == notice.id))
        raise Conflict(_NOT_AGAIN.get(state or "", "This mail is not here any more."))
    audit.record("mail.sent_again", at=now, actor=actor.id, request=notice.request_id, person=notice.person_id,
                 mail=notice.id, mail_kind=notice.kind)  # fmt: skip
    db.session().info["bell"] = True


def send_test(*, actor: Person, now: datetime) -> None:
    """A mail to whoever asks for it, the way every mail goes."""
    outbox.post([_invite.notice("test", "requester", now=now, person_id=actor.id)])
    audit.record("mail.tested", at=now, actor=actor.id, person=actor.id)
