"""Small versions of `bin/chaos`: the real stack for a short while, killed and checked."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.stack import ENGINES
from webapp.config import PROJECT
from webapp.runtime.failpoints import POINTS

pytestmark = pytest.mark.slow
on_both = pytest.mark.parametrize("engine", ENGINES)


def chaos(folder: Path, *words: str) -> list[dict[str, Any]]:
    """`bin/chaos …`, which has to find nothing; the lines of its ledger."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--data", str(folder), *words],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads((folder / "ledger.json").read_text())
    return found


@on_both
def test_everything_is_killed_and_nothing_is_lost(engine: str, tmp_path: Path) -> None:
    (done,) = chaos(tmp_path, "run", "--small", "--seed", "1", "--database", engine)
    assert set(done["points"]) == set(POINTS), done
    assert done["requests"] >= 50 and done["violations"] == 0


@on_both
def test_races_have_one_winner(engine: str, tmp_path: Path) -> None:
    (done,) = chaos(tmp_path, "races", "--deciders", "8x10,32x2", "--pairs", "2", "--seed", "1", "--database", engine)
    assert done["trials"] == {"8 deciders": 10, "32 deciders": 2, "pairs": 42}


@on_both
def test_of_browsers_and_programs_one_decides_and_a_key_is_good_for_one_change(engine: str, tmp_path: Path) -> None:
    (done,) = chaos(tmp_path, "programs", "--doors", "4x4", "--replays", "8", "--seed", "1", "--database", engine)
    assert done["trials"] == {"4 browsers and 4 programs": 4, "keys sent four times": 8}


@on_both
def test_one_bad_mail_in_a_hundred_delays_no_other(engine: str, tmp_path: Path) -> None:
    (done,) = chaos(tmp_path, "drain", "--mails", "300", "--seed", "1", "--database", engine)
    assert done["undeliverable"] == 3


@on_both
def test_a_restore_in_the_middle_of_it_mails_nothing_twice(engine: str, tmp_path: Path) -> None:
    chaos(tmp_path, "restore", "--small", "--seed", "1", "--database", engine)


def test_sixteen_write_to_sqlite_and_nobody_is_told_that_it_is_locked(tmp_path: Path) -> None:
    chaos(tmp_path, "writers", "--minutes", "0.08", "--seed", "1")
