"""Admins read the record, look for what they need, check that it holds, and take it along."""

from __future__ import annotations

import ast
import csv
import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from webapp import anchors, audit, clock, outbox
from webapp.admin.audit import COLUMNS
from webapp.admin.audit import _table as csv_rows
from webapp.admin.audit_words import GROUPS, SENTENCES
from webapp.admin.tables import defused
from webapp.extensions import db
from webapp.operations import apps, people
from webapp.queries import audit_lines
from webapp.transactions import choose, reading
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Verdict, Visibility

from .. import factories
from ..test_audit import tamper
from .admin_helpers import events, flat, is_fragment, statements, words

pytestmark = pytest.mark.both_engines

WEBAPP = Path(audit.__file__).parent
# Kinds that are put together where they are recorded, by the source of the argument.
COMPUTED = {
    "f'step.{verdict.value}'": {"step.approved", "step.denied"},
    "kind": {"grant.added", "grant.updated"},
    "f'grant.{trouble.state}'": {"grant.failed", "grant.provisioning"},
}


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def plain(answer):
    """The page's words without its tags."""
    return " ".join(re.sub(r"<[^>]+>", "", words(answer)).split())


def table(answer):
    rows = list(csv.reader(io.StringIO(answer.get_data(as_text=True).lstrip("\ufeff"))))
    assert tuple(rows[0]) == COLUMNS
    return [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]


def lines(number):
    choose("write")
    for _ in range(number):
        audit.record("session.started", at=clock.now(), actor=None, person=None)
    outbox.commit()


# Every kind


def kinds_in_the_code():
    """The first argument of each call of `record` in the source, written out or known to be COMPUTED."""
    found = set()
    for file in WEBAPP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("audit.record", "record.record"):
                kind = node.args[0]
                found |= {kind.value} if isinstance(kind, ast.Constant) else COMPUTED[ast.unparse(kind)]
    return found


def test_every_kind_of_event_has_a_sentence_and_a_group():
    kinds = kinds_in_the_code()
    assert len(kinds) > 25
    assert kinds - set(SENTENCES) == set()
    beginnings = tuple(one for _, _, kinds in GROUPS for one in kinds)
    assert [kind for kind in kinds if not kind.startswith(beginnings)] == []


def test_each_sentence_is_said_even_of_what_is_gone(admin):
    choose("write")
    facts = {"group": 99, "step": 0, "asked": [98, 97], "before": None, "after": None}
    for kind in SENTENCES:
        audit.record(kind, at=clock.now(), actor=99, request=99, app=99, person=98, **facts)
        audit.record(kind, at=clock.now(), actor=None)
    outbox.commit()
    rows = table(admin.get("/admin/audit.csv", buffered=True))
    assert len(rows) > 2 * len(SENTENCES)
    assert [row for row in rows if "has no words for" in row["What happened"] or "{" in row["What happened"]] == []


def test_a_kind_of_a_newer_version_is_told_as_that(admin):
    choose("write")
    audit.record("moon.landed", at=clock.now(), actor=None)
    outbox.commit()
    assert "Countersign did what this version has no words for (moon.landed)." in plain(admin.get("/admin/audit"))


# What it says


def test_turning_approval_off_is_told_with_before_and_after(admin, ana, adam):
    benevity = factories.app("Benevity", ana)
    choose("write")
    apps.set_approval_required(db.session.merge(benevity), required=False, actor=adam, now=clock.now())
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss turned approval off for Benevity." in page
    assert "Approval was required now not required" in page


def test_changes_are_told_with_the_names_of_people_and_groups(admin, ana, adam, company):
    app = factories.app("Figma", ana, owner=ana)
    choose("write")
    app = db.session.merge(app)
    apps.set_steps(app, steps=[StepRule(factories.approver(company.finance))], actor=adam, now=clock.now())
    apps.set_owner(app, owner=factories.approver(company.finance), actor=adam, now=clock.now())
    apps.set_audience(app, groups=[company.finance.id], actor=adam, now=clock.now())
    people.set_admin(db.session.merge(ana), is_admin=True, actor=adam, now=clock.now())
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss changed who decides on Figma." in page
    assert "Step 1 was Ana Moreau now Finance" in page
    assert "Adam Weiss changed who owns Figma. Owner was Ana Moreau now Finance" in page
    assert "Who sees it was everyone now Finance" in page
    assert "Adam Weiss made Ana Moreau an admin. Admin was no now yes" in page


