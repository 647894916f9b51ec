"""Admins read the record, look for what they need, check that it holds, and take it along."""

from __future__ import annotations

import ast
import csv
import io
import re
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import webapp
from webapp import clock
from webapp.admin.audit import COLUMNS
from webapp.admin.audit import _table as csv_rows
from webapp.admin.tables import defused
from webapp.database.transactions import choose, reading
from webapp.delivery import outbox
from webapp.extensions import db, settings
from webapp.keys import KeyRing, key_id
from webapp.operations import apps, entitlements, people
from webapp.record import anchors, audit, entries, sentences
from webapp.record import events as events_module
from webapp.record.events import EventKind
from webapp.record.sentences import ENTRY_KINDS, GROUPS
from webapp.times import Times, zone
from webapp.workflow.entitlements import Entitlement
from webapp.workflow.policy import Policy, StepRule
from webapp.workflow.states import Verdict, Visibility

from .. import factories
from ..test_audit import tamper
from .admin_helpers import events, flat, is_fragment, statements, words

pytestmark = pytest.mark.both_engines

WEBAPP = Path(webapp.__file__).parent
# A table names every kind, so it is no sign that one is recorded.
TABLES = {Path(sentences.__file__), Path(events_module.__file__)}


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


def recorded_kinds():
    """The members of EventKind that the code names outside of the tables."""
    trees = [ast.parse(file.read_text()) for file in WEBAPP.rglob("*.py") if file not in TABLES]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {EventKind[node.attr] for node in nodes if ast.unparse(node.value) == "EventKind"}


def test_every_kind_has_a_row_in_the_table_and_the_row_a_known_group():
    assert set(ENTRY_KINDS) == set(EventKind)
    assert {row.group for row in ENTRY_KINDS.values()} == set(GROUPS)


def test_every_kind_is_recorded_somewhere_and_none_as_a_free_string():
    assert recorded_kinds() == set(EventKind)
    for file in WEBAPP.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("audit.record", "record.record")):
                assert "'" not in ast.unparse(node.args[0]), (file, node.lineno)


def test_each_sentence_is_said_even_of_what_is_gone(admin):
    choose("write")
    facts = {"group": 99, "step": 0, "asked": [98, 97], "before": None, "after": None}
    for kind in EventKind:
        audit.record(kind, at=clock.now(), actor=99, request=99, app=99, person=98, **facts)
        audit.record(kind, at=clock.now(), actor=None)
    outbox.commit()
    rows = table(admin.get("/admin/audit.csv", buffered=True))
    assert len(rows) > 2 * len(EventKind)
    assert [row for row in rows if "unknown action" in row["What happened"] or "{" in row["What happened"]] == []


def test_a_kind_of_a_newer_version_is_told_as_that(admin):
    choose("write")
    audit.record("moon.landed", at=clock.now(), actor=None)
    outbox.commit()
    assert "Countersign: unknown action (moon.landed)" in plain(admin.get("/admin/audit"))


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
    assert "Adam Weiss changed the approvers of Figma." in page
    assert "Step 1 was Ana Moreau now Finance" in page
    assert "Adam Weiss changed the owner of Figma. Owner was Ana Moreau now Finance" in page
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
    assert row["What happened"] == "Adam Weiss changed the field access of Salesforce."
    page = plain(admin.get("/admin/audit"))
    assert "Region for Ana Moreau was view now edit" in page and "Seat for Ana Moreau was edit now view" in page
    # The order is who decides; nobody sees anything else by it.
    row = saved(steps=(second, swapped))
    assert row["What happened"] == "Adam Weiss changed the approvers of Salesforce."
    assert row["Before and after"] == "Step 1: Ana Moreau → Ben Okafor; Step 2: Ben Okafor → Ana Moreau"
    row = saved(steps=(replace(second, days=1), swapped))
    assert row["What happened"] == "Adam Weiss changed the time limits of Salesforce."
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
    assert "Adam Weiss changed the approvers of Salesforce. Ben Okafor can now be asked in more than one step." in page


