"""When API tokens were last used: noted in the broker with each call, and stored by a worker.

A call that reads must not write to the database, and one row that every call of a program updates would hold up the
others. What is in the broker when it dies is lost: it is for display only.
"""

import logging
from datetime import datetime
from typing import cast

from redis.exceptions import RedisError

from webapp.extensions import broker

# Hash of a token → "instant address", of what no worker has stored yet.
TOKEN_USE = "countersign:token-use"  # nosec

log = logging.getLogger("countersign.token_use")


def take() -> dict[str, tuple[datetime, str]]:
    """Hash of a token → when and from which address it was used last, of what was noted since the last time."""
    try:
        with broker().pipeline() as once:
            once.hgetall(TOKEN_USE)
            once.delete(TOKEN_USE)
            noted = cast(dict[bytes, bytes], once.execute()[0])
    except (RedisError, OSError) as error:
        log.warning("The broker is away; the last use of tokens is stored later.", extra={"error": str(error)})
        return {}
    uses = {}
    for hash, text in noted.items():
        at, _, address = text.decode().partition(" ")
        uses[hash.decode()] = (datetime.fromisoformat(at), address)
    return uses
