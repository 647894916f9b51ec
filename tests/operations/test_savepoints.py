"""A row that somebody else wrote first is refused alone: what the transaction did before and does after it stays, with
its audit entries, its emails and the word to the workers."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers import factories
from tests.helpers.factories import Company, case_of, rows
from tests.helpers.lookups import events, mails
from webapp import clock
from webapp.database import uncommitted
from webapp.delivery import outbox
from webapp.extensions import db
from webapp.models import Grant, Icon, Person
from webapp.operations import _eligibility, apps, decisions, grants, groups, icons, people, requests
from webapp.operations.errors import Conflict, Invalid
from webapp.operations.proofs import SIGNED_IN
from webapp.record import audit
from webapp.workflow.actor import SYSTEM
from webapp.workflow.states import Verdict

Patch = pytest.MonkeyPatch
Act = Callable[[], object]


def nothing_there(*_: object, **__: object) -> _eligibility.Eligibility:
    """As if nothing had been there when it looked."""
    return _eligibility.Eligibility(None, False, SimpleNamespace(requests=0, all=0, grants=0))


def a_new_address(of: Company, patch: Patch) -> Act:
    return lambda: people.invite(email=of.rita.email, name="Rita Again", actor=of.adam, now=clock.now())


def a_changed_address(of: Company, patch: Patch) -> Act:
    return lambda: people.change_details(
        of.otto, name="Otto", email=of.rita.email, about="", actor=of.adam, now=clock.now()
    )


def a_new_group(of: Company, patch: Patch) -> Act:
    return lambda: groups.create(name="finance", actor=of.adam, now=clock.now())


def a_renamed_group(of: Company, patch: Patch) -> Act:
    legal = factories.group("Legal")
    return lambda: groups.rename(legal, name="Finance", actor=of.adam, now=clock.now())


def a_new_app(of: Company, patch: Patch) -> Act:
    factories.app("Figma", of.ana)
    return lambda: apps.create(name="Figma", actor=of.adam, now=clock.now())


def a_renamed_app(of: Company, patch: Patch) -> Act:
    factories.app("Figma", of.ana)
    zoom = factories.app("Zoom", of.ana)
    return lambda: apps.change_details(
        zoom, name="Figma", description="", category="", launch_url="", actor=of.adam, now=clock.now()
    )


def a_restored_app(of: Company, patch: Patch) -> Act:
    old = factories.app("Figma", of.ana)
    apps.archive(old, actor=of.adam, now=clock.now())
    outbox.commit()
    factories.app("Figma", of.ben)
    return lambda: apps.restore(old, actor=of.adam, now=clock.now())


def a_rule(of: Company, patch: Patch) -> Act:
    figma = factories.app("Figma", of.ana)
    rule = factories.revision_of(figma).snapshot()

    def act() -> None:
        with patch.context() as late:
            late.setattr(db.session, "scalar", lambda *_: 0)  # as if no revision had been there when it looked
            apps.save_policy(figma, rule, actor=SYSTEM, now=clock.now())

    return act


def an_added_app(of: Company, patch: Patch) -> Act:
    figma = factories.app("Figma")
    factories.grant(of.rita, figma)
    patch.setattr(_eligibility, "check_request", nothing_there)
    return lambda: grants.add_directly(figma, factories.revision_of(figma), actor=of.rita, now=clock.now())


def a_request(of: Company, patch: Patch) -> Act:
    figma = factories.app("Figma", of.ana)
    factories.request(of.rita, figma)
    patch.setattr(_eligibility, "check_request", nothing_there)
    return lambda: requests.submit(
        figma, factories.revision_of(figma), actor=of.rita, message="", given={}, now=clock.now()
    )


def an_approved_app(of: Company, patch: Patch) -> Act:
    figma = factories.app("Figma", of.ana)
    made = factories.request(of.rita, figma)
    db.session.add(Grant(app_id=figma.id, person_id=of.rita.id, created_at=clock.now(), state="active"))
    db.session.commit()
    patch.setattr(grants, "LIVE_GRANT", ("failed",))  # as if it had not been there when it looked
    return lambda: grants.grant_from_request(case_of(made), {}, actor=of.ana, now=clock.now())


def a_picture(of: Company, patch: Patch) -> Act:
    figma, zoom = factories.app("Figma", of.ana), factories.app("Zoom", of.ana)
    icons.upload(figma, b"a picture", "image/png", actor=of.adam, now=clock.now())
    outbox.commit()
    assert db.session.query(Icon).count() == 1
    patch.setattr(icons, "next", lambda *_: None, raising=False)  # as if it had not been there when it looked
    return lambda: icons.upload(zoom, b"a picture", "image/png", actor=of.adam, now=clock.now())


PLACES = [
    a_new_address, a_changed_address, a_new_group, a_renamed_group, a_new_app, a_renamed_app, a_restored_app, a_rule,
    an_added_app, a_request, an_approved_app, a_picture,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES, ids=[one.__name__ for one in PLACES])
def test_a_duplicate_takes_nothing_with_it(company: Company, place: Callable[[Company, Patch], Act],
                                           monkeypatch: Patch) -> None:  # fmt: skip
    act = place(company, monkeypatch)
    woken: list[int] = []
    monkeypatch.setattr(outbox, "wake_workers", lambda channel: woken.append(1))
    lines, told, counted = len(events()), len(mails()), {table: rows(table) for table in ("people", "apps", "groups")}
    people.invite(email="eve@example.com", name="Eve First", actor=company.adam, now=clock.now())
    with pytest.raises((Conflict, Invalid)):
        act()
    people.change_theme(company.ana, theme="dark", now=clock.now())
    outbox.commit()
    assert [one["kind"] for one in events()[lines:]] == ["person.created", "person.changed"]
    assert mails(told) == [("invitation", "requester", "eve")]
    assert woken == [1]
    assert {table: rows(table) - counted[table] for table in counted} == {"people": 1, "apps": 0, "groups": 0}
    assert audit.verify()[1] is None


def test_a_batch_of_three_keeps_the_first_and_the_third(company: Company, monkeypatch: Patch) -> None:
    woken: list[int] = []
    monkeypatch.setattr(outbox, "wake_workers", lambda channel: woken.append(1))
    lines, refused = len(events()), []
    for number, email in enumerate(("one@example.com", "one@example.com", "three@example.com"), 1):
        try:
            people.invite(email=email, name=f"Number{number} New", actor=company.adam, now=clock.now())
        except Invalid as error:
            refused.append((number, str(error)))
    outbox.commit()
    assert refused == [(2, "A person with the email one@example.com already exists.")]
    made = [one["person"] for one in events()[lines:]]
    names = [db.session.get_one(Person, one).name for one in made]
    assert names == ["Number1 New", "Number3 New"]
    assert mails() == [("invitation", "requester", "number1"), ("invitation", "requester", "number3")]
    assert woken == [1] and audit.verify()[1] is None


def test_a_savepoint_drops_only_what_was_kept_since_it_began(company: Company) -> None:
    def kept() -> list[str]:
        return [one for one in db.session().info.get("uncommitted", []) if isinstance(one, str)]

    uncommitted.add("before")
    with db.session.begin_nested():
        uncommitted.add("outer")
        with pytest.raises(LookupError), db.session.begin_nested():
            uncommitted.add("inner")
            with db.session.begin_nested():
                uncommitted.add("released into what is rolled back")
            raise LookupError
        assert kept() == ["before", "outer"]
        with db.session.begin_nested():
            uncommitted.add("released")
    uncommitted.add("after")
    assert kept() == ["before", "outer", "released", "after"]
    outer = db.session.begin_nested()
    uncommitted.add("never")
    db.session.begin_nested()
    uncommitted.add("never, either")
    outer.rollback()
    assert kept() == ["before", "outer", "released", "after"]
    db.session.begin_nested()
    db.session.rollback()
    assert kept() == [] and not db.session().info["savepoints"]


def test_a_refused_decision_of_a_batch_leaves_the_others(company: Company) -> None:
    figma, zoom = factories.app("Figma", company.ana), factories.app("Zoom", company.ana)
    made = [factories.request(company.rita, figma), factories.request(company.rita, zoom)]
    for one, verdict in zip(made, (Verdict.APPROVED, Verdict.DENIED), strict=True):
        try:
            with db.session.begin_nested():
                decisions.decide(case_of(one), actor=company.ana, verdict=verdict, comment="No.",
                                proof=SIGNED_IN, now=clock.now())  # fmt: skip
                if verdict is Verdict.DENIED:
                    raise Conflict("Refused late.")
        except Conflict:
            pass
    outbox.commit()
    assert rows("requests", "state = 'approved'") == 1 and rows("requests", "state = 'pending'") == 1
    assert not events("step.denied") and len(events("step.approved")) == 1
    assert ("request-denied", "requester", "rita") not in mails()
    assert audit.verify()[1] is None


def test_operations_never_end_the_transaction() -> None:
    """They raise; who called them decides what is undone and what is committed."""
    for path in Path("webapp/operations").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
            assert called not in ("rollback", "commit"), f"{path}:{getattr(node, 'lineno', 0)}"