def test_a_requests_life_is_told(admin, rita, ana, ben, otto, company):
    app = factories.app("Salesforce", ana, company.finance)
    one = factories.request(rita, app)
    factories.decide(one, ana)
    factories.decide(one, ben)
    factories.decide(factories.request(otto, app), ana, Verdict.DENIED)
    answer = admin.get("/admin/audit")
    page = plain(answer)
    for sentence in (
        f"Rita Lindqvist requested Salesforce ({one.reference}).",
        f"Step 1 of Salesforce for Rita Lindqvist ({one.reference}) started. Approvers: Ana Moreau.",
        f"Ana Moreau approved step 1 of Salesforce for Rita Lindqvist ({one.reference}).",
        "started. Approvers: Ben Okafor, Chloe Tan.",
        f"Ben Okafor approved step 2 of Salesforce for Rita Lindqvist ({one.reference}).",
        f"Rita Lindqvist got access to Salesforce ({one.reference}).",
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


def test_something_new_is_told_by_what_it_was_made_with_and_not_as_a_change(admin, ana, adam):
    """Nothing of it was red before it was green, and what was left empty is not told."""
    app = factories.app("Figma", ana)
    choose("write")
    given = {"name": "Seat", "options": (), "required": True, "default": (), "help": "", "requester": "write"}
    one = entitlements.create(db.session.merge(app), kind="text", actor=adam, now=clock.now(), **given)
    given = {"name": "Region", "options": ("EMEA", "APAC"), "default": ("EMEA",), "help": "Where?"} | {
        key: given[key] for key in ("required", "requester")
    }
    entitlements.create(db.session.merge(app), kind="choice", actor=adam, now=clock.now(), **given)
    outbox.commit()
    rows = {row["What happened"]: row for row in table(admin.get("/admin/audit.csv", buffered=True))}
    first = rows["Adam Weiss added the field Seat to Figma."]["Before and after"]
    assert first == "Name: Seat; Kind: text; Required: yes; For the requester: edit"
    second = rows["Adam Weiss added the field Region to Figma."]["Before and after"]
    assert "Choices: EMEA, APAC; " in second and "Default: EMEA; Help text: Where?" in second
    page = flat(admin.get("/admin/audit?what=rules"))
    part = page[page.index("added the field <b>Seat</b>") :].partition("</li>")[0]
    assert "<del>" not in part and "<ins>" not in part and "nothing" not in plain_text(part)
    # Emptied and filled in, later.
    choose("write")
    app = db.session.merge(app)
    changed = {"name": "Seat", "options": (), "required": True, "help": "By the window?", "requester": "write"}
    entitlements.edit(app, one.public_id, default=("Aisle",), actor=adam, now=clock.now(), **changed)
    outbox.commit()
    row = table(admin.get("/admin/audit.csv?what=rules", buffered=True))
    told = next(one for one in row if one["What happened"] == "Adam Weiss changed the field Seat of Figma.")
    assert told["Before and after"] == "Default: nothing → Aisle; Help text: nothing → By the window?"


def plain_text(part):
    return re.sub(r"<[^>]+>", " ", part)


def test_a_text_is_shown_while_it_is_the_one_that_the_record_is_of(admin, ana, adam):
    app = factories.app("Figma", ana)

    def noted(note):
        choose("write")
        apps.set_note(db.session.merge(app), note=note, actor=db.session.merge(adam), now=clock.now())
        outbox.commit()

    def told():
        rows = table(admin.get("/admin/audit.csv", buffered=True))
        return [row["Before and after"] for row in rows if "note to requesters" in row["What happened"]]

    noted("For designers.")
    assert told() == ["Note to the requester: nothing → For designers."]
    noted("For everyone.")
    noted("")
    assert told() == [
        "Note to the requester: (earlier text) → nothing",
        "Note to the requester: (text changed)",
        "Note to the requester: nothing → (text changed since)",
    ]


def test_values_of_a_request_are_shown_by_their_names(admin, ana, rita):
    seat = Entitlement("seat", "Seat", "text", requester=Visibility.WRITE)
    app = factories.app("Figma", policy=Policy(steps=(StepRule(factories.approver(ana)),), entitlements=(seat,)))
    factories.request(rita, app, given={"seat": ["By the window"]})
    row = next(one for one in table(admin.get("/admin/audit.csv", buffered=True)) if one["Kind"] == "request.submitted")
    assert row["Before and after"] == "Seat: By the window"


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
    assert is_fragment(page) and "Otto Brandt requested" in plain(page) and "Figma" not in plain(page)
    assert "No entries match" in plain(admin.get("/admin/audit?who=zebra"))
    assert f"app={concur.public_id}" in words(page)  # in the export's address


def test_the_record_is_filtered_by_days_in_the_readers_zone(admin, adam):
    from datetime import UTC

    choose("write")
    people.change_settings(db.session.merge(adam), time_zone="Pacific/Auckland", now=clock.now())
    audit.record("mail.tested", at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC), actor=adam.id)  # 2 March, 01:30 there
    outbox.commit()

    def seen(query):
        return "sent a test email" in plain(admin.get(f"/admin/audit?{query}"))

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
    assert "Not verified yet." in plain(admin.get("/admin/audit"))
    answer = admin.post("/admin/audit/verification")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin/audit")
    page = plain(admin.get("/admin/audit"))
    assert re.search(r"All \d+ entries are intact\.", page)
    assert "No anchor found" in page
    assert "Adam Weiss verified all" in page
    assert events("audit.verified")[-1]["actor"] == adam.id
    assert audit.verify()[1] is None


