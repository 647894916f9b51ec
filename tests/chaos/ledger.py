"""What all runs together have done: a small JSON file that each finished round adds a line to."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


class Ledger:
    """`rounds` in the order they were finished. A round that was interrupted is not in it, and counts for nothing."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "ledger.json"
        self.rounds: list[dict[str, Any]] = json.loads(self.file.read_text()) if self.file.exists() else []

    def add(self, what: str, engine: str, seed: int, **counts: Any) -> None:
        """Writes the round down at once, whole or not at all."""
        self.rounds.append({"what": what, "engine": engine, "seed": seed, **counts})
        fresh = self.file.with_suffix(".new")
        fresh.write_text(json.dumps(self.rounds, indent=1))
        os.replace(fresh, self.file)

    def of(self, what: str, engine: str) -> list[dict[str, Any]]:
        return [one for one in self.rounds if (one["what"], one["engine"]) == (what, engine)]

    def sums(self, what: str, engine: str) -> Counter[str]:
        """All whole numbers of these rounds, added up; those of dictionaries under "name key"."""
        found: Counter[str] = Counter()
        for one in self.of(what, engine):
            for name, value in one.items():
                if name == "seed":
                    continue
                for key, number in value.items() if isinstance(value, dict) else [("", value)]:
                    if isinstance(number, int | float) and not isinstance(number, bool):
                        found[f"{name} {key}".strip()] += number
        return found

    def most(self, what: str, engine: str, name: str) -> float:
        return max((float(one[name]) for one in self.of(what, engine) if name in one), default=0.0)
