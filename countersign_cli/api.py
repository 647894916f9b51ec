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
# The longest that a 429 is waited for at once, and by one command; and the longest that an answer is.
LONGEST_WAIT, WAITED_AT_MOST, TIMEOUT = 120, 300, 60.0
_LOST = (httpx2.TransportError,)
Json = Any


class Api:
    """One installation, by one token ("": none)."""

    def __init__(self, address: str, token: str) -> None:
        self.address, self.token = address, token
        self._waited = 0
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
        return self._read(self._call("GET", path, query=query)[0])

    def get_with_etag(self, path: str) -> tuple[Json, str]:
        """The answer, and its ETag for `change`."""
        answer, _ = self._call("GET", path)
        return self._read(answer), answer.headers.get("ETag", "")

    def items(self, path: str, *, limit: int | None = None, **query: Any) -> Iterator[Json]:
        """The items of a list, page by page; at most `limit`."""
        query["limit"] = min(limit or 200, 200)
        while True:
            answer, _ = self._call("GET", path, query=query)
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
        answer, _ = self._call("POST", path, body={} if body is None else body, headers=_key(), repeat=repeat)
        return self._read(answer)

    def change(self, method: str, path: str, body: Json = None, *, etag: str = "") -> Json:
        """PUT, PATCH or DELETE; made once, however often it is sent. A DELETE whose answer was lost is done when what
        it names is gone: with it may have gone the right to be told so."""
        headers = _key() | ({"If-Match": etag} if etag else {})
        answer, is_repeated = self._call(method, path, body=body, headers=headers)
        if method == "DELETE" and is_repeated and answer.status_code == 404:
            return None
        return self._read(answer)

    def _call(
        self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Json = None,
        headers: dict[str, str] | None = None, repeat: bool = True,
    ) -> tuple[httpx2.Response, bool]:  # fmt: skip
        """The answer, and whether an earlier one was lost."""
        sent = dict(headers or {})
        if self.token:
            sent["Authorization"] = f"Bearer {self.token}"
        params = {name: _word(value) for name, value in (query or {}).items() if value is not None}
        pauses = iter(PAUSES if repeat else ())
        is_repeated = False
        while True:
            try:
                answer = self._client.request(method, f"/api/v1{path}", params=params, json=body, headers=sent)
            except _LOST as error:
                if (pause := next(pauses, None)) is None:
                    raise self._away(error, method) from None
                is_repeated = True
                time.sleep(pause)
                continue
            wait = _wait_of(answer)
            if answer.status_code == 429 and wait <= LONGEST_WAIT and self._waited + wait <= WAITED_AT_MOST:
                click.echo(f"Too many calls. Waiting {wait} s …", err=True)
                self._waited += wait
                time.sleep(wait)
                continue
            if answer.status_code == 503 and (pause := next(pauses, None)) is not None:
                time.sleep(pause)
                continue
            return answer, is_repeated

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


def _key() -> dict[str, str]:
    return {"Idempotency-Key": uuid.uuid4().hex}


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wait_of(answer: httpx2.Response) -> int:
    given = answer.headers.get("Retry-After", "")
    return max(1, int(given)) if given.isdecimal() else 5


def part(key: str) -> str:
    """A part of an address, so that a name with a slash in it stays one part."""
    return quote(key, safe="")
