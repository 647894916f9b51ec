"""What a search for requests finds, the same on both engines, and by which indices PostgreSQL finds it."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, select, text

from bench.lists import explained, names
from tests.helpers import factories
from tests.helpers.factories import Company
from tests.helpers.statements import counting
from webapp import clock
from webapp.database.transactions import choose
from webapp.extensions import db, keyring
from webapp.models import AccessRequest, App, Invitation, Step
from webapp.queries import request_search
from webapp.queries.request_search import Filter
from webapp.text import word_list, words


def found(typed: str = "", **wanted: Any) -> list[int]:
    db.session.rollback()
    return request_search.find(Filter(words=typed.split(), **wanted)).ids


def many(company: Company, app: App, messages: list[str], *, state: str = "denied", days: int = 10) -> list[int]:
    """Ben's requests, a minute after the other, oldest first, with Ana asked about each."""
    choose("write")
    begin = clock.now() - timedelta(days=days)
    revision = factories.revision_of(app).id
    rows = [
        {"app_id": app.id, "asked_by_id": company.ben.id, "for_person_id": company.ben.id, "state": state,
         "policy_revision_id": revision, "message": one, "words": word_list(one),
         "created_at": begin + timedelta(minutes=number)}
        for number, one in enumerate(messages)
    ]  # fmt: skip
    made = db.session.execute(
        insert(AccessRequest).returning(AccessRequest.id, AccessRequest.created_at, sort_by_parameter_order=True), rows
    ).all()
    steps = db.session.scalars(
        insert(Step).returning(Step.id, sort_by_parameter_order=True),
        [{"request_id": one.id, "position": 0, "days": 3, "approver_person_id": company.ana.id, "state": "denied"}
         for one in made],
    ).all()  # fmt: skip
    db.session.execute(
        insert(Invitation),
        [{"step_id": step, "request_id": one.id, "app_id": app.id, "requested_at": one.created_at,
          "person_id": company.ana.id, "key_id": keyring().current, "created_at": one.created_at, "live": False}
         for step, one in zip(steps, made, strict=True)],
    )  # fmt: skip
    db.session.commit()
    return [one.id for one in made]


# Words


@pytest.mark.parametrize(
    ("message", "its_words"),
    [
        ("Für DIE Straße, fur die", ["fur", "die", "strasse"]),
        ("100% of O'Brien's e-mails_2026", ["100", "of", "o", "brien", "s", "e", "mails", "2026"]),
        ("", []),
        ("… !? _", []),
        ("設計のため figma", ["設", "計", "の", "た", "め", "figma"]),
        ("x" * 50, ["x" * 40]),
    ],
)
def test_the_words_of_a_message(message: str, its_words: list[str]) -> None:
    assert words(message) == its_words
    assert word_list(message) == "".join(f" {one}" for one in its_words)


