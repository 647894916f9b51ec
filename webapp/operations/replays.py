"""Calls that are sent twice: the answer to a key is kept in the transaction of the change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps, loads

from sqlalchemy import update

from webapp.extensions import db
from webapp.models import ApiReplay

from ._sql import changed, run, run_if_free

# Answers are kept so long.
KEPT = timedelta(hours=24)
_ROWS = ApiReplay.metadata.tables["api_replays"]


class AnotherCall(Exception):
    """The key was used for another call."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call was answered; `headers` are pairs of name and value."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


def begin(token: int, key: str, fingerprint: str, *, now: datetime) -> Answer | None:
    """The answer, if this token made the call before, else None: what comes next in this transaction is the change.
    The same call that is under way is waited for. `fingerprint` tells calls apart; raises
    AnotherCall."""
    if run_if_free(_ROWS, token_id=token, key=key, fingerprint=fingerprint, status=0, headers="[]", body=b"",
                   created_at=now):  # fmt: skip
        return None
    kept = db.session.get_one(ApiReplay, (token, key), populate_existing=True)
    if kept.fingerprint != fingerprint:
        raise AnotherCall("This Idempotency-Key was used for another call. Use a new one for each change.")
    return Answer(kept.status, [(name, value) for name, value in loads(kept.headers)], kept.body)


def keep(token: int, key: str, answer: Answer) -> None:
    """Stores the answer with the change. Its body must be without what may be shown only once."""
    run(
        update(_ROWS).where(_ROWS.c.token_id == token, _ROWS.c.key == key)
        .values(status=answer.status, headers=dumps(answer.headers), body=answer.body),
        {},
    )  # fmt: skip


def forget(*, now: datetime) -> int:
    """Deletes answers that are no longer kept; returns how many."""
    return changed(_ROWS.delete().where(_ROWS.c.created_at < now - KEPT))