def test_what_a_step_sees_is_told_by_field_and_approver(admin, ana, ben, adam):
    fields = tuple(Entitlement(id, name, "text") for id, name in (("region", "Region"), ("seat", "Seat")))
    see = {"region": Visibility.READ, "seat": Visibility.WRITE}
    first = StepRule(factories.approver(ana), see=see)
    second = StepRule(factories.approver(ben))
    app = factories.app("Salesforce", policy=Policy(steps=(first, second), entitlements=fields))

    def saved(**changes):
        choose("write")
        apps.change_policy(db.session.merge(app), actor=db.session.merge(adam), now=clock.now(), **changes)
        outbox.commit()
        return table(admin.get("/admin/audit.csv", buffered=True))[0]

    # As many fields as before are seen, and as many set.
    swapped = replace(first, see={"region": Visibility.WRITE, "seat": Visibility.READ})
    row = saved(steps=(swapped, second))
    assert row["What happened"] == "Adam Weiss changed what steps see of Salesforce."
    page = plain(admin.get("/admin/audit"))
    assert "Region for Ana Moreau was read now write" in page and "Seat for Ana Moreau was write now read" in page
    # The order is who decides; nobody sees anything else by it.
    row = saved(steps=(second, swapped))
    assert row["What happened"] == "Adam Weiss changed who decides on Salesforce."
    assert row["Before and after"] == "Step 1: Ana Moreau → Ben Okafor; Step 2: Ben Okafor → Ana Moreau"
    row = saved(steps=(replace(second, days=1), swapped))
    assert row["What happened"] == "Adam Weiss changed how much time the steps of Salesforce have."
    assert row["Before and after"] == "Step 1: Ben Okafor → Ben Okafor (1 day)"
    row = saved(entitlements=fields[:1])
    assert row["What happened"] == "Adam Weiss changed the rules of Salesforce."


def test_who_is_asked_twice_is_told_where_it_began(admin, ben, adam, company):
    app = factories.app("Salesforce", company.finance)
    choose("write")
    apps.add_step(db.session.merge(app), approver=factories.approver(ben), actor=db.session.merge(adam),
                  now=clock.now())  # fmt: skip
    outbox.commit()
    page = plain(admin.get("/admin/audit"))
    assert "Adam Weiss changed who decides on Salesforce. Ben Okafor can be asked in more than one step." in page


def test_a_requests_life_is_told(admin, rita, ana, ben, otto, company):
    app = factories.app("Salesforce", ana, company.finance)
    one = factories.request(rita, app)
    factories.decide(one, ana)
    factories.decide(one, ben)
    factories.decide(factories.request(otto, app), ana, Verdict.DENIED)
    answer = admin.get("/admin/audit")
    page = plain(answer)
    for sentence in (
        f"Rita Lindqvist asked for Salesforce for Rita Lindqvist ({one.reference}).",
        f"Step 1 of Salesforce for Rita Lindqvist ({one.reference}) opened: Ana Moreau may decide.",
        f"Ana Moreau approved step 1 of Salesforce for Rita Lindqvist ({one.reference}).",
        "opened: Ben Okafor, Chloe Tan may decide.",
        f"Ben Okafor approved step 2 of Salesforce for Rita Lindqvist ({one.reference}).",
        f"Rita Lindqvist got Salesforce: Salesforce for Rita Lindqvist ({one.reference}) was approved.",
        "Ana Moreau denied step 1 of Salesforce for Otto Brandt",
    ):
        assert sentence in page
    assert f'href="/requests/{one.public_id}"' in words(answer)


def test_names_are_shown_as_words(admin, adam):
    choose("write")
    people.create(email="x@example.com", name="<img src=x> {app}", actor=adam, now=clock.now())
    outbox.commit()
    answer = admin.get("/admin/audit")
    assert "<img src=x>" not in answer.get_data(as_text=True)
    assert "&lt;img src=x&gt; {app}" in answer.get_data(as_text=True)
    assert "added <img src=x> {app}." in table(admin.get("/admin/audit.csv", buffered=True))[0]["What happened"]


# Looking for something


