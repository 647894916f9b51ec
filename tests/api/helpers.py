"""What several tests of the API look at."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import select

from tests.helpers.statements import assert_constant, counting
from webapp.extensions import db
from webapp.models import ApiToken, Event


def by_token(*kinds: str) -> list[tuple[str, str | None]]:
    """(kind, name of the token) of each entry of the audit log that a token made, in order; of these kinds only."""
    db.session.rollback()
    rows = db.session.execute(
        select(Event.kind, ApiToken.name)
        .join(ApiToken, ApiToken.id == Event.token_id)
        .where(Event.kind.in_(kinds) if kinds else Event.token_id.is_not(None))
        .order_by(Event.seq)
    ).all()
    return [(row.kind, row.name) for row in rows]


def entries() -> int:
    db.session.rollback()
    return len(db.session.scalars(select(Event.seq)).all())


def problem(answer: Any, status: int, sentence: str, *fields: str) -> None:
    """The call was refused with this sentence, for these fields."""
    assert (answer.status_code, answer.json["detail"]) == (status, sentence), answer.text
    assert [one["field"] for one in answer.json.get("errors", [])] == list(fields)


def statements(program: Any, path: str) -> int:
    """How many a call takes; it changes nothing."""
    with counting() as count:
        answer = program.get(path)
    assert answer.status_code == 200, answer.text
    assert count.commits == 0
    return len(count)


def at_once(calls: Sequence[Callable[[], Any]]) -> list[int]:
    """The statuses of calls that are made at the same moment, sorted."""
    start, statuses = threading.Barrier(len(calls)), list[int]()

    def run(call: Callable[[], Any]) -> None:
        start.wait()
        statuses.append(call().status_code)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    return sorted(statuses)


__all__ = ["assert_constant", "at_once", "by_token", "entries", "problem", "statements"]
