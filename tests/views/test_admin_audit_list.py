"""The audit log: filters, verification, export, and who may read it."""

from __future__ import annotations

import re
from datetime import datetime

import pytest
from sqlalchemy import text

from tests.helpers import factories
from tests.helpers.lookups import facts
from tests.helpers.pages import flat, is_fragment, markup
from tests.helpers.statements import counting
from webapp import clock
from webapp.admin.audit import _table as csv_rows
from webapp.admin.tables import defused
from webapp.database.transactions import choose, reading
from webapp.delivery import outbox
from webapp.extensions import db, settings
from webapp.keys import KeyRing, key_id
from webapp.operations import people, tokens
from webapp.record import anchors, audit, entries
from webapp.times import Times, zone
from webapp.workflow.actor import SYSTEM, Actor
from webapp.workflow.states import Channel

from ..test_audit import tamper
from .audit_helpers import plain, table

pytestmark = pytest.mark.both_engines


@pytest.fixture
def admin(login_as, adam):
    return login_as(adam)


def lines(number):
    choose("write")
    for _ in range(number):
        audit.record("session.started", at=clock.now(), actor=SYSTEM, person=None)
    outbox.commit()


# By a token


def test_the_log_is_filtered_by_token_and_says_so(admin, rita, adam):
    choose("write")
    token, secret = tokens.create(name="Onboarding", scopes=["people:admin"], days=30, actor=adam, now=clock.now())
    other, _ = tokens.create(name="Laptop", scopes=["requests:read"], days=30, actor=rita, now=clock.now(), person=rita)
    outbox.commit()
    service = Actor(None, is_admin=True, channel=Channel.API, token=token.id)
    people.invite(email="mia@example.com", name="Mia Berg", actor=service, now=clock.now())
    people.invite(email="leo@example.com", name="Leo Tan", actor=Actor.of(rita, channel=Channel.API, token=other.id),
                  now=clock.now())  # fmt: skip
    outbox.commit()
    path = f"/admin/audit?token={token.public_id}"
    page = plain(admin.get(path))
    assert "Only what was done by the token Onboarding." in page
    assert "Onboarding (service token) added Mia Berg" in page and "Leo" not in page
    assert f'<input type="hidden" name="token" value="{token.public_id}">' in markup(admin.get(path))
    assert "Leo" not in plain(admin.get(path, htmx=True))
    rows = table(admin.get(f"/admin/audit.csv?token={token.public_id}", buffered=True))
    assert [row["Who"] for row in rows] == ["Onboarding (service token)"]
    rows = table(admin.get(f"/admin/audit.csv?token={other.public_id}", buffered=True))
    assert [row["Who"] for row in rows] == ["Rita Lindqvist (token Laptop)"]
    assert secret not in markup(admin.get(path))
    unknown = plain(admin.get("/admin/audit?token=NOTOKEN00000"))
    assert "by the token that the address names" in unknown and "No entries match" in unknown


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
    assert f"app={concur.public_id}" in markup(page)  # in the export's address


def test_the_record_is_filtered_by_days_in_the_readers_zone(admin, adam):
    from datetime import UTC

    choose("write")
    people.change_settings(db.session.merge(adam), time_zone="Pacific/Auckland", now=clock.now())
    audit.record("mail.tested", at=datetime(2026, 3, 1, 12, 30, tzinfo=UTC), actor=adam)  # 2 March, 01:30 there
    outbox.commit()

    def seen(query):
        return "sent a test email" in plain(admin.get(f"/admin/audit?{query}"))

    assert seen("since=2026-03-02&until=2026-03-02")
    assert not seen("since=2026-03-01&until=2026-03-01")
    assert seen("since=2026-02-30&until=nonsense") and seen("since=0001-01-01&until=9999-12-31")


def test_pages_follow_each_other_by_line(admin):
    lines(120)
    first = admin.get("/admin/audit")
    newest = facts("session.started")[-1]["seq"]
    assert f'id="line-{newest}"' in markup(first) and "50 of" in plain(first)
    older = admin.get(f"/admin/audit?before={newest - 49}")
    assert f'id="line-{newest - 50}"' in markup(older) and f'id="line-{newest - 49}"' not in markup(older)
    assert "Newer" in plain(older)
    newer = admin.get(f"/admin/audit?after={newest - 50}")
    assert f'id="line-{newest}"' in markup(newer) and f'id="line-{newest - 50}"' not in markup(newer)
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
            audit.record("request.commented", at=clock.now(), actor=ana, request=one.id)
        outbox.commit()
        with counting() as seen:
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
    assert facts("audit.verified")[-1]["actor"] == adam.id
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
    seq = facts("session.started")[-2]["seq"]
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
    monkeypatch.setattr("webapp.record.verification.NEWEST", 10)
    lines(30)
    admin.post("/admin/audit/verification")
    page = plain(admin.get("/admin/audit"))
    assert "The newest 10 entries are intact. To check the whole log, run" in page
    assert "Adam Weiss verified the newest 10 entries: intact." in page
    total = facts("audit.verified")[-1]["seq"]
    assert audit.verify() == (total, None) and audit.verify(newest=5) == (5, None)
    assert audit.verify(newest=total + 5) == (total, None)


@pytest.mark.parametrize(("back", "holds"), [(3, False), (12, True)])
def test_a_line_that_was_changed_is_found_among_those_that_are_checked(admin, app, back, holds):
    lines(20)
    seq = facts("session.started")[-1]["seq"] - back
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
    with app.test_request_context(), counting() as seen:
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
    assert facts("audit.verified") == []


def test_nothing_is_checked_by_looking(admin):
    assert admin.get("/admin/audit/verification").status_code == 405