def test_the_record_is_filtered_by_who_whom_app_and_kind(admin, rita, ana, otto, company):
    figma, concur = factories.app("Figma", ana), factories.app("Concur", company.finance)
    factories.decide(factories.request(rita, figma), ana)
    factories.request(otto, concur)

    def found(query):
        return [row["What happened"] for row in table(admin.get(f"/admin/audit.csv?{query}", buffered=True))]

    assert {row.split()[0] for row in found("who=ana+mor")} == {"Ana", "Rita"}  # "Rita got Figma" is Ana's doing
    assert all("Otto" in row for row in found(f"person={otto.public_id}")) and found(f"person={otto.public_id}")
    assert all("Concur" in row for row in found(f"app={concur.public_id}&what=requests"))
    assert any("added the app" in row for row in found(f"app={concur.public_id}&what=rules"))
    assert found("who=nobody-of-that-name") == [] and found("app=000000000000") == []
    page = admin.get(f"/admin/audit?app={concur.public_id}&who=otto", htmx=True)
    assert is_fragment(page) and "Otto Brandt asked for" in plain(page) and "Figma" not in plain(page)
    assert "No line matches" in plain(admin.get("/admin/audit?who=zebra"))
    assert f"app={concur.public_id}" in words(page)  # in the export's address


def test_the_record_is_filtered_by_days_in_the_readers_zone(admin, adam):
    from datetime import UTC, datetime

    choose("write")
    people.change_settings(db.session.merge(adam), time_zone="Pacific/Auckland", now=clock.now())
    audit.record("mail.tested", at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC), actor=adam.id)  # 2 March, 01:30 there
    outbox.commit()

    def seen(query):
        return "asked for a test mail" in plain(admin.get(f"/admin/audit?{query}"))

    assert seen("since=2026-03-02&until=2026-03-02")
    assert not seen("since=2026-03-01&until=2026-03-01")
    assert seen("since=2026-02-30&until=nonsense") and seen("since=0001-01-01&until=9999-12-31")


def test_pages_follow_each_other_by_line(admin):
    lines(120)
    first = admin.get("/admin/audit")
    newest = events("session.started")[-1]["seq"]
    assert f'id="line-{newest}"' in words(first) and "50 of" in plain(first)
    older = admin.get(f"/admin/audit?before={newest - 49}")
    assert f'id="line-{newest - 50}"' in words(older) and f'id="line-{newest - 49}"' not in words(older)
    assert "Newer" in plain(older)
    newer = admin.get(f"/admin/audit?after={newest - 50}")
    assert f'id="line-{newest}"' in words(newer) and f'id="line-{newest - 50}"' not in words(newer)
    assert admin.get("/admin/audit?before=x&after=99999999999999999999").status_code == 200


def test_beyond_a_thousand_the_count_is_round(admin):
    lines(1001)
    assert "50 of 1,000+, newest first" in plain(admin.get("/admin/audit"))


def test_the_page_takes_the_same_statements_with_1_30_and_300_lines(admin, rita, ana):
    one = factories.request(rita, factories.app("Figma", ana))
    counts = []
    for more in (1, 29, 270):
        choose("write")
        for _ in range(more):
            audit.record("request.commented", at=clock.now(), actor=ana.id, request=one.id)
        outbox.commit()
        with statements() as seen:
            assert admin.get("/admin/audit?who=Ana&person=&what=requests").status_code == 200
        counts.append(len(seen))
    assert counts[0] == counts[1] == counts[2] <= 10


# Does it hold?


def test_the_record_is_verified(admin, adam):
    lines(5)
    assert "Nobody has checked it here yet." in plain(admin.get("/admin/audit"))
    answer = admin.post("/admin/audit/verification")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/audit")
    page = plain(admin.get("/admin/audit"))
    assert re.search(r"All \d+ lines are as they were written\.", page)
    assert "There was no anchor to compare it with" in page
    assert "Adam Weiss checked the record: all" in page
    assert events("audit.verified")[-1]["actor"] == adam.id
    assert audit.verify()[1] is None


def test_the_check_says_what_it_compared_with_and_what_was_cut_off(admin, engine):
    lines(5)
    with reading():
        anchor = anchors.keep(anchors.path(), now=clock.now())
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    assert f"1 anchor agrees; the newest saw line {anchor.seq:,} at {anchor.at}." in page
    tamper(
        engine,
        f"DELETE FROM events WHERE seq >= {anchor.seq}",
        f"UPDATE event_head SET seq = {anchor.seq - 1}, mac = (SELECT mac FROM events WHERE seq = {anchor.seq - 1})",
    )
    admin.post("/admin/audit/verification")
    assert "there was line" in plain(admin.get("/admin/audit"))
    anchors.path().write_text(anchor.line().replace(anchor.mac, "0" * 64))
    admin.post("/admin/audit/verification")
    assert "The anchors cannot be used. Anchor 1 was changed" in plain(admin.get("/admin/audit"))


