"""Plants real mistakes, one after the other, in a copy of the code, and shows which test catches each.

    python -m tests.planted            # all of them; takes an hour or so
    python -m tests.planted 05 link    # those whose name holds one of the words

Each mistake is a patch in this folder: what is wrong in a sentence, the tests that ought to see it, and the change.
Ends with 1 when one is not caught, or no longer applies. The checkout itself is never touched.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
PROJECT = FOLDER.parent.parent
NOT_COPIED = (".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "htmlcov")
SECONDS = 1800


@dataclass(frozen=True, slots=True)
class Planted:
    """A mistake: the patch's name, the sentence, and the tests (paths) that ought to see it."""

    file: Path
    mistake: str
    tests: tuple[str, ...]


def planted() -> list[Planted]:
    """All mistakes, in order."""
    found = []
    for file in sorted(FOLDER.glob("*.patch")):
        head = file.read_text().split("\ndiff --git", 1)[0]
        mistake, tests = re.fullmatch(r"Mistake: (.+?)\nTests: (.+?)\n*", head, re.S).groups()  # type: ignore[union-attr]
        found.append(Planted(file, " ".join(mistake.split()), tuple(tests.split())))
    return found


def applies(one: Planted, where: Path = PROJECT, *, check: bool = True, reverse: bool = False) -> str:
    """What git says against applying it in `where`, "" when it goes; without `check` it is applied, or taken out."""
    # Lines move when others change: one line around a change is enough to know the place.
    how = [*(["--check"] if check else []), *(["--reverse"] if reverse else [])]
    command = ["git", "apply", *how, "-C1", "-v", str(one.file)]
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    return done.stderr if done.returncode else ""


def _test(where: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", *tests],
        cwd=where, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


def caught_by(one: Planted) -> str:
    """The first test that fails with the mistake in and holds without it; "" when none fails.

    Raises RuntimeError if it cannot be tried.
    """
    scratch = Path(tempfile.mkdtemp(prefix="planted-"))
    try:
        copy = scratch / "countersign"
        shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
        if refused := applies(one, copy, check=False):
            raise RuntimeError(f"the patch no longer applies: {refused.strip()}")
        done = _test(copy, *one.tests)
        failed = re.search(r"^FAILED (.+?)(?: - .*)?$", done.stdout, re.M)
        if failed:
            applies(one, copy, check=False, reverse=True)
            if _test(copy, failed[1]).returncode != 0:
                raise RuntimeError(f"{failed[1]} fails without the mistake, too")
            return failed[1]
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if done.returncode != 0:
        raise RuntimeError(f"the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only those whose name holds one of these")
    words = parser.parse_args().words
    wanted = [one for one in planted() if not words or any(word in one.file.name for word in words)]
    if not wanted:
        parser.error(f"No planted mistake has one of these in its name: {', '.join(words)}.")
    bad = 0
    for one in wanted:
        began = time.monotonic()
        try:
            caught = caught_by(one)
        except RuntimeError as error:
            caught, verdict = "", f"CANNOT BE TRIED: {error}"
        else:
            verdict = f"caught by {caught}" if caught else "NOT CAUGHT"
        bad += not caught
        print(f"{one.file.stem}: {one.mistake}\n    {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    print(f"{len(wanted) - bad} of {len(wanted)} planted mistakes caught.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
