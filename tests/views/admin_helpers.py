"""What the tests of the admin's pages share."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event, select

from webapp.extensions import db
from webapp.models import App, Event, Group, Person
from webapp.workflow.policy import Policy

from .. import factories


def words(answer: Any) -> str:
    """The page's text with entities resolved, so that sentences can be looked for as they are read."""
    return html.unescape(answer.get_data(as_text=True))


def flat(answer: Any) -> str:
    """`words` with each run of white space as one space: for tags, which may be written on several lines."""
    return " ".join(words(answer).split())


def is_fragment(answer: Any) -> bool:
    return "<html" not in words(answer)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every cursor execution inside, the session's own included; BEGIN is none."""
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def now(row: Any) -> Any:
    """The row as it is in the database now."""
    db.session.rollback()
    return db.session.get(type(row), row.id, populate_existing=True)


def policy_of(app: App) -> Policy:
    return factories.revision_of(now(app)).snapshot()


def events(kind: str) -> list[dict[str, Any]]:
    """The record's lines of that kind, oldest first."""
    db.session.rollback()
    bodies = db.session.scalars(select(Event.body).where(Event.kind == kind).order_by(Event.seq))
    lines = [json.loads(body) for body in bodies]
    return [line | line.pop("facts") for line in lines]


def app_called(name: str) -> App | None:
    db.session.rollback()
    return db.session.scalar(select(App).where(App.name == name))


def person_called(name: str) -> Person | None:
    db.session.rollback()
    return db.session.scalar(select(Person).where(Person.name == name))


def group_called(name: str) -> Group | None:
    db.session.rollback()
    return db.session.scalar(select(Group).where(Group.name == name))


def question(answer: Any) -> str:
    """The hidden field that says which question it was; "" where nothing was asked."""
    found = re.search(r'name="asked" value="(\w+)"', answer.text)
    return found[1] if found else ""


def turn_off(browser: Any, app: App, htmx: bool = False, **answer: str) -> Any:
    """Approval is turned off; with `pending`, as the answer to the question that the page asks before."""
    url = f"/admin/apps/{app.public_id}/approval-required"
    if "pending" in answer and "asked" not in answer and factories.rows("requests", "state = 'pending'"):
        answer["asked"] = question(browser.post(url, {"was": "on"}, htmx=True))
    return browser.post(url, {"was": "on"} | answer, htmx=htmx)


def archive(browser: Any, app: App, htmx: bool = False, **answer: str) -> Any:
    """The app is archived, as the answer to the question."""
    url = f"/admin/apps/{app.public_id}/archive"
    return browser.post(url, {"asked": question(browser.get(url, htmx=True))} | answer, htmx=htmx)
