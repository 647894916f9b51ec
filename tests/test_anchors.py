"""Anchors: what the database's owner changes is found out by a file that is not in the database."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from flask import Flask

from tests.helpers import factories
from tests.helpers.factories import Company, rows
from tests.test_audit import NEW_SECRET, tamper
from webapp import clock
from webapp.database.transactions import choose, reading
from webapp.delivery import jobs, outbox
from webapp.extensions import db, settings
from webapp.keys import KeyRing
from webapp.models import Person
from webapp.operations import people
from webapp.record import anchors, audit
from webapp.record.anchors import Anchor, BadAnchor


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "elsewhere" / "anchors.jsonl"


@pytest.fixture
def lines(company: Company) -> int:
    factories.request(company.rita, factories.app("Salesforce", company.ana))
    return rows("events")


def keep(file: Path) -> Anchor | None:
    with reading():
        return anchors.keep(file, now=clock.now())


def verify(file: Path) -> tuple[int, audit.Break | None]:
    with reading():
        return audit.verify(anchors.compare(anchors.read(file)))


def one_more() -> None:
    choose("write")
    rita = db.session.query(Person).filter_by(email="rita@example.com").one()
    people.change_theme(rita, theme="dark", now=clock.now())
    outbox.commit()


def set_head(engine: str, seq: int) -> None:
    """The head as it was then: only the last line's number and HMAC, both of which stand in the table."""
    tamper(
        engine,
        f"DELETE FROM events WHERE seq > {seq}",
        f"UPDATE event_head SET seq = {seq}, mac = (SELECT mac FROM events WHERE seq = {seq})",
    )


def test_a_record_agrees_with_its_anchors(lines: int, file: Path) -> None:
    assert keep(file)
    one_more()
    assert keep(file)
    one_more()
    assert [one.seq for one in anchors.read(file)] == [lines, lines + 1]
    assert verify(file) == (lines + 2, None)
    assert file.stat().st_mode & 0o777 == 0o600


def test_lines_cut_off_the_end_with_the_head_set_back_are_missed(engine: str, lines: int, file: Path) -> None:
    keep(file)
    set_head(engine, lines - 3)
    assert audit.verify() == (lines - 3, None), "the chain alone cannot know"
    held, broken = verify(file)
    assert broken is not None
    assert (held, broken.seq) == (lines - 3, lines - 2)
    assert f"it had entry {lines}" in broken.sentence


def test_an_older_copy_that_went_on_is_found_at_the_first_line_that_differs(
    engine: str, lines: int, file: Path
) -> None:
    keep(file)
    set_head(engine, lines - 1)
    one_more()
    one_more()
    assert audit.verify() == (lines + 1, None), "the chain alone cannot know"
    held, broken = verify(file)
    assert broken is not None
    assert (held, broken.seq) == (lines - 1, lines)


def test_nothing_new_writes_nothing(lines: int, file: Path) -> None:
    keep(file)
    before = file.read_text()
    assert keep(file) is None
    assert file.read_text() == before


def test_an_empty_record_has_no_anchor(app: Flask, file: Path) -> None:
    assert keep(file) is None
    assert anchors.read(file) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, seq=one.seq - 1),
        lambda one: replace(one, mac="0" * 64),
        lambda one: replace(one, at="2020-01-01T00:00:00+00:00"),
        lambda one: replace(one, sign="0" * 64),
    ],
)
def test_a_changed_anchor_is_no_anchor(lines: int, file: Path, change: Callable[[Anchor], Anchor]) -> None:
    keep(file)
    (anchor,) = anchors.read(file)
    file.write_text(f"{change(anchor).line()}\n")
    with pytest.raises(BadAnchor, match="Anchor 1 was changed"):
        anchors.read(file)


def test_a_line_that_a_crash_cut_short_costs_one_anchor_and_no_more(lines: int, file: Path) -> None:
    keep(file)
    with file.open("a") as torn:
        torn.write('{"at": "2026-0')
    one_more()
    keep(file)
    assert [one.seq for one in anchors.read(file)] == [lines, lines + 1]
    assert verify(file) == (lines + 1, None)


def test_a_key_that_was_removed_is_named_and_one_that_was_kept_goes_on(app: Flask, lines: int, file: Path) -> None:
    keep(file)
    before = app.extensions["keyring"]
    try:
        app.extensions["keyring"] = KeyRing((NEW_SECRET, settings().secret_key))
        one_more()
        keep(file)
        assert verify(file) == (lines + 1, None)
        app.extensions["keyring"] = KeyRing((NEW_SECRET,))
        with pytest.raises(BadAnchor, match="no longer configured"):
            anchors.read(file)
    finally:
        app.extensions["keyring"] = before


