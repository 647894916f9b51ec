"""What the tests of the email log share."""

from __future__ import annotations

import re
from datetime import timedelta

from sqlalchemy import insert, update

from tests.helpers.pages import markup
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery import stops
from webapp.extensions import db
from webapp.models import Heartbeat, Notice


def plain(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", markup(answer)).split())


def put(mail, **values):
    choose("write")
    db.session.execute(update(Notice).where(Notice.id == mail.id).values(**values))
    db.session.commit()


def dead(mail, error="550 no such mailbox"):
    put(mail, state="dead", error=error, tries=8, settled_at=clock.now())


def stopped(cause, answer):
    db.session.rollback()
    stops.begin(cause, answer)


def beat(seconds_ago=0):
    choose("write")
    db.session.execute(insert(Heartbeat).values(name="w", at=clock.now() - timedelta(seconds=seconds_ago)))
    db.session.commit()
