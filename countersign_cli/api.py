"""Calls of the API: each change is sent with a key, so that it can be sent again when its answer was lost."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import click
import httpx2

from countersign_cli import settings
from countersign_cli.failures import Exit, Failure, Refused

# Seconds before a call is repeated.
PAUSES = (0.5, 1.0, 2.0, 4.0)
# The longest that a 429 is waited for, and an answer.
LONGEST_WAIT, TIMEOUT = 120, 60.0
_LOST = (httpx2.TransportError,)
Json = Any


class Api:
    """One installation, by one token ("": none)."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token
        # The token goes to this address only: no redirect is followed. A proxy is not asked for this machine.
        self._client = httpx2.Client(
            base_url=address,
            timeout=httpx2.Timeout(TIMEOUT, connect=10.0),
            follow_redirects=False,
            trust_env=not settings.is_this_machine(urlsplit(address).hostname or ""),
            headers={"Accept": "application/json", "User-Agent": "countersign-cli"},
        )

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **query: Any) -> Json:
        return self._read(self._call("GET", path, query=query))

    def get_with_etag(self, path: str) -> tuple[Json, str]:
        """The answer, and its ETag for `change`."""
        answer = self._call("GET", path)
        return self._read(answer), answer.headers.get("ETag", "")

    def items(self, path: str, *, limit: int | None = None, **query: Any) -> Iterator[Json]:
        """The items of a list, page by page; at most `limit`."""
        query["limit"] = min(limit or 200, 200)
        while True:
            answer = self._call("GET", path, query=query)
            for one in self._read(answer)["items"]:
                yield one
                if limit is not None and (limit := limit - 1) == 0:
                    return
            following = answer.links.get("next", {}).get("url")
            if not following:
                return
            query = {name: values[0] for name, values in parse_qs(urlsplit(following).query).items()}

    def post(self, path: str, body: Json = None, *, repeat: bool = True) -> Json:
        """A change that is made once, however often it is sent."""
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return self._read(self._call("POST", path, body={} if body is None else body, headers=key, repeat=repeat))

    def change(self, method: str, path: str, body: Json = None, *, etag: str = "") -> Json:
        """PUT, PATCH or DELETE. Not repeated: a repeated one would not match what it has changed itself."""
        headers = {"If-Match": etag} if etag else {}
        return self._read(self._call(method, path, body=body, headers=headers, repeat=False))

    def _call(
        self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Json = None,
        headers: dict[str, str] | None = None, repeat: bool = True,
    ) -> httpx2.Response:  # fmt: skip
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        params = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        pauses = iter(PAUSES if repeat else ())
        while True:
            try:
                answer = self._client.request(method, f"/api/v1{path}", params=params, json=body, headers=sent)
            except _LOST as error:
                if (pause := next(pauses, None)) is None:
                    raise self._away(error, method) from None
                time.sleep(pause)
                continue
            if answer.status_code == 429 and _wait_of(answer) <= LONGEST_WAIT:
                click.echo(f"Too many calls. Waiting {_wait_of(answer)} s …", err=True)
                time.sleep(_wait_of(answer))
                continue
            if answer.status_code == 503 and (pause := next(pauses, None)) is not None:
                time.sleep(pause)
                continue
            return answer

    def _away(self, error: Exception, method: str) -> Failure:
        unsure = method != "GET" and not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        what = "did not answer in time" if isinstance(error, httpx2.TimeoutException) else "cannot be reached"
        more = ["It is not known whether the change was made. Look before you try again."] if unsure else []
        return Failure(Exit.AWAY, f"{self.address} {what}: {str(error) or type(error).__name__}.", *more)

    def _read(self, answer: httpx2.Response) -> Json:
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if answer.is_success and not answer.content:
            return None
        try:
            found = answer.json() if kind in ("application/json", "application/problem+json") else None
        except json.JSONDecodeError:
            found = None
        if answer.is_success and found is not None:
            return found
        if isinstance(found, dict):
            raise Refused(answer.status_code, found)
        words = f"{self.address} answered {answer.status_code}, and not as Countersign does. Check the address."
        raise Failure(Exit.AWAY, words)


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wait_of(answer: httpx2.Response) -> int:
    given = answer.headers.get("Retry-After", "")
    return max(1, int(given)) if given.isdecimal() else 5


def part(key: str) -> str:
    """A part of an address, so that a name with a slash in it stays one part."""
    return quote(key, safe="")
