"""Thousands of random stories, run on the model and on Countersign; any difference ends it.

    python -m tests.reference_model --engine postgresql --runs 2000 --steps 50

Each batch has a seed of its own (--seed and what follows it) and is written down when it is done: stopped and
started again it goes on with other seeds, until as many runs are together. The engines are core, sqlite and postgresql.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.helpers.separate_process import emptied
from tests.reference_model.core import Core
from tests.reference_model.database import Database
from tests.reference_model.story import Decisions, Operations

BATCH = 10


def main() -> int:
    options = _options()
    done = _done(options)
    first = options.seed if options.seed is not None else random.randrange(2**32)
    print(f"seed {first}; {done['runs']:,} of {options.runs:,} runs were there already", flush=True)
    with _system(options.engine) as machine:
        told = {row["seed"] for row in _rows(options)}
        seeds = (number for number in itertools.count(first) if number not in told)
        while done["runs"] < options.runs:
            began, number = time.monotonic(), next(seeds)
            batch = min(BATCH, options.runs - done["runs"])
            Decisions.told.clear()
            _run_stories(machine, number, batch, options.steps)
            row = {
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "engine": options.engine,
                "steps": options.steps,
                "seed": number,
                "runs": Decisions.told.pop("stories"),
                "events": sum(Decisions.told.values()),
                "seconds": round(time.monotonic() - began),
                "told": dict(sorted(Decisions.told.items())),
            }
            with options.into.open("a") as file:
                file.write(json.dumps(row) + "\n")
            done += Counter(runs=row["runs"], events=row["events"])
            print(f"{done['runs']:,} runs, {done['events']:,} events; seed {row['seed']} held", flush=True)
    _sum_up(options)
    return 0


def _options() -> Any:
    parser = argparse.ArgumentParser(prog="python -m tests.reference_model", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=("core", "sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--seed", type=int, help="the first batch's; without it a new one")
    parser.add_argument("--into", type=Path, default=Path("var/model.jsonl"), help="where what was done is kept")
    options = parser.parse_args()
    options.into.parent.mkdir(parents=True, exist_ok=True)
    return options


def _rows(options: Any) -> list[dict[str, Any]]:
    if not options.into.exists():
        return []
    rows = [json.loads(line) for line in options.into.read_text().splitlines()]
    return [row for row in rows if (row["engine"], row["steps"]) == (options.engine, options.steps)]


def _done(options: Any) -> Counter[str]:
    done: Counter[str] = Counter()
    for row in _rows(options):
        done += Counter(runs=row["runs"], events=row["events"])
    return done


def _sum_up(options: Any) -> None:
    told: Counter[str] = Counter()
    for row in _rows(options):
        told += Counter(row["told"])
    done = _done(options)
    print(
        f"{options.engine}: {done['runs']:,} runs of {options.steps} steps, {done['events']:,} events, no difference."
    )
    for what, count in sorted(told.items()):
        print(f"  {count:8,}  {what}")


def _run_stories(machine: Any, number: int, runs: int, steps: int) -> None:
    few = settings(deadline=None, database=None, max_examples=runs, stateful_step_count=steps,
                   phases=(Phase.generate, Phase.shrink), suppress_health_check=list(HealthCheck))  # fmt: skip
    run_state_machine_as_test(seed(number)(machine), settings=few)


@contextlib.contextmanager
def _system(engine: str) -> Iterator[Any]:
    """What makes a fresh machine for each story."""
    if engine == "core":
        yield lambda: Decisions(Core())
        return
    with emptied(engine) as empty:
        database = Database(empty)
        yield lambda: Operations(database)
        database.stop()


if __name__ == "__main__":
    sys.exit(main())
