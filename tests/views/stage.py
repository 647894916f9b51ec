"""What tests of the views look at: links and codes as mailed, the words on a page, and whether anything changed."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

from sqlalchemy import text, update

from tests import factories
from webapp import clock, links
from webapp.database.transactions import choose
from webapp.delivery.outbox import commit
from webapp.extensions import db
from webapp.models import AccessRequest, App, Audience, Group, Invitation, Person, Step
from webapp.operations import approval_codes, apps, comments, expiry, groups, people, requests
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import OutcomeRule, Policy, StepRule
from webapp.workflow.states import Assurance, RequestState, Visibility

HIDDEN, READ, WRITE = Visibility.HIDDEN, Visibility.READ, Visibility.WRITE


def rule(*approvers: Person | Group, see: tuple[dict[str, Visibility], ...] = (), **changes: Any) -> Policy:
    """A rule with these approvers; `see` says for each step what it may do with which field."""
    steps = tuple(
        StepRule(factories.approver(one), visibility=see[position] if position < len(see) else {})
        for position, one in enumerate(approvers)
    )
    return Policy(steps=steps, **changes)


def signed_in_only(*approvers: Person | Group) -> Policy:
    return rule(*approvers, assurance=Assurance.SIGN_IN)


def outcomes(**rules: OutcomeRule) -> dict[RequestState, OutcomeRule]:
    return {state: rules.get(state.value, OutcomeRule()) for state in RequestState if state.is_final} | {
        RequestState(name): one for name, one in rules.items()
    }


def text_field(id: str, **changes: Any) -> Entitlement:
    return Entitlement(id, changes.pop("name", id.capitalize()), "text", **changes)


def only_for(app: App, *groups: Group) -> App:
    """Takes the app out of everybody's catalog but the groups'."""
    choose("write")
    app = db.session.merge(app)
    app.for_everyone = False
    db.session.add_all(Audience(app_id=app.id, group_id=group.id) for group in groups)
    db.session.commit()
    return app


def invitation(made: AccessRequest, person: Person) -> Invitation:
    """The newest one of that person on that request."""
    db.session.rollback()
    found = (
        db.session.query(Invitation).join(Step, Step.id == Invitation.step_id).filter(
            Step.request_id == made.id, Invitation.person_id == person.id
        ).order_by(Invitation.id.desc()).populate_existing().first()
    )  # fmt: skip
    assert found is not None
    return found


def link(made: AccessRequest, person: Person) -> str:
    """The address in that person's newest mail about that request."""
    one = invitation(made, person)
    address = f"/decide/{links.approval_token(one.public_id, one.round, one.key_id)}"
    db.session.rollback()
    return address


def code(made: AccessRequest, person: Person) -> str:
    one = invitation(made, person)
    found = links.code(one.public_id, one.round, one.key_id)
    db.session.rollback()
    return found


def close_code(made: AccessRequest, person: Person) -> None:
    """As after five wrong codes: "Mail me a new code" makes a new round now."""
    one = invitation(made, person)
    choose("write")
    db.session.execute(update(Invitation).where(Invitation.id == one.id).values(wrong_codes=approval_codes.WRONG_CODES))
    db.session.commit()


def new_round(browser: Any, made: AccessRequest, person: Person) -> None:
    """A new code, and thus a new link, by the page behind the newest one."""
    close_code(made, person)
    assert browser.post(f"{link(made, person)}/code").status_code == 303


def wrong_code(made: AccessRequest, person: Person) -> str:
    return f"{(int(code(made, person)) + 1) % 1_000_000:06d}"


def state(made: AccessRequest) -> str:
    db.session.rollback()
    found = db.session.execute(text(f"SELECT state FROM requests WHERE id = {made.id}")).scalar_one()
    db.session.rollback()
    return str(found)


def decisions(made: AccessRequest) -> list[tuple[str, str, str]]:
    """(first name, verdict, channel) in order."""
    db.session.rollback()
    rows = db.session.execute(
        text(
            "SELECT p.name, d.verdict, d.channel FROM decisions d JOIN steps s ON s.id = d.step_id "
            f"JOIN people p ON p.id = d.person_id WHERE s.request_id = {made.id} ORDER BY d.id"
        )
    ).all()
    db.session.rollback()
    return [(row.name.split()[0], row.verdict, row.channel) for row in rows]


def mails() -> list[tuple[str, str]]:
    """(kind, first name or address) of every notice, in order."""
    db.session.rollback()
    rows = db.session.execute(
        text("SELECT n.kind, n.address, p.name FROM notices n LEFT JOIN people p ON p.id = n.person_id ORDER BY n.id")
    ).all()
    db.session.rollback()
    return [(row.kind, row.address or row.name.split()[0]) for row in rows]


def everything() -> dict[str, list[Any]]:
    """All rows of all tables: for "nothing was changed"."""
    db.session.rollback()
    tables = db.metadata.sorted_tables
    found = {
        table.name: sorted(map(repr, db.session.execute(text(f'SELECT * FROM "{table.name}"')).all()))
        for table in tables
    }
    db.session.rollback()
    return found


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


def off(app: App, actor: Person) -> None:
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


_INLINE = re.compile(r"</?(?:a|b|em|i|strong|time)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")


def words(response: Any) -> str:
    """What a reader sees, in one line: no tags, no icons."""
    body = re.sub(r"<(head|template|svg)\b.*?</\1>", "", response.get_data(as_text=True), flags=re.DOTALL)
    return " ".join(html.unescape(_TAG.sub(" ", _INLINE.sub("", body))).split())


def source(response: Any) -> str:
    return str(response.get_data(as_text=True))


def typed(response: Any, text: str) -> bool:
    """Whether the page still holds what somebody typed, escaped as Jinja does."""
    from markupsafe import escape

    return str(escape(text)) in source(response)


def assert_refuses_get(browser: Any, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert "start from there" in words(answer)
