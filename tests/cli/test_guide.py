"""docs/cli.md: its examples run one after the other, and its table has every exit code."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from countersign_cli.failures import Exit
from countersign_cli.policy import files
from tests.helpers.processes import PROJECT

GUIDE = (PROJECT / "docs" / "cli.md").read_text()
EXAMPLES = re.findall(r"^```sh\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
def test_every_example_runs(machine, server, tmp_path):
    adam = machine("adam")
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "countersign"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m countersign_cli "$@"\n')
    command.chmod(0o755)
    environment = adam.environment | {"PATH": f"{programs}:{adam.environment['PATH']}"}
    assert len(EXAMPLES) == 6
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail"], input="\n".join(EXAMPLES), env=environment, cwd=tmp_path,
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "-  days: 3" in done.stdout and "+  days: 2" in done.stdout and "Benevity changed." in done.stderr
    # As it was, for the tests after this one.
    file = tmp_path / "rules" / "apps" / "benevity.yaml"
    file.write_text(file.read_text().replace("  days: 2", "  days: 3"))
    assert adam("policy", "apply", "rules", "--yes").code == 0


def test_the_file_in_the_guide_is_read(tmp_path):
    (tmp_path / "apps").mkdir()
    (tmp_path / "apps" / "zeplin.yaml").write_text(re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.M | re.S)[0])
    assert files.read(tmp_path)[0].app["name"] == "Zeplin"


def test_every_exit_code_is_in_the_table():
    cells = " ".join(re.findall(r"^\| ([\d, ]+) \|", GUIDE, re.MULTILINE))
    assert sorted(int(number) for number in re.findall(r"\d+", cells)) == sorted(Exit)
