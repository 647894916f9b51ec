"""How many statements something takes. Counted are cursor executions, the session's own included; BEGIN, COMMIT and
PRAGMA are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event


@dataclass
class Count:
    """The statements that ran, in order and each in one line, and the commits."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0

    def __len__(self) -> int:
        return len(self.statements)

    def __str__(self) -> str:
        return f"{len(self.statements)} statements, {self.commits} commits:\n" + "\n".join(
            one[:110] for one in self.statements
        )

    @property
    def by_verb(self) -> Counter[str]:
        """SELECT, INSERT, UPDATE … → how many."""
        return Counter(one.split()[0].upper() for one in self.statements)


def assert_constant(counts: Sequence[int], *, at_most: int) -> None:
    """The same number however many rows there are, and within the budget."""
    assert len(set(counts)) == 1, f"grows with the rows: {counts}"
    assert counts[0] <= at_most


@contextmanager
def counting() -> Iterator[Count]:
    count = Count()

    def executed(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        count.statements.append(" ".join(statement.split()))

    def committed(conn: Any) -> None:
        count.commits += 1

    event.listen(Engine, "before_cursor_execute", executed)
    event.listen(Engine, "commit", committed)
    try:
        yield count
    finally:
        event.remove(Engine, "before_cursor_execute", executed)
        event.remove(Engine, "commit", committed)
