"""The points at which a test kills a process: off for everybody, and once for each file when on."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from webapp.config import PROJECT, Settings, SettingsError
from webapp.runtime import failpoints

PASSING = """
import sys
from webapp.runtime import failpoints
failpoints.arm(sys.argv[1], sys.argv[2])
for number in range(5):
    print(number, flush=True)
    failpoints.at("mail.claimed")
"""


def passing(folder: Path, kind: str = "worker") -> tuple[int, int]:
    """(how a process that passes a point five times ended, how often it came there)."""
    done = subprocess.run(
        [sys.executable, "-c", PASSING, str(folder), kind], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    return done.returncode, len(done.stdout.splitlines())


def test_a_file_kills_at_the_passing_it_names_and_only_once(tmp_path: Path) -> None:
    (tmp_path / "mail.claimed").write_text("3")
    assert passing(tmp_path) == (-signal.SIGKILL, 3)
    (killed,) = tmp_path.iterdir()
    assert re.fullmatch(r"mail\.claimed\.killed-\d+", killed.name)
    assert passing(tmp_path) == (0, 5)


def test_a_file_may_be_for_one_kind_of_process(tmp_path: Path) -> None:
    (tmp_path / "mail.claimed").write_text("1 web")
    assert passing(tmp_path) == (0, 5)
    assert passing(tmp_path, kind="web") == (-signal.SIGKILL, 1)


def test_off_a_point_is_an_empty_function(tmp_path: Path) -> None:
    failpoints.arm("", "web")
    assert failpoints.at is failpoints._nothing
    (tmp_path / "mail.claimed").write_text("1")
    assert passing(Path("")) == (0, 5)


def test_nothing_is_armed_unless_the_setting_says_so(tmp_path: Path) -> None:
    assert Settings.from_env({"COUNTERSIGN_DATA": str(tmp_path)}).failpoints == ""
    assert Settings.from_env({"COUNTERSIGN_DATA": str(tmp_path), "COUNTERSIGN_FAILPOINTS": "/there"}).failpoints


def test_the_start_is_refused_where_others_could_reach_us(tmp_path: Path) -> None:
    outside = {"COUNTERSIGN_DATA": str(tmp_path), "BASE_URL": "https://apps.example.com"}
    with pytest.raises(SettingsError, match="is for tests only"):
        Settings.from_env(outside | {"COUNTERSIGN_FAILPOINTS": "/there"})


def test_every_point_is_in_the_code_once() -> None:
    code = "".join(
        file.read_text()
        for folder in ("webapp", "migrations")
        for file in (PROJECT / folder).rglob("*.py")
        if file.name != "failpoints.py"
    )
    assert sorted(re.findall(r'failpoints\.at\("([^"]+)"\)', code)) == sorted(failpoints.POINTS)
