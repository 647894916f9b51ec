"""Lists: a page of items, and a signed cursor that leads to the next one."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from flask import request
from pydantic import Field

from webapp.extensions import keyring
from webapp.web.problems import Problem

from ._types import Query

PURPOSE = "api cursor"
LIMIT, LARGEST = 50, 200
_BAD = "Use the address of the Link header as it is: this cursor is not one of ours, or is of another filter."


class PageQuery(Query):
    """The query of a list: filters are added by its subclasses."""

    limit: Annotated[int, Field(ge=1, le=LARGEST, description="Items on a page.")] = LIMIT
    # As long as the longest name becomes, which a cursor holds as it is sorted by.
    cursor: Annotated[
        str | None, Field(max_length=6000, description="From the Link header of the page before; never made by you.")
    ] = None

    def after(self, *shape: type) -> tuple[Any, ...] | None:
        """The key of the last item of the page before, whose parts have these types; None for the first page."""
        return _read(self.cursor, self, shape) if self.cursor else None


@dataclass(frozen=True, slots=True)
class Listed:
    """One page. `key` is the sort key of its last item, of str and int, if there is another page."""

    items: Sequence[Any]
    key: Sequence[str | int] | None = None


def by_name(rows: Sequence[Any], limit: int, item: Callable[[Any], Any]) -> Listed:
    """The page of rows that are sorted by `sort_key` and `id`; one more than the limit, if there is another page."""
    last = rows[limit - 1] if len(rows) > limit else None
    return Listed([item(row) for row in rows[:limit]], (last.sort_key, last.id) if last is not None else None)


def cursor(query: PageQuery, key: Sequence[str | int]) -> str:
    """Leads to the items after this key, in the same list with the same filter."""
    body = json.dumps([_list(query), *key], separators=(",", ":"), ensure_ascii=False).encode()
    return f"{_text(body)}.{_text(_mac(keyring().current, body))}"


def _read(given: str, query: PageQuery, shape: tuple[type, ...]) -> tuple[Any, ...]:
    try:
        body, mac = (base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in given.split("."))
        if not any(hmac.compare_digest(_mac(key_id, body), mac) for key_id in keyring().ids):
            raise ValueError
        of, *key = json.loads(body)
    except ValueError:
        raise Problem(400, "malformed", _BAD) from None
    if of != _list(query) or tuple(map(type, key)) != shape:
        raise Problem(400, "malformed", _BAD)
    return tuple(key)


def _list(query: PageQuery) -> str:
    """Names the list and its filter, so that a cursor of another one is refused."""
    wanted = query.model_dump_json(exclude={"limit", "cursor"})
    return hashlib.sha256(f"{request.path}\n{wanted}".encode()).hexdigest()[:16]


def _mac(key_id: str, body: bytes) -> bytes:
    return hmac.digest(keyring().derive(PURPOSE, key_id), body, "sha256")[:16]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