def test_a_record_that_was_changed_is_said_to_be(admin, app):
    lines(5)
    choose("write")
    seq = events("session.started")[-2]["seq"]
    db.session.rollback()
    with db.engine.begin() as connection:
        if db.engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            connection.execute(text("DROP TRIGGER events_no_update"))
        connection.execute(text("UPDATE events SET body = body || ' ' WHERE seq = :seq"), {"seq": seq})
    admin.post("/admin/audit/verification")
    page = flat(admin.get("/admin/audit"))
    assert f"The record does not hold. Line {seq} was changed" in page and 'role="alert"' in page
    page = plain(admin.get("/admin/audit"))
    assert "checked the record: it does not hold" in page and re.search(
        r"Last checked .{1,40}: it did not hold\.", page
    )


def test_of_a_long_record_the_button_checks_the_newest_lines_and_says_so(admin, monkeypatch):
    monkeypatch.setattr("webapp.admin.audit.BY_BUTTON", 10)
    lines(30)
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    assert "The newest 10 lines are as they were written. The whole record is checked by" in page
    assert "Adam Weiss checked the newest 10 lines of the record: they are as they were written." in page
    total = events("audit.verified")[-1]["seq"]
    assert audit.verify() == (total, None) and audit.verify(newest=5) == (5, None)
    assert audit.verify(newest=total + 5) == (total, None)


@pytest.mark.parametrize(("back", "holds"), [(3, False), (12, True)])
def test_a_line_that_was_changed_is_found_among_those_that_are_checked(admin, app, back, holds):
    lines(20)
    seq = events("session.started")[-1]["seq"] - back
    db.session.rollback()
    with db.engine.begin() as connection:
        if db.engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL session_replication_role = replica"))
        else:
            connection.execute(text("DROP TRIGGER events_no_update"))
        connection.execute(text("UPDATE events SET body = body || ' ' WHERE seq = :seq"), {"seq": seq})
    held, broken = audit.verify(newest=10)
    assert (broken is None) is holds and held == (10 if holds else 10 - back - 1)
    assert audit.verify()[1].seq == seq


# As a table


def test_the_table_has_every_line_with_the_record_itself(admin, rita, ana):
    factories.request(rita, factories.app("Figma", ana))
    answer = admin.get("/admin/audit.csv", buffered=True)
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    rows = table(answer)
    assert [int(row["Line"]) for row in rows] == list(range(len(rows), 0, -1))
    last = next(row for row in rows if row["Kind"] == "request.submitted")
    assert (last["Who"], last["App"], last["Person"]) == ("Rita Lindqvist", "Figma", "Rita Lindqvist")
    assert last["Record"].startswith('{"actor":')


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_no_cell_is_a_formula(cell):
    assert defused(cell) == f"'{cell}"


def test_names_that_look_like_formulas_are_defused(admin, adam, ana):
    factories.app('=HYPERLINK("http://x")', ana)
    row = next(row for row in table(admin.get("/admin/audit.csv", buffered=True)) if row["Kind"] == "app.created")
    assert row["App"] == '\'=HYPERLINK("http://x")'
    assert defused("2026") == "2026" and defused("") == ""


def test_the_table_is_read_as_it_is_sent(app, monkeypatch):
    """A batch at a time: the first lines leave before the second batch is asked for, and nothing is kept."""
    monkeypatch.setattr(audit_lines, "BATCH", 10)
    lines(100)
    with app.test_request_context(), statements() as seen:
        chunks = csv_rows(audit_lines.Filter())
        next(chunks), next(chunks)
        early = len(seen)
        rest = list(chunks)
    assert len(rest) >= 9 and len(seen) >= early + 20
    assert max(len(chunk) for chunk in rest) < 10_000


# Who may


def test_only_admins_read_it(login_as, otto, rita):
    for path in ("/admin/audit", "/admin/audit.csv"):
        assert login_as(otto).get(path).status_code == 404
        assert login_as(None).get(path).headers["Location"].startswith("/sign-in?next=/admin/audit")
    assert login_as(otto).post("/admin/audit/verification").status_code == 404
    assert login_as(None).post("/admin/audit/verification").status_code == 303
    assert events("audit.verified") == []


def test_nothing_is_checked_by_looking(admin):
    assert admin.get("/admin/audit/verification").status_code == 405
