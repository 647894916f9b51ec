"""Changes the audit record at random, as its database's owner could, and sees whether the check finds each.

    python -m tests.tamper --engine postgresql --trials 1000

Edits, deletions, reorderings, insertions, truncations and whole older copies put back, each with the triggers off and
undone afterwards; compared with an anchor that was written before. Ends with 1 when one was missed.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from pathlib import Path

from tests.helpers.separate_process import emptied
from tests.tamper.trial import make_a_record, tamper
from webapp.database.transactions import choose
from webapp.extensions import db


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tamper", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with emptied(options.engine) as empty, tempfile.TemporaryDirectory() as folder, empty().app_context():
        choose("write")
        anchor = Path(folder) / "anchors.jsonl"
        make_a_record(anchor)
        done, missed = tamper(options.engine, anchor, seed=options.seed, trials=options.trials)
        db.session.remove()
        db.engine.dispose()
    for kind, count in sorted(done.items()):
        print(f"  {count:6,}  {kind}")
    for what in missed:
        print(f"MISSED: {what}")
    print(f"{options.engine}: {done.total():,} changes of the record, {len(missed):,} missed.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