def test_the_check_says_what_it_compared_with_and_what_was_cut_off(admin, engine):
    lines(5)
    with reading():
        anchor = anchors.keep(anchors.path(), now=clock.now())
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    day = Times(zone("UTC"), clock.now()).full(datetime.fromisoformat(anchor.at))
    assert f"1 anchor matches, made on {day} (entry {anchor.seq:,})." in page and anchor.at not in page
    tamper(
        engine,
        f"DELETE FROM events WHERE seq >= {anchor.seq}",
        f"UPDATE event_head SET seq = {anchor.seq - 1}, mac = (SELECT mac FROM events WHERE seq = {anchor.seq - 1})",
    )
    admin.post("/admin/audit/verification")
    assert re.search(
        rf"it had entry {anchor.seq}\. .*If an older backup was restored", plain(admin.get("/admin/audit"))
    )
    anchors.path().write_text(anchor.line().replace(anchor.mac, "0" * 64))
    admin.post("/admin/audit/verification")
    assert "The anchor file cannot be read. Anchor 1 was changed" in plain(admin.get("/admin/audit"))


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
    assert f"The audit log has been altered. Entry {seq} was changed" in page and 'role="alert"' in page
    page = plain(admin.get("/admin/audit"))
    assert "verified the audit log: problem found after" in page and re.search(
        r"Last verified .{1,40}: problem found\.", page
    )


def test_of_a_long_record_the_button_checks_the_newest_lines_and_says_so(admin, monkeypatch):
    monkeypatch.setattr("webapp.admin.audit.BY_BUTTON", 10)
    lines(30)
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    assert "The newest 10 entries are intact. To check the whole log, run" in page
    assert "Adam Weiss verified the newest 10 entries: intact." in page
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


def test_entries_of_a_removed_key_are_told_apart_from_changed_ones(admin, app, monkeypatch):
    lines(5)
    old = settings().secret_key
    # The session's own cookie keeps its key; the log's is another one from now on.
    monkeypatch.setitem(app.extensions, "keyring", KeyRing(("another secret key",)))
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    assert re.search(r"0 entries are intact, \d+ cannot be checked\.", page) and f"key {key_id(old)}" in page
    assert "has been altered" not in page
    assert re.search(r"Last verified .{1,40}: \d+ entries could not be checked\.", page)
    assert re.search(r"verified 0 entries: intact\. \d+ entries could not be checked, as their key was removed\.", page)


# As a table


def test_the_table_has_every_line_with_the_record_itself(admin, rita, ana):
    factories.request(rita, factories.app("Figma", ana))
    answer = admin.get("/admin/audit.csv", buffered=True)
    assert answer.mimetype == "text/csv" and "attachment" in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    rows = table(answer)
    assert [int(row["Entry"]) for row in rows] == list(range(len(rows), 0, -1))
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
    monkeypatch.setattr(entries, "BATCH", 10)
    lines(100)
    with app.test_request_context(), statements() as seen:
        chunks = csv_rows(entries.Filter())
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
