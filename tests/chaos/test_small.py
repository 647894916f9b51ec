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
from webapp.failpoints import POINTS

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("engine", ENGINES)]


def chaos(folder: Path, *words: str) -> list[dict[str, Any]]:
    """`bin/chaos …`, which has to find nothing; the lines of its ledger."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--data", str(folder), *words],
        cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    found: list[dict[str, Any]] = json.loads((folder / "ledger.json").read_text())
    return found


def test_everything_is_killed_and_nothing_is_lost(engine: str, tmp_path: Path) -> None:
    (done,) = chaos(tmp_path, "run", "--small", "--seed", "1", "--database", engine)
    assert set(done["points"]) == set(POINTS), done
    assert done["requests"] >= 50 and done["violations"] == 0
