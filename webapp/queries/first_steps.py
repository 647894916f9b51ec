"""The progress of a new installation: email, people, the first app, the first request."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, exists, func, or_, select

from webapp.extensions import db
from webapp.models import AccessRequest, App, Grant, MailStop, Notice, Organisation, Person
from webapp.notices import NoticeKind

COUNTED = 1000


@dataclass(frozen=True, slots=True)
class FirstSteps:
    """`mailed`: a mail server accepted an email; `tested`: a test email was requested; `refused`: it could not be sent
    yet. `invited`, `joined`: number of people besides the first, and of those with a password. `app_created`: there
    is an app; `ready`: one is requestable. `requested`: there is a request; `settled`: one is closed, or someone has
    an app."""

    hidden: bool
    mailed: bool
    tested: bool
    refused: bool
    invited: int
    joined: int
    app_created: bool
    ready: bool
    requested: bool
    settled: bool

    @property
    def done(self) -> tuple[bool, bool, bool, bool]:
        return self.mailed, self.invited > 0, self.ready, self.settled

    @property
    def is_over(self) -> bool:
        return self.hidden or all(self.done)


def _up_to(query: Select[Any]) -> Any:
    return select(func.count()).select_from(query.limit(COUNTED + 1).subquery()).scalar_subquery()


def read() -> FirstSteps:
    """One statement, which counts to a thousand at most."""
    others = select(Person.id).where(Person.active, Person.id != select(func.min(Person.id)).scalar_subquery())
    is_test = Notice.kind == NoticeKind.TEST
    row = db.session.execute(
        select(
            select(Organisation.first_steps_hidden_at.is_not(None)).scalar_subquery().label("hidden"),
            exists().where(Notice.state == "sent").label("mailed"),
            exists().where(is_test).label("tested"),
            or_(exists().where(is_test, Notice.error != ""), exists().where(MailStop.id == 1)).label("refused"),
            _up_to(others).label("invited"),
            _up_to(others.where(Person.password_hash.is_not(None))).label("joined"),
            exists().where(App.archived_at.is_(None)).label("app_created"),
            exists().where(App.archived_at.is_(None), App.requestable).label("ready"),
            exists().where(AccessRequest.id.is_not(None)).label("requested"),
            or_(exists().where(AccessRequest.settled_at.is_not(None)), exists().where(Grant.id.is_not(None))).label(
                "settled"
            ),
        )
    ).one()
    return FirstSteps(**row._mapping)
