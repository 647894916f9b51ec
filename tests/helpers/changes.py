"""Changes by the real operations or forms, each committed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text, update

from tests.helpers import factories, lookups, pages
from webapp import clock
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.models import AccessRequest, App, Audience, Group, Invitation, Person
from webapp.operations import approval_codes, apps, comments, expiry, groups, people, requests


def only_for(app: App, *groups: Group) -> App:
    """Takes the app out of everybody's catalog but the groups'."""
    choose("write")
    app = db.session.merge(app)
    app.for_everyone = False
    db.session.add_all(Audience(app_id=app.id, group_id=group.id) for group in groups)
    db.session.commit()
    return app


def close_code(made: AccessRequest, person: Person) -> None:
    """As after five wrong codes: "Mail me a new code" makes a new round now."""
    one = lookups.invitation(made, person)
    choose("write")
    db.session.execute(update(Invitation).where(Invitation.id == one.id).values(wrong_codes=approval_codes.WRONG_CODES))
    db.session.commit()


def new_round(browser: Any, made: AccessRequest, person: Person) -> None:
    """A new code, and thus a new link, by the page behind the newest one."""
    close_code(made, person)
    assert browser.post(f"{lookups.link(made, person)}/code").status_code == 303


def cancel(made: AccessRequest, actor: Person, reason: str = "") -> None:
    choose("write")
    requests.cancel(factories.case_of(made), actor=db.session.merge(actor), reason=reason, now=clock.now())
    commit()


def sweep() -> None:
    choose("write")
    expiry.expire_overdue(now=clock.now())
    commit()


def deactivate(person: Person, actor: Person) -> None:
    choose("write")
    people.deactivate(db.session.merge(person), actor=db.session.merge(actor), now=clock.now())
    commit()


def archive_app(app: App, actor: Person) -> None:
    choose("write")
    apps.archive(db.session.merge(app), actor=db.session.merge(actor), now=clock.now())
    commit()


def turn_approval_off(app: App, actor: Person) -> None:
    """Approval is turned off by this person."""
    choose("write")
    apps.set_approval_required(db.session.merge(app), required=False, actor=actor, now=clock.now())
    commit()


def leave(group: Group, person: Person, actor: Person) -> None:
    choose("write")
    groups.remove_member(db.session.merge(group), db.session.merge(person), actor=actor, now=clock.now())
    commit()


def comment(made: AccessRequest, actor: Person, body: str) -> None:
    choose("write")
    comments.add(factories.case_of(made), actor=actor, body=body, now=clock.now())
    commit()


def shift(table: str, column: str, by: timedelta, where: str = "true") -> None:
    """Moves stored instants, as if time had passed."""
    db.session.rollback()
    choose("write")
    mapped = next(one for one in db.metadata.sorted_tables if one.name == table)
    rows = db.session.execute(mapped.select().where(text(where))).all()
    for row in rows:
        moved = getattr(row, column) + by
        db.session.execute(mapped.update().where(mapped.c.id == row.id).values({column: moved}))
    db.session.commit()


def turn_off(browser: Any, app: App, htmx: bool = False, **answer: str) -> Any:
    """Approval is turned off; with `pending`, as the answer to the question that the page asks before."""
    url = f"/admin/apps/{app.public_id}/approval-required"
    if "pending" in answer and "asked" not in answer and factories.rows("requests", "state = 'pending'"):
        answer["asked"] = pages.question(browser.post(url, {"was": "on"}, htmx=True))
    return browser.post(url, {"was": "on"} | answer, htmx=htmx)


def archive(browser: Any, app: App, htmx: bool = False, **answer: str) -> Any:
    """The app is archived, as the answer to the question."""
    url = f"/admin/apps/{app.public_id}/archive"
    return browser.post(url, {"asked": pages.question(browser.get(url, htmx=True))} | answer, htmx=htmx)
