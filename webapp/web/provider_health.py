"""Since when a provider of single sign-on does not do its part, and why: in the broker, for admins to see.

Not in the database: signing in is a GET, and what is out of reach now may be back in a minute.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from redis.exceptions import RedisError

from webapp.extensions import broker

# Seconds after the last failure in which it is shown.
LASTS = 24 * 3600

log = logging.getLogger("countersign.sso")


@dataclass(frozen=True, slots=True)
class Trouble:
    """What is wrong with a provider, and since when."""

    since: datetime
    sentence: str


def note_failure(public_id: str, sentence: str, *, now: datetime) -> None:
    """It did not do its part just now."""
    log.warning("a provider of single sign-on failed", extra={"provider": public_id, "reason": sentence})
    before = troubles([public_id]).get(public_id)
    value = json.dumps({"since": (before.since if before else now).isoformat(), "sentence": sentence[:500]})
    try:
        broker().set(_key(public_id), value, ex=LASTS)
    except (RedisError, OSError) as error:
        log.warning("The broker is away; admins do not see that a provider fails.", extra={"error": str(error)})


def note_success(public_id: str) -> None:
    """It did its part just now."""
    try:
        broker().delete(_key(public_id))
    except (RedisError, OSError) as error:
        log.warning("The broker is away; a provider may be shown as failing.", extra={"error": str(error)})


def troubles(public_ids: Iterable[str]) -> dict[str, Trouble]:
    """By public id; none of what works, and none while the broker is away."""
    ids = list(public_ids)
    if not ids:
        return {}
    try:
        values = cast(list[bytes | None], broker().mget([_key(one) for one in ids]))
    except (RedisError, OSError) as error:
        log.warning("The broker is away; nobody knows which providers fail.", extra={"error": str(error)})
        return {}
    found = {}
    for public_id, value in zip(ids, values, strict=True):
        if value is not None:
            row = json.loads(value)
            found[public_id] = Trouble(datetime.fromisoformat(row["since"]), row["sentence"])
    return found


def _key(public_id: str) -> str:
    return f"countersign:sso-trouble:{public_id}"