def test_the_worker_writes_one_every_ten_minutes_and_says_when_the_record_was_cut(
    app: Flask, engine: str, lines: int, caplog: pytest.LogCaptureFixture
) -> None:
    file = anchors.path()
    file.unlink(missing_ok=True)
    jobs.anchor()
    one_more()
    jobs.anchor()
    assert [one.seq for one in anchors.read(file)] == [lines]
    with time_machine.travel(clock.now() + timedelta(seconds=anchors.EVERY_SECONDS + 1)):
        jobs.anchor()
    assert [one.seq for one in anchors.read(file)] == [lines, lines + 1]
    # A clock that was an hour ahead when it wrote stops nothing.
    with time_machine.travel(clock.now() - timedelta(hours=1)):
        one_more()
        jobs.anchor()
    assert [one.seq for one in anchors.read(file)] == [lines, lines + 1, lines + 2]
    before = file.read_text()
    set_head(engine, lines - 1)
    one_more()
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        jobs.anchor()
    assert file.read_text() == before, "the file keeps what it knows"
    assert "does not go on from its last anchor" in caplog.text
    file.unlink()


def test_a_file_that_cannot_be_written_is_told_and_stops_no_mail(
    app: Flask, lines: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(app.extensions, "settings", replace(settings(), audit_anchor=tmp_path))
    jobs.anchor()
    with time_machine.travel(clock.now() + timedelta(hours=1)):
        jobs.anchor()
    assert "cannot be written" in caplog.text


def test_the_commands_print_write_and_compare(app: Flask, engine: str, lines: int, tmp_path: Path) -> None:
    runner = app.test_cli_runner()
    anchors.path().unlink(missing_ok=True)
    db.session.remove()
    printed = runner.invoke(args=["audit", "anchor"])
    assert json.loads(printed.output)["seq"] == lines
    assert not anchors.path().exists()
    copy = tmp_path / "copy"
    copy.write_text(printed.output)
    alone = runner.invoke(args=["audit", "verify"])
    assert "No anchor found" in alone.output
    assert runner.invoke(args=["audit", "anchor", "--write"]).output == anchors.path().read_text()
    held = runner.invoke(args=["audit", "verify"])
    assert (held.exit_code, f"OK: all {lines} entries are intact.\n1 anchor matches" in held.output) == (0, True)
    choose("write")
    set_head(engine, lines - 1)
    for args in (["audit", "verify"], ["audit", "verify", "--anchor", str(copy)]):
        db.session.remove()
        cut = runner.invoke(args=args)
        assert cut.exit_code == 1
        assert f"it had entry {lines}" in cut.output
    copy.write_text(printed.output.replace(str(lines), str(lines - 1), 1))
    forged = runner.invoke(args=["audit", "verify", "--anchor", str(copy)])
    assert (forged.exit_code, "The anchor file cannot be used" in forged.output) == (1, True)
    missing = runner.invoke(args=["audit", "verify", "--anchor", str(tmp_path / "nowhere")])
    assert missing.exit_code == 1
    anchors.path().unlink()


# ---------- What a check cannot tell ----------


def test_anchors_of_a_removed_key_are_left_out_and_the_others_used(app: Flask, lines: int, file: Path) -> None:
    keep(file)
    before = app.extensions["keyring"]
    try:
        app.extensions["keyring"] = KeyRing((NEW_SECRET, settings().secret_key))
        one_more()
        keep(file)
        app.extensions["keyring"] = KeyRing((NEW_SECRET,))
        ours, removed = anchors.usable(file)
        assert ([one.seq for one in ours], [one.seq for one in removed]) == ([lines + 1], [lines])
        with reading():
            report = audit.examine(anchors.compare(ours))
            said = anchors.compared(ours, removed, report)
        assert report.broken is None
        assert "1 anchor matches" in said and "1 anchor was not used: the key that signed it" in said
    finally:
        app.extensions["keyring"] = before


def test_after_a_restore_without_a_newer_anchor_it_cannot_tell(
    app: Flask, engine: str, lines: int, tmp_path: Path
) -> None:
    """The backup is from before the last entry, and so are its anchors, or there are none."""
    runner, file = app.test_cli_runner(), anchors.path()
    for has_anchor in (False, True):
        file.unlink(missing_ok=True)
        if has_anchor:
            jobs.anchor()
        one_more()
        before = factories.rows("events")
        set_head(engine, before - 1)  # the backup is put back
        db.session.remove()
        runner.invoke(args=["restored"])
        said = runner.invoke(args=["audit", "verify"])
        assert said.exit_code == 0, said.output
        assert "restored from a backup on" in said.output and "UTC" in said.output
        assert "cannot tell whether entries from before the restore are missing" in said.output
        choose("write")
    # With an anchor of after the restore, that is settled; only what comes after it cannot be told.
    file.unlink()
    jobs.anchor()
    db.session.remove()
    said = runner.invoke(args=["audit", "verify"])
    assert "entries after that were removed" in said.output and "before the restore" not in said.output
    file.unlink()


def test_a_restore_that_the_anchors_know_of_is_explained(app: Flask, engine: str, lines: int) -> None:
    runner, file = app.test_cli_runner(), anchors.path()
    file.unlink(missing_ok=True)
    one_more()
    jobs.anchor()
    set_head(engine, lines)
    db.session.remove()
    said = runner.invoke(args=["audit", "verify"])
    assert said.exit_code == 1 and "If an older backup was restored" in said.output
    file.unlink()
