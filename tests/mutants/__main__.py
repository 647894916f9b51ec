"""Makes mutants, one after the other, in a copy of the code, and shows which test catches each.

    python -m tests.mutants             # all of them
    python -m tests.mutants step link   # those whose id holds one of the words
    python -m tests.mutants --jobs 2    # two at the same time

A mutant is a mistake that somebody could make, in a file of this folder: what is wrong in a sentence, the tests that
ought to see it, and the change. Ends with 1 when one survives or no longer applies. The checkout itself is never
touched.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants.all_mutants import ALL
from tests.mutants.change import PROJECT, DoesNotApply, Mutant

NOT_COPIED = (".git", ".venv", "var", "node_modules", "__pycache__", ".*_cache", ".hypothesis", "htmlcov")
SECONDS = 1800


class CannotBeTried(Exception):
    """The mutant's tests did not run."""


@contextlib.contextmanager
def _made_in(copy: Path, mutant: Mutant) -> Iterator[None]:
    changed = mutant.files(copy)
    before = {path: path.read_text() for path in changed}
    _write(changed)
    try:
        yield
    finally:
        _write(before)


def _write(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        path.write_text(text)
        # Python knows a stale one by size and whole second, which a small change may leave as they are.
        Path(importlib.util.cache_from_source(str(path))).unlink(missing_ok=True)


def _test(copy: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "--tb=no", *tests],
        cwd=copy, capture_output=True, text=True, timeout=SECONDS, check=False,
    )  # fmt: skip


def caught_by(mutant: Mutant, copy: Path) -> str:
    """The first test that fails in `copy` with the mutant; "" when none fails. Raises DoesNotApply or CannotBeTried."""
    with _made_in(copy, mutant):
        done = _test(copy, "-x", *mutant.tests.split())
    if failed := _failed(done):
        return failed[0]
    if done.returncode != 0:
        raise CannotBeTried(f"the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return ""


def _failed(done: subprocess.CompletedProcess[str]) -> list[str]:
    return re.findall(r"^FAILED (.+?)(?: - .*)?$", done.stdout, re.M)


def _try(mutant: Mutant, copies: queue.Queue[Path]) -> str:
    """Tries one and prints the verdict; answers the test that caught it, or ""."""
    began, caught, copy = time.monotonic(), "", copies.get()
    try:
        caught = caught_by(mutant, copy)
        verdict = f"caught by {caught}" if caught else "SURVIVED"
    except (DoesNotApply, CannotBeTried, subprocess.TimeoutExpired) as error:
        verdict = f"CANNOT BE TRIED: {error}"
    finally:
        copies.put(copy)
    print(f"{mutant.id}: {mutant.mistake}\n    {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
    return caught


def _unfit(copy: Path, tests: list[str]) -> list[str]:
    """Those of these tests that fail in `copy` as it is."""
    if not tests:
        return []
    done = _test(copy, *tests)
    return _failed(done) if done.returncode in (0, 1) else tests


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="only those whose id holds one of these")
    parser.add_argument("--jobs", type=int, default=1, help="how many at the same time, each in a copy of its own")
    arguments = parser.parse_args()
    words = arguments.words
    wanted = [mutant for mutant in ALL if not words or any(word in mutant.id for word in words)]
    if not wanted:
        parser.error(f"No mutant has one of these in its id: {', '.join(words)}.")
    scratch = Path(tempfile.mkdtemp(prefix="mutants-"))
    try:
        copies: queue.Queue[Path] = queue.Queue()
        for number in range(arguments.jobs):
            copy = scratch / f"{number}" / "countersign"
            shutil.copytree(PROJECT, copy, ignore=shutil.ignore_patterns(*NOT_COPIED), symlinks=True)
            copies.put(copy)
        with ThreadPoolExecutor(arguments.jobs) as pool:
            caught_by_tests = [test for test in pool.map(lambda mutant: _try(mutant, copies), wanted) if test]
        # A test that fails without its mutant, too, has caught nothing; one run for all of them is the quickest.
        unfit = _unfit(copies.get(), sorted(set(caught_by_tests)))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for test in unfit:
        print(f"{test} fails without its mutant, too.")
    caught = sum(test not in unfit for test in caught_by_tests)
    print(f"{caught} of {len(wanted)} mutants caught.")
    return 0 if caught == len(wanted) else 1


if __name__ == "__main__":
    sys.exit(main())
