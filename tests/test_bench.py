"""The benchmarks take too long for the suite; that their commands begin is looked at here."""

import subprocess
import sys

from webapp.config import PROJECT


def test_the_benchmarks_can_be_started():
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--help"], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--full" in done.stdout
