"""Some changes of each kind; `python -m tests.tamper` tries a thousand."""

from pathlib import Path

from flask import Flask

from tests.tamper.changes import CHANGES
from tests.tamper.trial import make_a_record, tamper


def test_whatever_the_owner_of_the_database_does_to_the_record_is_found(
    app: Flask, engine: str, tmp_path: Path
) -> None:
    anchor = tmp_path / "anchors.jsonl"
    make_a_record(anchor)
    done, missed = tamper(engine, anchor, seed=1, trials=80)
    assert missed == []
    assert set(done) == {change.__name__ for change in CHANGES}