def test_a_word_is_in_the_message_in_a_name_or_begins_the_reference(app: Flask, company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    patrick = factories.person("Patrick O'Brien")
    one = factories.request(company.rita, figma, message="Für die Straße der Zukunft, 設計!").id
    other = factories.request(patrick, factories.app("Concur", company.ana), message="Taxes, 100%").id
    for typed, ids in (
        ("STRASSE", [one]), ("straß", [one]), ("zuk str", [one]), ("rasse", []), ("計", [one]), ("設計", [one]),
        ("fig", [one]), ("figma lindq für", [one]), ("figma taxes", []), ("igm", [one]), ("o'brien", [other]),
        ("100%", [other]), ("tax", [other]), ("%", []), ("_", []), ("zebra", []), ("t", [other]), ("", [other, one]),
    ):  # fmt: skip
        assert found(typed) == ids, typed
    public_id = db.session.get_one(AccessRequest, one).public_id
    for typed in (f"R-{public_id[:6]}", f"r-{public_id[:2].lower()}", public_id, public_id[:7].lower()):
        assert one in found(typed), typed
    assert found("zuk", state="approved") == [] and found("zuk", state="pending", approver=(company.ana.id,)) == [one]


def test_words_of_all_pages_are_counted_and_follow_each_other(app: Flask, company: Company) -> None:
    """Few, and frequent enough to be met by walking; each way forth and back."""
    figma = factories.app("Figma", company.ana)
    ids = many(company, figma, [f"case{n} {'rare' if n % 4 == 0 else ''} usual" for n in range(240)])[::-1]
    for typed, all_of_them in (("rare", ids[3::4]), ("usual", ids)):
        first = request_search.find(Filter(words=[typed]))
        assert (first.ids, first.count, first.newer) == (all_of_them[:50], len(all_of_them), 0)
        second = request_search.find(Filter(words=[typed]), before=first.older)
        assert second.ids == all_of_them[50:100]
        back = request_search.find(Filter(words=[typed]), after=second.newer)
        assert (back.ids, back.newer) == (first.ids, 0)


def test_what_many_wrote_long_ago_is_found(app: Flask, company: Company) -> None:
    """More than are counted, and none of them among the newest."""
    figma = factories.app("Figma", company.ana)
    ids = many(company, figma, ["formerly"] * 1_060)[::-1]
    many(company, figma, ["lately"] * 2_100, days=5)
    for typed in ("formerly", "lately"):
        assert request_search.find(Filter(words=[typed])).count == request_search.COUNTED + 1
    first = request_search.find(Filter(words=["formerly"]))
    assert first.ids == ids[:50]
    assert request_search.find(Filter(words=["formerly"]), before=first.older).ids == ids[50:100]


def test_pages_go_on_from_month_to_month_both_ways(app: Flask, company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    ids = [id for days in (100, 70, 40, 10) for id in many(company, figma, ["monthly"] * 30, days=days)][::-1]
    wanted = Filter(words=["monthly"], since=clock.now() - timedelta(days=150), until=clock.now())
    pages, found = [], request_search.find(wanted)
    while True:
        pages.append(found.ids)
        if not found.older:
            break
        found = request_search.find(wanted, before=found.older)
    assert pages == [ids[:50], ids[50:100], ids[100:]]
    back = request_search.find(wanted, after=found.newer)
    assert back.ids == pages[1] and request_search.find(wanted, after=back.newer).ids == pages[0]
    assert found.count == back.count == 120


# Approvers


def test_an_approvers_requests_are_found_by_the_invitations(app: Flask, company: Company) -> None:
    """Once each, however often somebody was asked, and in the order in which people asked."""
    both = factories.app("Both", company.ana, factories.group("Leads", company.ana, company.ben))
    one = factories.request(company.rita, both)
    factories.decide(one, company.ana)
    other = factories.request(company.otto, factories.app("Concur", company.finance))
    ana, ben = company.ana.id, company.ben.id
    assert (found(approver=(ana,)), found(approver=(ben,))) == ([one.id], [other.id, one.id])
    assert found(approver=(ana, ben)) == [other.id, one.id] and found(approver=()) == []
    assert found(approver=(ben,), state="pending") == [other.id, one.id]
    assert found(approver=(ben,), app=both.id) == [one.id]
    assert found(approver=(ben,), state="approved") == []
    assert found(approver=tuple(range(ben - 30, ben + 30)), state="") == [other.id, one.id]
    rows = db.session.execute(
        select(
            Invitation.request_id,
            Invitation.requested_at,
            Invitation.app_id,
            AccessRequest.id,
            AccessRequest.created_at,
            AccessRequest.app_id,
        )
        .join(Step, Step.id == Invitation.step_id)
        .join(AccessRequest, AccessRequest.id == Step.request_id)
    ).all()
    assert len(rows) == 5 and all(row[:3] == row[3:] for row in rows)


# Plans


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_each_filter_is_served_by_an_index(app: Flask, company: Company) -> None:
    """The plans name the indices, and none reads a table from one end to the other, but those of names."""
    figma, ana = factories.app("Figma", company.ana), company.ana.id
    # Few are denied, all are in those days, and there are many apps: else another index would do as well for a state.
    others = [factories.app(f"App {number}", company.ana) for number in range(20)]
    some = [(figma, 100, "denied"), (figma, 400, "approved"), *((one, 160, "approved") for one in others)]
    for app, number, state in some:
        messages = [f"case{n} {'rare' if n % 200 == 0 else ''} usual" for n in range(number)]
        many(company, app, messages, state=state, days=40)
    since, until = clock.now() - timedelta(days=39), clock.now() - timedelta(days=38)
    choose("write")
    db.session.execute(text("ANALYZE"))
    db.session.commit()
    for wanted, expected in (
        (Filter(), {"ix_requests_created"}),
        (Filter(since=since, until=until), {"ix_requests_created"}),
        (Filter(state="denied", since=since - timedelta(days=2)), {"ix_requests_state"}),
        (Filter(app=figma.id), {"ix_requests_app"}),
        (Filter(app=figma.id, state="denied"), {"ix_requests_app_state"}),
        (Filter(person=(company.rita.id,)), {"ix_requests_for_person", "ix_requests_asked_by"}),
        (Filter(approver=(ana,)), {"ix_invitations_asked"}),
        (Filter(approver=(ana,), since=since, until=until), {"ix_invitations_asked"}),
        (Filter(approver=(ana,), app=figma.id), {"ix_invitations_asked_app"}),
        (Filter(words=["rare"]), {"ix_requests_created", "ix_requests_words"}),
    ):
        plans = explained(partial(request_search.find, wanted))
        assert expected <= set(names(plans)), wanted
        assert "'Seq Scan', 'Parallel Aware': False, 'Async Capable': False, 'Relation Name': 'requests'" not in str(
            plans
        )


def test_a_search_takes_the_same_statements_however_many_there_are(app: Flask, company: Company) -> None:
    figma = factories.app("Figma", company.ana)
    for number in (1, 30, 300):
        many(company, figma, ["usual"] * number)
        with counting() as counted:
            request_search.find(Filter(words=["usual"], approver=(company.ana.id,)))
        assert len(counted) <= 5
